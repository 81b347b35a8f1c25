// The client without a network: a WebSocket that the test speaks for, and a clock that the test moves.

import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';

import { watchDraft } from '../../docs/clients/inkring.js';

const HEAD = 7;

/** Lets promises settle. */
const settle = () => new Promise((done) => setImmediate(done));

/** A client under test with all that surrounds it. */
async function watched(options = {}) {
  const world = {
    sockets: [],
    timers: new Map(),
    now: 0,
    /** What the callbacks were told, as words. */
    told: [],
    random: 0.5,
    page: new EventTarget(),

    get socket() {
      return world.sockets.at(-1);
    },
    /** The time until each timer there is. */
    get delays() {
      return [...world.timers.values()].map(({ at }) => at - world.now);
    },
    /** Moves the clock, running what falls due in its order. */
    async pass(ms) {
      const until = world.now + ms;
      for (;;) {
        const due = [...world.timers].filter(([, { at }]) => at <= until).sort(([, a], [, b]) => a.at - b.at)[0];
        if (!due) break;
        world.timers.delete(due[0]);
        world.now = due[1].at;
        due[1].then();
        await settle();
      }
      world.now = until;
    },
    /** Takes what was told since the last time. */
    news() {
      return world.told.splice(0).join(' ');
    },
  };

  class FakeSocket {
    readyState = 0;
    sent = [];
    closed = false;
    constructor(url, protocols) {
      Object.assign(this, { url, protocols });
      world.sockets.push(this);
    }
    send(text) {
      assert.equal(this.readyState, 1, 'sending on a socket that is not open');
      this.sent.push(text);
    }
    close() {
      this.closed = true;
    }
    say(message) {
      this.readyState = 1;
      this.onmessage({ data: typeof message === 'string' ? message : JSON.stringify(message) });
    }
    event(...seqs) {
      for (const seq of seqs) this.say({ type: 'collab.segment_added', seq, data: {} });
    }
    welcome(seq = HEAD) {
      this.say({ type: 'connected', user_id: 'alice', seq, ring_holder: 'alice' });
    }
    resumed(to = HEAD, complete = true) {
      this.say({ type: 'resumed', from: 0, to, complete });
    }
    /** Everything a server says to a client that has missed nothing. */
    catchUp(to = HEAD) {
      this.welcome(to);
      this.resumed(to);
    }
    end(code = 1006, reason = '') {
      this.readyState = 3;
      this.onclose({ code, reason });
    }
  }

  let timers = 0;
  world.watch = watchDraft({
    baseUrl: 'https://inkring.example/',
    draftId: 'a draft',
    onEvent: ({ seq }) => world.told.push(seq),
    onReread: (reason) => world.told.push(reason),
    onState: (state) => world.told.push(state),
    onError: (error) => world.told.push(`(${error.message})`),
    WebSocket: FakeSocket,
    random: () => world.random,
    setTimeout: (then, ms) => (world.timers.set(++timers, { then, at: world.now + ms }), timers),
    clearTimeout: (timer) => world.timers.delete(timer),
    page: world.page,
    ...options,
  });
  await settle();
  return world;
}

/** One that is live at `HEAD`. */
async function live(options) {
  const world = await watched({ since: HEAD, ...options });
  world.socket.catchUp();
  assert.equal(world.news(), 'live');
  return world;
}

test('it asks for what comes after the last event, with the token beside the address and not in it', async () => {
  const world = await watched({ since: 3, token: 'a.b.c' });
  assert.equal(world.socket.url, 'wss://inkring.example/v1/ws/drafts/a%20draft?since=3');
  assert.deepEqual(world.socket.protocols, ['bearer', 'a.b.c']);
  world.socket.welcome();
  world.socket.event(4, 5, 6, 7);
  assert.equal(world.watch.state, 'connecting');
  world.socket.resumed();
  world.socket.event(8);
  assert.equal(world.news(), '4 5 6 7 live 8');
  assert.deepEqual([world.watch.state, world.watch.seq], ['live', 8]);
  world.socket.end();
  await world.pass(500);
  assert.ok(world.socket.url.endsWith('?since=8'), world.socket.url);
});

test('no token is no subprotocol, and a function is asked before each attempt', async () => {
  assert.deepEqual((await watched()).socket.protocols, []);
  let count = 0;
  const world = await watched({ token: async () => `t${++count}` });
  world.socket.end();
  await world.pass(500);
  assert.deepEqual(world.sockets.map(({ protocols }) => protocols[1]), ['t1', 't2']);
});

