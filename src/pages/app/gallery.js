// The gallery: files come by drop, paste, chooser or a phone's camera; pictures are seen in a grid and, one by one, large.

import { Problem, complain, dialog, el, empty, problemOf, say, show, signIn, t, toast, unreachable, wallNow } from './app.js';
import { actions, choice, follow, kind, records, search, tags } from './records.js';

const items = kind('gallery', 'items');
/** Files that are sent at the same time. */
const AT_ONCE = 2;
/** Albums that are offered. */
const ALBUMS_MAX = 24;
/** How long files that were kept stay in the list of those on their way. */
const KEPT_MS = 4_000;
/** How long the list is not read again, for each hundred of what it shows: each hundred is a request, and of those not many are allowed. */
const CALM_MS = 1_500;
/** The same while files are sent. */
const SENDING_CALM_MS = 8_000;
/** How far a finger moves to turn over. */
const SWIPE_PX = 50;

/** What a file is: of many, and of one. */
const TYPES = [['photo', t('Світлини', 'Pictures'), t('Світлина', 'Picture')], ['video', t('Відео', 'Videos'), t('Відео', 'Video')],
  ['audio', t('Звук', 'Audio'), t('Звук', 'Audio')], ['document', t('Документи', 'Documents'), t('Документ', 'Document')]];

const FIELDS = [
  { name: 'title', label: t('Назва', 'Title'), required: true },
  { name: 'description', label: t('Опис', 'Description'), kind: 'area', rows: 4 },
  { name: 'tags', label: t('Теги, вони ж альбоми', 'Tags (albums)'), kind: 'list', hint: t('Через кому', 'Separated by commas') },
  { name: 'taken_at', label: t('Коли зроблено', 'When it was taken'), kind: 'moment' },
];

/** An address of a file of ours, which this page may load; none for those of other hosts, which it never does. */
const own = (url) => (url?.startsWith('/media/') ? url : null);
const nameOf = ({ media_metadata: metadata, title }) => metadata?.name ?? title;
const endingOf = ({ url }) => /\.(\w{1,5})(?:\?|$)/.exec(url)?.[1]?.toUpperCase() ?? '';
const is = (item, media) => item.media_type === media || Boolean(item.mime_type?.startsWith(`${media}/`));

// ---------------------------------------------------------------- files on their way

/** The largest file that the server takes, once it has said so. */
let most = Infinity;
let sent = [];
const count = (state) => sent.filter((one) => one.state === state).length;

const rows = el('ul', { class: 'lines uploads' });
const summary = el('p', { class: 'quiet', role: 'status' });
const queue = el('section', { class: 'card', hidden: true, 'aria-label': t('Файли, що надсилаються', 'Uploads') }, summary, rows);

/** Sends a file as the body of a request: only this old way of asking tells how far it has come. */
function post(file, query, moved, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', `/api/v1/gallery/upload?${new URLSearchParams(query)}`);
    request.setRequestHeader('Accept', 'application/json');
    request.setRequestHeader('Content-Type', 'application/octet-stream');
    request.upload.onprogress = ({ loaded, total }) => moved(total > 0 ? loaded / total : 0);
    request.onload = () => {
      let body = null;
      try { body = JSON.parse(request.responseText); } catch { /* not every answer is JSON */ }
      if (request.status >= 200 && request.status < 300) return resolve(body);
      const problem = problemOf(request.status, body, Math.ceil(Number(request.getResponseHeader('Retry-After')) || 0));
      reject(Object.assign(problem, { said: [body?.detail, body?.error?.message].find((text) => typeof text === 'string') }));
    };
    request.onerror = () => reject(unreachable());
    request.onabort = () => reject(new DOMException('', 'AbortError'));
    signal.addEventListener('abort', () => request.abort());
    request.send(file);
  });
}

const refused = (status, uk, en) => new Problem(status, t(uk, en));

/** What to tell of a file that was not taken. */
function explained(problem, { size }) {
  const { status, said } = problem;
  if (status === 413) {
    most = Number(/(\d+) bytes/.exec(said ?? '')?.[1] ?? most);
    return most < size ? refused(413, `Завеликий: сервер бере файли до ${say.bytes(most)}`, `Too large: the server takes files of up to ${say.bytes(most)}`) : problem;
  }
  return status === 422 && said ? refused(422, `Сервер не прийняв: ${said}`, `The server refused it: ${said}`) : problem;
}

