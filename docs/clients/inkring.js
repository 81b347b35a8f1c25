/**
 * Watches drafts on an inkring server, and writes in them: every change, in order, exactly once, across restarts and broken
 * networks. How to use it is in README.md beside this file; what goes over the wire is in ../PROTOCOL.md.
 */

/** Refused for good: the same would happen again. After any other close, known or not, we come back ... */
const FINAL_CODES = new Set([1002, 1003, 1007, 1008, 4403, 4410]);
/** ... and also when the error frame before it says that there was only too much at the moment. */
const PASSING_ERRORS = new Set(['ws_limit', 'limit_exceeded', 'rate_limited', 'overloaded']);
/** The one `ws_limit` that does not pass: the page is not one that may open sockets. */
const WRONG_ORIGIN = 'Origin not allowed';
/** The token has expired: worth another attempt only if there is a way to get a new one. */
const EXPIRED_CODE = 4401;
/** Before attempt n we wait a random part of FIRST_DELAY_MS * 2^n, at most of MAX_DELAY_MS. */
const FIRST_DELAY_MS = 1_000;
const MAX_DELAY_MS = 30_000;
/** A browser does not show the server's protocol pings to its page, so after this much silence we ask ourselves ... */
const SILENCE_MS = 30_000;
/** ... and after this much more the connection is dead. A new one must say something within it, too. */
const ANSWER_MS = 10_000;
/** Answers to a change that say nothing of the change: it is asked for again, with its key. */
const PASSING_STATUSES = new Set([408, 425, 429, 502, 503, 504]);
/** The 429 that does not pass: a cap of the draft is reached. */
const CAP_REACHED = 'limit_exceeded';
/** Events that are held back while the draft is read; what comes after them is fetched by reconnecting. */
const HELD_MAX = 1_000;
/** Above every head: asked for what comes after it, the server replays nothing and says where it stands. */
const UNKNOWN = Number.MAX_SAFE_INTEGER;

/**
 * @typedef {object} Options
 * @property {string} draftId
 * @property {string} [baseUrl] Of the server, `http(s)` or `ws(s)`. If absent, the origin of the page.
 * @property {string | (() => string | Promise<string>)} [token] A JWT, or what gets a fresh one before each attempt.
 * @property {number | null} [since] The last event you know. If absent, `onReread('start')` is called, and it goes on
 *   from there.
 * @property {(event: any) => void} [onEvent] Each event after `since` or the last re-read: in order, exactly once.
 * @property {(reason: 'start' | 'missed', signal: AbortSignal) => unknown} [onReread] Read the draft anew, and return
 *   the promise of having done so: events wait for it. If it fails, it is called again with the next connection.
 * @property {(state: 'connecting' | 'live' | 'waiting' | 'refused', detail?: any) => void} [onState] `live` comes with
 *   the server's welcome; `waiting` and `refused` with `code` and `reason` of the close and with `error`, the code of
 *   the server's error frame, as far as there are any; `waiting` with `delayMs` besides.
 * @property {(error: unknown) => void} [onError] What a callback threw. If absent, it goes to the console.
 * @property {any} [WebSocket] A constructor, where none is built in; that of the package `ws` will do.
 * @property {() => number} [random] This one and the rest are for tests.
 * @property {(then: () => void, ms: number) => any} [setTimeout]
 * @property {(timer: any) => void} [clearTimeout]
 * @property {any} [page] Has the events of a window.
 */

/**
 * @param {Options} options
 * @returns {{ readonly state: string, readonly seq: number | null, close(): void }} `seq` is the last event delivered
 *   or read, and null before there is one. After `close()` no callback is called.
 */
