//! What pages load: part of the program, compressed when it was built, under an address that changes with it.

use std::borrow::Cow;
use std::io::{self, Read as _};

use flate2::read::GzDecoder;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, VARY};
use http::{HeaderValue, StatusCode};

use super::accept::weighted;
use crate::gate::{ApiError, Call, Code, Outcome};
use crate::net::{Body, Response};

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The path of a file, of which [`VERSION`] and a name make an address.
pub(super) const TEMPLATE: &str = "/assets/{version}/{name}";

/// What is at an address never changes.
const CACHED: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// A file.
pub(super) struct File {
    name: &'static str,
    content_type: &'static str,
    held: &'static [u8],
    /// Whether that is gzip.
    is_packed: bool,
}

impl File {
    /// As it was written.
    ///
    /// # Errors
    /// None: what the build has packed is unpacked.
    fn plain(&self) -> io::Result<Cow<'static, [u8]>> {
        if !self.is_packed {
            return Ok(self.held.into());
        }
        let mut plain = Vec::new();
        GzDecoder::new(self.held).read_to_end(&mut plain)?;
        Ok(plain.into())
    }
}

/// Answers with a file.
pub(super) fn answer(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let file = FILES.iter().find(|file| file.name == call.param("name") && call.param("version") == VERSION);
    let file = file.ok_or_else(|| ApiError::new(Code::NotFound, "There is no such file; reload the page"))?;
    let packed = file.is_packed && call.headers.get("accept-encoding").is_some_and(takes_gzip);
    let mut response = Response::empty(StatusCode::OK)
        .with(CACHE_CONTROL, CACHED)
        .with(VARY, HeaderValue::from_static("Accept-Encoding"));
    if packed {
        response = response.with(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response.content_type = file.content_type;
    // Hardly anybody takes no gzip: for them it is unpacked each time, and the program does not hold everything twice.
    let plain =
        || file.plain().map_err(|error| ApiError::internal(format!("{} cannot be unpacked: {error}", file.name)));
    response.body = Body::Bytes(if packed { file.held.into() } else { plain()? });
    Ok(Outcome::Now(response))
}

/// Whether a value of `Accept-Encoding` allows gzip (RFC 9110 §12.5.3).
fn takes_gzip(accepted: &[u8]) -> bool {
    let weight_of = |name: &str| weighted(accepted).find(|(coding, _)| coding.eq_ignore_ascii_case(name));
    weight_of("gzip").or_else(|| weight_of("*")).is_some_and(|(_, weight)| weight > 0.0)
}

#[cfg(test)]
mod tests {
    use super::super::list::PAGES;
    use super::*;

    /// What the heaviest page may weigh as it is sent: the frame, the style, and what runs before anything is clicked.
    const PAGE_MAX_BYTES: usize = 60 * 1024;
    /// What the frame weighs at most.
    const FRAME_BYTES: usize = 4 * 1024;

    fn file(name: &str) -> &'static File {
        FILES.iter().find(|file| file.name == name).unwrap_or_else(|| panic!("there is no {name}"))
    }

    fn text(name: &str) -> String {
        text_of(file(name))
    }

    fn text_of(file: &File) -> String {
        String::from_utf8(file.plain().unwrap().into_owned()).unwrap()
    }

    fn imports(name: &str, found: &mut Vec<String>) {
        for line in text(name).lines().filter(|line| line.contains(" from './")) {
            let imported = line.split("from './").nth(1).unwrap().split('\'').next().unwrap();
            if !found.iter().any(|known| known == imported) {
                found.push(imported.to_owned());
                imports(imported, found);
            }
        }
    }

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        for (accepted, takes) in [
            ("gzip, deflate, br", true),
            ("br;q=1.0, GZIP;q=0.5", true),
            ("*", true),
            ("*;q=0, gzip", true),
            ("gzip;q=0", false),
            ("gzip;q=0, *", false),
            ("gzip;q=x", false),
            ("br", false),
            ("", false),
            ("xgzip", false),
        ] {
            assert_eq!(takes_gzip(accepted.as_bytes()), takes, "{accepted}");
        }
        assert!(!takes_gzip(b"\xff"));
    }

    #[test]
    fn a_page_is_light_and_needs_at_most_three_scripts_before_it_shows() {
        for page in PAGES {
            let mut scripts = vec![page.script.to_owned()];
            imports(page.script, &mut scripts);
            assert!(scripts.len() <= 3, "{}: {scripts:?}", page.path);
            let bytes: usize =
                scripts.iter().map(String::as_str).chain(["app.css"]).map(|name| file(name).held.len()).sum();
            assert!(bytes + FRAME_BYTES <= PAGE_MAX_BYTES, "{} weighs {bytes} bytes", page.path);
        }
    }

    #[test]
    fn scripts_show_text_and_never_markup() {
        let forbidden =
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "cssText"];
        for file in FILES.iter().filter(|file| file.name.ends_with(".js")) {
            let text = text_of(file);
            let found: Vec<_> = forbidden.iter().filter(|word| text.contains(**word)).collect();
            assert!(found.is_empty(), "{} has {found:?}", file.name);
            // The name space of drawings is a name and no place.
            let text = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains("https://") && !text.contains("http://"), "{} names another host", file.name);
        }
    }
}
