//! Answers about logs of continuous integration (contract 04 §1.10).

pub mod diagnosis;
pub mod door;
pub mod request;
mod routes;

pub(super) use routes::{ROUTES, add};
