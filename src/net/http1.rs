//! HTTP/1.1 requests out of bytes, without a socket or a clock (sans-I/O).
//!
//! [`Decoder::decode`] is given everything a connection has sent and not yet had consumed, and says: more is
//! needed, here is a whole request, or this can never become one. The rules are functions of the byte stream
//! alone, so the answer is the same whatever the chunking (a property test holds it to that).
//!
//! Line discipline is stricter than `httparse`'s, because leniency is what request smuggling lives on: every
//! line ends in CRLF, no bare CR or LF, no NUL, no folded header, one `Host`, at most one `Content-Length` of
//! digits only, `Transfer-Encoding` only as a single `chunked` and never beside a length (RFC 9112 §2.2, §6.3).
//!
//! Bounds: [`HeadLimits`] for the head, the service's answer per route for the body ([`Intake`]), [`CHUNK_LINE_MAX_BYTES`] for a
//! chunk's size line. What waits in memory is at most one head and one body; of a body that is taken in pieces
//! ([`Decoder::body`]) nothing waits but a line of its framing.

use std::mem::MaybeUninit;

use http::Method;

/// The most header lines any configuration may allow; sizes the stack space that a head is parsed into.
pub const HEADERS_MAX: usize = 256;

/// The longest line that may announce a chunk, its extensions included.
pub const CHUNK_LINE_MAX_BYTES: usize = 256;

/// What a client begins with that takes this for a port of TLS (RFC 8446 §5.1); no request does.
const TLS_HANDSHAKE: u8 = 0x16;

/// Stack space for the headers of one request. Make one with [`slots`].
pub type Slots<'b> = [MaybeUninit<httparse::Header<'b>>; HEADERS_MAX];

/// Empty space for the headers of one request.
pub fn slots<'b>() -> Slots<'b> {
    [const { MaybeUninit::uninit() }; HEADERS_MAX]
}

/// What a head may cost, in bytes and lines.
#[derive(Debug, Clone)]
pub struct HeadLimits {
    /// Request line and headers together, up to and with the empty line.
    pub head_bytes: usize,
    /// Header lines, at most [`HEADERS_MAX`].
    pub headers: usize,
    /// The request target as sent.
    pub target_bytes: usize,
}

/// Why bytes can never become a request we answer. The connection is closed after the refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reject {
    /// 400: against the grammar or a smuggling risk; the text says which.
    Malformed(&'static str),
    /// 408: the head was not whole within this many seconds.
    HeadTimeout(u64),
    /// 408: the body was not whole within this many seconds.
    BodyTimeout(u64),
    /// 408: nothing of the body came for this many seconds.
    BodyStalled(u64),
    /// 408: the body came with fewer than this many bytes a second.
    BodyTooSlow(u64),
    /// 413: the body is, or says it will be, over this many bytes.
    BodyTooLarge(usize),
    /// 414: the target is over this many bytes.
    TargetTooLong(usize),
    /// 417: an `Expect` other than `100-continue`.
    Expectation,
    /// 431: the head is over this many bytes.
    HeadTooLarge(usize),
    /// 431: there are more header lines than this.
    TooManyHeaders(usize),
    /// 501: a method that only a proxy could serve.
    Method,
    /// 505: not HTTP/1.0 or HTTP/1.1.
    Version,
}

/// One whole request, borrowed from the connection's bytes.
#[derive(Debug)]
pub struct Request<'a> {
    /// The method as sent.
    pub method: Method,
    /// Path with query, as sent and still percent-encoded; begins with `/`, or is `*`.
    pub target: &'a str,
    /// The header lines.
    pub headers: Headers<'a>,
    /// The body without its framing; empty when there was none.
    pub body: &'a [u8],
    /// True for HTTP/1.1, false for HTTP/1.0.
    pub http11: bool,
    /// Whether the client wants the connection kept after the answer.
    pub keep_alive: bool,
}

