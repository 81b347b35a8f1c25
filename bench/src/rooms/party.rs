//! Sockets in rooms, on one thread, and the servers that the rooms are on.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use inkring_testkit::yjs::{sync, take_uint};
use mio::{Events, Interest, Poll, Token};

use crate::options::Result;
use crate::process::Server;
use crate::subscriber::{Door, Subscriber};

/// What is awaited comes within this time, or not at all.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// What a stock provider says first: that it has nothing.
const STEP_1: [u8; 4] = [0, 0, 1, 0];

/// A server of rooms.
pub struct Host {
    pub name: &'static str,
    pub server: Server,
    /// What is before the name of a room in a path.
    prefix: &'static str,
}

impl Host {
    pub fn ours(program: &Path, core: Option<usize>, settings: &[(&str, &str)]) -> Result<Self> {
        Ok(Self::of(Server::inkring_with(program, core, settings)?))
    }

    /// A server of ours that runs already.
    pub fn of(server: Server) -> Self {
        Self { name: "inkring", server, prefix: "/rooms/" }
    }

    /// y-websocket's server, which came with it up to 2.x.
    pub fn y_websocket(installed: &Path, core: Option<usize>) -> Result<Self> {
        let server = Server::node(&installed.join("node_modules/y-websocket/bin/server.cjs"), core)?;
        Ok(Self { name: "y-websocket 2.1.0", server, prefix: "/" })
    }

    /// The same as it went on.
    pub fn y_server(installed: &Path, core: Option<usize>) -> Result<Self> {
        let server = Server::node(&installed.join("node_modules/@y/websocket-server/src/server.js"), core)?;
        Ok(Self { name: "@y/websocket-server 0.1.1", server, prefix: "/" })
    }
}

/// Sockets that are in rooms.
pub struct Party {
    poll: Poll,
    events: Events,
    /// `None` once it was lost or has left.
    members: Vec<Option<Subscriber>>,
    scratch: Vec<u8>,
    /// Who was lost, and how.
    pub lost: Vec<(usize, String)>,
}

impl Party {
    pub fn new() -> Result<Self> {
        let (poll, events) = (Poll::new()?, Events::with_capacity(1024));
        Ok(Self { poll, events, members: Vec::new(), scratch: vec![0; 64 << 10], lost: Vec::new() })
    }

    /// Opens a socket and says what a stock provider says; returns its number.
    pub fn enter(&mut self, host: &Host, room: &str) -> Result<usize> {
        let number = self.members.len();
        let mut member = connect(host, room, number, Subscriber::connect)?;
        self.poll.registry().register(&mut member.stream, Token(number), Interest::READABLE)?;
        self.members.push(Some(member));
        Ok(number)
    }

    /// The same, and waits for the server's step 1, which comes when the room is loaded; returns its state vector as well.
    pub fn enter_loaded(&mut self, host: &Host, room: &str) -> Result<(usize, Vec<u8>)> {
        let number = self.enter(host, room)?;
        let mut vector = None;
        self.pump_until(|member, frame| {
            if member == number && frame.starts_with(&[0, 0]) {
                vector = body(frame).map(<[u8]>::to_vec);
            }
            vector.is_some()
        })?;
        Ok((number, vector.ok_or("no step 1 that can be read")?))
    }

    pub fn send(&mut self, number: usize, message: &[u8]) -> Result<()> {
        self.members[number].as_mut().ok_or("it was lost")?.send(message)
    }

    /// Closes the connection of a member.
    pub fn leave(&mut self, number: usize) {
        self.members[number] = None;
    }

    /// Waits for what comes, once and at most so long, and hands over every frame with the number of its member.
    pub fn pump(&mut self, patience: Duration, mut heard: impl FnMut(usize, &[u8])) -> Result<()> {
        match self.poll.poll(&mut self.events, Some(patience)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        for event in &self.events {
            let number = event.token().0;
            let Some(member) = &mut self.members[number] else { continue };
            if let Err(error) = member.receive(&mut self.scratch, |frame| heard(number, frame)) {
                self.members[number] = None;
                self.lost.push((number, error.to_string()));
            }
        }
        Ok(())
    }

    /// Waits until a frame is what was waited for.
    pub fn pump_until(&mut self, mut done: impl FnMut(usize, &[u8]) -> bool) -> Result<()> {
        let (mut is_done, deadline) = (false, Instant::now() + PATIENCE);
        while !is_done {
            if let Some((number, how)) = self.lost.first() {
                return Err(format!("socket {number} was lost: {how}").into());
            }
            if Instant::now() > deadline {
                return Err("waited in vain".into());
            }
            self.pump(Duration::from_millis(20), |member, frame| is_done |= done(member, frame))?;
        }
        Ok(())
    }

    /// Sends an update and waits until the server has sent it back.
    pub fn change(&mut self, number: usize, update: &[u8]) -> Result<()> {
        self.send(number, &sync(2, update))?;
        self.pump_until(|member, frame| member == number && frame.starts_with(&[0, 2]))
    }

    /// The document of a room as one update, by a socket that is in it.
    pub fn document(&mut self, number: usize) -> Result<Vec<u8>> {
        self.send(number, &STEP_1)?;
        let mut document = None;
        self.pump_until(|member, frame| {
            if member == number && frame.starts_with(&[0, 1]) {
                document = body(frame).map(<[u8]>::to_vec);
            }
            document.is_some()
        })?;
        document.ok_or("no document".into())
    }
}

/// A socket in a room, of a user of its own.
pub fn connect(
    host: &Host,
    room: &str,
    user: usize,
    open: impl FnOnce(&Door<'_>) -> Result<Subscriber>,
) -> Result<Subscriber> {
    let (path, headers) = (format!("{}{room}", host.prefix), format!("X-User-Id: user-{user}\r\n"));
    let mut member = open(&Door { address: address(host), path: &path, headers: &headers, welcome: None })
        .map_err(|error| format!("{}: socket {user}: {error}", host.name))?;
    member.send(&STEP_1)?;
    Ok(member)
}

fn address(host: &Host) -> SocketAddr {
    host.server.address
}

/// What a sync message carries.
fn body(frame: &[u8]) -> Option<&[u8]> {
    let mut rest = frame.get(2..)?;
    let length = take_uint(&mut rest)?;
    Some(rest).filter(|rest| rest.len() as u64 == length)
}

/// Whose first struct an update brings, and from which clock on; `None` for anything that is no update with structs.
pub fn origin(frame: &[u8]) -> Option<(u64, u64)> {
    let mut update = Some(frame).filter(|frame| frame.starts_with(&[0, 2])).and_then(body)?;
    let (clients, _structs) = (take_uint(&mut update)?, take_uint(&mut update)?);
    let (client, clock) = (take_uint(&mut update)?, take_uint(&mut update)?);
    (clients > 0).then_some((client, clock))
}

/// What a state vector says of one client.
pub fn clock_of(mut vector: &[u8], client: u64) -> Option<u64> {
    let clients = take_uint(&mut vector)?;
    for _ in 0..clients {
        let (known, clock) = (take_uint(&mut vector)?, take_uint(&mut vector)?);
        if known == client {
            return Some(clock);
        }
    }
    None
}
