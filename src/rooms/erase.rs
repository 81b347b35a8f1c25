//! Taking one person out of what is kept of rooms.

use super::store;
use crate::feature::{Erased, Erasure, Person};
use crate::gate::ApiError;
use crate::store::Tx;

/// Puts a pseudonym in place of a user. What they wrote is in documents that nobody can take apart.
pub(super) fn erase(tx: &mut Tx<'_>, person: &Person<'_>) -> Result<Erasure, ApiError> {
    let (rooms, updates) = store::rename(tx, person.user, person.pseudonym)?;
    let report = vec![
        Erased::all(
            "rooms they created",
            rooms,
            "the pseudonym replaces their creator; the rooms stay, because others use them",
        ),
        Erased::all("updates of rooms", updates, "the pseudonym replaces their sender"),
        Erased::stays(
            "texts in documents of rooms",
            0,
            "not checked: a document does not record who wrote what; `inkring room delete` removes one",
        ),
    ];
    Ok(Erasure { report, gone: Vec::new() })
}
