//! `inkring smoke`: does a running server do what it is there for? The sequence of the original's smoke script
//! (contract 01 §7), from outside, step by step.

use std::fmt::Display;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tungstenite::client::{ClientRequestBuilder, client_with_config};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Message, WebSocket};
use uuid::Uuid;

use super::base_url::BaseUrl;
use super::common::fail;
use super::token::TOKEN_STDIN_MAX_BYTES;
use crate::clock::Clock;
use crate::gate::is_user_id;
use crate::net::Endpoint;
use crate::net::client::{Answer, Ask, Bounded};
use crate::text::{cut, visible};

const BASE_URL: &str = "BASE_URL";
const SMOKE_USER_ID: &str = "SMOKE_USER_ID";
const SMOKE_COLLAB_ID: &str = "SMOKE_COLLAB_ID";
const SMOKE_TIMEOUT: &str = "SMOKE_TIMEOUT";
const SMOKE_ORIGIN: &str = "SMOKE_ORIGIN";
const SMOKE_TOKEN: &str = "SMOKE_TOKEN";

/// The longest patience that can be asked for, in seconds.
const PATIENCE_MAX_SECONDS: f64 = 300.0;
/// Of an answer no more is read, and a frame may not be longer.
pub(super) const SMOKE_ANSWER_MAX_BYTES: usize = 65_536;
/// As much of a stranger's text as is repeated.
const SHOWN_CHARS: usize = 200;

#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 everything passed, 1 something failed, 2 usage.")]
pub(super) struct Options {
    /// Where the server is [variable: BASE_URL] [default: http://localhost:8000]
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Who creates the draft and writes, where the server believes X-User-Id [variable: SMOKE_USER_ID]
    /// [default: smoke-user]
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Who is added to the draft and gets its ring [variable: SMOKE_COLLAB_ID] [default: smoke-collab]
    #[arg(long, value_name = "ID")]
    collaborator: Option<String>,
    /// How long to wait for each answer, at most 300 seconds [variable: SMOKE_TIMEOUT] [default: 5]
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<String>,
    /// The Origin that the socket is opened from, where WS_ALLOWED_ORIGINS names some [variable: SMOKE_ORIGIN]
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
    /// A file with the token of the user, where the server wants one; the token itself may stand in the variable
    /// SMOKE_TOKEN, but never on the command line, which everyone on the machine can read
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

pub(super) fn run(options: &Options) -> ExitCode {
    match Smoke::of(options, |name| std::env::var_os(name)) {
        Ok(smoke) => smoke.run(),
        Err(why) => fail("the command line is wrong", &why, 2),
    }
}

/// Everything that the steps need to know.
struct Smoke {
    base: BaseUrl,
    user: String,
    collaborator: String,
    patience: Duration,
    origin: Option<String>,
    token: Option<String>,
    /// Begins every request id, so that the server's log has them all together.
    name: String,
    clock: Clock,
}

impl Smoke {
    /// What is not on the command line is in a variable, or as it always is. Empty is not there.
    fn of(options: &Options, variable: impl Fn(&str) -> Option<std::ffi::OsString>) -> Result<Self, String> {
        let text = |name: &str| {
            let value = variable(name).filter(|value| !value.is_empty());
            value.map(|value| value.into_string().map_err(|_| format!("{name} is not UTF-8"))).transpose()
        };
        // The name under which it was set, and its value.
        let setting = |option: &str, given: &Option<String>, name: &str| {
            let from_variable = || Ok::<_, String>(text(name)?.map(|value| (name.to_owned(), value)));
            given.clone().map_or_else(from_variable, |value| Ok(Some((option.to_owned(), value))))
        };
        let or = |set: Option<(String, String)>, default: &str| set.unwrap_or((String::new(), default.to_owned()));

        let (by, url) = or(setting("--base-url", &options.base_url, BASE_URL)?, "http://localhost:8000");
        let base = BaseUrl::parse(&url).map_err(|why| format!("{by}: {why}"))?;
        let user_id = |(by, id): (String, String)| {
            // A header of a handshake is ASCII.
            let rules = "a user id for this has 1 to 100 ASCII characters, none of them a control character";
            if is_user_id(&id) && id.is_ascii() { Ok(id) } else { Err(format!("{by}: {rules}")) }
        };
        let user = user_id(or(setting("--user", &options.user, SMOKE_USER_ID)?, "smoke-user"))?;
        let collaborator = setting("--collaborator", &options.collaborator, SMOKE_COLLAB_ID)?;
        let collaborator = user_id(or(collaborator, "smoke-collab"))?;
        let (by, seconds) = or(setting("--timeout", &options.timeout, SMOKE_TIMEOUT)?, "5");
        let seconds: Option<f64> = seconds.parse().ok();
        let seconds = seconds.filter(|seconds| (0.001..=PATIENCE_MAX_SECONDS).contains(seconds));
        let seconds =
            seconds.ok_or_else(|| format!("{by}: use a number of seconds, at most {PATIENCE_MAX_SECONDS}"))?;
        let origin = setting("--origin", &options.origin, SMOKE_ORIGIN)?;
        let origin = origin.map(|(by, origin)| header_value(origin).ok_or(format!("{by}: it is not an origin")));
        let token = match &options.token_file {
            Some(path) => Some(token_in(path)?),
            None => {
                let token = text(SMOKE_TOKEN)?.map(|token| token.trim().to_owned());
                token.map(|token| header_value(token).ok_or(format!("{SMOKE_TOKEN} is not a token"))).transpose()?
            }
        };
        Ok(Self {
            base,
            user,
            collaborator,
            patience: Duration::from_secs_f64(seconds),
            origin: origin.transpose()?,
            token,
            name: format!("smoke-{}", &Uuid::new_v4().simple().to_string()[..8]),
            clock: Clock::system(),
        })
    }

