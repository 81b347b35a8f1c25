//! What a route of sockets and its session may have of the platform, on the routes of a toy.

use std::net::SocketAddr;
use std::sync::Arc;

use http::{Method, StatusCode};
use inkring::clock::Clock;
use inkring::config::{self, Sources};
use inkring::feature::{Feature, House, Running, ShardParts, StartError};
use inkring::features;
use inkring::gate::{Call, Outcome, Route, Routes, Sender};
use inkring::hub::options::socket_limits;
use inkring::net::client::{Ask, Remote};
use inkring::net::socket::Message;
use inkring::net::{Endpoint, Outgoing, Response, Session, SocketLimits, Ticket};
use inkring::observe::LogHandle;
use inkring::server::Server;
use inkring::settings::Settings;
use inkring::systemd::{Inherited, Notify};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::support::socket::Socket;
use crate::support::{Client, PATIENCE};

static SOCKETS: Feature = Feature::new("sockets", start);

/// One path for a socket and for plain requests, whose rest is a name with slashes.
const THINGS: &str = "/things/{*name}";

/// One that says who has asked.
const WHO: &str = "/who";

struct Sockets {
    limits: Arc<SocketLimits>,
}

fn start(settings: &Settings, _: &House) -> Result<Arc<dyn Running>, StartError> {
    Ok(Arc::new(Sockets { limits: Arc::new(socket_limits(settings)) }))
}

/// The subprotocols that the toy speaks, the better one first.
const SPOKEN: [&str; 2] = ["toys.2", "toys.1"];

/// Says one thing, and echoes what comes.
struct Says {
    first: String,
    protocol: Option<&'static str>,
}

impl Session for Says {
    fn open(&mut self, _: Ticket, out: &mut Outgoing<'_>) {
        out.text(&self.first);
    }

    fn protocol(&self) -> Option<&str> {
        self.protocol
    }

    fn message(&mut self, message: &Message<'_>, out: &mut Outgoing<'_>) {
        if let Message::Text(text) = message {
            out.text(text);
        }
    }

    fn closed(&mut self, _: u16) {}
}

fn about(call: &Call<'_>) -> Value {
    json!({ "name": call.param("name"), "raw": call.raw_rest() })
}

fn sender(call: &Call<'_>) -> Value {
    match call.sender {
        Sender::Nobody => json!("nobody"),
        Sender::Refused(error) => json!({ "refused": error.message(), "status": error.status().as_u16() }),
        Sender::Known { user, claims } => {
            assert_eq!((call.user, call.claims()), (user, claims));
            json!({ "user": user, "rooms": claims.map(|claims| claims.get("rooms")) })
        }
    }
}

impl Running for Sockets {
    fn routes(&self, _: &ShardParts, routes: &mut Routes) {
        let limits = Arc::clone(&self.limits);
        let open = move |call: &Call<'_>| {
            let first = about(call).to_string();
            let protocol = match call.query {
                "rude" => Some("toys.0"),
                _ => SPOKEN.into_iter().find(|spoken| call.offered_protocols().any(|offered| offered == *spoken)),
            };
            Ok(Outcome::Socket(Box::new(Says { first, protocol }), Arc::clone(&limits)))
        };
        let plain = |call: &Call<'_>| {
            let what = json!({ "method": call.method.as_str(), "about": about(call) });
            Ok(Outcome::Now(Response::json(StatusCode::OK, what.to_string().into_bytes())))
        };
        let known = |call: &Call<'_>| {
            let what = json!({ "user": call.user, "sender": sender(call) });
            Ok(Outcome::Now(Response::json(StatusCode::OK, what.to_string().into_bytes())))
        };
        let limits = Arc::clone(&self.limits);
        let who = move |call: &Call<'_>| {
            let says = Says { first: sender(call).to_string(), protocol: None };
            Ok(Outcome::Socket(Box::new(says), Arc::clone(&limits)))
        };
        routes.add(Route::socket(WHO).with_query_token("token"), who);
        routes.add(Route::public(&Method::GET, WHO).for_either(), known);
        routes.add(Route::user(&Method::PUT, WHO), known);
        routes.add(Route::public(&Method::DELETE, WHO), known);
        routes.add(Route::socket(THINGS), open);
        routes.add(Route::public(&Method::GET, THINGS), plain);
        routes.add(Route::user(&Method::PUT, THINGS).taking(10), plain);
    }
}

