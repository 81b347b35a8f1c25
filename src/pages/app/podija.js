// Events: a timeline around today, what is to come, what is overdue, what is done, and the list of all.

import { ask, complain, counted, el, empty, loading, say, show, t, time, toast, today, trouble, wallNow } from './app.js';
import { actions, addressed, begun, choice, edit, follow, kind, labelOf, placeOf, records, redrawn, search, tags } from './records.js';

const events = kind('podija', 'events');
const entries = kind('calendar', 'entries');

const TYPES = [
  ['personal', t('Особисте', 'Personal')], ['work', t('Робота', 'Work')], ['family', t('Родина', 'Family')],
  ['celebration', t('Свято', 'Celebration')], ['meeting', t('Зустріч', 'Meeting')], ['milestone', t('Віха', 'Milestone')],
  ['scenario', t('Сценарій', 'Scenario')], ['other', t('Інше', 'Other')],
];
const FIELDS = [
  { name: 'title', label: t('Назва', 'Title'), required: true },
  { name: 'event_date', label: t('Коли', 'When'), kind: 'moment', hint: t('Без години — поставте 00:00', 'No time of day? Enter 00:00') },
  { name: 'event_type', label: t('Вид', 'Kind'), options: TYPES, hint: t('Виберіть або впишіть своє', 'Choose one, or write your own') },
  { name: 'description', label: t('Опис', 'Description'), kind: 'area' },
  { name: 'participants', label: t('Хто', 'Who'), kind: 'list', hint: t('Імена через кому', 'Names, separated by commas') },
  { name: 'location', label: t('Де', 'Where') },
  { name: 'tags', label: t('Теги', 'Tags'), kind: 'list', hint: t('Через кому', 'Separated by commas') },
];
const VIEWS = [
  ['', t('Стрічка', 'Timeline')], ['upcoming', t('Попереду', 'Upcoming')], ['overdue', t('Прострочене', 'Overdue')],
  ['completed', t('Зроблене', 'Done')], ['all', t('Усі', 'All')],
];

/** Events that are drawn at once: so few that nothing stutters. */
const STEP = 50;
/** Past events that a timeline begins with, when there are some to come. */
const PAST_AT_FIRST = 3;
/** The most that the server puts on a timeline. */
const TIMELINE_MAX = 1000;

const asked = new URLSearchParams(location.search);
const filters = Object.fromEntries(['view', 'q', 'event_type', 'tag', 'person'].map((name) => [name, asked.get(name) ?? '']));

// ---------------------------------------------------------------- one event

/** How far away a time is, in words. */
function distance(moment) {
  const days = Math.round((Date.parse(moment.slice(0, 10)) - Date.parse(today())) / 86_400_000);
  const number = counted(Math.abs(days), ['день', 'дні', 'днів'], ['day', 'days']);
  const isTimed = moment.slice(11, 16) !== '00:00';
  const minutes = Math.round((Date.parse(`${moment.slice(0, 19)}Z`) - Date.parse(`${wallNow()}Z`)) / 60_000);
  if (days === 0 && isTimed && minutes > 0) {
    const left = minutes < 60
      ? counted(minutes, ['хвилину', 'хвилини', 'хвилин'], ['minute', 'minutes'])
      : counted(Math.round(minutes / 60), ['годину', 'години', 'годин'], ['hour', 'hours']);
    return t(`сьогодні, за ${left}`, `today, in ${left}`);
  }
  if (days === 0) return t('сьогодні', 'today');
  if (days === 1) return t('завтра', 'tomorrow');
  if (days === -1) return t('вчора', 'yesterday');
  return days > 0 ? t(`за ${number}`, `in ${number}`) : t(`${number} тому`, `${number} ago`);
}

const far = (moment) => el('span', { class: 'tag far', data: { at: moment } }, distance(moment));

const addButton = () => el('button', { class: 'main', type: 'button', onclick: add }, t('Додати подію', 'Add an event'));
const add = () => edit(t('Нова подія', 'New event'), FIELDS, {}, async (body) => {
  const event = await events.create(body);
  changed();
  toast(t(`Записано: ${event.title}`, `Saved: ${event.title}`));
});