    fn run(&self) -> ExitCode {
        let to = match self.base.endpoint(self.patience) {
            Ok(to) => to,
            Err(error) => return fail("there is no such server", &format!("{}: {error}", self.base), 1),
        };
        let caller = Caller { smoke: self, to };
        let mut report = Report::new(self.clock.clone(), io::stdout());
        let alive = report.step("healthz", Ok(()), |()| caller.probe("/healthz"));
        // A server that is not ready may still show what it can do and what it cannot.
        let _ = report.step("readyz", alive, |()| caller.probe("/readyz"));
        let draft = report.step("create-draft", alive, |()| caller.create_draft());
        let draft = draft.as_deref().map_err(|failed| *failed);
        let added = report.step("add-collaborator", draft, |draft| caller.add_collaborator(draft).map(|()| draft));
        let _ = report.step("append", draft, |draft| caller.append(draft, "append").map(|_| ()));
        let _ = report.step("websocket", draft, |draft| caller.watch(draft));
        let _ = report.step("pass-ring", added, |draft| caller.pass_ring(draft));
        report.close()
    }
}

/// A text that can be sent as the value of a header: visible ASCII, so that no line can be put in between.
fn header_value(text: String) -> Option<String> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())).then_some(text)
}

fn token_in(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(TOKEN_STDIN_MAX_BYTES).read_to_string(&mut text));
    read.map_err(|error| format!("--token-file: {} cannot be read: {error}", path.display()))?;
    let not = || format!("--token-file: {} does not hold a token and nothing else", path.display());
    header_value(text.trim().to_owned()).ok_or_else(not)
}

/// What a step leaves for later ones, or else the name of the step that failed.
type Left<T> = Result<T, &'static str>;

