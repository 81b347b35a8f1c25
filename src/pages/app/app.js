// What all pages share: texts in two languages, elements, requests, dialogs, notices, and the socket that tells of changes.
// Whatever people wrote becomes text nodes; nothing here or in any page makes markup of text.

export const language = document.documentElement.lang === 'uk' ? 'uk' : 'en';
const locale = language === 'uk' ? 'uk-UA' : 'en-GB';

/** One of two texts, by the language of the page. */
export const t = (uk, en) => (language === 'uk' ? uk : en);

/** A number with the right form of a word: in Ukrainian three of them, in English two. */
export function counted(number, uk, en) {
  const form = new Intl.PluralRules(locale).select(number);
  const words = language === 'uk' ? { one: uk[0], few: uk[1] }[form] ?? uk[2] : form === 'one' ? en[0] : en[1];
  return `${number.toLocaleString(locale)} ${words}`;
}

// ---------------------------------------------------------------- elements

function build(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (name === 'class') node.setAttribute('class', value);
    else if (name === 'data') Object.assign(node.dataset, value);
    else if (['value', 'checked', 'selected', 'indeterminate', 'muted'].includes(name)) node[name] = value;
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false));
  return node;
}

/** An element: `el('p', { class: 'quiet' }, 'text', other)`. Names that begin with `on` are listeners. */
export const el = (tag, props, ...children) => build(document.createElement(tag), props, children);

/** The same for drawings. */
export const svg = (tag, props, ...children) => build(document.createElementNS('http://www.w3.org/2000/svg', tag), props, children);

/** An address that people wrote, if it may be one: of a file of ours, or of the web. */
export function address(text) {
  if (typeof text !== 'string') return null;
  if (text.startsWith('/media/')) return text;
  try {
    return ['http:', 'https:'].includes(new URL(text).protocol) ? text : null;
  } catch {
    return null;
  }
}

/** Where a page puts what it shows. */
export const view = document.getElementById('view');

/** Shows this as the content of the page. */
export function show(...nodes) {
  view.setAttribute('aria-busy', 'false');
  view.replaceChildren(...nodes.flat(Infinity).filter(Boolean));
}

// ---------------------------------------------------------------- times

/** How a part of a wall time is written in the language of the page. */
export const format = (options) => new Intl.DateTimeFormat(locale, { timeZone: 'UTC', ...options });
const DAY = format({ day: 'numeric', month: 'long', year: 'numeric' });
const WEEKDAY = format({ weekday: 'long', day: 'numeric', month: 'long' });
const TIME = format({ hour: '2-digit', minute: '2-digit' });
const MONTH = format({ month: 'long', year: 'numeric' });

/** A time on the household's wall, `2026-11-29T18:30:00`, as one that Intl shows as it is. */
export const wall = (text) => new Date(`${text.slice(0, 19)}Z`);

/** Now on this device's wall, as text of the same form. */
export function wallNow(at = new Date()) {
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

export const today = () => wallNow().slice(0, 10);

/** So many days after a day. */
export function addDays(day, days) {
  const at = new Date(`${day}T00:00:00Z`);
  at.setUTCDate(at.getUTCDate() + days);
  return at.toISOString().slice(0, 10);
}

/** How days and times are written. A wall time at midnight has no time of day. */
export const say = {
  day: (text) => DAY.format(wall(`${text.slice(0, 10)}T00:00:00`)),
  weekday: (text) => WEEKDAY.format(wall(`${text.slice(0, 10)}T00:00:00`)),
  month: (text) => MONTH.format(wall(`${text.slice(0, 7)}-01T00:00:00`)),
  time: (text) => TIME.format(wall(text)),
  moment: (text) => (text.slice(11, 16) === '00:00' ? say.day(text) : `${say.day(text)}, ${say.time(text)}`),
  /** A moment in UTC, `…Z`, on this device's wall. */
  written: (text) => say.moment(wallNow(new Date(text))),
  number: (number, digits = 0) => number.toLocaleString(locale, { maximumFractionDigits: digits }),
  bytes(bytes) {
    const units = ['B', 'KB', 'MB', 'GB'];
    const unit = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log10(bytes) / 3));
    return `${say.number(bytes / 1000 ** unit, unit ? 1 : 0)} ${units[unit]}`;
  },
};

