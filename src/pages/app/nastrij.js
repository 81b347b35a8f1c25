// Moods: one tap keeps how one is; below is what there was, and what it looks like over time. Numbers and words, no advice.

import { ask, complain, counted, el, empty, fill, format, loading, say, show, svg, t, time } from './app.js';
import { MOODS, actions, addressed, begun, choice, edit, follow, form, kind, labelOf, records, search, tags } from './records.js';

const emotions = kind('nastrij', 'emotions');

const faceOf = (mood) => MOODS.find(([key]) => key === mood)?.[2] ?? '•';
const labelled = (mood) => [el('span', { 'aria-hidden': 'true' }, `${faceOf(mood)} `), labelOf(MOODS, mood)];

/** The moods that one tap keeps. */
const ONE_TAP = MOODS.filter(([mood]) => mood !== 'tense');
/** How strong such a one is: the middle of the scale. */
const INTENSITY = 5;

const DETAILS = [
  { name: 'intensity', label: t('Наскільки сильно, від 0 до 10', 'How strongly, from 0 to 10'), kind: 'range', min: 0, max: 10 },
  { name: 'context', label: t('Що відбувалося', 'What was going on') },
  { name: 'triggers', label: t('Що до цього привело', 'What led to it'), kind: 'list', hint: t('Через кому', 'Separated by commas') },
  { name: 'notes', label: t('Нотатки', 'Notes'), kind: 'area', rows: 3 },
  { name: 'occurred_at', label: t('Коли, якщо не зараз', 'When, if not now'), kind: 'moment' },
];
const FIELDS = [
  { name: 'emotion_state', label: t('Настрій', 'Mood'), required: true, options: MOODS.map((mood) => mood.slice(0, 2)), hint: t('Виберіть або скажіть своїм словом', 'Choose one, or use your own word') },
  ...DETAILS,
  { name: 'tags', label: t('Теги', 'Tags'), kind: 'list', hint: t('Через кому', 'Separated by commas') },
];

const when = (entry) => (entry.occurred_at ? time(entry.occurred_at) : el('time', { datetime: entry.time }, say.written(entry.time)));
const nameOf = (entry) => `${labelOf(MOODS, entry.emotion_state)}, ${entry.occurred_at ? say.moment(entry.occurred_at) : say.written(entry.time)}`;

// ---------------------------------------------------------------- one tap

const after = el('div', {});
const said = el('p', { role: 'status', class: 'unseen' });

const buttons = el('div', { class: 'moods', role: 'group', 'aria-label': t('Як вам зараз?', 'How are you now?') }, ONE_TAP.map(([key, label, face]) =>
  el('button', { type: 'button', class: 'mood', onclick: ({ currentTarget }) => tap(key, currentTarget) }, el('span', { class: 'face', 'aria-hidden': 'true' }, face), label)));

async function tap(mood, button) {
  button.disabled = true;
  try {
    const entry = await emotions.create({ emotion_state: mood, intensity: INTENSITY });
    said.textContent = t(`Записано: ${labelOf(MOODS, mood)}. Нижче можна додати подробиці.`, `Saved: ${labelOf(MOODS, mood)}. You can add details below.`);
    offer(entry, button);
    changed();
  } catch (problem) {
    complain(problem);
  } finally {
    button.disabled = false;
    button.focus();
  }
}

/** Offers to say more about what a tap has kept; whoever does not want to just goes on. */
function offer(entry, button) {
  const inside = form(DETAILS, entry);
  const problem = el('p', { class: 'problem', role: 'alert' });
  const gone = () => {
    after.replaceChildren();
    button.focus();
  };
  const keep = async (event) => {
    event.preventDefault();
    problem.textContent = '';
    try {
      await emotions.change(entry.id, inside.read());
      gone();
      said.textContent = t('Подробиці записано', 'The details are saved');
      changed();
    } catch (wrong) {
      if (inside.problem(wrong)) problem.textContent = wrong.message;
    }
  };
  after.replaceChildren(el('form', { class: 'card offer', onsubmit: keep, novalidate: true },
    el('div', { class: 'row between' }, el('h2', {}, t('Записано: ', 'Saved: '), labelled(entry.emotion_state)),
      el('button', { type: 'button', class: 'bad', onclick: () => { gone(); emotions.remove(entry, labelOf(MOODS, entry.emotion_state), changed); } }, t('Скасувати запис', 'Undo'))),
    el('p', { class: 'quiet' }, t('Більше нічого не потрібно. А можна й додати:', 'That is enough. If you like, add:')),
    inside.node[0],
    el('details', {}, el('summary', {}, t('Що, чому, коли', 'What, why, when')), el('div', { class: 'form' }, inside.node.slice(1))),
    problem,
    el('div', { class: 'row' }, el('button', { type: 'submit', class: 'main' }, t('Зберегти подробиці', 'Save the details')), el('button', { type: 'button', onclick: gone }, t('Досить і так', 'No details')))));
}

