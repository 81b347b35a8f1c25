// The box behind the Ci button of every page: it finds whatever one types, captures it, and leads everywhere.

import { Problem, ask, counted, dialog, el, memory, t, time } from './app.js';
import { MODULES, placeOf, titleOf } from './records.js';

/** How long typing rests before it is looked for, and the fewest letters of that. */
const REST_MS = 300;
const LEAST = 2;
/** How many results are shown. */
const SHOWN = 20;

const PLACES = [
  ['✦', 'Ci', '/ci'], ...Object.entries(MODULES).map(([module, [sign, name]]) => [sign, name, `/${module}`]),
];
const MORE = [
  ['💬', t('Розмова', 'Chat'), '/chat'], ['🕸️', t('Легенда Ci', 'The legend of Ci'), '/ci/legend'],
  ['📜', t('Легенди', 'Legends'), '/kazkar/legends'], ['⚙️', t('Налаштування', 'Settings'), '/settings'],
];
const BEGIN = [
  ['📖', t('Нова історія', 'New story'), '/kazkar#new'], ['🎈', t('Нова подія', 'New event'), '/podija#new'],
  ['🌤️', t('Записати настрій', 'Log a mood'), '/nastrij#new'], ['💡', t('Нова ідея', 'New idea'), '/malya#new'],
  ['🖼️', t('Завантажити файл', 'Upload a file'), '/gallery#new'], ['📅', t('Новий запис календаря', 'New calendar entry'), '/calendar#new'],
];

const draft = memory('box');

/** A text with what was found in it marked; places are counted in code points. */
function marked(text, marks) {
  const letters = [...text];
  const piece = (from, to) => letters.slice(from, to).join('');
  let at = 0;
  const parts = marks.map(([from, to]) => {
    const part = [piece(at, from), el('mark', {}, piece(from, to))];
    at = to;
    return part;
  });
  return [parts, piece(at)];
}

const group = (title, ...content) => el('section', { class: 'box-group' }, el('h3', {}, title), content);
const links = (rows) => el('ul', { class: 'box-links' }, rows.map(([sign, name, href]) =>
  el('li', {}, el('a', { class: 'button', href }, el('span', { 'aria-hidden': 'true' }, sign), name))));

function found(record) {
  const title = titleOf(record);
  const length = [...record.title].length;
  // Often the piece begins with the title, or is all of it: then it is not said twice.
  const isSame = title === record.title && record.snippet.startsWith(title) && record.marks.every(([, to]) => to <= length);
  return el('li', {}, el('a', { href: placeOf(record) },
    el('span', { class: 'box-title' }, isSame ? marked(title, record.marks) : title),
    !isSame && el('span', { class: 'quiet small' }, marked(record.snippet, record.marks)),
    el('span', { class: 'quiet small' }, time(record.moment))));
}

/** Without the calendar's points of time that a capture has made beside something else. */
function distinct(results) {
  const key = ({ title, moment }) => `${moment} ${title}`;
  const others = new Set(results.filter(({ module }) => module !== 'calendar').map(key));
  return results.filter((record) => record.module !== 'calendar' || !others.has(key(record)));
}

/** The results in groups of one module each, in the order in which the best of each was found. */
const grouped = (results) => [...Map.groupBy(results, ({ module }) => module)].map(([module, records]) =>
  group([el('span', { 'aria-hidden': 'true' }, MODULES[module][0]), ' ', MODULES[module][1]], el('ul', { class: 'lines' }, records.map(found))));

