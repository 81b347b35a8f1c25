//! Live rooms: documents that stock Yjs clients edit together, who is there, and how they find each other
//! (contract 03). The server integrates no document: it keeps ranges of structs as their bytes, which is all that
//! clients need to agree.

pub mod awareness;
mod base;
mod bounds;
mod deletes;
pub mod dialect;
mod feature;
pub mod json;
pub mod lib0;
pub mod message;
pub mod name;
mod plan;
pub mod refused;
pub mod room;
mod run;
pub mod signal;
mod signal_socket;
mod snapshot;
mod structs;
pub mod update;
pub mod vector;

pub use feature::FEATURE;
