// Stock clients in the rooms of a server that runs: what each of them has seen goes to stdout, a line of JSON at a time. A client
// that throws ends this program.
//
// node rooms.mjs DIRECTORY-WITH-CLIENTS SCENARIO HOST:PORT
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createRequire } from 'node:module';

const [directory, scenario, address] = process.argv.slice(2);
const require = createRequire(`${directory}/`);
const Y = require('yjs');
const providers = Object.fromEntries([1, 2, 3].map((line) => [
  require(`y-websocket-${line}/package.json`).version,
  require(`y-websocket-${line}`).WebsocketProvider,
]));
const versions = Object.keys(providers);
const newest = versions.at(-1);
/** What Node programs use, and what follows the rules of browsers. */
const sockets = { ws: require('ws').WebSocket, undici: require('undici').WebSocket };

const say = (seen) => console.log(JSON.stringify(seen));
for (const level of ['warn', 'error']) console[level] = (...words) => say({ warned: words.join(' ') });

const PATIENCE_MS = 20_000;

/** Waits until something is so. */
async function until(what, isSo) {
  const begun = performance.now();
  while (!isSo()) {
    assert.ok(performance.now() - begun < PATIENCE_MS, `not ${what} within ${PATIENCE_MS} ms`);
    await new Promise((done) => setTimeout(done, 2));
  }
}

/** A stock provider in a room, and what its sockets saw. */
function join(version, kind, room, options = {}) {
  const seen = { sockets: 0, opened: 0, texts: 0, keepAlives: 0 };
  class Watched extends sockets[kind] {
    constructor(...of) {
      super(...of);
      seen.sockets += 1;
      this.addEventListener('open', () => (seen.opened += 1));
      this.addEventListener('message', ({ data }) => {
        if (typeof data === 'string') seen.texts += 1;
        else if (Buffer.from(data).toString('hex') === '010100') seen.keepAlives += 1;
      });
    }
  }
  // Sockets are to be tested, and not the channel between windows of one browser.
  const provider = new providers[version](`ws://${address}/rooms`, room, new Y.Doc(), {
    WebSocketPolyfill: Watched,
    disableBc: true,
    ...options,
  });
  return { provider, seen, doc: provider.doc, awareness: provider.awareness };
}

/** All that a document says, of each kind there is. */
const said = ({ doc }) => JSON.stringify([
  doc.getText('text').toDelta(),
  doc.getMap('map').toJSON(),
  doc.getArray('array').toJSON(),
  doc.getXmlFragment('xml').toString(),
]);

function writeAll({ doc }) {
  const text = doc.getText('text');
  text.insert(0, 'plain 😀 ');
  text.insert(text.length, 'bold', { bold: true });
  text.format(0, 5, { em: true });
  text.insertEmbed(0, { image: 'a.png' });
  doc.getMap('map').set('nested', new Y.Map([['key', [1, 2.5, null, 'x']]]));
  doc.getArray('array').insert(0, [1, 'two', new Y.Array()]);
  const paragraph = new Y.XmlElement('p');
  paragraph.setAttribute('class', 'lead');
  paragraph.insert(0, [new Y.XmlText('Привіт'), new Y.XmlElement('br')]);
  doc.getXmlFragment('xml').insert(0, [paragraph]);
}

