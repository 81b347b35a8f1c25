//! The private plane: a second front, for the operator alone, on an address of its own.
//!
//! It has an acceptor, one shard and a pool that it shares with nobody ([`Front`]), so that a backup that takes minutes delays
//! no client. A request passes, in this order: its host and where it comes from ([`guard`]), the token if there is one, its
//! path and method, then the handler. `/healthz` needs no token and says nothing but that it is there. All other routes are
//! those of the features that run ([`Running::operator`](crate::feature::Running::operator)).

pub(crate) mod bounds;
pub mod client;
pub mod door;
mod guard;
pub mod options;
pub mod page;
pub mod record;

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, StatusCode};

use crate::clock::Clock;
use crate::feature::{Serving, ShardParts};
use crate::gate::headers::PAGE;
use crate::gate::identity::Trust;
use crate::gate::{
    ApiError, Call, Code, Cors, Gate, Guard, HashedSecret, Identity, Live, Outcome, Parking, Places, Policy, Revoked,
    Route, Routes, Tickets, UntrustedProxy, shown_by,
};
use crate::hub::{Batch, Mailbox, Topics};
use crate::net::{
    self, Bound, Caps, Door, Endpoint, Front, HeadLimits, Listener, Request, Response, SocketFile, Timeouts,
};
use crate::observe::options::CLIENT_ADDRESS;
use crate::pool::{Pool, PoolHandle};
use crate::settings::Settings;
use crate::store::{Reader, WriterHandle};
use options::TOKEN;

/// Connections of the plane at once.
pub(super) const OPS_CALLERS_MAX: usize = 64;
/// A request's head.
pub(super) const OPS_HEAD_MAX_BYTES: usize = 16 * 1024;
/// Its header lines.
pub(super) const OPS_HEAD_MAX_HEADERS: usize = 64;
/// Its target.
pub(super) const OPS_TARGET_MAX_BYTES: usize = 4096;
/// Its body, where the route says nothing else: the longest is one word.
pub(super) const OPS_BODY_MAX_BYTES: usize = 1024;
/// To send it: so long for its head, and as long again for its body.
pub(super) const OPS_REQUEST_SECONDS: u64 = 10;
/// To take something of an answer.
pub(super) const OPS_ANSWER_SECONDS: u64 = 30;
/// To make an answer: the longest is a backup.
pub(super) const OPS_WORK_SECONDS: u64 = 24 * 60 * 60;
/// Work under way at the stop, such as a backup, is waited for this long.
pub(super) const OPS_STOP_SECONDS: u64 = 5;
/// Threads for what blocks: one for the backup, of which there is only one at a time, and one for everything else.
pub(super) const OPS_THREADS: usize = 2;

/// The one path that needs no token.
const HEALTHZ: &str = "/healthz";
const ALIVE: Route =
    Route::public(&Method::GET, HEALTHZ).does("Check that the plane is running; the only path that needs no token");

/// What the plane itself serves.
pub(crate) const ROUTES: &[Route] = &[ALIVE];

/// What the plane is given to work with.
pub struct Parts {
    /// Reads what is committed.
    pub reader: Reader,
    /// Where changes are handed in.
    pub writer: WriterHandle,
    /// The time.
    pub clock: Clock,
}

/// The running plane.
pub struct Plane {
    front: Front<Batch>,
    pool: Pool,
    /// That of a Unix socket, which goes with the plane.
    file: Option<SocketFile>,
}

impl Plane {
    /// Opens the plane on a bound place, with the routes of all that run. With a token nothing but `/healthz` is answered
    /// without it.
    ///
    /// # Errors
    /// When the system refuses a thread or a poll.
    pub fn start(bound: Bound, settings: &Settings, parts: Parts, serving: Arc<Serving>) -> io::Result<Self> {
        let (Bound { listener, file }, Parts { reader, writer, clock }) = (bound, parts);
        let token = settings.secret(&TOKEN).map(|token| Arc::new(HashedSecret::new(token.bytes())));
        let address = listener.endpoint().map(|endpoint| endpoint.to_string());
        log::info!(address = address.as_deref(), token = token.is_some(); "ops.started");
        let pool = Pool::start("ops-blocking", OPS_THREADS);
        let on_unix = matches!(listener, Listener::Unix(_));
        let options = options(pool.handle(), clock.clone());
        let log_addresses = settings.flag(&CLIENT_ADDRESS);
        let plan = Plan { token, log_addresses, on_unix, writer, pool: pool.handle(), clock, serving };
        let caps = Caps { connections: OPS_CALLERS_MAX, per_address: OPS_CALLERS_MAX, exempt: Box::new(|_| true) };
        let doors = vec![Door { listeners: vec![listener], caps: Some(caps), tls: None }];
        let front = Front::start(doors, options, vec![reader], move |reader, mailbox| plan.build(reader, mailbox))?;
        Ok(Self { front, pool, file })
    }

