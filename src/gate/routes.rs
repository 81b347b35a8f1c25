//! Which paths there are, what each asks for, and who answers.

use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::Method;

use super::call::{Call, Outcome};
use super::counters::{Counters, RouteMetrics, UNMATCHED};
use super::error::ApiError;
use super::headers::Headers;
use super::limit::RatePolicy;
use crate::net::Pace;

/// Answers one kind of request. Runs on a shard: must not block.
pub type Handler = Box<dyn Fn(&Call<'_>) -> Result<Outcome, ApiError>>;

/// Whether a route asks who is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone, and nobody is asked who they are.
    Public,
    /// Anyone as far as the gate goes: the handler looks at the token. One that is not good is a 401.
    Either,
    /// Only who says who they are: 401 otherwise, before the request's shape is looked at.
    User,
    /// Only WebSockets: 404 for anything else, unless there is a route for it on the same template. Who is not known is let in, to
    /// be told so in a frame.
    Socket,
}

/// Whether a route reads a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Whatever body comes is ignored.
    Nothing,
    /// JSON: what cannot be parsed is a 422 before anything else.
    Json,
    /// JSON: what cannot be parsed is for the handler to refuse, which has something to ask first.
    JsonLater,
    /// Whatever it is, as it is.
    Bytes,
    /// Nothing of it before the handler has said what takes it, piece by piece.
    Stream,
}

/// How slowly a stream may come where its route says nothing else.
pub const PACE: Pace = Pace {
    stall: Duration::from_secs(STREAM_STALL_SECONDS),
    grace: Duration::from_secs(STREAM_GRACE_SECONDS),
    bytes_per_second: STREAM_MIN_BYTES_PER_SECOND,
};

/// How long nothing may come of a stream.
pub(super) const STREAM_STALL_SECONDS: u64 = 30;
/// How long it may take before its rate counts.
pub(super) const STREAM_GRACE_SECONDS: u64 = 30;
/// From then on, its average since the head.
pub(super) const STREAM_MIN_BYTES_PER_SECOND: u64 = 2048;
/// A route's own bound of a body that is held whole. It is read before anybody has asked who sends it, so what is larger comes
/// as a stream.
pub(super) const WHOLE_BODY_MAX_BYTES: usize = 1024 * 1024;

/// How loudly the completion of a request is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Something a person or program wanted.
    Ordinary,
    /// A probe, every few seconds for ever: logged at debug only.
    Probe,
}

/// One method of one path, as data: what is served, documented and counted by it.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// The method.
    pub method: &'static Method,
    /// The path with its variable parts in braces: `/v1/ws/things/{thing_id}`. The last one may be the rest of the path, slashes
    /// and all: `/things/{*rest}`.
    pub template: &'static str,
    /// Asks for an identity or not.
    pub access: Access,
    /// Reads a body or not.
    pub reads: Reads,
    /// Bytes of body that it takes; none for what the gate takes anyway.
    pub body_bytes: Option<usize>,
    /// How slowly a stream may come.
    pub pace: Pace,
    /// What its answers carry; none for what the gate's carry anyway.
    pub headers: Option<&'static Headers>,
    /// What counts its requests.
    pub rate: RatePolicy,
    /// Whether `HEAD` is served as `GET` without its body.
    pub with_head: bool,
    /// Ordinary or a probe.
    pub kind: Kind,
    /// For sockets: a name besides `access_token` under which their token may stand in the query.
    pub query_token: Option<&'static str>,
    /// The part of the path that the log shows, under its name: what a request is about.
    pub subject: Option<&'static str>,
    /// What it does, in the imperative.
    pub does: &'static str,
}

impl Route {
    /// A route for anyone that reads no body. Say what it [`Route::does`].
    #[must_use]
    pub const fn public(method: &'static Method, template: &'static str) -> Self {
        Self {
            method,
            template,
            access: Access::Public,
            reads: Reads::Nothing,
            body_bytes: None,
            pace: PACE,
            headers: None,
            rate: RatePolicy::Default,
            with_head: true,
            kind: Kind::Ordinary,
            query_token: None,
            subject: None,
            does: "",
        }
    }

    /// A route for known users that reads no body.
    #[must_use]
    pub const fn user(method: &'static Method, template: &'static str) -> Self {
        Self::public(method, template).for_users()
    }

