//! Publishers and subscribers of one room, on one thread: what is published must reach everyone, once and in one order.
//!
//! Every publish carries a request id of its own, which its event repeats. The first subscriber to hear an event says
//! which it is; all others must hear the very same bytes at the same place, which costs them one comparison.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use inkring_testkit::process::cpu_seconds;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::load::{Caller, Histogram, describe, fields, parse, post};
use crate::options::Result;
use crate::process::{Server, machine_cpu_seconds};
use crate::subscriber::{Door, Subscriber};

const ALICE: &str = "X-User-Id: alice\r\n";
/// What is still on its way when the time is over may take this long.
const PATIENCE: Duration = Duration::from_secs(5);

/// Which kind of server the room is on.
#[derive(Clone, Copy, PartialEq)]
pub enum Host {
    /// The room is a new draft; who appends to it publishes.
    Inkring,
    /// There is one room, and the text of the event is what is posted.
    Peer,
}

/// Where a room is.
pub struct Place {
    address: SocketAddr,
    host: Host,
    socket_path: String,
    publish_path: String,
}

impl Place {
    pub fn open(address: SocketAddr, host: Host) -> Result<Self> {
        let (socket_path, publish_path) = match host {
            Host::Peer => ("/events".into(), "/publish".into()),
            Host::Inkring => {
                let request = post(address, "/v1/collab/drafts", ALICE, r#"{"title":"bench","platform":"x"}"#);
                let (status, body) = Caller::connect(address)?.call(&request)?;
                let text = String::from_utf8_lossy(&body);
                let Some(id) = fields(&text, "draft_id").next().filter(|_| matches!(status, 200 | 201)) else {
                    return Err(format!("creating a draft: {}", describe(status, &body)).into());
                };
                (format!("/v1/ws/drafts/{id}"), format!("/v1/collab/drafts/{id}/segments"))
            }
        };
        Ok(Self { address, host, socket_path, publish_path })
    }

    pub fn door(&self) -> Door<'_> {
        let welcome = (self.host == Host::Inkring).then_some(r#"{"type":"connected","#);
        Door { address: self.address, path: &self.socket_path, headers: ALICE, welcome }
    }

    fn request(&self, number: usize) -> Vec<u8> {
        let id = request_id(number);
        match self.host {
            Host::Inkring => {
                let json = format!(r#"{{"content":"{}","idempotency_key":"k{number}"}}"#, marker(number));
                post(self.address, &self.publish_path, &format!("{ALICE}X-Request-Id: {id}\r\n"), &json)
            }
            Host::Peer => post(self.address, &self.publish_path, "", &event(&id, number)),
        }
    }

    fn is_right(&self, number: usize, status: u16, body: &[u8]) -> bool {
        let held = || std::str::from_utf8(body).is_ok_and(|text| text.contains(&marker(number)));
        status == 200 && (self.host == Host::Peer || held())
    }
}

fn marker(number: usize) -> String {
    format!("[{number}]")
}

fn request_id(number: usize) -> String {
    format!("bench-{number:012}")
}

/// An event as inkring would send it, to the byte as long.
fn event(request_id: &str, number: usize) -> String {
    format!(
        "{{\"type\":\"collab.segment_added\",\"draft_id\":\"8f14e45f-ceea-467f-a8d4-3a9c6f4fd1e2\",\
         \"ts\":\"2026-11-21T11:29:35.599678+00:00\",\"request_id\":\"{request_id}\",\"data\":{{\
         \"draft_id\":\"8f14e45f-ceea-467f-a8d4-3a9c6f4fd1e2\",\
         \"segment_id\":\"199b93a8-43dc-408c-b426-edebe5491844\",\"user_id\":\"alice\",\
         \"segment_order\":{number},\"created_at\":\"2026-11-21T11:29:35.599678+00:00\"}}}}"
    )
}

/// How much is published when.
pub struct Plan {
    pub warm_up: Duration,
    pub measured: Duration,
    /// Events published and not yet with everyone, at most.
    pub in_flight: usize,
    /// From one publish to the next; without it, as soon as there is room.
    pub pace: Option<Duration>,
    /// Between two looks at the sockets. Without it the load waits for them, and whoever writes to one has to wake it,
    /// which on a virtual machine costs as much as the write.
    pub nap: Option<Duration>,
}

#[derive(Default)]
pub struct Report {
    /// Right frames that arrived within the measured time.
    pub deliveries: u64,
    pub seconds: f64,
    pub server_cpu: f64,
    pub load_cpu: f64,
    /// What everything else on this machine used meanwhile.
    pub other_cpu: f64,
    /// From sending the publish to each delivery.
    pub each: Histogram,
    /// From sending the publish to the delivery to the last subscriber, and from the arrival of its answer, which may
    /// be later; in milliseconds.
    pub sent_to_last: Vec<f64>,
    pub answer_to_last: Vec<f64>,
    /// Events published, warm-up included.
    pub events: usize,
    /// Length of the first event.
    pub event_bytes: usize,
    pub wrong: u64,
    pub missing: u64,
    pub first_complaint: Option<String>,
}

impl Report {
    pub fn per_cpu_second(&self) -> f64 {
        self.deliveries as f64 / self.server_cpu
    }

    fn complain(&mut self, complaint: impl FnOnce() -> String) {
        self.wrong += 1;
        self.first_complaint.get_or_insert_with(complaint);
    }
}

struct Member {
    /// `None` once it was lost.
    socket: Option<Subscriber>,
    heard: usize,
}

#[derive(Default)]
struct Publisher {
    stream: Option<TcpStream>,
    input: Vec<u8>,
    /// What its answer is due to.
    asked: Option<usize>,
}

struct Published {
    sent: Instant,
    answered: Option<Instant>,
    told: bool,
}

/// An event as the first to hear it heard it.
struct Told {
    payload: Vec<u8>,
    number: usize,
    heard_by: usize,
    last: Instant,
}

pub struct Room<'a> {
    place: &'a Place,
    poll: Poll,
    members: Vec<Member>,
    publishers: Vec<Publisher>,
    published: Vec<Published>,
    told: Vec<Told>,
    /// Events that everyone has.
    complete: usize,
    scratch: Vec<u8>,
    report: Report,
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    WarmUp,
    Measured,
    Over,
}

impl<'a> Room<'a> {
    pub fn fill(place: &'a Place, subscribers: usize, publishers: usize) -> Result<Self> {
        let poll = Poll::new()?;
        let mut room = Self {
            place,
            poll,
            members: Vec::with_capacity(subscribers),
            publishers: Vec::with_capacity(publishers),
            published: Vec::new(),
            told: Vec::new(),
            complete: 0,
            scratch: vec![0; 64 << 10],
            report: Report::default(),
        };
        let door = place.door();
        for token in 0..subscribers {
            let mut socket = Subscriber::connect(&door)?;
            room.poll.registry().register(&mut socket.stream, Token(token), Interest::READABLE)?;
            room.members.push(Member { socket: Some(socket), heard: 0 });
        }
        for token in subscribers..subscribers + publishers {
            let stream = std::net::TcpStream::connect(place.address)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            room.poll.registry().register(&mut stream, Token(token), Interest::READABLE)?;
            room.publishers.push(Publisher { stream: Some(stream), ..Publisher::default() });
        }
        Ok(room)
    }

