//! A WebSocket client that sends what it is told to, well formed or not, and says exactly what it got.

use std::io::{ErrorKind, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{Answer, Client, PATIENCE, Server};

/// The key of RFC 6455 §1.3 …
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// … and what must be answered to it.
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// What an application sends to hear a pong.
pub const PING: &str = r#"{"type":"ping"}"#;
/// No frame of the server is longer: it holds at most the whole document of a room.
const FRAME_MAX_BYTES: usize = 64 * 1024 * 1024;
/// The mask of RFC 6455 §5.7.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PROTOCOL_PING: u8 = 9;
pub const PROTOCOL_PONG: u8 = 10;

/// What the server sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// The code (1005 when there was none) and the reason.
    Close(u16, String),
    /// The connection was closed in an orderly way.
    Eof,
    /// The connection was reset.
    Reset,
    /// Nothing came for as long as we wait.
    Silence,
}

impl Frame {
    /// Whether the connection is over.
    pub fn is_end(&self) -> bool {
        matches!(self, Self::Eof | Self::Reset)
    }
}

/// How a frame writes its length.
#[derive(Debug, Clone, Copy)]
pub enum Length {
    Shortest,
    TwoBytes,
    EightBytes,
    /// In eight bytes, and not the truth.
    Claimed(u64),
}

/// A frame to send, made by hand.
#[derive(Debug, Clone)]
pub struct Sent {
    pub opcode: u8,
    pub fin: bool,
    /// The three bits behind fin, as a number from 0 to 7.
    pub reserved: u8,
    pub mask: Option<[u8; 4]>,
    pub length: Length,
    pub payload: Vec<u8>,
}

impl Sent {
    /// A whole and correct frame.
    pub fn new(opcode: u8, payload: impl AsRef<[u8]>) -> Self {
        let payload = payload.as_ref().to_vec();
        Self { opcode, fin: true, reserved: 0, mask: Some(MASK), length: Length::Shortest, payload }
    }

    /// The same with more to come.
    pub fn more(self) -> Self {
        Self { fin: false, ..self }
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.fin) << 7 | self.reserved << 4 | self.opcode];
        let masked = u8::from(self.mask.is_some()) << 7;
        let length = self.payload.len();
        match (self.length, length) {
            (Length::Shortest, 0..126) => bytes.push(masked | length as u8),
            (Length::Shortest, 126..65_536) | (Length::TwoBytes, _) => {
                bytes.push(masked | 126);
                bytes.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
            }
            (Length::Shortest | Length::EightBytes, _) => {
                bytes.push(masked | 127);
                bytes.extend_from_slice(&(length as u64).to_be_bytes());
            }
            (Length::Claimed(claimed), _) => {
                bytes.push(masked | 127);
                bytes.extend_from_slice(&claimed.to_be_bytes());
            }
        }
        bytes.extend_from_slice(&self.mask.unwrap_or_default()[..if self.mask.is_some() { 4 } else { 0 }]);
        let mask = self.mask.unwrap_or_default();
        bytes.extend(self.payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        bytes
    }
}