test('a token that cannot be had is an attempt that failed', async () => {
  const world = await watched({ token: () => { throw new Error('no token'); } });
  assert.equal(world.news(), '(no token) waiting');
  await world.pass(500);
  assert.equal(world.news(), 'connecting (no token) waiting');
  assert.deepEqual([world.sockets.length, world.delays], [0, [1000]]);
});

test('without a start it learns the head, has the draft read, and holds back events until that is done', async () => {
  let finish;
  const onReread = (reason) => (world.told.push(reason), new Promise((done) => (finish = done)));
  const world = await watched({ onReread });
  assert.equal(world.watch.seq, null);
  assert.ok(world.socket.url.endsWith(`?since=${Number.MAX_SAFE_INTEGER}`));
  world.socket.welcome();
  world.socket.resumed(HEAD, false);
  await settle();
  world.socket.event(8, 9);
  assert.equal(world.news(), 'start');
  finish();
  await settle();
  world.socket.event(10);
  assert.equal(world.news(), 'live 8 9 10');
});

test('what cannot be caught up is read anew, and it goes on from there, be it backwards', async () => {
  for (const to of [5000, 2]) {
    const world = await live();
    world.socket.end();
    await world.pass(500);
    world.news();
    world.socket.welcome(to);
    if (to > HEAD) world.socket.event(to - 1, to);
    world.socket.resumed(to, false);
    await settle();
    world.socket.event(to + 1);
    assert.equal(world.news(), `missed live ${to + 1}`);
    assert.equal(world.watch.seq, to + 1);
  }
});

test('a reading that fails is asked for again with the next connection', async () => {
  let failing = true;
  const onReread = async () => { if (failing) throw new Error('no draft'); };
  const world = await watched({ onReread });
  for (const delay of [500, 1000]) {
    world.socket.resumed(HEAD, false);
    await settle();
    assert.equal(world.news(), '(no draft) waiting');
    assert.deepEqual(world.delays, [delay]);
    await world.pass(delay);
    assert.equal(world.news(), 'connecting');
  }
  failing = false;
  world.socket.resumed(HEAD, false);
  await settle();
  assert.equal(world.news(), 'live');
});

test('readings do not overlap, and one of a lost connection is told so and does not count', async () => {
  const readings = [];
  const onReread = (reason, signal) => new Promise((done, fail) => readings.push({ done, fail, signal }));
  const world = await watched({ onReread });
  for (const delay of [500, 1000]) {
    world.socket.resumed(HEAD, false);
    await settle();
    world.socket.end();
    await world.pass(delay);
  }
  world.socket.resumed(HEAD + 1, false);
  await settle();
  assert.deepEqual(readings.map(({ signal }) => signal.aborted), [true]);
  world.news();
  readings[0].fail(new Error('aborted'));
  await settle();
  // The second connection was lost before its turn came, so this is the third's.
  assert.deepEqual(readings.map(({ signal }) => signal.aborted), [true, false]);
  assert.deepEqual([world.news(), world.watch.seq], ['', null]);
  readings[1].done();
  await settle();
  assert.deepEqual([world.news(), world.watch.seq], ['live', HEAD + 1]);
});

test('events that are held back are bounded; the rest is fetched by reconnecting', async () => {
  let finish;
  const world = await watched({ onReread: () => new Promise((done) => (finish = done)), onEvent: () => {} });
  world.socket.resumed(0, false);
  await settle();
  for (let seq = 1; seq <= 1500; seq++) world.socket.event(seq);
  finish();
  await settle();
  assert.equal(world.news(), 'live waiting');
  await world.pass(500);
  assert.ok(world.socket.url.endsWith('?since=1001'), world.socket.url);
});

test('an event comes once: what is known is dropped, and a gap is filled by reconnecting', async () => {
  const world = await live();
  world.socket.event(8, 8, 7, 9);
  assert.equal(world.news(), '8 9');
  world.socket.event(11);
  assert.equal(world.news(), 'waiting');
  assert.ok(world.socket.closed);
  await world.pass(500);
  assert.ok(world.socket.url.endsWith('?since=9'));
  world.socket.welcome(11);
  world.socket.event(10, 11);
  world.socket.resumed(11);
  assert.equal(world.news(), 'connecting 10 11 live');
});

test('a server that says it is complete and is not is not believed', async () => {
  const world = await watched({ since: 5 });
  world.socket.event(7);
  world.socket.resumed(7);
  assert.equal(world.news(), 'waiting');
  assert.equal(world.watch.seq, 5);
});

test('what is no event is passed over, and what is no JSON ends the connection', async () => {
  const world = await live();
  world.socket.say({ type: 'pong' });
  world.socket.say({ type: 'to be invented' });
  assert.equal(world.news(), '');
  world.socket.say('oh');
  assert.match(world.news(), /^\(.*JSON.*\) waiting$/);
});

