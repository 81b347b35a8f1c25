//! `inkring healthcheck`: is the server of this configuration ready? For containers and scripts.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::common::{fail, load, print};
use crate::config::SettingsPath;
use crate::feature::trust::Trusting;
use crate::net::Endpoint;
use crate::net::base_url::{BaseUrl, own_url};
use crate::net::client::{Ask, Remote};
use crate::net::options::LISTEN;
use crate::net::tls::client::Trust;
use crate::text::visible;

/// For the connection and the answer.
pub(super) const HEALTHCHECK_PATIENCE: Duration = Duration::from_secs(5);
/// Asked of a server.
const READY: &str = "/readyz";

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The server's URL, such as http://127.0.0.1:8000, https://box.example or unix:/run/inkring/http [default: from
    /// LISTEN_ADDR]
    ///
    /// If the URL has a path, that path is requested instead of /readyz.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    trusting: Trusting,
}

/// What to ask, and of whom.
struct Question {
    to: Remote,
    target: String,
}

pub(super) fn run(options: &Options, path: &SettingsPath) -> ExitCode {
    let url = options.url.as_ref().map(|url| BaseUrl::parse(url).map_err(|why| format!("--url: {why}"))).transpose();
    let asked = url.and_then(|url| match url {
        Some(url) => Ok((Some(url), options.trusting.trust()?)),
        None => Ok((None, options.trusting.trust_of_own()?)),
    });
    let question = match &asked {
        Err(why) => return fail("the command line is wrong", why, 2),
        Ok((Some(url), trust)) => of_url(url, trust),
        Ok((None, trust)) => of_configuration(path, trust),
    };
    let (line, code) = match question.and_then(|question| question.ask()) {
        Ok(line) => (line, ExitCode::SUCCESS),
        Err(line) => (line, ExitCode::FAILURE),
    };
    print(&format!("{line}\n"));
    code
}

fn of_url(url: &BaseUrl, trust: &Trust) -> Result<Question, String> {
    let to = url.remote(trust, HEALTHCHECK_PATIENCE);
    let to = to.map_err(|error| format!("not ready: {url} cannot be reached: {error}"))?;
    let target = if url.prefix().is_empty() { READY } else { url.prefix() };
    Ok(Question { to, target: target.to_owned() })
}

fn of_configuration(path: &SettingsPath, trust: &Trust) -> Result<Question, String> {
    // Sentences of a wrong configuration take a line each.
    let loaded = load(path).map_err(|error| {
        let sentences: Vec<_> = error.to_string().lines().map(str::to_owned).collect();
        format!("not ready: the configuration is wrong: {}", sentences.join("; "))
    })?;
    let Some(url) = own_url(&loaded.settings) else {
        let listens = Endpoint::joined(loaded.settings.endpoints(&LISTEN));
        return Err(format!("not ready: LISTEN_ADDR={listens} is a port chosen at start: pass --url"));
    };
    of_url(&url, trust)
}

impl Question {
    /// The line to print, whether it is ready or not.
    fn ask(&self) -> Result<String, String> {
        let Self { to, target } = self;
        let asked = to.url(target);
        let answer = Ask::get(target).send(to, HEALTHCHECK_PATIENCE);
        let answer = answer.map_err(|error| match error.is_nobody() {
            true => format!("not ready: nothing listens on {}: start the server, or give --url", to.url("")),
            false => format!("not ready: {error}"),
        })?;
        let status = answer.status;
        if status == 200 {
            return Ok(format!("ready: {asked}"));
        }
        let why = answer.detail().map(|detail| format!(": {}", visible(&detail))).unwrap_or_default();
        Err(format!("not ready: {asked} returned {status}{why}"))
    }
}
