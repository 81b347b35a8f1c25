//! Earlier records as ci looks at them, of whatever kind they are.

use std::collections::HashSet;

use jiff::ToSpan as _;
use jiff::civil::{Date, DateTime};
use serde_json::{Value, json};

use super::super::calendar::recurs;
use super::super::records::change::fields_of;
use super::super::records::fact::{moment, text, title};
use super::super::records::read::text_of;
use super::super::records::record::Key;
use super::super::records::store::{self as records, Stored};
use super::super::zone::{Zone, wall_text};
use super::related::{Candidate, related, telling};
use super::store;
use crate::gate::ApiError;
use crate::store::{Query, Search};

/// Tags by whose records a capture's relatives are looked for.
const TAGS: usize = 4;
/// Words by whose records they are looked for.
const WORDS: usize = 6;
/// Earlier years of which the same day is looked at.
const YEARS: i64 = 20;
/// Records of each tag, word and day.
const OF_TAG: usize = 30;
const OF_WORD: usize = 20;
const OF_DAY: usize = 4;

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) module: &'static str,
    pub(super) id: i64,
    pub(super) title: String,
    /// All that is searched of it, its title first.
    pub(super) text: String,
    pub(super) tags: Vec<String>,
    /// When it is on the household's wall.
    pub(super) at: DateTime,
    /// Where it comes from.
    pub(super) source: Option<String>,
    /// Whether it comes again and again, so that its own day is not the only one.
    pub(super) recurs: bool,
}

impl Seen {
    /// One as it lies there; nothing of a kind that is not known any more.
    pub(super) fn of(stored: &Stored, zone: &Zone) -> Result<Option<Self>, ApiError> {
        let Some(kind) = stored.key.kind() else { return Ok(None) };
        let fields = fields_of(stored)?;
        let title = title(kind, &fields).to_owned();
        let tags = fields.get("tags").and_then(Value::as_array).into_iter().flatten();
        Ok(Some(Self {
            module: kind.module,
            id: stored.key.id(),
            text: format!("{title}\n{}", text(kind, &fields)),
            title,
            tags: tags.filter_map(|tag| tag.as_str().map(str::to_owned)).collect(),
            at: moment(kind, &fields, zone.wall(stored.created_at).unwrap_or(DateTime::MIN)),
            source: text_of(&fields, "source_trace").map(str::to_owned),
            recurs: kind.module == "calendar" && recurs(&fields),
        }))
    }

    /// As it is named in an answer.
    pub(super) fn brief(&self) -> Value {
        json!({ "module": self.module, "id": self.id, "title": self.title, "at": wall_text(self.at) })
    }
}

/// The records of these keys, each once. Of those that one capture has made only one is kept, and a point of time in the
/// calendar only where it has made nothing else.
pub(super) fn records_of(query: &impl Query, keys: Vec<Key>, zone: &Zone) -> Result<Vec<Seen>, ApiError> {
    let (mut known, mut found) = (HashSet::new(), Vec::<Seen>::new());
    for key in keys.into_iter().filter(|key| known.insert(*key)) {
        let Some(stored) = records::find(query, key)? else { continue };
        let Some(seen) = Seen::of(&stored, zone)? else { continue };
        let is_made_with = |other: &&mut Seen| other.source == seen.source;
        match seen.source.as_ref().and_then(|_| found.iter_mut().find(is_made_with)) {
            Some(other) if other.module == "calendar" => *other = seen,
            Some(_) => {}
            None => found.push(seen),
        }
    }
    Ok(found)
}

/// The earlier records that a capture touches, the closest first.
pub(super) fn relatives(
    query: &impl Query,
    content: &str,
    tags: &[String],
    on: Date,
    zone: &Zone,
) -> Result<Vec<Seen>, ApiError> {
    let mut keys = Vec::new();
    for tag in tags.iter().take(TAGS) {
        keys.extend(store::tagged(query, tag, OF_TAG)?);
    }
    for word in telling(content).into_iter().take(WORDS) {
        if let Some(search) = Search::of(&word) {
            keys.extend(store::found(query, &search, OF_WORD)?);
        }
    }
    for years in 1..=YEARS {
        // Only every fourth year has a 29 February.
        let day = on.checked_sub(years.years()).ok().filter(|day| day.day() == on.day());
        keys.extend(day.map(|day| store::on_day(query, day, OF_DAY)).transpose()?.unwrap_or_default());
    }
    let mut found = records_of(query, keys, zone)?;
    let candidates = found.iter().enumerate().map(|(key, seen)| Candidate {
        key,
        text: &seen.text,
        tags: &seen.tags,
        on: seen.at.date(),
    });
    let closest = related(content, tags, on, candidates);
    let mut slots: Vec<Option<Seen>> = found.drain(..).map(Some).collect();
    Ok(closest.into_iter().filter_map(|key| slots.get_mut(key)?.take()).collect())
}
