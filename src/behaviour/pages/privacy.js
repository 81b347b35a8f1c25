// The page about privacy: switches for what `window.consent` knows, and the figures by which the server goes.
(() => {
  'use strict';
  const SAID_MS = 3000;
  const LEAVES_MS = 2000;
  const KEYS = ['analytics', 'marketing', 'calendly'];
  const WORDS = {
    en: {
      saved: '✓ Preferences saved',
      cleared: 'Preferences cleared; you are taken to the start',
      never: 'never',
      'opt-out': 'you are counted',
      'opt-in': 'you are not counted',
    },
    uk: {
      saved: '✓ Налаштування збережено',
      cleared: 'Налаштування скинуто; переходимо на початок',
      never: 'ніколи',
      'opt-out': 'вас рахують',
      'opt-in': 'вас не рахують',
    },
  };
  const server = new URL('..', document.currentScript.src).href;
  const asked = new URLSearchParams(location.search).get('lang');
  const language = (WORDS[asked] ? asked : navigator.language).startsWith('uk') ? 'uk' : 'en';
  const status = document.getElementById('status');
  const box = (key) => document.getElementById(`chk-${key}`);
  let policy = null;
  let timer;

  function translate() {
    document.documentElement.lang = language;
    for (const article of document.querySelectorAll('[data-article]')) article.hidden = article.lang !== language;
    if (language !== 'uk') return;
    for (const element of document.querySelectorAll('[data-uk]')) element.textContent = element.dataset.uk;
    document.title = document.querySelector('h1').textContent;
  }

  /** Puts the switches as they stand. What was not chosen yet is what the server does until then. */
  function sync() {
    const chosen = window.consent.get() ?? { analytics: policy === 'opt-out' };
    for (const key of KEYS) box(key).checked = chosen[key] === true;
    document.getElementById('signal').hidden = !window.consent.hasPrivacySignal();
    box('analytics').disabled = window.consent.hasPrivacySignal();
    document.getElementById('visitor').textContent = stored() ?? '—';
  }

  /** The visitor's code, as far as there is one already. */
  function stored() {
    try {
      return localStorage.getItem('visitor_id');
    } catch {
      return null;
    }
  }

  function forget() {
    try {
      localStorage.removeItem('visitor_id');
    } catch {
      // There is none.
    }
  }

  function show(config) {
    const part = (rate) => rate.toLocaleString(language, { style: 'percent', maximumFractionDigits: 2 });
    const days = (count) =>
      count === null
        ? WORDS[language].never
        : count.toLocaleString(language, { style: 'unit', unit: 'day', unitDisplay: 'long' });
    const figures = {
      sent: part(config.sample_rate),
      stored: part(config.server_sample_rate),
      gzip: days(config.gzip_after_days),
      keep: days(config.retention_days),
      consent: WORDS[language][config.consent],
    };
    for (const cell of document.querySelectorAll('[data-figure]')) cell.textContent = figures[cell.dataset.figure];
  }

  function say(text) {
    clearTimeout(timer);
    status.textContent = text;
  }

  function save(event) {
    event.preventDefault();
    window.consent.set(Object.fromEntries(KEYS.map((key) => [key, box(key).checked])));
    say(WORDS[language].saved);
    timer = setTimeout(() => say(''), SAID_MS);
  }

  function reset() {
    window.consent.clear();
    forget();
    sync();
    say(WORDS[language].cleared);
    timer = setTimeout(() => location.assign('/'), LEAVES_MS);
  }

  async function begin() {
    translate();
    sync();
    document.querySelector('form').addEventListener('submit', save);
    document.querySelector('[data-testid="privacy-reset"]').addEventListener('click', reset);
    window.addEventListener('consent:changed', sync);
    try {
      const answer = await fetch(`${server}api/metrics/config`, { credentials: 'omit' });
      const config = await answer.json();
      policy = config.consent;
      show(config);
      sync();
    } catch {
      // The figures stay dashes.
    }
    window.__privacyPageReady = true;
  }

  begin();
})();