    /// Publishes by the plan, and ends when everyone has everything or nothing more comes.
    pub fn run(mut self, plan: &Plan, server: &Server) -> Result<Report> {
        let mut events = Events::with_capacity(1024);
        let start = Instant::now();
        let mut next_publish = start;
        let mut measured_from = start + plan.warm_up;
        let mut phase = Phase::WarmUp;
        loop {
            let now = Instant::now();
            if phase == Phase::WarmUp && now >= measured_from {
                phase = Phase::Measured;
                measured_from = now;
                self.report.server_cpu = -server.cpu_seconds();
                self.report.load_cpu = -cpu_seconds("self");
                self.report.other_cpu = -machine_cpu_seconds();
            }
            if phase == Phase::Measured && now >= measured_from + plan.measured {
                phase = Phase::Over;
                let report = &mut self.report;
                report.server_cpu += server.cpu_seconds();
                report.load_cpu += cpu_seconds("self");
                report.other_cpu += machine_cpu_seconds() - report.server_cpu - report.load_cpu;
                report.seconds = now.duration_since(measured_from).as_secs_f64();
            }
            let answered = self.publishers.iter().all(|publisher| publisher.asked.is_none());
            let settled = answered && self.complete == self.published.len();
            if phase == Phase::Over && (settled || now > measured_from + plan.measured + PATIENCE) {
                return Ok(self.conclude(measured_from, plan.measured));
            }
            let mut patience = Duration::from_millis(10);
            if phase != Phase::Over {
                match plan.pace {
                    None => while self.published.len() - self.complete < plan.in_flight && self.publish() {},
                    Some(pace) => {
                        if now >= next_publish && self.published.len() - self.complete < plan.in_flight {
                            self.publish();
                            next_publish += pace;
                        }
                        patience = patience.min(next_publish.saturating_duration_since(now));
                    }
                }
            }
            if let Some(nap) = plan.nap {
                thread::sleep(nap);
                patience = Duration::ZERO;
            }
            match self.poll.poll(&mut events, Some(patience)) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
                _ => {}
            }
            for event in &events {
                match event.token().0.checked_sub(self.members.len()) {
                    None => self.hear(event.token().0, phase),
                    Some(publisher) => self.answer(publisher),
                }
            }
        }
    }

