//! The answer of a door that only leads to TLS.

use http::header::LOCATION;
use http::{HeaderValue, StatusCode};

use super::code::Code;
use super::error::ApiError;
use crate::net::{Request, Response};

/// The port that https has when an address names none.
const HTTPS_PORT: u16 = 443;

/// 308 to the same path of the same host, at this port over TLS.
///
/// # Errors
/// 400 without a host that can be led to.
pub(super) fn to_tls(request: &Request<'_>, port: u16) -> Result<Response, ApiError> {
    let host = request.headers.get("host").and_then(host_of);
    let port = if port == HTTPS_PORT { String::new() } else { format!(":{port}") };
    let target = if request.target.starts_with('/') { request.target } else { "/" };
    let location = host.and_then(|host| HeaderValue::try_from(format!("https://{host}{port}{target}")).ok());
    let location = location.ok_or_else(|| {
        let error = ApiError::new(Code::HttpError, "This port only leads to https, and Host does not say where");
        error.with_status(StatusCode::BAD_REQUEST)
    })?;
    let mut response = Response::empty(StatusCode::PERMANENT_REDIRECT);
    response.headers.push((LOCATION, location));
    Ok(response)
}

/// The host of an authority without its port, if it is nothing but a host.
fn host_of(authority: &[u8]) -> Option<&str> {
    let authority = std::str::from_utf8(authority).ok()?;
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match address {
        Some(address) => address.bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')),
        None => host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')),
    };
    (is_host && !host.is_empty()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_taken_out_of_what_may_be_something_else() {
        for (authority, host) in [
            ("box.example", Some("box.example")),
            ("box.example:80", Some("box.example")),
            ("[::1]", Some("[::1]")),
            ("[::1]:80", Some("[::1]")),
            ("192.0.2.1:8080", Some("192.0.2.1")),
            ("", None),
            (":80", None),
            ("me@box.example", None),
            ("box.example/x", None),
            ("::1", None),
            ("[::1", None),
        ] {
            assert_eq!(host_of(authority.as_bytes()), host, "{authority}");
        }
    }
}