/// The head of a handshake with these headers besides.
pub fn handshake(path: &str, headers: &[(&str, &str)]) -> String {
    let mut head = format!(
        "GET {path} HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n"
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head + "\r\n"
}

/// The path of a draft's socket.
pub fn path(draft: &str) -> String {
    format!("/v1/ws/drafts/{draft}")
}

/// One connection after its handshake.
pub struct Socket {
    pub client: Client,
    /// Whether protocol pings are answered and kept from whoever reads.
    pub answers_pings: bool,
}

impl Socket {
    /// Asks for an upgrade on a connection of its own. What comes of it is in the answer.
    pub fn open(server: &Server, path: &str, headers: &[(&str, &str)]) -> (Answer, Self) {
        Self::upgrade(server.connect(), path, headers)
    }

    /// Asks for an upgrade on a connection that is there.
    pub fn upgrade(mut client: Client, path: &str, headers: &[(&str, &str)]) -> (Answer, Self) {
        client.send(handshake(path, headers));
        Self::answered(client)
    }

    /// Reads the answer to a handshake that was sent.
    pub fn answered(mut client: Client) -> (Answer, Self) {
        let answer = client.answer();
        (answer, Self { client, answers_pings: true })
    }

    /// The same for a user, when it must succeed, with the first text.
    #[track_caller]
    pub fn open_as(server: &Server, path: &str, user: &str) -> (Value, Self) {
        let (answer, mut socket) = Self::open(server, path, &[("X-User-Id", user)]);
        assert_eq!(answer.status, 101, "{answer:?}");
        (socket.json(), socket)
    }

    /// Watches a draft, welcome read.
    #[track_caller]
    pub fn watch(server: &Server, draft: &str, user: &str) -> Self {
        let (welcome, socket) = Self::open_as(server, &path(draft), user);
        assert_eq!(welcome["type"], "connected", "{welcome}");
        socket
    }

    /// Watches a draft from behind this event on: the welcome, and what follows it unread.
    #[track_caller]
    pub fn watch_since(server: &Server, draft: &str, user: &str, since: u64) -> (Value, Self) {
        let (welcome, socket) = Self::open_as(server, &format!("{}?since={since}", path(draft)), user);
        assert_eq!(welcome["type"], "connected", "{welcome}");
        (welcome, socket)
    }

    /// Whether there is a seat: asks for one, and keeps it if it is given.
    pub fn try_watch(server: &Server, draft: &str, user: &str) -> Option<Self> {
        let (welcome, socket) = Self::open_as(server, &path(draft), user);
        (welcome["type"] == "connected").then_some(socket)
    }

    /// Sends these bytes and nothing else.
    pub fn send_bytes(&mut self, bytes: impl AsRef<[u8]>) {
        self.client.send(bytes);
    }

    pub fn send(&mut self, frame: &Sent) {
        self.client.send(frame.encode());
    }

    /// The same to a server that may be gone. Whether it could be sent.
    pub fn try_send(&mut self, frame: &Sent) -> bool {
        self.client.stream.write_all(&frame.encode()).is_ok()
    }

    pub fn send_text(&mut self, text: &str) {
        self.send(&Sent::new(TEXT, text));
    }

    /// Sends a close frame with this code.
    pub fn send_close(&mut self, code: u16) {
        self.send(&Sent::new(CLOSE, code.to_be_bytes()));
    }

    /// What comes next, pings left out while they are answered: that the server is there is no news.
    pub fn next(&mut self) -> Frame {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.read_frame() {
                Frame::Ping(_) if self.answers_pings && Instant::now() > deadline => return Frame::Silence,
                Frame::Ping(payload) if self.answers_pings => {
                    // The server may be gone by now; what it said before that is still to be read.
                    let pong = Sent::new(PROTOCOL_PONG, payload).encode();
                    let _ = self.client.stream.write_all(&pong);
                }
                frame => return frame,
            }
        }
    }

    /// The next text, which must be one.
    #[track_caller]
    pub fn text(&mut self) -> String {
        match self.next() {
            Frame::Text(text) => text,
            other => panic!("{other:?} instead of a text"),
        }
    }

    /// The next text as JSON.
    #[track_caller]
    pub fn json(&mut self) -> Value {
        let text = self.text();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// It works, and nothing was sent to it that was not read: what comes next is the answer to this very ping.
    #[track_caller]
    pub fn assert_quiet(&mut self) {
        let id = uuid::Uuid::new_v4().into_bytes().to_vec();
        self.send(&Sent::new(PROTOCOL_PING, &id));
        assert_eq!(self.next(), Frame::Pong(id));
    }

    /// Welcomed, and it works.
    #[track_caller]
    pub fn assert_quiet_after_welcome(&mut self) {
        assert_eq!(self.json()["type"], "connected");
        self.assert_quiet();
    }

    /// The server closes with this code and reason, sends nothing after it and ends once its close is answered.
    #[track_caller]
    pub fn assert_closed(&mut self, code: u16, reason: &str) {
        assert_eq!(self.next(), Frame::Close(code, reason.to_owned()));
        self.send_close(code);
        assert_eq!(self.next(), Frame::Eof);
    }

    /// The same after a frame that the server has not read to its end, so that no close could be told from its rest.
    #[track_caller]
    pub fn assert_cut_off(&mut self, code: u16, reason: &str) {
        assert_eq!(self.next(), Frame::Close(code, reason.to_owned()));
        self.half_close();
        let end = self.next();
        assert!(end.is_end(), "{end:?}");
    }

    /// Closes as one should, and sees the server do so too.
    #[track_caller]
    pub fn close(mut self) {
        self.send_close(1000);
        loop {
            match self.next() {
                Frame::Text(_) => {}
                Frame::Close(1000, _) => break,
                other => panic!("{other:?} instead of a close"),
            }
        }
        assert_eq!(self.next(), Frame::Eof);
    }

    /// Says that nothing more will be sent.
    pub fn half_close(&self) {
        // Fails when the server has reset the connection, which is then seen by whoever reads.
        let _ = self.client.stream.shutdown(Shutdown::Write);
    }

    /// Resets the connection.
    pub fn abort(self) {
        rustix::net::sockopt::set_socket_linger(&self.client.stream, Some(Duration::ZERO)).unwrap();
    }

    fn read_frame(&mut self) -> Frame {
        loop {
            if let Some(frame) = read(&self.client.received).unwrap() {
                let (decoded, length) = (decode(frame.opcode, frame.payload.to_vec()), frame.length);
                self.client.received.drain(..length);
                return decoded;
            }
            match self.client.read_more().map_err(|error| (error.kind(), error)) {
                Ok(()) => {}
                Err((ErrorKind::UnexpectedEof, _)) => return Frame::Eof,
                Err((ErrorKind::WouldBlock | ErrorKind::TimedOut, _)) => return Frame::Silence,
                Err((ErrorKind::ConnectionReset | ErrorKind::BrokenPipe, _)) => return Frame::Reset,
                Err((_, error)) => panic!("{error}"),
            }
        }
    }
}

/// A frame among the bytes of a server.
pub struct Raw<'a> {
    pub opcode: u8,
    pub payload: &'a [u8],
    /// With its header.
    pub length: usize,
}