/** One file, from when it was chosen until it is kept. */
class Upload {
  constructor(file, tag) {
    Object.assign(this, { file, query: { name: file.name, ...(tag && { tags: tag }) } });
    this.bar = el('progress', { max: 1, value: 0, 'aria-label': file.name });
    this.text = el('span', {});
    this.again = el('button', { type: 'button', 'aria-label': t(`Ще раз: ${file.name}`, `Again: ${file.name}`), onclick: () => this.wait() }, t('Ще раз', 'Again'));
    this.off = el('button', { type: 'button', onclick: () => this.leave() });
    this.node = el('li', {}, el('span', { class: 'name' }, file.name, ' ', el('span', { class: 'quiet small' }, say.bytes(file.size))), this.bar, this.text, el('span', { class: 'row' }, this.again, this.off));
    this.become('waiting', t('чекає', 'waiting'));
  }

  /** Its state is `waiting`, `sending`, `kept`, `failed` or `left`. */
  become(state, text) {
    const failed = state === 'failed';
    const label = failed ? t('Прибрати', 'Dismiss') : t('Скасувати', 'Cancel');
    this.state = state;
    this.text.textContent = text;
    this.text.className = failed ? 'problem' : 'quiet small';
    this.bar.hidden = failed;
    this.again.hidden = !failed;
    this.off.hidden = state === 'kept';
    this.off.textContent = label;
    this.off.setAttribute('aria-label', `${label}: ${this.file.name}`);
  }

  wait() {
    this.become('waiting', t('чекає', 'waiting'));
    this.off.focus();
    pump();
  }

  leave() {
    this.become('left', '');
    this.stop?.abort();
    forget([this]);
    pump();
  }

  async send() {
    this.stop = new AbortController();
    this.become('sending', t('надсилається', 'uploading'));
    this.bar.value = 0;
    try {
      if (this.file.size === 0) throw refused(422, 'Файл порожній', 'The file is empty');
      if (this.file.size > most) throw new Problem(413, '');
      await post(this.file, this.query, (part) => {
        this.bar.value = part;
        if (part === 1) this.text.textContent = t('сервер розглядає', 'the server is checking it');
      }, this.stop.signal);
      this.bar.value = 1;
      this.become('kept', t('збережено', 'saved'));
    } catch (problem) {
      if (this.state === 'left') return;
      if (problem.status === 401) signIn();
      if (problem.status === 429 && problem.wait > 0) return this.hold(problem.wait);
      this.become('failed', explained(problem, this.file).message);
    }
  }

  /** Waits for its turn where there were too many requests, in its place among those that are sent. */
  async hold(seconds) {
    this.text.textContent = t(`забагато запитів: чекає ${seconds} с`, `too many requests: waiting ${seconds} s`);
    await new Promise((resolve) => {
      setTimeout(resolve, seconds * 1000);
      this.stop.signal.addEventListener('abort', resolve);
    });
    if (this.state === 'sending') await this.send();
  }
}

function add(files) {
  const fresh = [...files].map((file) => new Upload(file, filters.tag));
  sent.push(...fresh);
  rows.append(...fresh.map(({ node }) => node));
  pump();
}

function forget(gone) {
  sent = sent.filter((one) => !gone.includes(one));
  gone.forEach(({ node }) => node.remove());
}

/** Says how far all have come; gives how many are still to come, and how many have. */
function sayQueue() {
  const [left, kept, failed] = [count('sending') + count('waiting'), count('kept'), count('failed')];
  queue.hidden = sent.length === 0;
  summary.textContent = [
    left > 0 && t(`Надсилається: ${left}`, `Uploading: ${left}`), kept > 0 && t(`збережено: ${kept}`, `saved: ${kept}`), failed > 0 && t(`не вдалося: ${failed}`, `failed: ${failed}`),
  ].filter(Boolean).join(', ');
  return [left, kept];
}

