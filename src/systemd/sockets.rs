//! Listening sockets that a service manager made before it started us (sd_listen_fds(3)).
//!
//! They outlive the process: while it is restarted, callers wait in the kernel's queue and are not refused. And a process
//! that is handed its listener needs no right to the network.

use std::env;
use std::os::fd::AsFd;

use listenfd::ListenFd;
use rustix::net::sockopt::socket_acceptconn;

use crate::net::Listener;

/// The names of the sockets, with colons between them.
const NAMES: &str = "LISTEN_FDNAMES";
/// What the public front door is called; also what the only socket is if nobody named it.
const HTTP: &str = "http";
/// What the private plane is called.
const OPS: &str = "ops";
/// What the address is called where plain HTTP is redirected to TLS.
const REDIRECT: &str = "redirect";

/// What was handed over.
#[derive(Debug, Default)]
pub struct Inherited {
    /// The public front door.
    pub http: Option<Listener>,
    /// The private plane.
    pub ops: Option<Listener>,
    /// Where plain HTTP is redirected to TLS.
    pub redirect: Option<Listener>,
}

/// Why what was handed over cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSockets {
    /// It has another name.
    #[error(
        "a socket named {0:?} was handed over; the names are http, ops and redirect, and FileDescriptorName= in \
         its socket unit sets them"
    )]
    Unknown(String),
    /// One too many.
    #[error(
        "two sockets named {0} were handed over, and there is use for one: leave one ListenStream= in its socket unit"
    )]
    Twice(&'static str),
    /// It is not what it should be.
    #[error("the socket named {name} that was handed over is not {wanted}: its socket unit needs {remedy}")]
    Kind {
        /// Which one.
        name: &'static str,
        /// What it should be.
        wanted: &'static str,
        /// What is to be written there.
        remedy: &'static str,
    },
}

impl Inherited {
    /// Takes what the environment says was handed to this process. Must be called once, and before there are other threads:
    /// it removes the variables, so that no program that this one starts takes the sockets for its own. `LISTEN_FDNAMES` stays,
    /// which says nothing without the others.
    ///
    /// # Errors
    /// When there is something that has no use, or not the right one.
    pub fn from_environment() -> Result<Self, BadSockets> {
        let names = env::var(NAMES).unwrap_or_default();
        let mut sockets = ListenFd::from_env();
        let mut inherited = Self::default();
        for (index, name) in named(&names, sockets.len()).into_iter().enumerate() {
            inherited.take(name?, index, &mut sockets)?;
        }
        Ok(inherited)
    }

    fn take(&mut self, name: &'static str, index: usize, sockets: &mut ListenFd) -> Result<(), BadSockets> {
        let (wanted, remedy) = ("a TCP or Unix stream socket", "ListenStream= with a port or a path");
        // What cannot be taken stays open until the process ends, which it is about to.
        let socket = match sockets.take_tcp_listener(index).ok().flatten() {
            Some(tcp) => Listener::Tcp(listening(name, tcp)?),
            None => {
                let unix = sockets.take_unix_listener(index).ok().flatten();
                Listener::Unix(listening(name, unix.ok_or(BadSockets::Kind { name, wanted, remedy })?)?)
            }
        };
        let place = match name {
            HTTP => &mut self.http,
            OPS => &mut self.ops,
            _ => &mut self.redirect,
        };
        match place.replace(socket) {
            None => Ok(()),
            Some(_) => Err(BadSockets::Twice(name)),
        }
    }
}

/// A socket that listens, and is no connection.
fn listening<S: AsFd>(name: &'static str, socket: S) -> Result<S, BadSockets> {
    match socket_acceptconn(&socket) {
        Ok(true) => Ok(socket),
        _ => Err(BadSockets::Kind { name, wanted: "a socket that listens", remedy: "Accept=no" }),
    }
}

/// What each of `count` sockets is for. One that nobody named has the name of its unit, or `unknown`.
fn named(names: &str, count: usize) -> Vec<Result<&'static str, BadSockets>> {
    let mut names = names.split(':');
    let purpose = |name: &str| match name {
        HTTP => Ok(HTTP),
        OPS => Ok(OPS),
        REDIRECT => Ok(REDIRECT),
        "" | "unknown" if count == 1 => Ok(HTTP),
        unit if count == 1 && unit.ends_with(".socket") => Ok(HTTP),
        other => Err(BadSockets::Unknown(other.to_owned())),
    };
    (0..count).map(|_| purpose(names.next().unwrap_or_default())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_a_socket_is_for_and_a_single_one_needs_none() {
        for alone in ["", "unknown", "inkring.socket", "http"] {
            assert_eq!(named(alone, 1), [Ok(HTTP)], "{alone:?}");
        }
        assert_eq!(named("ops", 1), [Ok(OPS)]);
        assert_eq!(named("ops:http:redirect", 3), [Ok(OPS), Ok(HTTP), Ok(REDIRECT)]);
        assert_eq!(named("http", 0), []);
        let unknown = |name: &str| Err(BadSockets::Unknown(name.to_owned()));
        assert_eq!(named("web", 1), [unknown("web")]);
        assert_eq!(named("http", 2), [Ok(HTTP), unknown("")]);
        assert_eq!(named("unknown:ops", 2), [unknown("unknown"), Ok(OPS)]);
    }
}
