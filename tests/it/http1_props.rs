//! The decoder of HTTP/1.1 as functions of the byte stream: whatever the pieces it comes in, the same requests, the
//! same refusal, and never a panic.

use inkring::net::http1::{Decoder, HeadLimits, Intake, Reject, Request, Step, slots};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Small, so that random streams reach every bound.
const LIMITS: HeadLimits = HeadLimits { head_bytes: 300, headers: 6, target_bytes: 40 };
const BODY_MAX_BYTES: usize = 50;

/// What a connection would have been told.
#[derive(Debug, Clone, PartialEq)]
enum Seen {
    Request { method: String, target: String, headers: Vec<Vec<u8>>, body: Vec<u8>, http11: bool, keep_alive: bool },
    Refused(Reject),
}

impl Seen {
    fn of(request: &Request<'_>) -> Self {
        let header = |name: &str| request.headers.all(name).map(<[u8]>::to_vec).collect::<Vec<_>>();
        Self::Request {
            method: request.method.to_string(),
            target: request.target.to_owned(),
            headers: ["host", "x-one", "x-two", "content-length"].iter().flat_map(|name| header(name)).collect(),
            body: request.body.to_vec(),
            http11: request.http11,
            keep_alive: request.keep_alive,
        }
    }
}

/// Feeds pieces as a connection does. Bodies come out alike whether they are taken whole or in pieces.
fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8], IntoIter: Clone>) -> Vec<Seen> {
    let pieces = pieces.into_iter();
    let seen = decode_by(Intake::Whole(BODY_MAX_BYTES), pieces.clone());
    assert_eq!(decode_by(Intake::Pieces(BODY_MAX_BYTES), pieces), seen);
    seen
}

/// What is not consumed stays in front of what comes next.
fn decode_by<'a>(intake: Intake, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Seen> {
    let mut decoder = Decoder::new(LIMITS);
    let (mut input, mut seen, mut continued) = (Vec::new(), Vec::new(), false);
    // A request whose body is taken in pieces.
    let mut begun: Option<Seen> = None;
    for piece in pieces {
        input.extend_from_slice(piece);
        let mut used = 0;
        while used < input.len() {
            if let Some(Seen::Request { body, .. }) = &mut begun {
                match decoder.body(&input[used..]) {
                    Ok(run) => {
                        body.extend_from_slice(run.bytes);
                        assert!(body.len() <= BODY_MAX_BYTES && run.consumed >= run.bytes.len());
                        used += run.consumed;
                        if run.done {
                            seen.extend(begun.take());
                            decoder.reset();
                            continued = false;
                        } else if run.bytes.is_empty() {
                            break;
                        }
                    }
                    Err(reject) => {
                        seen.push(Seen::Refused(reject));
                        return seen;
                    }
                }
                continue;
            }
            let mut slots = slots();
            match decoder.decode(&input[used..], &mut slots, |_| intake) {
                Ok(Step::Head { request, consumed, send_continue }) => {
                    assert!(!(send_continue && continued), "100 Continue said twice");
                    assert!(consumed > 0 && request.body.is_empty() && matches!(intake, Intake::Pieces(_)));
                    begun = Some(Seen::of(&request));
                    used += consumed;
                }
                Ok(Step::More { consumed, send_continue }) => {
                    assert!(!(send_continue && continued), "100 Continue said twice");
                    continued |= send_continue;
                    used += consumed;
                    break;
                }
                Ok(Step::Request { request, consumed }) => {
                    assert!(consumed > 0 && request.body.len() <= BODY_MAX_BYTES);
                    seen.push(Seen::of(&request));
                    used += consumed;
                    decoder.reset();
                    continued = false;
                }
                Err(reject) => {
                    seen.push(Seen::Refused(reject));
                    return seen;
                }
            }
        }
        input.drain(..used);
        assert!(input.len() <= LIMITS.head_bytes + BODY_MAX_BYTES, "{} bytes kept", input.len());
    }
    seen
}

/// The stream cut at these places.
fn cut<'a>(stream: &'a [u8], at: &[Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = at.iter().map(|index| index.index(stream.len() + 1)).collect();
    at.sort_unstable();
    at.push(stream.len());
    let mut from = 0;
    at.into_iter().map(|to| &stream[std::mem::replace(&mut from, to)..to]).collect()
}

/// One request and the bytes of it.
fn request() -> impl Strategy<Value = (Seen, Vec<u8>)> {
    let head = (
        prop_oneof![
            select(vec!["GET", "POST", "HEAD", "DELETE", "OPTIONS"]).prop_map(str::to_owned),
            "[A-Z!#$%&'*+.^_`|~-]{1,6}"
        ],
        prop_oneof![
            "/[a-z0-9/%?&=;:@~.,!*'()-]{0,30}".prop_map(|target| (target.clone(), target)),
            "/[a-z?]{0,9}".prop_map(|target| (format!("http://h{target}"), target)),
            Just(("*".to_owned(), "*".to_owned())),
            Just(("https://[::1]:8".to_owned(), "/".to_owned())),
        ],
        any::<bool>(),
        select(vec!["", "close", "keep-alive", "Keep-Alive, upgrade", "x, CLOSE"]),
        ("[a-z0-9.:-]{1,12}", "([!-~]([ -~\t]{0,10}[!-~])?)?", vec(0x80_u8..=0xff, 0..6)),
        any::<bool>(),
    );
    (head, body()).prop_map(|(head, (body, sent, chunked))| {
        let (method, (written, target), http11, connection, (host, one, two), empty_line_first) = head;
        let http11 = http11 || chunked;
        let version = if http11 { "1.1" } else { "1.0" };
        let mut bytes = if empty_line_first { b"\r\n".to_vec() } else { Vec::new() };
        bytes.extend(format!("{method} {written} HTTP/{version}\r\nHoSt: {host}\r\nx-one:{one}\r\nX-Two:\t ").bytes());
        bytes.extend(&two);
        bytes.extend(b" \r\n");
        if !connection.is_empty() {
            bytes.extend(format!("Connection: {connection}\r\n").bytes());
        }
        let length = body.len().to_string().into_bytes();
        let mut headers = vec![host.into_bytes(), one.into_bytes(), two];
        if chunked {
            bytes.extend(b"Transfer-Encoding: chunked\r\n");
        } else if !body.is_empty() {
            bytes.extend([b"content-length: ", length.as_slice(), b"\r\n"].concat());
            headers.push(length);
        }
        bytes.extend(b"\r\n");
        bytes.extend(sent);
        let lower = connection.to_ascii_lowercase();
        let keep_alive = !lower.contains("close") && (http11 || lower.contains("keep-alive"));
        (Seen::Request { method, target, headers, body, http11, keep_alive }, bytes)
    })
}

