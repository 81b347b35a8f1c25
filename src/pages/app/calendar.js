// The calendar: one day, a week or a month of entries, each as often as it occurs, with podija's events beside them; what becomes
// of one occurrence; reminders; and the calendar as a file and as a feed. Times are those of the household's wall, without a zone.

import { Problem, addDays, ask, complain, counted, dialog, el, empty, fill, format, live, loading, say, show, t, toast, today, wall, wallNow } from './app.js';
import { actions, edit, kind, placeOf, tags, titleOf } from './records.js';

const entries = kind('calendar', 'entries');
const DUE = '/api/v1/calendar/reminders/due';
/** Events of podija that are asked for at once. */
const EVENTS_MAX = 100;
/** How soon what is shown is read again after others have changed something. */
const SETTLE_MS = 300;
/** How long it is not read again for others' changes: each time it is two or three requests, and of those not many are allowed. */
const CALM_MS = 3_000;

const VIEWS = [['day', t('День', 'Day')], ['week', t('Тиждень', 'Week')], ['month', t('Місяць', 'Month')]];
const TYPES = [['plan', t('План', 'Plan')], ['meeting', t('Зустріч', 'Meeting')], ['routine', t('Звичне', 'Routine')], ['birthday', t('День народження', 'Birthday')],
  ['reminder', t('Нагадування', 'Reminder')], ['all_day', t('Цілий день', 'All day')], ['time_point', t('Позначка часу', 'Point in time')]];
const STATES = [['pending', t('Заплановано', 'Planned')], ['completed', t('Зроблено', 'Done')], ['cancelled', t('Скасовано', 'Cancelled')]];
const MODULES = { kazkar: t('Історія', 'Story'), nastrij: t('Настрій', 'Mood'), malya: t('Ідея', 'Idea'), gallery: t('Галерея', 'Gallery') };

// ---------------------------------------------------------------- days

const midnight = (day) => wall(`${day}T00:00:00`);
const weekdayOf = (day) => (midnight(day).getUTCDay() + 6) % 7;
const monday = (day) => addDays(day, -weekdayOf(day));
const dayOf = (text) => text.slice(0, 10);
const clock = (text) => text.slice(11, 16);
const daysFrom = (from, count) => Array.from({ length: count }, (_, index) => addDays(from, index));

/** The same day so many months later, or the last one of that month. */
function addMonths(day, months) {
  const first = midnight(`${day.slice(0, 7)}-01`);
  first.setUTCMonth(first.getUTCMonth() + months);
  const last = new Date(Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + 1, 0));
  first.setUTCDate(Math.min(Number(day.slice(8)), last.getUTCDate()));
  return first.toISOString().slice(0, 10);
}

/** Whether this is a day that a calendar has, and a page shows. */
function isDay(text) {
  if (!/^\d{4}-\d\d-\d\d$/.test(text ?? '') || text < '0002' || text > '9998') return false;
  const at = midnight(text);
  return !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text);
}

const DAYS = format({ day: 'numeric', month: 'long', year: 'numeric' });
const named = (weekday) => daysFrom('2024-01-01', 7).map((day) => format({ weekday }).format(midnight(day)));
const SHORT = named('short');
const LONG = named('long');
const CODES = ['MO', 'TU', 'WE', 'TH', 'FR', 'SA', 'SU'];

/** What a view shows: its first and its last day. */
function stretch({ view, date }) {
  if (view === 'day') return [date, date];
  if (view === 'week') return [monday(date), addDays(monday(date), 6)];
  const from = `${date.slice(0, 7)}-01`;
  const last = addDays(addMonths(from, 1), -1);
  return [monday(from), addDays(monday(last), 6)];
}

const TITLES = {
  day: ({ date }) => `${say.weekday(date)}${date.slice(0, 4) === today().slice(0, 4) ? '' : ` ${date.slice(0, 4)}`}`,
  week: (place) => DAYS.formatRange(...stretch(place).map(midnight)),
  month: ({ date }) => say.month(date),
};

// ---------------------------------------------------------------- what is on them

/** Whether something takes whole days: by its type, or because days were chosen and no times. It is the server's own rule. */
function isWhole(start, end, type) {
  return /^\s*all[-_]?day\s*$/i.test(type ?? '') || (clock(start) === '00:00' && (!end || ['00:00', '23:59'].includes(clock(end))));
}

/** The last day on which something still is: an end at midnight is not included. */
function lastDay(start, end) {
  if (!end || end <= start) return dayOf(start);
  return clock(end) === '00:00' ? addDays(dayOf(end), -1) : dayOf(end);
}

/** One occurrence of an entry, or an entry itself, as it is shown. */
function planned(record) {
  const { start, end, original, completed } = record.occurrence ?? { start: record.scheduled_at, end: record.end_time };
  const recurs = Boolean(record.recurrence_pattern);
  return {
    record, start, end, original, recurs, key: `calendar ${record.id} ${original ?? ''}`, title: record.title,
    whole: isWhole(start, end, record.entry_type), moved: recurs && original !== undefined && original !== start,
    done: recurs ? Boolean(completed) : ['completed', 'done'].includes(record.status), cancelled: record.status === 'cancelled',
  };
}

const happened = (record) => ({
  record, start: record.event_date, end: null, key: `podija ${record.id}`, title: record.title, whole: clock(record.event_date) === '00:00',
  done: record.is_completed, foreign: true,
});

