//! Where answers come from: the shard, the writer, the blocking pool, any other thread, or nowhere.

use std::cell::RefCell;
use std::net::{SocketAddr, TcpListener};
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use http::{Method, StatusCode};
use inkring::clock::Clock;
use inkring::feature::ShardParts;
use inkring::gate::identity::Trust;
use inkring::gate::{ApiError, Call, Code, Cors, Gate, Identity, Live, Outcome, Policy, Route, Routes, Tickets, Times};
use inkring::hub::counters::Deliveries;
use inkring::hub::{Batch, Hub, Topics};
use inkring::net::{Caps, Door, Front, HeadLimits, Listener, Options, Response, Timeouts};
use inkring::pool::Pool;
use inkring::store::{self, Tx, Writer};

use crate::gate::once;
use crate::support::{Client, PATIENCE};

const LOCAL: &str = "http://localhost:3000";

/// Panics without the message that a hook would print.
fn on_purpose<T>() -> T {
    resume_unwind(Box::new("on purpose"))
}

fn thread_id() -> Vec<u8> {
    format!("\"{:?}\"", thread::current().id()).into_bytes()
}

fn mark(tx: &mut Tx<'_>, at: i64) -> Result<(), ApiError> {
    tx.run(
        "INSERT INTO probe (id, probed_at) VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET probed_at = ?1",
        &[at.into()],
    )?;
    Ok(())
}

fn text(id: Vec<u8>) -> Result<Response, ApiError> {
    Ok(Response::json(StatusCode::OK, id))
}

fn nothing((): ()) -> Result<Response, ApiError> {
    on_purpose()
}

type Answered = Result<Outcome, ApiError>;

/// Routes that answer from everywhere, or panic, or are not answered at all.
fn toys(routes: &mut Routes, parts: &ShardParts) {
    let mut get = |template, handler: fn(&ShardParts, &Call<'_>) -> Answered| {
        let parts = parts.clone();
        routes.add(Route::public(&Method::GET, template), move |call| handler(&parts, call));
    };
    get("/shard-thread", |_, _| Ok(Outcome::Now(text(thread_id())?)));
    get("/writer-thread", |parts, call| parts.change(call, |_| Ok(thread_id()), text));
    get("/pool-thread", |parts, call| parts.block(call, || Ok(thread_id()), text));
    get("/on-the-shard", |_, _| on_purpose());
    get("/in-the-job", |parts, call| parts.change(call, |tx| mark(tx, 1).and_then(|()| on_purpose()), nothing));
    get("/in-the-answer", |parts, call| parts.change(call, |tx| mark(tx, 2), nothing));
    get("/in-the-pool", |parts, call| parts.block(call, on_purpose, nothing));
    get("/in-the-pools-answer", |parts, call| parts.block(call, || Ok(()), nothing));
    get("/dropped", |_, call| Ok(Outcome::Parked(call.park().1.then(text))));
    get("/never", |_, call| {
        let (reply, parked) = call.park();
        thread::spawn(move || {
            while reply.is_awaited() {
                thread::park_timeout(Duration::from_millis(20));
            }
        });
        Ok(Outcome::Parked(parked.then(text)))
    });
    get("/before-the-handler-returns", |_, call| {
        let (reply, parked) = call.park();
        reply.done(Ok(b"1".to_vec()));
        Ok(Outcome::Parked(parked.then(text)))
    });
    get("/from-elsewhere", |_, call| {
        let (reply, parked) = call.park();
        thread::spawn(move || {
            thread::park_timeout(Duration::from_millis(20));
            reply.done_in(Ok(thread_id()), Times::default());
        });
        Ok(Outcome::Parked(parked.then(text)))
    });
    get("/refused-elsewhere", |_, call| {
        let (reply, parked) = call.park();
        reply.done(Err(ApiError::new(Code::Forbidden, "Not today")));
        Ok(Outcome::Parked(parked.then(text)))
    });
}

/// A gate with [`toys`], on a shard, a writer and a pool of one thread.
struct Toys {
    directory: tempfile::TempDir,
    address: SocketAddr,
    front: Front<Batch>,
    writer: Writer,
    pool: Pool,
}

