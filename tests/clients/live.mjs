// Three stock providers in each of many rooms of a server that is stopped and killed meanwhile. They edit at random, leave and
// come back. In the end all of them, whoever comes later, and whoever comes after one more restart have to say the same.
//
// node live.mjs DIRECTORY-WITH-CLIENTS SEED HISTORIES HOST:PORT
//
// A line {"restart": how} asks for the server to be ended so and started again; the answer is its new HOST:PORT.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { authors, generator } from './edits.mjs';

const [directory, seed, histories, ...started] = process.argv.slice(2);
let [address] = started;
const require = createRequire(`${directory}/`);
const Y = require('yjs');
const { WebSocket } = require('ws');
const providers = [1, 2, 3].map((line) => require(`y-websocket-${line}`).WebsocketProvider);

const say = (seen) => console.log(JSON.stringify(seen));
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// Each provider listens to the end of this program.
process.setMaxListeners(0);

const PATIENCE_MS = 60_000;
const counts = { histories: 0, edits: 0, sockets: 0, left: 0, unloaded: 0 };

/** A socket to where the server is now, of a user for each room: one user has so many sockets. */
class Located extends WebSocket {
  constructor(url, protocols) {
    counts.sockets += 1;
    super(url.replace('inkring', address), protocols, { headers: { 'X-User-Id': url.split('/').at(-1) } });
  }
}

class Peer extends authors(Y) {
  constructor(room, line, random) {
    super(1 + random(1e9), random);
    this.line = line;
    this.provider = new providers[line]('ws://inkring/rooms', room, this.doc, {
      WebSocketPolyfill: Located,
      disableBc: true,
      maxBackoffTime: 400,
    });
    this.events = [];
    this.provider.on('connection-error', ({ message }) => this.happened(`error ${message}`));
    this.provider.on('connection-close', (event) => this.happened(`close ${event?.code} ${event?.reason}`));
    this.provider.on('status', ({ status }) => this.happened(status));
    this.provider.on('closed', ({ code, reason }) => assert.fail(`${room} was closed for good: ${code} ${reason}`));
  }

  /** Keeps the last of what happened to its socket, for the report of a failure. */
  happened(what) {
    this.events.push(`${Math.round(performance.now() - begun)} ms ${what}`);
    if (this.events.length > 12) this.events.shift();
  }

  /** Why it stands nowhere. */
  hangs() {
    const { ws, synced, wsconnected, wsconnecting, shouldConnect } = this.provider;
    const { pendingStructs, pendingDs } = this.doc.store;
    const state = { synced, wsconnected, wsconnecting, shouldConnect, socket: ws?.readyState, at: ws?.url };
    return JSON.stringify({ ...state, pendingStructs, pendingDs, events: this.events, version: this.line });
  }

  edit() {
    counts.edits += 1;
    super.edit();
  }

  /** What it says and how much it knows, once nothing is on the way to it. */
  stands() {
    const { pendingStructs, pendingDs } = this.doc.store;
    if (!this.provider.synced || pendingStructs || pendingDs) return null;
    const vector = [...Y.decodeStateVector(Y.encodeStateVector(this.doc))].sort(([a], [b]) => a - b);
    return JSON.stringify(vector) + this.said();
  }
}

/** Waits until all of them stand where the first one does, and gives what that is. */
async function agreement(what, peers, wanted = null) {
  const begun = performance.now();
  for (;;) {
    const [first, ...rest] = peers.map((peer) => peer.stands());
    if (first !== null && rest.every((stands) => stands === first) && (wanted ?? first) === first) return first;
    if (performance.now() - begun > PATIENCE_MS) {
      assert.fail(`${what}:\n${[wanted, ...peers.map((peer) => peer.stands() ?? peer.hangs())].join('\n')}`);
    }
    await pause(20);
  }
}

/** How much of all is done. Servers are ended when parts of it are. */
const progress = { done: 0, all: 0, passed: [], then: () => {} };

function step() {
  progress.done += 1;
  if (progress.passed.length && progress.done >= progress.all * progress.passed[0]) {
    progress.passed.shift();
    progress.then();
  }
}

class History {
  constructor(number) {
    this.random = generator(Number(seed) + number);
    this.room = `history-${number}`;
    this.steps = 20 + this.random(40);
    progress.all += this.steps;
    const first = this.random(3);
    this.peers = [0, 1, 2].map((line) => new Peer(this.room, (first + line) % 3, this.random));
  }

  async write() {
    const { random, peers } = this;
    for (let left = this.steps; left > 0; left -= 1) {
      const peer = random.one(peers);
      switch (random(24)) {
        case 0: case 1:
          counts.left += 1;
          peer.provider.disconnect();
          break;
        case 2: case 3: case 4:
          peer.provider.connect();
          break;
        case 5:
          // Nobody is in the room for a while: it is made into a snapshot and unloaded.
          counts.unloaded += 1;
          peers.forEach(({ provider }) => provider.disconnect());
          await pause(1500);
          peers.forEach(({ provider }) => provider.connect());
          break;
        case 6: case 7:
          peer.doc.transact(() => [peer, peer].forEach((same) => same.edit()));
          break;
        default:
          peer.edit();
      }
      if (random(3) === 0) await pause(random(500));
      step();
    }
    peers.forEach(({ provider }) => provider.connect());
    const all = await agreement(`${this.room} disagrees`, peers);
    await this.hold(`somebody late in ${this.room}`, all);
    peers.forEach(({ provider }) => provider.destroy());
    this.stands = all;
    counts.histories += 1;
  }

  /** Somebody new in the room gets all of it. */
  async hold(what, wanted) {
    const late = new Peer(this.room, this.random(3), this.random);
    await agreement(what, [late], wanted);
    late.provider.destroy();
  }
}

async function restart(how) {
  say({ restart: how });
  address = (await answers.next()).value;
}

const begun = performance.now();
for (let number = 0; number < Number(histories); number += 200) {
  progress.passed = [0.2, 0.4, 0.6, 0.8];
  let restarts = Promise.resolve();
  const hows = ['kill', 'stop', 'kill', 'stop'];
  progress.then = () => (restarts = restarts.then(() => restart(hows.shift())));
  Object.assign(progress, { done: 0, all: 0 });
  const some = Array.from({ length: Math.min(200, Number(histories) - number) }, (_, index) => new History(number + index));
  await Promise.all(some.map((history) => history.write()));
  await restarts;
  await restart('stop');
  await Promise.all(some.map((history) => history.hold(`somebody in ${history.room} after the server`, history.stands)));
}
say({ done: true, ms: Math.round(performance.now() - begun), ...counts });
process.exit(0);
