// The writing half of the client, against a server (INKRING_BASE) behind a proxy that breaks connections at random.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import net from 'node:net';
import { test } from 'node:test';

import { Refused, newKey, writeDrafts } from '../../docs/clients/inkring.js';

const BASE = process.env.INKRING_BASE;
const alice = { 'X-User-Id': 'alice' };
/** How long the client waits for an answer; nothing else takes as long here. */
const ANSWER_MS = 10_000;
/** Waits between attempts, but not long. */
const soon = (then, ms) => setTimeout(then, ms === ANSWER_MS ? ms : ms / 200);

/** The same numbers each time (mulberry32). */
function seeded(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Between client and server: now and then it loses the request, the answer, or the rest of an answer. */
async function breaking(random) {
  const lost = { requests: 0, answers: 0, halves: 0 };
  const { hostname, port } = new URL(BASE);
  const proxy = net.createServer((client) => {
    const server = net.connect(port, hostname);
    const end = () => (client.destroy(), server.destroy());
    for (const socket of [client, server]) socket.on('error', end).on('close', end);
    client.on('data', (bytes) => {
      if (random() < 0.15) return (lost.requests++, end());
      server.write(bytes);
    });
    server.on('data', (bytes) => {
      const chance = random();
      if (chance < 0.2) return (lost.answers++, end());
      if (chance < 0.3) return (lost.halves++, client.write(bytes.subarray(0, bytes.length / 2), end));
      client.write(bytes);
    });
  });
  await new Promise((listening) => proxy.listen(0, '127.0.0.1', listening));
  return { lost, baseUrl: `http://127.0.0.1:${proxy.address().port}/`, close: () => proxy.close() };
}

async function create() {
  const body = JSON.stringify({ title: 't', platform: 'x' });
  const headers = { ...alice, 'Content-Type': 'application/json' };
  const answer = await fetch(`${BASE}/v1/collab/drafts`, { method: 'POST', headers, body });
  return (await answer.json()).data.draft_id;
}

async function read(draftId, rest = '') {
  return (await (await fetch(`${BASE}/v1/collab/drafts/${draftId}${rest}`)).json()).data;
}

test('every segment is there exactly once and in order, whatever is lost on the way', async () => {
  const proxy = await breaking(seeded(7));
  const drafts = writeDrafts({ baseUrl: proxy.baseUrl, headers: alice, setTimeout: soon });
  const draftId = await create();
  const contents = Array.from({ length: 80 }, (_, number) => `segment ${number}`);
  // All at once: one after the other is the client's business.
  const receipts = await Promise.all(contents.map((content) => drafts.append(draftId, content)));
  const passed = await drafts.pass(draftId, 'alice');
  proxy.close();
  const { segments, ring_state } = await read(draftId);
  assert.deepEqual(segments.map(({ content }) => content), contents);
  assert.deepEqual(ring_state.holders_history, ['alice', 'alice']);
  assert.deepEqual(receipts.map(({ segment_id }) => segment_id), segments.map(({ segment_id }) => segment_id));
  assert.deepEqual(receipts.map(({ version }) => version), contents.map((_, number) => number + 2));
  assert.deepEqual({ version: passed.version, segment_id: passed.segment_id }, { version: 82, segment_id: null });
  const chain = (await read(draftId, '/chain')).segments;
  assert.deepEqual(receipts.map(({ chain_sha256 }) => chain_sha256), chain.map(({ chain_sha256 }) => chain_sha256));
  assert.equal(receipts[3].content_sha256, createHash('sha256').update('segment 3').digest('hex'));
  for (const [what, count] of Object.entries(proxy.lost)) assert.ok(count > 2, `${count} ${what} were lost`);
});

test('what the server refuses is refused, and what it tells in passing is asked again', async () => {
  const draftId = await create();
  const drafts = writeDrafts({ baseUrl: BASE, headers: alice, setTimeout: soon });
  const refused = (change) => change.then(() => assert.fail('it was made'), (error) => error);
  const first = await drafts.append(draftId, 'one', { version: 1 });
  const stale = await refused(drafts.append(draftId, 'two', { version: 1 }));
  assert.ok(stale instanceof Refused && stale.requestId);
  assert.deepEqual([stale.status, stale.code, stale.currentVersion], [412, 'stale_version', 2]);
  const stranger = writeDrafts({ baseUrl: BASE, headers: { 'X-User-Id': 'mallory' }, setTimeout: soon });
  assert.equal((await refused(stranger.append(draftId, 'x'))).code, 'forbidden');
  assert.equal((await refused(drafts.append('nowhere', 'x'))).status, 404);
  assert.equal((await refused(drafts.append(draftId, ''))).status, 422);
  // A message that is an object has the sentence inside, and the hint says what to send.
  const nobody = await refused(writeDrafts({ baseUrl: BASE, setTimeout: soon }).append(draftId, 'x'));
  assert.deepEqual([nobody.status, nobody.message], [401, 'Missing Authorization (Bearer JWT) or X-User-Id header: Send X-User-Id: ID']);

  // With the key of an earlier run it is the earlier change.
  const key = newKey();
  const once = await drafts.append(draftId, 'two', { key });
  assert.deepEqual(await drafts.append(draftId, 'two', { key }), once);
  assert.equal((await read(draftId)).segments.length, 2);
  assert.equal(first.segment_order, 0);

  const answers = [
    () => new Response('<h1>Bad Gateway</h1>', { status: 502 }),
    () => new Response('{"error":{"code":"rate_limited"}}', { status: 429, headers: { 'Retry-After': '2', 'Content-Type': 'application/json' } }),
    () => Promise.reject(new TypeError('fetch failed')),
    () => new Response('<p>Welcome to the hotel</p>'),
    fetch,
  ];
  const waited = [];
  const through = writeDrafts({
    baseUrl: BASE,
    headers: alice,
    fetch: (...request) => answers.shift()(...request),
    random: () => 1,
    setTimeout: (then, ms) => (ms === ANSWER_MS ? undefined : (waited.push(ms), soon(then, 0))),
  });
  assert.equal((await through.append(draftId, 'three')).segment_order, 2);
  assert.deepEqual(waited, [1_000, 4_000, 4_000, 8_000]);
  const full = new Response('{"error":{"code":"limit_exceeded"}}', { status: 429, headers: { 'Content-Type': 'application/json' } });
  const capped = writeDrafts({ baseUrl: BASE, fetch: async () => full, setTimeout: soon });
  assert.equal((await refused(capped.append(draftId, 'x'))).code, 'limit_exceeded');
});

test('who is invited comes in, over connections that break', async () => {
  const proxy = await breaking(seeded(11));
  const as = (user) => writeDrafts({ baseUrl: proxy.baseUrl, headers: { 'X-User-Id': user }, setTimeout: soon });
  const draftId = await create();
  const { invite_id, share_url } = await as('alice').invite(draftId, { target_user_id: 'carol' });
  const secret = new URL(share_url, BASE).searchParams.get('token');
  await assert.rejects(as('mallory').accept(invite_id, secret), Refused);
  assert.equal((await as('carol').accept(invite_id, secret)).status, 'accepted');
  await as('alice').pass(draftId, 'carol');
  await as('carol').append(draftId, 'thank you');
  proxy.close();
  const { collaborators, segments } = await read(draftId);
  assert.deepEqual([collaborators, segments.map(({ user_id }) => user_id)], [['carol'], ['carol']]);
});

test('a token that has expired is renewed once, and attempts end when they are to', async () => {
  const draftId = await create();
  const tokens = [];
  const expired = () => new Response('{"error":{"code":"http_error"}}', { status: 401, headers: { 'Content-Type': 'application/json' } });
  const answers = [expired(), new Response('{"data":{"version":9}}'), expired(), expired()];
  const seen = [];
  const drafts = writeDrafts({
    baseUrl: BASE,
    token: () => `token ${tokens.push('')}`,
    fetch: async (_, { headers }) => (seen.push(headers.Authorization), answers.shift()),
    setTimeout: soon,
  });
  assert.deepEqual(await drafts.append(draftId, 'x'), { version: 9 });
  await assert.rejects(drafts.append(draftId, 'x'), { status: 401 });
  assert.deepEqual(seen, ['Bearer token 1', 'Bearer token 2', 'Bearer token 3', 'Bearer token 4']);

  const aborter = new AbortController();
  let asked = 0;
  const never = writeDrafts({
    baseUrl: BASE,
    fetch: async () => {
      if (++asked === 3) queueMicrotask(() => aborter.abort(new Error('enough')));
      throw new TypeError('fetch failed');
    },
    setTimeout: soon,
  });
  await assert.rejects(never.pass(draftId, 'bob', { signal: aborter.signal }), { message: 'enough' });
  await assert.rejects(never.pass(draftId, 'bob', { signal: aborter.signal }), { message: 'enough' });
  assert.equal(asked, 3);
});

test('keys are many and fit for the server', () => {
  const keys = new Set(Array.from({ length: 1000 }, newKey));
  assert.equal(keys.size, 1000);
  assert.ok([...keys].every((key) => /^[0-9a-f]{32}$/.test(key)));
});
