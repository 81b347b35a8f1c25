//! What the tests and the benchmarks share: a real server process, and clients that send exactly the bytes they are told
//! to. It knows the server from outside only.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "a test is about real time")]
#![allow(clippy::should_implement_trait, reason = "`next` is what comes next, and it does not end")]

pub mod http;
pub mod process;
pub mod random;
mod server;
pub mod socket;
pub mod yjs;

use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

pub use http::{Answer, Client};
pub use server::{Server, besides_settings, inkring, program, shelled};

/// Nothing on loopback takes this long, not even on a machine that stops for half a minute; what waits longer has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// As many descriptors as the system lets us have.
pub fn raise_descriptor_limit(wanted: u64) {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    assert!(limit.maximum.is_none_or(|maximum| maximum >= wanted), "this test opens {wanted} descriptors");
}

/// Asks again and again until there is an answer.
pub fn wait_for<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain");
        std::thread::sleep(Duration::from_millis(5));
    }
}
