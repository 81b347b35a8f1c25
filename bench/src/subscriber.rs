//! The client's end of one WebSocket: reads frames without copying them, and answers pings.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use inkring_testkit::Client;
use inkring_testkit::socket::{BINARY, KEY, Raw, Sent, read};
use mio::net::TcpStream;

use crate::options::Result;

/// A masked pong without a payload; its mask is 0, which no server may mind.
const PONG: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];
/// How long a server may take nothing of a long message.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct Subscriber {
    pub stream: TcpStream,
    /// The beginning of a frame, or what came right behind the handshake.
    rest: Vec<u8>,
    pub pings: u64,
}

/// How a subscriber is let in.
pub struct Door<'a> {
    pub address: SocketAddr,
    pub path: &'a str,
    pub headers: &'a str,
    /// What the first text frame begins with, if one comes unasked.
    pub welcome: Option<&'a str>,
}

impl Subscriber {
    /// Connects and waits until the server has everything it needs to send events.
    pub fn connect(door: &Door<'_>) -> Result<Self> {
        Self::upgrade(Client::try_connect(door.address, Duration::from_secs(10))?, door)
    }

    /// One whose kernel takes next to nothing that is not read.
    pub fn connect_narrow(door: &Door<'_>) -> Result<Self> {
        Self::upgrade(Client::connect_narrow(door.address)?, door)
    }

    fn upgrade(mut client: Client, door: &Door<'_>) -> Result<Self> {
        let Door { address, path, headers, welcome } = door;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\n{headers}Connection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
        );
        let answer = client.exchange(request.as_bytes())?;
        if answer.status != 101 {
            return Err(format!("no upgrade: {answer:?}").into());
        }
        if let Some(welcome) = welcome {
            let used = loop {
                match read(&client.received)? {
                    Some(Raw { payload, length, .. }) if payload.starts_with(welcome.as_bytes()) => break length,
                    Some(Raw { payload, .. }) => {
                        return Err(format!("no welcome: {}", String::from_utf8_lossy(payload)).into());
                    }
                    None => client.read_more()?,
                }
            };
            client.received.drain(..used);
        }
        client.stream.set_nonblocking(true)?;
        Ok(Self { stream: TcpStream::from_std(client.stream), rest: client.received, pings: 0 })
    }

    /// Reads once, or until the socket is empty if it has a lot, and hands over the payload of every whole text or binary frame.
    pub fn receive(&mut self, scratch: &mut [u8], mut heard: impl FnMut(&[u8])) -> Result<()> {
        loop {
            let count = match self.stream.read(scratch) {
                Ok(0) => return Err("closed by the server".into()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            // Nearly always what was read is whole frames, and needs no copy.
            if self.rest.is_empty() {
                let used = self.take(&scratch[..count], &mut heard)?;
                self.rest.extend_from_slice(&scratch[used..count]);
            } else {
                let mut input = std::mem::take(&mut self.rest);
                input.extend_from_slice(&scratch[..count]);
                let used = self.take(&input, &mut heard)?;
                input.drain(..used);
                self.rest = input;
            }
            // epoll reports the edge of what comes next; a read that finds nothing costs as much as one that does.
            if count < scratch.len() {
                return Ok(());
            }
        }
    }

    fn take(&mut self, input: &[u8], heard: &mut impl FnMut(&[u8])) -> Result<usize> {
        let mut used = 0;
        while let Some(Raw { opcode, payload, length }) = read(&input[used..])? {
            match opcode {
                1 | 2 => heard(payload),
                9 if payload.is_empty() => {
                    self.pings += 1;
                    self.stream.write_all(&PONG)?;
                }
                8 => return Err(closed(payload).into()),
                _ => return Err(format!("a frame of kind {opcode}").into()),
            }
            used += length;
        }
        Ok(used)
    }

    /// Sends a binary message, masked with 0. Waits while the server takes no more.
    pub fn send(&mut self, message: &[u8]) -> Result<()> {
        let frame = Sent { mask: Some([0; 4]), ..Sent::new(BINARY, message) }.encode();
        let (mut left, deadline) = (&frame[..], Instant::now() + PATIENCE);
        while !left.is_empty() {
            match self.stream.write(left) {
                Ok(count) => left = &left[count..],
                Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < deadline => {
                    thread::sleep(Duration::from_micros(100));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Sends a short text message, masked with 0.
    pub fn say(&mut self, text: &str) -> Result<()> {
        let mut bytes = vec![0x81, 0x80 | u8::try_from(text.len()).ok().filter(|length| *length < 126).ok_or("long")?];
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(text.as_bytes());
        Ok(self.stream.write_all(&bytes)?)
    }
}

/// What a close frame says.
fn closed(payload: &[u8]) -> String {
    match payload {
        [high, low, reason @ ..] => {
            format!("closed with {}: {}", u16::from_be_bytes([*high, *low]), String::from_utf8_lossy(reason))
        }
        _ => "closed without a code".into(),
    }
}