impl Toys {
    fn start(parked: Duration) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Clock::system();
        let store = store::open(&directory.path().join("a.db"), &inkring::features::schema()).unwrap();
        let reader = store.reader().unwrap();
        let writer = Writer::start(store, 16, Arc::new(Hub::new(clock.clone())), clock.clone()).unwrap();
        let pool = Pool::start("toys", 1);
        let caps = Caps { connections: 16, per_address: 16, exempt: Box::new(|_| false) };
        let options = Options {
            name: "",
            limits: HeadLimits { head_bytes: 4096, headers: 16, target_bytes: 1024 },
            timeouts: Timeouts { head: PATIENCE, body: PATIENCE, keep_alive: PATIENCE, write_stall: PATIENCE, parked },
            pool: pool.handle(),
            metrics: Arc::default(),
            clock: clock.clone(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let door = Door { listeners: vec![Listener::Tcp(listener)], caps: Some(caps), tls: None };
        let policy = Live::new(Policy {
            cors: Cors::new(vec![LOCAL.to_owned()]),
            identity: Identity {
                trust: Trust { believes_header: true, ..Trust::default() },
                verifier: None,
                tickets: Tickets::default(),
            },
            limiter: None,
            hosts: None,
            caution: None,
        });
        let (jobs, tasks) = (writer.handle(), pool.handle());
        let front = Front::start(vec![door], options, vec![reader], move |reader, mailbox| {
            let topics = Topics::new(&mailbox, Deliveries::default(), clock.clone());
            let topics = Rc::new(RefCell::new(topics));
            let (writer, pool, asked) = (jobs.clone(), tasks.clone(), Default::default());
            let parts = ShardParts::new(reader, writer, pool, Rc::clone(&topics), Arc::clone(&mailbox), asked);
            let mut routes = Routes::new();
            toys(&mut routes, &parts);
            let gate = Gate {
                routes,
                policy: policy.follow(),
                revoked: inkring::gate::Revoked::default().follow(),
                body_bytes: 1024,
                headers: &inkring::gate::headers::API,
                guard: None,
                leads_to: None,
                hsts: None,
                untrusted_proxy: inkring::gate::UntrustedProxy::default(),
                log_addresses: true,
                places: inkring::gate::Places::new(256),
                parking: inkring::gate::Parking::of(mailbox),
                clock: clock.clone(),
                timekeeper: None,
            };
            (vec![gate], topics)
        })
        .unwrap();
        Self { directory, address, front, writer, pool }
    }

    fn client(&self) -> Client {
        Client::connect(self.address)
    }

    fn stop(self) {
        self.front.stop(Duration::ZERO);
        self.pool.stop();
        self.writer.stop();
    }
}

#[test]
fn an_answer_may_come_from_anywhere() {
    let toys = Toys::start(PATIENCE);
    let mut client = toys.client();
    assert_eq!(client.get("/before-the-handler-returns", None).expect(200), 1);
    let (shard, elsewhere) =
        (client.get("/shard-thread", None).expect(200), client.get("/from-elsewhere", None).expect(200));
    assert_ne!(shard, elsewhere);
    assert_ne!(client.get("/pool-thread", None).expect(200), shard);
    let refused = client.get("/refused-elsewhere", None).expect_error(403);
    assert_eq!(refused, ("forbidden".to_owned(), "Not today".to_owned()));
    toys.stop();
}

#[test]
fn who_is_not_answered_is_told_so() {
    let toys = Toys::start(Duration::from_secs(1));
    let mut client = toys.client();
    let dropped = client.get("/dropped", None).expect_error(500);
    assert_eq!(dropped, ("internal_error".to_owned(), "Unexpected error".to_owned()));
    let late = client.get("/never", None);
    assert_eq!(once("retry-after", &late), "1");
    let late = late.expect_error(503);
    assert_eq!(late, ("overloaded".to_owned(), "The answer was not ready in time; try again".to_owned()));
    toys.stop();
}

#[test]
fn what_the_pool_has_no_room_for_is_refused() {
    let toys = Toys::start(PATIENCE);
    let ((go, may_go), (began, has_begun)) = (channel::<()>(), channel());
    let busy = move || {
        began.send(()).unwrap();
        let _ = may_go.recv();
    };
    toys.pool.handle().submit(Box::new(busy)).ok().unwrap();
    has_begun.recv().unwrap();
    while toys.pool.handle().submit(Box::new(|| ())).is_ok() {}
    let mut client = toys.client();
    let refused = client.get("/pool-thread", None);
    assert_eq!(once("retry-after", &refused), "1");
    let refused = refused.expect_error(503);
    assert_eq!(refused.0, "overloaded");
    assert_eq!(refused.1, "Too many requests are waiting for a file or a long read");
    drop(go);
    toys.stop();
}

#[test]
fn a_panic_is_a_500_for_its_own_request_and_nothing_else() {
    let toys = Toys::start(PATIENCE);
    let mut client = toys.client();
    let threads = |client: &mut Client| {
        ["/shard-thread", "/writer-thread", "/pool-thread"].map(|path| client.get(path, None).expect(200))
    };
    let before = threads(&mut client);
    for path in ["/on-the-shard", "/in-the-job", "/in-the-answer", "/in-the-pool", "/in-the-pools-answer"] {
        let headers = [("X-Request-Id", path), ("Origin", LOCAL)];
        let answer = client.request("GET", path, &headers, b"");
        assert_eq!(answer.expect_error(500), ("internal_error".to_owned(), "Unexpected error".to_owned()));
        assert_eq!(once("x-request-id", &answer), path);
        assert_eq!(once("access-control-allow-origin", &answer), LOCAL, "R29");
        assert_eq!(once("x-content-type-options", &answer), "nosniff");
        assert!(!answer.text().contains("purpose"), "nothing of the inside leaves");
        assert_eq!(threads(&mut client), before, "{path}: the same connection is served on by the same threads");
    }
    let probe = rusqlite::Connection::open(toys.directory.path().join("a.db")).unwrap();
    let at: i64 = probe.query_row("SELECT probed_at FROM probe", (), |row| row.get(0)).unwrap();
    assert_eq!(at, 2, "a job that panics is undone; an answer that panics undoes nothing");
    drop(probe);
    toys.stop();
}