export function watchDraft({
  draftId,
  baseUrl = globalThis.location?.origin,
  token,
  since,
  onEvent,
  onReread,
  onState,
  onError = console.error,
  WebSocket = globalThis.WebSocket,
  random = Math.random,
  setTimeout = globalThis.setTimeout,
  clearTimeout = globalThis.clearTimeout,
  page = globalThis,
}) {
  if (!WebSocket) throw new TypeError('There is no WebSocket here; pass a constructor as the option WebSocket');
  const address = `${baseUrl.replace(/^http/, 'ws').replace(/\/+$/, '')}/v1/ws/drafts/${encodeURIComponent(draftId)}`;
  const currentToken = typeof token === 'function' ? token : () => token;

  let state = 'connecting';
  let seq = since ?? UNKNOWN;
  let failures = 0;
  /** The attempt or connection there is. What belongs to an earlier one no longer counts. */
  let current = null;
  /** The only timer: until the next attempt, the next ping, or giving up on an answer. */
  let timer;
  let reading = Promise.resolve();

  async function connect() {
    const attempt = { socket: null, welcome: null, error: undefined, passes: false, held: null, aborter: new AbortController() };
    current = attempt;
    expectAnswer();
    change('connecting');
    try {
      // Not before the caller has what we return, so that its callbacks can use it.
      const bearer = await Promise.resolve().then(currentToken);
      if (current !== attempt) return;
      // As a subprotocol and never in the address, which ends up in logs. A page can send no headers.
      attempt.socket = new WebSocket(`${address}?since=${seq}`, bearer ? ['bearer', bearer] : []);
      attempt.socket.onmessage = ({ data }) => current === attempt && receive(attempt, data);
      attempt.socket.onclose = ({ code, reason }) => current === attempt && lose(code, reason);
      attempt.socket.onerror = () => {}; // A close follows; without a listener `ws` would end the process.
    } catch (error) {
      if (current === attempt) fail(error);
    }
  }

  function receive(attempt, data) {
    setTimer(SILENCE_MS, probe);
    try {
      const message = JSON.parse(data);
      if (message.type === 'connected') attempt.welcome = message;
      else if (message.type === 'error') {
        attempt.error = message.code;
        attempt.passes = PASSING_ERRORS.has(message.code) && message.message !== WRONG_ORIGIN;
      } else if (message.type === 'resumed') catchUp(attempt, message);
      else if (message.seq !== undefined) accept(attempt, message);
    } catch (error) {
      fail(error);
    }
  }

  function accept(attempt, event) {
    if (attempt.held) {
      if (attempt.held.length <= HELD_MAX) attempt.held.push(event);
    } else if (event.seq === seq + 1) {
      seq = event.seq;
      call(onEvent, event);
    } else if (event.seq > seq && state === 'live') {
      lose(undefined, 'an event is missing');
    } // A gap before `resumed` is the server's to announce, and what we have already is not news.
  }

  async function catchUp(attempt, { to, complete }) {
    if (!complete) {
      const reason = seq === UNKNOWN ? 'start' : 'missed';
      // Without this, an event could be shown and then overwritten by a draft that was read before it happened.
      attempt.held = [];
      // One after the other: nor must an older reading that was slow overwrite a newer one.
      const { signal } = attempt.aborter;
      reading = reading.catch(() => {}).then(() => current === attempt && onReread?.(reason, signal));
      try {
        await reading;
      } catch (error) {
        if (current === attempt) fail(error);
      }
      if (current !== attempt) return;
      seq = to;
    }
    if (seq !== to) return lose(undefined, 'an event is missing');
    failures = 0;
    const held = attempt.held ?? [];
    attempt.held = null;
    change('live', attempt.welcome);
    for (const event of held) if (current === attempt) accept(attempt, event);
    if (held.length > HELD_MAX && current === attempt) lose(undefined, 'too many events while the draft was read');
  }

  function lose(code, reason) {
    const { error, passes } = current;
    drop();
    if ((FINAL_CODES.has(code) && !passes) || (code === EXPIRED_CODE && typeof token !== 'function')) {
      ignorePage();
      change('refused', { code, reason, error });
    } else {
      // Not reset when a socket opens, because the server opens it before it refuses.
      const delayMs = random() * Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** failures++);
      setTimer(delayMs, connect);
      change('waiting', { code, reason, error, delayMs });
    }
  }

  function fail(error) {
    report(error);
    // What Node says of a request that got no answer is in the cause.
    if (current) lose(undefined, [error, error?.cause?.message].filter(Boolean).join(': '));
  }

  function drop() {
    const dropped = current;
    current = null;
    clearTimeout(timer);
    dropped?.aborter.abort();
    dropped?.socket?.close();
  }

  function probe() {
    expectAnswer();
    current.socket.send('{"type":"ping"}');
  }

  function expectAnswer() {
    setTimer(ANSWER_MS, () => lose(undefined, 'no answer'));
  }

  function setTimer(ms, then) {
    clearTimeout(timer);
    timer = setTimeout(then, ms);
  }

  function change(to, detail) {
    if (state === to) return;
    state = to;
    call(onState, to, detail);
  }

  /** Calls back; what goes wrong there is not our end. */
  function call(callback, ...news) {
    try {
      Promise.resolve(callback?.(...news)).catch(report);
    } catch (error) {
      report(error);
    }
  }

  function report(error) {
    if (state !== 'closed') onError(error);
  }

  /** The network may be back, or the machine has slept: try, or see whether the connection is still one. */
  function wake({ type }) {
    if (type === 'visibilitychange' && page.document.hidden) return;
    if (state === 'waiting') connect();
    else if (current?.socket?.readyState === 1) probe();
  }

  const signs = ['online', 'offline', 'visibilitychange'];
  const ignorePage = () => signs.forEach((sign) => page.removeEventListener?.(sign, wake));
  signs.forEach((sign) => page.addEventListener?.(sign, wake));
  connect();

  return {
    get state() {
      return state;
    },
    get seq() {
      return seq === UNKNOWN ? null : seq;
    },
    close() {
      state = 'closed';
      ignorePage();
      drop();
    },
  };
}

