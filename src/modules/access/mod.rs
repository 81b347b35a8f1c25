//! Who may use the modules: a household has one password, and who gives it gets a session. What is here are the rules; they take
//! values and a time, and know no socket, clock or disk.
//!
//! - [`password`]: what is configured, and whether somebody has given it
//! - [`tries`]: how often they may try
//! - [`session`]: what they get, for how long it is good, and how it is shown
//! - [`origin`]: which pages may have a browser write

pub mod origin;
pub mod password;
pub mod session;
pub mod tries;
