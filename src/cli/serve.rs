//! `inkring serve`, and `inkring` without a verb: runs the server until it is told to stop.

use std::process::ExitCode;
use std::time::Duration;

use super::common::{fail, load, print};
use super::reload;
use super::signals::{Order, Orders};
use crate::config::Loaded;
use crate::features::FEATURES;
use crate::net::Endpoint;
use crate::observe::{self, LogHandle};
use crate::server::Server;
use crate::settings::Settings;
use crate::store::options::DATABASE;
use crate::systemd::{Inherited, Notify};

/// How long the last log lines may take to leave.
const LOG_FLUSH: Duration = Duration::from_secs(2);

pub(super) fn run() -> ExitCode {
    // Before there is any other thread, as it has to be.
    let inherited = match Inherited::from_environment() {
        Ok(inherited) => inherited,
        Err(error) => return fail("cannot start", &error, 1),
    };
    let loaded = match load(false) {
        Ok(loaded) => loaded,
        Err(error) => return fail("the configuration is wrong", &error, 1),
    };
    let logs = match observe::init(&observe::Options::of(&loaded.settings)) {
        Ok(logs) => logs,
        Err(error) => return fail("cannot log", &error, 1),
    };
    for warning in &loaded.warnings {
        log::warn!("{warning}");
    }
    let code = match serve_until_told(loaded, inherited, &logs) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!(error = error.to_string(); "server.not_started");
            logs.flush(LOG_FLUSH);
            return fail("cannot start", error.as_ref(), 1);
        }
    };
    logs.flush(LOG_FLUSH);
    code
}

/// Serves until the first SIGTERM or SIGINT; a second one during the stop ends the process at once.
fn serve_until_told(
    mut loaded: Loaded,
    inherited: Inherited,
    logs: &LogHandle,
) -> Result<(), Box<dyn std::error::Error>> {
    let orders = Orders::listen(logs.clone())?;
    let notify = Notify::from_environment();
    let server = Server::start(FEATURES, &loaded.settings, inherited, notify.clone(), logs)?;
    print(&banner(&loaded.settings, &server));
    loop {
        match orders.next() {
            Order::Stop => break,
            Order::Reload => {
                notify.reloading();
                reload::reload(&mut loaded, &server, logs);
                notify.reloaded();
            }
            Order::OnDemand => server.on_demand(),
        }
    }
    server.stop();
    Ok(())
}

/// What a newcomer wants to know: what this is, where it listens, where the data is, what to try.
fn banner(settings: &Settings, server: &Server) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let database = settings.database(&DATABASE).display();
    let mut text = format!("inkring {version}: drafts written in turn\n");
    for endpoint in server.endpoints() {
        text.push_str(&match endpoint {
            Endpoint::Tcp(address) => format!("  listening on  http://{address}\n"),
            socket => format!("  listening on  {socket}\n"),
        });
    }
    text.push_str(&format!("  data in       {database}\n"));
    match server.private_endpoint() {
        Some(Endpoint::Tcp(address)) => text.push_str(&format!("  operator      http://{address}/\n")),
        Some(socket) => text.push_str(&format!("  operator      {socket}\n")),
        None => {}
    }
    if settings.production() {
        return text;
    }
    let (socket, host) = match server.endpoints().first() {
        Some(Endpoint::Unix(path)) => (format!("--unix-socket {} ", path.display()), "localhost".to_owned()),
        Some(Endpoint::Tcp(address)) => (String::new(), address.to_string()),
        None => return text,
    };
    text.push_str(&format!(
        "  try           curl -s {socket}http://{host}/v1/collab/drafts -H 'X-User-Id: alice' \
         -H 'Content-Type: application/json' -d '{{\"title\":\"First draft\",\"platform\":\"x\"}}'\n"
    ));
    text
}
