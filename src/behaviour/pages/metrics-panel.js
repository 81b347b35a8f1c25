// The panel: the last events, and a way to send two of them.
(() => {
  'use strict';
  const SHOWN = 50;
  const VISITOR_CHARACTERS = 10;
  const LOOK_MS = 1000;
  const { sendEvent, fetchSnapshot } = window.inkringMetrics;
  const by = (id) => document.getElementById(id);
  const [demo, refresh, trouble, note] = ['demo', 'refresh', 'trouble', 'note'].map(by);
  const labels = new Map([demo, refresh].map((button) => [button, button.textContent]));

  /** What is stored, if storage is not blocked. To look at the panel makes no code of a visitor. */
  function stored(key) {
    try {
      return localStorage.getItem(key);
    } catch {
      return null;
    }
  }

  /** A row with these texts; what a visitor sent is never anything else. */
  function row(...texts) {
    const made = document.createElement('tr');
    for (const text of texts) made.insertCell().textContent = text;
    return made;
  }

  function show({ total, by_event, last_events, file_size_bytes }) {
    by('summary').textContent = `total ${total} · file ${file_size_bytes ?? 0} bytes · visitor ${stored('visitor_id') ?? '—'}`;
    by('by_event').replaceChildren(...by_event.map(({ event, count }) => row(event, count)));
    by('last_events').replaceChildren(
      ...last_events.map(({ timestamp, event, visitor_id, metadata }) => {
        const visitor = [...visitor_id].slice(0, VISITOR_CHARACTERS).join('');
        return row(new Date(timestamp).toLocaleTimeString(), event, visitor, JSON.stringify(metadata));
      }),
    );
  }

  /** Does it, with the buttons out of use meanwhile, and shows what there is then. */
  async function run(button, act) {
    for (const other of labels.keys()) other.disabled = true;
    button.textContent = 'Loading…';
    trouble.hidden = true;
    note.textContent = '';
    try {
      await act();
      show(await fetchSnapshot(SHOWN));
    } catch (error) {
      trouble.textContent = String(error.message ?? error);
      trouble.hidden = false;
    }
    for (const [other, label] of labels) {
      other.disabled = false;
      other.textContent = label;
    }
  }

  async function sendDemo() {
    const events = [
      { event: 'page_view', metadata: { path: location.pathname } },
      { event: 'link_click', metadata: { href: 'https://example.com' } },
    ];
    for (const event of events) {
      const { optedOut, sampledOut } = await sendEvent(event);
      if (optedOut) note.textContent = 'Nothing was sent: analytics are off for this browser.';
      if (sampledOut) note.textContent = 'Not all of it was sent: the server asks for a part of the events only.';
    }
  }

  /** The panel is there as long as the page is unlocked. */
  function look() {
    const isUnlocked = stored('dev_unlocked') === '1';
    const opens = isUnlocked && by('panel').hidden;
    by('panel').hidden = !isUnlocked;
    by('restricted').hidden = isUnlocked;
    if (opens) run(refresh, () => {});
  }

  demo.addEventListener('click', () => run(demo, sendDemo));
  refresh.addEventListener('click', () => run(refresh, () => {}));
  look();
  setInterval(look, LOOK_MS);
})();
