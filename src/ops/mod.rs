//! The private plane: what only the operator sees, on an address of its own.
//!
//! It is served through the side door ([`SideDoor`]): one request per connection, a thread for each caller, everything
//! bounded. A request passes, in this order: its host and where it comes from ([`guard`]), the token if there is one, its
//! path and method, then the handler. `/healthz` needs no token and says nothing but that it is there.
//!
//! The plane knows little of the server. What it shows and does is handed over when it is started ([`Wiring`]).

mod feature;
mod guard;
pub mod options;
mod page;
mod routes;
mod wiring;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

pub use feature::FEATURE;
pub use guard::Secret;
pub use routes::PROCESS_HEADER;
pub use wiring::{Backups, DatabaseStatus, LogLevel, NoBackup, OpenCopy, ReadyStatus, Status, Wiring, WriterStatus};

use crate::clock::Clock;
use crate::gate::{ApiError, Code};
use crate::net::side_door::{Answer, Bounds, Desk, Peer};
use crate::net::{Endpoint, Limits, Listener, Reject, Request, RequestId, Response, SideDoor};
use crate::observe::repeat::Sampler;
use routes::Routes;

/// Callers of the plane at once.
const OPS_CALLERS_MAX: usize = 16;
/// A request's head.
const OPS_HEAD_MAX_BYTES: usize = 16 * 1024;
/// Its header lines.
const OPS_HEAD_MAX_HEADERS: usize = 64;
/// Its target.
const OPS_TARGET_MAX_BYTES: usize = 4096;
/// Its body: the longest is one word.
const OPS_BODY_MAX_BYTES: usize = 1024;
/// To send it.
const OPS_REQUEST_SECONDS: u64 = 10;
/// To take an answer; and, of a backup, something of it.
const OPS_ANSWER_SECONDS: u64 = 30;
/// What is under way at the stop, be it a backup, is waited for this long.
const OPS_STOP_SECONDS: u64 = 5;

/// What every answer carries. The page has a policy of its own, since it brings a script and a style.
const FIXED_HEADERS: &str = "cache-control: no-store\r\n\
    cross-origin-opener-policy: same-origin\r\n\
    cross-origin-resource-policy: same-origin\r\n\
    referrer-policy: no-referrer\r\n\
    x-content-type-options: nosniff\r\n\
    x-frame-options: DENY\r\n";

/// The policy of whatever is no page.
const NOTHING_ALLOWED: &str = "default-src 'none'; frame-ancestors 'none'";

/// The running plane.
pub struct Plane(SideDoor);

impl Plane {
    /// Opens the plane on a bound place. With a token nothing but `/healthz` is answered without it.
    ///
    /// # Errors
    /// When the system refuses a thread or a poll.
    pub fn start(listening: Listener, token: Option<Secret>, wiring: Wiring, clock: Clock) -> std::io::Result<Self> {
        let on_unix = matches!(listening, Listener::Unix(_));
        let desk = PlaneDesk { token, on_unix, routes: Routes::new(wiring) };
        let bounds = Bounds {
            callers: OPS_CALLERS_MAX,
            limits: Limits {
                head_bytes: OPS_HEAD_MAX_BYTES,
                headers: OPS_HEAD_MAX_HEADERS,
                target_bytes: OPS_TARGET_MAX_BYTES,
            },
            body_bytes: OPS_BODY_MAX_BYTES,
            request: Duration::from_secs(OPS_REQUEST_SECONDS),
            answer: Duration::from_secs(OPS_ANSWER_SECONDS),
            stall: Duration::from_secs(OPS_ANSWER_SECONDS),
        };
        SideDoor::open(listening, bounds, Arc::new(desk), clock).map(Self)
    }

    /// Where it listens. None for a Unix socket without a path.
    #[must_use]
    pub fn endpoint(&self) -> Option<&Endpoint> {
        self.0.endpoint()
    }

