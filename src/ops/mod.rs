//! The private plane: what only the operator sees, on an address of its own.
//!
//! It is a front of its own ([`Front`]): an acceptor, one shard and a pool that it shares with nobody, so that a backup that
//! takes minutes delays no client. A request passes, in this order: its host and where it comes from ([`guard`]), the token
//! if there is one, its path and method, then the handler. `/healthz` needs no token and says nothing but that it is there.
//! Routes come from here ([`routes`]) and from the features that run.
//!
//! The plane knows little of the server. What it shows and does is handed over when it is started ([`Wiring`]).

mod feature;
mod guard;
pub mod options;
mod page;
mod routes;
mod wiring;

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::Duration;

use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

pub use feature::FEATURE;
pub use guard::Secret;
pub use routes::PROCESS_HEADER;
pub use wiring::{Backups, DatabaseStatus, LogLevel, NoBackup, OpenCopy, ReadyStatus, Status, Wiring, WriterStatus};

use crate::clock::Clock;
use crate::feature::{Running, ShardParts};
use crate::gate::headers::PAGE;
use crate::gate::{ApiError, Code, Cors, Gate, Guard, Identity, Live, Policy, Routes, UntrustedProxy};
use crate::hub::{Batch, Mailbox, Topics};
use crate::net::{self, Caps, Door, Endpoint, Front, Limits, Listener, Peer, Request, Timeouts};
use crate::observe::repeat::Sampler;
use crate::pool::{Pool, PoolHandle};
use crate::store::{Reader, WriterHandle};

/// Connections of the plane at once.
const OPS_CALLERS_MAX: usize = 64;
/// A request's head.
const OPS_HEAD_MAX_BYTES: usize = 16 * 1024;
/// Its header lines.
const OPS_HEAD_MAX_HEADERS: usize = 64;
/// Its target.
const OPS_TARGET_MAX_BYTES: usize = 4096;
/// To send it: so long for its head, and as long again for its body.
const OPS_REQUEST_SECONDS: u64 = 10;
/// To take something of an answer.
const OPS_ANSWER_SECONDS: u64 = 30;
/// To make an answer: the longest is a backup.
const OPS_WORK_SECONDS: u64 = 24 * 60 * 60;
/// What is under way at the stop, be it a backup, is waited for this long.
const OPS_STOP_SECONDS: u64 = 5;
/// Threads for what blocks: one for the backup, of which there is only one at a time, and one for everything else.
const OPS_THREADS: usize = 2;

/// What the plane is given to work with.
pub struct Parts {
    /// What it shows and does.
    pub wiring: Wiring,
    /// Reads the audit log.
    pub reader: Reader,
    /// For the operator's routes of features.
    pub writer: WriterHandle,
    /// Those that run; at the stop they may be gone before the plane.
    pub running: Weak<[Arc<dyn Running>]>,
    /// The time.
    pub clock: Clock,
}

/// The running plane.
pub struct Plane {
    front: Front<Batch>,
    pool: Pool,
}

impl Plane {
    /// Opens the plane on a bound place. With a token nothing but `/healthz` is answered without it.
    ///
    /// # Errors
    /// When the system refuses a thread or a poll.
    pub fn start(listener: Listener, token: Option<Secret>, parts: Parts) -> io::Result<Self> {
        let on_unix = matches!(listener, Listener::Unix(_));
        let caps = Caps { connections: OPS_CALLERS_MAX, per_address: OPS_CALLERS_MAX, exempt: Box::new(|_| true) };
        let seconds = Duration::from_secs;
        let Parts { wiring, reader, writer, running, clock } = parts;
        let pool = Pool::start("ops-blocking", OPS_THREADS);
        let options = net::Options {
            name: "ops-",
            limits: Limits {
                head_bytes: OPS_HEAD_MAX_BYTES,
                headers: OPS_HEAD_MAX_HEADERS,
                target_bytes: OPS_TARGET_MAX_BYTES,
            },
            timeouts: Timeouts {
                head: seconds(OPS_REQUEST_SECONDS),
                body: seconds(OPS_REQUEST_SECONDS),
                keep_alive: seconds(OPS_REQUEST_SECONDS),
                write_stall: seconds(OPS_ANSWER_SECONDS),
                parked: seconds(OPS_WORK_SECONDS),
            },
            pool: pool.handle(),
            metrics: Arc::default(),
            clock: clock.clone(),
        };
        let token = token.map(Arc::new);
        let plan = Plan { token, on_unix, wiring: Arc::new(wiring), writer, pool: pool.handle(), running, clock };
        let doors = vec![Door { listeners: vec![listener], caps }];
        let front = Front::start(doors, options, vec![reader], move |reader, mailbox| plan.build(reader, mailbox))?;
        Ok(Self { front, pool })
    }

