// One box for everything: what is written here becomes records, and below is the day that they belong to.

import { addDays, ask, complain, counted, el, empty, fill, memory, say, show, t, time, today } from './app.js';
import { MODULES, follow, kind, placeOf, tags, titleOf } from './records.js';

/** How long the server lets a capture be taken back, a little less than it does: an answer takes its time. */
const UNDO_SECONDS = 58;

const STATES = {
  fatigue: t('втома', 'tiredness'), tension: t('напруга', 'tension'), anxiety: t('тривога', 'worry'), joy: t('радість', 'joy'),
  loss: t('втрата', 'loss'), anticipation: t('очікування', 'looking forward'), change: t('зміна', 'change'),
};
const INTENTS = {
  understand: t('зрозуміти', 'to understand'), capture: t('зафіксувати', 'to write down'), calm: t('заспокоїтися', 'to calm down'),
  check: t('перевірити', 'to make sure'), preserve: t('зберегти', 'to keep'), connect: t('бути разом', 'to be together'),
  prepare: t('підготуватися', 'to get ready'),
};
const MEDIA = { photo: t('Світлина', 'A picture'), video: t('Відео', 'A video'), audio: t('Звук', 'A recording'), document: t('Документ', 'A document') };

const items = kind('gallery', 'items');

const sign = (module) => el('span', { 'aria-hidden': 'true' }, MODULES[module]?.[0] ?? '•');
const nameOf = (module) => MODULES[module]?.[1] ?? module;
const linkTo = (record) => el('a', { href: placeOf(record) }, record.title === undefined ? nameOf(record.module) : titleOf(record));
const button = (text, onclick, props = {}) => el('button', { type: 'button', onclick, ...props }, text);

/** Fills a place anew and leaves focus on the link where it was. */
async function refill(place, make) {
  const held = place.contains(document.activeElement) ? document.activeElement.getAttribute('href') : null;
  await fill(place, make);
  if (held) place.querySelector(`a[href="${CSS.escape(held)}"]`)?.focus();
}

// ---------------------------------------------------------------- what became of a capture

/**
 * A capture as a card. It may be one that was just made or one of the list of them, whose members differ a little; `undo` is given
 * for the first, while it can be taken back.
 */
function captured({ content, at, when, classification: { state, intent, tags: named }, records, related = [], undone }, undo) {
  const facts = [
    [t('Записано', 'Saved in'), records.map((record) => [sign(record.module), ' ', linkTo(record)])],
    // Where no time was spoken of, the server takes the moment of the capture.
    [t('Коли', 'When'), [when.slice(0, 19) === at.slice(0, 19) ? [t('у мить запису, ', 'that moment, '), time(when)] : time(when)]],
    [t('Стан', 'State'), STATES[state] ? [STATES[state]] : []],
    [t('Намір', 'Intent'), intent === 'capture' ? [] : [INTENTS[intent] ?? intent]],
    [t('Близьке з минулого', 'Related'), related.map((record) => [sign(record.module), ' ', linkTo(record), ' ', el('span', { class: 'quiet small' }, time(record.at, say.day))])],
  ].filter(([, values]) => values.length > 0);
  return el('article', { class: undone ? 'card ci-undone' : 'card' },
    el('p', { class: 'clip' }, content),
    undone ? el('p', { class: 'quiet small' }, t('Скасовано: записи в кошику.', 'Undone: its records are in the bin.'))
      : el('dl', { class: 'ci-facts' }, facts.map(([name, values]) => [el('dt', {}, name), el('dd', {}, el('ul', {}, values.map((value) => el('li', {}, value))))])),
    tags(named), undo);
}

