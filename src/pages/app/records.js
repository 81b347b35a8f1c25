// What pages do with records: forms made of fields, lists that load as one scrolls, and changes that can be undone.

import { Problem, ask, complain, counted, dialog, el, fill, live, loading, t, toast, trouble } from './app.js';

/** How many records one request gives. */
const PAGE = 50;
/** How soon a list is read again after others have changed something. */
const SETTLE_MS = 300;

/** Texts separated by commas, as a list. */
export const list = (text) => text.split(',').map((part) => part.trim()).filter(Boolean);

/** How a word of an open vocabulary, `[[word, label], …]`, is shown: by its label, or as it is. */
export const labelOf = (words, word) => words.find(([known]) => known === word)?.[1] ?? word;

/** What is kept of a word that people typed: that of its label, or as it is. */
const wordOf = (words, text) => words.find(([, label]) => label.toLocaleLowerCase() === text.trim().toLocaleLowerCase())?.[0] ?? text;

let numbers = 0;

/**
 * A form of these fields, filled from a record. A field is `{ name, label, hint, kind, required, options, value, min, max, step }`,
 * where a text has options that are only proposed: texts, or the pairs of an open vocabulary;
 * its kind is `text` (the default), `area`, `moment`, `day`, `choice`, `list`, `number`, `range`, `check`, or a function that
 * makes `{ node, read, focus }` of a value. Gives `{ node, read(), problem(problem), changed() }`.
 */
export function form(fields, record = {}) {
  const made = fields.map((field) => {
    const id = `f${(numbers += 1)}`;
    const value = record[field.name] ?? field.value;
    const problem = el('p', { class: 'problem', id: `${id}p`, hidden: true });
    if (typeof field.kind === 'function') {
      const own = field.kind(value, id);
      const node = el('fieldset', { class: 'field' }, el('legend', {}, field.label), own.node, problem);
      return { field, node, problem, read: own.read, input: own.focus ?? own.node };
    }
    const common = { id, name: field.name, required: field.required, 'aria-describedby': `${id}p` };
    const input = control(field, value, common);
    const read = () => reading(field, input);
    const label = el('label', { for: id }, field.label, field.required ? '' : el('small', {}, t(' (необов’язково)', ' (optional)')));
    const hint = field.hint && el('p', { class: 'hint small' }, field.hint);
    const node = field.kind === 'check'
      ? el('div', { class: 'field check' }, input, el('label', { for: id }, field.label), problem)
      : el('div', { class: 'field' }, label, input, field.kind === 'range' && output(input), hint, problem);
    return { field, node, problem, read, input };
  });
  const read = () => Object.fromEntries(made.map(({ field, read }) => [field.name, read()]));
  const before = JSON.stringify(read());
  return {
    node: made.map(({ node }) => node),
    read,
    changed: () => JSON.stringify(read()) !== before,
    problem(problem) {
      let first;
      const rest = { ...problem.fields };
      for (const { field, problem: place, input } of made) {
        const text = rest[field.name];
        delete rest[field.name];
        place.textContent = text ?? '';
        place.hidden = !text;
        if (text) input.setAttribute?.('aria-invalid', 'true');
        else input.removeAttribute?.('aria-invalid');
        if (text) first ??= input;
      }
      first?.focus();
      return first === undefined || Object.keys(rest).length > 0;
    },
  };
}

