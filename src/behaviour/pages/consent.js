// What a visitor allows: `window.consent`, the banner that asks, and the links to both at the foot of the page.
(() => {
  'use strict';
  const KEY = 'consent.v1';
  const DECLINED = { analytics: false, marketing: false, calendly: false };
  const server = new URL('..', document.currentScript.src).href;
  /** What was chosen where storage is blocked: for as long as the page is there. */
  let unstored = null;

  const WORDS = {
    en: {
      title: 'Your privacy',
      text: 'May this site count your visits under a random code, without cookies, and use what it has for marketing and '
        + 'for booking appointments? You can change your mind at any time.',
      accept: 'Accept all',
      decline: 'Decline all',
      manage: 'Manage privacy',
      settings: 'Privacy settings',
    },
    uk: {
      title: 'Ваша приватність',
      text: 'Чи можна цьому сайту рахувати ваші відвідини під випадковим кодом, без файлів cookie, і користуватися тим, що він '
        + 'має для маркетингу й запису на зустріч? Ви можете передумати будь-коли.',
      accept: 'Дозволити все',
      decline: 'Відхилити все',
      manage: 'Керувати приватністю',
      settings: 'Налаштування приватності',
    },
  };
  const words = () => WORDS[(document.documentElement.lang || navigator.language).startsWith('uk') ? 'uk' : 'en'];

  /** Whether the browser says for its person that nobody is to be counted. */
  const hasPrivacySignal = () => navigator.doNotTrack === '1' || navigator.globalPrivacyControl === true;

  function read() {
    try {
      return JSON.parse(localStorage.getItem(KEY));
    } catch {
      return null;
    }
  }

  /** What is chosen, or null. A browser that says so has declined whatever was not allowed by hand, and analytics always. */
  function get() {
    const chosen = read() ?? unstored;
    return hasPrivacySignal() ? { ...DECLINED, ...chosen, analytics: false } : chosen;
  }

  function set(choice) {
    const known = { ...DECLINED, ...get(), ...choice };
    const chosen = Object.fromEntries(Object.keys(DECLINED).map((key) => [key, known[key] === true]));
    unstored = { ...chosen, timestamp: Date.now() };
    try {
      localStorage.setItem(KEY, JSON.stringify(unstored));
    } catch {
      // It holds for this page then.
    }
    announce(chosen);
  }

  function clear() {
    unstored = null;
    try {
      localStorage.removeItem(KEY);
    } catch {
      // Nothing was stored.
    }
    announce(null);
  }

  /** The whole of it, and each part. That there is no choice any more is nothing that anybody has allowed. */
  function announce(chosen) {
    document.dispatchEvent(new CustomEvent('consent:change', { detail: chosen }));
    for (const [key, value] of Object.entries(chosen ?? {})) {
      window.dispatchEvent(new CustomEvent('consent:changed', { detail: { key, value } }));
    }
  }

  /** Calls back with `{ key, value }` for each change; returns what ends it. */
  function onChanged(call) {
    const listener = ({ detail }) => call(detail);
    window.addEventListener('consent:changed', listener);
    return () => window.removeEventListener('consent:changed', listener);
  }

  /** An element with these properties and styles: a page's policy forbids styles that are text, and not these. */
  function element(name, properties, style) {
    const made = Object.assign(document.createElement(name), properties);
    Object.assign(made.style, style);
    return made;
  }

  /** Asks. What was chosen before holds until there is an answer. */
  function showBanner() {
    document.getElementById('consent-banner')?.remove();
    const { title, text, accept, decline, settings } = words();
    const banner = element('div', { id: 'consent-banner', tabIndex: -1 }, {
      position: 'fixed', left: '0', right: '0', bottom: '0', zIndex: '9999', padding: '16px', boxSizing: 'border-box',
      maxHeight: '100%', overflow: 'auto', borderTop: '2px solid currentColor', background: 'Canvas', color: 'CanvasText',
      font: '16px/1.45 system-ui, sans-serif',
    });
    banner.setAttribute('role', 'dialog');
    banner.setAttribute('aria-labelledby', 'consent-title');
    banner.setAttribute('aria-describedby', 'consent-description');
    const answer = (label, allowed) => {
      const button = element('button', { type: 'button', textContent: label }, {
        font: 'inherit', padding: '8px 16px', margin: '8px 8px 0 0', cursor: 'pointer',
      });
      button.addEventListener('click', () => {
        banner.remove();
        set({ analytics: allowed, marketing: allowed, calendly: allowed });
      });
      return button;
    };
    const description = element('p', { id: 'consent-description', textContent: `${text} ` }, { margin: '0' });
    description.append(element('a', { href: `${server}privacy.html`, textContent: settings }, { color: 'LinkText' }));
    banner.append(
      element('p', { id: 'consent-title', textContent: title }, { margin: '0 0 4px', fontWeight: '600' }),
      description,
      answer(decline, false),
      answer(accept, true),
    );
    document.body.append(banner);
    // The end of the page is above it and not below, whatever its height; once it is gone, it has none.
    const makeRoom = () => (document.documentElement.style.paddingBottom = `${banner.offsetHeight}px`);
    new ResizeObserver(makeRoom).observe(banner);
    return banner;
  }

  function addLinks() {
    if (document.querySelector('[data-testid="manage-privacy"]')) return;
    let footer = document.querySelector('footer.site-footer') ?? document.querySelector('footer');
    if (!footer) {
      footer = element('footer', { className: 'site-footer' }, { padding: '16px', textAlign: 'center' });
      document.body.append(footer);
    }
    const { manage, settings } = words();
    const asks = element('a', { href: '#consent-banner', textContent: manage });
    asks.dataset.testid = 'manage-privacy';
    asks.addEventListener('click', (event) => {
      event.preventDefault();
      showBanner().focus();
    });
    const leads = element('a', { href: `${server}privacy.html`, textContent: settings });
    leads.dataset.testid = 'privacy-link';
    const row = element('p');
    row.append(asks, ' · ', leads);
    footer.append(row);
  }

  /** Asks by itself where nothing may be counted before there is an answer. */
  async function askIfNeeded() {
    const answer = await fetch(`${server}api/metrics/config`, { credentials: 'omit' });
    const { consent } = await answer.json();
    if (consent === 'opt-in' && !get()) showBanner();
  }

  function begin() {
    addLinks();
    askIfNeeded().catch(() => {});
  }

  window.consent = { get, set, clear, hasPrivacySignal, showBanner, onChanged, ready: Promise.resolve() };
  window.dispatchEvent(new Event('consent:ready'));
  // Behind all scripts of the page: one of them may choose the language.
  if (document.readyState === 'complete') begin();
  else window.addEventListener('load', begin);
})();
