//! From the text of one setting to its value, or to what is wrong with it.
//!
//! A complaint is read by an operator in a terminal or a log, so what it
//! echoes is made safe first: secrets and passwords are masked, control
//! characters escaped, and long text cut.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::gate::host_and_port;
use crate::settings::{Endpoint, Fraction, Kind, Knob, MASK, Network, OFF, Value};
use crate::text::{cut, listed, visible};

/// The longest path that a Unix socket can have: Linux keeps it in 108 bytes, the last of them zero.
const UNIX_PATH_MAX_BYTES: usize = 107;

/// What is wrong with a place to listen.
const NO_PLACE: &str = "is not an address: use IP:PORT, such as 127.0.0.1:8000 or [::]:8000, or localhost:PORT, or :PORT, or \
                        unix:PATH";
/// The same where there may be none.
const NO_PLACE_NOR_OFF: &str = "is not a listen address: use IP:PORT, localhost:PORT, :PORT, unix:PATH or off";

/// How many characters of a bad value are echoed.
const ECHO_CHARS: usize = 200;

/// What is wrong with the text of a setting: one sentence, safe to show.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadValue(String);

impl BadValue {
    /// What is wrong with where a value should have come from.
    pub(super) fn new(sentence: String) -> Self {
        Self(sentence)
    }
}

/// A complaint and the part of the text it is about.
struct Fault<'t> {
    part: &'t str,
    complaint: String,
}

/// Reads `text`, given under `name` (the knob's name or one of its aliases).
///
/// # Errors
///
/// The text does not fit the knob's kind; the error names the variable, the
/// value and what would be accepted.
pub fn parse(knob: &Knob, name: &str, text: &str) -> Result<Value, BadValue> {
    let text = text.trim();
    let fault = |complaint: String| Fault { part: text, complaint };
    let read = match knob.kind {
        Kind::Flag => flag(text).map(Value::Flag).map_err(fault),
        Kind::Integer { min, max, unit } => integer(text, min, max, unit).map(Value::Integer).map_err(fault),
        Kind::Fraction => fraction(text).map(Value::Fraction).map_err(fault),
        Kind::Choice(words) => choice(text, words).map(Value::Choice).map_err(fault),
        Kind::Endpoints => endpoints(text).map(Value::Endpoints),
        Kind::Endpoint => endpoint(text).map(Value::Endpoint).map_err(fault),
        Kind::Database => database(text).map(Value::Database).map_err(fault),
        Kind::Origins => list(text, origin).map(Value::Origins),
        Kind::Networks => list(text, network).map(Value::Networks),
        Kind::Text => line(text).map(Value::Text).map_err(fault),
    };
    read.map_err(|Fault { part, complaint }| {
        // An equals sign only in front of the value as it was given.
        let joint = if part == text { "=" } else { ": " };
        BadValue(format!("{name}{joint}{} {complaint}", echo(knob, part)))
    })
}

fn flag(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" | "t" | "y" => Ok(true),
        "0" | "false" | "no" | "off" | "f" | "n" => Ok(false),
        _ => Err("is not a flag: use true or false".to_owned()),
    }
}

fn integer(text: &str, min: u64, max: u64, unit: &str) -> Result<u64, String> {
    // The standard parser would also take a leading plus sign.
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, suffix) = text.split_at(digits);
    let suffix = suffix.trim_start();
    let factor = if suffix.is_empty() { Some(1) } else { multiple(unit, suffix) };
    let Some(factor) = factor.filter(|_| !digits.is_empty()) else {
        let suffixes = suffixes(unit).map(|known| format!(", optionally followed by {known}")).unwrap_or_default();
        return Err(format!("is not a whole number: use {min} to {max} {unit}{suffixes}"));
    };
    // Only digits, so the one way left to fail is to be too large.
    match digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)) {
        Some(number) if (min..=max).contains(&number) => Ok(number),
        _ => Err(format!("is out of range: {min} to {max} {unit}")),
    }
}

/// How many of a unit a suffix stands for, if it is one of that unit.
fn multiple(unit: &str, suffix: &str) -> Option<u64> {
    Some(match (unit, suffix.to_ascii_lowercase().as_str()) {
        ("bytes", "b") | ("seconds", "s") | ("hours", "h") | ("days", "d") => 1,
        ("bytes", "k" | "kb" | "kib") => 1 << 10,
        ("bytes", "m" | "mb" | "mib") => 1 << 20,
        ("bytes", "g" | "gb" | "gib") => 1 << 30,
        ("seconds", "m" | "min") => 60,
        ("seconds", "h") => 3600,
        ("seconds", "d") => 86_400,
        ("hours", "d") => 24,
        _ => return None,
    })
}

