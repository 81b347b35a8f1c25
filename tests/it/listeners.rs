//! Several places to listen, among them a Unix socket.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::support::{Client, Server, inkring};

/// What is answered to this request, head and body.
pub fn ask(socket: &Path, request: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.write_all(format!("{request}Host: t\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn both(socket: &Path) -> String {
    format!("127.0.0.1:0,127.0.0.2:0,unix:{}", socket.display())
}

#[test]
fn each_place_is_served_and_the_sockets_file_comes_and_goes_with_the_server() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("http");
    let mut server = Server::with(&[("LISTEN_ADDR", &both(&socket))]);
    let started = server.wait_for_log(|line| line["message"] == "server.started");
    let places: Vec<&str> = started["address"].as_str().unwrap().split(',').collect();
    assert_eq!(places.len(), 3, "{places:?}");
    for place in &places[..2] {
        assert_eq!(Client::connect(place.parse().unwrap()).get("/healthz", None).status, 200, "{place}");
    }
    assert!(ask(&socket, "GET /healthz HTTP/1.1\r\n").starts_with("HTTP/1.1 200 OK\r\n"));
    let draft = server.create_draft("alice");
    let shown = ask(&socket, &format!("GET /v1/collab/drafts/{draft} HTTP/1.1\r\nX-User-Id: alice\r\n"));
    assert!(shown.starts_with("HTTP/1.1 200 OK\r\n") && shown.contains(&draft), "{shown}");
    assert_eq!(socket.metadata().unwrap().permissions().mode() & 0o777, 0o660);
    // Killed, it leaves its file behind, which the next one replaces.
    server.kill();
    assert!(socket.exists());
    server.launch();
    assert!(ask(&socket, "GET /readyz HTTP/1.1\r\n").starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(server.terminate().code(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn a_proxy_at_the_socket_is_believed_only_if_that_is_said() {
    for trusted in ["127.0.0.1", "unix"] {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("http");
        let limits = [("RATE_LIMIT_ENABLED", "true"), ("RATE_LIMIT_BURST_DEFAULT", "1")];
        let places = both(&socket);
        let settings = [("LISTEN_ADDR", places.as_str()), ("TRUSTED_PROXIES", trusted)];
        let server = Server::with(&[&settings[..], &limits].concat());
        // Ten times the burst is what an address may do; whoever is trusted speaks for as many addresses.
        let statuses = (0..30).map(|number| {
            let request = format!("GET /v1/nothing HTTP/1.1\r\nX-Forwarded-For: 192.0.2.{number}\r\n");
            ask(&socket, &request)[9..12].to_owned()
        });
        let limited = statuses.filter(|status| status == "429").count();
        assert_eq!(limited > 0, trusted != "unix", "{trusted}: {limited}");
        if trusted != "unix" {
            let warned = server.wait_for_log(|line| line["message"] == "proxy.header_not_trusted");
            assert_eq!(warned["peer"], "unix");
        }
    }
}

#[test]
fn the_verbs_find_a_server_at_its_socket() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("http");
    let _server = Server::with(&[("LISTEN_ADDR", &both(&socket))]);
    let place = format!("unix:{}", socket.display());
    let run = |arguments: &[&str], listen: &str| {
        let output = inkring(directory.path()).args(arguments).env("LISTEN_ADDR", listen).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    for (arguments, listen) in [
        (&["healthcheck"][..], place.as_str()),
        // A port that is chosen at the start is passed over.
        (&["healthcheck"], &format!("127.0.0.1:0,{place}")),
        (&["healthcheck", "--url", &place], "127.0.0.1:0"),
    ] {
        let (code, said) = run(arguments, listen);
        assert_eq!((code, said.as_str()), (Some(0), format!("ready: {place} /readyz\n").as_str()), "{arguments:?}");
    }
    let (code, said) = run(&["smoke", "--base-url", &place], "127.0.0.1:0");
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = run(&["check-config"], &place);
    assert_eq!(code, Some(0), "{said}");
}
