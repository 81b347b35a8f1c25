// The description of the API as a page on which its requests can be tried: made of /api/openapi.json, so that it says nothing else.

import { Problem, ask, counted, el, fill, memory, t, view } from './app.js';
import { search } from './records.js';

/** What is tried out as somebody. */
const caller = memory('docs');

const last = (reference) => reference.split('/').at(-1);

/** An example of what a schema describes: what it cannot be without. */
function example(schema, all) {
  if (schema.$ref) return example(all[last(schema.$ref)] ?? {}, all);
  if (schema.anyOf) return example(schema.anyOf[0], all);
  const type = [schema.type].flat()[0];
  if (type === 'object') return Object.fromEntries((schema.required ?? []).map((name) => [name, named(name, schema.properties?.[name] ?? {}, all)]));
  if (type === 'array') return [];
  if (type === 'integer' || type === 'number') return schema.minimum ?? 1;
  if (type === 'boolean') return true;
  return schema.const ?? schema.enum?.[0] ?? 'text';
}

function named(name, schema, all) {
  if (schema.description?.startsWith('A time')) return '2026-11-21T10:00';
  if (name === 'url') return '/media/name';
  return [schema.type].flat()[0] === 'string' && !schema.enum && schema.const === undefined ? name : example(schema, all);
}

/** The members of a schema, one line each. */
function members(schema, all) {
  const read = schema.$ref ? all[last(schema.$ref)] ?? {} : schema.items?.$ref ? all[last(schema.items.$ref)] ?? {} : schema;
  const rows = Object.entries(read.properties ?? {}).map(([name, of]) => el('tr', {},
    el('td', {}, el('code', {}, name), read.required?.includes(name) ? '' : el('span', { class: 'quiet small' }, t(' необов’язково', ' optional'))),
    el('td', {}, of.$ref ? last(of.$ref) : [of.type ?? 'any'].flat().join(' | '), of.description && el('p', { class: 'quiet small' }, of.description))));
  return rows.length > 0 && el('div', { class: 'scroll' }, el('table', {}, el('tbody', {}, rows)));
}

let numbers = 0;

/** One operation: what it is, what it takes, and a form that sends it. */
function operation(path, method, described, schemas) {
  const label = (text, input) => {
    input.id = `o${(numbers += 1)}`;
    return el('div', { class: 'field' }, el('label', { for: input.id }, text), input);
  };
  const parameters = (described.parameters ?? []).map((parameter) => ({
    ...parameter, input: el('input', { required: parameter.required ?? false, autocomplete: 'off' }),
  }));
  const json = described.requestBody?.content['application/json'];
  const body = json && el('textarea', { spellcheck: 'false', value: JSON.stringify(example(json.schema, schemas), null, 2) });
  const file = described.requestBody && !json && el('input', { type: 'file' });
  const answer = el('pre', { class: 'docs-answer', hidden: true, tabindex: 0, 'aria-live': 'polite' });
  const form = el('form', { class: 'form', onsubmit: async (event) => {
    event.preventDefault();
    let target = path;
    const query = new URLSearchParams();
    for (const { name, in: place, input } of parameters) {
      if (place === 'path') target = target.replace(`{${name}}`, encodeURIComponent(input.value));
      else if (input.value !== '') query.set(name, input.value);
    }
    if (query.size > 0) target += `?${query}`;
    const headers = {};
    const who = caller.value;
    if (who) headers[/^Bearer /i.test(who) ? 'Authorization' : 'X-User-Id'] = who;
    const request = { method: method.toUpperCase(), headers };
    if (body) Object.assign(request, { body: body.value }, { headers: { ...headers, 'Content-Type': 'application/json' } });
    if (file?.files[0]) Object.assign(request, { body: file.files[0] }, { headers: { ...headers, 'Content-Type': 'application/octet-stream' } });
    answer.hidden = false;
    try {
      const got = await fetch(target, request);
      let text = await got.text();
      try { text = JSON.stringify(JSON.parse(text), null, 2); } catch { /* it is no JSON, and shown as it is */ }
      answer.textContent = `${got.status} ${got.statusText}\n\n${text}`;
    } catch (error) {
      answer.textContent = t(`Сервер не відповідає: ${error.message}`, `The server is not responding: ${error.message}`);
    }
  } },
  parameters.map(({ name, in: place, description, input }) => label([name, ' ', el('small', {}, [place, description].filter(Boolean).join(': '))], input)),
  body && label(t('Тіло', 'Body'), body), file && label(t('Файл', 'File'), file),
  el('div', { class: 'row' }, el('button', { class: 'main', type: 'submit' }, t('Надіслати', 'Send'))), answer);
  const given = described.responses?.['200']?.content?.['application/json']?.schema;
  const shown = el('details', { class: 'docs-operation', data: { words: `${method} ${path} ${described.summary}`.toLowerCase() } },
    el('summary', {}, el('code', {}, el('strong', {}, method.toUpperCase()), ` ${path}`), el('span', { class: 'quiet' }, ` ${described.summary}`)));
  // Most of them are never opened.
  shown.addEventListener('toggle', () => shown.append(form, ...[given && members(given, schemas)].filter(Boolean)), { once: true });
  return shown;
}

fill(view, async () => {
  const { data: { paths, components } } = await ask('GET', '/api/openapi.json');
  const groups = new Map();
  let count = 0;
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, described] of Object.entries(methods)) {
      const [tag] = described.tags;
      if (!groups.has(tag)) groups.set(tag, el('section', { class: 'lines' }, el('h2', {}, tag)));
      groups.get(tag).append(operation(path, method, described, components.schemas));
      count += 1;
    }
  }
  if (count === 0) throw new Problem(0, t('Опис порожній', 'The description is empty'));
  const all = [...groups.values()];
  const find = search(t('Шлях або слово', 'A path or a word'), (words) => {
    for (const group of all) {
      const found = [...group.querySelectorAll('details')].filter((shown) => !(shown.hidden = !shown.dataset.words.includes(words.toLowerCase())));
      group.hidden = found.length === 0;
    }
  });
  const who = el('input', { id: 'who', autocomplete: 'off', spellcheck: 'false', value: caller.value ?? '', onchange: () => { caller.value = who.value.trim(); } });
  return [
    el('p', {}, counted(count, ['запит', 'запити', 'запитів'], ['request', 'requests']), t('; для програм усе це є в ', '; the machine-readable description is '), el('a', { href: '/api/openapi.json' }, 'openapi.json'), '.'),
    find,
    el('div', { class: 'field' }, el('label', { for: 'who' }, t('Від чийого імені', 'As user'), el('small', {}, t(' (Bearer ТОКЕН або ім’я для X-User-Id)', ' (Bearer TOKEN, or a name for X-User-Id)'))), who),
    all,
  ];
});
