// How to use this: docs/BEHAVIOUR_METRICS.md.
(() => {
  'use strict';
  const server = new URL('..', document.currentScript.src).href;
  const EVENTS = 'api/metrics/event';
  const BATCH = 20;
  const WAIT_MS = 2000;
  const waiting = [];
  let config, settings, visitor, timer;

  // Storage that is blocked throws.
  const attempt = (act) => { try { return act(); } catch {} };
  const stored = (key) => attempt(() => localStorage.getItem(key));

  async function ask(path, options) {
    const answer = await fetch(server + path, { credentials: 'omit', ...options });
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    return answer.json();
  }
  // As text: a browser asks before it sends JSON, which a beacon cannot wait for.
  const post = (body) => ask(EVENTS, { method: 'POST', body, keepalive: true });
  const fetchSnapshot = (limit = 50) => ask(`api/metrics/behavior?limit=${limit}`);

  function visitorId() {
    visitor = stored('visitor_id') ?? visitor;
    if (!(visitor?.length > 5)) {
      visitor = `v-${Math.random().toString(36).slice(2, 13)}-${Date.now().toString(36)}`;
      attempt(() => localStorage.setItem('visitor_id', visitor));
    }
    return visitor;
  }

  function isAllowed() {
    if (navigator.doNotTrack === '1' || navigator.globalPrivacyControl) return false;
    const choice = attempt(() => window.consent?.get?.() ?? JSON.parse(stored('consent.v1')));
    return choice ? choice.analytics === true : settings.consent === 'opt-out';
  }

  // The event as it is sent, or an answer without one.
  async function judge({ visitor_id, event, timestamp = new Date(), metadata = {} }) {
    settings = await (config ??= ask('api/metrics/config'));
    if (!isAllowed()) return { ok: true, optedOut: true };
    if (Math.random() >= settings.sample_rate) return { ok: true, sampledOut: true };
    return { visitor_id: visitor_id ?? visitorId(), event, timestamp, metadata };
  }

  async function sendEvent(event) {
    const judged = await judge(event);
    return judged.ok ? judged : post(JSON.stringify(judged));
  }

  // What happens by itself is sent together, at the latest with the end of the page.
  async function note(event, metadata) {
    const judged = await judge({ event, metadata }).catch(() => ({ ok: true }));
    if (judged.ok) return judged;
    timer ??= setTimeout(flush, WAIT_MS);
    if (waiting.push(judged) >= BATCH) flush();
  }

  function flush() {
    timer = clearTimeout(timer);
    const events = waiting.splice(0);
    if (!events.length || !isAllowed()) return;
    const body = JSON.stringify(events);
    if (!attempt(() => navigator.sendBeacon(server + EVENTS, body))) post(body).catch(() => {});
  }

  // Without query and fragment, which may hold anything.
  function place({ origin, pathname }) {
    const path = attempt(() => decodeURI(pathname)) ?? pathname;
    return [...(origin === location.origin ? path : origin + path)].slice(0, 500).join('');
  }

  async function view() {
    const from = attempt(() => new URL(document.referrer).host);
    const referrer = from === location.host ? undefined : from;
    const answer = await note('page_view', { path: place(location), referrer });
    if (answer?.optedOut) addEventListener('consent:changed', view, { once: true });
  }

  function click({ target }) {
    const href = target.closest?.('a[href]')?.getAttribute('href');
    const url = href && href[0] !== '#' && attempt(() => new URL(href, document.baseURI));
    if (/^http/.test(url?.protocol)) note('link_click', { href: place(url) });
  }

  function start() {
    view();
    addEventListener('click', click, true);
    addEventListener('visibilitychange', flush);
    if (stored('dev_unlocked') !== '1' && !/[?&]dev=/.test(location.search)) return;
    const src = server + 'static/metrics-badge.js';
    document.head.append(Object.assign(document.createElement('script'), { src }));
  }

  window.inkringMetrics = { sendEvent, fetchSnapshot, visitorId };
  if (document.prerendering) document.addEventListener('prerenderingchange', start);
  else start();
})();