/** What the server says of a change that it does not make: asked again, it would say the same. */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {any} body
   * @param {Headers} headers
   */
  constructor(status, body, headers) {
    const { code, message, hint, current_version: currentVersion } = body?.error ?? {};
    // Where the caller is not known it is an object with a message of its own, and there may be a hint why.
    const said = message?.message ?? message;
    super(typeof said === 'string' ? [said, hint].filter(Boolean).join(': ') : `The server answered ${status}`);
    this.name = 'Refused';
    this.status = status;
    /** One of ../ERRORS.md, such as `ring_required`. */
    this.code = code;
    /** The draft's version where the change was meant for another one (412). */
    this.currentVersion = currentVersion;
    this.requestId = headers.get('x-request-id');
  }
}

/** A key for one intent. `crypto.randomUUID` is missing in pages that came over plain http from another machine. */
export function newKey() {
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * @typedef {object} Intent
 * @property {string} [key] Of an earlier call whose answer you never saw, perhaps in an earlier run. If absent, a new one.
 * @property {number} [version] Make the change only if the draft still has this version.
 * @property {AbortSignal} [signal] Ends the attempts. Whether the change was made is then not known: ask again with the key.
 */

/**
 * @param {object} options
 * @param {string} [options.baseUrl] Of the server, `http(s)`. If absent, the origin of the page.
 * @param {string | (() => string | Promise<string>)} [options.token] A JWT, or what gets a fresh one before each attempt.
 * @param {Record<string, string>} [options.headers] Sent with each request.
 * @param {typeof fetch} [options.fetch] This one and the rest are for tests.
 * @param {() => number} [options.random]
 * @param {(then: () => void, ms: number) => any} [options.setTimeout]
 * @param {(timer: any) => void} [options.clearTimeout]
 */
export function writeDrafts({
  baseUrl = globalThis.location?.origin,
  token,
  headers = {},
  fetch = globalThis.fetch.bind(globalThis),
  random = Math.random,
  setTimeout = globalThis.setTimeout,
  clearTimeout = globalThis.clearTimeout,
} = {}) {
  const base = `${baseUrl.replace(/\/+$/, '')}/v1/collab`;
  const draft = (draftId) => `${base}/drafts/${encodeURIComponent(draftId)}`;
  /** The last change to each draft that has not come to its end. */
  const last = new Map();

  /** Changes to one draft are made in the order of their calls, however often one of them is tried. */
  function inOrder(draftId, change) {
    const made = (last.get(draftId) ?? Promise.resolve()).then(change, change);
    last.set(draftId, made);
    const forget = () => last.get(draftId) === made && last.delete(draftId);
    made.then(forget, forget);
    return made;
  }

  async function send(url, body, { key = newKey(), version, signal } = {}) {
    const text = JSON.stringify({ ...body, idempotency_key: key });
    const condition = version === undefined ? {} : { 'If-Match': `"${version}"` };
    for (let failures = 0, renewed = false; ; failures++) {
      let atLeastMs = 0;
      try {
        const bearer = typeof token === 'function' ? await token() : token;
        const identity = bearer ? { Authorization: `Bearer ${bearer}` } : {};
        const fixed = { 'Content-Type': 'application/json', Prefer: 'return=minimal', ...condition };
        const answer = await ask(url, { ...headers, ...identity, ...fixed }, text, signal);
        if (answer.status < 300) return answer.body.data;
        const refused = new Refused(answer.status, answer.body, answer.headers);
        const expired = answer.status === 401 && typeof token === 'function' && !renewed;
        const passes = PASSING_STATUSES.has(answer.status) && refused.code !== CAP_REACHED;
        if (!expired && !passes) throw refused;
        renewed ||= expired;
        atLeastMs = 1_000 * (Number(answer.headers.get('retry-after')) || 0);
      } catch (error) {
        signal?.throwIfAborted();
        // Whatever else it is, the answer is lost or unreadable, and the change may have been made.
        if (error instanceof Refused) throw error;
      }
      await pause(atLeastMs + random() * Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** failures), signal);
    }
  }

  /** One attempt, with its whole answer. */
  async function ask(url, headers, body, signal) {
    signal?.throwIfAborted();
    const aborter = new AbortController();
    const abort = () => aborter.abort();
    const timer = setTimeout(abort, ANSWER_MS);
    signal?.addEventListener('abort', abort);
    try {
      const answer = await fetch(url, { method: 'POST', headers, body, signal: aborter.signal });
      const text = await answer.text();
      // What stands before the server may answer in a language of its own; a change that was made is told in JSON.
      const told = answer.status < 300 || answer.headers.get('content-type')?.includes('json') ? JSON.parse(text) : null;
      return { status: answer.status, headers: answer.headers, body: told };
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    }
  }

  async function pause(ms, signal) {
    signal?.throwIfAborted();
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        reject(signal.reason);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', end);
        resolve(undefined);
      }, ms);
      signal?.addEventListener('abort', end, { once: true });
    });
  }

  return {
    /**
     * @param {string} draftId
     * @param {string} content
     * @param {Intent} [intent]
     * @returns {Promise<any>} The receipt.
     */
    append: (draftId, content, intent) => inOrder(draftId, () => send(`${draft(draftId)}/segments`, { content }, intent)),
    /**
     * @param {string} draftId
     * @param {string} to The id of a member.
     * @param {Intent} [intent]
     * @returns {Promise<any>} The receipt.
     */
    pass: (draftId, to, intent) => inOrder(draftId, () => send(`${draft(draftId)}/pass-ring`, { to_user_id: to }, intent)),
    /**
     * @param {string} draftId
     * @param {object} whom `target_user_id` or `target_handle`, and `expires_in_hours` if not 72.
     * @param {Intent} [intent]
     * @returns {Promise<any>} The invitation, with its `share_url`, which is shown this once.
     */
    invite: (draftId, whom, intent) => inOrder(draftId, () => send(`${draft(draftId)}/invites`, whom, intent)),
    /**
     * @param {string} inviteId
     * @param {string} secret The `token` of its `share_url`.
     * @param {Intent} [intent]
     * @returns {Promise<any>} The invitation.
     */
    accept: (inviteId, secret, intent) => send(`${base}/invites/${encodeURIComponent(inviteId)}/accept`, { token: secret }, intent),
  };
}