/// The suffixes of a unit, as a sentence has them.
fn suffixes(unit: &str) -> Option<&'static str> {
    Some(match unit {
        "bytes" => "k, m or g",
        "seconds" => "s, m, h or d",
        "hours" => "h or d",
        "days" => "d",
        _ => return None,
    })
}

fn fraction(text: &str) -> Result<Fraction, String> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let plain = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(whole) || !plain(part) {
        return Err("is not a fraction: use a number from 0 to 1, such as 0.25".to_owned());
    }
    if part.bytes().skip(6).any(|digit| digit != b'0') {
        return Err("has more than 6 decimal places: use at most 6".to_owned());
    }
    let millionths = if negative {
        0
    } else if whole.bytes().any(|digit| digit != b'0') {
        u32::MAX
    } else {
        part.bytes().chain(std::iter::repeat(b'0')).take(6).fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'))
    };
    Ok(Fraction::of_millionths(millionths))
}

fn choice(text: &str, words: &[&'static str]) -> Result<&'static str, String> {
    let mut known = words.iter().copied();
    known
        .find(|word| word.eq_ignore_ascii_case(text))
        .ok_or_else(|| format!("is not one of the choices: use {}", listed(words, "or")))
}

/// Addresses and `unix:PATH`, at least one.
fn endpoints(text: &str) -> Result<Vec<Endpoint>, Fault<'_>> {
    let places = list(text, place)?;
    if places.is_empty() {
        return Err(Fault { part: text, complaint: NO_PLACE.to_owned() });
    }
    Ok(places)
}

fn place(text: &str) -> Result<Endpoint, String> {
    match text.strip_prefix("unix:") {
        Some(path) => unix_socket(path),
        None => address(text).map(Endpoint::Tcp).ok_or_else(|| no_place(text, NO_PLACE)),
    }
}

/// What is wrong with a place; `shape` says what one looks like.
fn no_place(text: &str, shape: &str) -> String {
    let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let of_a_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let is_name = host.bytes().all(of_a_name) && host.bytes().any(|byte| byte.is_ascii_alphabetic());
    if is_number && port.parse::<u16>().is_err() {
        format!("{shape}; a port is at most {}", u16::MAX)
    } else if is_number && is_name {
        format!("{shape}; a name is not looked up")
    } else {
        shape.to_owned()
    }
}

/// An IP address and a port; `:PORT` is every IPv4 address, and `localhost` the loopback one.
fn address(text: &str) -> Option<SocketAddr> {
    let ip = match text.rsplit_once(':') {
        Some(("", port)) => Some((Ipv4Addr::UNSPECIFIED, port)),
        Some((name, port)) if name.eq_ignore_ascii_case("localhost") => Some((Ipv4Addr::LOCALHOST, port)),
        _ => None,
    };
    match ip {
        Some((ip, port)) => integer(port, 0, 65_535, "").ok().map(|port| (ip, port as u16).into()),
        None => text.parse().ok(),
    }
}

fn unix_socket(path: &str) -> Result<Endpoint, String> {
    match path {
        "" => Err("names no socket: use unix:PATH".to_owned()),
        _ if path.len() > UNIX_PATH_MAX_BYTES => {
            Err(format!("is too long for a Unix socket: the path may have at most {UNIX_PATH_MAX_BYTES} bytes"))
        }
        path => Ok(Endpoint::Unix(path.into())),
    }
}

/// An address, `unix:PATH`, or nothing for `off`.
fn endpoint(text: &str) -> Result<Option<Endpoint>, String> {
    if text.eq_ignore_ascii_case(OFF) {
        return Ok(None);
    }
    if let Some(path) = text.strip_prefix("unix:") {
        return unix_socket(path).map(Some);
    }
    let address = address(text).map(|address| Some(Endpoint::Tcp(address)));
    address.ok_or_else(|| no_place(text, NO_PLACE_NOR_OFF))
}

/// The path in `sqlite:PATH`, `sqlite://PATH` or `sqlite:///ABSOLUTE`.
fn database(text: &str) -> Result<PathBuf, String> {
    let (scheme, rest) = text.split_once(':').unwrap_or(("", text));
    if !scheme.eq_ignore_ascii_case("sqlite") {
        return Err("is not supported: only sqlite is, as sqlite:PATH".to_owned());
    }
    let path = rest.strip_prefix("//").unwrap_or(rest);
    let refusal = if path.is_empty() || path.ends_with('/') {
        "names no file: use sqlite:PATH"
    } else if path.eq_ignore_ascii_case(":memory:") {
        "would not be stored: use a file, as sqlite:PATH"
    } else if path.contains('?') || path.starts_with("file:") {
        // SQLite itself could take these as instructions about the file.
        "has options, which are not supported: use sqlite:PATH"
    } else if path.starts_with("/./") || path.starts_with("/../") {
        // Meant as relative where sqlite:/// introduces relative paths.
        "is absolute after sqlite:/// and would start at the root: use sqlite:PATH"
    } else if path.chars().any(char::is_control) {
        "contains control characters: use sqlite:PATH"
    } else {
        return Ok(PathBuf::from(path));
    };
    Err(refusal.to_owned())
}

/// Items apart by commas or white space; one that comes again is dropped.
fn list<T: PartialEq>(text: &str, item: fn(&str) -> Result<T, String>) -> Result<Vec<T>, Fault<'_>> {
    let mut items = Vec::new();
    let parts = text.split(|c: char| c == ',' || c.is_whitespace());
    for part in parts.filter(|part| !part.is_empty()) {
        let value = item(part).map_err(|complaint| Fault { part, complaint })?;
        if !items.contains(&value) {
            items.push(value);
        }
    }
    Ok(items)
}

