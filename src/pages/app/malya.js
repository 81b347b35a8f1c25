// Ideas: a board of columns from a thought to a deed. Cards are moved with the mouse, with keys, and with a choice on each card.

import { address, ask, complain, counted, el, empty, loading, say, show, t, toast, trouble } from './app.js';
import { actions, addressed, begun, edit, follow, kind, labelOf, placeOf, redrawn, search, tags } from './records.js';

const ideas = kind('malya', 'ideas');

const STATUSES = [
  ['draft', t('Чернетка', 'Draft')], ['active', t('Активна', 'Active')], ['in_progress', t('У роботі', 'In progress')],
  ['completed', t('Здійснена', 'Completed')], ['archived', t('В архіві', 'Archived')],
];
/** A sign for each status, so that nobody has to tell colours apart. */
const SIGNS = { draft: '✎', active: '★', in_progress: '◐', completed: '✓', archived: '▣' };
const PRIORITIES = [['high', t('Важливо', 'High')], ['medium', t('Звичайно', 'Medium')], ['low', t('Колись', 'Low')]];
const PRIORITY_SIGNS = { high: '▲', medium: '■', low: '▽' };
const TYPES = [
  ['home', t('Дім', 'Home')], ['creative', t('Творчість', 'Creative')], ['gift', t('Подарунок', 'Gift')],
  ['travel', t('Подорож', 'Travel')], ['technical', t('Техніка', 'Technical')], ['other', t('Інше', 'Other')],
];

const asked = new URLSearchParams(location.search);
const filters = Object.fromEntries(['q', 'type', 'priority', 'tag'].map((name) => [name, asked.get(name) ?? '']));

/** Cards of a column that are drawn at first, and more each time one asks. */
const STEP = 30;
const shown = new Map();

/** What the server said last: columns of ideas. */
let columns;
let total = 0;
const all = () => columns?.flatMap(({ ideas: of }) => of) ?? [];
const byId = (id) => all().find((idea) => idea.id === id);
const statusOf = (idea) => idea.status?.trim() || 'draft';

// ---------------------------------------------------------------- one idea

const statusBadge = (status) => el('span', { class: 'badge', data: { status } },
  el('span', { 'aria-hidden': 'true' }, SIGNS[status] ?? '•'), ' ', labelOf(STATUSES, status));
const priorityBadge = (priority) => priority && el('span', { class: 'badge', data: { priority } },
  el('span', { 'aria-hidden': 'true' }, PRIORITY_SIGNS[priority] ?? '■'), ' ', labelOf(PRIORITIES, priority));

/** By the id of each idea those that it names, and those that name it. */
let kin = new Map();

function findKin() {
  const known = new Map(all().map((idea) => [idea.id, idea]));
  kin = new Map([...known.keys()].map((id) => [id, new Set()]));
  for (const idea of known.values()) {
    for (const other of (idea.related_ideas ?? []).filter((id) => id !== idea.id && known.has(id))) {
      kin.get(idea.id).add(known.get(other));
      kin.get(other).add(idea);
    }
  }
}

const related = (idea) => {
  const found = [...kin.get(idea.id) ?? []];
  return found.length > 0 && el('p', { class: 'small' }, t('Пов’язані: ', 'Related: '),
    found.flatMap((other, index) => [index > 0 && ', ', el('a', { href: `#${other.id}` }, other.title)]));
};

/** A field in which related ideas are put together of all there are. */
const relation = (idea) => (value) => {
  const chosen = new Set(value ?? []);
  const chips = el('div', { class: 'row' });
  const others = all().filter(({ id }) => id !== idea?.id);
  const pick = el('select', { 'aria-label': t('Пов’язана ідея', 'Related idea') },
    others.map(({ id, title }) => el('option', { value: id }, title)));
  const put = el('button', { type: 'button', onclick: () => { chosen.add(Number(pick.value)); draw(); } }, t('Пов’язати', 'Relate'));
  const draw = () => chips.replaceChildren(...[...chosen].map((id) => {
    const title = byId(id)?.title ?? `№ ${id}`;
    return el('button', { type: 'button', class: 'tag', 'aria-label': t(`Прибрати: ${title}`, `Remove: ${title}`), onclick: () => { chosen.delete(id); draw(); put.focus(); } }, `${title} ✕`);
  }));
  draw();
  const node = others.length > 0
    ? el('div', { class: 'form' }, chips, el('div', { class: 'row' }, el('div', { class: 'grow' }, pick), put))
    : el('p', { class: 'quiet small' }, t('Інших ідей ще немає.', 'There are no other ideas yet.'));
  return { node, focus: pick, read: () => [...chosen] };
};

