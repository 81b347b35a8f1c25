//! The client's end of one WebSocket: reads frames without copying them, and answers pings.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::TcpStream;
use rustix::net::{AddressFamily, SocketType, sockopt};

use crate::Result;

/// No frame here is nearly as long; a longer one is a wrong one.
const LONGEST_FRAME: usize = 1 << 20;
/// A masked pong without a payload; its mask is 0, which no server may mind.
const PONG: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];

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
        let stream = std::net::TcpStream::connect(door.address)?;
        Self::upgrade(stream, door)
    }

    /// One whose kernel takes next to nothing that is not read.
    pub fn connect_narrow(door: &Door<'_>) -> Result<Self> {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
        sockopt::set_socket_recv_buffer_size(&socket, 2048)?;
        rustix::net::connect(&socket, &door.address)?;
        Self::upgrade(socket.into(), door)
    }

    fn upgrade(mut stream: std::net::TcpStream, door: &Door<'_>) -> Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let Door { address, path, headers, welcome } = door;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\n{headers}Connection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        let mut input = Vec::new();
        let mut chunk = [0; 2048];
        let mut read = |input: &mut Vec<u8>| match stream.read(&mut chunk)? {
            0 => Err(std::io::Error::from(ErrorKind::UnexpectedEof)),
            count => {
                input.extend_from_slice(&chunk[..count]);
                Ok(())
            }
        };
        let head = loop {
            if let Some(at) = input.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            read(&mut input)?;
        };
        if !input.starts_with(b"HTTP/1.1 101 ") {
            return Err(format!("no upgrade: {}", String::from_utf8_lossy(&input)).into());
        }
        input.drain(..head);
        if let Some(welcome) = welcome {
            let used = loop {
                match frame(&input)? {
                    Some(Frame { payload, length, .. }) if payload.starts_with(welcome.as_bytes()) => break length,
                    Some(Frame { payload, .. }) => {
                        return Err(format!("no welcome: {}", String::from_utf8_lossy(payload)).into());
                    }
                    None => read(&mut input)?,
                }
            };
            input.drain(..used);
        }
        stream.set_nonblocking(true)?;
        Ok(Self { stream: TcpStream::from_std(stream), rest: input, pings: 0 })
    }

    /// Reads once, or until the socket is empty if it has a lot, and hands over the payload of every whole text frame.
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
        while let Some(Frame { opcode, payload, length }) = frame(&input[used..])? {
            match opcode {
                1 => heard(payload),
                9 if payload.is_empty() => {
                    self.pings += 1;
                    self.stream.write_all(&PONG)?;
                }
                8 => return Err(format!("close frame: {}", String::from_utf8_lossy(payload)).into()),
                _ => return Err(format!("a frame of kind {opcode}").into()),
            }
            used += length;
        }
        Ok(used)
    }

    /// Sends a short text message, masked with 0.
    pub fn say(&mut self, text: &str) -> Result<()> {
        let mut bytes = vec![0x81, 0x80 | u8::try_from(text.len()).ok().filter(|length| *length < 126).ok_or("long")?];
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(text.as_bytes());
        Ok(self.stream.write_all(&bytes)?)
    }
}

struct Frame<'a> {
    opcode: u8,
    payload: &'a [u8],
    /// With its header.
    length: usize,
}

/// The frame that `input` begins with; `None` while it is incomplete. Strict: no server here sends fragments, reserved
/// bits or masks.
fn frame(input: &[u8]) -> std::result::Result<Option<Frame<'_>>, &'static str> {
    let &[first, second, ref rest @ ..] = input else { return Ok(None) };
    if first & 0xf0 != 0x80 || second & 0x80 != 0 {
        return Err("not a whole, plain frame of a server");
    }
    let (header, payload) = match (second, rest) {
        (126, &[a, b, ..]) => (4, usize::from(u16::from_be_bytes([a, b]))),
        (127, &[a, b, c, d, e, f, g, h, ..]) => (10, u64::from_be_bytes([a, b, c, d, e, f, g, h]) as usize),
        (126 | 127, _) => return Ok(None),
        (short, _) => (2, usize::from(short)),
    };
    if payload > LONGEST_FRAME {
        return Err("an endless frame");
    }
    let found = input.get(header..header + payload);
    Ok(found.map(|found| Frame { opcode: first & 0x0f, payload: found, length: header + payload }))
}