function control(field, value, common) {
  switch (field.kind) {
    case 'area': return el('textarea', { ...common, value: value ?? '', rows: field.rows });
    case 'choice': return el('select', common, field.options.map(([key, label]) => el('option', { value: key, selected: key === (value ?? '') }, label)));
    case 'moment': return el('input', { ...common, type: 'datetime-local', value: value?.slice(0, 16) ?? '' });
    case 'day': return el('input', { ...common, type: 'date', value: value?.slice(0, 10) ?? '' });
    case 'number': return el('input', { ...common, type: 'number', inputmode: 'decimal', min: field.min, max: field.max, step: field.step ?? 'any', value: value ?? '' });
    case 'range': {
      const input = el('input', { ...common, type: 'range', min: field.min, max: field.max, step: field.step ?? 1, value: value ?? (field.min + field.max) / 2 });
      // It has to stand somewhere, but where nobody has moved it nothing is said.
      if (value === undefined || value === null) input.dataset.unsaid = '';
      input.addEventListener('input', () => delete input.dataset.unsaid);
      return input;
    }
    case 'check': return el('input', { ...common, required: false, type: 'checkbox', checked: Boolean(value) });
    case 'list': return el('input', { ...common, type: 'text', value: (value ?? []).join(', '), autocomplete: 'off' });
    default: {
      const words = field.options?.map((option) => [option].flat());
      const options = words && el('datalist', { id: `${common.id}o` }, words.map((word) => el('option', { value: word.at(-1) })));
      const shown = words?.[0]?.length === 2 ? labelOf(words, value) : value;
      const input = el('input', { ...common, type: 'text', value: shown ?? '', autocomplete: 'off', list: options ? `${common.id}o` : null });
      if (options) input.append(options);
      return input;
    }
  }
}

function output(input) {
  const node = el('output', { for: input.id, class: 'number' }, 'unsaid' in input.dataset ? '—' : input.value);
  input.addEventListener('input', () => { node.textContent = input.value; });
  return node;
}

function reading(field, input) {
  switch (field.kind) {
    case 'check': return input.checked;
    case 'list': return list(input.value);
    case 'number': case 'range': return input.value === '' || 'unsaid' in input.dataset ? null : Number(input.value);
    case 'moment': case 'day': return input.value || null;
    default:
      if (input.value.trim() === '' && !field.required) return null;
      return Array.isArray(field.options?.[0]) && field.kind !== 'choice' ? wordOf(field.options, input.value) : input.value;
  }
}

/**
 * Opens a form in a dialog. `save(body)` gives a promise; the dialog stays open, with everything in it, until that is kept. What
 * was typed is not lost to a slip: closing a form with changes asks first.
 */
export function edit(title, fields, record, save, { submit = t('Зберегти', 'Save') } = {}) {
  const inside = form(fields, record);
  const said = el('p', { class: 'problem', role: 'alert' });
  const button = el('button', { class: 'main', type: 'submit' }, submit);
  const node = el('form', { class: 'form', novalidate: true }, inside.node, said,
    el('div', { class: 'actions' }, el('button', { type: 'button', onclick: () => leave() }, t('Скасувати', 'Cancel')), button));
  let kept = false;
  const leave = () => {
    if (kept || !inside.changed() || confirm(t('Відкинути те, що ви ввели?', 'Discard what you entered?'))) box.close();
  };
  node.addEventListener('submit', async (event) => {
    event.preventDefault();
    button.disabled = true;
    said.textContent = '';
    try {
      await save(inside.read());
      kept = true;
      box.close();
    } catch (problem) {
      if (!(problem instanceof Problem)) console.error(problem);
      if (inside.problem(problem)) said.textContent = [problem.message, ...Object.values(problem.fields ?? {})].join('. ');
    } finally {
      button.disabled = false;
    }
  });
  node.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) node.requestSubmit();
  });
  const box = dialog(title, node);
  box.addEventListener('cancel', (event) => {
    event.preventDefault();
    leave();
  });
  node.querySelector('input, textarea, select')?.focus();
  return box;
}

