//! The verbs that ask from outside, through something that speaks TLS.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use serde_json::Value;

use crate::support::tls::{authority, file, front};
use crate::support::{Server, besides_settings, inkring};

/// How a verb ended and what it wrote.
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

fn run(directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    let output = inkring(directory).args(arguments).envs(variables.iter().copied()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: besides_settings(output.stderr) }
}

/// What a health check says of an address, which it reaches by this name.
fn health(url: &str, arguments: &[&str]) -> Ran {
    let directory = tempfile::tempdir().unwrap();
    // A machine that knows somebody, and not the authority of the tests.
    let known = file("renewed.pem");
    let variables = [("SSL_CERT_FILE", known.to_str().unwrap())];
    run(directory.path(), &[&["healthcheck", "--url", url], arguments].concat(), &variables)
}

fn https(address: SocketAddr) -> String {
    format!("https://localhost:{}", address.port())
}

#[test]
fn every_step_of_smoke_passes_through_tls_sockets_among_them() {
    let server = Server::start();
    let url = https(front(server.address, "server"));
    let directory = tempfile::tempdir().unwrap();
    let ran = run(directory.path(), &["smoke", "--base-url", &url, "--ca", &authority()], &[]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("11 passed, 0 failed\n"), "{}", ran.stdout);
}

#[test]
fn an_authority_of_the_machine_is_believed_and_so_is_an_address() {
    let server = Server::start();
    let address = front(server.address, "server");
    let directory = tempfile::tempdir().unwrap();
    for url in [https(address), format!("https://{address}")] {
        let ran = run(directory.path(), &["healthcheck", "--url", &url], &[("SSL_CERT_FILE", &authority())]);
        assert_eq!((ran.code, ran.stdout, ran.stderr), (0, format!("ready: {url}/readyz\n"), String::new()));
    }
    let empty = directory.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let nobody = [("SSL_CERT_FILE", empty.to_str().unwrap())];
    let ran = run(directory.path(), &["healthcheck", "--url", &https(address)], &nobody);
    assert!(ran.stdout.contains("this machine has no CA certificates"), "{}", ran.stdout);
}

#[test]
fn a_certificate_that_is_not_good_is_refused_with_what_to_do() {
    let server = Server::start();
    let ca = authority();
    let with_ca = ["--ca", ca.as_str()];
    let [itself, alone] = ["itself.pem", "alone.pem"].map(|name| file(name).to_str().unwrap().to_owned());
    for (name, arguments, says) in [
        ("server", &[][..], "pass the authority's certificate with --ca FILE"),
        ("expired", &with_ca, "its certificate expired on 2021-01-01: renew it"),
        ("other", &with_ca, "its certificate is for other.example, and not for localhost: use a name"),
        (
            "itself",
            &["--ca", itself.as_str()],
            "its certificate is that of a CA (CA:TRUE), not of a server: create it with -addext \
             basicConstraints=critical,CA:FALSE\n",
        ),
    ] {
        let url = https(front(server.address, name));
        let ran = health(&url, arguments);
        assert_eq!((ran.code, ran.stderr.as_str()), (1, ""), "{}", ran.stdout);
        assert!(ran.stdout.starts_with("not ready: TLS with 127.0.0.1:"), "{}", ran.stdout);
        assert!(ran.stdout.contains(says) && ran.stdout.lines().count() == 1, "{}", ran.stdout);
        // Who does not want to know is told so.
        let ran = health(&url, &["--insecure"]);
        assert_eq!((ran.code, ran.stdout), (0, format!("ready: {url}/readyz\n")));
        assert!(ran.stderr.starts_with("inkring: --insecure: the certificate is not verified"), "{}", ran.stderr);
    }
    // The advice helps.
    let url = https(front(server.address, "alone"));
    let ran = health(&url, &["--ca", &alone]);
    assert_eq!((ran.code, ran.stdout), (0, format!("ready: {url}/readyz\n")));
}

