//! Taking one person out of what is kept of rooms.

use super::store;
use crate::feature::{Erased, Erasure, Person};
use crate::gate::ApiError;
use crate::store::Tx;

/// Puts a pseudonym in the place of a user. What they wrote is in documents that nobody can take apart.
pub(super) fn erase(tx: &mut Tx<'_>, person: &Person<'_>) -> Result<Erasure, ApiError> {
    let (rooms, updates) = store::rename(tx, person.user, person.pseudonym)?;
    let report = vec![
        Erased::all(
            "rooms they made",
            rooms,
            "the pseudonym stands as their maker; the rooms stay, as they are everybody's",
        ),
        Erased::all("updates of rooms", updates, "the pseudonym stands as their sender"),
        Erased::stays(
            "texts in documents of rooms",
            0,
            "not looked at: a document does not say who wrote what of it; `inkring room delete` removes one",
        ),
    ];
    Ok(Erasure { report, gone: Vec::new() })
}