    /// A route for known users that reads JSON.
    #[must_use]
    pub const fn json(method: &'static Method, template: &'static str) -> Self {
        Self { reads: Reads::Json, ..Self::user(method, template) }
    }

    /// The same with JSON that its handler hears of even if it cannot be parsed; other bodies as they were.
    #[must_use]
    pub fn heard_before_json(self) -> Self {
        let reads = if self.reads == Reads::Json { Reads::JsonLater } else { self.reads };
        Self { reads, ..self }
    }

    /// The same for anyone, and nobody is asked who they are.
    #[must_use]
    pub const fn anyone(self) -> Self {
        Self { access: Access::Public, ..self }
    }

    /// A route for WebSockets.
    #[must_use]
    pub const fn socket(template: &'static str) -> Self {
        Self { access: Access::Socket, ..Self::public(&Method::GET, template) }
    }

    /// The same for known users.
    #[must_use]
    pub const fn for_users(self) -> Self {
        Self { access: Access::User, ..self }
    }

    /// The same for anyone, of whom those are known who show who they are.
    #[must_use]
    pub const fn for_either(self) -> Self {
        Self { access: Access::Either, ..self }
    }

    /// The same for sockets whose token may also stand in the query under this name. Prefer `access_token`, which always may.
    #[must_use]
    pub const fn with_query_token(self, name: &'static str) -> Self {
        Self { query_token: Some(name), ..self }
    }

    /// The same, and what it does.
    #[must_use]
    pub const fn does(self, does: &'static str) -> Self {
        Self { does, ..self }
    }

    /// The same with a body that is handed over as it is once it is whole, of so many bytes at most: of a mebibyte, or the
    /// server does not start.
    #[must_use]
    pub const fn taking(self, body_bytes: usize) -> Self {
        Self { reads: Reads::Bytes, body_bytes: Some(body_bytes), ..self }
    }

    /// The same with a body that its handler takes piece by piece, of so many bytes at most. Nothing of it is read from those
    /// who have no business here.
    #[must_use]
    pub const fn streaming(self, body_bytes: usize) -> Self {
        Self { reads: Reads::Stream, body_bytes: Some(body_bytes), ..self }
    }