const fields = (idea) => [
  { name: 'title', label: t('Назва', 'Title'), required: true },
  { name: 'description', label: t('Опис', 'Description'), kind: 'area', required: true },
  { name: 'idea_type', label: t('Вид', 'Kind'), options: TYPES, hint: t('Виберіть або впишіть свій', 'Choose one, or write your own') },
  { name: 'status', label: t('Стан', 'Status'), options: STATUSES },
  { name: 'priority', label: t('Важливість', 'Priority'), kind: 'choice', options: [['', t('Не сказано', 'Not set')], ...PRIORITIES] },
  { name: 'resources', label: t('Що для цього треба', 'What you need'), kind: 'list', hint: t('Речі, люди, адреси — через кому', 'Things, people, addresses, separated by commas') },
  { name: 'tags', label: t('Теги', 'Tags'), kind: 'list', hint: t('Через кому', 'Separated by commas') },
  { name: 'related_ideas', label: t('Пов’язані ідеї', 'Related ideas'), kind: relation(idea) },
];

const addButton = () => el('button', { class: 'main', type: 'button', onclick: () => add('draft') }, t('Додати ідею', 'Add an idea'));
const add = (status) => edit(t('Нова ідея', 'New idea'), fields(), { status }, async (body) => {
  const idea = await ideas.create(body);
  changed();
  toast(t(`Записано: ${idea.title}`, `Saved: ${idea.title}`));
});
const change = (idea) => ideas.edit(idea, t('Змінити ідею', 'Edit idea'), fields(idea), changed);
const remove = (idea) => ideas.remove(idea, idea.title, changed);

/** Makes an event or an entry of the calendar of an idea; they stay linked. */
function promote(idea) {
  const moment = { podija: 'event_date', calendar: 'scheduled_at' };
  edit(t(`Здійснити: ${idea.title}`, `Make it happen: ${idea.title}`), [
    { name: 'to', label: t('Чим стане ідея', 'What the idea becomes'), kind: 'choice', options: [['podija', t('Подією', 'An event')], ['calendar', t('Записом у календарі', 'A calendar entry')]] },
    { name: 'when', label: t('Коли', 'When'), kind: 'moment', hint: t('Для календаря потрібно, для події — ні', 'Required for the calendar, not for an event') },
  ], { to: 'podija' }, async ({ to, when }) => {
    try {
      const { data } = await ask('POST', `${ideas.path}/${idea.id}/promote`, { json: { to, ...(when && { [moment[to]]: when }) } });
      toast(to === 'podija' ? t('Ідея стала подією', 'The idea is now an event') : t('Ідея тепер у календарі', 'The idea is now in the calendar'),
        { action: t('Відкрити', 'Open'), act: () => location.assign(placeOf(data)) });
    } catch (problem) {
      if (problem.fields?.[moment[to]]) problem.fields = { when: problem.fields[moment[to]] };
      throw problem;
    }
  }, { submit: t('Зробити', 'Make it') });
}

const promoter = (idea) => el('button', { type: 'button', data: { act: 'promote' }, 'aria-label': t(`Здійснити: ${idea.title}`, `Make it happen: ${idea.title}`), onclick: () => promote(idea) }, t('Здійснити', 'Make it happen'));

const about = (idea) => (idea.priority || idea.idea_type) && el('p', { class: 'row small' }, priorityBadge(idea.priority), idea.idea_type && el('span', { class: 'quiet' }, labelOf(TYPES, idea.idea_type)));

/** All of one idea, as its own address shows it. */
const whole = (idea, close) => [
  el('p', { class: 'row small' }, statusBadge(statusOf(idea)), priorityBadge(idea.priority),
    el('span', { class: 'quiet' }, [idea.idea_type && labelOf(TYPES, idea.idea_type), say.written(idea.time)].filter(Boolean).join(' · '))),
  el('p', { class: 'told' }, idea.description),
  idea.resources?.length > 0 && el('section', { class: 'form' }, el('h3', {}, t('Що для цього треба', 'What you need')),
    el('ul', {}, idea.resources.map((text) => el('li', {}, address(text) ? el('a', { href: address(text), rel: 'noreferrer noopener' }, text) : text)))),
  tags(idea.tags), related(idea),
  actions(idea.title, {
    more: el('button', { type: 'button', onclick: () => { close(); promote(idea); } }, t('Здійснити', 'Make it happen')),
    change: () => { close(); change(idea); },
    remove: () => { close(); remove(idea); },
  }),
];

// ---------------------------------------------------------------- moving