    /// Where it listens. None for a Unix socket without a path.
    #[must_use]
    pub fn endpoint(&self) -> Option<&Endpoint> {
        self.front.endpoints().first()
    }

    /// Closes it. Whoever is being answered is cut off, but what has been begun on the database is waited for, for
    /// [`OPS_STOP_SECONDS`].
    pub fn stop(self) {
        self.stop_within(Duration::from_secs(OPS_STOP_SECONDS));
    }

    fn stop_within(self, patience: Duration) {
        self.front.stop(Duration::ZERO);
        let left = self.pool.stop_within(patience);
        if left > 0 {
            log::warn!(left; "ops.cut_off");
        }
    }
}

/// All that is needed to build the plane's gate on its shard's own thread.
struct Plan {
    token: Option<Arc<Secret>>,
    on_unix: bool,
    wiring: Arc<Wiring>,
    writer: WriterHandle,
    pool: PoolHandle,
    running: Weak<[Arc<dyn Running>]>,
    clock: Clock,
}

impl Plan {
    fn build(&self, reader: Reader, mailbox: Arc<Mailbox>) -> (Vec<Gate>, Rc<RefCell<Topics>>) {
        let topics = Rc::new(RefCell::new(Topics::new(&mailbox, Default::default(), self.clock.clone())));
        let parts = ShardParts {
            reader: Rc::new(reader),
            writer: self.writer.clone(),
            pool: self.pool.clone(),
            topics: Rc::clone(&topics),
            mailbox: Arc::clone(&mailbox),
            checks: Arc::default(),
        };
        let mut to = Routes::new();
        routes::add(&mut to, &parts, &self.wiring);
        if let Some(running) = self.running.upgrade() {
            running.iter().for_each(|running| running.operator(&parts, &mut to));
        }
        let gate = Gate {
            routes: to,
            policy: nobody().follow(),
            body_bytes: routes::OPS_BODY_MAX_BYTES,
            headers: &PAGE,
            guard: Some(self.guard()),
            untrusted_proxy: UntrustedProxy::default(),
            shard: mailbox,
            clock: self.clock.clone(),
        };
        (vec![gate], topics)
    }

    fn guard(&self) -> Guard {
        let token = self.token.clone();
        // Through a Unix socket comes no browser by itself, and whoever has the token was told it.
        let named = self.on_unix || token.is_some();
        Box::new(move |request, peer| {
            guard::check(request, named)?;
            match &token {
                Some(token) if request.path() != routes::HEALTHZ => check_token(token, request, peer),
                _ => Ok(()),
            }
        })
    }
}