test('attempts are spread over twice the time each, up to half a minute', async () => {
  for (const [random, share] of [[0, 0], [0.5, 0.5], [0.999, 0.999]]) {
    const world = await watched();
    world.random = random;
    for (const full of [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]) {
      world.socket.end();
      assert.deepEqual(world.delays, [full * share]);
      await world.pass(full * share);
    }
    assert.equal(world.sockets.length, 8);
  }
});

test('only a server that let us catch up makes the next wait short again', async () => {
  const world = await watched({ since: HEAD });
  for (const delay of [500, 1000, 2000]) {
    // Open, and even welcome: a server that ends it there would be asked again and again.
    world.socket.welcome();
    world.socket.end(1013);
    assert.deepEqual(world.delays, [delay]);
    await world.pass(delay);
  }
  world.socket.catchUp();
  world.socket.end();
  assert.deepEqual(world.delays, [500]);
});

test('it comes back after a close that may pass, known or not', async () => {
  for (const code of [1000, 1001, 1005, 1006, 1011, 1012, 1013, 4000]) {
    const world = await live();
    world.socket.end(code);
    assert.equal(world.news(), 'waiting', String(code));
    await world.pass(500);
    assert.equal(world.sockets.length, 2);
  }
});

test('it waits and comes back when there was only too much at the moment', async () => {
  for (const [error, message] of [
    ['ws_limit', 'User socket limit exceeded'],
    ['ws_limit', 'Socket message rate exceeded'],
    ['limit_exceeded', 'Draft connection cap exceeded'],
  ]) {
    const details = [];
    const world = await watched({ onState: (state, detail) => details.push({ state, ...detail }) });
    world.socket.say({ type: 'error', code: error, message });
    world.socket.end(1008, message);
    assert.deepEqual(details, [{ state: 'waiting', code: 1008, reason: message, error, delayMs: 500 }]);
    await world.pass(500);
    assert.equal(world.sockets.length, 2);
    // What the one before was told says nothing of this one.
    world.socket.end(1008);
    assert.equal(world.watch.state, 'refused');
  }
});

test('it does not come back after a close that would only happen again, and says why', async () => {
  for (const code of [1002, 1003, 1007, 1008]) {
    const details = [];
    const world = await watched({ onState: (state, detail) => details.push({ state, ...detail }) });
    world.socket.say({ type: 'error', code: 'ws_limit', message: 'Origin not allowed' });
    world.socket.end(code, 'Origin not allowed');
    assert.deepEqual(details, [{ state: 'refused', code, reason: 'Origin not allowed', error: 'ws_limit' }]);
    world.page.dispatchEvent(new Event('online'));
    assert.deepEqual(world.delays, []);
    await world.pass(3_600_000);
    assert.deepEqual([world.sockets.length, world.watch.state], [1, 'refused']);
    assert.deepEqual(getEventListeners(world.page, 'online'), []);
  }
});

test('when its token expires it comes back with a new one, if it knows how to get one', async () => {
  let count = 0;
  const world = await live({ token: async () => `t${++count}` });
  world.socket.say({ type: 'error', code: 'forbidden', message: 'Token expired' });
  world.socket.end(4401, 'Token expired');
  assert.equal(world.news(), 'waiting');
  await world.pass(500);
  assert.deepEqual(world.socket.protocols, ['bearer', 't2']);
  world.socket.event(HEAD + 1);
  world.socket.catchUp(HEAD + 1);
  assert.equal(world.news(), 'connecting 8 live');
  for (const token of ['a.b.c', undefined]) {
    const world = await live({ token });
    world.socket.end(4401, 'Token expired');
    assert.deepEqual([world.news(), world.watch.state, world.delays], ['refused', 'refused', []]);
  }
});

test('silence is asked about, and without an answer the connection is dead', async () => {
  const world = await live();
  const [first] = world.sockets;
  await world.pass(29_999);
  assert.deepEqual(first.sent, []);
  await world.pass(1);
  assert.deepEqual(first.sent, ['{"type":"ping"}']);
  await world.pass(9_999);
  first.say({ type: 'pong' });
  await world.pass(30_000);
  assert.equal(first.sent.length, 2);
  await world.pass(9_999);
  assert.equal(world.news(), '');
  await world.pass(1);
  assert.equal(world.news(), 'waiting');
  assert.ok(first.closed);
  // What a dead connection still says, nobody hears.
  first.event(8);
  first.end(1008);
  assert.equal(world.news(), '');
  await world.pass(500);
  assert.equal(world.sockets.length, 2);
});