impl<'a> Request<'a> {
    /// The target up to the `?`.
    pub fn path(&self) -> &'a str {
        self.split().0
    }

    /// The target after the `?`; empty when there is none.
    pub fn query(&self) -> &'a str {
        self.split().1
    }

    fn split(&self) -> (&'a str, &'a str) {
        match memchr::memchr(b'?', self.target.as_bytes()) {
            Some(at) => (&self.target[..at], &self.target[at + 1..]),
            None => (self.target, ""),
        }
    }
}

/// The header lines of one request, in order, looked up without regard to case.
#[derive(Debug, Clone, Copy)]
pub struct Headers<'a>(&'a [httparse::Header<'a>]);

impl<'a> Headers<'a> {
    /// The first value of this name.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    /// Every value of this name, in order.
    pub fn all<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.0.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
    }

    /// The items of a comma-separated header of this name, over all its lines, in order.
    pub fn items<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.all(name).flat_map(|line| line.split(|&byte| byte == b',').map(<[u8]>::trim_ascii))
    }

    /// Whether a comma-separated header of this name holds this token, in any case.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.items(name).any(|item| item.eq_ignore_ascii_case(token.as_bytes()))
    }
}

/// The `Origin` of a head that was refused, as far as it is here: a page is told why only if its browser knows that it may be.
/// None when two lines differ.
pub fn origin(head: &[u8]) -> Option<&[u8]> {
    let lines = head.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut origins =
        lines.skip_while(|line| line.is_empty()).skip(1).take_while(|line| !line.is_empty()).filter_map(|line| {
            let (name, value) = line.split_at_checked(memchr::memchr(b':', line)?)?;
            name.eq_ignore_ascii_case(b"origin").then(|| value[1..].trim_ascii())
        });
    let first = origins.next()?;
    origins.all(|other| other == first).then_some(first)
}

/// How a body is to be taken, and how many bytes of it at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intake {
    /// With its request, once it is whole.
    Whole(usize),
    /// In pieces, after the head.
    Pieces(usize),
}

/// Bytes of a body that is taken in pieces.
#[derive(Debug, PartialEq, Eq)]
pub struct Run<'a> {
    /// What is here of it, without its framing; none when more is needed, or at the end.
    pub bytes: &'a [u8],
    /// Bytes of the input that are done with.
    pub consumed: usize,
    /// Whether that was all. Then call [`Decoder::reset`].
    pub done: bool,
}

/// What the bytes so far amount to.
#[derive(Debug)]
pub enum Step<'a> {
    /// Not a whole request yet. Drop `consumed` bytes from the front and come back with more.
    More {
        /// Bytes that the decoder has taken over.
        consumed: usize,
        /// The client waits for `100 Continue` before it sends the body. Said once.
        send_continue: bool,
    },
    /// The head of a request whose body is taken in pieces. Drop `consumed` bytes and go on with [`Decoder::body`].
    Head {
        /// The request, its body empty.
        request: Request<'a>,
        /// Bytes of the input that the head covered.
        consumed: usize,
        /// The client waits for `100 Continue` before it sends the body.
        send_continue: bool,
    },
    /// A whole request. Answer it, then drop `consumed` bytes and call [`Decoder::reset`].
    Request {
        /// The request.
        request: Request<'a>,
        /// Bytes of the input it covered.
        consumed: usize,
    },
}

/// Where in a request the bytes are; tells the shard which deadline applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Before the end of the head.
    Head,
    /// After the head, before the end of the body.
    Body,
}

#[derive(Debug)]
enum Phase {
    Head,
    /// The head ends at `head_bytes`, the body at `total_bytes`; both still lie in the input.
    Fixed {
        head_bytes: usize,
        total_bytes: usize,
    },
    /// The head was taken over; chunks are decoded into `body` as they come.
    Chunked {
        head: Vec<u8>,
        body: Vec<u8>,
        limit: usize,
        state: Chunk,
    },
    /// The head was taken over, and the body is handed on in pieces.
    Pieces {
        head: Vec<u8>,
        rest: Rest,
        received: usize,
        limit: usize,
    },
}

