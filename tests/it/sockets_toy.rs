//! What a route of sockets and its session may have of the platform, on the routes of a toy.

use std::net::SocketAddr;
use std::sync::Arc;

use http::{Method, StatusCode};
use inkring::clock::Clock;
use inkring::config::{self, Sources};
use inkring::feature::{Feature, House, Running, ShardParts, StartError};
use inkring::features;
use inkring::gate::{Call, Outcome, Route, Routes};
use inkring::hub::options::socket_limits;
use inkring::net::client::Ask;
use inkring::net::socket::Message;
use inkring::net::{Endpoint, Outgoing, Response, Session, SocketLimits, Ticket};
use inkring::observe::LogHandle;
use inkring::server::Server;
use inkring::settings::Settings;
use inkring::systemd::{Inherited, Notify};
use serde_json::{Value, json};

use crate::support::socket::Socket;
use crate::support::{Client, PATIENCE};

static SOCKETS: Feature = Feature::new("sockets", start);

/// One path for a socket and for plain requests, whose rest is a name with slashes.
const THINGS: &str = "/things/{*name}";

struct Sockets {
    limits: Arc<SocketLimits>,
}

fn start(settings: &Settings, _: &House) -> Result<Arc<dyn Running>, StartError> {
    Ok(Arc::new(Sockets { limits: Arc::new(socket_limits(settings)) }))
}

/// The sub-protocols that the toy speaks, the better one first.
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
    fn says(&self, path: &str) -> Value {
        let (answer, mut socket) = Socket::upgrade(self.client(), path, &[]);
        assert_eq!(answer.status, 101, "{path}: {answer:?}");
        socket.json()
    }

    /// The value of a sample.
    fn metric(&self, sample: &str) -> f64 {
        let private = self.server.private_endpoint().unwrap();
        let answer = Ask::get("/metrics").send(private, "localhost", PATIENCE);
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
        assert_eq!(toy.says(&path), about);
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
        toy.metric(&format!("http_requests_total{{method=\"{method}\",path=\"{THINGS}\",status=\"{status}\"}}"))
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
