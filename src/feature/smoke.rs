//! A try of a running server from outside, step by step: `inkring smoke`. Features bring their steps
//! ([`Feature::smoke`](super::Feature)).

use std::fmt::Display;
use std::io::Write;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tungstenite::client::{ClientRequestBuilder, client_with_config};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Message, WebSocket};
use uuid::Uuid;

use crate::clock::Clock;
use crate::net::client::{Answer, Ask, AskError, Call, Remote};
use crate::text::{cut, visible};

/// The variable with the token to show.
pub const SMOKE_TOKEN: &str = "SMOKE_TOKEN";
/// The variable with the origin of sockets.
pub const SMOKE_ORIGIN: &str = "SMOKE_ORIGIN";

/// Of an answer no more is read, and a frame may not be longer.
pub(crate) const SMOKE_ANSWER_MAX_BYTES: usize = 65_536;
/// The status of an answer without a body.
pub const NO_CONTENT: u16 = 204;
/// As much of a stranger's text as is repeated.
const SHOWN_CHARS: usize = 200;

/// What a step leaves for later ones, or else the name of the step that failed.
pub type Left<T> = Result<T, &'static str>;

/// Whether a server has what a step tries.
pub enum Found {
    /// It has, and that is as it should be.
    There,
    /// It has not, or it is not to be tried, for this reason.
    LeftOut(String),
}

/// Takes steps, and says how each went as soon as it is over.
pub struct Smoke<'a> {
    caller: Caller,
    out: &'a mut dyn Write,
    alive: Left<()>,
    /// What steps could not take away again: of which step, and a sentence.
    stays: Vec<String>,
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl<'a> Smoke<'a> {
    /// Begins with the first step: whether there is a server that is alive. Without one all others are skipped.
    ///
    /// # Errors
    /// When nobody listens there, so that no step makes sense.
    pub fn begin(caller: Caller, out: &'a mut dyn Write) -> Result<Self, AskError> {
        const FIRST: &str = "healthz";
        let began = caller.clock.instant();
        let answered = caller.probe("/healthz");
        if answered.is_err() {
            caller.reach()?;
        }
        let mut smoke = Self { caller, out, alive: Ok(()), stays: Vec::new(), passed: 0, failed: 0, skipped: 0 };
        smoke.alive = smoke.taken(FIRST, began, answered);
        Ok(smoke)
    }

    /// Takes a step that needs nothing but the server.
    ///
    /// # Errors
    /// The name of the step that failed, be it this one or that before it.
    pub fn step<T>(&mut self, name: &'static str, work: impl FnOnce(&Caller) -> Result<T, String>) -> Left<T> {
        self.step_after(name, self.alive, |caller, ()| work(caller))
    }

    /// Takes a step, if what it needs is there. `work` fails with a sentence that says what was expected.
    ///
    /// # Errors
    /// The name of the step that failed, be it this one or one before it.
    pub fn step_after<N, T>(
        &mut self,
        name: &'static str,
        needs: Left<N>,
        work: impl FnOnce(&Caller, N) -> Result<T, String>,
    ) -> Left<T> {
        let began = self.caller.clock.instant();
        match needs.map(|needs| work(&self.caller, needs)) {
            Ok(came_of_it) => self.taken(name, began, came_of_it),
            Err(failed) => {
                self.skip(name, format_args!("{failed} failed"));
                Err(failed)
            }
        }
    }

    /// Says how a step went, and passes on what it has left.
    fn taken<T>(&mut self, name: &'static str, began: Instant, came_of_it: Result<T, String>) -> Left<T> {
        match came_of_it {
            Ok(left) => {
                self.pass(name, began);
                Ok(left)
            }
            Err(why) => {
                self.fail(name, &why);
                Err(name)
            }
        }
    }

    /// Takes a step that needs what a server may be without, by its settings: `work` says why it is not there, or else fails with a
    /// sentence that says what was expected.
    pub fn step_if_there(&mut self, name: &'static str, work: impl FnOnce(&Caller) -> Result<Found, String>) {
        let began = self.caller.clock.instant();
        match self.alive.map(|()| work(&self.caller)) {
            Ok(Ok(Found::There)) => self.pass(name, began),
            Ok(Ok(Found::LeftOut(why))) => self.skip(name, why),
            Ok(Err(why)) => self.fail(name, &why),
            Err(failed) => self.skip(name, format_args!("{failed} failed")),
        }
    }

    fn pass(&mut self, name: &str, began: Instant) {
        let ms = self.caller.clock.instant().saturating_duration_since(began).as_millis();
        self.passed += 1;
        self.say(format_args!("PASS  {name}  ({ms} ms)"));
    }

    fn fail(&mut self, name: &str, why: &str) {
        self.failed += 1;
        self.say(format_args!("FAIL  {name}: {why}"));
    }

    fn skip(&mut self, name: &str, why: impl Display) {
        self.skipped += 1;
        self.say(format_args!("SKIP  {name}: {why}"));
    }

    fn say(&mut self, line: impl Display) {
        // A reader who has left is no error of ours.
        let _ = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
    }

    /// Notes what a step has left on the server and cannot take away: what it is, and how to remove it.
    pub fn stays(&mut self, step: &str, what: &str) {
        self.stays.push(format!("{step}: {what}"));
    }

    /// Says what stays, and how many steps ended how; whether none failed.
    pub fn end(mut self) -> bool {
        for what in std::mem::take(&mut self.stays) {
            self.say(format_args!("STAYS {what}"));
        }
        let Self { passed, failed, skipped, .. } = self;
        let skipped = if skipped > 0 { format!(", {skipped} skipped") } else { String::new() };
        self.say(format_args!("{passed} passed, {failed} failed{skipped}"));
        failed == 0
    }
}