/** What is on each day from one to another: first what takes all of it, then what goes on since before, then by time. */
function byDay(items, from, to) {
  const days = new Map();
  const order = (day) => ({ whole, start }) => (whole ? '' : dayOf(start) < day ? '0' : start);
  for (const item of items) {
    const last = lastDay(item.start, item.end);
    for (let day = dayOf(item.start) > from ? dayOf(item.start) : from; day <= last && day <= to; day = addDays(day, 1)) {
      days.set(day, [...(days.get(day) ?? []), item]);
    }
  }
  for (const [day, found] of days) {
    const at = order(day);
    found.sort((one, other) => at(one).localeCompare(at(other)) || one.title.localeCompare(other.title));
  }
  return days;
}

/** When something is, seen from one of its days. */
function timeOn(day, { start, end, whole }) {
  if (whole) return t('весь день', 'all day');
  if (dayOf(start) < day) return lastDay(start, end) > day ? t('триває', 'continued') : t(`до ${say.time(end)}`, `until ${say.time(end)}`);
  return end && end > start && dayOf(end) === day ? `${say.time(start)}–${say.time(end)}` : say.time(start);
}

/** When something is, in full. */
function timesOf({ start, end, whole }) {
  const last = lastDay(start, end);
  if (whole) return last > dayOf(start) ? DAYS.formatRange(midnight(dayOf(start)), midnight(last)) : say.day(start);
  if (!end || end <= start) return `${say.day(start)}, ${say.time(start)}`;
  return `${say.day(start)}, ${say.time(start)} – ${dayOf(end) > dayOf(start) ? `${say.day(end)}, ` : ''}${say.time(end)}`;
}

/** How often: every one of them, or every so many. */
const EVERY = {
  daily: [t('щодня', 'every day'), ['день', 'дні', 'днів'], ['day', 'days']],
  weekly: [t('щотижня', 'every week'), ['тиждень', 'тижні', 'тижнів'], ['week', 'weeks']],
  monthly: [t('щомісяця', 'every month'), ['місяць', 'місяці', 'місяців'], ['month', 'months']],
  yearly: [t('щороку', 'every year'), ['рік', 'роки', 'років'], ['year', 'years']],
};

/** A rule in words. */
function ruleText(rule) {
  const weekdays = [rule.byweekday ?? []].flat().map((code) => {
    const [, nth, day] = /^(-?\d)?(\w\w)$/.exec(code) ?? [];
    const name = SHORT[CODES.indexOf(day)] ?? code;
    if (!nth) return name;
    return nth === '-1' ? t(`останній ${name}`, `the last ${name}`) : `${nth}. ${name}`;
  });
  const monthDays = [rule.bymonthday ?? []].flat().map((day) => {
    if (day === -1) return t('останнього дня', 'on the last day');
    return day < 0 ? t(`${-day}-го дня від кінця`, `on day ${-day} from the end of the month`) : t(`${day} числа`, `on day ${day}`);
  });
  const [each, uk, en] = EVERY[rule.freq];
  return [
    (rule.interval ?? 1) === 1 ? each : `${t('кожні', 'every')} ${counted(rule.interval, uk, en)}`, weekdays.join(', '), monthDays.join(', '),
    rule.until && t(`до ${say.day(rule.until)}`, `until ${say.day(rule.until)}`), rule.count && counted(rule.count, ['раз', 'рази', 'разів'], ['time', 'times']),
  ].filter(Boolean).join(', ');
}

/** How long before its start something reminds. */
function beforeText(minutes) {
  if (minutes === 0) return t('на початку', 'at its start');
  const size = Math.abs(minutes);
  const [number, uk, en] = size % 1440 === 0 ? [size / 1440, ['день', 'дні', 'днів'], ['day', 'days']]
    : size % 60 === 0 ? [size / 60, ['годину', 'години', 'годин'], ['hour', 'hours']] : [size, ['хвилину', 'хвилини', 'хвилин'], ['minute', 'minutes']];
  const span = counted(number, uk, en);
  return minutes > 0 ? t(`за ${span}`, `${span} before`) : t(`через ${span}`, `${span} after`);
}

// ---------------------------------------------------------------- the form

const labelled = (id, label, input) => el('div', { class: 'field' }, el('label', { for: id }, label), input);
const options = (pairs, chosen) => pairs.map(([value, label]) => el('option', { value, selected: value === chosen }, label));

/** From when to when: days or moments. Whoever moves the start moves the end along. */
function when({ start = '', end = '', whole = false } = {}, id) {
  const input = (name, value) => el('input', { id: `${id}${name}`, type: whole ? 'date' : 'datetime-local', value: value.slice(0, whole ? 10 : 16) });
  const [from, to] = [input('from', start), input('to', end)];
  const days = el('input', { id: `${id}days`, type: 'checkbox', checked: whole, onchange: () => {
    for (const at of [from, to]) {
      const { value } = at;
      at.type = days.checked ? 'date' : 'datetime-local';
      at.value = value && (days.checked ? value.slice(0, 10) : `${value}T09:00`);
    }
    before = from.value;
  } });
  let before = from.value;
  from.addEventListener('change', () => {
    const full = (text) => wall(`${text}${days.checked ? 'T00:00' : ''}:00`).getTime();
    if (to.value && before && from.value) {
      const moved = new Date(full(to.value) + full(from.value) - full(before));
      to.value = moved.toISOString().slice(0, days.checked ? 10 : 16);
    }
    before = from.value;
  });
  return {
    node: el('div', { class: 'form' }, el('div', { class: 'field check' }, days, el('label', { for: days.id }, t('Весь день', 'All day'))),
      el('div', { class: 'plan-pair' }, labelled(from.id, t('Початок', 'Start'), from), labelled(to.id, t('Кінець (необов’язково)', 'End (optional)'), to))),
    read: () => ({ start: from.value, end: to.value, whole: days.checked }),
    focus: from,
  };
}