    /// The same with another pace of its stream.
    #[must_use]
    pub const fn paced(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    /// The same with other headers on its answers than the gate's.
    #[must_use]
    pub const fn carrying(self, headers: &'static Headers) -> Self {
        Self { headers: Some(headers), ..self }
    }

    /// The same, counted as a mutation: one may ask half as often.
    #[must_use]
    pub const fn mutation(self) -> Self {
        Self { rate: RatePolicy::Mutation, ..self }
    }

    /// The same, counted by a rule of its feature's own and by nothing else: its handler asks that before it reads anything.
    #[must_use]
    pub const fn counted_by_itself(self) -> Self {
        Self { rate: RatePolicy::Own, ..self }
    }

    /// The same, but `HEAD` is refused: asking does something.
    #[must_use]
    pub const fn without_head(self) -> Self {
        Self { with_head: false, ..self }
    }

    /// The same, about what this part of its path names: the log shows it under that name.
    #[must_use]
    pub const fn about(self, subject: &'static str) -> Self {
        Self { subject: Some(subject), ..self }
    }

    /// Whether it is one for WebSockets.
    #[must_use]
    pub fn is_socket(&self) -> bool {
        self.access == Access::Socket
    }

    /// The same as a probe.
    #[must_use]
    pub const fn probe(self) -> Self {
        Self { kind: Kind::Probe, ..self }
    }
}

/// What `docs/PATHS.md` says before its tables.
const INTRODUCTION: &str = include_str!("paths.md");

/// The text of `docs/PATHS.md`: the routes of each of these parts, below its name.
#[must_use]
pub fn paths(parts: &[(&str, Vec<Route>)]) -> String {
    let mut text = String::from(INTRODUCTION);
    for (name, routes) in parts {
        let (first, rest) = name.split_at(name.len().min(1));
        let _ = write!(text, "\n## {}{rest}\n\n{}", first.to_ascii_uppercase(), table(routes));
    }
    text
}

/// The table of these routes.
fn table(routes: &[Route]) -> String {
    let mut text = String::from("| request | what it does | who may | body | counted as |\n|---|---|---|---|---|\n");
    for Route { method, template, does, access, reads, body_bytes, rate, kind, .. } in routes {
        let who = match access {
            Access::Public => "anyone",
            Access::Either => "users whose token allows it",
            Access::User => "users",
            Access::Socket => "users, by WebSocket",
        };
        let form = match reads {
            Reads::Nothing => "",
            Reads::Json | Reads::JsonLater => "JSON",
            Reads::Bytes => "bytes",
            Reads::Stream => "a stream",
        };
        let body = body_bytes.map_or_else(|| form.to_owned(), |most| format!("{form}, at most {most} bytes"));
        let counted = match (kind, access, rate) {
            (Kind::Probe, ..) | (_, Access::Socket, _) => "nothing",
            (_, _, RatePolicy::Default) => "`default`",
            (_, _, RatePolicy::Mutation) => "`mutation`",
            (_, _, RatePolicy::Own) => "a separate limit",
        };
        let _ = writeln!(text, "| `{method} {template}` | {does} | {who} | {body} | {counted} |");
    }
    text
}

/// The same of routes for the operator, as in `docs/OPS_API.md`.
#[must_use]
pub fn operator_table(routes: &[Route]) -> String {
    let mut text = String::from("| request | what it does |\n|---|---|\n");
    for Route { method, template, does, .. } in routes {
        let _ = writeln!(text, "| `{method} {template}` | {does} |");
    }
    text
}

/// The methods of one path.
struct Methods {
    template: &'static str,
    routes: Vec<(Route, Handler)>,
    metrics: Rc<RouteMetrics>,
}

/// All routes of one shard, with what counts their requests.
pub struct Routes {
    /// Both spellings of each path, with and without a slash at its end, and which of the methods they have.
    paths: matchit::Router<usize>,
    methods: Vec<Methods>,
    pub(super) metrics: Arc<Counters>,
    /// For requests that have no route.
    pub(super) unmatched: Rc<RouteMetrics>,
    /// What routes are about, each name once.
    subjects: Rc<[&'static str]>,
    turn_ends: Vec<TurnEnd>,
}

/// What a feature does on a shard when all that was ready has been served.
type TurnEnd = Box<dyn Fn()>;

impl Default for Routes {
    fn default() -> Self {
        Self::counted_by(Arc::default())
    }
}

/// What a path and method lead to.
pub(super) enum Found<'r, 'p> {
    Route(&'r Route, &'r Handler, &'r Rc<RouteMetrics>, matchit::Params<'r, 'p>),
    /// The path exists, for these methods only.
    OtherMethods(String),
    Nothing,
}

impl Routes {
    /// No routes, of which nobody sees what is counted.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No routes. What is asked of those to come is counted here.
    #[must_use]
    pub fn counted_by(metrics: Arc<Counters>) -> Self {
        let unmatched = Rc::new(metrics.route(UNMATCHED));
        let (methods, turn_ends) = (Vec::new(), Vec::new());
        Self { paths: matchit::Router::new(), methods, metrics, unmatched, subjects: Rc::default(), turn_ends }
    }