/** What concerns the records of one module: `path` is that of its collection. */
export function kind(module, collection) {
  const path = `/api/v1/${module}/${collection}`;
  return {
    module,
    path,
    create: async (body) => (await ask('POST', path, { json: body })).data,
    get: async (id) => (await ask('GET', `${path}/${id}`)).data,
    change: async (id, body) => (await ask('PUT', `${path}/${id}`, { json: body })).data,
    /** Changes it if it is still as it was read: `Problem` 412 if somebody else was faster. */
    async changeFrom(id, body, tag) {
      return (await ask('PUT', `${path}/${id}`, { json: body, headers: tag ? { 'If-Match': tag } : {} })).data;
    },
    restore: async (id) => (await ask('POST', `${path}/${id}/restore`)).data,
    async page(query) {
      const asked = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== ''));
      const { data, headers } = await ask('GET', `${path}?${asked}`);
      return { records: data, total: Number(headers.get('X-Total-Count') ?? data.length) };
    },
    /** Deletes it, and offers to bring it back. */
    async remove(record, title, changed) {
      try {
        await ask('DELETE', `${path}/${record.id}`);
      } catch (problem) {
        if (problem.status !== 404) return complain(problem);
      }
      changed();
      toast(t(`Видалено: ${title}`, `Deleted: ${title}`), {
        action: t('Повернути', 'Undo'),
        act: async () => {
          try {
            await this.restore(record.id);
            changed();
          } catch (problem) { complain(problem); }
        },
      });
    },
    /** Reads it anew, and opens a form that changes it. */
    async edit(record, title, fields, changed) {
      try {
        const { data, headers } = await ask('GET', `${path}/${record.id}`);
        edit(title, fields, data, async (body) => {
          await this.changeFrom(record.id, body, headers.get('ETag'));
          changed();
        });
      } catch (problem) { complain(problem); }
    },
  };
}

/** Tags, as buttons if something happens when one is chosen. */
export const tags = (names, chosen) => names.length > 0 && el('ul', { class: 'tags', 'aria-label': t('Теги', 'Tags') }, names.map((name) =>
  el('li', {}, chosen ? el('button', { class: 'tag', type: 'button', onclick: () => chosen(name) }, `#${name}`) : el('span', { class: 'tag' }, `#${name}`))));

/**
 * A list of the records of a kind that reads on as one scrolls, and again when others change something.
 * `of.item(record)` gives what is shown of one; `of.query()` the filters; `of.none()` what is shown where there is none;
 * `of.read(records)` hears what there is whenever that has changed; with `of.lasting`, what is shown of a record that has not
 * changed stays as it is. Gives `{ node, reload(), more(), records }`.
 */
export function records(kind, of) {
  const items = el('ul', { class: of.cards ? 'cards' : 'lines' });
  const foot = el('div', { class: 'more' });
  const count = el('p', { class: 'quiet small', role: 'status' });
  const node = el('section', { class: 'form', 'aria-label': of.label }, count, items, foot);
  let found = [];
  let run = 0;
  const button = (again) => el('button', { type: 'button', onclick: again }, t('Показати ще', 'Show more'));
  const watch = new IntersectionObserver((seen) => { if (seen.some(({ isIntersecting }) => isIntersecting)) more(); }, { rootMargin: '600px' });

  const made = (record) => el('li', { data: { id: record.id } }, of.item(record));
  const put = (records) => items.append(...records.map(made));
  let reading = false;
  async function more() {
    if (reading) return;
    reading = true;
    watch.disconnect();
    const mine = run;
    foot.replaceChildren(loading());
    try {
      const { records, total } = await kind.page({ order: 'desc', ...of.query?.(), skip: found.length, limit: PAGE });
      if (mine !== run) return;
      const known = new Set(found.map(({ id }) => id));
      const fresh = records.filter(({ id }) => !known.has(id));
      found = found.concat(fresh);
      put(fresh);
      done(total, records.length === PAGE && found.length < total);
    } catch (problem) {
      if (mine === run) foot.replaceChildren(trouble(problem, more));
    } finally {
      if (mine === run) reading = false;
    }
  }
  function done(total, isMore) {
    count.textContent = total > 0 ? counted(total, ['запис', 'записи', 'записів'], ['record', 'records']) : '';
    of.read?.(found);
    foot.replaceChildren(...(isMore ? [button(more)] : found.length === 0 ? [of.none()] : []));
    if (isMore) watch.observe(foot);
  }
  /** Reads as many again as are shown, and keeps the place. */
  async function reload() {
    run += 1;
    const mine = run;
    reading = true;
    node.setAttribute('aria-busy', 'true');
    const wanted = Math.max(PAGE, found.length);
    try {
      let fresh = [];
      let total = 0;
      do {
        const page = await kind.page({ order: 'desc', ...of.query?.(), skip: fresh.length, limit: Math.min(100, wanted - fresh.length) });
        if (mine !== run) return;
        total = page.total;
        fresh = fresh.concat(page.records);
        if (page.records.length === 0) break;
      } while (fresh.length < Math.min(wanted, total));
      const before = new Map(of.lasting ? found.map((record, at) => [JSON.stringify(record), items.children[at]]) : []);
      found = fresh;
      redrawn(items, () => arrange(items, found.map((record) => before.get(JSON.stringify(record)) ?? made(record))));
      done(total, found.length < total);
    } catch (problem) {
      if (mine !== run) return;
      if (found.length === 0) foot.replaceChildren(trouble(problem, reload));
      else complain(problem);
    } finally {
      if (mine === run) {
        reading = false;
        node.setAttribute('aria-busy', 'false');
      }
    }
  }
  foot.replaceChildren(loading());
  reload();
  return { node, reload, more, get records() { return found; } };
}