/// A server with the toy.
struct ToyServer {
    address: SocketAddr,
    server: Server,
    _directory: tempfile::TempDir,
}

impl ToyServer {
    fn start(pairs: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = format!("sqlite:{}/toy.db", directory.path().display());
        let own = [("DATABASE_URL", &*database), ("LISTEN_ADDR", "127.0.0.1:0"), ("OPS_ADDR", "127.0.0.1:0")];
        let loaded = config::load(&Sources::from_pairs(&[&own, pairs].concat(), &[]), false).unwrap();
        let settings = loaded.settings;
        let list: Vec<&Feature> = features::FEATURES.iter().copied().chain([&SOCKETS]).collect();
        let (inherited, notify, logs) = (Inherited::default(), Notify::default(), LogHandle::default());
        let server = Server::start(&list, &settings, inherited, notify, &logs, Clock::system()).unwrap();
        let Endpoint::Tcp(address) = server.endpoints()[0] else { panic!("a TCP address was asked for") };
        Self { address, server, _directory: directory }
    }

    fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// What a socket at this path says first.
    fn says(&self, path: &str, headers: &[(&str, &str)]) -> Value {
        let (answer, mut socket) = Socket::upgrade(self.client(), path, headers);
        assert_eq!(answer.status, 101, "{path}: {answer:?}");
        socket.json()
    }

    /// The value of a sample.
    fn metric(&self, sample: &str) -> f64 {
        let private = self.server.private_endpoint().unwrap();
        let answer = Ask::get("/metrics").send(&Remote::at(private.clone()), PATIENCE);
        let text = answer.unwrap().text(1 << 20).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }
}

#[test]
fn a_socket_and_plain_requests_share_a_path_of_any_depth_and_have_its_rest_as_it_was_sent() {
    let toy = ToyServer::start(&[]);
    for (sent, decoded) in [
        ("a", "a"),
        ("a/b//c/", "a/b//c/"),
        ("a%2Fb", "a/b"),
        ("%80", "\u{fffd}"),
        ("%zz", "%zz"),
        ("/a", "/a"),
        ("%D0%BA%D1%96%D0%BC%D0%BD%D0%B0%D1%82%D0%B0", "кімната"),
        ("кімната", "кімната"),
        ("health", "health"),
    ] {
        let path = format!("/things/{sent}");
        let about = json!({ "name": decoded, "raw": sent });
        assert_eq!(toy.says(&path, &[]), about);
        let mut client = toy.client();
        let plain = |method: &str| json!({ "method": method, "about": about });
        assert_eq!(client.request("GET", &path, &[], b"").expect(200), plain("GET"));
        assert_eq!(client.request("PUT", &path, &[("X-User-Id", "ann")], b"x").expect(200), plain("PUT"));
    }
    let mut client = toy.client();
    assert_eq!(client.request("PUT", "/things/a", &[], b"x").status, 401, "each route asks what it asks");
    assert_eq!(client.request("PUT", "/things/a", &[("X-User-Id", "ann")], b"12345678901").status, 413);
    drop(client);
    let mut client = toy.client();
    let refused = client.request("DELETE", "/things/a", &[], b"");
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD, PUT")));
    client.send("HEAD /things/a HTTP/1.1\r\nHost: t\r\n\r\n");
    assert_eq!(client.answer_to_head().status, 200);
    client.send(b"GET /things/\xff HTTP/1.1\r\nHost: t\r\n\r\n");
    assert_eq!(client.answer().status, 400, "a path is UTF-8, or escaped");
    let counted = |method, status| {
        toy.metric(&format!("inkring_http_requests_total{{method=\"{method}\",path=\"{THINGS}\",status=\"{status}\"}}"))
    };
    assert_eq!([counted("GET", "101"), counted("GET", "200"), counted("PUT", "200")], [9.0, 9.0, 9.0]);
    drop(client);
    toy.server.stop();
}

