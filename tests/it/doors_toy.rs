//! A feature may have a door of its own: further places to listen, with other routes, on the same shards and within the same
//! bounds.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

use http::{Method, StatusCode};
use inkring::clock::Clock;
use inkring::config::{self, Sources};
use inkring::feature::{Feature, House, OwnDoor, Running, ShardParts, StartError};
use inkring::features;
use inkring::gate::{Call, Outcome, Route, Routes};
use inkring::net::client::{Ask, Remote};
use inkring::net::{Endpoint, Response};
use inkring::observe::LogHandle;
use inkring::server::{self, Server};
use inkring::settings::{self, Kind, Knob, Section, Settings};
use inkring::systemd::{Inherited, Notify};

use crate::support::{Client, PATIENCE, wait_for};

static TOYS: Section = Section { title: "Toys", after: None };
static ADDR: Knob = Knob::new(&TOYS, "TOY_ADDR", Kind::Endpoint, "off").meaning("Where the toys are by themselves.");
static TOY: Feature = Feature {
    knobs: &[&ADDR],
    doors: &[OwnDoor {
        name: "toys",
        knob: &ADDR,
        places: |settings| settings.endpoint(&ADDR).cloned().into_iter().collect(),
    }],
    ..Feature::new("toy", start)
};

struct Toy;

fn start(_: &Settings, _: &House) -> Result<Arc<dyn Running>, StartError> {
    Ok(Arc::new(Toy))
}

fn says(word: &'static str) -> impl Fn(&Call<'_>) -> Result<Outcome, inkring::gate::ApiError> {
    move |_: &Call<'_>| Ok(Outcome::Now(Response::text(StatusCode::OK, word)))
}

impl Running for Toy {
    fn routes(&self, _: &ShardParts, routes: &mut Routes) {
        routes.add(Route::public(&Method::GET, "/toy"), says("among all"));
    }

    fn door_routes(&self, door: &str, _: &ShardParts, routes: &mut Routes) {
        assert_eq!(door, "toys");
        routes.add(Route::public(&Method::GET, "/{*toy}"), says("by itself"));
        routes.add(Route::user(&Method::PUT, "/{*toy}"), says("by itself"));
    }
}

/// A server in this directory whose toys are at this place.
fn start_at(directory: &Path, place: &str, pairs: &[(&str, &str)]) -> Result<Server, server::StartError> {
    let database = format!("sqlite:{}/toy.db", directory.display());
    let own = [("DATABASE_URL", &*database), ("LISTEN_ADDR", "127.0.0.1:0"), ("OPS_ADDR", "127.0.0.1:0")];
    let loaded = config::load(&Sources::from_pairs(&[&own, pairs].concat(), &[]), false).unwrap();
    let value = config::parse::parse(&ADDR, ADDR.name, place).unwrap();
    let place = settings::Setting { knob: &ADDR, value, origin: settings::Origin::SettingsFile };
    let settings = Settings::new(loaded.settings.iter().cloned().chain([place]).collect(), false);
    let list: Vec<&Feature> = features::FEATURES.iter().copied().chain([&TOY]).collect();
    let (inherited, notify, logs) = (Inherited::default(), Notify::default(), LogHandle::default());
    Server::start(&list, &settings, inherited, notify, &logs, Clock::system())
}

fn places(server: &Server) -> (SocketAddr, SocketAddr) {
    let (Endpoint::Tcp(public), [("toys", Endpoint::Tcp(own))]) =
        (&server.endpoints()[0], &server.own_endpoints().collect::<Vec<_>>()[..])
    else {
        panic!("one place each")
    };
    assert_eq!(server.endpoints().len(), 1);
    (*public, *own)
}

fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let answer = Client::connect(address).get(path, None);
    (answer.status, answer.text().to_owned())
}

#[test]
fn a_door_of_its_own_has_its_own_routes_and_none_of_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let server = start_at(directory.path(), "127.0.0.1:0", &[("ALLOWED_ORIGINS", "https://a.example")]).unwrap();
    let (public, own) = places(&server);
    let (among_all, by_itself) = ((200, "among all".to_owned()), (200, "by itself".to_owned()));
    assert_eq!(
        [get(public, "/toy"), get(own, "/toy"), get(own, "/a/b")],
        [among_all, by_itself.clone(), by_itself.clone()]
    );
    assert_eq!((get(public, "/a/b").0, get(public, "/healthz").0), (404, 200));
    assert_eq!(get(own, "/healthz"), by_itself, "nothing is served here but what it adds");
    // It is the same gate.
    let mut client = Client::connect(own);
    assert_eq!(client.request("PUT", "/a", &[], b"").expect_error(401).0, "http_error");
    let from = client.request("GET", "/a", &[("Origin", "https://a.example")], b"");
    assert_eq!(from.header("access-control-allow-origin"), Some("https://a.example"));
    let metrics = Ask::get("/metrics").send(&Remote::at(server.private_endpoint().unwrap().clone()), PATIENCE).unwrap();
    let metrics = metrics.text(1 << 20).unwrap();
    assert!(
        metrics.contains("inkring_http_requests_total{method=\"GET\",path=\"/{*toy}\",status=\"200\"} 4\n"),
        "{metrics}"
    );
    drop(client);
    server.stop();
    assert!(TcpStream::connect(own).is_err(), "closed with the others");
}

#[test]
fn a_door_of_its_own_may_be_a_unix_socket_or_none_and_is_refused_where_somebody_else_is() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("toys.sock");
    let place = format!("unix:{}", socket.display());
    let server = start_at(directory.path(), &place, &[]).unwrap();
    let there = Endpoint::Unix(socket.clone());
    assert_eq!(server.own_endpoints().collect::<Vec<_>>(), [("toys", &there)]);
    assert_eq!(Ask::get("/a").send(&Remote::at(there.clone()), PATIENCE).unwrap().text(99).unwrap(), "by itself");
    server.stop();
    assert!(!socket.exists(), "its file goes with it");
    let server = start_at(directory.path(), "off", &[]).unwrap();
    assert_eq!(server.own_endpoints().count(), 0);
    server.stop();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().to_string();
    let refused = start_at(directory.path(), &taken, &[]).err().unwrap().to_string();
    assert!(refused.starts_with(&format!("cannot listen on TOY_ADDR={taken}: ")), "{refused}");
}

#[test]
fn connections_through_it_count_with_all_others() {
    let directory = tempfile::tempdir().unwrap();
    let server = start_at(directory.path(), "127.0.0.1:0", &[("MAX_CONNECTIONS_PER_ADDRESS", "2")]).unwrap();
    let (public, own) = places(&server);
    let mut held = [Client::connect(public), Client::connect(own)];
    assert_eq!(held.each_mut().map(|client| client.get("/toy", None).status), [200, 200]);
    for address in [own, public] {
        assert_eq!(Client::connect(address).get("/toy", None).status, 503);
    }
    let [_public, through_own] = held;
    drop(through_own);
    wait_for(|| (Client::connect(public).get("/toy", None).status == 200).then_some(()));
    server.stop();
}