    /// Closes it. Whoever is being answered is cut off, but what has been begun on the database is waited for, for
    /// [`OPS_STOP_SECONDS`].
    pub fn stop(self) {
        let left = self.0.close(Duration::from_secs(OPS_STOP_SECONDS));
        if left > 0 {
            log::warn!(left; "ops.cut_off");
        }
    }
}

/// Where callers are answered.
struct PlaneDesk {
    token: Option<Secret>,
    on_unix: bool,
    routes: Routes,
}

impl PlaneDesk {
    fn handle(&self, request: &Request<'_>, peer: Peer) -> Result<Answer, ApiError> {
        // Through a Unix socket comes no browser by itself, and whoever has the token was told it.
        let named = self.on_unix || self.token.is_some();
        guard::check(request, named)?;
        if request.path() != routes::HEALTHZ
            && let Some(token) = &self.token
            && !token.is_shown_by(request.headers.get(AUTHORIZATION.as_str()))
        {
            static REFUSED: Sampler = Sampler::new();
            if let Some(refused) = REFUSED.hit() {
                log::warn!(peer = peer.to_string(), refused; "ops.unauthorized");
            }
            let challenge = HeaderValue::from_static(r#"Basic realm="inkring", charset="UTF-8""#);
            return Err(ApiError::new(Code::HttpError, "The private plane asks for OPS_TOKEN")
                .with_status(StatusCode::UNAUTHORIZED)
                .with_header(WWW_AUTHENTICATE, challenge));
        }
        self.routes.answer(request, peer)
    }
}

impl Desk for PlaneDesk {
    fn answer(&self, request: &Request<'_>, peer: Peer) -> Answer {
        let request_id = RequestId::from_header(request.headers.get("x-request-id"));
        let handled = catch_unwind(AssertUnwindSafe(|| self.handle(request, peer)));
        let result = handled.unwrap_or_else(|_| Err(ApiError::internal("the handler panicked")));
        let mut answer = result.unwrap_or_else(|error| {
            if let Some(context) = error.context() {
                let (id, path) = (request_id.as_str(), request.path());
                log::error!(request_id = id, path, error = context; "ops.failed");
            }
            error.to_response(request_id.as_str()).into()
        });
        answer.response = finished(answer.response, request_id);
        answer
    }

