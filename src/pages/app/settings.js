// Where one signs in, and the settings: who is signed in, the copy of everything, the calendar's feed, and the bin.

import { Problem, ask, complain, counted, el, empty, fill, say, show, signIn, t, time, toast, view } from './app.js';
import { MODULES, follow, titleOf } from './records.js';

const button = (text, onclick, props = {}) => el('button', { type: 'button', onclick, ...props }, text);
const section = (title, id, ...content) => el('section', { class: 'card settings-part', 'aria-labelledby': id }, el('h2', { id }, title), content);

// ---------------------------------------------------------------- signing in

/** Where one goes from here: a path of this server that was asked for, and nowhere else. */
function onward() {
  const next = new URLSearchParams(location.search).get('next') ?? '';
  if (!/^\/(?![/\\])/.test(next)) return '/ci';
  // Browsers leave out tabs and steps to nowhere: what is left decides, with its host, so that a path is not taken for one.
  const to = new URL(next, location.href);
  return to.origin === location.origin && to.pathname !== '/sign-in' ? to.href : '/ci';
}

/** A wait in words: minutes, where there are any. */
const waiting = (seconds) => (seconds < 90
  ? counted(seconds, ['секунду', 'секунди', 'секунд'], ['second', 'seconds'])
  : counted(Math.ceil(seconds / 60), ['хвилину', 'хвилини', 'хвилин'], ['minute', 'minutes']));

function whyNotIn(problem) {
  if (problem.code === 'wrong_password') return t('Пароль не той.', 'Wrong password.');
  if (problem.status === 429) return t(`Забагато спроб. Наступна буде можлива за ${waiting(problem.wait)}.`, `Too many attempts. Try again in ${waiting(problem.wait)}.`);
  if (problem.status === 401) return t('На сервері не задано пароль (HOUSEHOLD_PASSWORD), а без нього в дім не ввійти.', 'The server has no password set (HOUSEHOLD_PASSWORD), and without one nobody can sign in.');
  return problem.message;
}

async function signInPage() {
  await fill(view, async () => {
    let answer;
    try {
      ({ data: answer } = await ask('GET', '/api/session', { quiet: true }));
    } catch (problem) {
      if (problem.status !== 401) throw problem;
      return passwordForm();
    }
    const said = answer.required ? t('Ви вже ввійшли.', 'You are already signed in.') : t('Цей дім без пароля: входити не потрібно.', 'This household has no password: you do not need to sign in.');
    return empty(said, el('a', { class: 'button main', href: onward() }, t('Далі', 'Continue')));
  });
  document.getElementById('password')?.focus();
}

function passwordForm() {
  const password = el('input', { id: 'password', type: 'password', autocomplete: 'current-password', required: true, maxlength: 1000, 'aria-describedby': 'password-problem' });
  const said = el('p', { class: 'problem', id: 'password-problem', role: 'alert' });
  const enter = el('button', { class: 'main', type: 'submit' }, t('Увійти', 'Sign in'));
  const shown = el('input', { type: 'checkbox', id: 'shown', onchange: () => { password.type = shown.checked ? 'text' : 'password'; } });
  // Programs that keep passwords want a name to keep them by.
  const name = el('input', { type: 'text', autocomplete: 'username', value: 'household', hidden: true, readonly: true });
  const form = el('form', { class: 'card settings-door', novalidate: true }, name, el('label', { for: 'password' }, t('Пароль дому', 'The household’s password')), password, said,
    el('div', { class: 'field check' }, shown, el('label', { for: 'shown' }, t('Показати пароль', 'Show the password'))), el('div', { class: 'row' }, enter));
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (password.value === '') return password.focus();
    enter.disabled = true;
    said.textContent = '';
    try {
      await ask('POST', '/api/session', { json: { password: password.value }, quiet: true });
      location.replace(onward());
    } catch (problem) {
      if (!(problem instanceof Problem)) console.error(problem);
      said.textContent = whyNotIn(problem);
      password.setAttribute('aria-invalid', 'true');
      enter.disabled = false;
      password.focus();
      password.select();
    }
  });
  password.addEventListener('input', () => password.removeAttribute('aria-invalid'));
  return form;
}

// ---------------------------------------------------------------- sessions