#[test]
fn the_wrong_scheme_is_named() {
    let server = Server::start();
    let ran = health(&https(server.address), &["--insecure"]);
    assert!(ran.code == 1 && ran.stdout.ends_with("it does not speak TLS: use http://\n"), "{}", ran.stdout);
    let address = front(server.address, "server");
    let ran = health(&format!("http://{address}"), &[]);
    assert_eq!((ran.code, ran.stdout), (1, format!("not ready: {address} speaks TLS: use https://\n")));
}

/// Who relies on an authority learns that nobody was asked for a certificate.
#[test]
fn what_is_for_https_is_refused_where_there_is_no_tls() {
    let server = Server::start();
    let url = format!("http://{}", server.address);
    let (directory, address, ca) = (tempfile::tempdir().unwrap(), server.address.to_string(), authority());
    let verbs = [
        (&["healthcheck"][..], "--url"),
        (&["doctor"], "--url"),
        (&["smoke"], "--base-url"),
        (&["demo"], "--base-url"),
        (&["modules", "import", "--dry-run"], "--from"),
    ];
    for trusting in [&["--ca", ca.as_str()][..], &["--insecure"]] {
        let refused = |arguments: &[&str], named: &str| {
            let ran = run(directory.path(), &[arguments, trusting].concat(), &[("LISTEN_ADDR", &address)]);
            let option = trusting[0];
            let says = format!(
                "{option} is for https://, and {named} has no TLS: use an https:// URL, or leave out {option}\n"
            );
            assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{arguments:?}: {}", ran.stderr);
            assert!(ran.stderr.ends_with(&says) && !ran.stderr.contains("is not verified"), "{}", ran.stderr);
        };
        for (verb, option) in verbs {
            refused(&[verb, &[option, &url]].concat(), &url);
            refused(&[verb, &[option, "unix:none"]].concat(), "unix:none");
        }
        // The server of these settings as well.
        for verb in ["healthcheck", "smoke", "demo"] {
            refused(&[verb], &url);
        }
    }
}

#[test]
fn who_says_nothing_to_a_greeting_is_not_waited_for() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["smoke", "--base-url", &https(address), "--timeout", "0.2", "--insecure"];
    let ran = run(directory.path(), &arguments, &[]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stdout.starts_with(&format!("FAIL  healthz: no answer from {address}: nothing in time")),
        "{}",
        ran.stdout
    );
}

#[test]
fn the_doctor_looks_from_outside_when_asked_to() {
    let server = Server::start();
    let directory = tempfile::tempdir().unwrap();
    let ca = authority();
    let seen = |arguments: &[&str]| {
        let ran = run(directory.path(), &[&["doctor", "--json", "--url"], arguments].concat(), &[]);
        let Value::Array(findings) = serde_json::from_str(&ran.stdout).unwrap() else { panic!() };
        let found = findings.iter().find(|finding| finding["check"] == "address").unwrap();
        (found["state"].as_str().unwrap().to_owned(), found["found"].as_str().unwrap().to_owned())
    };
    let url = https(front(server.address, "server"));
    let (state, found) = seen(&[&url, "--ca", &ca]);
    assert_eq!(state, "green");
    assert!(found.starts_with(&format!("{url} answers; its certificate is valid until 2120-01-01, for ")), "{found}");
    let expired = https(front(server.address, "expired"));
    let (state, found) = seen(&[&expired, "--ca", &ca]);
    assert!(state == "red" && found.contains("its certificate expired on 2021-01-01: renew it"), "{found}");
    let (state, found) = seen(&[&format!("http://{}/elsewhere", server.address)]);
    assert!(state == "red" && found.contains("returns 404 for /healthz"), "{found}");
}

#[test]
fn records_are_taken_over_from_a_server_behind_tls() {
    let (there, here) = (Server::start(), Server::start());
    let url = https(front(there.address, "server"));
    let mut command = here.command();
    command.args(["modules", "import", "--dry-run", "--from", &url, "--ca"]).arg(file("ca.pem"));
    let ran = command.env("LISTEN_ADDR", here.address.to_string()).output().unwrap();
    assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
}
