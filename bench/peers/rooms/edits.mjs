// Random inserts and deletes in one text, as updates to play to a server: each behind its length in four bytes, and at the
// end what Yjs makes of all of them.
//
// node edits.mjs DIRECTORY-WITH-YJS EDITS FILE
import { createWriteStream } from 'node:fs';
import { createRequire } from 'node:module';

const [directory, edits, file] = process.argv.slice(2);
const Y = createRequire(`${directory}/`)('yjs');
/** Edits in one update: what a client sends that was away for a moment. */
const TOGETHER = 100;

let state = 12;
/** A number below `bound`, the same ones in every run. */
function random(bound) {
  state = (state + 0x6d2b79f5) >>> 0;
  let mixed = Math.imul(state ^ (state >>> 15), state | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
}

const out = createWriteStream(file);
function put(bytes) {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  out.write(length);
  out.write(bytes);
}

const document = new Y.Doc();
document.clientID = 7;
document.on('update', put);
const text = document.getText('t');
for (let done = 0; done < Number(edits); done += TOGETHER) {
  document.transact(() => {
    for (let edit = 0; edit < TOGETHER; edit += 1) {
      const at = random(text.length + 1);
      const length = Math.min(1 + random(5), text.length - at);
      if (random(3) === 0 && length > 0) text.delete(at, length);
      else text.insert(at, 'etaoinshr'.slice(0, 1 + random(5)));
    }
  });
}
put(Y.encodeStateAsUpdate(document));
out.end();