/** Opens the box. */
export function open() {
  let timer;
  let asking;
  const field = el('input', {
    id: 'box-field', type: 'text', inputmode: 'search', enterkeyhint: 'search', autocomplete: 'off', value: draft.value ?? '', 'aria-describedby': 'box-hint',
    placeholder: t('Знайти або записати', 'Find or capture'),
  });
  const said = el('p', { class: 'quiet', role: 'status' });
  const after = el('div', { class: 'row', hidden: true });
  const results = el('div', { class: 'form' });
  const state = el('p', { class: 'quiet small' }, t('Сервер: питаю…', 'Checking the server…'));
  const start = el('div', { class: 'form' }, group(t('Модулі', 'Modules'), links(PLACES)), group(t('Почати', 'Begin'), links(BEGIN)), group(t('Також', 'Also'), links(MORE)), state);

  // ------------------------------------------------ finding

  function typed() {
    const text = field.value.trim();
    draft.value = text || null;
    clearTimeout(timer);
    asking?.abort();
    after.hidden = true;
    start.hidden = text !== '';
    if (text.length < LEAST) {
      results.replaceChildren();
      said.textContent = '';
      return;
    }
    timer = setTimeout(() => find(text), REST_MS);
  }
  async function find(text) {
    asking = new AbortController();
    const { signal } = asking;
    const words = text.toLocaleLowerCase();
    const pages = [...PLACES, ...BEGIN, ...MORE].filter(([, name]) => name.toLocaleLowerCase().includes(words));
    try {
      const { data } = await ask('GET', `/api/v1/search?${new URLSearchParams({ q: text, limit: SHOWN })}`, { signal, quiet: true });
      const found = distinct(data.results);
      const number = found.length;
      said.textContent = number === 0
        ? t('У записах такого немає. Можна записати.', 'No record contains this. You can capture it.')
        : (data.more ? t('Найближче: ', 'Closest: ') : t('Знайдено: ', 'Found: ')) + counted(number, ['запис', 'записи', 'записів'], ['record', 'records']);
      results.replaceChildren(...[pages.length > 0 && group(t('Сторінки', 'Pages'), links(pages)), ...grouped(found)].filter(Boolean));
    } catch (problem) {
      if (problem.name === 'AbortError') return;
      results.replaceChildren();
      trouble(problem);
      if (problem.status === 429) timer = setTimeout(() => find(text), problem.wait * 1000);
    }
  }
  function trouble(problem) {
    if (!(problem instanceof Problem)) console.error(problem);
    said.replaceChildren(problem.message, problem.status === 401 ? el('a', { href: '/sign-in' }, t('. Увійти', '. Sign in')) : '');
  }

  // ------------------------------------------------ capturing

  async function capture() {
    const content = field.value.trim();
    if (content === '' || save.disabled) return field.focus();
    clearTimeout(timer);
    asking?.abort();
    save.disabled = true;
    try {
      const { data } = await ask('POST', '/api/v1/ci/capture', { json: { type: 'text', content }, quiet: true });
      field.value = '';
      typed();
      const into = [...new Map(data.records.map((record) => [record.module, record])).values()];
      said.replaceChildren(t('Записано: ', 'Saved in: '), ...into.flatMap((record, index) => [index ? ', ' : '', el('a', { href: placeOf(record) }, MODULES[record.module][1])]));
      after.replaceChildren(el('button', { type: 'button', onclick: () => undo(data.event_id, content) }, t('Скасувати', 'Undo')));
      after.hidden = false;
    } catch (problem) { trouble(problem); }
    save.disabled = false;
    field.focus();
  }
  async function undo(id, content) {
    try {
      await ask('POST', `/api/v1/ci/captures/${id}/undo`, { quiet: true });
      field.value = content;
      typed();
      said.textContent = t('Скасовано.', 'Undone.');
    } catch (problem) {
      after.hidden = true;
      if (problem.status === 409) said.textContent = t('Хвилина минула: видаліть зайве там, куди воно записане.', 'The minute is over: open the records to delete them.');
      else trouble(problem);
    }
    field.focus();
  }

  // ------------------------------------------------ the dialog

  const save = el('button', { class: 'main', type: 'submit' }, t('Записати', 'Capture'));
  const form = el('form', { class: 'box-form' },
    el('label', { class: 'unseen', for: 'box-field' }, t('Знайти або записати', 'Find or capture')), field, save);
  form.addEventListener('submit', (event) => { event.preventDefault(); capture(); });
  const box = dialog('Ci', [form,
    el('p', { class: 'hint small', id: 'box-hint' }, t('Стрілки ведуть до знайденого, Ctrl+Enter записує.', 'Use the arrow keys to go through results, Ctrl+Enter to capture.')), said, after, results, start]);
  box.classList.add('box');

  field.addEventListener('input', typed);
  box.addEventListener('keydown', (event) => {
    const ways = [field, ...[...results.querySelectorAll('a'), ...start.querySelectorAll('a')].filter((link) => link.checkVisibility())];
    const at = ways.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1 }[event.key];
    if (at >= 0 && to !== undefined) {
      event.preventDefault();
      ways[Math.min(Math.max(to, 0), ways.length - 1)].focus();
    } else if (event.key === 'Enter' && at === 0) {
      // What is typed may be words to look for: only who says so captures them.
      event.preventDefault();
      if (event.ctrlKey || event.metaKey) capture();
      else ways[1]?.focus();
    }
  });
  // A link may lead to another place of this page.
  box.addEventListener('click', (event) => { if (event.target.closest('a') && !event.ctrlKey && !event.metaKey) box.close(); });
  box.addEventListener('close', () => { clearTimeout(timer); asking?.abort(); });

  field.focus();
  field.select();
  typed();
  health(state);
}

async function health(place) {
  try {
    const { data } = await ask('GET', '/health', { quiet: true });
    place.replaceChildren(el('span', { class: data.status === 'ok' ? 'dot on' : 'dot' }), t(`Сервер працює · API ${data.version}`, `The server is well · API ${data.version}`));
  } catch (problem) { place.replaceChildren(el('span', { class: 'dot' }), problem.message); }
}
