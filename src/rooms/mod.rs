//! Live rooms: documents that stock Yjs clients edit together, who is there, and how they find each other
//! (contract 03). The server integrates no document: it keeps ranges of structs as their bytes, which is all that
//! clients need to agree.

mod feature;
pub mod lib0;
pub mod message;
pub mod name;

pub use feature::FEATURE;