/** What a browser calls itself, in two words; of other programs the beginning. */
function device(agent) {
  const first = (names) => names.find(([pattern]) => pattern.test(agent))?.[1];
  const browser = first([[/Firefox|FxiOS/, 'Firefox'], [/Edg/, 'Edge'], [/OPR/, 'Opera'], [/Chrome|CriOS/, 'Chrome'], [/Safari/, 'Safari']]);
  const system = first([[/iPhone|iPad/, 'iOS'], [/Android/, 'Android'], [/Windows/, 'Windows'], [/Mac OS/, 'macOS'], [/Linux/, 'Linux']]);
  return browser ? [browser, system].filter(Boolean).join(', ') : agent.slice(0, 60);
}

function sessions() {
  const place = el('div', { class: 'form' });
  const read = () => fill(place, async () => {
    const { data } = await ask('GET', '/api/session');
    if (!data.required) return el('p', { class: 'quiet' }, t('Пароль не задано: усі, хто дістається цього сервера, можуть усе. Пароль дає змінна HOUSEHOLD_PASSWORD.', 'No password is set: anyone who can reach this server can do everything. Set one with HOUSEHOLD_PASSWORD.'));
    return [
      el('ul', { class: 'lines' }, data.sessions.map((session) => el('li', { class: 'row between settings-line' },
        el('div', {}, el('strong', {}, session.agent ? device(session.agent) : t('Невідома програма', 'An unknown program')), session.current && el('span', { class: 'tag' }, t('цей пристрій', 'this device')),
          el('p', { class: 'quiet small' }, `${session.address} · `, t('востаннє ', 'last seen '), time(session.last_seen_at, say.written), t(' · з ', ' · since '), time(session.created_at, say.written))),
        !session.current && button(t('Завершити', 'End'), () => end(session), { 'aria-label': t(`Завершити сеанс: ${device(session.agent ?? '')}, ${session.address}`, `End the session: ${device(session.agent ?? '')}, ${session.address}`) })))),
      el('div', { class: 'row' }, button(t('Вийти на цьому пристрої', 'Sign out on this device'), leave)),
    ];
  });
  async function end({ id }) {
    try {
      await ask('DELETE', `/api/session/${id}`);
    } catch (problem) {
      if (problem.status !== 404) return complain(problem);
    }
    toast(t('Сеанс завершено', 'The session was ended'));
    await read();
    place.querySelector('button')?.focus();
  }
  async function leave() {
    try {
      await ask('DELETE', '/api/session');
      signIn();
    } catch (problem) { complain(problem); }
  }
  read();
  return section(t('Сеанси', 'Sessions'), 'sessions', place);
}

// ---------------------------------------------------------------- everything out and in

/** What an import did, or would do. */
function reported(report) {
  const figures = [[report.made, t('нових', 'new')], [report.changed, t('змінених', 'changed')], [report.unchanged, t('таких самих', 'the same')], [report.refused, t('не взято', 'refused')]];
  return [
    el('p', {}, el('strong', {}, report.dry_run ? t('Ще нічого не змінено. Було б:', 'Nothing has changed yet. The import would give:') : t('Готово:', 'Done:'))),
    el('div', { class: 'stats' }, figures.map(([number, word]) => el('div', {}, el('strong', {}, say.number(number)), word))),
    report.lines.length > 0 && el('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': t('Рядки, яких не взято', 'Lines that were refused') }, el('table', {},
      el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, t('Рядок', 'Line')), el('th', { scope: 'col' }, t('Чому не взято', 'Why it was refused')))),
      el('tbody', {}, report.lines.map(({ line, why }) => el('tr', {}, el('td', { class: 'number' }, say.number(line)), el('td', { lang: 'en' }, why)))))),
    report.refused > report.lines.length && el('p', { class: 'quiet small' }, t(`Показано перші ${report.lines.length}.`, `The first ${report.lines.length} are shown.`)),
  ];
}