    /// Adds a route, which its owner has declared, and who answers. One template may have a route for sockets and another for
    /// plain `GET`s: what asks for an upgrade goes to the first.
    ///
    /// # Panics
    /// When the template is malformed, at odds with another or there already, or more than a mebibyte of a body is to be held
    /// whole: a mistake in the program, met by the first start of any test.
    pub fn add(&mut self, route: Route, handler: impl Fn(&Call<'_>) -> Result<Outcome, ApiError> + 'static) {
        let (template, handler) = (route.template, Box::new(handler));
        let whole = route.body_bytes.filter(|_| route.reads != Reads::Stream);
        assert!(
            whole.is_none_or(|bytes| bytes <= WHOLE_BODY_MAX_BYTES),
            "route {template}: {whole:?} bytes held whole"
        );
        if let Some(subject) = route.subject.filter(|subject| !self.subjects.contains(subject)) {
            self.subjects = self.subjects.iter().copied().chain([subject]).collect();
        }
        if let Some(methods) = self.methods.iter_mut().find(|methods| methods.template == template) {
            let (method, is_socket) = (route.method, route.is_socket());
            let there = methods.of(method).any(|(there, _)| there.is_socket() == is_socket);
            assert!(!there, "route {method} {template} is there twice");
            methods.routes.push((route, handler));
            return;
        }
        let metrics = Rc::new(self.metrics.route(template));
        for spelling in spellings(template) {
            let inserted = self.paths.insert(spelling, self.methods.len());
            inserted.unwrap_or_else(|error| panic!("route {template}: {error}"));
        }
        self.methods.push(Methods { template, routes: vec![(route, handler)], metrics });
    }

    /// Has this done on the shard whenever all that was ready has been served, before it waits for more: what requests of one turn have
    /// in common, such as handing over what they are all answered by, is done once for all of them. Must not block.
    pub fn at_turn_end(&mut self, work: impl Fn() + 'static) {
        self.turn_ends.push(Box::new(work));
    }

    /// What is done then, in the order in which it was added.
    pub(super) fn turn_ends(&self) -> impl Iterator<Item = &TurnEnd> {
        self.turn_ends.iter()
    }

    /// Whether a route of this method and template was added so far.
    #[must_use]
    pub fn serves(&self, method: &Method, template: &str) -> bool {
        let there = self.methods.iter().find(|methods| methods.template == template);
        there.is_some_and(|methods| methods.of(method).next().is_some())
    }

    /// The templates that were added so far, each once.
    pub fn templates(&self) -> impl Iterator<Item = &'static str> {
        self.methods.iter().map(|methods| methods.template)
    }

    /// The route of a decoded path. `HEAD` is served by `GET` routes. Whether the request asks for a socket is only looked at where
    /// it makes a difference.
    pub(super) fn find<'r, 'p>(
        &'r self,
        method: &Method,
        path: &'p str,
        upgrades: impl FnOnce() -> bool,
    ) -> Found<'r, 'p> {
        let Ok(matchit::Match { value, params }) = self.paths.at(path) else { return Found::Nothing };
        let Some(value) = self.methods.get(*value) else { return Found::Nothing };
        let is_head = method == Method::HEAD;
        let wanted = if is_head { &Method::GET } else { method };
        let mut those = value.of(wanted).filter(|(route, _)| route.with_head || !is_head);
        let (first, second) = (those.next(), those.next());
        let found = match (first, second) {
            (Some(first), Some(second)) => Some(if first.0.is_socket() == upgrades() { first } else { second }),
            (first, _) => first,
        };
        match found {
            Some((route, handler)) => Found::Route(route, handler, &value.metrics, params),
            None => Found::OtherMethods(value.allow()),
        }
    }

    /// The names of what routes are about, in the order in which they came.
    pub(super) fn subjects(&self) -> Rc<[&'static str]> {
        Rc::clone(&self.subjects)
    }
}

/// A path as it is added, and the same with one slash more or less at its end: whoever asks for either is answered, and sent
/// nowhere else (contract 01 §0.3 redirects, which breaks behind a proxy for TLS and repeats tokens of the query). What takes
/// any path has no other spelling.
fn spellings(template: &'static str) -> impl Iterator<Item = String> {
    let other = match template.strip_suffix('/') {
        Some(shorter) => Some(shorter.to_owned()).filter(|shorter| !shorter.is_empty()),
        None if template.contains("{*") => None,
        None => Some(format!("{template}/")),
    };
    [template.to_owned()].into_iter().chain(other)
}

impl Methods {
    /// The routes of one method: two at most, of which one is for sockets.
    fn of(&self, method: &Method) -> impl Iterator<Item = &(Route, Handler)> {
        self.routes.iter().filter(move |(route, _)| route.method == method)
    }

