// Recomputes the chain of a draft, as "The chain" in ../PROTOCOL.md has it, from the texts that the server shows:
//   TOKEN=eyJ… node verify.mjs http://127.0.0.1:8000 DRAFT [CHAIN_SHA256 …]
// Hashes behind the draft are those of receipts: each must be in the chain. The token is only for drafts that not everyone may read;
// on a development server USER_ID says instead who reads.

import { createHash } from 'node:crypto';

const [baseUrl, draftId, ...noted] = process.argv.slice(2);
const { TOKEN, USER_ID = 'alice' } = process.env;
if (!draftId || !URL.canParse(baseUrl)) fail('Usage: [TOKEN=JWT | USER_ID=alice] node verify.mjs URL DRAFT [CHAIN_SHA256 …]', 2);
const draft = `${baseUrl.replace(/\/+$/, '')}/v1/collab/drafts/${encodeURIComponent(draftId)}`;
const headers = TOKEN ? { Authorization: `Bearer ${TOKEN}` } : { 'X-User-Id': USER_ID };
const sha256 = (text) => createHash('sha256').update(text).digest('hex');

function fail(sentence, exitCode = 1) {
  console.error(sentence);
  process.exit(exitCode);
}

async function read(path) {
  const unread = (why) => fail(`${draft}${path} cannot be read: ${why}`);
  const answer = await fetch(draft + path, { headers }).catch((error) => unread(error.cause?.message ?? error.message));
  const { data, error } = await answer.json().catch(() => unread(`${answer.status} without JSON`));
  return answer.ok ? data : unread(error.message.message ?? error.message);
}

const { segments: links } = await read('/chain');
const chain = new Set();
let previous = '0'.repeat(64);
let redacted = 0;
let page = [];
for (const [order, link] of links.entries()) {
  if (page.length === 0) page = (await read(order ? `?segments_after=${order - 1}&limit=1000` : '?limit=1000')).segments;
  const { segment_id, content } = page.shift();
  if (link.segment_order !== order || link.segment_id !== segment_id) fail(`segment ${order} is missing`);
  if (sha256(content) !== link.content_sha256) {
    if (content !== '[redacted]') fail(`segment ${order} is not the one that was hashed`);
    redacted += 1; // Its text was taken out, and its hash holds its place.
  }
  previous = sha256(`${previous}\n${segment_id}\n${link.content_sha256}\n`);
  if (previous !== link.chain_sha256) fail(`segment ${order} does not follow the one before it`);
  chain.add(previous);
}
const unknown = noted.find((hash) => !chain.has(hash));
if (unknown) fail(`${unknown} is not in the chain`);
console.log(`${links.length} segments, ${redacted ? `${redacted} redacted, ` : ''}${previous}`);