/// How a server is to be tried.
pub struct Trial {
    /// Who asks.
    pub user: String,
    /// Somebody else.
    pub other: String,
    /// How long to wait for each answer.
    pub patience: Duration,
    /// From where sockets are opened, if that is to be said.
    pub origin: Option<String>,
    /// What to show, if anything.
    pub token: Option<String>,
    /// Whether what the steps have made is to stay, for somebody to look at.
    pub keep: bool,
}

/// Asks a server, and says in sentences what was wrong with its answers.
pub struct Caller {
    trial: Trial,
    to: Remote,
    prefix: String,
    /// Begins every request id, so that the server's log has them all together.
    name: String,
    clock: Clock,
}

impl Caller {
    /// One that asks `to`, with `prefix` before every path.
    pub fn new(trial: Trial, to: Remote, prefix: &str) -> Self {
        let name = format!("smoke-{}", &Uuid::new_v4().simple().to_string()[..8]);
        Self { trial, to, prefix: prefix.to_owned(), name, clock: Clock::system() }
    }

    /// Whether somebody listens there, whatever comes of asking.
    ///
    /// # Errors
    /// When nobody does.
    fn reach(&self) -> Result<(), AskError> {
        match self.to.call(self.trial.patience) {
            Err(error) if error.is_nobody() => Err(error),
            _ => Ok(()),
        }
    }

    /// As whom it asks, and how.
    pub fn trial(&self) -> &Trial {
        &self.trial
    }

    /// The name of this run, which no other has.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Asks a probe of this path, which says its status.
    ///
    /// # Errors
    /// When it is not answered as it should be.
    pub fn probe(&self, path: &str) -> Result<(), String> {
        let body = self.ask("GET", path, None, path.trim_start_matches('/'))?;
        if body["status"].is_string() { Ok(()) } else { Err(format!("expected a status, got {}", shown(&body))) }
    }

    /// The JSON of a 200. Who is told that it asks too often waits as it is told, if that is within its patience.
    ///
    /// # Errors
    /// When there is no such answer.
    pub fn ask(&self, method: &str, target: &str, body: Option<&Value>, step: &str) -> Result<Value, String> {
        self.ask_for(200, method, target, body, step)
    }

