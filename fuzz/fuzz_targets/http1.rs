//! The decoder of HTTP/1.1 reads a stream alike whatever the pieces it comes in, and never panics.
//!
//! The first byte of the input chooses the pieces, the rest is the stream. The same feeding as in
//! `tests/it/http1_props.rs`, which is that of `src/net/conn.rs`: what is not consumed stays in front of what comes next.
#![no_main]

use inkring::net::http1::{Decoder, Intake, HeadLimits, Request, Step, slots};
use libfuzzer_sys::fuzz_target;

const LIMITS: HeadLimits = HeadLimits { head_bytes: 512, headers: 8, target_bytes: 64 };
const BODY_MAX_BYTES: usize = 64;

/// What a connection would have been told, as text: requests, and at most one refusal at the end. Bodies come out alike
/// whether they are taken whole or in pieces.
fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8], IntoIter: Clone>) -> Vec<String> {
    let pieces = pieces.into_iter();
    let seen = decode_by(Intake::Whole(BODY_MAX_BYTES), pieces.clone());
    assert_eq!(decode_by(Intake::Pieces(BODY_MAX_BYTES), pieces), seen);
    seen
}

fn decode_by<'a>(intake: Intake, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
    let mut decoder = Decoder::new(LIMITS);
    let (mut input, mut seen) = (Vec::new(), Vec::new());
    // A request whose body is taken in pieces, and what of that has come.
    let mut begun: Option<(String, Vec<u8>)> = None;
    for piece in pieces {
        input.extend_from_slice(piece);
        let mut used = 0;
        while used < input.len() {
            if let Some((_, body)) = &mut begun {
                match decoder.body(&input[used..]) {
                    Ok(run) => {
                        body.extend_from_slice(run.bytes);
                        assert!(body.len() <= BODY_MAX_BYTES && run.consumed >= run.bytes.len());
                        used += run.consumed;
                        if run.done {
                            seen.extend(begun.take().map(|(head, body)| format!("{head} {body:?}")));
                            decoder.reset();
                        } else if run.bytes.is_empty() {
                            break;
                        }
                    }
                    Err(reject) => {
                        seen.push(format!("{reject:?}"));
                        return seen;
                    }
                }
                continue;
            }
            let mut slots = slots();
            match decoder.decode(&input[used..], &mut slots, |_| intake) {
                Ok(Step::Head { request, consumed, .. }) => {
                    assert!(consumed > 0 && request.body.is_empty() && matches!(intake, Intake::Pieces(_)));
                    begun = Some((text(&request), Vec::new()));
                    used += consumed;
                }
                Ok(Step::More { consumed, .. }) => {
                    used += consumed;
                    break;
                }
                Ok(Step::Request { request, consumed }) => {
                    assert!(consumed > 0 && request.body.len() <= BODY_MAX_BYTES);
                    seen.push(format!("{} {:?}", text(&request), request.body));
                    used += consumed;
                    decoder.reset();
                }
                Err(reject) => {
                    seen.push(format!("{reject:?}"));
                    return seen;
                }
            }
        }
        input.drain(..used);
        assert!(input.len() <= LIMITS.head_bytes + BODY_MAX_BYTES);
    }
    seen
}

/// A request without its body.
fn text(request: &Request<'_>) -> String {
    let Request { method, target, headers, http11, keep_alive, .. } = request;
    format!("{method} {target} {headers:?} {http11} {keep_alive}")
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&size, stream)) = bytes.split_first() else { return };
    let whole = decode([stream]);
    assert_eq!(decode(stream.chunks(usize::from(size).max(1))), whole);
    assert_eq!(decode(stream.chunks(1)), whole);
});