    /// The value of `Allow`.
    fn allow(&self) -> String {
        let mut names: Vec<&str> = Vec::new();
        for (route, _) in &self.routes {
            let head = (route.method == Method::GET && route.with_head).then_some("HEAD");
            for name in [route.method.as_str()].into_iter().chain(head) {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::net::Response;

    fn nothing(_: &Call<'_>) -> Result<Outcome, ApiError> {
        Ok(Outcome::Now(Response::empty(StatusCode::OK)))
    }

    /// Where a request leads that asks for no socket.
    fn found<'r, 'p>(routes: &'r Routes, method: &Method, path: &'p str) -> Found<'r, 'p> {
        routes.find(method, path, || false)
    }

    #[test]
    fn paths_lead_to_their_methods() {
        let mut routes = Routes::new();
        routes.add(Route::public(&Method::POST, "/things"), nothing);
        routes.add(Route::public(&Method::GET, "/things"), nothing);
        routes.add(Route::public(&Method::GET, "/things/{thing_id}").about("thing_id"), nothing);
        routes.add(Route::public(&Method::PUT, "/things/{thing_id}").about("thing_id"), nothing);
        let Found::Route(route, _, _, params) = found(&routes, &Method::HEAD, "/things/a b") else { panic!() };
        assert_eq!((route.template, params.get("thing_id")), ("/things/{thing_id}", Some("a b")));
        assert_eq!((route.subject, &*routes.subjects()), (Some("thing_id"), &["thing_id"][..]));
        let Found::OtherMethods(allow) = found(&routes, &Method::DELETE, "/things") else { panic!() };
        assert_eq!(allow, "POST, GET, HEAD");
        let Found::Route(route, _, _, params) = found(&routes, &Method::PUT, "/things/a/") else { panic!() };
        assert_eq!((route.template, params.get("thing_id")), ("/things/{thing_id}", Some("a")));
        let Found::OtherMethods(allow) = found(&routes, &Method::DELETE, "/things/") else { panic!() };
        assert_eq!(allow, "POST, GET, HEAD");
        for nowhere in ["/thing", "/things//", "/things/a//", "//things", "/things/a/b", "things", "*", ""] {
            assert!(matches!(found(&routes, &Method::GET, nowhere), Found::Nothing), "{nowhere}");
        }
    }

    #[test]
    fn a_socket_and_plain_requests_share_a_template() {
        let mut routes = Routes::new();
        routes.add(Route::public(&Method::PUT, "/things/{*rest}"), nothing);
        routes.add(Route::socket("/things/{*rest}"), nothing);
        let is_socket =
            |routes: &Routes, method: &Method, upgrades| match routes.find(method, "/things/a/b/", || upgrades) {
                Found::Route(route, ..) => Some(route.is_socket()),
                _ => None,
            };
        assert_eq!(is_socket(&routes, &Method::GET, false), Some(true), "to be told that it is one for sockets");
        routes.add(Route::public(&Method::GET, "/things/{*rest}"), nothing);
        for (method, upgrades, expected) in [
            (Method::GET, true, Some(true)),
            (Method::GET, false, Some(false)),
            (Method::PUT, true, Some(false)),
            (Method::DELETE, false, None),
        ] {
            assert_eq!(is_socket(&routes, &method, upgrades), expected, "{method} {upgrades}");
        }
        let Found::OtherMethods(allow) = found(&routes, &Method::DELETE, "/things/a") else { panic!() };
        assert_eq!(allow, "PUT, GET, HEAD");
        let Found::Route(_, _, _, params) = found(&routes, &Method::HEAD, "/things//a//b/") else { panic!() };
        assert_eq!(params.get("rest"), Some("/a//b/"));
        assert!(matches!(found(&routes, &Method::GET, "/things/"), Found::Nothing), "a rest of nothing");
    }

    #[test]
    #[should_panic(expected = "route GET /things is there twice")]
    fn no_request_has_two_routes() {
        let mut routes = Routes::new();
        routes.add(Route::socket("/things"), nothing);
        routes.add(Route::public(&Method::GET, "/things"), nothing);
        routes.add(Route::user(&Method::GET, "/things"), nothing);
    }

    #[test]
    #[should_panic(expected = "route /drafts: Some(1048577) bytes held whole")]
    fn a_large_body_is_not_held_whole() {
        let mut routes = Routes::new();
        routes.add(Route::public(&Method::PUT, "/drafts").streaming(1 << 30), nothing);
        routes.add(Route::public(&Method::POST, "/drafts").taking(WHOLE_BODY_MAX_BYTES), nothing);
        routes.add(Route::public(&Method::PATCH, "/drafts").taking(WHOLE_BODY_MAX_BYTES + 1), nothing);
    }
}