/// An origin as a browser sends it: lower case, no trailing slash, and no port
/// where it is the usual one, since anything else would never be matched.
fn origin(text: &str) -> Result<String, String> {
    let complaint = || "is not an origin: use * or http(s)://HOST[:PORT], without a path".to_owned();
    if text == "*" {
        return Ok(text.to_owned());
    }
    let lower = text.to_ascii_lowercase();
    let (scheme, rest) = lower.split_once("://").ok_or_else(complaint)?;
    let usual_port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return Err(complaint()),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = host_and_port(rest).ok_or_else(complaint)?;
    let port = match port {
        None => None,
        Some(digits) => Some(integer(digits, 1, 65_535, "").map_err(|_| complaint())?),
    };
    Ok(match port {
        Some(port) if port != usual_port => format!("{scheme}://{host}:{port}"),
        _ => format!("{scheme}://{host}"),
    })
}

fn network(text: &str) -> Result<Network, String> {
    text.parse().map_err(|help| format!("is not an address or a network: {help}"))
}

fn line(text: &str) -> Result<String, String> {
    if text.chars().any(char::is_control) {
        return Err("contains control characters: use text on one line".to_owned());
    }
    Ok(text.to_owned())
}

/// `text` as it may be shown in a complaint about `knob`.
pub(super) fn echo(knob: &Knob, text: &str) -> String {
    if knob.secret {
        return MASK.to_owned();
    }
    match knob.kind {
        Kind::Database | Kind::Origins => printable(&without_credentials(text)),
        _ => printable(text),
    }
}

/// `text` as it may be shown in a complaint.
pub fn printable(text: &str) -> String {
    visible(&cut(text, ECHO_CHARS)).into_owned()
}

/// A URL with its user, password and query masked: any may hold a password.
fn without_credentials(url: &str) -> String {
    let start = match (url.find("://"), url.find(':')) {
        (Some(at), _) => at + 3,
        (None, Some(at)) => at + 1,
        (None, None) => 0,
    };
    let (scheme, rest) = url.split_at(start);
    let (place, query) = match rest.split_once('?') {
        // Which of the two signs belongs to a password cannot be told.
        Some((_, query)) if query.contains('@') => return format!("{scheme}{MASK}"),
        Some((place, _)) => (place, format!("?{MASK}")),
        None => (rest, String::new()),
    };
    // The last at-sign: a password may hold one that was not escaped.
    match place.rsplit_once('@') {
        Some((_, place)) => format!("{scheme}{MASK}@{place}{query}"),
        None => format!("{scheme}{place}{query}"),
    }
}