const addButton = () => el('button', { type: 'button', onclick: write }, t('Записати своїм словом', 'Use your own word'));
const write = () => edit(t('Новий запис', 'New entry'), FIELDS, { intensity: INTENSITY }, async (body) => {
  await emotions.create(body);
  changed();
});

// ---------------------------------------------------------------- charts

const SPANS = [7, 30, 90, 365];
let days = 30;
let series = 'balance';
let figures;

const TRENDS = {
  improving: t('Останні сім днів були приємніші, ніж сім перед ними.', 'The last seven days were more pleasant than the seven before.'),
  declining: t('Останні сім днів були важчі, ніж сім перед ними.', 'The last seven days were harder than the seven before.'),
  stable: t('Між останніми сімома днями і сімома перед ними помітної різниці немає, або записів замало.', 'No clear difference between the last seven days and the seven before, or too few entries.'),
};
const SERIES = {
  balance: { label: t('Приємне й неприємне', 'Pleasant and unpleasant'), low: -10, high: 10, ticks: [[10, t('приємно', 'pleasant')], [0, '0'], [-10, t('важко', 'hard')]] },
  average_intensity: { label: t('Сила', 'Intensity'), low: 0, high: 10, ticks: [[10, '10'], [5, '5'], [0, '0']] },
};
/** A day in few letters; of many days, without the day, but with the year. */
const shortly = (day) => format({ month: 'short', ...(days > 100 ? { year: 'numeric' } : { day: 'numeric' }) })
  .format(new Date(`${day}T00:00:00Z`));
const HEIGHT = 220;

/** A line through the days that have entries; where a day has none, it is interrupted. */
function drawing(daily, width) {
  const { low, high, ticks, label } = SERIES[series];
  const em = parseFloat(getComputedStyle(document.documentElement).fontSize) * 0.8;
  const [left, right, top, bottom] = [em * 5, em, em, em * 2];
  const x = (index) => left + (daily.length > 1 ? index / (daily.length - 1) : 0.5) * (width - left - right);
  const y = (value) => top + ((high - value) / (high - low)) * (HEIGHT - top - bottom);
  const points = daily.map((day, index) => ({ day, value: day[series], at: index })).filter(({ value }) => value !== null);
  const path = points.map(({ value, at }, index) => `${points[index - 1]?.at === at - 1 ? 'L' : 'M'}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join('');
  const marks = [...new Set([0, Math.floor((daily.length - 1) / 2), daily.length - 1])];
  const span = t(`${label}: ${shortly(daily[0].date)} – ${shortly(daily.at(-1).date)}, днів із записами: ${points.length}`, `${label}: ${shortly(daily[0].date)} – ${shortly(daily.at(-1).date)}, days with entries: ${points.length}`);
  return svg('svg', { class: 'chart', role: 'img', 'aria-label': span, width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}` },
    ticks.map(([value, text]) => [
      svg('line', { class: value === 0 ? 'zero' : 'grid', x1: left, x2: width - right, y1: y(value), y2: y(value) }),
      svg('text', { x: left - em / 2, y: y(value) + em / 3, 'text-anchor': 'end' }, text),
    ]),
    marks.map((at, index) => svg('text', { x: x(at), y: HEIGHT - em / 2, 'text-anchor': marks.length === 1 ? 'middle' : ['start', 'middle', 'end'][marks.length === 2 ? index * 2 : index] }, shortly(daily[at].date))),
    svg('path', { class: 'line-of', d: path }),
    points.map(({ day, value, at }) => svg('circle', { cx: x(at), cy: y(value), r: daily.length > 100 ? 2 : 4 },
      svg('title', {}, `${say.day(day.date)}: ${say.number(value, 1)}`))));
}

