// The switch `?dev=1` and `?dev=0`, and what it shows: a badge with the last events. It is a convenience and no lock; who may see
// what is the server's to say.
(() => {
  'use strict';
  const UNLOCKED = 'dev_unlocked';
  const LOOK_MS = 1000;
  const POLL_MS = 5000;
  const JITTER_MS = 500;
  const EVENTS = 10;
  const { sendEvent, fetchSnapshot } = window.inkringMetrics;
  const server = new URL('..', document.currentScript.src).href;
  const pill = document.createElement('span');

  const isUnlocked = () => {
    try {
      return localStorage.getItem(UNLOCKED) === '1';
    } catch {
      return false;
    }
  };

  /** Does what the address of the page says. Without it nothing changes. */
  function heed() {
    const wish = new URLSearchParams(location.search).get('dev');
    try {
      if (wish === '1' || wish === 'true') {
        localStorage.setItem(UNLOCKED, '1');
        sendEvent({ event: 'dev_mode_enabled' }).catch(() => {});
      } else if (wish === '0' || wish === 'false') {
        localStorage.removeItem(UNLOCKED);
        sendEvent({ event: 'dev_mode_disabled' }).catch(() => {});
      }
    } catch {
      // Storage is blocked: nothing can be unlocked, and nothing is.
    }
  }

  function build() {
    const container = document.createElement('div');
    container.id = 'metrics-badge-container';
    pill.title = 'Behavior metrics (dev-only)';
    pill.setAttribute('aria-live', 'polite');
    pill.setAttribute('aria-atomic', 'true');
    Object.assign(pill.style, {
      display: 'inline-block', padding: '2px 10px', borderRadius: '999px', border: '1px solid currentColor',
      font: '13px/1.5 system-ui, sans-serif', fontVariantNumeric: 'tabular-nums', whiteSpace: 'nowrap',
    });
    container.append(pill);
    const bar = document.querySelector('.nav-right');
    if (!bar) {
      // A page without such a bar has it in its corner.
      Object.assign(container.style, {
        position: 'fixed', right: '12px', bottom: '12px', zIndex: '9998', borderRadius: '999px',
        background: 'Canvas', color: 'CanvasText',
      });
    }
    (bar ?? document.body).append(container);
    return container;
  }

  const show = ({ total, by_event }) => (pill.textContent = `metrics ${total} ${by_event[0]?.event ?? '—'}`);

  async function begin() {
    const config = await fetch(`${server}api/metrics/config`, { credentials: 'omit' }).then((answer) => answer.json());
    if (!config.dev_gate) return;
    heed();
    const container = build();
    const look = () => (container.style.display = isUnlocked() ? '' : 'none');
    const poll = async () => {
      if (isUnlocked() && !document.hidden) {
        // What cannot be read leaves what was known.
        await fetchSnapshot(EVENTS).then(show, () => {});
      }
      setTimeout(poll, POLL_MS + Math.random() * JITTER_MS);
    };
    show({ total: '…', by_event: [] });
    look();
    setInterval(look, LOOK_MS);
    poll();
  }

  begin().catch(() => {});
})();