/** Which of the choices of the form a rule is; one that the form cannot say is kept as it is. */
function choiceOf(rule) {
  if (!rule) return '';
  const weekdays = [rule.byweekday ?? []].flat();
  if (rule.freq === 'monthly' && rule.bymonthday === -1 && weekdays.length === 0) return 'last';
  const isPlain = rule.bymonthday === undefined && (rule.freq === 'weekly' || weekdays.length === 0);
  return isPlain ? rule.freq : 'kept';
}

/** How an entry recurs. */
function repeats(rule, id) {
  const chosen = choiceOf(rule);
  const field = (name, label, input) => labelled(`${id}${name}`, label, build(input, `${id}${name}`));
  const build = (node, of) => { node.id = of; return node; };
  const freq = el('select', { 'aria-label': t('Як часто', 'How often') }, options([['', t('Ніколи', 'Never')], ['daily', t('Щодня', 'Every day')], ['weekly', t('Щотижня', 'Every week')],
    ['monthly', t('Щомісяця', 'Every month')], ['last', t('Останнього дня місяця', 'On the last day of the month')], ['yearly', t('Щороку', 'Every year')],
    ...(chosen === 'kept' ? [['kept', ruleText(rule)]] : [])], chosen));
  const every = el('input', { type: 'number', inputmode: 'numeric', min: 1, max: 1000, value: rule?.interval ?? 1 });
  const days = CODES.map((code, at) => el('input', { type: 'checkbox', id: `${id}${code}`, checked: chosen === 'weekly' && [rule.byweekday ?? []].flat().includes(code), data: { code, at } }));
  const end = el('select', {}, options([['', t('Без кінця', 'Forever')], ['until', t('До дня', 'Until a date')], ['count', t('Кілька разів', 'A number of times')]], rule?.until ? 'until' : rule?.count ? 'count' : ''));
  const until = el('input', { type: 'date', value: rule?.until?.slice(0, 10) ?? '' });
  const count = el('input', { type: 'number', inputmode: 'numeric', min: 1, max: 10000, value: rule?.count ?? 10 });
  const parts = {
    every: field('every', '', every),
    days: el('div', { class: 'row', role: 'group', 'aria-label': t('У які дні тижня', 'Days of the week') }, days.map((box, at) =>
      el('span', { class: 'field check' }, box, el('label', { for: box.id, 'aria-label': LONG[at] }, SHORT[at])))),
    end: field('end', t('Доки', 'Until when'), end), until: field('until', t('Останній день', 'Last day'), until), count: field('count', t('Скільки разів', 'How many times'), count),
  };
  const units = { daily: t('Раз на стільки днів', 'Every … days'), weekly: t('Раз на стільки тижнів', 'Every … weeks'),
    monthly: t('Раз на стільки місяців', 'Every … months'), yearly: t('Раз на стільки років', 'Every … years') };
  const arrange = () => {
    const own = freq.value !== '' && freq.value !== 'kept';
    parts.every.hidden = parts.end.hidden = !own;
    parts.every.firstChild.textContent = units[freq.value] ?? units.monthly;
    parts.days.hidden = freq.value !== 'weekly';
    parts.until.hidden = !own || end.value !== 'until';
    parts.count.hidden = !own || end.value !== 'count';
  };
  freq.addEventListener('change', arrange);
  end.addEventListener('change', arrange);
  arrange();
  return {
    node: el('div', { class: 'form' }, build(freq, `${id}freq`), parts.days, el('div', { class: 'plan-pair' }, parts.every, parts.end, parts.until, parts.count)),
    focus: freq,
    read() {
      if (freq.value === '' || freq.value === 'kept') return freq.value ? rule : null;
      const made = { freq: freq.value === 'last' ? 'monthly' : freq.value };
      const weekdays = days.filter(({ checked }) => checked).map(({ dataset }) => dataset.code);
      if (Number(every.value) !== 1) made.interval = Number(every.value);
      if (made.freq === 'weekly' && weekdays.length > 0) made.byweekday = weekdays;
      if (freq.value === 'last') made.bymonthday = -1;
      if (end.value === 'until' && until.value) made.until = until.value === rule?.until?.slice(0, 10) ? rule.until : until.value;
      if (end.value === 'count') made.count = Number(count.value);
      return made;
    },
  };
}

/** When somebody is reminded: the usual times as buttons, and any other. What else a client keeps with them stays. */
function reminders(settings, id) {
  const wanted = new Set([settings?.minutes_before ?? []].flat());
  const offered = [...new Set([0, 10, 30, 60, 1440, 10080, ...wanted])].sort((one, other) => one - other);
  const buttons = offered.map((minutes) => el('button', { type: 'button', class: 'tag', 'aria-pressed': String(wanted.has(minutes)), onclick: ({ currentTarget }) => {
    if (!wanted.delete(minutes)) wanted.add(minutes);
    currentTarget.setAttribute('aria-pressed', String(wanted.has(minutes)));
  } }, beforeText(minutes)));
  const other = el('input', { id: `${id}other`, type: 'number', inputmode: 'numeric', min: -1440, max: 40320, step: 1 });
  return {
    node: el('div', { class: 'form' }, el('div', { class: 'tabs' }, buttons), labelled(other.id, t('Інше, хвилин до початку', 'Other (minutes before)'), other)),
    focus: buttons[0],
    read() {
      const all = [...new Set([...wanted, ...(other.value === '' ? [] : [Number(other.value)])])].sort((one, next) => next - one);
      const { minutes_before: _, ...rest } = settings ?? {};
      if (all.length === 0) return Object.keys(rest).length > 0 ? rest : null;
      return { ...rest, minutes_before: all.length === 1 ? all[0] : all };
    },
  };
}