/// What is still to come of a body that is handed on.
#[derive(Debug, Clone, Copy)]
enum Rest {
    Fixed(usize),
    Chunked(Chunk),
}

#[derive(Debug, Clone, Copy)]
enum Chunk {
    /// At the line that says how long the next chunk is.
    Size,
    /// Inside a chunk with this many bytes to come.
    Data(usize),
    /// At the CRLF after a chunk.
    DataEnd,
    /// In the lines after the last chunk, this many bytes of them read.
    Trailer(usize),
    Done,
}

/// How the end of a body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Fixed(usize),
    Chunked,
}

/// The state between two calls for one connection. Small while a connection is idle.
#[derive(Debug)]
pub struct Decoder {
    limits: HeadLimits,
    phase: Phase,
    scan: Scan,
}

/// How far the search for the end of the head has come, so that no byte is looked at twice.
#[derive(Debug, Default, Clone, Copy)]
struct Scan {
    at: usize,
    line_start: usize,
    lines: usize,
    /// Bytes of an empty line before the request line, which RFC 9112 §2.2 asks us to skip.
    skipped: usize,
}

impl Decoder {
    /// A decoder at the start of a connection. `limits.headers` over [`HEADERS_MAX`] counts as that.
    pub fn new(limits: HeadLimits) -> Self {
        Self { limits, phase: Phase::Head, scan: Scan::default() }
    }

    /// Makes ready for the next request of the connection.
    pub fn reset(&mut self) {
        self.phase = Phase::Head;
        self.scan = Scan::default();
    }

    /// Which part of a request is being waited for.
    pub fn part(&self) -> Part {
        match self.phase {
            Phase::Head => Part::Head,
            _ => Part::Body,
        }
    }

