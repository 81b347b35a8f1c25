//! One struct of an update (contract 03 §4.3): read, cut in two, written. A struct is a run of units of one client, each
//! with a clock; what the units are is looked at only as far as it takes to count and to part them.

use serde::de::IgnoredAny;

use super::lib0::{Decoder, put_uint, uint_bytes};
use super::refused::{CLOCK_MAX, DEPTH_MAX, Refused};

const LEFT: u8 = 0x80;
const RIGHT: u8 = 0x40;
const KEY: u8 = 0x20;
const KIND: u8 = 0x1f;

const GC: u8 = 0;
const DELETED: u8 = 1;
const JSON: u8 = 2;
const BINARY: u8 = 3;
const STRING: u8 = 4;
const EMBED: u8 = 5;
const FORMAT: u8 = 6;
const TYPE: u8 = 7;
const ANY: u8 = 8;
const DOCUMENT: u8 = 9;
const SKIP: u8 = 10;

const TYPE_XML_ELEMENT: u64 = 3;
const TYPE_XML_HOOK: u64 = 5;
const TYPE_MAX: u64 = 6;

const TAG_MAP: u8 = 118;

/// What Yjs puts in place of each half of a surrogate pair that is cut in two.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// One unit of one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id {
    pub(super) client: u64,
    pub(super) clock: u32,
}

impl Id {
    fn read(decoder: &mut Decoder<'_>) -> Result<Self, Refused> {
        let client = decoder.uint()?;
        Ok(Self { client, clock: read_clock(decoder, client)? })
    }

    fn put(self, out: &mut Vec<u8>) {
        put_uint(out, self.client);
        put_uint(out, self.clock.into());
    }
}

/// A run of units, borrowed from the bytes that hold it.
#[derive(Debug, Clone)]
pub(super) struct Struct<'a> {
    pub(super) clock: u32,
    pub(super) length: u32,
    /// Its kind, and whether it has a key; the flags of the origins follow from them.
    info: u8,
    left: Option<Id>,
    right: Option<Id>,
    /// Parent and key as they were encoded; nothing with either origin.
    parent: &'a [u8],
    parent_id: Option<Id>,
    content: Content<'a>,
}