test('a connection that says nothing at all is given up, and so is a token that never comes', async () => {
  for (const token of ['t', () => new Promise(() => {})]) {
    const world = await watched({ token });
    await world.pass(10_000);
    assert.equal(world.news(), 'waiting');
  }
});

test('when the page is back, it tries at once or sees whether the connection still lives', async () => {
  for (const sign of ['online', 'visibilitychange']) {
    const world = await live();
    world.page.document = { hidden: false };
    world.page.dispatchEvent(new Event(sign));
    assert.deepEqual(world.socket.sent, ['{"type":"ping"}']);
    assert.deepEqual(world.delays, [10_000]);
    world.socket.end();
    world.page.dispatchEvent(new Event(sign));
    await settle();
    assert.equal(world.sockets.length, 2);
    // It is under way, and not open yet.
    world.page.dispatchEvent(new Event(sign));
    assert.deepEqual([world.sockets.length, world.delays], [2, [10_000]]);
  }
});

test('going out of sight is no reason to do anything', async () => {
  const world = await live();
  world.page.document = { hidden: true };
  world.page.dispatchEvent(new Event('visibilitychange'));
  assert.deepEqual(world.socket.sent, []);
  world.page.dispatchEvent(new Event('online'));
  assert.equal(world.socket.sent.length, 1);
});

test('a callback that fails is reported, and the next event comes', async () => {
  const thrown = [];
  const onEvent = ({ seq }) => { throw new Error(String(seq)); };
  const world = await live({ onEvent, onError: (error) => thrown.push(error.message) });
  world.socket.event(8, 9);
  const rejecting = async (event) => onEvent(event);
  const later = await live({ onEvent: rejecting, onError: (error) => thrown.push(error.message) });
  later.socket.event(8);
  await settle();
  assert.deepEqual(thrown, ['8', '9', '8']);
  assert.deepEqual([world.watch.state, world.watch.seq], ['live', 9]);
});

test('after close() there is no callback, no timer and no socket, whenever it comes', async () => {
  let resolve;
  const moments = {
    'at once': () => watched(),
    'while the token is awaited': () => watched({ token: () => new Promise((done) => (resolve = done)) }),
    'while it catches up': async () => {
      const world = await watched({ since: 3 });
      world.socket.event(4);
      return world;
    },
    'while the draft is read': async () => {
      const world = await watched({ onReread: () => new Promise((done) => (resolve = done)) });
      world.socket.resumed(HEAD, false);
      await settle();
      world.socket.event(8);
      return world;
    },
    'while it is live': () => live(),
    'while it waits': async () => {
      const world = await live();
      world.socket.end();
      return world;
    },
  };
  for (const [moment, reach] of Object.entries(moments)) {
    const world = await reach();
    world.news();
    world.watch.close();
    world.watch.close();
    resolve?.('late');
    resolve = undefined;
    world.socket?.event(5, 8);
    world.socket?.end(1008);
    world.page.dispatchEvent(new Event('online'));
    await settle();
    assert.equal(world.news(), '', moment);
    assert.deepEqual(world.delays, [], moment);
    assert.ok(world.sockets.every(({ closed }) => closed), moment);
    await world.pass(3_600_000);
    assert.deepEqual([world.news(), world.watch.state], ['', 'closed'], moment);
    assert.deepEqual(getEventListeners(world.page, 'online'), [], moment);
  }
});

test('close() from within a callback stops there, also among events that were held back', async () => {
  const closing = await live({ onEvent: ({ seq }) => (closing.told.push(seq), closing.watch.close()) });
  closing.socket.event(8, 9);
  assert.equal(closing.news(), '8');

  let finish;
  const world = await watched({
    onReread: () => new Promise((done) => (finish = done)),
    onEvent: ({ seq }) => (world.told.push(seq), world.watch.close()),
  });
  world.socket.resumed(HEAD, false);
  await settle();
  world.socket.event(8, 9);
  finish();
  await settle();
  assert.equal(world.news(), 'live 8');
  assert.deepEqual(world.delays, []);

  const leaving = await watched({ onState: (state) => (leaving.told.push(state), leaving.watch.close()) });
  leaving.socket.end();
  assert.deepEqual([leaving.news(), leaving.delays], ['waiting', []]);
});

test('an error after close() is not reported', async () => {
  const world = await live({ onEvent: async () => { throw new Error('late'); } });
  world.socket.event(8);
  world.watch.close();
  await settle();
  assert.equal(world.news(), '');
});

test('without a WebSocket it says so at once', () => {
  assert.throws(() => watchDraft({ baseUrl: 'http://a', draftId: 'd', WebSocket: null }), /There is no WebSocket here/);
});