fn check_token(token: &Secret, request: &Request<'_>, peer: Peer) -> Result<(), ApiError> {
    if token.is_shown_by(request.headers.get(AUTHORIZATION.as_str())) {
        return Ok(());
    }
    static REFUSED: Sampler = Sampler::new();
    if let Some(refused) = REFUSED.hit() {
        log::warn!(peer = peer.to_string(), refused; "ops.unauthorized");
    }
    let challenge = HeaderValue::from_static(r#"Basic realm="inkring", charset="UTF-8""#);
    Err(ApiError::new(Code::HttpError, "The private plane asks for OPS_TOKEN")
        .with_status(StatusCode::UNAUTHORIZED)
        .with_header(WWW_AUTHENTICATE, challenge))
}

/// The policy of a gate whose guard decides: nobody has a name, and whoever came in is not counted.
fn nobody() -> Live<Policy> {
    Live::new(Policy {
        cors: Cors::new(Vec::new()),
        identity: Identity { trust_user_header: false, verifier: None },
        limiter: None,
        trusted_proxy: Box::new(|_| true),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{Ipv4Addr, SocketAddr};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::{Receiver, Sender, channel};

    use log::LevelFilter;
    use parking_lot::Mutex;
    use serde_json::{Value, json};

    use super::*;
    use crate::hub::Hub;
    use crate::net::body::PIECE_BYTES;
    use crate::net::client::Ask;
    use crate::store::{self, Writer};

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

    /// A copy that has one piece, says so, and then has nothing more until it may go on.
    struct Stuck {
        left: usize,
        is_stuck: Sender<()>,
        may_go: Receiver<()>,
    }

    impl Read for Stuck {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            if self.left == 0 {
                let _ = self.is_stuck.send(());
                let _ = self.may_go.recv_timeout(PATIENCE);
            }
            let given = into.len().min(self.left);
            self.left -= given;
            Ok(given)
        }
    }

    /// Has one copy.
    struct OneCopy(Mutex<Option<OpenCopy>>);

    impl Backups for OneCopy {
        fn make(&self) -> Result<Value, NoBackup> {
            Err(NoBackup::Busy)
        }

        fn open(&self) -> Result<OpenCopy, NoBackup> {
            self.0.lock().take().ok_or(NoBackup::Busy)
        }
    }

    fn plane(level: &Arc<Mutex<LevelFilter>>) -> (Plane, tempfile::TempDir) {
        plane_with(level, Copies::default())
    }

    fn plane_with(level: &Arc<Mutex<LevelFilter>>, backups: impl Backups + 'static) -> (Plane, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let store = store::testing::opened(&directory.path().join("plane.db"));
        let reader = store.reader().unwrap();
        let clock = Clock::system();
        let writer = Writer::start(store, 1, Arc::new(Hub::new(clock.clone())), clock.clone()).unwrap();
        let wiring = Wiring {
            status: Box::new(|| panic!("nobody knows")),
            metrics: Box::new(|| "# TYPE ready gauge\nready 1\n".to_owned()),
            audit_enabled: true,
            log_level: Box::new(Level(Arc::clone(level))),
            backups: Box::new(backups),
        };
        let any = Endpoint::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let listening = Listener::bind(&any, 0o600).unwrap().listener;
        let none: Weak<[Arc<dyn Running>]> = Arc::downgrade(&(Arc::from([]) as Arc<[Arc<dyn Running>]>));
        let parts = Parts { wiring, reader, writer: writer.handle(), running: none, clock };
        (Plane::start(listening, None, parts).unwrap(), directory)
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
    fn a_download_under_way_is_cut_at_the_stop_and_its_source_not_waited_for_beyond_the_bound() {
        let ((is_stuck, stuck), (go, may_go)) = (channel(), channel());
        let from = Box::new(Stuck { left: PIECE_BYTES, is_stuck, may_go });
        let copy = OpenCopy { manifest: json!({}), bytes: 1_000_000, from };
        let level = Arc::new(Mutex::new(LevelFilter::Info));
        let (plane, _directory) = plane_with(&level, OneCopy(Mutex::new(Some(copy))));
        let ask = Ask { method: "GET", target: "/backup", headers: &[], body: b"" };
        let mut answer = ask.send(plane.endpoint().unwrap(), "localhost", PATIENCE).unwrap();
        answer.read_exact(&mut [0; 1000]).unwrap();
        stuck.recv_timeout(PATIENCE).unwrap();
        plane.stop_within(Duration::from_millis(10));
        assert!(go.send(()).is_ok(), "it is still stuck, so it was not waited for");
        let mut rest = Vec::new();
        let end = answer.read_to_end(&mut rest);
        assert!(end.is_err() || rest.len() < 999_000, "nobody takes it for whole: {end:?}");
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