/// A body, how it is sent, and whether that is in chunks.
fn body() -> impl Strategy<Value = (Vec<u8>, Vec<u8>, bool)> {
    let chunk = (vec(any::<u8>(), 1..12), "0{0,3}", "(;[a-z =\"]{0,20})?");
    let chunked = (vec(chunk, 0..4), "(;[a-z]{0,9})?", vec("[A-Za-z-]{1,9}: [ -~]{0,20}\r\n", 0..3));
    prop_oneof![
        vec(any::<u8>(), 0..=BODY_MAX_BYTES).prop_map(|body| (body.clone(), body, false)),
        chunked.prop_map(|(chunks, last, trailers)| {
            let (mut body, mut sent) = (Vec::new(), Vec::new());
            for (data, zeros, extension) in chunks {
                body.extend(&data);
                sent.extend(format!("{zeros}{:X}{extension}\r\n", data.len()).bytes());
                sent.extend([data.as_slice(), b"\r\n"].concat());
            }
            sent.extend(format!("00{last}\r\n{}\r\n", trailers.concat()).bytes());
            (body, sent, true)
        }),
    ]
}

/// Words that requests are made of, and those that break them.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let words: Vec<&[u8]> = vec![
        b"GET ",
        b"POST / HTTP/1.1\r\nHost: h\r\n",
        b"/ HTTP/1.1\r\n",
        b"PRI * HTTP/2.0\r\n",
        b"Host: h\r\n",
        b"\r\n",
        b"\r\n\r\n",
        b"\r",
        b"\n",
        b"\0",
        b" ",
        b"\t",
        b":",
        b";",
        b"Content-Length: 3\r\n",
        b"Content-Length: 51\r\n",
        b"Content-Length: 99999999999999999999\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Expect: 100-continue\r\n",
        b"Expect: x\r\n",
        b"Connection: close\r\n",
        b"X: y\r\n",
        b"0\r\n",
        b"3\r\nabc\r\n",
        b"33\r\n",
        b"ffffffff\r\n",
        b"3;x\r\n",
        b"abc",
        b"\x80\xff",
        b"CONNECT h:1 HTTP/1.1\r\n",
        b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ];
    vec(select(words), 0..40).prop_map(|words| words.concat())
}

/// Valid requests with a few bytes put in, taken out or changed.
fn spoiled() -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<Index>(), 0..3_u8, select(b"\r\n\0\t :;,0x1fG/\x80".to_vec()));
    (vec(request(), 1..4), vec(edit, 1..4)).prop_map(|(requests, edits)| {
        let mut stream: Vec<u8> = requests.into_iter().flat_map(|(_, bytes)| bytes).collect();
        for (at, kind, byte) in edits {
            let at = at.index(stream.len());
            match kind {
                0 => stream.insert(at, byte),
                1 => stream[at] = byte,
                _ => drop(stream.remove(at)),
            }
        }
        stream
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn valid_requests_come_out_as_they_went_in_whatever_the_pieces(
        requests in vec(request(), 0..5),
        at in vec(any::<Index>(), 0..12),
    ) {
        let (expected, bytes): (Vec<_>, Vec<_>) = requests.into_iter().unzip();
        let stream = bytes.concat();
        prop_assert_eq!(&decode([stream.as_slice()]), &expected);
        prop_assert_eq!(&decode(cut(&stream, &at)), &expected);
        prop_assert_eq!(&decode(stream.chunks(1)), &expected);
    }

    #[test]
    fn spoiled_requests_are_read_alike_whatever_the_pieces(stream in spoiled(), at in vec(any::<Index>(), 0..12)) {
        let whole = decode([stream.as_slice()]);
        prop_assert_eq!(&decode(cut(&stream, &at)), &whole);
        prop_assert_eq!(&decode(stream.chunks(1)), &whole);
    }

    #[test]
    fn words_in_any_order_are_read_alike_whatever_the_pieces(stream in soup(), at in vec(any::<Index>(), 0..12)) {
        let whole = decode([stream.as_slice()]);
        prop_assert_eq!(&decode(cut(&stream, &at)), &whole);
        prop_assert_eq!(&decode(stream.chunks(1)), &whole);
    }

    #[test]
    fn random_bytes_never_panic(stream in vec(any::<u8>(), 0..700), size in 1..64_usize) {
        prop_assert_eq!(decode([stream.as_slice()]), decode(stream.chunks(size)));
    }
}
