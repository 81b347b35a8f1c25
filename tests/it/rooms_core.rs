//! A room's document against an implementation that does integrate, yrs: whatever three clients do, and however their
//! updates come, what the server hands out makes the same document. The same against Yjs itself, where Node and it are
//! installed. And what no client sends: mutated updates, and the largest ones that cost the most.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use inkring::rooms::lib0::{put_buf, put_uint};
use inkring::rooms::room::{Applied, Compacted, Document};
use inkring::rooms::update::Update;
use inkring::rooms::vector::StateVector;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use yrs::types::Attrs;
use yrs::types::text::YChange;
use yrs::updates::decoder::Decode;
use yrs::updates::encoder::Encode;
use yrs::{
    Any, Array, Doc, GetString, Map, OffsetKind, Options, ReadTxn, StateVector as PeerVector, Text, Transact,
    TransactionMut, Update as PeerUpdate, Xml, XmlElementPrelim, XmlFragment, XmlOut, XmlTextPrelim,
};

use crate::repository::root;
use crate::support::needs::{program, skip};

const PEERS: usize = 3;

/// What one client does.
#[derive(Debug, Clone)]
enum Edit {
    Type(Index, &'static str),
    TypeBold(Index, &'static str),
    Bold(Index, Index),
    Erase(Index, u32),
    Set(usize, i64),
    Unset(usize),
    Push(Index, Vec<i64>),
    Pull(Index, u32),
    Element(Index),
    Inside(Index, &'static str),
    Attribute(Index, &'static str),
    Remove(Index),
}

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    /// A client edits; the server gets it at once if the client is connected.
    Edit(usize, Edit),
    /// Several edits in one transaction.
    Both(usize, Edit, Edit),
    /// A client gets what others wrote since.
    Receive(usize),
    Disconnect(usize),
    /// It comes back: both exchange vectors, and what the other lacks.
    Connect(usize),
    /// A client sends all that it has once more.
    Everything(usize),
    Compact,
    /// Compaction begins, this happens, and then it is adopted.
    CompactDuring(usize, Edit),
}

fn edits() -> impl Strategy<Value = Edit> {
    let words = || prop::sample::select(vec!["a", "bc", "é", "😀", "x😀y", "Привіт", "\n"]);
    let index = any::<Index>;
    prop_oneof![
        6 => (index(), words()).prop_map(|(at, text)| Edit::Type(at, text)),
        2 => (index(), words()).prop_map(|(at, text)| Edit::TypeBold(at, text)),
        2 => (index(), index()).prop_map(|(from, to)| Edit::Bold(from, to)),
        4 => (index(), 1..5_u32).prop_map(|(at, count)| Edit::Erase(at, count)),
        2 => (0..3_usize, any::<i16>().prop_map(i64::from)).prop_map(|(key, value)| Edit::Set(key, value)),
        1 => (0..3_usize).prop_map(Edit::Unset),
        2 => (index(), vec(any::<i16>().prop_map(i64::from), 1..4)).prop_map(|(at, values)| Edit::Push(at, values)),
        1 => (index(), 1..4_u32).prop_map(|(at, count)| Edit::Pull(at, count)),
        2 => index().prop_map(Edit::Element),
        3 => (index(), words()).prop_map(|(at, text)| Edit::Inside(at, text)),
        1 => (index(), words()).prop_map(|(at, text)| Edit::Attribute(at, text)),
        1 => index().prop_map(Edit::Remove),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => (0..PEERS, edits()).prop_map(|(peer, edit)| Step::Edit(peer, edit)),
        2 => (0..PEERS, edits(), edits()).prop_map(|(peer, one, two)| Step::Both(peer, one, two)),
        6 => (0..PEERS).prop_map(Step::Receive),
        1 => (0..PEERS).prop_map(Step::Disconnect),
        1 => (0..PEERS).prop_map(Step::Connect),
        1 => (0..PEERS).prop_map(Step::Everything),
        1 => Just(Step::Compact),
        1 => (0..PEERS, edits()).prop_map(|(peer, edit)| Step::CompactDuring(peer, edit)),
    ];
    vec(step, 1..60)
}

fn peer(client: u64) -> Doc {
    let mut options = Options::with_client_id(yrs::block::ClientID::new(client));
    options.offset_kind = OffsetKind::Utf16;
    options.cleanup_formatting = false;
    let doc = Doc::with_options(options);
    doc.get_or_insert_text("text");
    doc.get_or_insert_map("map");
    doc.get_or_insert_array("array");
    doc.get_or_insert_xml_fragment("xml");
    doc
}

fn take(doc: &Doc, bytes: &[u8]) {
    let update = PeerUpdate::decode_v1(bytes).unwrap();
    doc.transact_mut().apply_update(update).unwrap();
}

/// What a document says, as text; with nothing that waits for something else.
fn said(doc: &Doc) -> String {
    let (text, map) = (doc.get_or_insert_text("text"), doc.get_or_insert_map("map"));
    let (array, xml) = (doc.get_or_insert_array("array"), doc.get_or_insert_xml_fragment("xml"));
    let txn = doc.transact();
    assert!(txn.store().pending_update().is_none() && txn.store().pending_ds().is_none());
    let mut keys: Vec<String> = map.iter(&txn).map(|(key, value)| format!("{key}: {value:?}")).collect();
    keys.sort();
    let runs: Vec<String> = text
        .diff(&txn, YChange::identity)
        .into_iter()
        .map(|run| format!("{:?} {}", run.insert, run.attributes.is_some_and(|attributes| !attributes.is_empty())))
        .collect();
    format!("{runs:?} {keys:?} {:?} {}", array.to_json_text(&txn), xml.get_string(&txn))
}

/// An array as text.
trait ToText {
    fn to_json_text<T: ReadTxn>(&self, txn: &T) -> Vec<String>;
}

impl ToText for yrs::ArrayRef {
    fn to_json_text<T: ReadTxn>(&self, txn: &T) -> Vec<String> {
        self.iter(txn).map(|value| format!("{value:?}")).collect()
    }
}

/// Places in a text that are not within a pair.
fn places(text: &str) -> Vec<u32> {
    let mut places = vec![0];
    for letter in text.chars() {
        places.push(places[places.len() - 1] + letter.len_utf16() as u32);
    }
    places
}

fn edit(txn: &mut TransactionMut<'_>, edit: &Edit) {
    let bold = || Attrs::from([("b".into(), Any::Bool(true))]);
    let roots = (txn.get_text("text").unwrap(), txn.get_map("map").unwrap(), txn.get_array("array").unwrap());
    let (text, map, array) = roots;
    let xml = txn.get_xml_fragment("xml").unwrap();
    let at_text = |txn: &TransactionMut<'_>, index: &Index| *index.get(&places(&text.get_string(txn)));
    let child = |txn: &TransactionMut<'_>, index: &Index| {
        let children: Vec<XmlOut> = xml.children(txn).collect();
        if children.is_empty() { None } else { Some(index.get(&children).clone()) }
    };
    match edit {
        Edit::Type(at, words) => {
            let at = at_text(txn, at);
            text.insert(txn, at, words);
        }
        Edit::TypeBold(at, words) => {
            let at = at_text(txn, at);
            text.insert_with_attributes(txn, at, words, bold());
        }
        Edit::Bold(from, to) => {
            let (from, to) = (at_text(txn, from), at_text(txn, to));
            if from < to {
                text.format(txn, from, to - from, bold());
            }
        }
        Edit::Erase(at, count) => {
            let all = places(&text.get_string(txn));
            let from = at.index(all.len());
            let to = (from + *count as usize).min(all.len() - 1);
            if from < to {
                text.remove_range(txn, all[from], all[to] - all[from]);
            }
        }
        Edit::Set(key, value) => drop(map.insert(txn, format!("k{key}"), *value)),
        Edit::Unset(key) => drop(map.remove(txn, &format!("k{key}"))),
        Edit::Push(at, values) => {
            let at = at.index(array.len(txn) as usize + 1) as u32;
            array.insert_range(txn, at, values.iter().copied());
        }
        Edit::Pull(at, count) => {
            let length = array.len(txn);
            if length > 0 {
                let at = at.index(length as usize) as u32;
                array.remove_range(txn, at, (*count).min(length - at));
            }
        }
        Edit::Element(at) => {
            let at = at.index(xml.len(txn) as usize + 1) as u32;
            let element = xml.insert(txn, at, XmlElementPrelim::empty("p"));
            element.insert(txn, 0, XmlTextPrelim::new("in"));
        }
        Edit::Inside(at, words) => match child(txn, at) {
            Some(XmlOut::Element(element)) => {
                let text = element.insert(txn, 0, XmlTextPrelim::new(""));
                text.insert(txn, 0, words);
                let nested = element.insert(txn, 0, XmlElementPrelim::empty("q"));
                nested.insert_attribute(txn, "of", *words);
            }
            _ => drop(xml.insert(txn, 0, XmlTextPrelim::new(*words))),
        },
        Edit::Attribute(at, words) => {
            if let Some(XmlOut::Element(element)) = child(txn, at) {
                element.insert_attribute(txn, "at", *words);
            }
        }
        Edit::Remove(at) => {
            let length = xml.len(txn);
            if length > 0 {
                xml.remove_range(txn, at.index(length as usize) as u32, 1);
            }
        }
    }
}

/// A document of its own of what another handed out.
fn reload(bytes: &[u8]) -> Document {
    let mut document = Document::default();
    let applied = document.apply(&Update::parse(bytes).unwrap());
    assert!(matches!(applied, Applied::Whole | Applied::Known), "{applied:?}");
    document
}

/// A room with three clients.
struct Room {
    document: Document,
    peers: Vec<Doc>,
    /// What waits on the way to each connected client; a client that is away has nothing.
    inboxes: Vec<Option<Vec<Vec<u8>>>>,
}

impl Room {
    fn new() -> Self {
        Self {
            document: Document::default(),
            peers: (0..PEERS).map(|peer| self::peer(peer as u64 * 1_000 + 1)).collect(),
            inboxes: vec![Some(Vec::new()); PEERS],
        }
    }

    /// The server takes an update of a client and passes it on.
    fn serve(&mut self, from: usize, bytes: Vec<u8>) {
        let relayed = match self.document.apply(&Update::parse(&bytes).unwrap()) {
            Applied::Known => return,
            Applied::Whole => bytes,
            Applied::Reduced(new) => new,
            // What a client sends after it was away builds on what it has not sent: it is asked for that.
            Applied::Gap => self.lacking(from),
        };
        for (to, inbox) in self.inboxes.iter_mut().enumerate() {
            if let Some(inbox) = inbox.as_mut().filter(|_| to != from) {
                inbox.push(relayed.clone());
            }
        }
    }

    /// What a client answers when it is told how much the server has.
    fn lacking(&mut self, from: usize) -> Vec<u8> {
        let vector = PeerVector::decode_v1(&self.document.vector().encode()).unwrap();
        let bytes = self.peers[from].transact().encode_state_as_update_v1(&vector);
        match self.document.apply(&Update::parse(&bytes).unwrap()) {
            Applied::Reduced(new) => new,
            Applied::Whole | Applied::Known => bytes,
            Applied::Gap => panic!("a gap after all that was missing"),
        }
    }

    fn edit(&mut self, peer: usize, edits: &[Edit]) {
        let doc = self.peers[peer].clone();
        let mut txn = doc.transact_mut();
        for edit in edits {
            self::edit(&mut txn, edit);
        }
        let bytes = txn.encode_update_v1();
        drop(txn);
        if self.inboxes[peer].is_some() {
            self.serve(peer, bytes);
        }
    }

    fn receive(&mut self, peer: usize) {
        for bytes in self.inboxes[peer].as_mut().map(std::mem::take).unwrap_or_default() {
            take(&self.peers[peer], &bytes);
        }
    }

    fn connect(&mut self, peer: usize) {
        self.receive(peer);
        self.inboxes[peer] = Some(Vec::new());
        let vector = self.peers[peer].transact().state_vector().encode_v1();
        take(&self.peers[peer], &self.document.snapshot().diff(&StateVector::parse(&vector).unwrap()));
        let vector = PeerVector::decode_v1(&self.document.vector().encode()).unwrap();
        let bytes = self.peers[peer].transact().encode_state_as_update_v1(&vector);
        self.serve(peer, bytes);
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Edit(peer, edit) => self.edit(*peer, std::slice::from_ref(edit)),
            Step::Both(peer, one, two) => self.edit(*peer, &[one.clone(), two.clone()]),
            Step::Receive(peer) => self.receive(*peer),
            Step::Disconnect(peer) => self.inboxes[*peer] = None,
            Step::Connect(peer) => self.connect(*peer),
            Step::Everything(peer) => {
                let bytes = self.peers[*peer].transact().encode_state_as_update_v1(&PeerVector::default());
                self.serve(*peer, bytes);
            }
            Step::Compact => {
                let compacted = self.document.snapshot().compact();
                self.document.adopt(&compacted);
                assert_eq!(self.document.bytes(), compacted.encode().len());
            }
            Step::CompactDuring(peer, edit) => {
                let compacted = self.document.snapshot().compact();
                self.edit(*peer, std::slice::from_ref(edit));
                self.document.adopt(&compacted);
            }
        }
    }

    /// Everybody has everything: they agree, and so does whoever comes later, before and after compaction.
    fn agree(&mut self) {
        for peer in 0..PEERS {
            self.connect(peer);
        }
        for peer in 0..PEERS {
            self.receive(peer);
        }
        let wanted = said(&self.peers[0]);
        for peer in &self.peers {
            assert_eq!(said(peer), wanted);
        }
        let snapshot = self.document.snapshot();
        let compacted = snapshot.compact().encode();
        for bytes in [&snapshot.encode(), &compacted] {
            let late = peer(9);
            take(&late, bytes);
            assert_eq!(said(&late), wanted);
            let loaded = reload(bytes);
            assert_eq!((loaded.vector(), loaded.snapshot().compact().encode()), (snapshot.vector(), compacted.clone()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_three_clients_do_the_server_has_what_they_have(steps in steps()) {
        let mut room = Room::new();
        for step in &steps {
            room.step(step);
        }
        room.agree();
    }
}

/// Valid updates of one history, one after the other.
fn history(steps: &[Step]) -> Vec<Vec<u8>> {
    let mut room = Room::new();
    let mut updates = Vec::new();
    for step in steps {
        let Step::Edit(peer, edit) = step else { continue };
        let doc = room.peers[*peer].clone();
        let mut txn = doc.transact_mut();
        self::edit(&mut txn, edit);
        let bytes = txn.encode_update_v1();
        drop(txn);
        room.serve(*peer, bytes.clone());
        for peer in 0..PEERS {
            room.receive(peer);
        }
        updates.push(bytes);
    }
    updates
}

/// What becomes of the bytes of an update on a hostile way.
#[derive(Debug, Clone)]
enum Mutation {
    Put(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Twice(Index),
}

fn mutations() -> impl Strategy<Value = Mutation> {
    let index = any::<Index>;
    prop_oneof![
        6 => (index(), any::<u8>()).prop_map(|(at, byte)| Mutation::Put(at, byte)),
        3 => (index(), 0..9_u8).prop_map(|(at, byte)| Mutation::Put(at, byte)),
        1 => index().prop_map(Mutation::Cut),
        2 => (index(), vec(any::<u8>(), 1..4)).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        2 => index().prop_map(Mutation::Twice),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    match mutation {
        Mutation::Put(at, byte) => *at.get_mut(bytes) = *byte,
        Mutation::Cut(at) => drop(bytes.remove(at.index(bytes.len()))),
        Mutation::Insert(at, more) => {
            let at = at.index(bytes.len());
            bytes.splice(at..at, more.iter().copied());
        }
        Mutation::Twice(at) => {
            let at = at.index(bytes.len());
            bytes.extend_from_within(at..);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_mutated_update_makes_a_document_that_nobody_can_read(
        steps in steps(),
        mutations in vec((any::<Index>(), vec(mutations(), 1..4)), 1..200),
    ) {
        let updates = history(&steps);
        prop_assume!(!updates.is_empty());
        let mut document = Document::default();
        for (round, (which, mutations)) in mutations.iter().enumerate() {
            let mut bytes = updates[round % updates.len()].clone();
            if let Ok(update) = Update::parse(&bytes) {
                document.apply(&update);
            }
            if round % 3 == 0 {
                bytes = which.get(&updates).clone();
            }
            for mutation in mutations {
                if bytes.is_empty() {
                    break;
                }
                mutate(&mut bytes, mutation);
            }
            let Ok(update) = Update::parse(&bytes) else { continue };
            let before = document.vector();
            let snapshot = document.snapshot();
            match document.apply(&update) {
                Applied::Known | Applied::Gap => assert_eq!(document.vector(), before),
                Applied::Whole => {}
                Applied::Reduced(new) => drop(Update::parse(&new).unwrap()),
            }
            if round % 16 == 0 {
                document.adopt(&snapshot.compact());
            }
        }
        let snapshot = document.snapshot();
        let compacted = snapshot.compact().encode();
        for bytes in [&snapshot.encode(), &compacted] {
            let again = reload(bytes);
            assert_eq!(again.vector(), document.vector());
            assert_eq!(again.snapshot().compact().encode(), compacted);
        }
    }
}

/// How large the largest updates are here: enough for anything quadratic to take minutes. With `INKRING_ROOMS_FIGURES` it
/// is the bound of a message, and what each took is said.
const UPDATE_BYTES: usize = 256 * 1024;
const MESSAGE_MAX_BYTES: usize = 4 * 1024 * 1024;

fn wants_figures() -> bool {
    std::env::var_os("INKRING_ROOMS_FIGURES").is_some()
}

/// Past libtest, which shows what a test prints only when it fails.
fn say(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn update_bytes() -> usize {
    if wants_figures() { MESSAGE_MAX_BYTES } else { UPDATE_BYTES }
}

/// A number as an update has it.
fn uint(value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put_uint(&mut out, value);
    out
}

/// The largest update of one kind: `piece` again and again, as often as fits between what is before and after.
fn largest(piece: impl Fn(u64) -> Vec<u8>, around: impl Fn(u64, Vec<u8>) -> Vec<u8>) -> Vec<u8> {
    let mut pieces = Vec::new();
    let mut count = 0;
    while pieces.len() < update_bytes() - 100 {
        pieces.extend(piece(count));
        count += 1;
    }
    around(count, pieces)
}

/// So many structs of client 1 from clock 0 on.
fn of_one_client(count: u64, structs: Vec<u8>) -> Vec<u8> {
    [vec![1], uint(count), vec![1, 0], structs, vec![0]].concat()
}

#[test]
fn the_largest_updates_of_every_kind_cost_no_more_than_their_size() {
    let text = "[[[[[[[[]]]]]]]]";
    let json = || [uint(text.len() as u64), text.as_bytes().to_vec()].concat();
    let deletes =
        |ranges: u64, bytes: Vec<u8>| [vec![1, 1, 1, 0, 0], uint(1 << 30), vec![1, 1], uint(ranges), bytes].concat();
    let kinds: Vec<(&str, Vec<u8>)> = vec![
        ("structs that become one", largest(|_| vec![0, 1], of_one_client)),
        ("structs that stay", largest(|_| vec![3, 1, 0, 0], of_one_client)),
        (
            "structs that need another client",
            largest(
                |at| [vec![0xc4, 2], uint(at % 3), vec![2, 0, 1, b'x']].concat(),
                |count, structs| [vec![2, 1, 2, 0, 0, 3], uint(count), vec![1, 0], structs, vec![0]].concat(),
            ),
        ),
        (
            "clients",
            largest(
                |at| [vec![1], uint(at), vec![0, 0, 1]].concat(),
                |count, structs| [uint(count), structs, vec![0]].concat(),
            ),
        ),
        (
            "clients that need each other, the last first",
            largest(
                |at| [vec![1], uint(at), vec![0, 0x84], uint(at + 1), vec![0, 1, b'x']].concat(),
                |count, structs| {
                    let last = [vec![1], uint(count), vec![0, 0, 1]].concat();
                    [uint(count + 1), structs, last, vec![0]].concat()
                },
            ),
        ),
        ("two clients that need each other in turn", {
            let half = |own: u64, other: u64| {
                let structs = |at: u64| match (own, at) {
                    (1, 0) => vec![0, 1],
                    (1, _) => [vec![0xc3], uint(other), uint(at - 1), uint(other), uint(at - 1), vec![0]].concat(),
                    _ => [vec![0xc3], uint(other), uint(at), uint(other), uint(at), vec![0]].concat(),
                };
                let count = update_bytes() as u64 / 24;
                let bytes: Vec<u8> = (0..count).flat_map(structs).collect();
                [uint(count), uint(own), vec![0], bytes].concat()
            };
            [vec![2], half(1, 2), half(2, 1), vec![0]].concat()
        }),
        ("delete ranges, the last first", largest(|at| [uint((1 << 29) - 3 * at), vec![1]].concat(), deletes)),
        ("delete ranges that are all the same", largest(|_| [vec![0], uint(1 << 29)].concat(), deletes)),
        (
            "clients with deletions",
            largest(
                |at| [vec![1], uint(at), vec![0, 0, 1]].concat(),
                |_, _| {
                    let count = update_bytes() as u64 / 16;
                    let structs: Vec<u8> =
                        (0..count).flat_map(|at| [vec![1], uint(at), vec![0, 0, 1]].concat()).collect();
                    let deletes: Vec<u8> = (0..count).flat_map(|at| [uint(at), vec![1, 0, 1]].concat()).collect();
                    [uint(count), structs, uint(count), deletes].concat()
                },
            ),
        ),
        (
            "values",
            largest(
                |_| vec![126],
                |count, values| [vec![1, 1, 1, 0, 8, 1, 1, b't'], uint(count), values, vec![0]].concat(),
            ),
        ),
        (
            "texts of JSON",
            largest(|_| json(), |count, texts| [vec![1, 1, 1, 0, 2, 1, 1, b't'], uint(count), texts, vec![0]].concat()),
        ),
        ("one text of pairs, every other unit deleted", {
            let pairs = "😀".repeat(update_bytes() / 10);
            let mut out = vec![1, 1, 1, 0, 4, 1, 1, b't'];
            put_buf(&mut out, pairs.as_bytes());
            let ranges: Vec<u8> =
                (0..update_bytes() as u64 / 10).flat_map(|at| [uint(at * 2), vec![1]].concat()).collect();
            [out, vec![1, 1], uint(update_bytes() as u64 / 10), ranges].concat()
        }),
    ];
    for (kind, bytes) in kinds {
        for before in [false, true] {
            let mut document = Document::default();
            if before {
                // Something else is there, so that it does not become the settled part at once.
                document.apply(&Update::parse(&[1, 1, 0xff, 0x7f, 0, 0, 1, 0]).unwrap());
            }
            let begin = Instant::now();
            let update = Update::parse(&bytes).unwrap_or_else(|refused| panic!("{kind}: {refused}"));
            let applied = document.apply(&update);
            let took = begin.elapsed();
            assert!(matches!(applied, Applied::Whole | Applied::Reduced(_)), "{kind}: {applied:?}");
            let begin = Instant::now();
            let compacted = document.snapshot().compact();
            document.adopt(&compacted);
            let compacting = begin.elapsed();
            assert_eq!(reload(&compacted.encode()).vector(), document.vector(), "{kind}");
            if wants_figures() {
                let (bytes, memory) = (document.bytes(), document.memory());
                say(&format!("{kind}: {took:?}, compaction {compacting:?}, {bytes} bytes, {memory} in memory"));
            }
            // Far above what it takes, far below what anything quadratic would.
            assert!(
                took < Duration::from_secs(20) && compacting < Duration::from_secs(20),
                "{kind}: {took:?} {compacting:?}"
            );
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digits).collect()
}

/// What a document answers to a line of `tests/clients/histories.mjs`.
fn answer(document: &mut Document, compacted: &mut Option<Compacted>, line: &str) -> String {
    let (word, argument) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        "new" => {
            *document = Document::default();
            "ok".to_owned()
        }
        "apply" => match document.apply(&Update::parse(&unhex(argument)).unwrap()) {
            Applied::Known => "known".to_owned(),
            Applied::Whole => "whole".to_owned(),
            Applied::Reduced(new) => format!("reduced {}", hex(&new)),
            Applied::Gap => "gap".to_owned(),
        },
        "vector" => format!("ok {}", hex(&document.vector().encode())),
        "diff" => {
            let known = StateVector::parse(&unhex(argument)).unwrap();
            format!("ok {}", hex(&document.snapshot().diff(&known)))
        }
        "encode" => format!("ok {}", hex(&document.snapshot().encode())),
        "compact" => {
            let made = compacted.insert(document.snapshot().compact());
            format!("ok {}", hex(&made.encode()))
        }
        "adopt" => {
            if let Some(made) = compacted.take() {
                document.adopt(&made);
            }
            format!("ok {}", hex(&document.snapshot().encode()))
        }
        "size" | "done" => "ok".to_owned(),
        _ => panic!("{line}"),
    }
}

/// `INKRING_ROOMS_HISTORIES=100000` for as many of them; `INKRING_TEST_SEED` repeats those of an earlier run.
#[test]
fn yjs_agrees_whatever_three_of_its_documents_do() {
    let clients = root().join("target/clients");
    if program(&["node"]).is_none() || !clients.join("node_modules/yjs").is_dir() {
        return skip("node and yjs, as .ci/run installs it");
    }
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |value| value.parse().unwrap());
    let seed = number("INKRING_TEST_SEED", u64::from(std::process::id()));
    let histories = number("INKRING_ROOMS_HISTORIES", 200);
    let edits = if wants_figures() { 100_000 } else { 5_000 };
    let mut node = Command::new("node")
        .arg(root().join("tests/clients/histories.mjs"))
        .arg(clients)
        .args([seed, histories, edits].map(|number| number.to_string()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut to_node = node.stdin.take().unwrap();
    let (mut document, mut compacted, mut done) = (Document::default(), None, false);
    for line in BufReader::new(node.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        done = line == "done";
        if wants_figures() && line.starts_with("size") {
            say(&format!("{edits} edits, our bytes and those of Yjs: {line}"));
        }
        writeln!(to_node, "{}", answer(&mut document, &mut compacted, &line)).unwrap();
    }
    assert!(node.wait().unwrap().success() && done, "INKRING_TEST_SEED={seed}");
}