const numberOr = (value) => (value === null ? '—' : say.number(value, 1));

function line(daily) {
  const place = el('div', { class: 'plot' });
  const draw = () => place.replaceChildren(drawing(daily, Math.max(240, Math.floor(place.clientWidth))));
  new ResizeObserver(draw).observe(place);
  const written = daily.filter(({ entries }) => entries > 0).reverse();
  return el('section', { class: 'card' }, el('h3', {}, t('День за днем', 'Day by day')),
    choice(t('Що показує лінія', 'About this line'), Object.entries(SERIES).map(([key, { label }]) => [key, label]), series, (key) => { series = key; draw(); }),
    place,
    el('details', {}, el('summary', {}, t('Те саме таблицею', 'As a table')),
      el('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': t('Таблиця за днями', 'Table of days') }, el('table', {},
        el('thead', {}, el('tr', {}, [t('День', 'Day'), t('Записів', 'Entries'), t('Сила', 'Intensity'), t('Баланс', 'Balance')].map((text) => el('th', { scope: 'col' }, text)))),
        el('tbody', {}, written.map((day) => el('tr', {}, el('th', { scope: 'row' }, time(day.date, say.day)),
          el('td', {}, say.number(day.entries)), el('td', {}, numberOr(day.average_intensity)), el('td', {}, numberOr(day.balance)))))))));
}

/** Bars, in a table that says the same in numbers. */
function bars(title, head, rows) {
  const most = Math.max(...rows.map(({ number }) => number));
  return el('section', { class: 'card' }, el('h3', {}, title), el('table', { class: 'bars' },
    el('thead', { class: 'unseen' }, el('tr', {}, el('th', { scope: 'col' }, head), el('td', {}), el('th', { scope: 'col' }, t('Записів', 'Entries')))),
    el('tbody', {}, rows.map(({ name, number }) => el('tr', {}, el('th', { scope: 'row' }, name),
      el('td', {}, svg('svg', { 'aria-hidden': 'true', width: '100%', height: 16 }, svg('rect', { width: `${(number / most) * 100}%`, height: 16, rx: 4 }))),
      el('td', { class: 'number' }, say.number(number)))))));
}

function charts(data) {
  if (data.entries === 0) return empty(t('За ці дні записів немає. Щойно вони будуть, тут з’явиться лінія.', 'There are no entries for these days. Once there are, a line appears here.'));
  const figure = (value, label) => el('div', {}, el('strong', {}, value), label);
  return [
    el('div', { class: 'stats' },
      figure(say.number(data.entries), counted(data.entries, ['запис', 'записи', 'записів'], ['entry', 'entries']).replace(/^\S+ /, '')),
      figure(data.average_intensity === null ? '—' : t(`${numberOr(data.average_intensity)} з 10`, `${numberOr(data.average_intensity)} of 10`), t('середня сила', 'average intensity')),
      data.most_common_mood && figure(labelled(data.most_common_mood), t('найчастіше', 'most common'))),
    el('p', {}, TRENDS[data.trend] ?? data.trend),
    line(data.daily),
    el('div', { class: 'pair' },
      bars(t('Які настрої', 'Which moods'), t('Настрій', 'Mood'), Object.entries(data.mood_distribution).map(([mood, number]) =>
        ({ name: labelled(mood), number }))),
      data.top_triggers.length > 0 && bars(t('Що до них приводило', 'What led to them'), t('Що привело', 'What led to it'), data.top_triggers.map(({ trigger, count: number }) =>
        ({ name: el('button', { type: 'button', class: 'plain', onclick: () => find(trigger) }, trigger), number })))),
  ];
}

const plots = el('div', { class: 'form' }, loading());

/** Reads the numbers anew; what is the same as before is not drawn again. */
async function measure(isOther) {
  const read = async () => (await ask('GET', `/api/v1/nastrij/analytics?days=${days}`)).data;
  if (isOther) {
    await fill(plots, async () => charts(figures = await read()));
    return;
  }
  try {
    const data = await read();
    if (JSON.stringify(data) === JSON.stringify(figures)) return;
    figures = data;
    plots.replaceChildren(...[charts(data)].flat());
  } catch (problem) { complain(problem); }
}

