//! The decoder of HTTP/1.1 reads a stream alike whatever the pieces it comes in, and never panics.
//!
//! The first byte of the input chooses the pieces, the rest is the stream. The same feeding as in
//! `tests/it/http1_props.rs`, which is that of `src/net/conn.rs`: what is not consumed stays in front of what comes next.
#![no_main]

use inkring::net::http1::{Decoder, Limits, Step, slots};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits { head_bytes: 512, headers: 8, target_bytes: 64 };
const BODY_MAX_BYTES: usize = 64;

/// What a connection would have been told, as text: requests, and at most one refusal at the end.
fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut decoder = Decoder::new(LIMITS);
    let (mut input, mut seen) = (Vec::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        let mut used = 0;
        while used < input.len() {
            let mut slots = slots();
            match decoder.decode(&input[used..], &mut slots, |_| BODY_MAX_BYTES) {
                Ok(Step::More { consumed, .. }) => {
                    used += consumed;
                    break;
                }
                Ok(Step::Request { request, consumed }) => {
                    assert!(consumed > 0 && request.body.len() <= BODY_MAX_BYTES);
                    seen.push(format!("{request:?}"));
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

fuzz_target!(|bytes: &[u8]| {
    let Some((&size, stream)) = bytes.split_first() else { return };
    let whole = decode([stream]);
    assert_eq!(decode(stream.chunks(usize::from(size).max(1))), whole);
    assert_eq!(decode(stream.chunks(1)), whole);
});
