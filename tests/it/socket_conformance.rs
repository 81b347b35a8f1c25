//! RFC 6455 case by case, out of `conformance.txt`, which says how it is written.

use std::io::Write;

use serde_json::Value;

use crate::support::Server;
use crate::support::random::Random;
use crate::support::socket::{
    BINARY, CLOSE, CONTINUATION, Frame, Length, PING, PROTOCOL_PING, PROTOCOL_PONG, Sent, Socket, TEXT,
};

const TABLE: &str = include_str!("conformance.txt");
/// So many bytes of a case are sent one by one, where that is asked for; the rest in one piece.
const SINGLE_BYTES: usize = 300;

/// What the server should say.
#[derive(Debug)]
enum Expected {
    Answer,
    Error(String),
    Pong(Vec<u8>),
}

struct Case {
    name: &'static str,
    sent: Vec<u8>,
    expected: Vec<Expected>,
    /// The codes of which one must be the server's; none when it stays open.
    codes: Vec<u16>,
}

fn cases() -> Vec<Case> {
    let lines = TABLE.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(case).collect()
}

fn case(line: &'static str) -> Case {
    let columns: Vec<&str> = line.split(" | ").map(str::trim).collect();
    let [name, sent, expected, end] = columns[..] else { panic!("not four columns: {line}") };
    let codes = |end: &str| end.split('/').map(|code| code.parse().unwrap()).collect();
    Case {
        name,
        sent: sent.split(';').flat_map(|frame| frame_of(frame).encode()).collect(),
        expected: if expected == "-" { Vec::new() } else { expected.split(';').map(expected_of).collect() },
        codes: if end == "open" { Vec::new() } else { codes(end) },
    }
}

fn expected_of(text: &str) -> Expected {
    match text.trim().split_once(' ') {
        None if text.trim() == "answer" => Expected::Answer,
        Some(("error", code)) => Expected::Error(code.to_owned()),
        Some(("pong", payload)) => Expected::Pong(words(payload).iter().flat_map(|word| payload_of(word)).collect()),
        _ => panic!("not an answer: {text}"),
    }
}

fn frame_of(text: &str) -> Sent {
    let words = words(text);
    let (opcode, rest) = words.split_first().expect("a frame has an opcode");
    let opcode = match *opcode {
        "cont" => CONTINUATION,
        "text" => TEXT,
        "binary" => BINARY,
        "close" => CLOSE,
        "ping" => PROTOCOL_PING,
        "pong" => PROTOCOL_PONG,
        other => other.strip_prefix("op").and_then(|number| number.parse().ok()).expect("an opcode"),
    };
    let mut frame = Sent::new(opcode, "");
    for word in rest {
        match *word {
            "more" => frame.fin = false,
            "rsv1" => frame.reserved |= 4,
            "rsv2" => frame.reserved |= 2,
            "rsv3" => frame.reserved |= 1,
            "bare" => frame.mask = None,
            "key0" => frame.mask = Some([0; 4]),
            "len16" => frame.length = Length::TwoBytes,
            "len64" => frame.length = Length::EightBytes,
            word => match word.strip_prefix("claims=") {
                Some(claimed) => frame.length = Length::Claimed(claimed.parse().unwrap()),
                None => frame.payload.extend(payload_of(word)),
            },
        }
    }
    frame
}

/// Splits at spaces, but not in '…' and hex(…).
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut start = None;
    let (mut quoted, mut hex) = (false, false);
    for (at, letter) in text.char_indices() {
        match letter {
            '\'' => quoted = !quoted,
            '(' if !quoted => hex = true,
            ')' if !quoted => hex = false,
            _ => {}
        }
        match (letter == ' ' && !quoted && !hex, start) {
            (true, Some(begun)) => {
                words.push(&text[begun..at]);
                start = None;
            }
            (false, None) => start = Some(at),
            _ => {}
        }
    }
    words.extend(start.map(|begun| &text[begun..]));
    words
}

fn payload_of(word: &str) -> Vec<u8> {
    if word == "@ping" {
        return PING.into();
    }
    if let Some(digits) = word.strip_prefix("hex(").and_then(|rest| rest.strip_suffix(')')) {
        return digits.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    }
    if let Ok(number) = word.parse::<u16>() {
        return number.to_be_bytes().into();
    }
    let (quoted, times) = match word.rsplit_once("'*") {
        Some((text, times)) => (text, times.parse().unwrap()),
        None => (word.strip_suffix('\'').unwrap_or_else(|| panic!("not a payload: {word}")), 1),
    };
    quoted.strip_prefix('\'').unwrap_or_else(|| panic!("not a payload: {word}")).repeat(times).into()
}

/// The `type` and `code` of a text.
fn kind(text: &str) -> (String, Option<String>) {
    let value: Value = serde_json::from_str(text).unwrap();
    (value["type"].as_str().unwrap().to_owned(), value["code"].as_str().map(str::to_owned))
}

fn is_expected(frame: &Frame, expected: &Expected) -> bool {
    match (frame, expected) {
        (Frame::Text(text), Expected::Answer) => kind(text) == ("pong".to_owned(), None),
        (Frame::Text(text), Expected::Error(code)) => kind(text) == ("error".to_owned(), Some(code.clone())),
        (Frame::Pong(payload), Expected::Pong(expected)) => payload == expected,
        _ => false,
    }
}

