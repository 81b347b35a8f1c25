//! Pictures, sound, films and documents: what is uploaded, and how it is served safely.

mod boxes;
mod claims;
pub mod exif;
mod item;
mod keeper;
mod kept;
pub mod kind;
pub mod multipart;
mod orphans;
pub mod picture;
mod reading;
mod routes;
pub mod serving;
pub mod shelf;
mod store;
pub mod upload;
mod verbs;

pub(super) use boxes::BOXES_MAX;
pub(super) use keeper::Gallery;
pub(super) use kept::FILES;
pub(super) use routes::{ROUTES, SAME_MAX_RECORDS, add};
pub(super) use verbs::{NAMED_MAX_FILES, Verb};