/** The fields of an entry. Words of other programs are among the choices, so that they stay. */
function fieldsOf({ entry_type: type, status }) {
  const withOwn = (known, own) => (own && !known.some(([key]) => key === own) ? [...known, [own, own]] : known);
  return [
    { name: 'title', label: t('Назва', 'Title'), required: true },
    { name: 'scheduled_at', label: t('Коли', 'When'), kind: when },
    { name: 'recurrence_pattern', label: t('Повторювати', 'Repeat'), kind: repeats },
    { name: 'reminder_settings', label: t('Нагадати', 'Remind'), kind: reminders },
    { name: 'location', label: t('Де', 'Where') },
    { name: 'participants', label: t('Хто', 'Who'), kind: 'list', hint: t('Імена через кому', 'Names, separated by commas') },
    { name: 'description', label: t('Докладніше', 'Details'), kind: 'area', rows: 4 },
    { name: 'entry_type', label: t('Вид', 'Kind'), kind: 'choice', options: [['', t('Без виду', 'No kind')], ...withOwn(TYPES, type)] },
    { name: 'status', label: t('Стан', 'State'), kind: 'choice', value: 'pending', options: withOwn(STATES, status) },
    { name: 'tags', label: t('Теги', 'Tags'), kind: 'list', hint: t('Через кому', 'Separated by commas') },
  ];
}

/** An entry as its form has it: the last of whole days is a day of it. */
function asForm(entry) {
  const { scheduled_at: start, end_time: end } = entry;
  const whole = isWhole(start, end, entry.entry_type);
  const last = lastDay(start, end);
  return { ...entry, scheduled_at: { start, whole, end: !whole ? end ?? '' : last > dayOf(start) ? last : '' } };
}

function asBody({ scheduled_at: { start, end, whole }, ...rest }) {
  const refuse = (text) => { throw new Problem(422, t('Перевірте, що введено', 'Check what you entered'), { fields: { scheduled_at: text } }); };
  if (!start) refuse(t('Оберіть день', 'Choose a day'));
  if (end && end < start) refuse(t('Кінець раніше за початок', 'The end is before the start'));
  const isSaidWhole = isWhole('2000-01-01T09:00', null, rest.entry_type);
  return {
    ...rest, entry_type: isSaidWhole && !whole ? null : rest.entry_type, is_recurring: rest.recurrence_pattern !== null,
    scheduled_at: whole ? `${start}T00:00` : start, end_time: !end ? null : whole ? `${addDays(end, 1)}T00:00` : end,
  };
}

/** Opens the form of a new entry: today at the next full hour, on other days at nine. */
function write(day) {
  const next = wallNow(new Date(Date.now() + 3_600_000));
  const start = day === dayOf(next) ? `${next.slice(0, 13)}:00` : `${day}T09:00`;
  edit(t('Новий запис', 'New entry'), fieldsOf({}), { scheduled_at: { start } }, async (body) => {
    const made = await entries.create(asBody(body));
    go({ date: dayOf(made.scheduled_at) }, { again: true });
  });
}

async function change({ id, title }) {
  try {
    const { data, headers } = await ask('GET', `${entries.path}/${id}`);
    edit(t('Змінити запис', 'Edit entry'), fieldsOf(data), asForm(data), async (body) => {
      await entries.changeFrom(id, asBody(body), headers.get('ETag'));
      read();
    });
  } catch (problem) {
    complain(problem.status === 404 ? new Problem(404, t(`Цього вже немає: ${title}`, `This no longer exists: ${title}`)) : problem);
  }
}

// ---------------------------------------------------------------- one occurrence

const occurrence = ({ record, original }) => `${entries.path}/${record.id}/occurrences/${original}`;

/** Does something and shows what became of it; what went wrong is told. */
async function tried(act) {
  try {
    await act();
  } catch (problem) { complain(problem); }
  read();
}

const finish = (item, done) => tried(() => (item.recurs
  ? ask('POST', occurrence(item), { json: { completed: done } })
  : entries.change(item.record.id, { status: done ? 'completed' : 'pending' })));

/** Leaves one occurrence out, and offers to bring it back as it was. */
const skip = (item) => tried(async () => {
  await ask('POST', occurrence(item), { json: { skip: true } });
  toast(t(`Цього разу пропущено: ${item.title}`, `Skipped this once: ${item.title}`), {
    action: t('Повернути', 'Undo'),
    act: () => tried(() => ask('POST', occurrence(item), { json: { skip: false, completed: item.done, ...(item.moved && { moved_to: item.start }) } })),
  });
});

/** Has one occurrence come when the rule says; that it is done stays. */
const unmove = (item) => tried(async () => {
  await ask('DELETE', occurrence(item));
  if (item.done) await ask('POST', occurrence(item), { json: { completed: true } });
});

function move(item) {
  edit(t('Перенести цей раз', 'Move this once'), [{ name: 'moved_to', label: t('Нова дата й час', 'New date and time'), kind: 'moment', required: true }], { moved_to: item.start }, async (body) => {
    if (!body.moved_to) throw new Problem(422, t('Перевірте, що введено', 'Check what you entered'), { fields: { moved_to: t('Оберіть день і час', 'Choose a day and a time') } });
    await ask('POST', occurrence(item), { json: body });
    read();
  });
}

