//! A household's seven modules (contract 04): ci, kazkar, podija, nastrij, malya, gallery and calendar. Six of them keep
//! records by one engine ([`records`]); ci routes what people capture to them.

pub mod access;
pub mod calendar;
pub mod ci;
pub mod gallery;
pub mod limits;
pub mod participant;
pub mod zone;