function copies() {
  const place = el('div', { class: 'form', role: 'status' });
  const file = el('input', {
    id: 'import', type: 'file', accept: '.jsonl,.ndjson,application/x-ndjson', 'aria-describedby': 'import-hint',
    // A file that was written anew since is another one, though it is called the same.
    onclick: () => { file.value = ''; }, onchange: () => { if (file.files[0]) send(file.files[0], true); },
  });
  async function send(chosen, isDry) {
    const stop = new AbortController();
    file.disabled = true;
    place.replaceChildren(el('div', { class: 'row' }, el('span', {}, isDry ? t('Перевіряється…', 'Checking…') : t('Береться…', 'Importing…')), button(t('Зупинити', 'Stop'), () => stop.abort())));
    const headers = { 'Content-Type': 'application/x-ndjson' };
    try {
      const { data } = await ask('POST', `/api/v1/import${isDry ? '?dry_run=1' : ''}`, { body: chosen, headers, signal: stop.signal });
      const wanted = data.made + data.changed;
      place.replaceChildren(...[reported(data), isDry && (wanted > 0
        ? el('div', { class: 'row' }, button(t(`Взяти: ${say.number(wanted)}`, `Import: ${say.number(wanted)}`), () => send(chosen, false), { class: 'main' }), button(t('Скасувати', 'Cancel'), clear))
        : el('p', { class: 'quiet' }, t('Брати нічого.', 'There is nothing to import.')))].flat().filter(Boolean));
      if (!isDry) file.value = '';
    } catch (problem) {
      const isStopped = problem.name === 'AbortError';
      if (!isStopped && !(problem instanceof Problem)) console.error(problem);
      place.replaceChildren(
        el('p', { class: isStopped ? 'quiet' : 'problem' }, isStopped ? t('Зупинено. Те саме можна надіслати ще раз: узяте не повториться.', 'Stopped. You can send the same file again: what was imported is not repeated.') : problem.message),
        el('div', { class: 'row' }, button(t('Спробувати ще раз', 'Try again'), () => send(chosen, isDry))));
    }
    file.disabled = false;
  }
  function clear() {
    file.value = '';
    place.replaceChildren();
    file.focus();
  }
  return section(t('Копія всього', 'A copy of everything'), 'copies',
    el('p', { class: 'quiet' }, t('Усі записи і зв’язки одним файлом: рядок JSON на кожен. Файлів галереї в ньому немає.', 'All records and links in one file, one line of JSON each. Gallery files are not included.')),
    el('div', { class: 'row' }, el('a', { class: 'button', href: '/api/v1/export', download: 'household.jsonl' }, t('Завантажити копію', 'Download a copy'))),
    el('div', { class: 'field' }, el('label', { for: 'import' }, t('Узяти з копії', 'Import a copy')), file,
      el('p', { class: 'hint small', id: 'import-hint' }, t('Спершу буде видно, що зміниться. Повторити можна скільки завгодно.', 'You first see what would change. You can repeat it as often as you like.'))), place);
}

// ---------------------------------------------------------------- the calendar's feed

function feed() {
  const place = el('div', { class: 'form', role: 'status' });
  async function make() {
    if (!confirm(t('Нова адреса замінить попередню, якщо вона була. Зробити?', 'A new address replaces the current one, if there is one. Create it?'))) return;
    try {
      const { data: { path } } = await ask('POST', '/api/v1/calendar/feed');
      const whole = location.origin + path;
      const shown = el('input', { id: 'feed', type: 'text', readonly: true, value: whole, onfocus: () => shown.select() });
      place.replaceChildren(
        el('div', { class: 'field' }, el('label', { for: 'feed' }, t('Адреса підписки: її видно лише зараз', 'The address (shown only now)')), shown),
        el('div', { class: 'row' }, button(t('Скопіювати', 'Copy'), () => copy(whole, shown)), el('a', { class: 'button', href: `webcal://${location.host}${path}` }, t('Відкрити в календарі', 'Open in a calendar'))));
      shown.focus();
    } catch (problem) { complain(problem); }
  }
  async function copy(text, shown) {
    try {
      await navigator.clipboard.writeText(text);
      toast(t('Скопійовано', 'Copied'));
    } catch {
      // Only pages that came over TLS may; then it is marked, and people do it.
      shown.select();
      toast(t('Адресу виділено: скопіюйте її', 'The address is selected: copy it'));
    }
  }
  async function end() {
    if (!confirm(t('Календарі, що підписані, більше не оновлюватимуться. Завершити?', 'Subscribed calendars will no longer get anything. End the feed?'))) return;
    try {
      await ask('DELETE', '/api/v1/calendar/feed');
      place.replaceChildren(el('p', { class: 'quiet' }, t('Підписку завершено.', 'The feed was ended.')));
    } catch (problem) {
      if (problem.status === 404) place.replaceChildren(el('p', { class: 'quiet' }, t('Підписки й не було.', 'There was no feed.')));
      else complain(problem);
    }
  }
  return section(t('Підписка на календар', 'Calendar feed'), 'feeds',
    el('p', { class: 'quiet' }, t('Телефон чи інший календар може показувати записи дому. Хто має адресу, той бачить увесь календар.', 'A phone or another calendar can show the household’s plans. Anyone with the address sees the whole calendar.')),
    el('div', { class: 'row' }, button(t('Зробити адресу', 'Create an address'), make), button(t('Завершити підписку', 'End the feed'), end, { class: 'bad' }), el('a', { class: 'button', href: '/api/v1/calendar/export.ics' }, t('Файл .ics', 'An .ics file'))), place);
}