/** A `<time>` with what people read and what programs read. */
export const time = (text, how = say.moment) => el('time', { datetime: text }, how(text));

// ---------------------------------------------------------------- requests

/** Why a request did not do what it was for. `fields` says of each field of the body what is wrong with it. */
export class Problem extends Error {
  constructor(status, message, { code, fields = {}, wait = 0 } = {}) {
    super(message);
    Object.assign(this, { status, code, fields, wait });
  }
}

const WORDS = {
  missing: t('Це поле потрібне', 'This is required'),
  string_too_short: t('Тут має бути текст', 'Enter some text'),
  string_too_long: t('Текст задовгий', 'The text is too long'),
  datetime_parsing: t('Це не дата і час', 'This is not a date and time'),
  datetime_type: t('Тут потрібна дата', 'Enter a date'),
};

/** What is said of errors by their code, where their status says too little. */
const CODES = {
  module_inactive: t('Цей модуль зараз вимкнено на сервері', 'This module is currently switched off on the server'),
};

/** What an answer that is none says, of its status, its body and how many seconds to wait. */
export function problemOf(status, body, wait) {
  const fields = {};
  if (Array.isArray(body?.detail)) {
    for (const { type, loc, msg } of body.detail) {
      const name = loc?.[1];
      if (name !== undefined) fields[name] ??= WORDS[type] ?? msg;
    }
  }
  const said = typeof body?.detail === 'string' ? body.detail : body?.error?.message ?? body?.message;
  const message = CODES[body?.error?.code] ?? {
    401: t('Потрібно увійти', 'Please sign in'),
    403: t('Сервер не дозволяє цього', 'The server does not allow this'),
    404: t('Цього вже немає', 'This no longer exists'),
    409: said,
    412: t('Хтось змінив це раніше за вас', 'Someone else changed this in the meantime'),
    413: t('Це завелике', 'This is too large'),
    422: t('Перевірте, що введено', 'Check what you entered'),
    429: t(`Забагато запитів; спробуйте за ${wait} с`, `Too many requests; try again in ${wait} s`),
    503: said,
    507: t('На сервері скінчилося місце', 'The server has no space left'),
  }[status];
  const other = t(`Сервер відповів ${status}`, `The server answered ${status}`);
  return new Problem(status, message ?? said ?? other, { code: body?.error?.code, fields, wait });
}

/** Why there was no answer. */
export const unreachable = () =>
  new Problem(0, navigator.onLine
    ? t('Сервер не відповідає', 'The server is not responding')
    : t('Немає мережі', 'You are offline'));

const later = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** Longest wait for a turn among many requests before somebody is told. */
const PATIENCE_SECONDS = 65;

/**
 * Asks the server. Gives `{ status, data, headers }`; throws a Problem otherwise. What only reads waits for its turn when there
 * were too many requests. Who is not signed in is taken to where one signs in, unless `quiet`.
 */