/// Says how each step went, as soon as it is over.
struct Report<W> {
    clock: Clock,
    out: W,
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl<W: Write> Report<W> {
    fn new(clock: Clock, out: W) -> Self {
        Self { clock, out, passed: 0, failed: 0, skipped: 0 }
    }

    /// Takes a step, if what it needs is there.
    fn step<N, T>(&mut self, name: &'static str, needs: Left<N>, work: impl FnOnce(N) -> Result<T, String>) -> Left<T> {
        let began = self.clock.instant();
        match needs.map(work) {
            Ok(Ok(left)) => {
                let ms = self.clock.instant().saturating_duration_since(began).as_millis();
                self.passed += 1;
                self.say(format_args!("PASS  {name}  ({ms} ms)"));
                Ok(left)
            }
            Ok(Err(why)) => {
                self.failed += 1;
                self.say(format_args!("FAIL  {name}: {why}"));
                Err(name)
            }
            Err(failed) => {
                self.skipped += 1;
                self.say(format_args!("SKIP  {name}: {failed} failed"));
                Err(failed)
            }
        }
    }

    fn say(&mut self, line: impl Display) {
        // A reader who has left is no error of ours.
        let _ = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
    }

    fn close(mut self) -> ExitCode {
        let Self { passed, failed, skipped, .. } = self;
        let skipped = if skipped > 0 { format!(", {skipped} skipped") } else { String::new() };
        self.say(format_args!("{passed} passed, {failed} failed{skipped}"));
        if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Takes the steps, at an address.
struct Caller<'a> {
    smoke: &'a Smoke,
    to: Endpoint,
}

impl Caller<'_> {
    fn probe(&self, path: &str) -> Result<(), String> {
        let body = self.ask("GET", path, None, path.trim_start_matches('/'))?;
        if body["status"].is_string() { Ok(()) } else { Err(format!("expected a status, got {}", shown(&body))) }
    }

    /// Creates a draft with a first segment; its id.
    fn create_draft(&self) -> Result<String, String> {
        let body = json!({ "title": "Smoke test", "platform": "x", "initial_segment": "Is there smoke?" });
        let data = self.change("/v1/collab/drafts", &body, "create-draft")?;
        let id = data["draft_id"].as_str().unwrap_or_default();
        // It becomes part of paths.
        let is_plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !is_plain {
            return Err(format!("expected a draft_id of letters, digits and dashes, got {}", shown(&data["draft_id"])));
        }
        Ok(id.to_owned())
    }

    fn add_collaborator(&self, draft: &str) -> Result<(), String> {
        let wanted = &self.smoke.collaborator;
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("collaborator_id", wanted)
            .append_pair("role", "contributor")
            .finish();
        let target = format!("/v1/collab/drafts/{draft}/collaborators?{query}");
        let data = self.change(&target, &json!({}), "add-collaborator")?;
        // Nobody is a collaborator of their own draft.
        let mut members = data["collaborators"].as_array().into_iter().flatten().chain([&data["creator_id"]]);
        if members.any(|member| member == wanted) {
            return Ok(());
        }
        Err(format!("expected {wanted} among the collaborators, got {}", shown(&data["collaborators"])))
    }

    /// Appends a segment; its place in the draft.
    fn append(&self, draft: &str, step: &str) -> Result<Value, String> {
        let content = format!("Written by {step}.");
        let body = json!({ "content": content, "idempotency_key": format!("{}-{step}", self.smoke.name) });
        let data = self.change(&format!("/v1/collab/drafts/{draft}/segments"), &body, step)?;
        let last = data["segments"].as_array().and_then(|segments| segments.last()).unwrap_or(&Value::Null);
        if last["content"] != content.as_str() {
            return Err(format!("expected the segment that was sent as the last one, got {}", shown(last)));
        }
        Ok(last["segment_order"].clone())
    }

    fn pass_ring(&self, draft: &str) -> Result<(), String> {
        let wanted = &self.smoke.collaborator;
        let body = json!({ "to_user_id": wanted, "idempotency_key": format!("{}-pass-ring", self.smoke.name) });
        let data = self.change(&format!("/v1/collab/drafts/{draft}/pass-ring"), &body, "pass-ring")?;
        let holder = &data["ring_state"]["current_holder_id"];
        if holder == wanted {
            Ok(())
        } else {
            Err(format!("expected {wanted} to hold the ring, got {}", shown(holder)))
        }
    }

    /// Makes a change; the draft as it is then.
    fn change(&self, target: &str, body: &Value, step: &str) -> Result<Value, String> {
        let mut answer = self.ask("POST", target, Some(body), step)?;
        match answer["data"].take() {
            data @ Value::Object(_) => Ok(data),
            _ => Err(format!("expected a JSON object with data, got {}", shown(&answer))),
        }
    }

    /// The JSON of a 200. Who is told that it asks too often waits as it is told, if that is within its patience.
    fn ask(&self, method: &str, target: &str, body: Option<&Value>, step: &str) -> Result<Value, String> {
        let smoke = self.smoke;
        let (target, body) =
            (format!("{}{target}", smoke.base.prefix()), body.map(Value::to_string).unwrap_or_default());
        let headers = self.headers(step);
        let mut headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        if !body.is_empty() {
            headers.push(("Content-Type", "application/json"));
        }
        let ask = Ask { method, target: &target, headers: &headers, body: body.as_bytes() };
        let until = smoke.clock.instant() + smoke.patience;
        loop {
            let answer =
                ask.send(&self.to, smoke.base.authority(), smoke.patience).map_err(|error| error.to_string())?;
            match wait_of(&answer).filter(|wait| smoke.clock.instant() + *wait <= until) {
                Some(wait) => pause(wait),
                None => return self.json_of(answer),
            }
        }
    }

    /// Who asks, and under which name.
    fn headers(&self, step: &str) -> Vec<(&'static str, String)> {
        let request_id = ("X-Request-Id", format!("{}-{step}", self.smoke.name));
        let mut headers = vec![("X-User-Id", self.smoke.user.clone()), request_id];
        headers.extend(self.smoke.token.as_ref().map(|token| ("Authorization", format!("Bearer {token}"))));
        headers
    }

    fn json_of(&self, answer: Answer) -> Result<Value, String> {
        let (status, location) = (answer.status, answer.header("location").map(str::to_owned));
        let request_id = answer.header("x-request-id").map(str::to_owned);
        let text =
            answer.text(SMOKE_ANSWER_MAX_BYTES as u64).map_err(|error| format!("expected an answer, got {error}"))?;
        if status != 200 {
            let mut why = self.refusal(status, &text);
            if let Some(location) = location {
                why.push_str(&format!(", which leads to {}", brief(&location)));
            }
            if let Some(id) = request_id {
                why.push_str(&format!(" (request id {})", brief(&id)));
            }
            return Err(why);
        }
        serde_json::from_str(&text).map_err(|_| format!("expected JSON, got {}", brief(&text)))
    }

    /// What was refused, why, and what to do about it.
    fn refusal(&self, status: u16, body: &str) -> String {
        let body: Value = serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned()));
        let error = &body["error"];
        // One message of the contract is an object that has one.
        let message = error["message"].as_str().or(error["message"]["message"].as_str());
        let said = match (error["code"].as_str(), message) {
            (Some(code), Some(message)) => format!("{}: {}", brief(code), brief(message)),
            _ => shown(&body),
        };
        let advice = match (status, &self.smoke.token) {
            (401, None) => format!(
                "; put a token that this server takes into {SMOKE_TOKEN} or --token-file (for a JWT_SECRET, inkring \
                 token mint makes one)"
            ),
            (401, Some(_)) => {
                format!("; the token of {SMOKE_TOKEN} or --token-file is not taken (inkring token inspect says why)")
            }
            _ => String::new(),
        };
        format!("expected 200, got {status} {said}{advice}")
    }

    /// Opens a socket, and sees what is then appended.
    fn watch(&self, draft: &str) -> Result<(), String> {
        let mut socket = self.open(draft)?;
        let first = self.frame(&mut socket, "a first frame")?;
        if first["type"] != "connected" {
            return Err(self.unwelcome(&first));
        }
        let order = self.append(draft, "websocket")?;
        socket.get_mut().begin_anew();
        loop {
            let event = self.frame(&mut socket, "the event of what was appended after it")?;
            let data = &event["data"];
            if event["type"] == "collab.segment_added" && data["draft_id"] == draft && data["segment_order"] == order {
                break;
            }
        }
        // The server may be gone.
        let _ = socket.close(None);
        Ok(())
    }

    fn open(&self, draft: &str) -> Result<WebSocket<Bounded>, String> {
        let smoke = self.smoke;
        let stream = Bounded::connect(&self.to, smoke.patience);
        let stream = stream.map_err(|error| format!("expected a connection to {}, got {error}", self.to))?;
        let url = format!("ws://{}{}/v1/ws/drafts/{draft}", smoke.base.authority(), smoke.base.prefix());
        let url = url.parse().map_err(|error| format!("{url} is no address: {error}"))?;
        let mut request = ClientRequestBuilder::new(url);
        let origin = smoke.origin.clone().map(|origin| ("Origin", origin));
        for (name, value) in self.headers("websocket").into_iter().chain(origin) {
            request = request.with_header(name, value);
        }
        let config = WebSocketConfig::default()
            .max_message_size(Some(SMOKE_ANSWER_MAX_BYTES))
            .max_frame_size(Some(SMOKE_ANSWER_MAX_BYTES));
        match client_with_config(request, stream, Some(config)) {
            Ok((socket, _)) => Ok(socket),
            Err(tungstenite::HandshakeError::Failure(error)) => Err(match error {
                tungstenite::Error::Http(answer) => {
                    let said = String::from_utf8_lossy(answer.body().as_deref().unwrap_or_default()).into_owned();
                    self.refusal(answer.status().as_u16(), &said).replacen("expected 200", "expected 101", 1)
                }
                error => format!("expected a WebSocket, got {}", brief(&error.to_string())),
            }),
            Err(tungstenite::HandshakeError::Interrupted(_)) => Err("expected a WebSocket, got half of one".to_owned()),
        }
    }

    /// The next frame that is JSON.
    fn frame(&self, socket: &mut WebSocket<Bounded>, expected: &str) -> Result<Value, String> {
        loop {
            match socket.read() {
                Ok(Message::Text(text)) => {
                    let text = text.as_str();
                    return serde_json::from_str(text).map_err(|_| format!("expected {expected}, got {}", brief(text)));
                }
                Ok(Message::Close(Some(close))) => {
                    let (code, reason) = (u16::from(close.code), brief(&close.reason));
                    return Err(format!("expected {expected}, got closed with {code} {reason}"));
                }
                Ok(_) => {}
                Err(error) => return Err(format!("expected {expected}, got {}", brief(&error.to_string()))),
            }
        }
    }

    fn unwelcome(&self, frame: &Value) -> String {
        let (code, message) = (frame["code"].as_str(), frame["message"].as_str());
        let (Some(code), Some(message)) = (code, message) else {
            return format!("expected a frame of type connected, got {}", shown(frame));
        };
        let advice = match message {
            "Origin not allowed" => {
                format!("; set {SMOKE_ORIGIN} or --origin to one of the server's WS_ALLOWED_ORIGINS")
            }
            _ if code == "forbidden" && self.smoke.token.is_none() => {
                format!("; put a token that this server takes into {SMOKE_TOKEN} or --token-file")
            }
            _ => String::new(),
        };
        format!("expected to be connected, got {}: {}{advice}", brief(code), brief(message))
    }
}

/// How long to wait before asking again, if that is what an answer says.
fn wait_of(answer: &Answer) -> Option<Duration> {
    let seconds = answer.header("retry-after").filter(|_| answer.status == 429)?;
    Some(Duration::from_secs(seconds.trim().parse::<u64>().ok()?.max(1)))
}

/// Nothing is ever sent: this is how to wait with an end.
fn pause(time: Duration) {
    let (_never, wait) = mpsc::channel::<()>();
    let _ = wait.recv_timeout(time);
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "nothing".to_owned(),
        Value::String(text) => brief(text),
        value => brief(&value.to_string()),
    }
}

/// A stranger's text as it may go to a terminal, and no more of it than tells what it is.
fn brief(text: &str) -> String {
    visible(&cut(text.trim(), SHOWN_CHARS)).into_owned()
}