/// What a struct holds.
#[derive(Debug, Clone, Copy)]
enum Content<'a> {
    /// Nothing but its length.
    Length,
    /// Text, in front of and behind which the half of a pair may be left that was cut off.
    Text { low: bool, text: &'a [u8], high: bool },
    /// Values, or texts of JSON, one a unit.
    Entries { json: bool, bytes: &'a [u8] },
    /// One unit that nobody parts.
    Whole(&'a [u8]),
}

impl<'a> Struct<'a> {
    /// Reads one off bytes of a client and checks all that can be wrong with it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn check(decoder: &mut Decoder<'a>, client: u64, clock: u32) -> Result<Self, Refused> {
        Self::read::<true>(decoder, client, clock)
    }

    /// `CHECKED`: text is looked at, too. What was checked once is only counted.
    fn read<const CHECKED: bool>(decoder: &mut Decoder<'a>, client: u64, clock: u32) -> Result<Self, Refused> {
        let Head { info, left, right, parent, parent_id } = Head::read::<CHECKED>(decoder)?;
        let (content, length) = Content::read::<CHECKED>(decoder, info & KIND)?;
        if length == 0 {
            return Err(Refused::Empty { what: "a struct" });
        }
        let end = length.saturating_add(clock.into());
        if end > CLOCK_MAX.into() {
            return Err(Refused::Clock { client, clock: end });
        }
        // Both fit after what was just said.
        let length = (end - u64::from(clock)) as u32;
        Ok(Self { clock, length, info: info & (KIND | KEY), left, right, parent, parent_id, content })
    }

    /// The clock after its last unit.
    pub(super) fn end(&self) -> u32 {
        self.clock + self.length
    }

    /// Whether it stands for units that are not here.
    pub(super) fn is_skip(&self) -> bool {
        self.kind() == SKIP
    }

    /// The units that have to be there before it.
    pub(super) fn needs(&self) -> impl Iterator<Item = Id> {
        [self.left, self.right, self.parent_id].into_iter().flatten()
    }

    /// Whether its content goes once its units are deleted: containers stay for what is in them, formats for the text
    /// around them.
    pub(super) fn is_leaf(&self) -> bool {
        matches!(self.kind(), JSON | BINARY | STRING | EMBED | ANY)
    }

    fn kind(&self) -> u8 {
        self.info & KIND
    }

    /// What is left of it once its content is gone.
    pub(super) fn deleted(mut self) -> Self {
        self.info = self.info & KEY | DELETED;
        self.content = Content::Length;
        self
    }

    /// Parts it after so many of its units: at least one, and fewer than all. The second half begins right of the first.
    pub(super) fn split(self, client: u64, units: u32) -> (Self, Self) {
        debug_assert!(0 < units && units < self.length);
        let (first, second) = self.content.split(units);
        let clock = self.clock + units;
        let is_item = !matches!(self.kind(), GC | SKIP);
        let second = Self {
            clock,
            length: self.length - units,
            left: is_item.then_some(Id { client, clock: clock - 1 }),
            parent: &[],
            parent_id: None,
            content: second,
            ..self
        };
        (Self { length: units, content: first, ..self }, second)
    }

    /// The part of it from this clock on, which lies inside of it or before.
    pub(super) fn since(self, client: u64, clock: u32) -> Self {
        match clock.saturating_sub(self.clock) {
            0 => self,
            units => self.split(client, units).1,
        }
    }

    /// Appends it as an update has it.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let flag = |id: Option<Id>, flag| if id.is_some() { flag } else { 0 };
        out.push(self.info | flag(self.left, LEFT) | flag(self.right, RIGHT));
        for id in [self.left, self.right].into_iter().flatten() {
            id.put(out);
        }
        out.extend_from_slice(self.parent);
        match self.content {
            Content::Length => put_uint(out, self.length.into()),
            Content::Text { text, .. } => {
                put_uint(out, (text.len() + self.content.replaced_bytes()) as u64);
                self.content.put_units(out);
            }
            Content::Entries { .. } => {
                put_uint(out, self.length.into());
                self.content.put_units(out);
            }
            Content::Whole(bytes) => out.extend_from_slice(bytes),
        }
    }

    /// Makes it part of the struct that ends `out` and begins at `last`, where both mean the same as one of them: this
    /// begins where that ends, right of its last unit, with the same unit on the right when it was written. `false`: it
    /// is another, and nothing was done.
    pub(super) fn merge(&self, client: u64, out: &mut Vec<u8>, last: usize) -> bool {
        let mut decoder = Decoder::new(&out[last..]);
        let Ok(before) = Head::read::<false>(&mut decoder) else { return false };
        if before.info & (KIND | KEY) != self.info {
            return false;
        }
        let follows = self.left == Some(Id { client, clock: self.clock.wrapping_sub(1) }) && self.right == before.right;
        let may = match self.kind() {
            GC => true,
            DELETED => follows,
            // The values of one key follow each other, yet only the last of them is to be seen.
            JSON | STRING | ANY => follows && self.info & KEY == 0,
            _ => false,
        };
        if !may {
            return false;
        }
        let at = out.len() - decoder.left().len();
        let Ok(size) = decoder.uint() else { return false };
        let more = match self.content {
            Content::Text { text, .. } => (text.len() + self.content.replaced_bytes()) as u64,
            _ => self.length.into(),
        };
        let mut longer = Vec::with_capacity(uint_bytes(size + more));
        put_uint(&mut longer, size + more);
        let counted = out.len() - decoder.left().len();
        out.splice(at..counted, longer);
        self.content.put_units(out);
        true
    }
}

impl<'a> Content<'a> {
    /// With the number of its units.
    fn read<const CHECKED: bool>(decoder: &mut Decoder<'a>, kind: u8) -> Result<(Self, u64), Refused> {
        let all = decoder.left();
        match kind {
            GC | DELETED | SKIP => return Ok((Self::Length, decoder.uint()?)),
            STRING => {
                let text = text::<CHECKED>(decoder)?;
                return Ok((Self::Text { low: false, text, high: false }, utf16_units(text)));
            }
            JSON | ANY => {
                let count = read_count(decoder, "values")?;
                let all = decoder.left();
                for _ in 0..count {
                    if kind == ANY {
                        skip_value::<CHECKED>(decoder)?;
                    } else {
                        skip_json::<CHECKED>(decoder, true)?;
                    }
                }
                return Ok((Self::Entries { json: kind == JSON, bytes: consumed(all, decoder) }, count));
            }
            BINARY => drop(decoder.buf()?),
            EMBED => skip_json::<CHECKED>(decoder, false)?,
            FORMAT => {
                text::<CHECKED>(decoder)?;
                skip_json::<CHECKED>(decoder, false)?;
            }
            TYPE => match decoder.uint()? {
                TYPE_XML_ELEMENT | TYPE_XML_HOOK => drop(text::<CHECKED>(decoder)?),
                0..=TYPE_MAX => {}
                number => return Err(Refused::Type { number }),
            },
            DOCUMENT => {
                text::<CHECKED>(decoder)?;
                let tag = decoder.clone().byte()?;
                if tag != TAG_MAP {
                    return Err(Refused::Options { tag });
                }
                skip_value::<CHECKED>(decoder)?;
            }
            info => return Err(Refused::Kind { info }),
        }
        Ok((Self::Whole(consumed(all, decoder)), 1))
    }

