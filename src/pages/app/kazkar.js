// The library of stories, the reader of one, and the legends with the scene in which one is told.

import { ask, counted, dialog, el, empty, fill, live, loading, say, show, t, trouble, view } from './app.js';
import { actions, begun, choice, edit, follow, kind, placeOf, records, search, tags } from './records.js';

const stories = kind('kazkar', 'stories');

const TYPES = [['memory', t('Спогад', 'Memory')], ['legend', t('Легенда', 'Legend')], ['story', t('Історія', 'Story')], ['event', t('Подія', 'Event')]];
const typeName = (type) => TYPES.find(([key]) => key === type)?.[1] ?? type ?? t('Без виду', 'No kind');

const FIELDS = [
  { name: 'title', label: t('Назва', 'Title'), required: true },
  { name: 'content', label: t('Текст', 'Text'), kind: 'area', rows: 10, required: true },
  { name: 'story_type', label: t('Вид', 'Kind'), kind: 'choice', options: [['', t('Без виду', 'No kind')], ...TYPES] },
  { name: 'participants', label: t('Хто', 'Who'), kind: 'list', hint: t('Імена через кому', 'Names, separated by commas') },
  { name: 'location', label: t('Де', 'Where') },
  { name: 'tags', label: t('Теги', 'Tags'), kind: 'list', hint: t('Через кому', 'Separated by commas') },
];

const excerpt = (text) => (text.length > 400 ? `${text.slice(0, 400)}…` : text);

function about(story) {
  return el('p', { class: 'quiet small' }, [
    typeName(story.story_type), story.location, story.participants?.join(', '), say.written(story.time),
  ].filter(Boolean).join(' · '));
}

const edited = (story, changed) => stories.edit(story, t('Змінити історію', 'Edit story'), FIELDS, changed);

// ---------------------------------------------------------------- the library

function library() {
  const query = new URLSearchParams(location.search);
  const filters = Object.fromEntries(['q', 'story_type', 'tag', 'person', 'place'].map((name) => [name, query.get(name) ?? '']));
  const figures = el('div', { class: 'stats' });
  const index = el('div', { class: 'form' });
  const held = el('div', { class: 'row' });

  const set = (changes) => {
    Object.assign(filters, changes);
    const kept = Object.entries(filters).filter(([, value]) => value);
    history.replaceState(null, '', kept.length ? `?${new URLSearchParams(kept)}` : location.pathname);
    sayHeld();
    shelf.reload();
  };
  function sayHeld() {
    const label = { tag: '#', person: t('Хто: ', 'Who: '), place: t('Де: ', 'Where: ') };
    held.replaceChildren(...Object.keys(label).filter((name) => filters[name]).map((name) =>
      el('button', { type: 'button', class: 'tag', onclick: () => set({ [name]: '' }) }, `${label[name]}${filters[name]} ✕`)));
  }
  const shelf = records(stories, {
    cards: true, label: t('Історії', 'Stories'), query: () => filters,
    item: (story) => el('article', { class: 'card' },
      el('h2', {}, el('a', { href: `/kazkar/${story.id}` }, story.title)), about(story),
      el('p', { class: 'clip' }, excerpt(story.content)), tags(story.tags, (tag) => set({ tag }))),
    none: () => (Object.values(filters).some(Boolean)
      ? empty(t('Нічого такого немає.', 'Nothing found.'), el('button', { type: 'button', onclick: () => location.assign('/kazkar') }, t('Показати все', 'Show everything')))
      : empty(t('Тут зберігатимуться історії родини. Запишіть першу: кілька речень досить.', 'Your family’s stories will be here. Write the first one: a few sentences are enough.'), writer())),
  });
  const writer = () => el('button', { class: 'main', type: 'button', onclick: write }, t('Написати історію', 'Write a story'));
  const write = () => edit(t('Нова історія', 'New story'), FIELDS, {}, async (body) => {
    const story = await stories.create(body);
    location.assign(`/kazkar/${story.id}`);
  }, { submit: t('Зберегти', 'Save') });

  async function sayFigures() {
    try {
      const { data } = await ask('GET', '/api/v1/kazkar/stats');
      figures.replaceChildren(el('div', {}, el('strong', {}, say.number(data.total_stories)), t('усього', 'in total')),
        ...Object.entries(data.by_type).map(([type, number]) =>
          el('div', {}, el('strong', {}, say.number(number)), type === 'unknown' ? typeName(null) : typeName(type))));
    } catch { figures.replaceChildren(); }
  }
  const people = el('details', {}, el('summary', {}, t('Люди, місця і цей день у минулому', 'People, places, and this day in other years')), index);
  people.addEventListener('toggle', () => {
    if (people.open) fill(index, async () => {
      const [who, where, then] = await Promise.all(['people', 'places', 'on-this-day'].map((name) => ask('GET', `/api/v1/kazkar/${name}`)));
      const names = (found, filter) => (found.length > 0
        ? found.map(({ name, stories: number }) => el('button', { type: 'button', class: 'tag', onclick: () => set({ [filter]: name }) }, `${name} (${number})`))
        : el('p', { class: 'quiet' }, t('Поки нікого й нічого.', 'None yet.')));
      return [
        el('h2', {}, t('Люди', 'People')), el('div', { class: 'row' }, names(who.data, 'person')),
        el('h2', {}, t('Місця', 'Places')), el('div', { class: 'row' }, names(where.data, 'place')),
        el('h2', {}, t('Цього дня', 'On this day')), then.data.length > 0
          ? el('ul', { class: 'lines' }, then.data.map((story) => el('li', {}, el('a', { href: `/kazkar/${story.id}` }, story.title), ' ', el('span', { class: 'quiet' }, story.time.slice(0, 4)))))
          : el('p', { class: 'quiet' }, t('У минулі роки цього дня нічого не записано.', 'Nothing from this day in other years.')),
      ];
    });
  });

  show(
    el('div', { class: 'row between' }, figures, el('div', { class: 'row' }, el('a', { class: 'button', href: '/kazkar/legends' }, t('Легенди', 'Legends')), writer())),
    el('div', { class: 'row' }, el('div', { class: 'grow' }, search(t('Шукати в історіях', 'Search in stories'), (q) => set({ q }), filters.q))),
    choice(t('Вид', 'Kind'), [['', t('Усі', 'All')], ...TYPES], filters.story_type, (type) => set({ story_type: type })),
    held, people, shelf.node,
  );
  sayHeld();
  sayFigures();
  begun(write);
  follow(['kazkar'], () => { shelf.reload(); sayFigures(); });
}

