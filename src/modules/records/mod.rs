//! One engine for six kinds of record (contract 04 §1.7). What a kind has stands once, as data, in [`kinds`]; what clients send
//! is read by it ([`read`]), and stored, found and answered by it. A further kind is one more table there.

pub(super) mod change;
pub mod fact;
pub mod field;
pub mod kinds;
pub mod moment;
pub(super) mod pages;
pub mod read;
pub mod record;
mod routes;
pub(super) mod store;
pub mod wanted;

pub(super) use routes::{OwnList, ROUTES, add, answer, key_of, kind_of, listed, path_number, shown, tagged};