/** Makes these the children of a place, in this order, and moves none that is where it belongs. */
function arrange(place, nodes) {
  const wanted = new Set(nodes);
  for (const node of [...place.children]) if (!wanted.has(node)) node.remove();
  let at = place.firstChild;
  for (const node of nodes) {
    if (node === at) at = at.nextSibling;
    else place.insertBefore(node, at);
  }
}

/**
 * Draws what is in a place anew, and leaves focus where it was: on the control of the same `data-act` of the same record, known by
 * its `data-id`. Of a record that is gone, the next one gets it.
 */
export function redrawn(place, draw) {
  const active = document.activeElement;
  const held = place.contains(active) ? active.closest('[data-id]') : null;
  const index = [...place.querySelectorAll('[data-id]')].indexOf(held);
  draw();
  if (!held || document.activeElement === active) return;
  if (document.contains(active)) return active.focus();
  const now = [...place.querySelectorAll('[data-id]')];
  const record = now.find(({ dataset }) => dataset.id === held.dataset.id) ?? now[Math.min(index, now.length - 1)];
  const controls = [...record?.querySelectorAll(':is(a, button, input, select):not(:disabled)') ?? []];
  (controls.find(({ dataset }) => dataset.act && dataset.act === active.dataset.act) ?? controls[0])?.focus();
}

/**
 * Calls `changed` soon after somebody has changed something in one of these modules. Gives what calls it soon as well: of a change
 * of one's own, of which the socket tells, too, the page is then read once.
 */
export function follow(modules, changed) {
  let timer;
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(changed, SETTLE_MS);
  };
  live('/ws', (message) => {
    if (message.event === 'again' || modules.includes(message.module)) soon();
  });
  return soon;
}

/** Where a record of any module is shown. */
export const placeOf = ({ module, id }) => (module === 'kazkar' ? `/kazkar/${id}` : `/${module}#${id}`);

/** What a link says: those that the server makes have words of ours. */
const relation = (how, direction) => {
  if (how !== 'promoted') return how;
  return direction === 'out' ? t('зроблено з цього', 'made from this') : t('з цього зроблено', 'made from');
};

/**
 * Shows the record whose id the page's address has behind `#`, now and whenever that changes, in a dialog: `title(record)`, what
 * `show(record, close)` makes, and what it is linked with.
 */