    fn reject(&self, reject: &Reject, request: Option<&Request<'_>>, _: Peer) -> Response {
        let given = request.and_then(|request| request.headers.get("x-request-id"));
        let request_id = RequestId::from_header(given);
        finished(ApiError::rejected(reject).to_response(request_id.as_str()), request_id)
    }
}

fn finished(mut response: Response, request_id: RequestId) -> Response {
    use http::header::CONTENT_SECURITY_POLICY;
    if !response.headers.iter().any(|(name, _)| name == CONTENT_SECURITY_POLICY) {
        response = response.with(CONTENT_SECURITY_POLICY, HeaderValue::from_static(NOTHING_ALLOWED));
    }
    response.fixed_headers = FIXED_HEADERS;
    response.request_id = Some(request_id);
    response
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::{Ipv4Addr, SocketAddr};
    use std::sync::atomic::{AtomicBool, Ordering};

    use log::LevelFilter;
    use parking_lot::Mutex;
    use serde_json::{Value, json};

    use super::*;
    use crate::net::client::Ask;
    use crate::store;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// Backups of twice 100 kB, of which only every second one works.
    #[derive(Default)]
    struct Copies {
        worked: AtomicBool,
    }

    impl Backups for Copies {
        fn make(&self) -> Result<Value, NoBackup> {
            match self.worked.fetch_xor(true, Ordering::Relaxed) {
                true => Err(NoBackup::Failed("the disk is full".to_owned())),
                false => Ok(json!({ "bytes": 200_000 })),
            }
        }

        fn open(&self) -> Result<OpenCopy, NoBackup> {
            match self.worked.fetch_xor(true, Ordering::Relaxed) {
                true => Err(NoBackup::Busy),
                false => {
                    let from = Box::new(std::io::repeat(7).take(200_000));
                    Ok(OpenCopy { manifest: json!({ "bytes": 200_000, "name": "é" }), bytes: 200_000, from })
                }
            }
        }
    }

    struct Level(Arc<Mutex<LevelFilter>>);

    impl LogLevel for Level {
        fn get(&self) -> LevelFilter {
            *self.0.lock()
        }

        fn set(&self, level: LevelFilter) {
            *self.0.lock() = level;
        }
    }

    fn plane(level: &Arc<Mutex<LevelFilter>>) -> (Plane, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let store = store::testing::opened(&directory.path().join("plane.db"));
        let wiring = Wiring {
            status: Box::new(|| panic!("nobody knows")),
            metrics: Box::new(|| "# TYPE ready gauge\nready 1\n".to_owned()),
            audit_enabled: true,
            reader: Mutex::new(store.reader().unwrap()),
            log_level: Box::new(Level(Arc::clone(level))),
            backups: Box::new(Copies::default()),
        };
        let any = Endpoint::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let listening = Listener::bind(&any, 0o600).unwrap().listener;
        (Plane::start(listening, None, wiring, Clock::system()).unwrap(), directory)
    }

    fn ask(plane: &Plane, method: &str, target: &str, body: &[u8]) -> (u16, Option<String>, Vec<u8>) {
        let ask = Ask { method, target, headers: &[], body };
        let mut answer = ask.send(plane.endpoint().unwrap(), "localhost", PATIENCE).unwrap();
        let manifest = answer.header("x-backup-manifest").map(str::to_owned);
        let mut bytes = Vec::new();
        answer.read_to_end(&mut bytes).unwrap();
        (answer.status, manifest, bytes)
    }

    #[test]
    fn backups_are_made_and_sent_and_what_fails_has_its_status() {
        let (plane, _directory) = plane(&Arc::new(Mutex::new(LevelFilter::Info)));
        let (status, _, body) = ask(&plane, "POST", "/backup", b"");
        assert_eq!((status, body.as_slice()), (200, &br#"{"bytes":200000}"#[..]));
        let (status, _, body) = ask(&plane, "POST", "/backup", b"");
        let error: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((status, &error["error"]["message"]), (503, &json!("the disk is full")));
        let (status, manifest, body) = ask(&plane, "GET", "/backup", b"");
        assert_eq!((status, manifest.as_deref()), (200, Some(r#"{"bytes":200000,"name":"\u00e9"}"#)));
        assert!(body.len() == 200_000 && body.iter().all(|byte| *byte == 7));
        assert_eq!(ask(&plane, "GET", "/backup", b"").0, 409);
        plane.stop();
    }

    #[test]
    fn the_level_of_the_log_is_one_word() {
        let level = Arc::new(Mutex::new(LevelFilter::Info));
        let (plane, _directory) = plane(&level);
        for (word, status, expected) in [
            (&b"debug"[..], 200, LevelFilter::Debug),
            (b" Warn\n", 200, LevelFilter::Warn),
            (b"loud", 422, LevelFilter::Warn),
            (b"", 422, LevelFilter::Warn),
            (b"off", 200, LevelFilter::Off),
        ] {
            assert_eq!((ask(&plane, "PUT", "/log-level", word).0, *level.lock()), (status, expected));
        }
        let (_, _, body) = ask(&plane, "GET", "/log-level", b"");
        assert_eq!(body, br#"{"level":"off"}"#);
    }

    #[test]
    fn a_panic_is_one_answer_and_metrics_are_as_they_were_given() {
        let (plane, _directory) = plane(&Arc::new(Mutex::new(LevelFilter::Info)));
        assert_eq!(ask(&plane, "GET", "/status", b"").0, 500);
        assert_eq!(ask(&plane, "GET", "/metrics", b"").2, b"# TYPE ready gauge\nready 1\n");
    }
}