/** A button that takes a capture back, for as long as that can be done. */
function undoing(id, done) {
  const ends = performance.now() + UNDO_SECONDS * 1000;
  const left = el('span', { class: 'number', 'aria-hidden': 'true' });
  const undo = button([t('Скасувати', 'Undo'), left], async () => {
    undo.disabled = true;
    try {
      await ask('POST', `/api/v1/ci/captures/${id}/undo`);
      clearInterval(timer);
      done();
    } catch (problem) {
      if (problem.status === 409) over();
      else complain(problem);
      undo.disabled = false;
    }
  });
  const place = el('div', { class: 'row' }, undo);
  const over = () => {
    clearInterval(timer);
    place.replaceChildren(el('p', { class: 'quiet small' }, t('Хвилина минула. Зайве можна видалити там, куди воно записане.', 'The minute is over. You can delete the records where they are.')));
  };
  const tick = () => {
    const seconds = Math.ceil((ends - performance.now()) / 1000);
    left.textContent = t(`${seconds} с`, `${seconds} s`);
    if (seconds <= 0) over();
  };
  const timer = setInterval(tick, 1000);
  tick();
  return place;
}

// ---------------------------------------------------------------- the box

/** The box itself; `changed` is called when something was captured or taken back. */
function box(changed) {
  const draft = memory('ci');
  let file = draft.value?.file ?? null;
  let sending;

  const said = el('p', { class: 'problem', role: 'alert' });
  const told = el('p', { class: 'quiet', role: 'status' });
  const made = el('div', { class: 'form', hidden: true });
  const text = el('textarea', {
    id: 'capture', rows: 3, value: draft.value?.text ?? '', 'aria-describedby': 'capture-hint',
    placeholder: t('Завтра о 18:00 у бабусі день народження #родина', 'Grandmother’s birthday is tomorrow at 18:00 #family'),
  });
  const save = el('button', { class: 'main', type: 'submit' }, t('Записати', 'Capture'));
  const chooser = el('input', { type: 'file', hidden: true, 'aria-label': t('Файл', 'A file'), accept: 'image/*,video/*,audio/*,application/pdf', onchange: () => attach(chooser.files[0]) });
  const attached = el('div', { class: 'row' });
  const keep = () => { draft.value = text.value || file ? { text: text.value, file } : null; };

  function sayAttached() {
    attached.replaceChildren(...(file ? [
      file.thumbnail_url && el('img', { class: 'ci-thumbnail', src: file.thumbnail_url, alt: '', width: 48, height: 48 }),
      el('span', {}, `${file.title} · ${say.bytes(file.file_size)}`),
      button(t('Прибрати', 'Remove'), () => { discard(file); file = null; keep(); sayAttached(); text.focus(); }, { 'aria-label': t(`Прибрати ${file.title}`, `Remove ${file.title}`) }),
    ] : [button(t('Додати файл', 'Attach a file'), () => chooser.click()), chooser]).filter(Boolean));
  }
  /** Sends a file at once, so that a capture has only to name it. */
  async function attach(chosen) {
    if (!chosen || sending) return;
    if (file) discard(file);
    file = null;
    said.textContent = '';
    save.disabled = true;
    sending = new AbortController();
    attached.replaceChildren(el('span', { role: 'status' }, t(`Надсилається ${chosen.name}…`, `Sending ${chosen.name}…`)), button(t('Скасувати', 'Cancel'), () => sending.abort()));
    try {
      // A trace of its own: the same file sent before is another record, which is not ours to remove.
      const query = new URLSearchParams({ name: chosen.name, source_trace: `ci:file:${Date.now()}` });
      const headers = { 'Content-Type': 'application/octet-stream' };
      file = (await ask('POST', `/api/v1/gallery/upload?${query}`, { body: chosen, headers, signal: sending.signal })).data;
    } catch (problem) {
      if (problem.name !== 'AbortError') said.textContent = `${chosen.name}: ${problem.message}`;
    }
    sending = undefined;
    save.disabled = false;
    chooser.value = '';
    keep();
    sayAttached();
    text.focus();
  }
  /** A file that is not wanted, or whose place a capture's own record has taken. */
  const discard = ({ id }) => ask('DELETE', `${items.path}/${id}`).catch(() => {});
  /** A capture makes its own record of a file. It gets what the server knows of the file, and is the only one then. */
  async function settle(sent, records) {
    const own = records.find(({ module }) => module === 'gallery');
    if (!own) return;
    const { thumbnail_url, file_size, mime_type, media_metadata, taken_at } = sent;
    try {
      await items.change(own.id, { thumbnail_url, file_size, mime_type, media_metadata, ...(taken_at && { taken_at }) });
      await discard(sent);
    } catch { /* the picture is there twice, and nothing is lost */ }
  }

  async function capture() {
    const content = text.value.trim() || (file ? MEDIA[file.media_type] ?? file.title : '');
    if (content === '' || save.disabled) return text.focus();
    save.disabled = true;
    text.readOnly = true;
    said.textContent = '';
    const sent = file;
    try {
      const metadata = sent && { url: sent.url, media_type: sent.media_type };
      const { data } = await ask('POST', '/api/v1/ci/capture', { json: { type: sent?.media_type === 'photo' ? 'image' : 'text', content, metadata } });
      if (sent) await settle(sent, data.records);
      text.value = '';
      file = null;
      keep();
      sayAttached();
      add(data, content);
      changed();
    } catch (problem) {
      said.textContent = [problem.message, ...Object.values(problem.fields ?? {})].join('. ');
    }
    save.disabled = false;
    text.readOnly = false;
    text.focus();
  }
  function add(data, content) {
    const { event_id: id, classification, records, related_traces: related, time: { iso: when }, event: { captured_at: at } } = data;
    const capture = { content, at, when, classification, records, related };
    const card = captured(capture, undoing(id, () => {
      const back = button(t('Повернути текст у поле', 'Put the text back'), () => { text.value = content; keep(); text.focus(); });
      const gone = captured({ ...capture, undone: true }, el('div', { class: 'row' }, back));
      card.replaceWith(gone);
      told.textContent = t('Скасовано.', 'Undone.');
      if (text.value === '') back.click();
      else back.focus();
      changed();
    }));
    made.prepend(card);
    made.hidden = false;
    told.textContent = t('Записано: ', 'Saved in: ') + [...new Set(records.map(({ module }) => nameOf(module)))].join(', ');
  }

  const form = el('form', { class: 'card' },
    el('label', { for: 'capture' }, t('Що сталося, задумано чи відчувається?', 'What happened, what is planned, how does it feel?')), text,
    el('p', { class: 'hint small', id: 'capture-hint' }, t('Розпізнає дні, години й #теги. Ctrl+Enter — записати.', 'It understands days, times and #tags. Ctrl+Enter captures.')),
    said, el('div', { class: 'row between' }, attached, save));
  form.addEventListener('submit', (event) => { event.preventDefault(); capture(); });
  form.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) { event.preventDefault(); capture(); }
  });
  text.addEventListener('input', keep);
  text.addEventListener('paste', (event) => {
    const [pasted] = event.clipboardData.files;
    if (pasted) { event.preventDefault(); attach(pasted); }
  });
  form.addEventListener('dragover', (event) => { if (event.dataTransfer.types.includes('Files')) event.preventDefault(); });
  form.addEventListener('drop', (event) => {
    const [dropped] = event.dataTransfer.files;
    if (dropped) { event.preventDefault(); attach(dropped); }
  });
  sayAttached();
  return { node: [form, el('section', { class: 'form', 'aria-label': t('Щойно записане', 'Just captured') }, told, made)], text };
}