/// Runs a case, its first bytes one by one or all in one piece; what was wrong, if anything was.
fn run(server: &Server, case: &Case, one_by_one: bool) -> Result<(), String> {
    let mut socket = Socket::watch(server, "conformance", "alice");
    let singles = if one_by_one { SINGLE_BYTES.min(case.sent.len()) } else { 0 };
    let (singles, rest) = case.sent.split_at(singles);
    // Fails when the server has closed before all of it was sent, which it may; what it said before is what counts.
    let _ = singles.iter().try_for_each(|byte| socket.client.stream.write_all(&[*byte]));
    let _ = socket.client.stream.write_all(rest);
    for expected in &case.expected {
        let frame = socket.next();
        if !is_expected(&frame, expected) {
            return Err(format!("{frame:?} instead of {expected:?}"));
        }
    }
    if case.codes.is_empty() {
        socket.send_text(PING);
        match socket.next() {
            frame if is_expected(&frame, &Expected::Answer) => {}
            frame => return Err(format!("{frame:?} when it should be open")),
        }
        socket.send_close(1000);
    }
    let codes = if case.codes.is_empty() { &[1000][..] } else { &case.codes };
    match socket.next() {
        Frame::Close(code, _) if codes.contains(&code) => {}
        frame => return Err(format!("{frame:?} instead of a close with {codes:?}")),
    }
    // Half a frame may be what the server has last read, so this is the one close that it surely understands.
    socket.half_close();
    match socket.next() {
        frame if frame.is_end() => Ok(()),
        frame => Err(format!("{frame:?} after the close")),
    }
}

#[test]
fn the_protocol_is_kept_case_by_case_however_the_bytes_arrive() {
    let server = Server::start();
    let cases = cases();
    let failed: Vec<String> = cases
        .iter()
        .flat_map(|case| [(case, false), (case, true)])
        .filter_map(|(case, one_by_one)| {
            let problem = run(&server, case, one_by_one).err()?;
            Some(format!("{}{}: {problem}", case.name, if one_by_one { ", byte by byte" } else { "" }))
        })
        .collect();
    assert!(failed.is_empty(), "{} of {} cases:\n{}", failed.len(), cases.len(), failed.join("\n"));
    // It has been through all this and is as it was.
    server.get("/healthz").expect(200);
    assert!(!server.log().contains("panic"), "{}", server.log());
}

/// A frame that is right in most of its parts, or in all of them.
fn any_frame(random: &mut Random) -> Vec<u8> {
    let opcodes =
        [TEXT, TEXT, TEXT, CONTINUATION, CONTINUATION, BINARY, CLOSE, PROTOCOL_PING, PROTOCOL_PING, 10, 3, 11];
    let payloads: [&[u8]; 8] =
        [PING.as_bytes(), b"{}", b"", b"\"\xf0\x9f", b"\x96\x8b\"", b"\x03\xe8bye", b"\xff\xfe", &[b'x'; 130]];
    let mut frame = Sent::new(*random.pick(&opcodes), random.pick(&payloads));
    frame.fin = !random.one_in(3);
    if random.one_in(20) {
        frame.reserved = random.below(8) as u8;
    }
    if random.one_in(20) {
        frame.mask = None;
    }
    frame.length = match random.below(20) {
        0 => Length::TwoBytes,
        1 => Length::EightBytes,
        2 => Length::Claimed(random.next() >> random.below(64)),
        _ => Length::Shortest,
    };
    let mut bytes = frame.encode();
    if random.one_in(20) {
        bytes.truncate(random.below(bytes.len()));
    }
    bytes
}

#[test]
fn whatever_is_sent_the_server_answers_in_whole_frames_and_goes_on_for_others() {
    let server = Server::start();
    let mut other = Socket::watch(&server, "conformance", "bob");
    let mut random = Random::seeded();
    for _ in 0..300 {
        let mut socket = Socket::watch(&server, "conformance", "alice");
        for _ in 0..=random.below(12) {
            let frame = any_frame(&mut random);
            if socket.client.stream.write_all(&frame).is_err() {
                break;
            }
        }
        socket.half_close();
        let mut closed = false;
        loop {
            // Reading holds what comes to the rules for servers.
            match socket.next() {
                Frame::Text(_) | Frame::Pong(_) => assert!(!closed, "nothing follows a close"),
                Frame::Close(code, reason) => {
                    assert!(!closed, "one close");
                    assert!(matches!(code, 1000 | 1002 | 1003 | 1005 | 1007 | 1008), "{code} {reason}");
                    closed = true;
                }
                end => {
                    assert!(end.is_end(), "{end:?}");
                    break;
                }
            }
        }
    }
    other.assert_quiet();
    assert!(!server.log().contains("panic"), "{}", server.log());
}

#[test]
fn the_table_is_read_as_it_says() {
    let cases = cases();
    assert!(cases.len() >= 45, "{} cases", cases.len());
    let names: std::collections::BTreeSet<_> = cases.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), cases.len(), "every case has a name of its own");
    assert_eq!(frame_of("text bare more rsv1 'a b' hex(ff 00)").encode(), [0x41, 5, b'a', b' ', b'b', 0xff, 0]);
    assert_eq!(frame_of("close key0 1000 'x'*2").encode(), [0x88, 0x84, 0, 0, 0, 0, 0x03, 0xe8, b'x', b'x']);
    assert_eq!(frame_of("op11 len16 key0").encode(), [0x8b, 0xfe, 0, 0, 0, 0, 0, 0]);
    assert_eq!(frame_of("ping bare claims=258").encode(), [0x89, 127, 0, 0, 0, 0, 0, 0, 1, 2]);
    // The example of RFC 6455 §5.7.
    let hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(frame_of("text 'Hello'").encode(), hello);
}
