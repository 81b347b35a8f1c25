//! Which files are wanted: those that records name, be they in the bin, from where they may come back.

use std::collections::HashSet;

use super::super::records::kinds::Kind;
use super::super::records::record::Key;
use super::item::{beginning, named};
use super::shelf::{Hash, Name};
use super::store::{binned, naming};
use crate::store::{Error, Query};

/// Records of the bin that are read at once.
const SLICE_RECORDS: usize = 500;

/// Whether a record has a file, among those that are there.
pub(super) fn is_named(query: &impl Query, name: &Name) -> Result<bool, Error> {
    let address = beginning(name);
    for field in ["url", "thumbnail_url"] {
        if !naming(query, field, &address, 1)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a record has a file, be it in the bin.
pub(super) fn is_claimed(query: &impl Query, name: &Name) -> Result<bool, Error> {
    Ok(unclaimed(query, vec![*name])?.is_empty())
}

/// Those of these files that no record names, be it in the bin.
pub(super) fn unclaimed(query: &impl Query, files: Vec<Name>) -> Result<Vec<Name>, Error> {
    let mut left: HashSet<Hash> = HashSet::new();
    for name in &files {
        if !is_named(query, name)? {
            left.insert(name.hash);
        }
    }
    let Some(kind) = Kind::of_module("gallery") else { return Ok(Vec::new()) };
    let mut after = Key::range(kind).0;
    while !left.is_empty() {
        let slice = binned(query, kind, after, SLICE_RECORDS)?;
        for name in slice.iter().flat_map(|(_, json)| named(json)) {
            left.remove(&name.hash);
        }
        match slice.last() {
            Some((last, _)) if slice.len() == SLICE_RECORDS => after = *last,
            _ => break,
        }
    }
    Ok(files.into_iter().filter(|name| left.contains(&name.hash)).collect())
}