    /// Where it listens. None for a Unix socket without a path.
    #[must_use]
    pub fn endpoint(&self) -> Option<&Endpoint> {
        self.front.endpoints().first()
    }

    /// Closes it. Requests under way are cut off, but what has been begun on the database is waited for, for
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
        drop(self.file);
    }
}

fn options(pool: PoolHandle, clock: Clock) -> net::Options {
    let seconds = Duration::from_secs;
    net::Options {
        name: "ops-",
        limits: HeadLimits {
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
        pool,
        metrics: Arc::default(),
        clock,
    }
}

/// All that is needed to build the plane's gate on its shard's own thread.
struct Plan {
    token: Option<Arc<HashedSecret>>,
    log_addresses: bool,
    on_unix: bool,
    writer: WriterHandle,
    pool: PoolHandle,
    clock: Clock,
    serving: Arc<Serving>,
}

impl Plan {
    fn build(&self, reader: Reader, mailbox: Arc<Mailbox>) -> (Vec<Gate>, Rc<RefCell<Topics>>) {
        let topics = Rc::new(RefCell::new(Topics::new(&mailbox, Default::default(), self.clock.clone())));
        let (writer, pool, asked) = (self.writer.clone(), self.pool.clone(), Default::default());
        let parts = ShardParts::new(reader, writer, pool, Rc::clone(&topics), Arc::clone(&mailbox), asked);
        let mut to = Routes::new();
        let alive = |_: &Call<'_>| Ok(Outcome::Now(Response::json(StatusCode::OK, &br#"{"status":"ok"}"#[..])));
        to.add(ALIVE, alive);
        for running in self.serving.running.upgrade().iter().flat_map(|all| all.iter()) {
            running.operator(&parts, &self.serving, &mut to);
        }
        let gate = Gate {
            routes: to,
            policy: nobody().follow(),
            revoked: Revoked::default().follow(),
            body_bytes: OPS_BODY_MAX_BYTES,
            headers: &PAGE,
            leads_to: None,
            hsts: None,
            guard: Some(self.guard()),
            untrusted_proxy: UntrustedProxy::default(),
            log_addresses: self.log_addresses,
            places: Places::new(0),
            parking: Parking::of(mailbox),
            clock: self.clock.clone(),
            timekeeper: None,
        };
        (vec![gate], topics)
    }

    fn guard(&self) -> Guard {
        let token = self.token.clone();
        // No browser uses a Unix socket by itself, and a caller that has the token was given it.
        let named = self.on_unix || token.is_some();
        Box::new(move |request| {
            guard::check(request, named)?;
            match &token {
                Some(token) if request.path() != HEALTHZ => check_token(token, request),
                _ => Ok(()),
            }
        })
    }
}

fn check_token(token: &HashedSecret, request: &Request<'_>) -> Result<(), ApiError> {
    let message = match shown_by(request.headers.get(AUTHORIZATION.as_str())) {
        Some(shown) if token.is(&shown) => return Ok(()),
        Some(_) => "This is not the server's OPS_TOKEN",
        None => {
            "The private plane requires OPS_TOKEN: send it as Authorization: Bearer TOKEN, or as the password of HTTP Basic"
        }
    };
    let challenge = HeaderValue::from_static(r#"Basic realm="inkring", charset="UTF-8""#);
    Err(ApiError::new(Code::HttpError, message)
        .with_status(StatusCode::UNAUTHORIZED)
        .with_header(WWW_AUTHENTICATE, challenge)
        .marked_auth_failure("ops_token"))
}

/// Logs a request of the operator that takes or changes something.
pub fn log_request(call: &Call<'_>, method: &str) {
    log::info!(peer = call.peer.to_string(), method, path = call.path; "ops.request");
}

/// The header by which something is asked of one process only, by its number.
pub const PROCESS_HEADER: &str = "x-inkring-process";

/// Refuses a caller that names another process: it wants what that process has, as this says it.
///
/// # Errors
/// 412.
pub fn meant_for_us(call: &Call<'_>, what: &str) -> Result<(), ApiError> {
    let (us, wanted) = (std::process::id().to_string(), call.headers.get(PROCESS_HEADER));
    if wanted.is_none_or(|wanted| wanted == us.as_bytes()) {
        return Ok(());
    }
    let message = format!("This is process {us}, which has another {what} than the one asked for");
    Err(ApiError::new(Code::HttpError, message).with_status(StatusCode::PRECONDITION_FAILED))
}

/// The policy of a gate whose guard decides: callers have no names, and no limit counts them.
fn nobody() -> Live<Policy> {
    Live::new(Policy {
        cors: Cors::new(Vec::new()),
        identity: Identity { trust: Trust::default(), verifier: None, tickets: Tickets::default() },
        caution: None,
        limiter: None,
        hosts: None,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{Ipv4Addr, SocketAddr};
    use std::sync::mpsc::{Receiver, Sender, channel};

    use parking_lot::Mutex;

    use super::*;
    use crate::feature::Running;
    use crate::hub::Hub;
    use crate::net::Body;
    use crate::net::body::{PIECE_BYTES, ReadSource};
    use crate::net::client::{Ask, Remote};
    use crate::settings::{Origin, Setting, Value};
    use crate::store::{self, Writer};

    const PATIENCE: Duration = Duration::from_secs(30);

    /// A download that has one piece, says so, and then has nothing more until it may go on.
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

    /// Has a route that panics, and one download.
    struct Routed(Arc<Mutex<Option<Stuck>>>);

    impl Running for Routed {
        fn operator(&self, _: &ShardParts, _: &Arc<Serving>, routes: &mut Routes) {
            let download = Arc::clone(&self.0);
            let send = move |_: &Call<'_>| {
                let from = download.lock().take().ok_or_else(ApiError::no_route)?;
                let body = Body::Source { length: Some(1_000_000), source: Box::new(ReadSource(from)) };
                Ok(Outcome::Now(Response { body, ..Response::empty(StatusCode::OK) }))
            };
            routes.add(Route::public(&Method::GET, "/download"), send);
            routes.add(Route::public(&Method::GET, "/panic"), |_| panic!("nobody knows"));
        }
    }

    /// A plane with these routes, and what has to outlast it.
    fn plane(download: Option<Stuck>) -> (Plane, Arc<[Arc<dyn Running>]>, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let store = store::testing::opened(&directory.path().join("plane.db"));
        let (reader, clock) = (store.reader().unwrap(), Clock::system());
        let writer = Writer::start(store, 1, Arc::new(Hub::new(clock.clone())), clock.clone()).unwrap();
        let token = Setting { knob: &TOKEN, value: Value::Text(String::new()), origin: Origin::Default };
        let addresses = Setting { knob: &CLIENT_ADDRESS, value: Value::Flag(true), origin: Origin::Default };
        let any = Endpoint::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let all: Arc<[Arc<dyn Running>]> = Arc::new([Arc::new(Routed(Arc::new(Mutex::new(download)))) as _]);
        let options = options(Pool::start("", 0).handle(), clock.clone());
        let front: Front<Batch> = Front::start(Vec::new(), options, vec![()], {
            let clock = clock.clone();
            move |(), mailbox| {
                let topics = Topics::new(&mailbox, Default::default(), clock.clone());
                (Vec::<Gate>::new(), Rc::new(RefCell::new(topics)))
            }
        })
        .unwrap();
        let client = front.loopback_client();
        let serving = Arc::new(Serving { endpoints: Vec::new(), client, running: Arc::downgrade(&all) });
        let parts = Parts { reader, writer: writer.handle(), clock };
        let bound = Listener::bind(&any, 0o600).unwrap();
        (Plane::start(bound, &Settings::new(vec![token, addresses], false), parts, serving).unwrap(), all, directory)
    }

    #[test]
    fn a_panic_is_one_answer() {
        let (plane, _all, _directory) = plane(None);
        let get =
            |target| Ask::get(target).send(&Remote::at(plane.endpoint().unwrap().clone()), PATIENCE).unwrap().status;
        assert_eq!([get("/panic"), get("/panic"), get("/download"), get(HEALTHZ)], [500, 500, 404, 200]);
        plane.stop();
    }

    #[test]
    fn a_download_under_way_is_cut_at_the_stop_and_its_source_not_waited_for_beyond_the_bound() {
        let ((is_stuck, stuck), (go, may_go)) = (channel(), channel());
        let (plane, _all, _directory) = plane(Some(Stuck { left: PIECE_BYTES, is_stuck, may_go }));
        let ask = Ask::get("/download");
        let mut answer = ask.send(&Remote::at(plane.endpoint().unwrap().clone()), PATIENCE).unwrap();
        answer.read_exact(&mut [0; 1000]).unwrap();
        stuck.recv_timeout(PATIENCE).unwrap();
        plane.stop_within(Duration::from_millis(10));
        assert!(go.send(()).is_ok(), "it is still stuck, so it was not waited for");
        let mut rest = Vec::new();
        let end = answer.read_to_end(&mut rest);
        assert!(end.is_err() || rest.len() < 999_000, "nobody takes it for whole: {end:?}");
    }
}