/** Sends what waits, as many at once as may be; when all have come, those that are kept go from the list. */
function pump() {
  for (const one of sent) {
    if (count('sending') === AT_ONCE) break;
    if (one.state === 'waiting') one.send().then(pump);
  }
  const [left, kept] = sayQueue();
  if (kept > 0) soon();
  if (left > 0 || kept === 0) return;
  const done = sent.filter(({ state }) => state === 'kept');
  setTimeout(() => {
    forget(done);
    sayQueue();
  }, KEPT_MS);
}

/** A button that has files chosen. */
function chooser(label, props, main) {
  const input = el('input', { type: 'file', hidden: true, onchange: () => { add(input.files); input.value = ''; }, ...props });
  return [el('button', { type: 'button', class: main ? 'main' : '', onclick: () => input.click() }, label), input];
}

const bringsFiles = ({ dataTransfer }) => [...dataTransfer?.types ?? []].includes('Files');
const drop = el('div', { class: 'drop', hidden: true, 'aria-hidden': 'true' }, t('Відпустіть, щоб додати', 'Drop to add'));

function hearDropAndPaste() {
  addEventListener('dragover', (event) => {
    if (!bringsFiles(event)) return;
    event.preventDefault();
    drop.hidden = false;
  });
  addEventListener('dragleave', ({ relatedTarget }) => { if (relatedTarget === null) drop.hidden = true; });
  addEventListener('drop', (event) => {
    if (!bringsFiles(event)) return;
    event.preventDefault();
    drop.hidden = true;
    const given = [...event.dataTransfer.items].filter(({ kind: what }) => what === 'file');
    const files = given.filter((item) => !item.webkitGetAsEntry?.()?.isDirectory).map((item) => item.getAsFile());
    if (files.length < given.length) toast(t('Теки не додаються: перетягніть самі файли', 'Folders cannot be added: drop the files themselves'));
    add(files.filter(Boolean));
  });
  addEventListener('paste', ({ clipboardData }) => {
    // Pictures out of the clipboard are all called alike.
    const named = (file) => (file.name === 'image.png' ? new File([file], `${wallNow().replace('T', ' ').replaceAll(':', '-')}.png`, { type: file.type }) : file);
    add([...clipboardData?.files ?? []].map(named));
  });
  addEventListener('beforeunload', (event) => { if (count('sending') + count('waiting') > 0) event.preventDefault(); });
}

// ---------------------------------------------------------------- the grid

const query = new URLSearchParams(location.search);
const filters = Object.fromEntries(['q', 'media_type', 'tag', 'from', 'to'].map((name) => [name, query.get(name) ?? '']));
const hint = el('p', { class: 'quiet grow' });
const albums = el('div', { class: 'tabs albums', role: 'group', 'aria-label': t('Альбоми', 'Albums') });
let numbers = new Map();

function set(changes) {
  Object.assign(filters, changes);
  const kept = Object.entries(filters).filter(([, value]) => value);
  history.replaceState(null, '', kept.length > 0 ? `?${new URLSearchParams(kept)}` : location.pathname);
  sayAlbums();
  shelf.reload();
}

/** Counts the tags of what is shown. While one album is open, the others stay as they were. */
function countAlbums(found) {
  if (!filters.tag || numbers.size === 0) {
    numbers = new Map();
    for (const tag of found.flatMap((item) => item.tags)) numbers.set(tag, (numbers.get(tag) ?? 0) + 1);
  }
  sayAlbums();
  albums.hidden = albums.children.length === 0;
}

/** Offers the albums. While nothing has been read their place is kept, so that nothing jumps. */
function sayAlbums() {
  const names = [...numbers.keys()].sort((one, other) => numbers.get(other) - numbers.get(one) || one.localeCompare(other)).slice(0, ALBUMS_MAX);
  if (filters.tag && !names.includes(filters.tag)) names.unshift(filters.tag);
  const button = (tag, label) => el('button', { type: 'button', class: 'tag', 'aria-pressed': String(filters.tag === tag), data: { tag }, onclick: () => set({ tag }) }, label);
  const held = albums.contains(document.activeElement) ? document.activeElement.dataset.tag : undefined;
  hint.textContent = filters.tag ? t(`Файли, які ви додасте, будуть в альбомі #${filters.tag}.`, `Files that you add go into the album #${filters.tag}.`)
    : t('Перетягніть файли сюди, вставте з буфера або оберіть.', 'Drop files here, paste them, or choose them.');
  albums.replaceChildren(...['', ...names].slice(names.length > 0 ? 0 : 1).map((name) => button(name, name === '' ? t('Усі альбоми', 'All albums') : [`#${name} `, el('span', { class: 'quiet number' }, numbers.get(name) ?? '')])));
  if (held !== undefined) [...albums.children].find(({ dataset }) => dataset.tag === held)?.focus();
}

