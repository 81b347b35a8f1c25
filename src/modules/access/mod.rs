//! Who may use the modules: a household has one password, and who gives it gets a session. Rules take values and a time; the
//! `door` puts them together as configured.
//!
//! - [`password`]: what is configured, and whether somebody has given it
//! - [`tries`]: how often they may try
//! - [`session`]: what they get, for how long it is good, and how it is shown
//! - [`origin`]: which pages may have a browser write
//! - `door`: all of them together, and `store`: how sessions lie in the database

pub(super) mod door;
pub mod origin;
pub mod password;
pub mod session;
pub(super) mod store;
pub mod tries;

pub(super) use store::{all as list, end as close, open};
