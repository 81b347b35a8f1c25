//! The verbs of the program and their exit codes: 0 ok, 1 failure, 2 usage, 3 a check found problems.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::config::{self, Config, ConfigError, Environment, Loaded, LogFormat, Sources};
use crate::observe::{self, LogHandle};
use crate::server::Server;

/// Exit code when a check ran and found problems.
const FOUND_PROBLEMS: u8 = 3;
/// How long the last log lines may take to leave.
const LOG_FLUSH: Duration = Duration::from_secs(2);

/// One small server for drafts written in turn: one binary, one SQLite file.
///
/// Without a verb it serves. It is configured by environment variables and a file `.env` in the working directory;
/// `inkring print-config` shows them all.
#[derive(Debug, Parser)]
#[command(name = "inkring", version, after_help = "Exit codes: 0 ok, 1 failure, 2 usage, 3 a check found problems.")]
struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve until SIGTERM or SIGINT (the default)
    Serve,
    /// Read the configuration, say what is wrong with it, and change nothing
    CheckConfig {
        /// Hold it to what CONFIG_STRICT=true demands
        #[arg(long)]
        strict: bool,
    },
    /// Print every setting with its value and where it came from, secrets masked
    PrintConfig,
    /// Print the documentation of the configuration
    ConfigDocs {
        /// In which form
        form: DocsForm,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DocsForm {
    /// A commented .env file
    Env,
    /// A page of Markdown
    Markdown,
}

/// Runs the program with the arguments and environment of the process.
#[must_use]
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(message) => {
            // Help and version arrive here too; clap knows which goes where.
            let _ = message.print();
            return ExitCode::from(if message.use_stderr() { 2 } else { 0 });
        }
    };
    match cli.verb.unwrap_or(Verb::Serve) {
        Verb::Serve => serve(),
        Verb::CheckConfig { strict } => check_config(strict),
        Verb::PrintConfig => match load(false) {
            Ok(loaded) => print(&config::docs::effective(&loaded)),
            Err(error) => fail("the configuration is wrong", &error, FOUND_PROBLEMS),
        },
        Verb::ConfigDocs { form: DocsForm::Env } => print(&config::docs::env_example()),
        Verb::ConfigDocs { form: DocsForm::Markdown } => print(&config::docs::markdown()),
    }
}

fn load(strict: bool) -> Result<Loaded, ConfigError> {
    config::load(&Sources::from_process(Path::new("."))?, strict)
}

fn check_config(strict: bool) -> ExitCode {
    match load(strict) {
        Ok(loaded) => {
            let mut report: String = loaded.warnings.iter().flat_map(|warning| ["warning: ", warning, "\n"]).collect();
            let warned = !loaded.warnings.is_empty();
            report.push_str(if warned { "The configuration can be used.\n" } else { "The configuration is good.\n" });
            print(&report)
        }
        Err(error) => fail("the configuration is wrong", &error, FOUND_PROBLEMS),
    }
}

fn serve() -> ExitCode {
    let Loaded { config, warnings, .. } = match load(false) {
        Ok(loaded) => loaded,
        Err(error) => return fail("the configuration is wrong", &error, 1),
    };
    let level = config.log.level.as_str().parse().unwrap_or(log::LevelFilter::Info);
    let format = match config.log.format {
        LogFormat::Pretty => observe::Format::Pretty,
        LogFormat::Json => observe::Format::Json,
    };
    let logs = match observe::init(&observe::Options { level, format }) {
        Ok(logs) => logs,
        Err(error) => return fail("cannot log", &error, 1),
    };
    for warning in &warnings {
        log::warn!("{warning}");
    }
    let code = match serve_until_told(&config, &logs) {
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
fn serve_until_told(config: &Config, logs: &LogHandle) -> Result<(), Box<dyn std::error::Error>> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let (told, wait) = mpsc::channel();
    let logs = logs.clone();
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for (nth, signal) in signals.forever().enumerate() {
            log::info!(signal; "signal.received");
            if nth > 0 {
                logs.flush(Duration::from_millis(200));
                // What was acknowledged is on disk (G1); what was not, the operator has chosen not to wait for.
                std::process::exit(128 + signal);
            }
            let _ = told.send(());
        }
    })?;
    let server = Server::start(config)?;
    print(&banner(config, &server));
    // The sender lives as long as the thread above, which never ends.
    let _ = wait.recv();
    server.stop();
    Ok(())
}

/// What a newcomer wants to know: what this is, where it listens, where the data is, what to try.
fn banner(config: &Config, server: &Server) -> String {
    let (version, address) = (env!("CARGO_PKG_VERSION"), server.address());
    let database = config.database.display();
    let mut text = format!(
        "inkring {version}: drafts written in turn\n  listening on  http://{address}\n  data in       {database}\n"
    );
    if config.env == Environment::Production {
        return text;
    }
    text.push_str(&format!(
        "  try           curl -s http://{address}/v1/collab/drafts -H 'X-User-Id: alice' \
         -H 'Content-Type: application/json' -d '{{\"title\":\"First draft\",\"platform\":\"x\"}}'\n"
    ));
    text
}

/// Prints to stdout; a reader who has left is no error of ours.
fn print(text: &str) -> ExitCode {
    let _ = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
    ExitCode::SUCCESS
}

fn fail(what: &str, error: &dyn std::fmt::Display, code: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "inkring: {what}:\n{error}");
    ExitCode::from(code)
}