/** What stands for a file that has no picture of itself here. */
const emblem = (item) => el('span', { class: 'emblem', 'aria-hidden': 'true' }, own(item.url) ? endingOf(item) : '↗',
  el('small', {}, TYPES.find(([type]) => is(item, type))?.[2] ?? item.media_type));

function tile(item) {
  const picture = own(item.thumbnail_url);
  return el('button', { type: 'button', class: 'tile', onclick: () => lightbox(item) },
    picture ? el('img', { src: picture, alt: '', width: 240, height: 240, loading: 'lazy', decoding: 'async' }) : emblem(item), el('span', { class: 'title' }, item.title));
}

const adders = () => [
  chooser(t('Додати файли', 'Add files'), { multiple: true }, true),
  // Where there is no camera at hand it would be the same as the other button.
  matchMedia('(pointer: coarse)').matches && chooser(t('Зняти', 'Take a picture'), { accept: 'image/*', capture: 'environment' }),
];

const shelf = records(items, {
  cards: true, label: t('Файли', 'Files'), query: () => filters, item: tile, read: countAlbums, lasting: true,
  none: () => (Object.values(filters).some(Boolean)
    ? empty(t('Нічого такого немає.', 'Nothing found.'), el('a', { class: 'button', href: '/gallery' }, t('Показати все', 'Show everything')))
    : empty(t('Тут будуть світлини, відео й документи родини. Перетягніть їх сюди або оберіть.', 'Your family’s pictures, videos and documents will be here. Drop them here, or choose them.'), adders())),
});
shelf.node.classList.add('shelf');

let timer;
let readAt = 0;
/** Has the list read again because something has come or changed, but not too often: each file that is sent is a request, too. */
function soon() {
  const calm = count('sending') > 0 ? SENDING_CALM_MS : CALM_MS * Math.ceil(shelf.records.length / 100);
  clearTimeout(timer);
  timer = setTimeout(() => {
    readAt = Date.now();
    shelf.reload();
  }, Math.max(0, readAt + calm - Date.now()));
}

// ---------------------------------------------------------------- one by one

const download = (item, label) => el('a', { class: 'button', href: item.url, download: nameOf(item) }, label);

/** Shows a file as what it is, and gives it to be saved where the browser cannot show it. */
function media(item) {
  const url = own(item.url);
  const saved = () => [emblem(item), download(item, t('Завантажити', 'Download'))];
  if (!url) {
    return [emblem(item), el('p', {}, t('Це лежить деінде, тому тут не показане.', 'This file is on another site, so it is not shown here.')),
      el('a', { class: 'button', href: item.url, target: '_blank', rel: 'noreferrer noopener' }, t('Відкрити там', 'Open the other site'))];
  }
  const onerror = ({ currentTarget }) => currentTarget.replaceWith(...saved());
  if (is(item, 'video')) return el('video', { src: url, controls: true, playsinline: true, preload: 'metadata', onerror });
  if (is(item, 'audio')) return el('audio', { src: url, controls: true, preload: 'metadata', onerror });
  if (is(item, 'photo') || is(item, 'image')) return el('img', { src: largeOf(item), alt: item.description ?? item.title, onerror });
  return item.mime_type === 'application/pdf' ? [saved(), el('a', { class: 'button', href: url, target: '_blank', rel: 'noopener' }, t('Відкрити', 'Open'))] : saved();
}

/** The large thumbnail of a picture, or the picture itself where it has none. */
const largeOf = (item) => (own(item.thumbnail_url)?.includes('size=small') ? item.thumbnail_url.replace('size=small', 'size=large') : own(item.url));

