//! `inkring serve`, and `inkring` without a verb: runs the server until it is told to stop.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt as _;
use std::process::ExitCode;
use std::time::Duration;

use super::common::{fail, misconfigured, print, tell};
use super::reload;
use super::signals::{Order, Orders};
use crate::clock::Clock;
use crate::config::{self, ConfigError, Loaded, SettingsPath, Sources};
use crate::features::FEATURES;
use crate::gate::identity::options::TRUST_HEADER;
use crate::net::Endpoint;
use crate::observe::{self, LogHandle};
use crate::server::{REDIRECT, Server};
use crate::settings::Settings;
use crate::store::options::DATABASE;
use crate::systemd::{Inherited, Notify};

/// How long the last log lines may take to leave.
const LOG_FLUSH: Duration = Duration::from_secs(2);

pub(super) fn run(path: &SettingsPath) -> ExitCode {
    // Before there is any other thread, as it has to be.
    let inherited = match Inherited::from_environment() {
        Ok(inherited) => inherited,
        Err(error) => return fail("cannot start", &error, 1),
    };
    let (loaded, settings_from) = match read(path) {
        Ok(read) => read,
        Err(error) => return misconfigured(&error),
    };
    let logs = match observe::init(&observe::Options::of(&loaded.settings)) {
        Ok(logs) => logs,
        Err(error) => return fail("cannot log", &error, 1),
    };
    log::info!(settings_from = settings_from.as_str(); "config.read");
    for warning in &loaded.warnings {
        log::warn!("{warning}");
    }
    if !loaded.settings.production() && !loaded.missing.is_empty() {
        log::info!("development: for this machine only; before others use it, see docs/OPS_PROD_CHECKLIST.md");
    }
    let is_json = writes_json(&loaded.settings);
    let served = serve_until_told(path, loaded, inherited, &logs);
    // Said once, to whom the log is for: a program that reads lines of JSON, or a person.
    if let (Err(error), true) = (&served, is_json) {
        log::error!(error = error.to_string(); "server.not_started");
    }
    logs.flush(LOG_FLUSH);
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if is_json => ExitCode::FAILURE,
        Err(error) => fail("cannot start", error.as_ref(), 1),
    }
}

fn writes_json(settings: &Settings) -> bool {
    observe::Options::of(settings).format == observe::Format::Json
}

/// The configuration, and where it comes from. Until it is good there is no log that could say that.
fn read(path: &SettingsPath) -> Result<(Loaded, String), ConfigError> {
    let sources = Sources::read(path)?;
    let loaded = config::load(&sources, false).inspect_err(|_| tell(&sources))?;
    Ok((loaded, sources.described()))
}

/// Serves until the first SIGTERM or SIGINT; another one during the stop ends the process at once.
fn serve_until_told(
    path: &SettingsPath,
    mut loaded: Loaded,
    inherited: Inherited,
    logs: &LogHandle,
) -> Result<(), Box<dyn std::error::Error>> {
    let orders = Orders::listen(logs.clone(), Clock::system())?;
    let notify = Notify::from_environment();
    let server = Server::start(FEATURES, &loaded.settings, inherited, notify.clone(), logs, Clock::system())?;
    // What reads the log as JSON finds all of this in it.
    if !writes_json(&loaded.settings) {
        print(&banner(&loaded.settings, &server));
    }
    loop {
        match orders.next() {
            Order::Stop => break,
            Order::Reload => {
                notify.reloading();
                reload::reload(path, &mut loaded, &server, logs);
                notify.reloaded();
            }
            Order::OnDemand => server.on_demand(),
        }
    }
    server.stop();
    Ok(())
}

/// What a newcomer wants to know: what this is, where its data are, where it listens, what to try. The log has said where its settings
/// are.
fn banner(settings: &Settings, server: &Server) -> String {
    let version = crate::version::VERSION;
    let database = settings.database(&DATABASE).display();
    let scheme = if server.speaks_tls() { "https" } else { "http" };
    let mut text = format!("inkring {version}: drafts written in turn\n");
    for endpoint in server.endpoints() {
        text.push_str(&match endpoint {
            Endpoint::Tcp(address) => format!("  listening on  {scheme}://{address}\n"),
            socket => format!("  listening on  {socket}\n"),
        });
    }
    for (door, endpoint) in server.own_endpoints() {
        text.push_str(&match endpoint {
            Endpoint::Tcp(address) if door == REDIRECT => {
                format!("  redirects     http://{address} to https\n")
            }
            Endpoint::Tcp(address) => format!("  listening on  {scheme}://{address} for {door}\n"),
            socket => format!("  listening on  {socket} for {door}\n"),
        });
    }
    text.push_str(&format!("  data in       {database}\n"));
    // 0.0.0.0 is where it listens, and nothing that a browser opens.
    match server.private_endpoint().map(Endpoint::from_here) {
        Some(Endpoint::Tcp(address)) => text.push_str(&format!("  operator      http://{address}/\n")),
        Some(socket) => text.push_str(&format!("  operator      {socket}\n")),
        None => {}
    }
    // The log has them as well, and who reads both in one place needs them once.
    if !(log::log_enabled!(log::Level::Warn) && is_one_file(io::stdout().as_fd(), io::stderr().as_fd())) {
        for caution in server.cautions() {
            text.push_str(&format!("  warning       {caution}\n"));
        }
    }
    if settings.production() {
        return text;
    }
    let first = server.endpoints().first().map(Endpoint::from_here);
    let (socket, host) = match &first {
        Some(Endpoint::Unix(path)) => (format!("--unix-socket {} ", path.display()), "localhost".to_owned()),
        // Its name is not an address.
        Some(Endpoint::Tcp(address)) if server.speaks_tls() => ("-k ".to_owned(), address.to_string()),
        Some(Endpoint::Tcp(address)) => (String::new(), address.to_string()),
        None => return text,
    };
    let scheme = if matches!(first, Some(Endpoint::Unix(_))) { "http" } else { scheme };
    // Whoever is not trusted by a name alone would get a 401.
    if settings.flag(&TRUST_HEADER) {
        text.push_str(&format!(
            "  try           curl -s {socket}{scheme}://{host}/v1/collab/drafts -H 'X-User-Id: alice' \
         -H 'Content-Type: application/json' -d '{{\"title\":\"First draft\",\"platform\":\"x\"}}'\n"
        ));
    }
    // A browser takes no Unix socket.
    if !matches!(first, Some(Endpoint::Unix(_))) {
        text.push_str(&format!("  look at       {scheme}://{host}/drafts\n"));
    }
    text
}

/// Whether what is written to one goes where the other goes: one terminal, one journal, one file.
fn is_one_file(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    let file = |fd: BorrowedFd<'_>| {
        let metadata = fd.try_clone_to_owned().map(File::from).and_then(|file| file.metadata());
        metadata.map(|metadata| (metadata.dev(), metadata.ino()))
    };
    matches!((file(one), file(other)), (Ok(one), Ok(other)) if one == other)
}
