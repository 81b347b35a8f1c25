//! How a request becomes a WebSocket (RFC 6455 §4.2).

use http::header::{SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION};
use http::{HeaderValue, Method, StatusCode};
use tungstenite::handshake::derive_accept_key;

use super::code::Code;
use super::error::ApiError;
use super::identity::{BEARER_PROTOCOL, offered, offers_bearer};
use crate::net::{Request, Response};

/// Whether this asks for a WebSocket at all.
pub(super) fn is_websocket_upgrade(request: &Request<'_>) -> bool {
    request.http11
        && request.method == Method::GET
        && request.headers.has_token("upgrade", "websocket")
        && request.headers.has_token("connection", "upgrade")
}

/// Whether the handshake can be accepted.
///
/// # Errors
/// 426 for another version than 13; 400 for a key that is not 16 bytes in base64.
pub(super) fn check(request: &Request<'_>) -> Result<(), ApiError> {
    if !request.headers.all("sec-websocket-version").eq([b"13"]) {
        return Err(ApiError::new(Code::HttpError, "Only version 13 of the WebSocket protocol is supported")
            .with_status(StatusCode::UPGRADE_REQUIRED)
            .with_header(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")));
    }
    let mut keys = request.headers.all("sec-websocket-key");
    if !keys.next().is_some_and(is_key) || keys.next().is_some() {
        return Err(ApiError::new(Code::HttpError, "Sec-WebSocket-Key must be sent once, and be 16 bytes in base64"));
    }
    Ok(())
}

/// The answer to a handshake that was checked, of a session that speaks this subprotocol.
pub(super) fn accept(request: &Request<'_>, protocol: Option<&str>) -> Response {
    let key = request.headers.get("sec-websocket-key").unwrap_or_default();
    // Base64, which is what the key is derived to, fits a header.
    let accepted = HeaderValue::from_str(&derive_accept_key(key)).unwrap_or(HeaderValue::from_static(""));
    let mut response = Response::empty(StatusCode::SWITCHING_PROTOCOLS).with(SEC_WEBSOCKET_ACCEPT, accepted);
    // Other subprotocols are passed over: a client that insists on one is told so by their absence.
    let chosen = offered(&request.headers).find(|offered| protocol.is_some_and(|chosen| chosen == *offered));
    let answered = match chosen {
        Some(chosen) => HeaderValue::from_str(chosen).ok(),
        None => offers_bearer(request).then(|| HeaderValue::from_static(BEARER_PROTOCOL)),
    };
    if let Some(answered) = answered {
        response = response.with(SEC_WEBSOCKET_PROTOCOL, answered);
    }
    response
}

/// 16 bytes are 22 digits and two equals signs.
fn is_key(key: &[u8]) -> bool {
    let digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.strip_suffix(b"==").is_some_and(|digits| digits.len() == 22 && digits.iter().all(digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_16_bytes_in_base64() {
        assert!(is_key(b"dGhlIHNhbXBsZSBub25jZQ=="));
        for wrong in [&b""[..], b"dGhlIHNhbXBsZSBub25jZQ", b"dGhlIHNhbXBsZSBub25jZ!==", b"dGhlIHNhbXBsZSBub25jZQ==="] {
            assert!(!is_key(wrong), "{wrong:?}");
        }
    }
}