const change = (event) => events.edit(event, t('Змінити подію', 'Edit event'), FIELDS, changed);
const remove = (event) => events.remove(event, event.title, changed);

/** Says that it is done, or that it is not; which can be undone. */
async function finish(event, isDone) {
  const set = async (done) => {
    await events.change(event.id, { is_completed: done });
    changed();
  };
  try {
    await set(isDone);
    toast(isDone ? t(`Зроблено: ${event.title}`, `Done: ${event.title}`) : t(`Ще не зроблено: ${event.title}`, `Not done yet: ${event.title}`), {
      action: t('Повернути', 'Undo'),
      act: () => set(!isDone).catch(complain),
    });
  } catch (problem) {
    complain(problem);
    changed();
  }
}

/** Makes an entry of the calendar of an event, unless there is one already. One without a date is asked for it. */
async function push(event) {
  const promote = async (body) => {
    const { data } = await ask('POST', `${events.path}/${event.id}/promote`, { json: body });
    toast(t('Записано до календаря', 'Added to the calendar'), {
      action: t('Скасувати', 'Undo'),
      act: () => ask('DELETE', `${entries.path}/${data.id}`).catch(complain),
    });
  };
  try {
    const { data: { links } } = await ask('GET', `${events.path}/${event.id}/links`);
    const there = links.find((link) => link.kind === 'promoted' && link.direction === 'out' && link.record.module === 'calendar');
    if (there) {
      toast(t('Це вже є в календарі', 'This is already in the calendar'), { action: t('Відкрити', 'Open'), act: () => location.assign(placeOf(there.record)) });
    } else if (event.event_date) {
      await promote({});
    } else {
      edit(t('Коли це записати до календаря?', 'Date and time in the calendar'), [{ name: 'scheduled_at', label: t('Коли', 'When'), kind: 'moment', required: true }], {}, promote);
    }
  } catch (problem) { complain(problem); }
}

const doneBox = (event) => el('label', { class: 'done' },
  el('input', { type: 'checkbox', checked: event.is_completed, data: { act: 'done' }, onchange: ({ currentTarget }) => finish(event, currentTarget.checked) }),
  el('span', {}, t('Зроблено', 'Done'), el('span', { class: 'unseen' }, `: ${event.title}`)));

const about = (event) => el('p', { class: 'quiet small' }, event.event_date ? time(event.event_date) : t('Без дати', 'No date'),
  [event.event_type && labelOf(TYPES, event.event_type), event.location, event.participants?.join(', ')].filter(Boolean).map((part) => ` · ${part}`));

const pusher = (event) => el('button', { type: 'button', data: { act: 'push' }, 'aria-label': t(`До календаря: ${event.title}`, `Add to the calendar: ${event.title}`), onclick: () => push(event) }, t('До календаря', 'Add to the calendar'));

function item(event, heading) {
  return el('article', { class: event.is_completed ? 'card event over' : 'card event' },
    el('div', { class: 'row between' },
      el(heading, {}, el('a', { href: `#${event.id}`, data: { act: 'open' } }, event.title)),
      event.event_date && far(event.event_date)),
    about(event),
    event.description && el('p', { class: 'clip' }, event.description.slice(0, 400)),
    tags(event.tags, (tag) => set({ tag })),
    el('div', { class: 'row between' }, doneBox(event),
      actions(event.title, { more: pusher(event), change: () => change(event), remove: () => remove(event) })));
}

/** All of one event, as its own address shows it. */
const whole = (event, close) => [
  about(event), event.event_date && el('p', {}, far(event.event_date)),
  event.description && el('p', { class: 'told' }, event.description), tags(event.tags), doneBox(event),
  actions(event.title, {
    more: pusher(event),
    change: () => { close(); change(event); },
    remove: () => { close(); remove(event); },
  }),
];

// ---------------------------------------------------------------- lists

/** Whether an event is one of those that are looked for; what the server sifts in lists, it does not in a timeline. */
function isWanted(event) {
  const text = [event.title, event.description, event.location, event.participants, event.tags].flat().join(' ').toLocaleLowerCase();
  return (!filters.event_type || event.event_type === filters.event_type)
    && (!filters.tag || event.tags.includes(filters.tag))
    && (!filters.person || event.participants?.includes(filters.person))
    && filters.q.toLocaleLowerCase().split(/\s+/).every((word) => text.includes(word));
}

