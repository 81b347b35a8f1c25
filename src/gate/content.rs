//! What is answered in whole or in part: files, and bytes of the program itself.
//!
//! A file is opened where that may block (`feature::ShardParts::file`), judged by [`Conditions`], and read piece by piece by
//! the blocking pool as its client takes it: a slow one holds no thread. Routes that answer so carry
//! [`ASSET`](super::headers::ASSET), since each content says itself how long it may be cached.
//!
//! A file is never written in place but replaced by another: its tag is made of its number, its size and the time of its last
//! change, and what has become shorter while it is sent breaks the answer off.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::OnceLock;

use http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_RANGE, ETAG, LAST_MODIFIED};
use http::{HeaderValue, Method, StatusCode};
use rustix::fs::OFlags;
use sha2::{Digest as _, Sha256};

use super::call::Call;
use super::code::Code;
use super::conditional::{Conditions, Extent, Version};
use super::error::ApiError;
use crate::net::body::PIECE_BYTES;
use crate::net::{Body, Response, Source, http_date};
use crate::text::hex;

impl Conditions {
    /// What a request says of what it has and wants.
    pub fn of(call: &Call<'_>) -> Self {
        let value = |name: &str| {
            let mut lines = call.headers.all(name);
            let first = lines.next()?.to_vec();
            Some(lines.fold(first, |joined, line| [&joined[..], b", ", line].concat()))
        };
        Self {
            is_get: call.method == Method::GET,
            asked_at: call.clock.now().seconds(),
            if_match: value("if-match"),
            if_unmodified_since: value("if-unmodified-since"),
            if_none_match: value("if-none-match"),
            if_modified_since: value("if-modified-since"),
            range: value("range"),
            if_range: value("if-range"),
        }
    }
}

/// What there is to answer with.
pub struct Content {
    version: Version,
    content_type: &'static str,
    /// The value of `Cache-Control`.
    cache: &'static str,
    bytes: Bytes,
}

enum Bytes {
    Here(&'static [u8]),
    In(File),
}

impl Content {
    /// A file as it is now. Blocks.
    ///
    /// # Errors
    /// 404 when there is no such file, 500 when it cannot be read.
    pub fn open(path: &Path, content_type: &'static str, cache: &'static str) -> Result<Self, ApiError> {
        // Of a pipe there would be no end to wait for.
        let flags = OFlags::NONBLOCK.bits() as i32;
        let opened = File::options().read(true).custom_flags(flags).open(path);
        let opened = opened.and_then(|file| Ok((file.metadata()?, file)));
        let (metadata, file) = opened.map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => no_file(),
            _ => ApiError::internal(format!("a file cannot be opened: {error}")),
        })?;
        if !metadata.is_file() {
            return Err(no_file());
        }
        let (seconds, nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
        let tag = format!("{:x}-{:x}-{seconds:x}.{nanoseconds:x}", metadata.ino(), metadata.len());
        let version = Version { tag, modified: Some(seconds), length: metadata.len() };
        Ok(Self { version, content_type, cache, bytes: Bytes::In(file) })
    }

    /// All of it, a part, or that the client has it: what the conditions ask for.
    ///
    /// # Errors
    /// 412 and 416.
    pub fn answer(mut self, conditions: &Conditions) -> Result<Response, ApiError> {
        // A change of tomorrow says that one of the clocks is wrong, and nothing of the file.
        self.version.modified = self.version.modified.filter(|modified| *modified <= conditions.asked_at);
        let length = self.version.length;
        let part = match conditions.judge(&self.version) {
            Extent::Whole => None,
            Extent::Part(part) => Some(part),
            Extent::NotModified => return Ok(self.described(Response::empty(StatusCode::NOT_MODIFIED))),
            Extent::PreconditionFailed => {
                let error = ApiError::new(Code::HttpError, "This is not what the request takes it for");
                let error = error.with_status(StatusCode::PRECONDITION_FAILED);
                return Err(error.with_header(ETAG, self.tag()));
            }
            Extent::Unsatisfiable => {
                let error = ApiError::new(Code::HttpError, format!("There are {length} bytes, and none of the range"));
                let error = error.with_status(StatusCode::RANGE_NOT_SATISFIABLE);
                return Err(error.with_header(CONTENT_RANGE, ascii(format!("bytes */{length}"))));
            }
        };
        let mut response = Response::empty(StatusCode::OK).with(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        if let Some(part) = &part {
            response.status = StatusCode::PARTIAL_CONTENT;
            let range = format!("bytes {}-{}/{length}", part.start, part.end - 1);
            response = response.with(CONTENT_RANGE, ascii(range));
        }
        let mut response = self.described(response);
        response.content_type = self.content_type;
        let part = part.unwrap_or(0..length);
        response.body = match self.bytes {
            // A slice of the program is no longer than a usize says.
            Bytes::Here(bytes) => Body::Bytes(bytes[part.start as usize..part.end as usize].into()),
            Bytes::In(file) => {
                let left = part.end - part.start;
                Body::Source { length: Some(left), source: Box::new(Slice { file, at: part.start, left }) }
            }
        };
        Ok(response)
    }

    /// The same answer with what it says in whole and in part, and to those who have it.
    fn described(&self, response: Response) -> Response {
        let dated = match self.version.modified {
            Some(modified) => response.with(LAST_MODIFIED, ascii(http_date(modified))),
            None => response,
        };
        dated.with(ETAG, self.tag()).with(CACHE_CONTROL, HeaderValue::from_static(self.cache))
    }

    fn tag(&self) -> HeaderValue {
        ascii(format!("\"{}\"", self.version.tag))
    }
}

fn no_file() -> ApiError {
    ApiError::new(Code::NotFound, "There is no such file")
}

/// A value of letters, digits and punctuation, which is always one.
fn ascii(value: String) -> HeaderValue {
    HeaderValue::try_from(value).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// A part of a file, read from where it begins.
struct Slice {
    file: File,
    at: u64,
    left: u64,
}

impl Source for Slice {
    fn next(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        let wanted = self.left.min(PIECE_BYTES as u64);
        out.resize(wanted as usize, 0);
        self.file.read_exact_at(out, self.at)?;
        self.at += wanted;
        self.left -= wanted;
        Ok(self.left > 0)
    }
}

/// A file that is a part of the program.
pub struct Asset {
    bytes: &'static [u8],
    content_type: &'static str,
    cache: &'static str,
    tag: OnceLock<String>,
}

/// Bytes of the digest that an asset's tag is made of.
const TAG_BYTES: usize = 16;

impl Asset {
    /// These bytes, of this type, and the value of `Cache-Control` that goes with them.
    pub const fn new(bytes: &'static [u8], content_type: &'static str, cache: &'static str) -> Self {
        Self { bytes, content_type, cache, tag: OnceLock::new() }
    }

    /// All of it, a part, or that the client has it.
    ///
    /// # Errors
    /// 412 and 416.
    pub fn answer(&self, call: &Call<'_>) -> Result<Response, ApiError> {
        let tag = self.tag.get_or_init(|| hex(&Sha256::digest(self.bytes)[..TAG_BYTES]));
        let version = Version { tag: tag.clone(), modified: None, length: self.bytes.len() as u64 };
        let bytes = Bytes::Here(self.bytes);
        Content { version, content_type: self.content_type, cache: self.cache, bytes }.answer(&Conditions::of(call))
    }
}
