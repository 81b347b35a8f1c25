// Shows the description of the API, and has its requests tried. Everything is put into the page as text, never as HTML.
const main = document.getElementById('paths');

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// An example of what a schema describes: a new record with what it cannot be without.
function example(schema, all) {
  if (schema.$ref) return example(all[schema.$ref.split('/').pop()] ?? {}, all);
  const value = {};
  for (const name of schema.required ?? []) {
    const field = schema.properties[name];
    const type = [field.type].flat()[0];
    if (name === 'url') value[name] = 'https://example.com/a.jpg';
    else if (field.description?.startsWith('A time')) value[name] = '2026-11-21T10:00';
    else value[name] = { integer: 1, number: 1, boolean: true, array: [], object: {} }[type] ?? name;
  }
  return value;
}

function operation(path, method, described, schemas) {
  const inputs = new Map();
  const form = element('form');
  for (const parameter of described.parameters ?? []) {
    const input = element('input', { name: parameter.name, required: parameter.required ?? false });
    inputs.set(parameter, input);
    form.append(element('label', {}, `${parameter.name} (${parameter.in}) `, input));
  }
  const json = described.requestBody?.content['application/json'];
  const body = json && element('textarea', { spellcheck: false, value: JSON.stringify(example(json.schema, schemas), null, 2) });
  if (body) form.append(element('label', {}, 'Body', body));
  const file = described.requestBody && !json && element('input', { type: 'file' });
  if (file) form.append(element('label', {}, 'File ', file));
  const answer = element('pre', { hidden: true, tabIndex: 0 });
  form.append(element('button', {}, 'Send'), answer);
  form.addEventListener('submit', async event => {
    event.preventDefault();
    let target = path;
    const query = new URLSearchParams();
    for (const [parameter, input] of inputs) {
      if (parameter.in === 'path') target = target.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
      else if (input.value !== '') query.set(parameter.name, input.value);
    }
    if (query.size) target += `?${query}`;
    const request = { method: method.toUpperCase() };
    if (body) Object.assign(request, { body: body.value, headers: { 'content-type': 'application/json' } });
    if (file?.files[0]) Object.assign(request, { body: file.files[0], headers: { 'content-type': 'application/octet-stream' } });
    answer.hidden = false;
    try {
      const response = await fetch(target, request);
      let text = await response.text();
      try { text = JSON.stringify(JSON.parse(text), null, 2); } catch { /* It is no JSON, and shown as it is. */ }
      answer.textContent = `${response.status} ${response.statusText}\n\n${text}`;
    } catch (error) {
      answer.textContent = `The server does not answer: ${error.message}`;
    }
  });
  const summary = element('summary', {}, element('span', { className: 'method' }, method.toUpperCase()), `${path} — ${described.summary}`);
  const shown = element('details', {}, summary, form);
  shown.dataset.words = `${path} ${described.summary}`.toLowerCase();
  return shown;
}

function show({ paths, components }) {
  const groups = new Map();
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, described] of Object.entries(methods)) {
      const tag = described.tags[0];
      if (!groups.has(tag)) groups.set(tag, element('section', {}, element('h2', {}, tag)));
      groups.get(tag).append(operation(path, method, described, components.schemas));
    }
  }
  main.replaceChildren(...groups.values());
  document.getElementById('find').addEventListener('input', event => {
    const wanted = event.target.value.toLowerCase();
    for (const shown of main.querySelectorAll('details')) shown.hidden = !shown.dataset.words.includes(wanted);
    for (const group of main.children) group.hidden = !group.querySelector('details:not([hidden])');
  });
}

fetch('/api/openapi.json')
  .then(response => response.ok ? response.json() : Promise.reject(new Error(`${response.status}`)))
  .then(show)
  .catch(error => main.replaceChildren(element('p', {}, `The description cannot be read: ${error.message}. Load the page again.`)));