// ---------------------------------------------------------------- the bin

function bin() {
  const list = el('ul', { class: 'lines' });
  const place = el('div', { class: 'form' });
  let shown = 0;
  /** Reads as many as are shown, or some more. */
  async function page(skip, limit) {
    const { data } = await ask('GET', `/api/v1/bin?skip=${skip}&limit=${limit}`);
    const rows = data.deleted.map((record) => {
      const title = titleOf(record);
      return el('li', { class: 'row between settings-line', data: { restore: record.restore } },
        el('div', {}, el('span', { 'aria-hidden': 'true' }, `${MODULES[record.module][0]} `), title,
          el('p', { class: 'quiet small' }, `${MODULES[record.module][1]} · `, t('видалено ', 'deleted '), time(record.deleted_at, say.written), t(' · зникне ', ' · deleted for good on '), time(record.restorable_until, say.day))),
        button(t('Повернути', 'Restore'), () => restore(record, title), { 'aria-label': t(`Повернути: ${title}`, `Restore: ${title}`) }));
    });
    if (skip === 0) list.replaceChildren(...rows);
    else list.append(...rows);
    shown = list.children.length;
    if (shown === 0) return el('p', { class: 'quiet' }, t('Кошик порожній. Видалене лежить тут 30 днів.', 'The bin is empty. Deleted records stay here for 30 days.'));
    return [list, data.more && el('div', { class: 'row' }, button(t('Показати ще', 'Show more'), () => fill(place, () => page(shown, 50))))];
  }
  const read = () => {
    const held = document.activeElement?.closest?.('[data-restore]')?.dataset.restore;
    return fill(place, () => page(0, Math.min(100, Math.max(20, shown)))).then(() => {
      if (held) (list.querySelector(`[data-restore="${CSS.escape(held)}"] button`) ?? list.querySelector('button'))?.focus();
    });
  };
  async function restore(record, title) {
    try {
      await ask('POST', record.restore);
      toast(t(`Повернуто: ${title}`, `Restored: ${title}`));
    } catch (problem) { complain(problem); }
    changed();
  }
  const changed = follow(Object.keys(MODULES), read);
  read();
  return section(t('Кошик', 'The bin'), 'bin', place);
}

// ---------------------------------------------------------------- about the server

function about() {
  const place = el('div', {});
  fill(place, async () => {
    const { data } = await ask('GET', '/health');
    return el('p', {}, el('span', { class: data.status === 'ok' ? 'dot on' : 'dot' }), t(`inkring працює · API ${data.version}`, `inkring is well · API ${data.version}`));
  });
  return section(t('Сервер', 'The server'), 'about', place, el('ul', {},
    el('li', {}, el('a', { href: '/api/docs' }, t('Опис API, який можна випробувати', 'API description, with a form to try it'))),
    el('li', {}, el('a', { href: '/api/openapi.json' }, t('Опис OpenAPI', 'The OpenAPI description')))));
}

if (location.pathname.startsWith('/sign-in')) signInPage();
else show(sessions(), copies(), feed(), bin(), about());