    /// Looks at all unconsumed bytes of the connection. `intake` is asked, once per request that announces a body, how it is to
    /// be taken.
    ///
    /// # Errors
    /// A [`Reject`] when no further bytes could make this a request we answer.
    pub fn decode<'a>(
        &'a mut self,
        input: &'a [u8],
        slots: &'a mut Slots<'a>,
        intake: impl FnOnce(&Request<'_>) -> Intake,
    ) -> Result<Step<'a>, Reject> {
        if matches!(self.phase, Phase::Head) {
            return self.decode_head(input, slots, intake);
        }
        match &mut self.phase {
            Phase::Head | Phase::Pieces { .. } => Ok(Step::More { consumed: 0, send_continue: false }),
            &mut Phase::Fixed { head_bytes, total_bytes } => {
                if input.len() < total_bytes {
                    return Ok(Step::More { consumed: 0, send_continue: false });
                }
                let mut request = parse(&input[self.scan.skipped..head_bytes], slots, &self.limits)?;
                request.body = &input[head_bytes..total_bytes];
                Ok(Step::Request { request, consumed: total_bytes })
            }
            Phase::Chunked { head, body, limit, state } => {
                let consumed = decode_chunks(input, state, body, *limit, self.limits.head_bytes)?;
                if !matches!(state, Chunk::Done) {
                    return Ok(Step::More { consumed, send_continue: false });
                }
                let mut request = parse(head, slots, &self.limits)?;
                request.body = body;
                Ok(Step::Request { request, consumed })
            }
        }
    }

    /// The next bytes of a body that is taken in pieces. Call it until there are none, then again with more input.
    ///
    /// # Errors
    /// A [`Reject`] when the framing is broken or the body goes beyond its limit.
    pub fn body<'a>(&mut self, input: &'a [u8]) -> Result<Run<'a>, Reject> {
        let Phase::Pieces { rest, received, limit, .. } = &mut self.phase else {
            return Ok(Run { bytes: &[], consumed: 0, done: true });
        };
        match rest {
            Rest::Fixed(left) => {
                let bytes = &input[..input.len().min(*left)];
                *left -= bytes.len();
                Ok(Run { bytes, consumed: bytes.len(), done: *left == 0 })
            }
            Rest::Chunked(state) => {
                let (bytes, consumed) = chunk_run(input, state, *received, *limit, self.limits.head_bytes)?;
                *received += bytes.len();
                Ok(Run { bytes, consumed, done: matches!(state, Chunk::Done) })
            }
        }
    }

    /// The request without its body, once its head was found good, for an answer to what became of the body. `input`
    /// is as in [`Decoder::decode`].
    pub fn head<'a>(&'a self, input: &'a [u8], slots: &'a mut Slots<'a>) -> Option<Request<'a>> {
        let head = match &self.phase {
            Phase::Head => return None,
            Phase::Fixed { head_bytes, .. } => input.get(self.scan.skipped..*head_bytes)?,
            Phase::Chunked { head, .. } | Phase::Pieces { head, .. } => head,
        };
        parse(head, slots, &self.limits).ok()
    }

    /// Finds and parses the head; when the body is there too, as it nearly always is, that was the only parse.
    fn decode_head<'a>(
        &'a mut self,
        input: &'a [u8],
        slots: &'a mut Slots<'a>,
        intake: impl FnOnce(&Request<'_>) -> Intake,
    ) -> Result<Step<'a>, Reject> {
        let Some(head_bytes) = self.scan.find_end(input, &self.limits)? else {
            return Ok(Step::More { consumed: 0, send_continue: false });
        };
        let head = &input[self.scan.skipped..head_bytes];
        let mut request = parse(head, slots, &self.limits)?;
        let framing = framing(&request)?;
        let send_continue = expects_continue(&request)? && input.len() == head_bytes;
        match framing {
            Framing::Fixed(0) => Ok(Step::Request { request, consumed: head_bytes }),
            Framing::Fixed(body_bytes) => {
                let intake = intake(&request);
                let (Intake::Whole(limit) | Intake::Pieces(limit)) = intake;
                let total_bytes = head_bytes.saturating_add(body_bytes);
                self.phase = Phase::Fixed { head_bytes, total_bytes };
                if body_bytes > limit {
                    return Err(Reject::BodyTooLarge(limit));
                }
                if matches!(intake, Intake::Pieces(_)) {
                    let (head, rest) = (head.to_vec(), Rest::Fixed(body_bytes));
                    self.phase = Phase::Pieces { head, rest, received: 0, limit };
                    return Ok(Step::Head { request, consumed: head_bytes, send_continue });
                }
                if input.len() < total_bytes {
                    return Ok(Step::More { consumed: 0, send_continue });
                }
                request.body = &input[head_bytes..total_bytes];
                Ok(Step::Request { request, consumed: total_bytes })
            }
            Framing::Chunked => {
                let limit = match intake(&request) {
                    Intake::Whole(limit) => limit,
                    Intake::Pieces(limit) => {
                        let (head, rest) = (head.to_vec(), Rest::Chunked(Chunk::Size));
                        self.phase = Phase::Pieces { head, rest, received: 0, limit };
                        return Ok(Step::Head { request, consumed: head_bytes, send_continue });
                    }
                };
                let (mut body, mut state) = (Vec::new(), Chunk::Size);
                let decoded = decode_chunks(&input[head_bytes..], &mut state, &mut body, limit, self.limits.head_bytes);
                let done = matches!(state, Chunk::Done);
                self.phase = Phase::Chunked { head: head.to_vec(), body, limit, state };
                let consumed = head_bytes + decoded?;
                match &self.phase {
                    Phase::Chunked { body, .. } if done => {
                        request.body = body;
                        Ok(Step::Request { request, consumed })
                    }
                    _ => Ok(Step::More { consumed, send_continue }),
                }
            }
        }
    }
}