    /// False when every publisher waits for an answer.
    fn publish(&mut self) -> bool {
        let number = self.published.len();
        let free = self.publishers.iter_mut().find(|publisher| publisher.asked.is_none() && publisher.stream.is_some());
        let Some(Publisher { stream: Some(stream), asked, .. }) = free else { return false };
        *asked = Some(number);
        self.published.push(Published { sent: Instant::now(), answered: None, told: false });
        // A request is far smaller than what a socket with nothing in it takes.
        if let Err(error) = stream.write_all(&self.place.request(number)) {
            self.report.complain(|| format!("publishing: {error}"));
        }
        true
    }

    fn answer(&mut self, number: usize) {
        let publisher = &mut self.publishers[number];
        let Some(stream) = &mut publisher.stream else { return };
        let complaint = loop {
            match stream.read(&mut self.scratch) {
                Ok(0) => break "closed by the server".into(),
                Ok(count) => publisher.input.extend_from_slice(&self.scratch[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => break error.to_string(),
            }
            let answer = match parse(&publisher.input) {
                Ok(None) => continue,
                Ok(Some(answer)) => answer,
                Err(what) => break what.into(),
            };
            let Some(asked) = publisher.asked.take() else { break "an answer to nothing".into() };
            if !self.place.is_right(asked, answer.status, answer.body) {
                break describe(answer.status, answer.body);
            }
            self.published[asked].answered = Some(Instant::now());
            publisher.input.clear();
            return;
        };
        publisher.stream = None;
        publisher.asked = None;
        self.report.complain(|| format!("publisher {number}: {complaint}"));
    }

    fn hear(&mut self, number: usize, phase: Phase) {
        let everyone = self.members.len();
        let Self { members, published, told, complete, scratch, report, .. } = self;
        let Member { socket: socket_slot, heard } = &mut members[number];
        let Some(socket) = socket_slot else { return };
        let mut now = None;
        let received = socket.receive(scratch, |payload| {
            let now = *now.get_or_insert_with(Instant::now);
            if *heard == told.len() {
                match first_heard(payload, published) {
                    Some(number) => told.push(Told { payload: payload.to_vec(), number, heard_by: 0, last: now }),
                    None => return report.complain(|| format!("heard {}", String::from_utf8_lossy(payload))),
                }
            }
            let event = &mut told[*heard];
            if event.payload != payload {
                return report.complain(|| format!("out of order: {}", String::from_utf8_lossy(payload)));
            }
            *heard += 1;
            event.heard_by += 1;
            event.last = now;
            *complete += usize::from(event.heard_by == everyone);
            if phase == Phase::Measured {
                report.deliveries += 1;
                report.each.add(now.saturating_duration_since(published[event.number].sent));
            }
        });
        if let Err(error) = received {
            *socket_slot = None;
            report.complain(|| format!("subscriber {number}: {error}"));
        }
    }

    fn conclude(mut self, from: Instant, measured: Duration) -> Report {
        let everyone = self.members.len();
        self.report.events = self.published.len();
        self.report.event_bytes = self.told.first().map_or(0, |event| event.payload.len());
        let unheard: usize = self.members.iter().map(|member| self.published.len() - member.heard).sum();
        let unanswered = self.published.iter().filter(|publish| publish.answered.is_none()).count();
        self.report.missing = (unheard + unanswered) as u64;
        for event in self.told.iter().filter(|event| event.heard_by == everyone) {
            let Published { sent, answered: Some(answered), .. } = self.published[event.number] else { continue };
            if sent >= from && sent < from + measured {
                let since = |start: Instant| {
                    let later = event.last.saturating_duration_since(start).as_secs_f64();
                    (later - start.saturating_duration_since(event.last).as_secs_f64()) * 1e3
                };
                self.report.sent_to_last.push(since(sent));
                self.report.answer_to_last.push(since(answered));
            }
        }
        self.report
    }
}

/// Which publish this is the event of; `None` when it is of none, or not the first.
fn first_heard(payload: &[u8], published: &mut [Published]) -> Option<usize> {
    let text = std::str::from_utf8(payload).ok().filter(|text| text.contains("collab.segment_added"))?;
    let id = fields(text, "request_id").next()?;
    let number: usize = id.strip_prefix("bench-")?.parse().ok()?;
    let publish = published.get_mut(number)?;
    (!std::mem::replace(&mut publish.told, true)).then_some(number)
}
