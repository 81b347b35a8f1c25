// The legend of Ci: twenty knots of one circle, drawn, listed, and read one by one. Its texts are Ukrainian in either language.

import { Problem, ask, complain, counted, dialog, el, fill, loading, memory, say, show, svg, t, trouble } from './app.js';
import { choice } from './records.js';

/** The circle of the drawing, in its own units, and where names stand outside of it. */
const RADIUS = 150;
const KNOT = 16;
const NAMES = 178;
/** What of the drawing is seen: with names beside the circle, and without them on a narrow screen. */
const WIDE = '-265 -205 530 410';
const NARROW = '-176 -176 352 352';

const STATES = [['overview', t('Огляд', 'Overview')], ['immersion', t('Занурення', 'Immersion')], ['integration', t('Поєднання', 'Integration')]];
/** Texts of the legend: screen readers have to know their language. */
const uk = (tag, props, ...children) => el(tag, { lang: 'uk', ...props }, ...children);

const progress = memory('legend', { forGood: true });
const visited = new Set(progress.value?.visited ?? []);
let current = progress.value?.current ?? 1;
let state = progress.value?.state ?? 'overview';
const keep = () => { progress.value = { visited: [...visited], current, state }; };

/** Recommendations never change: each is asked for once. */
const known = new Map();
function recommended(id, how) {
  const key = `${id} ${how}`;
  if (!known.has(key)) {
    const asked = ask('GET', `/api/v1/ci/legend/navigation/${id}?state=${how}`).then(({ data }) => data.recommendations);
    asked.catch(() => known.delete(key));
    known.set(key, asked);
  }
  return known.get(key);
}