/// The frame that `input` begins with; `None` while it is incomplete. Strict: no server here sends fragments, reserved
/// bits or masks.
pub fn read(input: &[u8]) -> Result<Option<Raw<'_>>, &'static str> {
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
    if payload > FRAME_MAX_BYTES {
        return Err("an endless frame");
    }
    let found = input.get(header..header + payload);
    Ok(found.map(|payload| Raw { opcode: first & 0x0f, length: header + payload.len(), payload }))
}

fn decode(opcode: u8, payload: Vec<u8>) -> Frame {
    match opcode {
        TEXT => Frame::Text(String::from_utf8(payload).expect("the server sends UTF-8")),
        BINARY => Frame::Binary(payload),
        PROTOCOL_PING => Frame::Ping(payload),
        PROTOCOL_PONG => Frame::Pong(payload),
        CLOSE if payload.is_empty() => Frame::Close(1005, String::new()),
        CLOSE => {
            let reason = String::from_utf8(payload[2..].to_vec()).expect("the server sends UTF-8");
            Frame::Close(u16::from_be_bytes([payload[0], payload[1]]), reason)
        }
        other => panic!("opcode {other}"),
    }
}

/// A connection whose reader is soon known to be slow.
pub fn connect_narrow(server: &Server) -> Client {
    Client::connect_narrow(server.address).unwrap()
}