impl Scan {
    /// The length of the head, once its empty line has come.
    fn find_end(&mut self, input: &[u8], limits: &HeadLimits) -> Result<Option<usize>, Reject> {
        let too_large = |lines: usize| {
            if lines == 0 {
                Reject::TargetTooLong(limits.target_bytes)
            } else {
                Reject::HeadTooLarge(limits.head_bytes)
            }
        };
        if input.first() == Some(&TLS_HANDSHAKE) {
            return Err(Reject::Malformed("a TLS handshake, but this port speaks plain HTTP: use http://"));
        }
        while let Some(offset) = memchr::memchr3(b'\r', b'\n', 0, &input[self.at..]) {
            let at = self.at + offset;
            if at + 2 > limits.head_bytes {
                return Err(too_large(self.lines));
            }
            match input[at] {
                0 => return Err(Reject::Malformed("a NUL byte in the request head")),
                b'\n' => return Err(Reject::Malformed("a line that ends without a carriage return")),
                _ => {}
            }
            match input.get(at + 1) {
                None => {
                    self.at = at;
                    return Ok(None);
                }
                Some(b'\n') => {}
                Some(_) => return Err(Reject::Malformed("a carriage return without a line feed")),
            }
            let line = &input[self.line_start..at];
            self.at = at + 2;
            self.line_start = self.at;
            if line.is_empty() {
                if self.lines > 0 {
                    return Ok(Some(self.at));
                }
                if self.skipped > 0 {
                    return Err(Reject::Malformed("empty lines instead of a request"));
                }
                self.skipped = 2;
                continue;
            }
            if self.lines > 0 && matches!(line[0], b' ' | b'\t') {
                return Err(Reject::Malformed("a folded header line"));
            }
            self.lines += 1;
        }
        self.at = input.len();
        if input.len() >= limits.head_bytes { Err(too_large(self.lines)) } else { Ok(None) }
    }
}

/// Parses a head that [`Scan::find_end`] has found whole and well-lined.
fn parse<'a>(head: &'a [u8], slots: &'a mut Slots<'a>, limits: &HeadLimits) -> Result<Request<'a>, Reject> {
    let allowed = limits.headers.min(HEADERS_MAX);
    let mut parsed = httparse::Request::new(&mut []);
    let outcome = parsed.parse_with_uninit_headers(head, &mut slots[..allowed]);
    match outcome {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(Reject::Malformed("a request head that is not whole")),
        Err(httparse::Error::TooManyHeaders) => return Err(Reject::TooManyHeaders(allowed)),
        Err(httparse::Error::Version) if names_a_version(head) => return Err(Reject::Version),
        Err(httparse::Error::HeaderName) => {
            return Err(Reject::Malformed("a header name with a character that none may have"));
        }
        Err(httparse::Error::HeaderValue) => return Err(Reject::Malformed("a header value with a control character")),
        Err(_) => return Err(Reject::Malformed("a request line that is not METHOD TARGET HTTP/1.1")),
    }
    let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(Reject::Malformed("a request line that is not METHOD TARGET HTTP/1.1"));
    };
    if target.len() > limits.target_bytes {
        return Err(Reject::TargetTooLong(limits.target_bytes));
    }
    let method =
        Method::from_bytes(method.as_bytes()).map_err(|_| Reject::Malformed("a method that is not a token"))?;
    if method == Method::CONNECT {
        return Err(Reject::Method);
    }
    let headers = Headers(parsed.headers);
    let http11 = version == 1;
    let mut hosts = headers.all("host");
    match (hosts.next(), hosts.next()) {
        (None, _) if !http11 => {}
        (Some(host), None) if host.iter().all(is_host_byte) => {}
        (Some(_), None) => return Err(Reject::Malformed("a Host with a character that none may have")),
        _ => return Err(Reject::Malformed("not exactly one Host header")),
    }
    let keep_alive = match (headers.has_token("connection", "close"), http11) {
        (true, _) => false,
        (false, true) => true,
        (false, false) => headers.has_token("connection", "keep-alive"),
    };
    Ok(Request { method, target: origin_form(target)?, headers, body: &[], http11, keep_alive })
}

