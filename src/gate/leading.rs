//! The answer of a door that only leads to TLS.

use http::header::LOCATION;
use http::{HeaderValue, StatusCode};

use super::code::Code;
use super::error::ApiError;
use super::host::host_and_port;
use crate::net::{Request, Response};

/// The port that https has when an address names none.
const HTTPS_PORT: u16 = 443;

/// 308 to the same path of the same host, at this port over TLS.
///
/// # Errors
/// 400 without a host that can be led to.
pub(super) fn to_tls(request: &Request<'_>, port: u16) -> Result<Response, ApiError> {
    let authority = request.headers.get("host").and_then(|host| std::str::from_utf8(host).ok());
    let host = authority.and_then(host_and_port).map(|(host, _)| host);
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