const isSifted = () => ['q', 'event_type', 'tag', 'person'].some((name) => filters[name]);

const nothing = (text) => (isSifted()
  ? empty(t('Нічого такого немає.', 'Nothing found.'), el('button', { type: 'button', onclick: () => location.assign('/podija') }, t('Показати все', 'Show everything')))
  : empty(text, addButton()));

const line = (event, heading) => el('li', { data: { id: event.id } }, item(event, heading));

/** A place that is read as a whole: `draw(data)` gives its nodes. */
function whatIs(path, draw) {
  const node = el('section', { class: 'form', 'aria-label': labelOf(VIEWS, filters.view) }, loading());
  let data;
  const paint = () => redrawn(node, () => node.replaceChildren(...draw(data).flat(Infinity).filter(Boolean)));
  async function reload() {
    try {
      ({ data } = await ask('GET', path));
      if (node.isConnected) paint();
    } catch (problem) {
      if (data === undefined) node.replaceChildren(trouble(problem, reload));
      else complain(problem);
    }
  }
  reload();
  return { node, reload, sift: () => data && paint() };
}

/** A button behind a list that is drawn piece by piece: `more()` draws the next one, and gives how many are left. It goes on by itself when one comes near. */
function further(left, more) {
  const on = () => sayLeft(more());
  const button = el('button', { class: 'more', type: 'button', onclick: on });
  const watch = new IntersectionObserver((seen) => { if (seen.some(({ isIntersecting }) => isIntersecting)) on(); }, { rootMargin: '600px' });
  const sayLeft = (number) => {
    button.hidden = number <= 0;
    button.textContent = t(`Далі: ще ${say.number(number)}`, `Later: ${say.number(number)} more`);
    // What is still near has to be seen anew.
    watch.unobserve(button);
    if (number > 0) watch.observe(button);
  };
  sayLeft(left);
  return button;
}

/** What is open, by its nearness. */
function open(path, none) {
  let until = STEP;
  return whatIs(path, (all) => {
    const found = all.filter(isWanted);
    const lines = (from, to) => found.slice(from, to).map((event) => line(event, 'h2'));
    const items = el('ul', { class: 'lines' }, lines(0, until));
    return found.length === 0 ? [nothing(none)] : [
      el('p', { class: 'quiet small', role: 'status' }, counted(found.length, ['подія', 'події', 'подій'], ['event', 'events'])),
      items,
      further(found.length - until, () => {
        items.append(...lines(until, until += STEP));
        return found.length - until;
      }),
    ];
  });
}

/** Months with what was and what is to come, and today between; it begins near today, and goes on both ways. */
function timeline() {
  let before;
  let after = STEP;
  return whatIs('/api/v1/podija/timeline', ({ today: now, months }) => {
    const all = months.flatMap(({ events: of }) => of);
    const found = all.filter(isWanted);
    if (found.length === 0) return [nothing(t('Тут буде стрічка вашого життя: що було і що попереду. Почніть з найближчої події.', 'Your timeline will be here: what happened, and what is coming. Start with the next event.'))];
    const past = found.filter(({ position }) => position === 'past').length;
    before ??= past < found.length ? PAST_AT_FIRST : STEP;

    const track = el('div', { class: 'form' });
    const sections = new Map();
    /** Puts something at an end of the line, below the month of its day. */
    const put = (end, day, node) => {
      const month = day.slice(0, 7);
      if (!sections.has(month)) {
        sections.set(month, el('ul', { class: 'lines line' }));
        track[end](el('section', { class: 'form' }, el('h2', {}, time(month, say.month)), sections.get(month)));
      }
      sections.get(month)[end](node);
    };
    const putEvent = (end, event) => put(end, event.event_date, line(event, 'h3'));
    const first = () => Math.max(0, past - before);

    found.slice(first(), past).forEach((event) => putEvent('append', event));
    const marker = el('li', { class: 'now' }, t('Сьогодні, ', 'Today, '), time(now, say.weekday));
    put('append', now, marker);
    found.slice(past, past + after).forEach((event) => putEvent('append', event));

    const earlier = el('button', { class: 'more', type: 'button', onclick: () => {
      // What is read stays where it is on the screen.
      const was = marker.getBoundingClientRect().top;
      const known = first();
      before += STEP;
      found.slice(first(), known).reverse().forEach((event) => putEvent('prepend', event));
      sayEarlier();
      scrollBy({ top: marker.getBoundingClientRect().top - was, behavior: 'instant' });
    } });
    const sayEarlier = () => {
      earlier.hidden = first() === 0;
      earlier.textContent = t(`Раніше: ще ${say.number(first())}`, `Earlier: ${say.number(first())} more`);
    };
    sayEarlier();
    return [
      earlier,
      all.length >= TIMELINE_MAX && el('p', { class: 'quiet small' }, t(`На стрічці — останні ${say.number(TIMELINE_MAX)}; решта — серед усіх подій.`, `The timeline shows the latest ${say.number(TIMELINE_MAX)}; the rest are among all events.`)),
      track,
      further(found.length - past - after, () => {
        found.slice(past + after, past + after + STEP).forEach((event) => putEvent('append', event));
        after += STEP;
        return found.length - past - after;
      }),
    ];
  });
}