let said = () => {};
/** Moves reach the server one after the other, however fast somebody is. */
let moves = Promise.resolve();

/** Puts an idea into another column: at once here, then on the server, and back where that fails. */
function move(idea, status, isBack) {
  const was = statusOf(idea);
  if (was === status) return;
  const place = (to) => {
    for (const column of columns) column.ideas = column.ideas.filter(({ id }) => id !== idea.id);
    const column = columns.find((each) => each.status === to);
    column?.ideas.push(Object.assign(idea, { status: to }));
    column?.ideas.sort((a, b) => b.id - a.id);
    draw();
  };
  place(status);
  moves = moves.then(async () => {
    try {
      await ideas.change(idea.id, { status });
      said();
      said = toast(t(`«${idea.title}» — тепер «${labelOf(STATUSES, status)}»`, `“${idea.title}” is now in “${labelOf(STATUSES, status)}”`),
        isBack ? {} : { action: t('Повернути', 'Undo'), act: () => move(byId(idea.id) ?? idea, was, true) });
    } catch (problem) {
      place(was);
      complain(problem);
    }
    changed();
  });
}

/** The column beside that of an idea. */
const beside = (idea, step) => columns[columns.findIndex(({ status }) => status === statusOf(idea)) + step]?.status;

function keys(event, idea) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step || event.altKey || event.ctrlKey || event.metaKey || event.target.closest('select')) return;
  const status = beside(idea, step);
  if (status === undefined) return;
  event.preventDefault();
  move(idea, status);
}

function mover(idea) {
  const arrow = (step, sign, act) => {
    const status = beside(idea, step);
    const text = status === undefined ? t('Далі нікуди', 'No more') : t(`«${idea.title}» до «${labelOf(STATUSES, status)}»`, `“${idea.title}” to “${labelOf(STATUSES, status)}”`);
    return el('button', { type: 'button', class: 'icon', disabled: status === undefined, data: { act }, 'aria-label': text, onclick: () => move(idea, status) }, sign);
  };
  const select = el('select', { 'aria-label': t(`Стан: ${idea.title}`, `Status: ${idea.title}`), data: { act: 'status' }, onchange: () => move(idea, select.value) },
    columns.map(({ status }) => el('option', { value: status, selected: status === statusOf(idea) }, labelOf(STATUSES, status))));
  return el('div', { class: 'mover unprinted' }, arrow(-1, '←', 'left'), select, arrow(1, '→', 'right'));
}

// ---------------------------------------------------------------- the board

function card(idea) {
  const node = el('li', { data: { id: idea.id }, draggable: 'true', onkeydown: (event) => keys(event, idea) },
    el('article', { class: 'card' },
      el('h3', {}, el('a', { href: `#${idea.id}`, draggable: 'false', data: { act: 'open' } }, idea.title)), about(idea),
      el('p', { class: 'clip small' }, idea.description.slice(0, 300)), tags(idea.tags, (tag) => set({ tag })), related(idea), mover(idea),
      actions(idea.title, { more: promoter(idea), change: () => change(idea), remove: () => remove(idea) })));
  node.addEventListener('dragstart', (event) => {
    event.dataTransfer.setData('text/plain', String(idea.id));
    event.dataTransfer.effectAllowed = 'move';
    node.classList.add('held');
  });
  node.addEventListener('dragend', () => node.classList.remove('held'));
  return node;
}

/** The columns that are on the board, and of what each was drawn: one of which nothing has changed stays as it is. */
const drawn = new Map();

function column({ status, ideas: of }) {
  const found = of.filter(isWanted);
  const most = shown.get(status) ?? STEP;
  const made = JSON.stringify([columns.map((each) => each.status), found.length, found.slice(0, most).map((idea) => [idea, [...kin.get(idea.id)].map(({ title }) => title)])]);
  if (drawn.get(status)?.made === made) return drawn.get(status).node;
  const node = el('section', { class: 'column', 'aria-label': labelOf(STATUSES, status) },
    el('h2', {}, statusBadge(status), ' ', el('span', { class: 'quiet small number' }, say.number(found.length))),
    found.length > 0
      ? el('ul', { class: 'lines' }, found.slice(0, most).map(card))
      : el('p', { class: 'quiet small' }, t('Порожньо', 'Empty')),
    found.length > most && el('button', { type: 'button', onclick: () => { shown.set(status, most + STEP); draw(); } }, t('Показати ще', 'Show more')));
  const over = (is) => node.classList.toggle('over', is);
  node.addEventListener('dragover', (event) => {
    event.preventDefault();
    event.dataTransfer.dropEffect = 'move';
    over(true);
  });
  node.addEventListener('dragleave', (event) => { if (!node.contains(event.relatedTarget)) over(false); });
  node.addEventListener('drop', (event) => {
    event.preventDefault();
    over(false);
    const idea = byId(Number(event.dataTransfer.getData('text/plain')));
    if (idea) move(idea, status);
  });
  drawn.set(status, { made, node });
  return node;
}