/** What something is, and what can be done with it. */
function details(item) {
  const { record } = item;
  const minutes = [record.reminder_settings?.minutes_before ?? []].flat();
  const button = (label, act) => el('button', { type: 'button', onclick: () => { box.close(); act(); } }, label);
  const row = (label, text) => text && el('p', {}, el('span', { class: 'quiet' }, `${label}: `), text);
  const isOne = item.recurs && item.original !== undefined;
  const box = dialog(item.title, [
    el('p', {}, timesOf(item), item.moved && el('span', { class: 'quiet' }, ` (${t('за правилом', 'as scheduled')}: ${say.moment(item.original)})`)),
    row(t('Стан', 'State'), STATES.find(([state]) => state === (item.cancelled ? 'cancelled' : item.done ? 'completed' : 'pending'))[1]),
    row(t('Вид', 'Kind'), TYPES.find(([type]) => type === record.entry_type)?.[1] ?? record.entry_type),
    row(t('Де', 'Where'), record.location), row(t('Хто', 'Who'), record.participants?.join(', ')),
    row(t('Повторюється', 'Repeats'), item.recurs && ruleText(record.recurrence_pattern)),
    row(t('Нагадає', 'Reminds'), minutes.map(beforeText).join(', ')),
    record.description && el('p', { class: 'written' }, record.description),
    tags(record.tags),
    el('div', { class: 'row' },
      (isOne || !item.recurs) && button(item.done ? t('Ще не зроблено', 'Not done yet') : t('Зроблено', 'Done'), () => finish(item, !item.done)),
      isOne && [button(t('Перенести цей раз', 'Move this once'), () => move(item)), button(t('Пропустити цей раз', 'Skip this once'), () => skip(item))],
      item.moved && button(t('Повернути, як за правилом', 'Back to the schedule'), () => unmove(item))),
    actions(item.title, {
      change: () => { box.close(); change(record); },
      remove: () => { box.close(); entries.remove(record, item.title, read); },
    }),
    item.recurs && el('p', { class: 'quiet small' }, t('Змінити й видалити можна всі повторення разом.', 'Changes and deletion apply to all its repetitions.')),
  ]);
}

// ---------------------------------------------------------------- the three views

const writer = (day) => el('button', { type: 'button', class: 'main', onclick: () => write(day) }, t('Новий запис', 'New entry'));

/** The name of something, which opens it: a dialog, or the page of podija. */
const opener = (item) => (item.foreign
  ? el('a', { href: `/podija#${item.record.id}`, data: { key: item.key } }, item.title)
  : el('button', { type: 'button', class: 'plain', data: { key: item.key }, onclick: () => details(item) }, item.title));

const classOf = (item) => ['plan', item.done && 'is-done', item.cancelled && 'is-off', item.foreign && 'is-event'].filter(Boolean).join(' ');

/** Says in words what is shown by a line through the name or a colour besides. */
const marks = (item, isShort) => [
  item.foreign && t('подія', 'event'), item.recurs && !isShort && t('повторюється', 'repeats'), item.moved && t('перенесено', 'moved'),
  item.cancelled && t('скасовано', 'cancelled'), item.foreign && item.done && t('відбулася', 'done'),
].filter(Boolean).join(' · ');

/** What is on one day, as a list. */
function list(day) {
  const found = shown.days.get(day) ?? [];
  if (found.length === 0) return empty(t('Цього дня нічого немає. Запишіть, що буде, і нагадайте собі.', 'Nothing on this day. Add an entry, with a reminder if you like.'), writer(day));
  return el('ul', { class: 'lines' }, found.map((item) => el('li', { class: `card ${classOf(item)}` },
    !item.foreign && el('input', {
      type: 'checkbox', checked: item.done, data: { key: `${item.key} done` }, 'aria-label': t(`Зроблено: ${item.title}`, `Done: ${item.title}`),
      onchange: ({ currentTarget }) => finish(item, currentTarget.checked),
    }),
    el('div', {}, el('p', { class: 'quiet small number' }, [timeOn(day, item), marks(item)].filter(Boolean).join(' · ')), opener(item),
      el('p', { class: 'quiet small' }, [item.record.location, item.record.participants?.join(', ')].filter(Boolean).join(' · '))))));
}

const DRAWN = {
  day: () => el('div', { class: shown.others.length > 0 ? 'sides' : '' },
    list(place.date),
    shown.others.length > 0 && el('section', { class: 'form' }, el('h3', {}, t('Ще цього дня', 'Also on this day')),
      el('ul', { class: 'lines' }, shown.others.map((other) => el('li', {}, el('a', { href: placeOf(other) }, titleOf(other)), ' ', el('span', { class: 'quiet small' }, MODULES[other.module])))))),

  week: () => el('ol', { class: 'week' }, daysFrom(shown.from, 7).map((day) => {
    const found = shown.days.get(day) ?? [];
    return el('li', { class: 'card', 'aria-current': day === today() ? 'date' : null },
      el('h3', {}, el('a', { href: addressOf({ view: 'day', date: day }), data: { key: day }, onclick: (event) => lead(event, { view: 'day', date: day }) }, format({ weekday: 'short', day: 'numeric', month: 'short' }).format(midnight(day)))),
      found.length > 0
        ? el('ul', {}, found.map((item) => el('li', { class: classOf(item) }, el('p', { class: 'quiet small number' }, [timeOn(day, item), marks(item, true)].filter(Boolean).join(' · ')), opener(item))))
        : el('p', { class: 'quiet small' }, t('вільно', 'free')));
  })),

  month: () => {
    const days = daysFrom(shown.from, Math.round((midnight(shown.to) - midnight(shown.from)) / 86_400_000) + 1);
    const weeks = days.filter((_, at) => at % 7 === 0).map((_, at) => days.slice(at * 7, at * 7 + 7));
    return el('div', { class: 'sides' },
      el('table', { class: 'month', role: 'grid', 'aria-label': TITLES.month(place), onkeydown: byKey },
        el('thead', {}, el('tr', {}, SHORT.map((name, at) => el('th', { scope: 'col', abbr: LONG[at] }, name)))),
        el('tbody', {}, weeks.map((week) => el('tr', {}, week.map(cell))))),
      el('section', { class: 'form chosen', 'aria-label': say.weekday(place.date) },
        el('h3', {}, el('a', { href: addressOf({ view: 'day' }), onclick: (event) => lead(event, { view: 'day' }) }, say.weekday(place.date))),
        list(place.date)));
  },
};