// ---------------------------------------------------------------- one story

function reader(id) {
  const heading = document.querySelector('h1');
  const read = () => fill(view, async () => {
    const [story, { data: { links } }] = await Promise.all([stories.get(id), ask('GET', `${stories.path}/${id}/links`)]);
    heading.textContent = story.title;
    document.title = `${story.title} · inkring`;
    return [
      about(story),
      el('article', { class: 'reading' }, story.content.split(/\n{2,}/).map((part) => el('p', {}, part))),
      tags(story.tags, (tag) => location.assign(`/kazkar?${new URLSearchParams({ tag })}`)),
      links.length > 0 && el('section', { class: 'card unprinted' }, el('h2', {}, t('Пов’язане', 'Linked')),
        el('ul', { class: 'lines' }, links.map(({ record, kind: how }) => el('li', {}, el('a', { href: placeOf(record) }, record.title), ' ', el('span', { class: 'quiet small' }, how))))),
      actions(story.title, {
        more: [el('button', { type: 'button', onclick: () => print() }, t('Надрукувати', 'Print'))],
        change: () => edited(story, read),
        remove: () => stories.remove(story, story.title, () => read()),
      }),
      el('p', { class: 'unprinted' }, el('a', { href: '/kazkar' }, t('До всіх історій', 'All stories'))),
    ];
  });
  read();
  follow(['kazkar'], read);
}

// ---------------------------------------------------------------- legends

function legends() {
  let all = [];
  let q = '';
  let tag = '';
  const figures = el('p', { class: 'quiet', role: 'status' });
  const senses = el('div', {});
  const grid = el('ul', { class: 'cards' });
  const place = el('div', { class: 'form' }, loading());

  const write = () => edit(t('Нова легенда', 'New legend'), FIELDS, { story_type: 'legend' }, async (body) => {
    await stories.create(body);
    read();
  });
  const button = () => el('button', { class: 'main', type: 'button', onclick: write }, t('Розповісти легенду', 'Tell a legend'));

  async function read() {
    try {
      const found = [];
      for (let total = 1; found.length < total && found.length < 1000;) {
        const { data, headers } = await ask('GET', `/api/v1/kazkar/legends?order=desc&skip=${found.length}&limit=100`);
        total = Number(headers.get('X-Total-Count') ?? data.length);
        found.push(...data);
        if (data.length === 0) break;
      }
      all = found;
      draw();
    } catch (problem) { place.replaceChildren(trouble(problem, read)); }
  }
  function draw() {
    const names = [...new Set(all.flatMap((legend) => legend.tags))].sort((a, b) => a.localeCompare(b));
    senses.replaceChildren(choice(t('Теги', 'Tags'), [['', t('Усі', 'All')], ...names.slice(0, 30).map((name) => [name, `#${name}`])], tag, (name) => { tag = name; sift(); }));
    place.replaceChildren(figures, senses, grid);
    sift();
  }
  function sift() {
    const words = q.toLocaleLowerCase();
    const found = all.filter((legend) => (!tag || legend.tags.includes(tag)) && `${legend.title} ${legend.content} ${legend.tags.join(' ')}`.toLocaleLowerCase().includes(words));
    figures.textContent = `${counted(found.length, ['легенда', 'легенди', 'легенд'], ['legend', 'legends'])} · ${counted(new Set(all.flatMap(({ tags: of }) => of)).size, ['тег', 'теги', 'тегів'], ['tag', 'tags'])}`;
    grid.replaceChildren(...found.map((legend) => el('li', { data: { id: legend.id } }, el('article', { class: 'card' },
      el('h2', {}, el('button', { class: 'plain', type: 'button', onclick: () => scene(legend) }, legend.title)), about(legend),
      el('p', { class: 'clip' }, excerpt(legend.content)), tags(legend.tags),
      actions(legend.title, { change: () => edited(legend, read), remove: () => stories.remove(legend, legend.title, read) })))));
    if (all.length === 0) place.replaceChildren(empty(t('Легенд ще немає. Перша може бути з трьох речень.', 'There are no legends yet. Three sentences are enough for the first.'), button()));
  }

  show(
    el('div', { class: 'row between' }, el('p', { class: 'quiet' }, t('Нові легенди з’являються самі', 'New legends appear automatically')), button()),
    search(t('Шукати в легендах', 'Search in legends'), (text) => { q = text; sift(); }),
    place,
  );
  read();
  live('/ws/kazkar', (message) => {
    if (/^legend|^again$/.test(message.event)) read();
  });
}