export function addressed(kind, { title, show }) {
  let box;
  const open = () => {
    const id = /^#(\d+)$/.exec(location.hash)?.[1];
    if (id === undefined) return box?.close();
    box ??= dialog('', [], { closed: () => {
      box = undefined;
      if (/^#\d+$/.test(location.hash)) history.replaceState(null, '', location.pathname + location.search);
    } });
    const heading = box.querySelector('h2');
    const place = el('div', { class: 'form' }, loading());
    heading.textContent = t('Запис', 'Record');
    box.querySelector('.body').replaceChildren(place);
    return fill(place, async () => {
      const [record, { data: { links } }] = await Promise.all([kind.get(id), ask('GET', `${kind.path}/${id}/links`)]);
      heading.textContent = title(record);
      heading.tabIndex = -1;
      heading.focus();
      return [show(record, () => box?.close()), links.length > 0 && el('section', { class: 'form' }, el('h3', {}, t('Пов’язане', 'Linked')),
        el('ul', { class: 'lines' }, links.map(({ record: other, kind: how, direction }) => el('li', {},
          el('a', { href: placeOf(other) }, titleOf(other)), ' ',
            el('span', { class: 'quiet small' }, `${MODULES[other.module][1]} · ${relation(how, direction)}`)))))];
    });
  };
  addEventListener('hashchange', open);
  open();
}

/** A row of filters of which one is chosen: `[[value, label], …]`. */
export function choice(label, options, chosen, choose) {
  const buttons = options.map(([value, text]) => el('button', {
    type: 'button', 'aria-pressed': String(value === chosen),
    onclick: ({ currentTarget }) => {
      buttons.forEach((button) => button.setAttribute('aria-pressed', String(button === currentTarget)));
      choose(value);
    },
  }, text));
  return el('div', { class: 'tabs', role: 'group', 'aria-label': label }, buttons);
}

/** A field in which one types what to look for; `found` is called when typing rests. */
export function search(label, found, value = '') {
  let timer;
  const input = el('input', { type: 'search', 'aria-label': label, placeholder: label, value, autocomplete: 'off' });
  input.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(() => found(input.value.trim()), 350);
  });
  return input;
}

/** Two buttons behind a record. */
export const actions = (title, { change, remove, more = [] }) => el('div', { class: 'row unprinted' }, more,
  change && el('button', { type: 'button', 'aria-label': t(`Змінити: ${title}`, `Edit: ${title}`), onclick: change }, t('Змінити', 'Change')),
  remove && el('button', { type: 'button', class: 'bad', 'aria-label': t(`Видалити: ${title}`, `Delete: ${title}`), onclick: remove }, t('Видалити', 'Delete')));

// ---------------------------------------------------------------- all modules

/** The modules that keep records, in the order of the navigation: their sign, and what they are called. */
export const MODULES = {
  kazkar: ['📖', t('Казкар', 'Stories')],
  podija: ['🎈', t('Подія', 'Events')],
  nastrij: ['🌤️', t('Настрій', 'Moods')],
  malya: ['💡', t('Маля', 'Ideas')],
  gallery: ['🖼️', t('Галерея', 'Gallery')],
  calendar: ['📅', t('Календар', 'Calendar')],
};

/** The moods that have a word of ours, and a face; people may write others. */
export const MOODS = [
  ['happy', t('Радість', 'Happy'), '😊'], ['calm', t('Спокій', 'Calm'), '😌'], ['excited', t('Захват', 'Excited'), '🤩'],
  ['neutral', t('Нейтрально', 'Neutral'), '😐'], ['tired', t('Втома', 'Tired'), '😴'], ['sad', t('Смуток', 'Sad'), '😢'],
  ['anxious', t('Тривога', 'Anxious'), '😟'], ['tense', t('Напруга', 'Tense'), '😬'], ['angry', t('Злість', 'Angry'), '😠'],
];

/** What a record of any module is called: a mood by its word. */
export const titleOf = ({ module, title }) => (module === 'nastrij' ? labelOf(MOODS, title) : title);

/**
 * Begins a new record when the address has `#new`, now and whenever that changes. It is taken out of the address then, so that the
 * same link works again, and a page that is loaded anew does not repeat it.
 */
export function begun(make) {
  const hear = () => {
    if (location.hash !== '#new') return;
    history.replaceState(null, '', location.pathname + location.search);
    make();
  };
  addEventListener('hashchange', hear);
  hear();
}