    /// Parts it after so many units.
    fn split(self, units: u32) -> (Self, Self) {
        match self {
            Self::Text { low, text, high } => {
                let (at, halved) = utf16_position(text, units - u32::from(low));
                // A pair that is cut belongs to neither side any more.
                let after = if halved { at + 4 } else { at };
                let first = Self::Text { low, text: &text[..at], high: halved };
                (first, Self::Text { low: halved, text: &text[after..], high })
            }
            Self::Entries { json, bytes } => {
                let mut decoder = Decoder::new(bytes);
                for _ in 0..units {
                    let passed = if json { decoder.buf().is_ok() } else { skip_value::<false>(&mut decoder).is_ok() };
                    debug_assert!(passed, "it was read once");
                }
                (
                    Self::Entries { json, bytes: consumed(bytes, &decoder) },
                    Self::Entries { json, bytes: decoder.left() },
                )
            }
            other => (other, other),
        }
    }

    /// Bytes of the replacements for halves of pairs.
    fn replaced_bytes(&self) -> usize {
        match *self {
            Self::Text { low, high, .. } => (usize::from(low) + usize::from(high)) * REPLACEMENT.len(),
            _ => 0,
        }
    }

    /// Appends its units without their number.
    fn put_units(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Text { low, text, high } => {
                out.extend_from_slice(if low { REPLACEMENT } else { &[] });
                out.extend_from_slice(text);
                out.extend_from_slice(if high { REPLACEMENT } else { &[] });
            }
            Self::Entries { bytes, .. } => out.extend_from_slice(bytes),
            Self::Length | Self::Whole(_) => {}
        }
    }
}

/// What stands before the content of a struct.
struct Head<'a> {
    info: u8,
    left: Option<Id>,
    right: Option<Id>,
    parent: &'a [u8],
    parent_id: Option<Id>,
}

impl<'a> Head<'a> {
    fn read<const CHECKED: bool>(decoder: &mut Decoder<'a>) -> Result<Self, Refused> {
        let info = decoder.byte()?;
        let mut head = Self { info, left: None, right: None, parent: &[], parent_id: None };
        match info & KIND {
            // Clients do not agree on what flags mean here.
            GC | SKIP if info & !KIND != 0 => return Err(Refused::Kind { info }),
            GC | SKIP => return Ok(head),
            DELETED..=DOCUMENT => {}
            _ => return Err(Refused::Kind { info }),
        }
        if info & LEFT != 0 {
            head.left = Some(Id::read(decoder)?);
        }
        if info & RIGHT != 0 {
            head.right = Some(Id::read(decoder)?);
        }
        if info & (LEFT | RIGHT) == 0 {
            let all = decoder.left();
            match decoder.uint()? {
                0 => head.parent_id = Some(Id::read(decoder)?),
                1 => drop(text::<CHECKED>(decoder)?),
                kind => return Err(Refused::Parent { kind }),
            }
            if info & KEY != 0 {
                text::<CHECKED>(decoder)?;
            }
            head.parent = consumed(all, decoder);
        }
        Ok(head)
    }
}

/// The structs of one client back to back, read for the second time: what they are was checked, and is only counted.
#[derive(Debug, Clone)]
pub(super) struct Structs<'a> {
    decoder: Decoder<'a>,
    client: u64,
    clock: u32,
}

impl<'a> Structs<'a> {
    /// Of bytes that were checked, from this clock on.
    pub(super) fn new(client: u64, clock: u32, bytes: &'a [u8]) -> Self {
        Self { decoder: Decoder::new(bytes), client, clock }
    }

    /// The clock at which the next one begins.
    pub(super) fn clock(&self) -> u32 {
        self.clock
    }

    /// What was not read yet.
    pub(super) fn left(&self) -> &'a [u8] {
        self.decoder.left()
    }
}

impl<'a> Iterator for Structs<'a> {
    type Item = Struct<'a>;