/** A list that the server sifts. */
const listed = (query, none) => records(events, {
  label: labelOf(VIEWS, filters.view), item: (event) => item(event, 'h2'), none: () => nothing(none),
  query: () => ({ ...query, q: filters.q, event_type: filters.event_type, tag: filters.tag, person: filters.person }),
});

const MAKE = {
  '': timeline,
  upcoming: () => open('/api/v1/podija/upcoming', t('Попереду нічого не записано.', 'No upcoming events.')),
  overdue: () => open('/api/v1/podija/overdue', t('Нічого не прострочено.', 'Nothing is overdue.')),
  completed: () => listed({ is_completed: true }, t('Поки нічого не зроблено. Позначка «Зроблено» є на кожній події.', 'Nothing is done yet. Each event has a “Done” box.')),
  all: () => listed({}, t('Подій ще немає. Запишіть першу: назви досить.', 'There are no events yet. Add the first one: a title is enough.')),
};

// ---------------------------------------------------------------- the page

const place = el('div', {});
const held = el('div', { class: 'row' });
let shown;

function turn() {
  shown = (MAKE[filters.view] ?? timeline)();
  place.replaceChildren(shown.node);
}

function set(changes) {
  Object.assign(filters, changes);
  const kept = Object.entries(filters).filter(([, value]) => value);
  history.replaceState(null, '', kept.length ? `?${new URLSearchParams(kept)}` : location.pathname);
  sayHeld();
  if ('view' in changes) turn();
  else (shown.sift ?? shown.reload)();
}

function sayHeld() {
  const labels = { tag: '#', person: t('Хто: ', 'Who: ') };
  held.replaceChildren(...Object.keys(labels).filter((name) => filters[name]).map((name) =>
    el('button', { type: 'button', class: 'tag', 'aria-label': t(`Прибрати фільтр ${filters[name]}`, `Remove the filter ${filters[name]}`), onclick: () => set({ [name]: '' }) }, `${labels[name]}${filters[name]} ✕`)));
}

const types = el('select', { 'aria-label': t('Вид', 'Kind'), onchange: () => set({ event_type: types.value }) },
  [['', t('Усі види', 'All kinds')], ...TYPES].map(([value, label]) => el('option', { value, selected: value === filters.event_type }, label)));

show(
  el('div', { class: 'row between' }, choice(t('Що показати', 'What to show'), VIEWS, filters.view, (name) => set({ view: name })), addButton()),
  el('div', { class: 'row' }, el('div', { class: 'grow' }, search(t('Шукати в подіях', 'Search in events'), (q) => set({ q }), filters.q)), el('div', { class: 'grow' }, types)),
  held, place,
);
sayHeld();
turn();
const changed = follow(['podija'], () => shown.reload());
addressed(events, { title: ({ title }) => title, show: whole });
begun(add);

// Time goes on while a page is open.
setInterval(() => document.querySelectorAll('[data-at]').forEach((node) => {
  const words = distance(node.dataset.at);
  if (node.textContent !== words) node.textContent = words;
}), 60_000);