    /// The JSON of an answer with this status, in the same way. No content is null.
    ///
    /// # Errors
    /// When there is no such answer.
    pub fn ask_for(
        &self,
        status: u16,
        method: &str,
        target: &str,
        body: Option<&Value>,
        step: &str,
    ) -> Result<Value, String> {
        let patience = self.trial.patience;
        let (target, body) = (format!("{}{target}", self.prefix), body.map(Value::to_string).unwrap_or_default());
        let headers = self.headers(step);
        let mut headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        if !body.is_empty() {
            headers.push(("Content-Type", "application/json"));
        }
        let ask = Ask { method, target: &target, headers: &headers, body: body.as_bytes() };
        let until = self.clock.instant() + patience;
        loop {
            let answer = ask.send(&self.to, patience).map_err(|error| error.to_string())?;
            match wait_of(&answer).filter(|wait| self.clock.instant() + *wait <= until) {
                Some(wait) => pause(wait),
                None => return self.json_of(answer, status),
            }
        }
    }

    /// Who asks, and under which name.
    fn headers(&self, step: &str) -> Vec<(&'static str, String)> {
        let request_id = ("X-Request-Id", format!("{}-{step}", self.name));
        let mut headers = vec![("X-User-Id", self.trial.user.clone()), request_id];
        headers.extend(self.trial.token.as_ref().map(|token| ("Authorization", format!("Bearer {token}"))));
        headers
    }

    fn json_of(&self, answer: Answer, wanted: u16) -> Result<Value, String> {
        let (status, location) = (answer.status, answer.header("location").map(str::to_owned));
        let request_id = answer.header("x-request-id").map(str::to_owned);
        let text =
            answer.text(SMOKE_ANSWER_MAX_BYTES as u64).map_err(|error| format!("expected an answer, got {error}"))?;
        if status != wanted {
            let mut why = self.refusal(wanted, status, &text);
            if let Some(location) = location {
                why.push_str(&format!(", which redirects to {}", brief(&location)));
            }
            if let Some(id) = request_id {
                why.push_str(&format!(" (request id {})", brief(&id)));
            }
            return Err(why);
        }
        if wanted == NO_CONTENT && text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).map_err(|_| format!("expected JSON, got {}", brief(&text)))
    }

    /// What was refused, why, and what to do about it.
    fn refusal(&self, wanted: u16, status: u16, body: &str) -> String {
        let body: Value = serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned()));
        let error = &body["error"];
        // One message of the contract is an object that has one.
        let message = error["message"].as_str().or(error["message"]["message"].as_str());
        let said = match (error["code"].as_str(), message) {
            (Some(code), Some(message)) => format!("{}: {}", brief(code), brief(message)),
            _ => shown(&body),
        };
        let advice = match (status, &self.trial.token) {
            (401, None) => format!(
                "; put a token that this server accepts into {SMOKE_TOKEN} or --token-file (for a JWT_SECRET, \
                 inkring token mint makes one)"
            ),
            (401, Some(_)) => {
                format!("; the token of {SMOKE_TOKEN} or --token-file is rejected (inkring token inspect says why)")
            }
            _ => String::new(),
        };
        format!("expected {wanted}, got {status} {said}{advice}")
    }

    /// Opens a socket at this path.
    ///
    /// # Errors
    /// When it is not opened.
    pub fn open(&self, path: &str, step: &str) -> Result<Socket, String> {
        let call = self.to.call(self.trial.patience);
        let call = call.map_err(|error| format!("expected a connection: {error}"))?;
        let scheme = if self.to.is_secured() { "wss" } else { "ws" };
        let url = format!("{scheme}://{}{}{path}", self.to.host(), self.prefix);
        let url = url.parse().map_err(|error| format!("{url} is not a URL: {error}"))?;
        let mut request = ClientRequestBuilder::new(url);
        let origin = self.trial.origin.clone().map(|origin| ("Origin", origin));
        for (name, value) in self.headers(step).into_iter().chain(origin) {
            request = request.with_header(name, value);
        }
        let config = WebSocketConfig::default()
            .max_message_size(Some(SMOKE_ANSWER_MAX_BYTES))
            .max_frame_size(Some(SMOKE_ANSWER_MAX_BYTES));
        match client_with_config(request, call, Some(config)) {
            Ok((socket, _)) => Ok(Socket(socket)),
            Err(tungstenite::HandshakeError::Failure(error)) => Err(match error {
                tungstenite::Error::Http(answer) => {
                    let said = String::from_utf8_lossy(answer.body().as_deref().unwrap_or_default()).into_owned();
                    self.refusal(101, answer.status().as_u16(), &said)
                }
                error => format!("expected a WebSocket, got {}", brief(&error.to_string())),
            }),
            Err(tungstenite::HandshakeError::Interrupted(_)) => {
                Err("expected a WebSocket, got an incomplete handshake".to_owned())
            }
        }
    }
}