    fn next(&mut self) -> Option<Struct<'a>> {
        if self.decoder.is_at_end() {
            return None;
        }
        let next = Struct::read::<false>(&mut self.decoder, self.client, self.clock);
        debug_assert!(next.is_ok(), "bytes that were never checked: {next:?}");
        let next = next.ok()?;
        self.clock = next.end();
        Some(next)
    }
}

/// A number of things that take a byte each at least: no more of them than bytes.
///
/// # Errors
/// There cannot be so many.
pub(super) fn read_count(decoder: &mut Decoder<'_>, what: &'static str) -> Result<u64, Refused> {
    let count = decoder.uint()?;
    let left = decoder.left().len();
    if count > left as u64 { Err(Refused::Count { what, count, left }) } else { Ok(count) }
}

/// A clock of this client.
///
/// # Errors
/// It is over [`CLOCK_MAX`].
pub(super) fn read_clock(decoder: &mut Decoder<'_>, client: u64) -> Result<u32, Refused> {
    let clock = decoder.uint()?;
    u32::try_from(clock).map_err(|_| Refused::Clock { client, clock })
}

/// What was read since `all` was left.
fn consumed<'a>(all: &'a [u8], decoder: &Decoder<'a>) -> &'a [u8] {
    &all[..all.len() - decoder.left().len()]
}

fn text<'a, const CHECKED: bool>(decoder: &mut Decoder<'a>) -> Result<&'a [u8], Refused> {
    Ok(if CHECKED { decoder.str()?.as_bytes() } else { decoder.buf()? })
}

/// Passes over a text of JSON; one without a value is allowed where Yjs writes the word for it.
fn skip_json<const CHECKED: bool>(decoder: &mut Decoder<'_>, or_undefined: bool) -> Result<(), Refused> {
    if !CHECKED {
        decoder.buf()?;
        return Ok(());
    }
    let text = decoder.str()?;
    if or_undefined && text == "undefined" {
        return Ok(());
    }
    // It keeps nothing and does not recurse, and takes what JavaScript takes: halves of pairs, any size of number.
    serde_json::from_str::<IgnoredAny>(text).map_err(|_| Refused::Json { bytes: text.len() })?;
    if json_depth(text.as_bytes()) > DEPTH_MAX { Err(Refused::Depth) } else { Ok(()) }
}

/// How many lists and maps lie in each other at most, in JSON that is right.
fn json_depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for &byte in text {
        if quoted {
            (quoted, escaped) = (escaped || byte != b'"', !escaped && byte == b'\\');
            continue;
        }
        match byte {
            b'"' => quoted = true,
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth -= 1,
            _ => {}
        }
    }
    deepest
}

/// Passes over a value, without recursion.
fn skip_value<const CHECKED: bool>(decoder: &mut Decoder<'_>) -> Result<(), Refused> {
    // Of each list or map that is open: how many values are to come, and whether each has a key.
    let mut open: Vec<(u64, bool)> = Vec::new();
    loop {
        match decoder.byte()? {
            127 | 126 | 121 | 120 => {}
            125 => decoder.skip_int()?,
            124 => drop(decoder.bytes(4)?),
            123 | 122 => drop(decoder.bytes(8)?),
            119 => drop(text::<CHECKED>(decoder)?),
            tag @ (TAG_MAP | 117) => {
                if open.len() == DEPTH_MAX {
                    return Err(Refused::Depth);
                }
                open.push((read_count(decoder, "values")?, tag == TAG_MAP));
            }
            116 => drop(decoder.buf()?),
            tag => return Err(Refused::Tag { tag }),
        }
        while open.pop_if(|(left, _)| *left == 0).is_some() {}
        let Some((left, keyed)) = open.last_mut() else { return Ok(()) };
        *left -= 1;
        if *keyed {
            text::<CHECKED>(decoder)?;
        }
    }
}

/// How many units UTF-16 needs for text of UTF-8.
fn utf16_units(text: &[u8]) -> u64 {
    text.iter().map(|&byte| u64::from(byte & 0xc0 != 0x80) + u64::from(byte >= 0xf0)).sum()
}

/// Where so many units end, which are no more than the text has; with whether they end within a pair, which then begins
/// there.
fn utf16_position(text: &[u8], units: u32) -> (usize, bool) {
    let (mut at, mut left) = (0, units);
    while left > 0 {
        let Some(&first) = text.get(at) else { break };
        let (bytes, width) = match first {
            0..0x80 => (1, 1),
            0x80..0xe0 => (2, 1),
            0xe0..0xf0 => (3, 1),
            0xf0.. => (4, 2),
        };
        if width > left {
            return (at, true);
        }
        (at, left) = (at + bytes, left - width);
    }
    (at, false)
}