export async function ask(method, path, { json, body, headers = {}, signal, quiet } = {}) {
  const sent = { method, signal, headers: { Accept: 'application/json', ...headers }, body, cache: 'no-cache' };
  if (json !== undefined) {
    sent.body = JSON.stringify(json);
    sent.headers['Content-Type'] = 'application/json';
  }
  for (;;) {
    let answer;
    try {
      answer = await fetch(path, sent);
    } catch (error) {
      throw error.name === 'AbortError' ? error : unreachable();
    }
    const text = await answer.text().catch(() => { throw unreachable(); });
    let data = text;
    try {
      data = text === '' ? null : JSON.parse(text);
    } catch { /* not every answer is JSON */ }
    if (answer.ok) return { status: answer.status, data, headers: answer.headers };
    const wait = Math.ceil(Number(answer.headers.get('Retry-After')) || 0);
    if (answer.status === 401 && !quiet) {
      signIn();
      await new Promise(() => {});
    }
    if (answer.status === 429 && method === 'GET' && wait > 0 && wait <= PATIENCE_SECONDS && !quiet) {
      toast(t(`Багато запитів: продовжимо за ${wait} с`, `Too many requests: continuing in ${wait} s`), { seconds: wait });
      await later(wait);
      continue;
    }
    throw problemOf(answer.status, data, wait);
  }
}

/** Goes to where one signs in, and back here after that. */
export function signIn() {
  location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
}

// ---------------------------------------------------------------- what a browser remembers

/**
 * What this browser remembers under a name: while the tab is open, or for good. A browser that keeps nothing remembers it as long
 * as the page is there. Gives `{ value }`, which may be set; `null` forgets.
 */
export function memory(name, { forGood = false } = {}) {
  const key = `inkring.${name}`;
  const kept = (use) => {
    try { return use(forGood ? localStorage : sessionStorage); } catch { return null; }
  };
  let value = kept((storage) => JSON.parse(storage.getItem(key)));
  return {
    get value() { return value; },
    set value(to) {
      value = to;
      kept((storage) => (to === null ? storage.removeItem(key) : storage.setItem(key, JSON.stringify(to))));
    },
  };
}

// ---------------------------------------------------------------- states of a page

/** What is shown while something loads. */
export const loading = () => el('p', { class: 'quiet' }, t('Завантажується…', 'Loading…'));

/** What is shown where there is nothing yet: what this is for, and what to do next. */
export const empty = (text, ...actions) => el('div', { class: 'empty' }, el('p', {}, text), actions);

/** What is shown where something went wrong, with another try. */
export function trouble(problem, again) {
  return el('div', { class: 'trouble', role: 'alert' },
    el('p', {}, problem.message),
    again && el('button', { type: 'button', onclick: again }, t('Спробувати ще раз', 'Try again')));
}

/** Fills a place with what a function makes: loading, then that, or what went wrong. */
export async function fill(place, make) {
  place.setAttribute('aria-busy', 'true');
  try {
    place.replaceChildren(...[await make()].flat(Infinity).filter(Boolean));
  } catch (problem) {
    if (problem.name === 'AbortError') return;
    if (!(problem instanceof Problem)) console.error(problem);
    place.replaceChildren(trouble(problem, () => fill(place, make)));
  } finally {
    place.setAttribute('aria-busy', 'false');
  }
}

// ---------------------------------------------------------------- notices and dialogs

const toasts = document.getElementById('toasts');

/** A notice for some seconds, with at most one thing to do about it. */
export function toast(text, { action, act, seconds = action ? 10 : 5 } = {}) {
  const gone = () => note.remove();
  const note = el('div', { class: 'toast' }, el('span', {}, text),
    action && el('button', { type: 'button', onclick: () => { gone(); act(); } }, action));
  // Behind an open dialog nobody could see it or reach it.
  const place = [...document.querySelectorAll('dialog[open]')].at(-1) ?? document.body;
  if (toasts.parentNode !== place) place.append(toasts);
  toasts.append(note);
  while (toasts.children.length > 3) toasts.firstChild.remove();
  let timer = setTimeout(gone, seconds * 1000);
  const hold = () => clearTimeout(timer);
  const go = () => { hold(); timer = setTimeout(gone, seconds * 1000); };
  note.addEventListener('pointerenter', hold);
  note.addEventListener('pointerleave', go);
  note.addEventListener('focusin', hold);
  note.addEventListener('focusout', go);
  return gone;
}

