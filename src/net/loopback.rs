//! In-process HTTP client for probes: it bypasses the network and the caps, and is from there on like any client.
//!
//! The watchdog asks by it whether the server still serves. A connection to the listener's own address would not
//! do: it is refused when the house is full, may be filtered, and cannot be made at all by a process without network that
//! was handed its listener. What it leaves out is the kernel's part of a connection, which no restart would fix. The
//! acceptor opens it only right after `accept` has worked on the listener.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use super::Endpoint;
use super::acceptor::Control;
use super::client::{Answer, Ask, AskError, Call};
use super::listener::Stream;

/// In-process HTTP client for probes: bypasses the network and the caps. Reaches every shard of a running [`Front`](super::Front), which it does not keep running.
pub struct LoopbackClient {
    control: Arc<Control>,
    endpoint: Endpoint,
    shards: usize,
}

impl LoopbackClient {
    pub(crate) fn new(control: Arc<Control>, endpoint: Endpoint, shards: usize) -> Self {
        Self { control, endpoint, shards }
    }

    /// How many shards there are to ask.
    pub fn shards(&self) -> usize {
        self.shards
    }

    /// Asks this shard and waits `patience` for its answer.
    ///
    /// # Errors
    /// When there is no answer. A server that stops takes no more questions.
    pub fn ask(&self, shard: usize, ask: &Ask<'_>, patience: Duration) -> Result<Answer, AskError> {
        let stream = self.call(shard).map_err(|error| AskError::Connect(self.endpoint.clone(), error))?;
        ask.over(Call::of(stream, patience), &self.endpoint, "localhost")
    }

    fn call(&self, shard: usize) -> io::Result<UnixStream> {
        let (ours, theirs) = UnixStream::pair()?;
        theirs.set_nonblocking(true)?;
        self.control.call(Stream::Unix(mio::net::UnixStream::from_std(theirs)), shard)?;
        Ok(ours)
    }
}