/// An open WebSocket.
pub struct Socket(WebSocket<Call>);

impl Socket {
    /// The next frame that is JSON.
    ///
    /// # Errors
    /// When something else comes, or nothing in time.
    pub fn frame(&mut self, expected: &str) -> Result<Value, String> {
        loop {
            if let Message::Text(text) = self.message(expected)? {
                let text = text.as_str();
                return serde_json::from_str(text).map_err(|_| format!("expected {expected}, got {}", brief(text)));
            }
        }
    }

    /// The next message that says something.
    fn message(&mut self, expected: &str) -> Result<Message, String> {
        loop {
            match self.0.read() {
                Ok(Message::Close(Some(close))) => {
                    let (code, reason) = (u16::from(close.code), brief(&close.reason));
                    return Err(format!("expected {expected}, got closed with {code} {reason}"));
                }
                Ok(message @ (Message::Text(_) | Message::Binary(_))) => return Ok(message),
                Ok(_) => {}
                Err(error) => return Err(format!("expected {expected}, got {}", brief(&error.to_string()))),
            }
        }
    }

    /// The bytes of the next binary frame.
    ///
    /// # Errors
    /// When something else comes, or nothing in time.
    pub fn binary(&mut self, expected: &str) -> Result<Vec<u8>, String> {
        match self.message(expected)? {
            Message::Binary(bytes) => Ok(bytes.to_vec()),
            other => Err(format!("expected {expected}, got {}", brief(&other.to_string()))),
        }
    }

    /// Sends a binary frame.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub fn send_binary(&mut self, bytes: &[u8]) -> Result<(), String> {
        let sent = self.0.send(Message::binary(bytes.to_vec()));
        sent.map_err(|error| format!("expected to send, got {}", brief(&error.to_string())))
    }

    /// From now on the next frame may take as long again.
    pub fn begin_anew(&mut self) {
        self.0.get_mut().begin_anew();
    }

    /// Says good-bye; the other end may have left.
    pub fn close(mut self) {
        let _ = self.0.close(None);
    }
}

/// How long to wait before asking again, if that is what an answer says.
pub fn wait_of(answer: &Answer) -> Option<Duration> {
    let seconds = answer.header("retry-after").filter(|_| answer.status == 429)?;
    Some(Duration::from_secs(seconds.trim().parse::<u64>().ok()?.max(1)))
}

/// Nothing is ever sent: this is how to wait with an end.
pub fn pause(time: Duration) {
    let (_never, wait) = mpsc::channel::<()>();
    let _ = wait.recv_timeout(time);
}

/// A value as it may go to a terminal, and no more of it than tells what it is.
pub fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "nothing".to_owned(),
        Value::String(text) => brief(text),
        value => brief(&value.to_string()),
    }
}

/// A stranger's text as it may go to a terminal, and no more of it than tells what it is.
pub fn brief(text: &str) -> String {
    visible(&cut(text.trim(), SHOWN_CHARS)).into_owned()
}
