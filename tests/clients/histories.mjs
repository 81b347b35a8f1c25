// Three Y.Docs that edit together through a room's document, which is on the other side of stdin and stdout: one line
// asks, one line answers, bytes are hexadecimal. Whatever they do, all of them and whoever comes later have to agree.
//
// node histories.mjs DIRECTORY-WITH-YJS SEED HISTORIES EDITS-FOR-SIZE
import assert from 'node:assert/strict';
import { readSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { authors, generator } from './edits.mjs';

const [directory, seed, histories, editsForSize] = process.argv.slice(2);
const Y = createRequire(`${directory}/`)('yjs');

const random = generator(seed);
const { one } = random;

const block = Buffer.alloc(1 << 16);
let received = '';
/** Asks the server's document something. */
function ask(what, bytes) {
  writeSync(1, bytes ? `${what} ${Buffer.from(bytes).toString('hex')}\n` : `${what}\n`);
  while (!received.includes('\n')) {
    const count = readSync(0, block);
    if (count === 0) throw new Error('the other side went away');
    received += block.toString('latin1', 0, count);
  }
  const [line] = received.split('\n', 1);
  received = received.slice(line.length + 1);
  const [word, hex = ''] = line.split(' ');
  return [word, Buffer.from(hex, 'hex')];
}

class Peer extends authors(Y) {
  constructor(client) {
    super(client, random);
    this.inbox = [];
    this.outbox = [];
    this.connected = true;
    this.doc.on('update', (update, origin) => origin === 'server' || this.outbox.push(update));
  }

  take(update) {
    Y.applyUpdate(this.doc, update, 'server');
  }
}

const peers = [];

/** The server takes an update and passes on what was new of it. */
function serve(from, update) {
  let [word, bytes] = ask('apply', update);
  if (word === 'gap') {
    update = Y.encodeStateAsUpdate(from.doc, ask('vector')[1]);
    [word, bytes] = ask('apply', update);
  }
  assert.notEqual(word, 'gap');
  if (word === 'known') return;
  for (const peer of peers) {
    if (peer !== from && peer.connected) peer.inbox.push(word === 'whole' ? update : bytes);
  }
}

/** What a client wrote leaves it; what it writes while it is away gets lost. */
function send(peer) {
  const updates = peer.outbox.splice(0);
  if (!peer.connected) return;
  // Some arrive as one, some twice.
  if (updates.length > 1 && random(2)) serve(peer, Y.mergeUpdates(updates));
  else updates.forEach((update) => serve(peer, update));
  if (updates.length && random(10) === 0) serve(peer, one(updates));
}

function receive(peer) {
  for (const update of peer.inbox.splice(0)) peer.take(update);
  send(peer);
}

function connect(peer) {
  receive(peer);
  peer.connected = true;
  peer.take(ask('diff', Y.encodeStateVector(peer.doc))[1]);
  serve(peer, Y.encodeStateAsUpdate(peer.doc, ask('vector')[1]));
  send(peer);
}

function step() {
  const peer = one(peers);
  switch (random(16)) {
    case 0:
      peer.connected = false;
      peer.inbox = [];
      return;
    case 1:
      return connect(peer);
    case 2:
      // All that it has once more; what it lacks does not matter.
      if (peer.connected) send(peer);
      return serve(peer, Y.encodeStateAsUpdate(peer.doc));
    case 3:
      ask('compact');
      return ask('adopt');
    case 4:
      ask('compact');
      peer.edit();
      send(peer);
      return ask('adopt');
    case 5: case 6: case 7: case 8:
      return receive(peer);
    case 9:
      return peer.doc.transact(() => [peer, peer].forEach((same) => same.edit()));
    default:
      peer.edit();
      return send(peer);
  }
}

/** A client that comes when all is over. */
function late(update) {
  const peer = new Peer(9);
  peer.take(update);
  return peer;
}

function history() {
  ask('new');
  peers.splice(0, peers.length, new Peer(1 + random(1e9)), new Peer(1 + random(1e9)), new Peer(1 + random(1e9)));
  for (let steps = 20 + random(120); steps > 0; steps -= 1) step();
  // What a client tidies up after others is an edit, too.
  do {
    peers.forEach(connect);
  } while (peers.some((peer) => peer.inbox.length || peer.outbox.length));
  const said = peers[0].said();
  for (const peer of peers) assert.equal(peer.said(), said);
  for (const form of ['encode', 'compact', 'adopt']) assert.equal(late(ask(form)[1]).said(), said, form);
}

for (let number = 0; number < Number(histories); number += 1) {
  const begin = random.state;
  try {
    history();
  } catch (error) {
    error.message = `history ${number}, seed ${begin}: ${error.message}`;
    throw error;
  }
}

// One client inserts and deletes at random places; the server's form is about as small as that of Yjs.
if (Number(editsForSize) > 0) {
  ask('new');
  peers.splice(0, peers.length, new Peer(5));
  const [peer] = peers;
  for (let edit = 0; edit < Number(editsForSize); edit += 1) {
    if (random(3) === 0 && peer.text.length > 0) peer.text.delete(random(peer.text.length), 1);
    else peer.text.insert(random(peer.text.length + 1), 'x');
    send(peer);
  }
  const ours = ask('compact')[1];
  const yjs = Y.encodeStateAsUpdate(peer.doc);
  assert.equal(late(ours).said(), peer.said());
  ask(`size ${ours.length} ${yjs.length}`);
  assert.ok(ours.length <= yjs.length * 1.02, `${ours.length} bytes against ${yjs.length} of Yjs`);
}
ask('done');
