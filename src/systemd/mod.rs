//! What a service manager hands over and is told: listening sockets, how it goes, and that the server still serves.
//!
//! All of it is a protocol of environment variables, descriptors and datagrams that systemd made common; without them
//! nothing here does anything. Why it is as it is: docs/decisions/0013-watchdog-and-activation.md.

pub(crate) mod bounds;
mod notify;
mod sockets;
mod watchdog;

pub use notify::Notify;
pub use sockets::{BadSockets, Inherited};
pub use watchdog::{Excuse, Finding, Prober, Watchdog};