function legend(about, nodes) {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const sections = Object.entries(about.structure);
  if (!byId.has(current)) current = nodes[0].id;
  const nameOf = (node) => `${node.title}${visited.has(node.id) ? t(' (пройдено)', ' (visited)') : ''}`;
  const linkTo = (node, ...more) => uk('a', { href: `#${node.id}`, data: { knot: node.id } }, el('span', { 'aria-hidden': 'true' }, `${node.icon} `), node.title, more);

  // ------------------------------------------------ the drawing

  // A little room between sections, so that they are seen.
  const gaps = sections.length / 2;
  const step = (2 * Math.PI) / (nodes.length + gaps);
  const places = new Map();
  let turn = -Math.PI / 2;
  for (const [, ids] of sections) {
    for (const id of ids) {
      places.set(id, [Math.cos(turn), Math.sin(turn)]);
      turn += step;
    }
    turn += step / 2;
  }
  const lines = nodes.flatMap((node) => node.connections.filter((to) => node.id < to).map((to) => {
    const [[x1, y1], [x2, y2]] = [places.get(node.id), places.get(to)].map(([x, y]) => [x * RADIUS, y * RADIUS]);
    // Every line bends towards the middle, those of neighbours least.
    const bend = 1 - 0.6 * (Math.hypot(x2 - x1, y2 - y1) / (2 * RADIUS));
    const path = `M${x1.toFixed(1)} ${y1.toFixed(1)}Q${((x1 + x2) / 2 * bend).toFixed(1)} ${((y1 + y2) / 2 * bend).toFixed(1)} ${x2.toFixed(1)} ${y2.toFixed(1)}`;
    return { ends: [node.id, to], line: svg('path', { d: path, class: 'legend-line' }) };
  }));
  const knots = nodes.map((node) => {
    const [x, y] = places.get(node.id);
    const anchor = Math.abs(x) < 0.25 ? 'middle' : x < 0 ? 'end' : 'start';
    const link = svg('a', { href: `#${node.id}`, class: 'legend-knot', lang: 'uk' },
      svg('circle', { cx: (x * RADIUS).toFixed(1), cy: (y * RADIUS).toFixed(1), r: KNOT }),
      svg('text', { x: (x * RADIUS).toFixed(1), y: (y * RADIUS).toFixed(1), class: 'legend-icon', 'aria-hidden': 'true' }, node.icon),
      svg('text', { x: (x * NAMES).toFixed(1), y: (y * (NAMES + (anchor === 'middle' ? 6 : 0))).toFixed(1), 'text-anchor': anchor, class: 'legend-name', 'aria-hidden': 'true' }, node.title));
    return { node, link };
  });
  const drawing = svg('svg', { class: 'legend-drawing', role: 'group', 'aria-label': t('Коло легенди', 'The circle of the legend') }, lines.map(({ line }) => line), knots.map(({ link }) => link));
  const narrow = matchMedia('(max-width: 40rem)');
  const fit = () => {
    drawing.setAttribute('viewBox', narrow.matches ? NARROW : WIDE);
    drawing.classList.toggle('legend-narrow', narrow.matches);
  };
  narrow.addEventListener('change', fit);
  fit();

  /** Where threads come together, as the server says when it is asked for `integration`. */
  let junctions = new Set();
  /** What a state puts in front: everything, a knot with its neighbours, or where lines meet. */
  function inFront(id) {
    if (state === 'immersion') return id === current || byId.get(current).connections.includes(id);
    return state !== 'integration' || junctions.has(id);
  }
  function draw() {
    for (const { node, link } of knots) {
      link.setAttribute('aria-label', nameOf(node));
      link.classList.toggle('legend-dim', !inFront(node.id));
      link.classList.toggle('legend-visited', visited.has(node.id));
      link.classList.toggle('legend-current', node.id === current);
    }
    for (const { ends, line } of lines) {
      const lit = state === 'immersion' ? ends.includes(current) : state === 'integration' && ends.some(inFront);
      line.classList.toggle('legend-lit', lit);
      line.classList.toggle('legend-dim', state !== 'overview' && !lit);
    }
    bar.value = visited.size;
    share.textContent = t(`Пройдено ${say.number((visited.size / nodes.length) * 100)} %: `, `Visited ${say.number((visited.size / nodes.length) * 100)}%: `)
      + counted(visited.size, ['вузол', 'вузли', 'вузлів'], ['knot', 'knots']) + t(` із ${nodes.length}`, ` of ${nodes.length}`);
    over.hidden = visited.size === 0;
    for (const mark of index.querySelectorAll('[data-mark]')) mark.hidden = !visited.has(Number(mark.dataset.mark));
  }

  // ------------------------------------------------ what stands beside it

  const share = el('span', { id: 'legend-share' });
  const bar = el('progress', { max: nodes.length, 'aria-labelledby': 'legend-share' });
  const over = el('button', { type: 'button', onclick: () => { visited.clear(); keep(); draw(); } }, t('Пройти спочатку', 'Start over'));
  const meaning = uk('p', { class: 'quiet' });
  const next = el('div', { class: 'row' });
  async function choose(chosen) {
    state = chosen;
    keep();
    draw();
    meaning.textContent = about.states[state] ?? '';
    try {
      const found = await ways(current, chosen);
      // Somebody may have gone on meanwhile.
      if (state !== chosen) return;
      next.replaceChildren(...found);
      draw();
    } catch (problem) {
      next.replaceChildren();
      complain(problem);
    }
  }
  /** Where one may go on from a knot. */
  async function ways(id, how) {
    const found = await recommended(id, how);
    if (how === 'integration') junctions = new Set(found.map((node) => node.id));
    if (found.length === 0) return [];
    return [el('span', { class: 'quiet' }, how === 'immersion' ? t('Близькі вузли:', 'Nearby knots:') : how === 'integration' ? t('Де сходяться нитки:', 'Where threads meet:') : t('Звідки почати:', 'Where to begin:')),
      ...found.map((node) => uk('a', { class: 'tag', href: `#${node.id}` }, `${node.icon} ${node.title}`))];
  }
  const index = el('section', { class: 'form legend-index', 'aria-labelledby': 'index' }, el('h2', { id: 'index' }, t('Усі вузли', 'All knots')),
    el('div', { class: 'cards' }, sections.map(([title, ids]) => el('section', { class: 'card' }, uk('h3', {}, title),
      el('ul', { class: 'lines' }, ids.map((id) => byId.get(id)).map((node) => el('li', {}, linkTo(node), ' ',
        el('span', { data: { mark: node.id }, class: 'legend-done small' }, t('✓ пройдено', '✓ visited')), uk('p', { class: 'quiet small' }, node.short_text))))))));

  // ------------------------------------------------ one knot

  let box;
  function read(node) {
    current = node.id;
    visited.add(node.id);
    keep();
    choose(state);
    const at = nodes.indexOf(node);
    const beside = (by) => nodes[(at + by + nodes.length) % nodes.length];
    box ??= dialog('', [], { closed: () => {
      box = undefined;
      history.replaceState(null, '', location.pathname);
    } });
    const heading = box.querySelector('h2');
    heading.replaceChildren(el('span', { 'aria-hidden': 'true' }, `${node.icon} `), node.title);
    heading.lang = 'uk';
    const onward = el('div', { class: 'row' });
    box.querySelector('.body').replaceChildren(
      uk('p', { class: 'quiet' }, node.short_text), uk('p', { class: 'reading' }, node.deep_text),
      uk('p', { class: 'quiet small' }, `${node.visual_hint}; ${node.motion_scenario}`),
      el('ul', { class: 'tags', 'aria-label': t('Теги', 'Tags') }, node.tags.map((tag) => el('li', {}, uk('span', { class: 'tag' }, `#${tag}`)))),
      el('h3', {}, t('З’єднання', 'Connections')),
      el('ul', { class: 'lines' }, node.connections.map((id) => byId.get(id)).map((other) => el('li', {}, linkTo(other), ' ', uk('span', { class: 'quiet small' }, other.short_text)))),
      onward,
      el('div', { class: 'row between' }, [[-1, '‹ '], [1, '']].map(([by, before]) =>
        uk('a', { class: 'button', href: `#${beside(by).id}` }, `${before}${beside(by).title}${by > 0 ? ' ›' : ''}`))));
    ways(node.id, state).then((found) => onward.replaceChildren(...found), complain);
    box.scrollTop = 0;
    heading.tabIndex = -1;
    heading.focus();
  }
  function hear() {
    const node = byId.get(Number(location.hash.slice(1)));
    if (node) read(node);
    else box?.close();
  }
  addEventListener('hashchange', hear);

  // ------------------------------------------------ what else there is

  const banks = el('details', {}, uk('summary', {}, 'Два береги'));
  const parts = uk('div', { class: 'form' });
  banks.append(parts);
  banks.addEventListener('toggle', () => {
    if (banks.open && parts.childElementCount === 0) fill(parts, async () => {
      const { data } = await ask('GET', '/api/v1/ci/legend/duality');
      return [el('p', { class: 'quiet' }, data.subtitle), data.sections.map((part) => el('section', {}, el('h2', {}, `${part.icon} ${part.title}`), el('p', {}, part.content)))];
    });
  });

  show(
    uk('p', { class: 'quiet' }, about.subtitle),
    el('div', { class: 'row between' }, choice(t('Як читати', 'How to read'), STATES, state, choose), el('div', { class: 'row legend-progress' }, share, bar, over)),
    meaning, drawing, next, index, banks,
    el('section', { class: 'form', 'aria-labelledby': 'ways' }, el('h2', { id: 'ways' }, t('Як тут ходити', 'How to walk here')), uk('ul', {}, about.interaction_principles.map((text) => el('li', {}, text)))),
    el('p', {}, el('a', { href: '/ci' }, t('До поля Ci', 'To the box of Ci'))),
  );
  choose(state);
  hear();
}

async function begin() {
  show(loading());
  try {
    const [{ data: about }, { data: { nodes } }] = await Promise.all(['', '/nodes'].map((part) => ask('GET', `/api/v1/ci/legend${part}`)));
    legend(about, nodes);
  } catch (problem) {
    if (!(problem instanceof Problem)) console.error(problem);
    show(trouble(problem, begin));
  }
}
begin();