/** A day of the month: a button that chooses it. What is on it is said in its name and drawn in it, and listed when it is chosen. */
function cell(day) {
  const found = shown.days.get(day) ?? [];
  const first = found.slice(0, 3);
  const rest = found.length - first.length;
  const said = [...first.map(({ title }) => title), rest > 0 && t(`ще ${rest}`, `${rest} more`)].filter(Boolean).join(', ');
  const isChosen = day === place.date;
  return el('td', { 'aria-selected': String(isChosen) }, el('button', {
    type: 'button', class: day.slice(0, 7) === place.date.slice(0, 7) ? '' : 'outside', tabindex: isChosen ? 0 : -1, data: { key: day, day },
    'aria-current': day === today() ? 'date' : null, onclick: () => go({ date: day }, { replace: true }),
  },
  el('span', { class: 'unseen' }, `${say.weekday(day)}: ${said || t('вільно', 'free')}`),
  el('span', { class: 'number', 'aria-hidden': 'true' }, Number(day.slice(8))),
  el('span', { class: 'plan-lines', 'aria-hidden': 'true' },
    first.map((item) => el('span', { class: classOf(item) }, item.whole || dayOf(item.start) < day ? '' : `${say.time(item.start)} `, item.title)),
    rest > 0 && el('span', { class: 'quiet' }, `+${rest}`)),
  el('span', { class: 'plan-dots', 'aria-hidden': 'true' }, first.map((item) => el('span', { class: classOf(item) })))));
}

const STEPS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -7, ArrowDown: 7 };