// ---------------------------------------------------------------- a day, and all modules

/** The records of a day. A point of time in the calendar that a capture has made beside something else is named on its line. */
function lines(found) {
  const key = ({ moment, title }) => `${moment} ${title}`;
  const points = new Map(found.filter(({ module }) => module === 'calendar').map((point) => [key(point), point]));
  const others = found.filter(({ module }) => module !== 'calendar');
  const beside = new Set(others.map((record) => points.get(key(record))));
  return found.filter((record) => !beside.has(record)).map((record) => {
    const point = record.module !== 'calendar' && points.get(key(record));
    return el('li', { class: 'ci-line' },
      el('time', { class: 'number quiet', datetime: record.moment }, record.moment.slice(11, 16) === '00:00' ? '' : say.time(record.moment)),
      el('span', {}, sign(record.module), ' ', linkTo(record), ' ',
        el('span', { class: 'quiet small' }, nameOf(record.module), point && [', ', el('a', { href: placeOf(point) }, nameOf('calendar'))])));
  });
}

function dayView() {
  const asked = new URLSearchParams(location.search).get('day');
  let day = /^\d{4}-\d{2}-\d{2}$/.test(asked ?? '') ? asked : today();
  const heading = el('h2', { id: 'day' });
  const date = el('input', { type: 'date', class: 'ci-date', 'aria-label': t('День', 'Day'), onchange: () => { if (date.value) go(date.value); } });
  const place = el('div', { class: 'form' });
  const go = (to) => {
    day = to;
    history.replaceState(null, '', day === today() ? location.pathname : `?day=${day}`);
    read();
  };
  const read = () => {
    heading.textContent = day === today() ? t(`Сьогодні, ${say.weekday(day)}`, `Today, ${say.weekday(day)}`) : say.day(day);
    date.value = day;
    return refill(place, async () => {
      const { data } = await ask('GET', `/api/v1/day/${day}`);
      // Another day was asked for meanwhile; its answer shows it.
      if (data.date !== day) return [...place.childNodes];
      return [
        data.items.length > 0 ? el('ul', { class: 'lines' }, lines(data.items)) : empty(t('Цього дня нічого не записано. Одного рядка в полі вгорі досить.', 'There is nothing for this day yet. One line in the box above is enough.')),
        data.more && el('p', { class: 'quiet small' }, t('Показано лише початок дня: записів забагато.', 'Only the first part of the day is shown: there is too much.')),
      ];
    });
  };
  const node = el('section', { class: 'form', 'aria-labelledby': 'day' },
    el('div', { class: 'row between' }, heading, el('div', { class: 'row ci-days' },
      button('‹', () => go(addDays(day, -1)), { 'aria-label': t('Попередній день', 'The day before') }), date,
      button('›', () => go(addDays(day, 1)), { 'aria-label': t('Наступний день', 'The next day') }),
      button(t('Сьогодні', 'Today'), () => go(today())))), place);
  return { node, read };
}