function isWanted(idea) {
  const text = [idea.title, idea.description, idea.resources, idea.tags].flat().join(' ').toLocaleLowerCase();
  return (!filters.type || idea.idea_type === filters.type) && (!filters.priority || idea.priority === filters.priority)
    && (!filters.tag || idea.tags.includes(filters.tag))
    && filters.q.toLocaleLowerCase().split(/\s+/).every((word) => text.includes(word));
}

const count = el('p', { class: 'quiet small', role: 'status' });
const board = el('div', { class: 'board', role: 'region', tabindex: 0, 'aria-label': t('Дошка ідей', 'Board of ideas') });
const place = el('div', { class: 'form' }, loading());

function draw() {
  if (columns === undefined) return;
  const known = all();
  if (known.length === 0) {
    place.replaceChildren(empty(t('Тут житимуть ідеї: від першої думки до зробленого. Запишіть одну, хай і недодуману.', 'Your ideas will be here, from first thought to finished. Write one down, even half a thought.'), addButton()));
    return;
  }
  const found = known.filter(isWanted).length;
  count.textContent = counted(found, ['ідея', 'ідеї', 'ідей'], ['idea', 'ideas'])
    + (found < known.length ? t(` з ${say.number(known.length)}`, ` of ${say.number(known.length)}`) : '')
    + (known.length < total ? t(`; на дошці лише останні ${say.number(known.length)} з ${say.number(total)}`, `; the board shows only the latest ${say.number(known.length)} of ${say.number(total)}`) : '');
  findKin();
  redrawn(board, () => columns.map(column).forEach((node, index) => {
    const there = board.children[index];
    if (!there) board.append(node);
    else if (there !== node) there.replaceWith(node);
  }));
  while (board.children.length > columns.length) board.lastChild.remove();
  if (board.parentNode !== place) place.replaceChildren(count, board);
}

async function read() {
  try {
    const { data } = await ask('GET', '/api/v1/malya/board');
    ({ columns, total } = data);
    draw();
    sayFilters();
  } catch (problem) {
    if (columns === undefined) place.replaceChildren(trouble(problem, read));
    else complain(problem);
  }
}

// ---------------------------------------------------------------- the page

const sift = el('div', { class: 'sift' });

function set(changes) {
  Object.assign(filters, changes);
  const kept = Object.entries(filters).filter(([, value]) => value);
  history.replaceState(null, '', kept.length ? `?${new URLSearchParams(kept)}` : location.pathname);
  draw();
  sayFilters();
}

/** What one may choose among is what there is. */
function sayFilters() {
  const words = (known, found) => [...known, ...[...new Set(found)].filter((word) => word && !known.some(([key]) => key === word)).sort().map((word) => [word, word])];
  const choose = (name, label, options) => {
    const select = el('select', { 'aria-label': label, data: { act: name }, onchange: () => set({ [name]: select.value }) },
      [['', `${label}: ${t('усі', 'all')}`], ...options].map(([value, text]) => el('option', { value, selected: value === filters[name] }, text)));
    return select;
  };
  const names = [...new Set([filters.tag, ...all().flatMap((idea) => idea.tags)])].filter(Boolean).sort((a, b) => a.localeCompare(b));
  const held = sift.contains(document.activeElement) && document.activeElement.dataset.act;
  sift.replaceChildren(
    choose('type', t('Вид', 'Kind'), words(TYPES, all().map((idea) => idea.idea_type))),
    choose('priority', t('Важливість', 'Priority'), words(PRIORITIES, all().map((idea) => idea.priority))),
    choose('tag', t('Тег', 'Tag'), names.map((name) => [name, `#${name}`])));
  sift.hidden = columns !== undefined && all().length === 0;
  if (held) sift.querySelector(`[data-act=${held}]`)?.focus();
}

show(
  el('div', { class: 'row' }, el('div', { class: 'grow' }, search(t('Шукати в ідеях', 'Search in ideas'), (q) => set({ q }), filters.q)), addButton()),
  sift, place,
);
sayFilters();
const changed = follow(['malya'], read);
// What is related to an idea is on the board: that comes first.
read().then(() => {
  addressed(ideas, { title: ({ title }) => title, show: whole });
  begun(() => add('draft'));
});