/// Whether the third word of the request line is the name of some version, so that the version is what is wrong.
fn names_a_version(head: &[u8]) -> bool {
    let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let word = line.split(|&byte| byte == b' ').nth(2).unwrap_or_default();
    matches!(word, [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'])
}

/// RFC 3986 §3.2: what a host and a port are written with.
fn is_host_byte(byte: &u8) -> bool {
    const ALLOWED: [bool; 256] = {
        let mut allowed = [false; 256];
        let punctuation = b"-._~%!$&'()*+,;=:[]";
        let mut at = 0;
        while at < 256 {
            allowed[at] = (at as u8).is_ascii_alphanumeric();
            at += 1;
        }
        at = 0;
        while at < punctuation.len() {
            allowed[punctuation[at] as usize] = true;
            at += 1;
        }
        allowed
    };
    ALLOWED[usize::from(*byte)]
}

/// The path and query of a target: as they are, or out of an absolute URL as a proxy would send it.
fn origin_form(target: &str) -> Result<&str, Reject> {
    if target.starts_with('/') || target == "*" {
        return Ok(target);
    }
    let rest = match target.split_once("://") {
        Some((scheme, rest)) if ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) => rest,
        _ => return Err(Reject::Malformed("a target that starts with neither / nor http://")),
    };
    match rest.find(['/', '?', '#']) {
        None if !rest.is_empty() => Ok("/"),
        Some(slash) if slash > 0 && rest[slash..].starts_with('/') => Ok(&rest[slash..]),
        _ => Err(Reject::Malformed("an absolute target without a host, or with a query but no path")),
    }
}

fn framing(request: &Request<'_>) -> Result<Framing, Reject> {
    let mut lengths = request.headers.all("content-length");
    let mut codings = request.headers.all("transfer-encoding");
    let (length, coding) = (lengths.next(), codings.next());
    if lengths.next().is_some() {
        return Err(Reject::Malformed("more than one Content-Length"));
    }
    match (length, coding) {
        (None, None) => Ok(Framing::Fixed(0)),
        (Some(_), Some(_)) => Err(Reject::Malformed("both Content-Length and Transfer-Encoding")),
        (Some(length), None) => {
            if length.is_empty() || !length.iter().all(u8::is_ascii_digit) {
                return Err(Reject::Malformed("a Content-Length that is not a number"));
            }
            // Digits that do not fit are a length, only larger than any limit.
            let bytes = std::str::from_utf8(length).ok().and_then(|digits| digits.parse().ok());
            Ok(Framing::Fixed(bytes.unwrap_or(usize::MAX)))
        }
        (None, Some(coding)) => {
            if !request.http11 {
                return Err(Reject::Malformed("Transfer-Encoding in HTTP/1.0"));
            }
            if codings.next().is_some() || !coding.eq_ignore_ascii_case(b"chunked") {
                return Err(Reject::Malformed("a Transfer-Encoding other than chunked"));
            }
            Ok(Framing::Chunked)
        }
    }
}

fn expects_continue(request: &Request<'_>) -> Result<bool, Reject> {
    let mut expected = false;
    for value in request.headers.all("expect") {
        if !value.eq_ignore_ascii_case(b"100-continue") {
            return Err(Reject::Expectation);
        }
        // RFC 9110 §10.1.1: an HTTP/1.0 client cannot mean it.
        expected = request.http11;
    }
    Ok(expected)
}

/// Decodes chunks from `input` into `body`; returns how many bytes of `input` it took.
fn decode_chunks(
    input: &[u8],
    state: &mut Chunk,
    body: &mut Vec<u8>,
    limit: usize,
    trailer_limit: usize,
) -> Result<usize, Reject> {
    let mut at = 0;
    loop {
        let (bytes, consumed) = chunk_run(&input[at..], state, body.len(), limit, trailer_limit)?;
        body.extend_from_slice(bytes);
        at += consumed;
        if bytes.is_empty() {
            return Ok(at);
        }
    }
}

/// The next bytes that chunks in `input` carry, and how many bytes of `input` are done with, up to their end. `received` of
/// the body came before. No bytes: it is over, or more is needed.
fn chunk_run<'a>(
    input: &'a [u8],
    state: &mut Chunk,
    received: usize,
    limit: usize,
    trailer_limit: usize,
) -> Result<(&'a [u8], usize), Reject> {
    let mut at = 0;
    loop {
        match *state {
            Chunk::Size => {
                let Some(line) = take_line(&input[at..], CHUNK_LINE_MAX_BYTES)? else { return Ok((&[], at)) };
                at += line.len() + 2;
                let size = chunk_size(line)?;
                if size > limit - received {
                    return Err(Reject::BodyTooLarge(limit));
                }
                *state = if size == 0 { Chunk::Trailer(0) } else { Chunk::Data(size) };
            }
            Chunk::Data(left) => {
                let bytes = &input[at..input.len().min(at.saturating_add(left))];
                *state = if bytes.len() < left { Chunk::Data(left - bytes.len()) } else { Chunk::DataEnd };
                return Ok((bytes, at + bytes.len()));
            }
            Chunk::DataEnd => match &input[at..] {
                [b'\r', b'\n', ..] => {
                    at += 2;
                    *state = Chunk::Size;
                }
                [] | [b'\r'] => return Ok((&[], at)),
                _ => return Err(Reject::Malformed("a chunk that does not end where it said")),
            },
            Chunk::Trailer(read) => {
                let Some(line) = take_line(&input[at..], trailer_limit - read)? else { return Ok((&[], at)) };
                at += line.len() + 2;
                if !line.is_empty() && !is_field_line(line) {
                    return Err(Reject::Malformed("a trailer that is not a header line"));
                }
                *state = if line.is_empty() { Chunk::Done } else { Chunk::Trailer(read + line.len() + 2) };
            }
            Chunk::Done => return Ok((&[], at)),
        }
    }
}

