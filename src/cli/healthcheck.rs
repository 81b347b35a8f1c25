//! `inkring healthcheck`: is the server of this configuration ready? For containers and scripts.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::base_url::BaseUrl;
use super::{fail, load, print, safe};
use crate::net::Endpoint;
use crate::net::client::Ask;

/// For the connection, and for each step of the answer.
const HEALTHCHECK_PATIENCE: Duration = Duration::from_secs(5);
/// Of an answer no more is read.
const ANSWER_MAX_BYTES: u64 = 65_536;
/// Asked of a server.
const READY: &str = "/readyz";

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The server, such as http://127.0.0.1:8000; that of LISTEN_ADDR if not given
    ///
    /// With a path it is that path that is asked, and not /readyz.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

/// What to ask, and of whom.
struct Question {
    to: Endpoint,
    host: String,
    target: String,
}

pub(super) fn run(options: &Options) -> ExitCode {
    let question = match &options.url {
        Some(url) => match BaseUrl::parse(url) {
            Err(why) => return fail("the command line is wrong", &format!("--url: {why}"), 2),
            Ok(url) => of_url(&url),
        },
        None => of_configuration(),
    };
    let (line, code) = match question.and_then(|question| question.ask()) {
        Ok(line) => (line, ExitCode::SUCCESS),
        Err(line) => (line, ExitCode::FAILURE),
    };
    print(&format!("{line}\n"));
    code
}

fn of_url(url: &BaseUrl) -> Result<Question, String> {
    let to =
        url.endpoint(HEALTHCHECK_PATIENCE).map_err(|error| format!("not ready: {url} cannot be found: {error}"))?;
    let target = if url.prefix().is_empty() { READY } else { url.prefix() };
    Ok(Question { to, host: url.authority().to_owned(), target: target.to_owned() })
}

fn of_configuration() -> Result<Question, String> {
    // Sentences of a wrong configuration take a line each.
    let loaded = load(false).map_err(|error| {
        let sentences: Vec<_> = error.to_string().lines().map(str::to_owned).collect();
        format!("not ready: the configuration is wrong: {}", sentences.join("; "))
    })?;
    let listens = loaded.config.listen;
    if listens.port() == 0 {
        return Err(format!("not ready: LISTEN_ADDR={listens} is a port that is chosen at the start: give --url"));
    }
    let address = reachable(listens);
    Ok(Question { to: Endpoint::Tcp(address), host: address.to_string(), target: READY.to_owned() })
}

/// An address that leads to who listens there: on all addresses is also on the loopback one.
fn reachable(listens: SocketAddr) -> SocketAddr {
    match listens {
        SocketAddr::V4(address) if address.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, address.port()).into(),
        SocketAddr::V6(address) if address.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, address.port()).into(),
        address => address,
    }
}

impl Question {
    /// The line to print, whether it is ready or not.
    fn ask(&self) -> Result<String, String> {
        let Self { to, host, target } = self;
        let answer = Ask::get(target).send(to, host, HEALTHCHECK_PATIENCE);
        let answer = answer.map_err(|error| format!("not ready: {error}"))?;
        let status = answer.status;
        if status == 200 {
            return Ok(format!("ready: http://{host}{target}"));
        }
        let body = answer.text(ANSWER_MAX_BYTES).unwrap_or_default();
        let detail = serde_json::from_str(&body).ok().and_then(|body: Value| Some(body["detail"].as_str()?.to_owned()));
        let why = detail.map(|detail| format!(": {}", safe(&detail))).unwrap_or_default();
        Err(format!("not ready: http://{host}{target} answers {status}{why}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_everywhere_is_asked_on_loopback() {
        for (listens, asked) in [
            ("0.0.0.0:8000", "127.0.0.1:8000"),
            ("[::]:8000", "[::1]:8000"),
            ("192.0.2.1:80", "192.0.2.1:80"),
            ("127.0.0.1:1", "127.0.0.1:1"),
        ] {
            assert_eq!(reachable(listens.parse().unwrap()), asked.parse().unwrap());
        }
    }
}
