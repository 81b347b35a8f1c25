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

/// Why nothing was asked.
enum Stopped {
    /// The command line is wrong.
    Usage(String),
    /// The server cannot be ready, or not be found.
    NotReady(String),
}

pub(super) fn run(options: &Options, path: &SettingsPath) -> ExitCode {
    let asked = match question(options, path) {
        Err(Stopped::Usage(why)) => return fail("the command line is wrong", &why, 2),
        Err(Stopped::NotReady(why)) => Err(why),
        Ok(question) => question.ask(),
    };
    let (line, code) = match asked {
        Ok(line) => (line, ExitCode::SUCCESS),
        Err(line) => (format!("not ready: {line}"), ExitCode::FAILURE),
    };
    print(&format!("{line}\n"));
    code
}

fn question(options: &Options, path: &SettingsPath) -> Result<Question, Stopped> {
    let (url, trust) = match &options.url {
        Some(url) => {
            let url = BaseUrl::parse(url).map_err(|why| Stopped::Usage(format!("--url: {why}")))?;
            let trust = options.trusting.trust(&url);
            (url, trust)
        }
        None => {
            let url = of_configuration(path).map_err(Stopped::NotReady)?;
            let trust = options.trusting.trust_of_own(&url);
            (url, trust)
        }
    };
    let to = url.remote(&trust.map_err(Stopped::Usage)?, HEALTHCHECK_PATIENCE);
    let to = to.map_err(|error| Stopped::NotReady(format!("{url} cannot be reached: {error}")))?;
    let target = if url.prefix().is_empty() { READY } else { url.prefix() };
    Ok(Question { to, target: target.to_owned() })
}

/// The URL of the server of this configuration.
fn of_configuration(path: &SettingsPath) -> Result<BaseUrl, String> {
    // Sentences of a wrong configuration take a line each.
    let loaded = load(path).map_err(|error| {
        let sentences: Vec<_> = error.to_string().lines().map(str::to_owned).collect();
        format!("the configuration is wrong: {}", sentences.join("; "))
    })?;
    own_url(&loaded.settings).ok_or_else(|| {
        let listens = Endpoint::joined(loaded.settings.endpoints(&LISTEN));
        format!("LISTEN_ADDR={listens} is a port chosen at start: pass --url")
    })
}

impl Question {
    /// The line to print if it is ready, and otherwise why not.
    fn ask(&self) -> Result<String, String> {
        let Self { to, target } = self;
        let asked = to.url(target);
        let answer = Ask::get(target).send(to, HEALTHCHECK_PATIENCE);
        let answer = answer.map_err(|error| match error.is_nobody() {
            true => format!("nothing listens on {}: start the server, or give --url", to.url("")),
            false => error.to_string(),
        })?;
        let status = answer.status;
        if status == 200 {
            return Ok(format!("ready: {asked}"));
        }
        let why = answer.detail().map(|detail| format!(": {}", visible(&detail))).unwrap_or_default();
        Err(format!("{asked} returned {status}{why}"))
    }
}