/** One legend, told: it fades in, its tags are its senses, and those who want breathe with it and hear a quiet tone. */
function scene(legend) {
  const text = el('div', { class: 'reading' }, legend.content.split(/\n{2,}/).map((part) => el('p', {}, part)));
  const breath = el('div', { class: 'breath', 'aria-hidden': 'true' });
  const place = el('div', { class: 'scene' }, breath, text);
  let tone;
  const ritual = el('button', { type: 'button', 'aria-pressed': 'false', onclick: () => {
    const on = place.classList.toggle('ritual');
    ritual.setAttribute('aria-pressed', String(on));
  } }, t('Дихати разом', 'Breathe together'));
  const volume = el('input', { type: 'range', min: 0, max: 100, value: 30, 'aria-label': t('Гучність', 'Volume'), hidden: true, oninput: () => tone?.loud(volume.value / 100) });
  const sound = el('button', { type: 'button', 'aria-pressed': 'false', onclick: () => {
    tone = tone ? tone.end() : hum(volume.value / 100);
    volume.hidden = !tone;
    sound.setAttribute('aria-pressed', String(Boolean(tone)));
  } }, t('Звук', 'Audio'));
  const senses = legend.tags.length > 0 && el('div', { class: 'tabs', role: 'group', 'aria-label': t('Відчуття', 'Senses') }, legend.tags.map((name) =>
    el('button', { type: 'button', class: 'tag', 'aria-pressed': 'false', onclick: ({ currentTarget }) => {
      const on = currentTarget.getAttribute('aria-pressed') !== 'true';
      currentTarget.setAttribute('aria-pressed', String(on));
      place.classList.toggle('sensed', Boolean(currentTarget.parentNode.querySelector('[aria-pressed=true]')));
    } }, `#${name}`)));
  dialog(legend.title, [about(legend), senses, place, el('div', { class: 'row' }, ritual, sound, volume,
    el('a', { class: 'button', href: `/kazkar/${legend.id}` }, t('Читати й друкувати', 'Read and print')))], { wide: true, closed: () => tone?.end() });
}

/** A low tone that swells and fades, made here. */
function hum(loudness) {
  const context = new AudioContext();
  const gain = new GainNode(context, { gain: 0 });
  const voices = [110, 165, 220.5].map((frequency) => new OscillatorNode(context, { type: 'sine', frequency }));
  const swell = new OscillatorNode(context, { frequency: 0.1 });
  const depth = new GainNode(context, { gain: 0.02 });
  swell.connect(depth).connect(gain.gain);
  voices.forEach((voice) => { voice.connect(gain); voice.start(); });
  gain.connect(context.destination);
  swell.start();
  const loud = (value) => gain.gain.setTargetAtTime(value * 0.12, context.currentTime, 0.6);
  loud(loudness);
  return {
    loud,
    end() {
      gain.gain.setTargetAtTime(0, context.currentTime, 0.15);
      setTimeout(() => context.close(), 600);
    },
  };
}

const [, , below] = location.pathname.replace(/\/$/, '').split('/');
if (below === undefined) library();
else if (below === 'legends') legends();
else if (/^\d+$/.test(below)) reader(below);
else show(empty(t('Такої історії немає.', 'There is no such story.'), el('a', { class: 'button', href: '/kazkar' }, t('До всіх історій', 'All stories'))));