#[test]
fn a_session_answers_one_of_the_sub_protocols_that_were_offered_and_never_a_token() {
    let toy = ToyServer::start(&[]);
    for (path, offered, answered) in [
        ("/things/a", &["toys.1, toys.2"][..], Some("toys.2")),
        ("/things/a", &["toys.1", "bearer, toys.2"], Some("toys.1")),
        ("/things/a", &["bearer, abc, toys.1"], Some("toys.1")),
        ("/things/a", &["bearer, toys.1"], Some("bearer")),
        ("/things/a", &["toys.3"], None),
        ("/things/a", &[], None),
        // What was not offered is not answered, whatever the session says.
        ("/things/a?rude", &["toys.1"], None),
    ] {
        let headers: Vec<_> = offered.iter().map(|offered| ("Sec-WebSocket-Protocol", *offered)).collect();
        let (answer, _) = Socket::upgrade(toy.client(), path, &headers);
        assert_eq!((answer.status, answer.header("sec-websocket-protocol")), (101, answered), "{offered:?}");
    }
    toy.server.stop();
}

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn token(claims: &Value) -> String {
    encode(&Header::default(), claims, &EncodingKey::from_secret(KEY.as_bytes())).unwrap()
}

#[test]
fn a_socket_is_told_who_opens_it_from_nobody_and_from_a_token_that_is_not_good() {
    let toy = ToyServer::start(&[("JWT_SECRET", KEY)]);
    let good = token(&json!({ "sub": "ann", "rooms": ["a", "b/*"] }));
    let other = token(&json!({ "userId": "bob" }));
    let old = token(&json!({ "sub": "ann", "exp": 1_766_484_000 }));
    let ann = json!({ "user": "ann", "rooms": ["a", "b/*"] });
    let bob = json!({ "user": "bob", "rooms": null });
    let refused = |message: &str, status: u16| json!({ "refused": message, "status": status });
    let bearer = |token: &str| format!("Bearer {token}");
    let protocol = |token: &str| format!("chat, bearer.{token}");
    for (query, headers, expected) in [
        ("", vec![], json!("nobody")),
        ("", vec![("X-User-Id", "cid".to_owned())], json!({ "user": "cid", "rooms": null })),
        (
            "",
            vec![("X-User-Id", "x".repeat(101))],
            refused("header.X-User-Id: String should have at most 100 characters", 422),
        ),
        ("", vec![("Authorization", bearer(&good))], ann.clone()),
        ("", vec![("Authorization", bearer(&other))], bob.clone()),
        ("", vec![("Authorization", bearer(&old)), ("X-User-Id", "cid".to_owned())], refused("Token expired", 401)),
        ("", vec![("Sec-WebSocket-Protocol", protocol(&good))], ann.clone()),
        ("", vec![("Sec-WebSocket-Protocol", protocol("x"))], refused("Invalid token", 401)),
        (&*format!("?token={good}"), vec![], ann.clone()),
        (&*format!("?access_token={good}&token={good}"), vec![], ann.clone()),
        (&*format!("?access_token={good}&token={other}"), vec![], refused("Invalid token", 401)),
        (&*format!("?token={good}"), vec![("Sec-WebSocket-Protocol", protocol(&other))], bob),
    ] {
        let sent: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(toy.says(&format!("/who{query}"), &sent), expected, "{query} {headers:?}");
    }
    let failed = |reason| toy.metric(&format!("inkring_auth_failures_total{{reason=\"{reason}\"}}"));
    assert_eq!([failed("missing"), failed("expired"), failed("several")], [1.0, 1.0, 1.0]);

    // Plain requests to the same path: who may be anyone, who has to be known, and where nobody asks.
    let mut client = toy.client();
    let mut ask = |method: &str, query: &str, headers: &[(&str, &str)]| {
        client.request(method, &format!("/who{query}"), headers, b"")
    };
    let (known, by_token) = (json!({ "user": "ann", "sender": ann }), [("Authorization", &*bearer(&good))]);
    let nobody = json!({ "user": "", "sender": "nobody" });
    assert_eq!(ask("GET", "", &[]).expect(200), nobody);
    assert_eq!(ask("GET", &format!("?token={good}"), &[]).expect(200), nobody, "only sockets have it in the query");
    assert_eq!(ask("GET", "", &by_token).expect(200), known);
    assert_eq!(ask("GET", "", &[("Authorization", &bearer(&old))]).expect_error(401).1, "Token expired");
    assert_eq!(ask("GET", "", &[("X-User-Id", &"x".repeat(101))]).status, 422);
    assert_eq!(ask("PUT", "", &by_token).expect(200), known);
    assert_eq!(ask("PUT", "", &[]).status, 401);
    assert_eq!(ask("DELETE", "", &[("Authorization", &bearer(&old))]).expect(200), nobody);
    drop(client);
    toy.server.stop();
}
