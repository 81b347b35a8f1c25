//! Taking one person out of drafts: their texts, their memberships, their name.
//!
//! A draft that they created goes to whoever has belonged to it longest, and is deleted if nobody else does; a ring that they hold goes
//! to its creator. Texts go first and names after them: a row that has lost its text has nothing of it to leave behind where it was.

mod store;

use serde_json::{Map, Value};

use crate::drafts::frame::TOPICS;
use crate::drafts::model::Head;
use crate::drafts::parting;
use crate::drafts::store as drafts;
use crate::feature::{Erased, Erasure, Person};
use crate::gate::ApiError;
use crate::store::{Error, Topic, Tx};

/// Segments that are given their hashes at once, where an older program has written them.
const CHAINED_AT_ONCE: i64 = 1000;

/// What became of drafts.
#[derive(Default)]
struct Tally {
    /// Drafts that they had made and somebody else has now.
    handed_over: u64,
    /// Those that nobody else belonged to.
    deleted: Vec<Topic>,
    memberships: u64,
    rings: u64,
    texts: u64,
    passes: u64,
    events: u64,
}

/// Takes a person out of every draft.
pub(super) fn erase(tx: &mut Tx<'_>, person: &Person<'_>) -> Result<Erasure, ApiError> {
    let mut tally = Tally::default();
    for draft_id in store::drafts_of(tx, person.user)? {
        let Some(head) = drafts::lock_head(tx, &draft_id)? else { continue };
        erase_from(tx, person, head, &mut tally)?;
    }
    let invites = store::rename_in_invites(tx, person.user, person.pseudonym)?;
    let keys = store::remove_keys_of(tx, person.user)?;
    let report = vec![
        Erased::all(
            "drafts they created, with others in them",
            tally.handed_over,
            "the longest-standing member is now the creator; the title is removed",
        ),
        Erased::all("drafts they created, alone", tally.deleted.len() as u64, "deleted, with their texts"),
        Erased::all("memberships", tally.memberships, "ended"),
        Erased::all("rings they held", tally.rings, "now with the creator of the draft"),
        Erased::all(
            "segments they wrote",
            tally.texts,
            "the text is redacted, the pseudonym replaces the author; place, time and hash stay, so that the chain \
             stays intact",
        ),
        Erased::all("passes of a ring from or to them", tally.passes, "the pseudonym replaces their name"),
        Erased::all("events that named them", tally.events, "the pseudonym replaces their name"),
        Erased::all("invitations by or for them", invites, "open ones are revoked; the pseudonym replaces their name"),
        Erased::all("their idempotency keys", keys, "removed"),
    ];
    Ok(Erasure { report, gone: tally.deleted })
}

fn erase_from(tx: &mut Tx<'_>, person: &Person<'_>, mut head: Head, tally: &mut Tally) -> Result<(), ApiError> {
    let Person { user, pseudonym, request_id } = *person;
    // What loses its text can be given no hash any more.
    while !drafts::chain_up(tx, &mut head, CHAINED_AT_ONCE)? {}
    tally.texts += store::take_texts_out(tx, head.row, user)?;
    let is_creator = head.creator_id == user;
    let heir = if is_creator { store::oldest_other(tx, head.row, user)? } else { Some(head.creator_id.clone()) };
    if is_creator {
        store::take_title_out(tx, head.row)?;
    }
    tally.memberships += u64::from(drafts::is_member(tx, head.row, user)?);
    let Some(creator) = heir else {
        parting::delete(tx, &mut head, request_id)?;
        tally.passes += store::rename(tx, head.row, user, pseudonym)?;
        tally.events += rename_in_events(tx, head.row, user, pseudonym)?;
        tally.deleted.push(Topic::new(&TOPICS, head.draft_id));
        return Ok(());
    };
    if is_creator {
        store::inherit(tx, head.row, &creator)?;
        tally.handed_over += 1;
    }
    store::leave(tx, head.row, user)?;
    tally.passes += store::rename(tx, head.row, user, pseudonym)?;
    tally.events += rename_in_events(tx, head.row, user, pseudonym)?;
    if head.holder_id == user {
        // By now the pseudonym has it.
        pseudonym.clone_into(&mut head.holder_id);
        drafts::pass(tx, &mut head, &creator, request_id)?;
        tally.rings += 1;
    }
    let changed = drafts::lock_head(tx, &head.draft_id)?.ok_or_else(|| Error::Damaged("a draft is gone".to_owned()))?;
    drafts::record_erasure(tx, &changed, pseudonym, request_id)?;
    Ok(())
}

/// Puts the pseudonym into the events of a draft, which are JSON. How many there were.
fn rename_in_events(tx: &mut Tx<'_>, draft: i64, user: &str, pseudonym: &str) -> Result<u64, Error> {
    let mut renamed = 0;
    for (id, data) in store::events_with(tx, draft, user)? {
        let mut told: Map<String, Value> = serde_json::from_str(&data)
            .map_err(|error| Error::Damaged(format!("an event is not valid JSON: {error}")))?;
        let named = told.iter_mut().filter(|(name, value)| *name != "title" && value.as_str() == Some(user));
        if named.map(|(_, value)| *value = pseudonym.into()).count() == 0 {
            continue;
        }
        // Only the event of a draft that they created has a title, and it is a text of theirs.
        if let Some(title) = told.get_mut("title") {
            *title = store::TITLE_TAKEN_OUT.into();
        }
        store::set_event(tx, id, &Value::Object(told).to_string())?;
        renamed += 1;
    }
    Ok(renamed)
}