// ---------------------------------------------------------------- history

const filters = { q: '', emotion_state: '', tag: '' };

const parts = (entry) => [
  entry.context && el('p', {}, entry.context),
  entry.triggers?.length > 0 && el('p', { class: 'small' }, t('Привело: ', 'Led to it: '), entry.triggers.join(', ')),
  entry.notes && el('p', { class: 'told' }, entry.notes),
];
const strength = (entry) => entry.intensity !== null && el('span', { class: 'tag number' }, t(`${say.number(entry.intensity, 1)} з 10`, `${say.number(entry.intensity, 1)} of 10`));
const change = (entry) => emotions.edit(entry, t('Змінити запис', 'Edit entry'), FIELDS, changed);
const remove = (entry) => emotions.remove(entry, nameOf(entry), changed);

const log = records(emotions, {
  label: t('Список записів', 'List of entries'), query: () => filters,
  item: (entry) => el('article', { class: 'card' },
    el('div', { class: 'row between' }, el('h3', {}, el('a', { href: `#${entry.id}`, data: { act: 'open' } }, labelled(entry.emotion_state))), strength(entry)),
    el('p', { class: 'quiet small' }, when(entry)), parts(entry), tags(entry.tags, (tag) => set({ tag })),
    actions(nameOf(entry), { change: () => change(entry), remove: () => remove(entry) })),
  none: () => (Object.values(filters).some(Boolean)
    ? empty(t('Нічого такого немає.', 'Nothing found.'), el('button', { type: 'button', onclick: () => location.assign('/nastrij') }, t('Показати все', 'Show everything')))
    : empty(t('Тут буде ваш щоденник настроїв. Натисніть угорі на той, що зараз.', 'Your mood log will be here. Press the mood above that fits now.'))),
});

const whole = (entry, close) => [
  el('p', { class: 'row' }, strength(entry), el('span', { class: 'quiet' }, when(entry))), parts(entry), tags(entry.tags),
  actions(nameOf(entry), {
    change: () => { close(); change(entry); },
    remove: () => { close(); remove(entry); },
  }),
];

const finder = search(t('Шукати в записах', 'Search in entries'), (q) => set({ q }));
const held = el('div', { class: 'row' });
const only = el('select', { 'aria-label': t('Настрій', 'Mood'), onchange: () => set({ emotion_state: only.value }) },
  [['', t('Усі настрої', 'All moods')], ...MOODS].map(([value, label]) => el('option', { value }, label)));

function set(changes) {
  Object.assign(filters, changes);
  held.replaceChildren(...(filters.tag ? [
    el('button', { type: 'button', class: 'tag', 'aria-label': t(`Прибрати фільтр ${filters.tag}`, `Remove the filter ${filters.tag}`), onclick: () => set({ tag: '' }) }, `#${filters.tag} ✕`),
  ] : []));
  log.reload();
}

/** Searches what a chart says: there, words are in small letters, and a filter would not find what was written in large ones. */
function find(text) {
  finder.value = text;
  set({ q: text });
  finder.scrollIntoView({ block: 'center' });
  finder.focus({ preventScroll: true });
}

// ---------------------------------------------------------------- the page

show(
  el('section', { class: 'form', 'aria-labelledby': 'now' }, el('h2', { id: 'now' }, t('Як вам зараз?', 'How are you now?')), buttons, said, after, el('div', {}, addButton())),
  el('section', { class: 'form', 'aria-labelledby': 'over' },
    el('div', { class: 'row between' }, el('h2', { id: 'over' }, t('Як було', 'How it was')),
      choice(t('За скільки днів', 'Number of days'), SPANS.map((number) => [number, counted(number, ['день', 'дні', 'днів'], ['day', 'days'])]), days, (number) => { days = number; measure(true); })),
    plots),
  el('section', { class: 'form', 'aria-labelledby': 'all' }, el('h2', { id: 'all' }, t('Записи', 'Entries')),
    el('div', { class: 'row' }, el('div', { class: 'grow' }, finder), el('div', { class: 'grow' }, only)),
    held, log.node),
);
measure(true);
const changed = follow(['nastrij'], () => { log.reload(); measure(); });
addressed(emotions, { title: (entry) => labelOf(MOODS, entry.emotion_state), show: whole });
begun(write);