function modulesView() {
  const place = el('div', {});
  const read = () => refill(place, async () => {
    const { data: { modules } } = await ask('GET', '/api/v1/modules/status');
    return el('ul', { class: 'ci-modules' }, Object.keys(MODULES).map((module) => {
      const { records, last_write: last, status } = modules[module];
      return el('li', {}, el('a', { class: 'card', href: `/${module}` },
        el('span', { class: 'ci-sign', 'aria-hidden': 'true' }, MODULES[module][0]), el('strong', {}, nameOf(module)),
        el('span', { class: 'small' }, counted(records, ['запис', 'записи', 'записів'], ['record', 'records'])),
        el('span', { class: 'quiet small' }, status !== 'active' ? t('вимкнено', 'switched off') : last ? say.written(last) : t('ще порожньо', 'nothing yet'))));
    }));
  });
  return { node: el('section', { class: 'form', 'aria-labelledby': 'modules' }, el('h2', { id: 'modules' }, t('Модулі', 'Modules')), place), read };
}

/** What was captured of late, when somebody asks for it. */
function captures() {
  const place = el('div', { class: 'form' });
  const node = el('details', {}, el('summary', {}, t('Записане раніше', 'Captured earlier')), place);
  node.addEventListener('toggle', () => {
    if (node.open) fill(place, async () => {
      const { data } = await ask('GET', '/api/v1/ci/captures?limit=20');
      return data.length > 0 ? data.map(({ time: when, captured_at: at, ...capture }) => captured({ ...capture, at, when: when ?? at }))
        : empty(t('Поки нічого.', 'Nothing yet.'));
    });
  });
  return node;
}

// ---------------------------------------------------------------- the page

const day = dayView();
const modules = modulesView();
const changed = follow(Object.keys(MODULES), () => { day.read(); modules.read(); });
const capture = box(changed);

show(capture.node, captures(), day.node, modules.node,
  el('p', { class: 'row' }, el('a', { class: 'button', href: '/chat' }, t('Запитати про записане', 'Ask about your records')),
    el('a', { class: 'button', href: '/ci/legend' }, t('Легенда Ci', 'The legend of Ci'))));
// A phone would cover half of the page with its keyboard.
if (matchMedia('(hover: hover)').matches) capture.text.focus({ preventScroll: true });
day.read();
modules.read();