/** Moves among the days of a month, and on to the next one at its edge. */
function byKey(event) {
  const day = event.target.dataset?.day;
  if (day === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
  const to = {
    Home: () => monday(day), End: () => addDays(monday(day), 6), PageUp: () => addMonths(day, -1), PageDown: () => addMonths(day, 1),
  }[event.key]?.() ?? (STEPS[event.key] && addDays(day, STEPS[event.key]));
  if (!isDay(to)) return;
  event.preventDefault();
  const there = stage.querySelector(`[data-day="${to}"]:not(.outside)`);
  if (!there) return go({ date: to }, { focus: to });
  stage.querySelector('[data-day][tabindex="0"]')?.setAttribute('tabindex', '-1');
  there.setAttribute('tabindex', '0');
  there.focus();
}

// ---------------------------------------------------------------- where one is

const place = { view: 'day', date: today() };
/** What was read: of which days, what is on each, and what other modules have on the one that is open. */
let shown = { from: '', to: '', days: new Map(), others: [] };
let reading;
let readAt = 0;

const stage = el('div', { class: 'form' }, loading());
const heading = el('h2', { class: 'period', 'aria-live': 'polite' });
const picker = el('input', { type: 'date', class: 'picker', 'aria-label': t('Перейти до дня', 'Go to a day'), onchange: () => { if (isDay(picker.value)) go({ date: picker.value }); } });
const views = el('div', { class: 'tabs', role: 'group', 'aria-label': t('Що показати', 'What to show') }, VIEWS.map(([view, label]) =>
  el('button', { type: 'button', value: view, onclick: () => go({ view }) }, label)));

const addressOf = (changes) => `?${new URLSearchParams({ ...place, ...changes })}`;

/** Takes the place that the address says, or today. */
function locate() {
  const query = new URLSearchParams(location.search);
  place.view = VIEWS.some(([view]) => view === query.get('view')) ? query.get('view') : 'day';
  place.date = isDay(query.get('date')) ? query.get('date') : today();
}

/** What a link to another place does: a new tab if one wants it, and no new page otherwise. */
function lead(event, changes) {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go(changes);
}

/** Goes to another day or view. What is there already is only drawn, unless it is to be read again. */
async function go(changes, { replace, again, focus } = {}) {
  if (changes.date !== undefined && !isDay(changes.date)) return;
  Object.assign(place, changes);
  history[replace ? 'replaceState' : 'pushState'](null, '', addressOf());
  await arrive(again);
  if (focus) stage.querySelector(`[data-key="${focus}"]`)?.focus();
}

function arrive(again) {
  heading.textContent = TITLES[place.view](place);
  picker.value = place.date;
  for (const button of views.children) button.setAttribute('aria-pressed', String(button.value === place.view));
  const [from, to] = stretch(place);
  return again || from !== shown.from || to !== shown.to ? read() : keepingFocus(() => stage.replaceChildren(...drawn()));
}

const drawn = () => [DRAWN[place.view](), shown.isCut && el('p', { class: 'quiet', role: 'status' }, t('Тут більше, ніж можна показати разом: оберіть коротший час.', 'There are too many entries to show at once: choose a shorter period.'))].flat().filter(Boolean);

/** Draws, and returns to what had the focus if that is still there. */
async function keepingFocus(draw) {
  const held = stage.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  await draw();
  if (held !== undefined && !stage.contains(document.activeElement)) stage.querySelector(`[data-key="${CSS.escape(held)}"]`)?.focus();
}

/** Reads what is shown, and draws it. */
function read() {
  readAt = Date.now();
  reading?.abort();
  reading = new AbortController();
  const { signal } = reading;
  const { view, date } = place;
  const [from, to] = stretch(place);
  // A module that is shut down takes nothing else with it.
  const orNone = (problem) => { if (problem.status === 503) return { data: [], headers: new Headers() }; throw problem; };
  return keepingFocus(() => fill(stage, async () => {
    const [plans, events, other] = await Promise.all([
      ask('GET', `${entries.path}?${new URLSearchParams({ expand: 1, from, to })}`, { signal }),
      ask('GET', `/api/v1/podija/events?${new URLSearchParams({ from, to, limit: EVENTS_MAX })}`, { signal }).catch(orNone),
      view === 'day' && ask('GET', `/api/v1/day/${date}`, { signal }),
    ]);
    // Events without a date are listed by when they were written down, which is no place in a calendar.
    const items = [...plans.data.map(planned), ...events.data.filter(({ event_date: at }) => at).map(happened)];
    const isCut = plans.headers.has('X-Truncated') || Number(events.headers.get('X-Total-Count')) > EVENTS_MAX;
    shown = { from, to, isCut, days: byDay(items, from, to), others: other ? other.data.items.filter(({ module }) => module in MODULES) : [] };
    return drawn();
  }));
}

const STEP = { day: (way) => addDays(place.date, way), week: (way) => addDays(place.date, 7 * way), month: (way) => addMonths(place.date, way) };
const step = (way, sign, label) => el('button', { type: 'button', class: 'icon', 'aria-label': label, onclick: () => go({ date: STEP[place.view](way) }) }, sign);

/** Opens the entry that the address names behind `#`, as other pages link to it. */
async function openNamed() {
  const [, id] = /^#(\d+)$/.exec(location.hash) ?? [];
  if (id === undefined) return false;
  try {
    const record = await entries.get(id);
    await go({ view: 'day', date: dayOf(record.scheduled_at) }, { replace: true, again: true });
    details((shown.days.get(place.date) ?? []).find((item) => !item.foreign && item.record.id === record.id) ?? planned(record));
    return true;
  } catch (problem) {
    complain(problem);
    return false;
  }
}

// ---------------------------------------------------------------- reminders

const STORED = 'inkring reminders';
/** Whether this device is to remind, and until when it has: kept on the device, which may not allow that. */
const memory = {
  read() { try { return JSON.parse(localStorage.getItem(STORED)) ?? {}; } catch { return {}; } },
  keep(changes) { try { localStorage.setItem(STORED, JSON.stringify({ ...memory.read(), ...changes })); } catch { /* then it is asked again */ } },
};
const reminds = () => Boolean(memory.read().on) && window.Notification?.permission === 'granted';
const told = new Set();

/** A notification of the browser, or of this page where the browser has none (those of phones need more than a page). */
function tell({ id, title, start, original, minutes_before: minutes, location: where }) {
  const tag = `${id} ${original} ${minutes}`;
  if (told.has(tag)) return;
  told.add(tag);
  const text = [clock(start) === '00:00' ? say.day(start) : `${dayOf(start) === today() ? t('сьогодні', 'today') : say.weekday(start)}, ${say.time(start)}`, where].filter(Boolean).join(' · ');
  const open = () => go({ view: 'day', date: dayOf(start) });
  if (reminds()) {
    try {
      const note = new Notification(title, { body: text, tag: `inkring ${tag}`, lang: document.documentElement.lang });
      note.onclick = () => { focus(); open(); note.close(); };
      return;
    } catch { /* it is told below */ }
  }
  toast(`${title}: ${text}`, { action: t('Відкрити', 'Open'), act: open, seconds: 30 });
}

/** Tells what came due while this page was away, if it still helps: what has begun an hour ago does not. */
async function catchUp() {
  if (!reminds()) return;
  try {
    const { until: from } = memory.read();
    const { data } = await ask('GET', `${DUE}?${new URLSearchParams(from ? { from } : {})}`, { quiet: true });
    memory.keep({ until: data.until });
    const soon = wallNow(new Date(Date.now() - 3_600_000));
    data.due.filter(({ start }) => start >= soon).forEach(tell);
  } catch { /* a server without reminders, or none that answers: those to come are told by the socket */ }
}

function reminderButton() {
  const hint = el('p', { class: 'quiet small' });
  const button = el('button', { type: 'button', onclick: async () => {
    if (reminds()) memory.keep({ on: false });
    else if (await Notification.requestPermission() === 'granted') memory.keep({ on: true, until: new Date().toISOString() });
    draw();
  } }, t('Нагадувати на цьому пристрої', 'Remind on this device'));
  const draw = () => {
    const able = window.isSecureContext && window.Notification !== undefined;
    button.hidden = !able || Notification.permission === 'denied';
    button.setAttribute('aria-pressed', String(reminds()));
    hint.textContent = !able ? t('Сповіщення браузера тут недоступні (вони потребують https). Поки ця сторінка відкрита, нагадування з’являються на ній.', 'This browser shows notifications only over https. While this page is open, reminders appear on it.')
      : Notification.permission === 'denied' ? t('Браузер не дозволяє сповіщень від цієї сторінки; їх можна дозволити в його налаштуваннях.', 'Notifications from this page are blocked; you can allow them in the browser’s settings.')
        : t('Нагадування приходять, поки календар відкритий хоч в одній вкладці.', 'Reminders appear while the calendar is open in a tab.');
  };
  draw();
  return [el('div', { class: 'row' }, button), hint];
}

// ---------------------------------------------------------------- files and the feed

/** The feed: an address that is shown once. Whoever has it sees the calendar. */
function feed() {
  const result = el('div', { class: 'form', 'aria-live': 'polite' });
  const make = () => fill(result, async () => {
    const { data } = await ask('POST', '/api/v1/calendar/feed');
    const address = el('input', { readonly: true, value: `${location.origin}${data.path}`, 'aria-label': t('Адреса підписки', 'Address of the feed'), onfocus: () => address.select() });
    const copy = async ({ currentTarget: button }) => {
      address.select();
      try { await navigator.clipboard.writeText(address.value); } catch { document.execCommand('copy'); }
      button.textContent = t('Скопійовано', 'Copied');
    };
    return [
      el('p', {}, t('Скопіюйте адресу зараз: більше її не буде показано.', 'Copy the address now: it will not be shown again.')), address,
      el('div', { class: 'row' }, el('button', { type: 'button', class: 'main', onclick: copy }, t('Скопіювати', 'Copy')),
        el('a', { class: 'button', href: `webcal://${location.host}${data.path}` }, t('Відкрити в календарі', 'Open in a calendar'))),
    ];
  });
  const end = () => fill(result, async () => {
    const was = await ask('DELETE', '/api/v1/calendar/feed').catch((problem) => { if (problem.status !== 404) throw problem; });
    return el('p', {}, was ? t('Підписку припинено: її адреса більше нічого не дає.', 'The feed has ended: its address no longer works.') : t('Підписки й не було.', 'There was no feed.'));
  });
  dialog(t('Підписка на календар', 'Subscribe to the calendar'), [
    el('p', {}, t('Телефон чи інший календар може підписатися на адресу і сам бачитиме зміни. Хто має адресу, той бачить увесь календар; нова адреса скасовує попередню.',
      'A phone or another calendar can subscribe to an address and gets changes automatically. Anyone with the address sees the whole calendar; a new address replaces the old one.')),
    el('div', { class: 'row' }, el('button', { type: 'button', class: 'main', onclick: make }, t('Створити адресу', 'Create an address')),
      el('button', { type: 'button', class: 'bad', onclick: end }, t('Припинити підписку', 'End the feed'))),
    result,
  ]);
}

/** Takes a file in: first it is only said what would become of it. */
function take() {
  const said = el('div', { class: 'form', 'aria-live': 'polite' });
  // A file that was written anew since is another one, though it is called the same.
  const again = () => { file.value = ''; };
  const file = el('input', { type: 'file', id: 'ics', accept: '.ics,text/calendar', onclick: again, onchange: () => send(file.files[0], true) });
  async function send(chosen, dry) {
    if (chosen) await fill(said, async () => {
      try {
        const { data } = await ask('POST', `/api/v1/calendar/import${dry ? '?dry_run=1' : ''}`, { body: chosen, headers: { 'Content-Type': 'application/octet-stream' } });
        if (!dry) read();
        return report(data, chosen, dry);
      } catch (problem) {
        if (problem.status === 404) throw new Problem(404, t('Цей сервер ще не вміє вносити календарів із файлів.', 'This server cannot import calendar files yet.'));
        throw problem;
      }
    });
  }
  const report = ({ made, changed, unchanged, refused, lines, left_out: leftOut }, chosen, dry) => [
    el('p', {}, [
      dry ? t('З файлу буде: ', 'The file contains: ') : t('Внесено: ', 'Imported: '),
      [t(`нових ${made}`, `${made} new`), t(`змінених ${changed}`, `${changed} changed`), t(`без змін ${unchanged}`, `${unchanged} unchanged`), refused > 0 && t(`не прийнято ${refused}`, `${refused} refused`)].filter(Boolean).join(', '), '.',
    ]),
    (lines.length > 0 || leftOut?.length > 0) && el('details', {}, el('summary', {}, t('Що не так', 'What is wrong')),
      el('ul', { class: 'lines small' }, [...lines, ...(leftOut ?? [])].map(({ line, title, why }) => el('li', {}, `${line}: ${title ? `${title}: ` : ''}${why}`)))),
    dry && made + changed > 0 && el('div', { class: 'row' }, el('button', { type: 'button', class: 'main', onclick: () => send(chosen, false) }, t('Внести', 'Import'))),
  ];
  dialog(t('Внести календар із файлу', 'Import a calendar file'), [
    el('p', { class: 'quiet' }, t('Файл .ics з іншого календаря. Той самий файл можна вносити знову: записи не подвояться.', 'An .ics file from another calendar. You can import the same file again: nothing is duplicated.')),
    labelled('ics', t('Файл', 'File'), file), said,
  ]);
}

// ---------------------------------------------------------------- the page

show(
  el('div', { class: 'row between' }, views, el('div', { class: 'row' }, picker, el('button', { type: 'button', class: 'main', onclick: () => write(place.date) }, t('Новий запис', 'New entry')))),
  el('div', { class: 'row' },
    el('div', { class: 'row' }, step(-1, '‹', t('Раніше', 'Earlier')), el('button', { type: 'button', onclick: () => go({ date: today() }) }, t('Сьогодні', 'Today')), step(1, '›', t('Пізніше', 'Later'))),
    heading),
  stage,
  el('details', { class: 'unprinted' }, el('summary', {}, t('Нагадування, підписка і файли', 'Reminders, feed and files')),
    el('div', { class: 'form plan-tools' }, reminderButton(), el('div', { class: 'row' },
      el('button', { type: 'button', onclick: feed }, t('Підписатися', 'Subscribe')),
      el('a', { class: 'button', href: '/api/v1/calendar/export.ics', download: 'calendar.ics' }, t('Зберегти як .ics', 'Save as .ics')),
      el('button', { type: 'button', onclick: take }, t('Внести з файлу .ics', 'Import an .ics file'))))),
);

locate();
if (!await openNamed()) arrive(true);
catchUp();
addEventListener('popstate', () => { if (!location.hash) { locate(); arrive(); } });
addEventListener('hashchange', openNamed);

let timer;
live('/ws', (message) => {
  if (message.event === 'again') catchUp();
  else if (message.event === 'reminder_due') {
    memory.keep({ until: message.reminder.due_at });
    return tell(message.reminder);
  } else if (!['calendar', 'podija'].includes(message.module)) return;
  clearTimeout(timer);
  timer = setTimeout(read, Math.max(SETTLE_MS, readAt + CALM_MS - Date.now()));
});