/// Whether a line is one of a header, as in a head (RFC 9110 §5.1 and §5.5): a token, a colon, and a value without control
/// characters but tabs. What ends a body could otherwise be read as the beginning of the next request elsewhere.
fn is_field_line(line: &[u8]) -> bool {
    let Some(colon) = memchr::memchr(b':', line) else { return false };
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let is_value = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
    colon > 0 && line[..colon].iter().all(is_token) && line[colon + 1..].iter().all(is_value)
}

/// The line at the front without its CRLF, or nothing while it is not whole.
fn take_line(input: &[u8], limit: usize) -> Result<Option<&[u8]>, Reject> {
    let too_long = Reject::Malformed("a chunk line or trailer that is too long");
    let Some(at) = memchr::memchr3(b'\r', b'\n', 0, input) else {
        return if input.len() >= limit { Err(too_long) } else { Ok(None) };
    };
    if at + 2 > limit {
        return Err(too_long);
    }
    match (input[at], input.get(at + 1)) {
        (b'\r', Some(b'\n')) => Ok(Some(&input[..at])),
        (b'\r', None) => Ok(None),
        _ => Err(Reject::Malformed("a bare CR, LF or NUL in chunked framing")),
    }
}

fn chunk_size(line: &[u8]) -> Result<usize, Reject> {
    let digits = line.split(|&byte| byte == b';').next().unwrap_or_default();
    let wrong = Reject::Malformed("a chunk size that is not hexadecimal");
    // Eight digits reach 4 GiB; from_str_radix alone would also take a sign.
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(wrong);
    }
    std::str::from_utf8(digits).ok().and_then(|digits| usize::from_str_radix(digits, 16).ok()).ok_or(wrong)
}