function lightbox(first) {
  let current = first;
  let from = null;
  const stage = el('div', { class: 'stage' });
  const about = el('div', { class: 'form' });
  const turn = (by, sign, label) => el('button', { type: 'button', class: 'icon', 'aria-label': label, onclick: () => go(by) }, sign);
  const [back, on] = [turn(-1, '‹', t('Попередній', 'Previous')), turn(1, '›', t('Наступний', 'Next'))];
  const box = dialog(first.title, [el('div', { class: 'turning' }, back, stage, on), about], {
    wide: true,
    closed: () => shelf.node.querySelector(`[data-id="${current.id}"] button`)?.focus(),
  });
  box.classList.add('lightbox');

  const at = () => shelf.records.findIndex(({ id }) => id === current.id);
  async function go(by) {
    const index = at();
    if (index + by === shelf.records.length) await shelf.more();
    const next = index >= 0 && shelf.records[index + by];
    if (next) draw(next);
  }
  function draw(item) {
    current = item;
    const index = at();
    box.querySelector('h2').textContent = item.title;
    stage.replaceChildren(...[media(item)].flat(2));
    about.replaceChildren(
      item.description ? el('p', { class: 'written' }, item.description) : '',
      el('p', { class: 'quiet small' }, [item.taken_at && say.moment(item.taken_at), endingOf(item), item.file_size && say.bytes(item.file_size),
        item.media_metadata?.width && `${item.media_metadata.width} × ${item.media_metadata.height}`].filter(Boolean).join(' · ')),
      tags(item.tags, (tag) => { box.close(); set({ tag }); }) || '',
      actions(item.title, {
        more: own(item.url) && [download(item, t('Завантажити', 'Download'))],
        change: () => items.edit(item, t('Змінити файл', 'Edit file'), FIELDS, changed),
        remove: () => { box.close(); items.remove(item, item.title, shelf.reload); },
      }));
    back.disabled = index <= 0;
    on.disabled = index < 0;
    // The next one is likely to be wanted.
    const next = shelf.records[index + 1];
    if (next && own(next.thumbnail_url)) new Image().src = largeOf(next);
  }
  async function changed() {
    shelf.reload();
    try { draw(await items.get(current.id)); } catch (problem) { complain(problem); }
  }

  box.addEventListener('keydown', (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || event.target.closest('video, audio, input, textarea') || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    go(by);
  });
  stage.addEventListener('touchstart', ({ touches, target }) => { from = touches.length === 1 && !target.closest('video, audio') ? touches[0] : null; }, { passive: true });
  stage.addEventListener('touchend', ({ changedTouches: [to] }) => {
    if (!from) return;
    const [x, y] = [to.clientX - from.clientX, to.clientY - from.clientY];
    from = null;
    if (Math.abs(x) > SWIPE_PX && Math.abs(x) > 2 * Math.abs(y)) go(x < 0 ? 1 : -1);
  });
  draw(first);
}

/** Opens the file that the address names behind `#`, as other pages link to it. */
async function openNamed() {
  const [, id] = /^#(\d+)$/.exec(location.hash) ?? [];
  if (id === undefined) return;
  try {
    lightbox(await items.get(id));
  } catch (problem) { complain(problem); }
}

// ---------------------------------------------------------------- the page

const day = (name, label) => {
  const input = el('input', { type: 'date', id: `on-${name}`, value: filters[name], onchange: () => set({ [name]: input.value }) });
  return el('div', { class: 'field' }, el('label', { for: input.id }, label), input);
};

show(
  el('div', { class: 'row between' }, hint, el('div', { class: 'row' }, adders())),
  queue,
  el('div', { class: 'row' }, el('div', { class: 'grow' }, search(t('Шукати у файлах', 'Search in files'), (q) => set({ q }), filters.q))),
  choice(t('Вид', 'Kind'), [['', t('Усе', 'All')], ...TYPES], filters.media_type, (type) => set({ media_type: type })),
  albums,
  el('details', { open: Boolean(filters.from || filters.to) }, el('summary', {}, t('За датою', 'By date')), el('div', { class: 'row sieve' }, day('from', t('Від', 'From')), day('to', t('До', 'To')))),
  shelf.node, drop,
);
hearDropAndPaste();
sayAlbums();
openNamed();
addEventListener('hashchange', openNamed);
follow(['gallery'], soon);