/** Says what went wrong. */
export const complain = (problem) => {
  if (!(problem instanceof Problem)) console.error(problem);
  toast(problem.message);
};

/** A dialog with a title; gives its element, open. It goes when it is closed, and focus returns to where it was. */
export function dialog(title, body, { wide, closed } = {}) {
  const from = document.activeElement;
  const heading = el('h2', { id: `d${Math.random().toString(36).slice(2)}` }, title);
  const node = el('dialog', { 'aria-labelledby': heading.id, class: wide ? 'wide' : null },
    el('header', {}, heading,
      el('button', { type: 'button', class: 'icon', 'aria-label': t('Закрити', 'Close'), onclick: () => node.close() }, '✕')),
    el('div', { class: 'body' }, body));
  node.addEventListener('close', () => {
    if (node.contains(toasts)) document.body.append(toasts);
    node.remove();
    from?.focus?.();
    closed?.();
  });
  node.addEventListener('click', (event) => { if (event.target === node) node.close(); });
  document.body.append(node);
  node.showModal();
  return node;
}

// ---------------------------------------------------------------- what others change

const state = document.getElementById('live');

function sayState(on) {
  state?.replaceChildren(el('span', { class: on ? 'dot on' : 'dot' }),
    on ? t('Зміни видно одразу', 'Changes appear immediately') : t('Без зв’язку; з’єднуюся знову', 'Not connected; trying again'));
}

/**
 * Hears what changes: calls `heard` with each message of the socket, and with `{ event: 'again' }` when it was gone for a while
 * and something may have been missed.
 */
export function live(path, heard) {
  let tries = 0;
  let was = false;
  let socket;
  let timer;
  const open = () => {
    clearTimeout(timer);
    socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}${path}`);
    socket.onmessage = ({ data }) => {
      let message;
      try { message = JSON.parse(data); } catch { return; }
      if (message.event === 'connected') {
        tries = 0;
        sayState(true);
        if (was) heard({ event: 'again' });
        was = true;
      } else if (message.event !== 'echo') {
        heard(message);
      }
    };
    socket.onclose = () => {
      sayState(false);
      tries += 1;
      timer = setTimeout(open, Math.min(30, 2 ** tries) * 1000 * (0.5 + Math.random() / 2));
    };
  };
  addEventListener('online', () => { if (socket.readyState === WebSocket.CLOSED) open(); });
  addEventListener('pagehide', () => { socket.onclose = null; socket.close(); clearTimeout(timer); });
  addEventListener('pageshow', (event) => { if (event.persisted) open(); });
  open();
}

// ---------------------------------------------------------------- the frame

document.getElementById('language')?.addEventListener('click', ({ currentTarget }) => {
  document.cookie = `inkring_language=${currentTarget.value}; path=/; max-age=31536000; samesite=lax`;
  location.reload();
});

// The page of the navigation that this is may be out of sight on a phone, also when the phone is turned. Only the navigation scrolls:
// the content stays where its reader is.
const here = document.querySelector('.top nav [aria-current]');
const bar = here?.closest('nav');
if (bar) {
  new ResizeObserver(() => {
    const [link, frame] = [here, bar].map((one) => one.getBoundingClientRect());
    bar.scrollLeft += (link.left + link.right - frame.left - frame.right) / 2;
  }).observe(bar);
}

const opener = document.getElementById('ci');
async function openBox() {
  try {
    (await import('./box.js')).open();
  } catch (error) {
    // The server was updated since this page was loaded.
    console.error(error);
    location.reload();
  }
}
opener?.addEventListener('click', openBox);
addEventListener('keydown', (event) => {
  const typing = event.target.closest?.('input, textarea, select, [contenteditable]');
  if (opener && event.key === '/' && !typing && !event.ctrlKey && !event.metaKey && !document.querySelector('dialog[open]')) {
    event.preventDefault();
    openBox();
  }
});
