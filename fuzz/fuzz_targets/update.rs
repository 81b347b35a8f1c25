//! Whatever a client sends as an update, nothing panics, and what the document then hands out is an update that makes the
//! same document, as it is and compacted.
//!
//! The input is updates, each after its length in two bytes; the first byte of all says after which of them the document
//! is compacted.
#![no_main]

use inkring::rooms::room::{Applied, Document};
use inkring::rooms::update::Update;
use libfuzzer_sys::fuzz_target;

/// The same document as one update, in a document of its own.
fn reload(bytes: &[u8]) -> Document {
    let mut document = Document::default();
    let applied = document.apply(&Update::parse(bytes).expect("what the server hands out is valid"));
    assert!(matches!(applied, Applied::Whole | Applied::Known), "{applied:?}");
    document
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&compacted_after, mut rest)) = bytes.split_first() else { return };
    let mut document = Document::default();
    let mut number = 0_u8;
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let (update, next) = after.split_at(usize::from(u16::from_le_bytes(*length)).min(after.len()));
        rest = next;
        let before = document.vector();
        let Ok(update) = Update::parse(update) else { continue };
        let snapshot = (number == compacted_after).then(|| document.snapshot());
        match document.apply(&update) {
            Applied::Known | Applied::Gap => assert_eq!(document.vector(), before),
            Applied::Whole => {}
            Applied::Reduced(new) => drop(Update::parse(&new).expect("what is passed on is valid")),
        }
        if let Some(snapshot) = snapshot {
            document.adopt(&snapshot.compact());
        }
        number = number.wrapping_add(1);
    }
    let snapshot = document.snapshot();
    let compacted = snapshot.compact().encode();
    for bytes in [&snapshot.encode(), &compacted] {
        let again = reload(bytes);
        assert_eq!(again.vector(), document.vector());
        assert_eq!(again.snapshot().compact().encode(), compacted);
    }
    assert_eq!(snapshot.diff(&document.vector())[0], 0);
});
