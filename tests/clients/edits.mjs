// What clients of a room write at random: text with formats and surrogate pairs, map, array, nested XML, and what they take back.
import assert from 'node:assert/strict';

/** Numbers below a bound, the same ones for the same seed. `state` says where it is. */
export function generator(seed) {
  const random = (bound) => {
    random.state = (random.state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(random.state ^ (random.state >>> 15), random.state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
  random.state = Number(seed) >>> 0;
  random.one = (of) => of[random(of.length)];
  return random;
}

/** Those who write, with this Yjs. */
export function authors(Y) {
  const words = ['a', 'bc', 'é', '😀', 'x😀y', 'Привіт', '\n', '👩‍👩‍👧'];

  /** A place that is not within a pair: Yjs cuts one for itself alone if nothing comes of an edit there. */
  function outside(text, random) {
    const units = text.toDelta().map(({ insert }) => (typeof insert === 'string' ? insert : '.')).join('');
    const at = random(units.length + 1);
    return /[\udc00-\udfff]/.test(units.charAt(at)) ? at + 1 : at;
  }

  function erase(type, random) {
    if (type.length === 0) return;
    const at = random(type.length);
    type.delete(at, Math.min(1 + random(4), type.length - at));
  }

  // Positions are units of UTF-16, so that pairs are cut, too.
  const edits = [
    (p, random) => p.text.insert(random(p.text.length + 1), random.one(words)),
    (p, random) => p.text.insert(random(p.text.length + 1), random.one(words)),
    (p, random) => p.text.insert(p.text.length, random.one(words)),
    (p, random) => p.text.insert(random(p.text.length + 1), random.one(words), { bold: true }),
    (p, random) => p.text.insertEmbed(random(p.text.length + 1), { image: random.one(words) }),
    (p, random) => {
      const [at, end] = [outside(p.text, random), outside(p.text, random)].sort((a, b) => a - b);
      p.text.format(at, end - at, { [random.one(['bold', 'em'])]: random.one([true, null]) });
    },
    (p, random) => erase(p.text, random),
    (p, random) => erase(p.text, random),
    (p, random) => p.map.set(random.one(['k', 'l', 'm']), random.one([1, 'x', null, { a: [1, { b: 2.5 }] }, new Uint8Array([1, 255])])),
    (p, random) => p.map.set(random.one(['k', 'n']), new Y.Map([[random.one(['a', 'b']), random.one(words)]])),
    (p, random) => p.map.delete(random.one(['k', 'l', 'n'])),
    (p, random) => p.array.insert(random(p.array.length + 1), [random(1e9), random.one(words), -1.5].slice(random(3))),
    (p, random) => p.array.insert(random(p.array.length + 1), [new Y.Array()]),
    (p, random) => erase(p.array, random),
    (p, random) => {
      const element = new Y.XmlElement(random.one(['p', 'li']));
      element.insert(0, [new Y.XmlText(random.one(words)), new Y.XmlElement('b')]);
      p.xml.insert(random(p.xml.length + 1), [element]);
    },
    (p, random) => {
      const element = p.xml.length && p.xml.get(random(p.xml.length));
      if (element) element.setAttribute('at', random.one(words));
      if (element) element.get(0)?.insert?.(0, element.get(0) instanceof Y.XmlText ? random.one(words) : [new Y.XmlText('in')]);
    },
    (p, random) => erase(p.xml, random),
    (p) => p.undo.undo(),
    (p) => p.undo.redo(),
  ];

  return class Author {
    constructor(client, random) {
      this.random = random;
      this.doc = new Y.Doc();
      this.doc.clientID = client;
      this.text = this.doc.getText('text');
      this.map = this.doc.getMap('map');
      this.array = this.doc.getArray('array');
      this.xml = this.doc.getXmlFragment('xml');
      this.undo = new Y.UndoManager([this.text, this.map], { captureTimeout: 0 });
    }

    /** What it says, with nothing that waits for something else. */
    said() {
      assert.equal(this.doc.store.pendingStructs, null);
      assert.equal(this.doc.store.pendingDs, null);
      const map = Object.entries(this.map.toJSON()).sort(([a], [b]) => (a < b ? -1 : 1));
      return JSON.stringify([this.text.toDelta(), map, this.array.toJSON(), this.xml.toString()]);
    }

    edit() {
      this.random.one(edits)(this, this.random);
    }
  };
}