const scenarios = {
  /** Two stock providers of each version, by each kind of socket. */
  async sync() {
    for (const version of versions) {
      for (const kind of Object.keys(sockets)) {
        const pair = [0, 1].map(() => join(version, kind, `sync/${version}/${kind}`));
        const [one, two] = pair;
        await until('synced', () => pair.every(({ provider }) => provider.synced));
        const begun = performance.now();
        writeAll(one);
        await until('the same', () => said(two) === said(one));
        two.doc.getText('text').delete(0, 3);
        two.doc.getXmlFragment('xml').get(0).setAttribute('class', 'last');
        await until('the same', () => said(two) === said(one));
        const ms = performance.now() - begun;
        for (const { doc } of pair) assert.deepEqual([doc.store.pendingStructs, doc.store.pendingDs], [null, null]);
        for (const [from, to] of [[one, two], [two, one]]) {
          from.awareness.setLocalStateField('user', { name: 'Ada' });
          await until('seen', () => to.awareness.getStates().get(from.doc.clientID)?.user?.name === 'Ada');
        }
        one.provider.destroy();
        await until('gone', () => !two.awareness.getStates().has(one.doc.clientID));
        const late = join(version, kind, `sync/${version}/${kind}`);
        await until('synced', () => late.provider.synced);
        assert.equal(said(late), said(two));
        await until('seen', () => late.awareness.getStates().has(two.doc.clientID));
        [two, late].forEach(({ provider }) => provider.destroy());
        say({ version, kind, ms, seen: [one, two, late].map(({ seen }) => seen) });
      }
    }
  },

  /** A client that shows nobody anything hears nothing of the others, either; it leaves after 30 s of silence. */
  async silent() {
    const all = versions.flatMap((version) => Object.keys(sockets).map((kind) => {
      const client = join(version, kind, `silent/${version}/${kind}`);
      client.awareness.setLocalState(null);
      return { version, kind, ...client };
    }));
    await until('synced', () => all.every(({ provider }) => provider.synced));
    // Its time is what is tested here.
    await new Promise((done) => setTimeout(done, 35_000));
    for (const { version, kind, seen, provider } of all) {
      provider.destroy();
      say({ version, kind, ...seen });
    }
  },

  /** A provider and clients that speak JSON in one room. */
  async mixed() {
    const provider = join(newest, 'ws', 'mixed');
    const json = ['/rooms/mixed?yjs=0', '/rooms?room=mixed&yjs=0'].map((path) => {
      const socket = new sockets.ws(`ws://${address}${path}`);
      const client = { socket, texts: [], binaries: 0 };
      socket.on('message', (data, isBinary) => {
        if (isBinary) client.binaries += 1;
        else client.texts.push(JSON.parse(data));
      });
      return client;
    });
    const [stays, leaves] = json;
    await until('there', () => provider.provider.synced && json.every(({ texts }) => texts[0]?.type === 'init'));
    leaves.socket.send('{"type":"custom","data":{"a":1}}');
    writeAll(provider);
    provider.awareness.setLocalStateField('user', { name: 'Ada' });
    await until('told', () => stays.texts.some(({ type }) => type === 'custom'));
    leaves.socket.close(1000);
    await until('told', () => stays.texts.some(({ type }) => type === 'peer-disconnected'));
    const other = join(newest, 'ws', 'mixed');
    await until('synced', () => other.provider.synced && said(other) === said(provider));
    // What was sent before the answer to a ping is here with it.
    for (const socket of [stays.socket, provider.provider.ws]) {
      socket.ping();
      await once(socket, 'pong');
    }
    say({ texts: stays.texts.map(({ type }) => type), binaries: json.map(({ binaries }) => binaries) });
    say({ provider: provider.seen });
    stays.socket.close();
    [provider, other].forEach((client) => client.provider.destroy());
  },

  /** Clients whose token is not good. */
  async refused() {
    const begun = performance.now();
    const all = versions.map((version) => {
      const client = { version, ...join(version, 'ws', `refused/${version}`, { params: { token: 'bad' } }), closed: null };
      client.provider.on('closed', ({ code }) => (client.closed = code));
      client.provider.on('connection-error', () => {});
      return client;
    });
    await until('refused', () => all.every(({ seen, closed }) => closed || seen.sockets === 5));
    const ms = performance.now() - begun;
    for (const { version, seen, closed, provider } of all) {
      say({ version, closed, ms, sockets: seen.sockets, opened: seen.opened, goesOn: provider.shouldConnect });
      provider.destroy();
    }
  },

  /** What the test client of the original does, at a port with the original's URLs. */
  async original() {
    const health = await fetch(`http://${address}/health`);
    say({ health: (await health.json()).status });
    const opened = async () => {
      const socket = new sockets.ws(`ws://${address}?room=test-room`);
      const waiting = [];
      const texts = [];
      socket.on('message', (data) => {
        try {
          texts.push(JSON.parse(data.toString()));
        } catch {
          return;
        }
        waiting.splice(0).forEach((look) => look());
      });
      /** The next message of this type. */
      socket.hears = (type) => new Promise((heard) => {
        const look = () => {
          const at = texts.findIndex((text) => text.type === type);
          if (at < 0) waiting.push(look);
          else heard(texts.splice(at, 1)[0]);
        };
        look();
      });
      socket.init = await socket.hears('init');
      return socket;
    };
    const socket = await opened();
    say({ init: socket.init });
    const other = await opened();
    assert.deepEqual(other.init.peers, [socket.init.connectionId]);
    socket.send(JSON.stringify({ type: 'awareness', data: { cursor: { x: 1, y: 2 } } }));
    say({ awareness: await other.hears('awareness') });
    socket.send(JSON.stringify({ type: 'get-peers' }));
    assert.deepEqual((await socket.hears('peers')).peers, [other.init.connectionId]);
    socket.send(JSON.stringify({ type: 'custom', data: { hello: 'world' } }));
    say({ custom: await other.hears('custom') });
    socket.send(JSON.stringify({ type: 'webrtc-signal', signal: { type: 'offer', sdp: 'sdp' } }));
    say({ signal: await other.hears('webrtc-signal') });
    socket.close(1000);
    const [code] = await once(socket, 'close');
    say({ code });
    assert.equal((await other.hears('peer-disconnected')).connectionId, socket.init.connectionId);
    const again = await opened();
    say({ again: again.init.peers.length });
    [again, other].forEach((open) => open.close());
  },
};

await scenarios[scenario]();
say({ done: true });
// Providers keep timers.
process.exit(0);
