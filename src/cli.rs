//! The verbs of the program and their exit codes: 0 ok, 1 failure, 2 usage, 3 a check found problems or the settings are
//! wrong.

mod audit;
mod backup;
mod base_url;
mod bounds;
mod common;
mod doctor;
mod healthcheck;
mod reload;
mod serve;
mod setup;
mod signals;
mod smoke;
mod token;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Parser, Subcommand, ValueEnum};

use common::{FOUND_PROBLEMS, fail, load, misconfigured, print, sources};

use crate::config::knobs::KNOBS;
use crate::config::{self, SettingsPath};
use crate::features;
use crate::gate::{self, OpenedKeys};
use crate::observe::metrics;
use crate::server;

/// One small server for drafts written in turn: one binary, one SQLite file.
///
/// Without a verb it serves. It is configured by environment variables and a file of settings; `inkring print-config`
/// shows them all, and each verb says first which file it has read.
#[derive(Debug, Parser)]
#[command(
    name = "inkring",
    version,
    after_help = "Exit codes: 0 ok, 1 failure, 2 usage, 3 a check found problems or the settings are wrong."
)]
struct Cli {
    /// The file of settings; without it that of INKRING_CONFIG, .env here, or /etc/inkring/inkring.env
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
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
    /// Make a signed token, or see what one says
    #[command(subcommand)]
    Token(token::Verb),
    /// Read the audit log: is it whole, what is in it
    #[command(subcommand)]
    Audit(audit::Verb),
    /// Make a backup of the database, whether its server runs or not
    ///
    /// A server that runs is asked over its private plane (OPS_ADDR, with OPS_TOKEN) and makes it between two changes.
    /// A backup is one file that has been checked, with its manifest beside it: NAME.db and NAME.db.json.
    Backup {
        /// The directory to put it into; BACKUP_DIR if not given
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
    },
    /// Check a backup: its pages, its manifest, its audit log
    #[command(after_help = "Exit codes: 0 the backup is good, 1 it cannot be read, 2 usage, 3 it is not good.")]
    Verify {
        /// The backup
        file: PathBuf,
    },
    /// Put a backup in the place of the database, of which no server may run
    ///
    /// The backup is checked first. The old database is moved aside, and what was newer in it is listed.
    #[command(after_help = "Exit codes: 0 done, 1 failure, 2 usage, 3 the backup is not good.")]
    Restore {
        /// The backup
        file: PathBuf,
        /// Check everything, change nothing
        #[arg(long)]
        check: bool,
    },
    /// Look at the installation and say what is wrong with it and what to do, changing nothing
    ///
    /// Configuration, permissions, disk, database, backups, clock, proxy, the running server: each is green, yellow or
    /// red. Give it the settings of the server, and run it as the server's user or as root.
    Doctor(doctor::Options),
    /// Make this machine ready to run inkring as a service: units, settings for production, fresh secrets
    ///
    /// Nothing that is there is written over, so it can be run again. It says all that it wrote, what to do next, and how to
    /// remove it.
    #[command(after_help = "Exit codes: 0 done, 1 failure, 2 usage.")]
    Setup(setup::Options),
    /// Try a running server from outside: drafts, segments, sockets, the ring
    ///
    /// Asks whether it is alive and ready, creates a draft, adds a collaborator, appends, watches an append over a
    /// WebSocket, and passes the ring. Each step is one line. The draft stays, under the title "Smoke test".
    Smoke(smoke::Options),
    /// Ask the server of this configuration whether it is ready, and print one line
    ///
    /// Exit code 0 if it is, 1 if not.
    Healthcheck(healthcheck::Options),
    /// Print the documentation of the configuration
    ConfigDocs {
        /// In which form
        form: DocsForm,
    },
    /// Print the documentation of the metrics
    MetricsDocs {
        /// In which form
        form: MetricsForm,
    },
    /// Print the tables of the database, as in schema.sql
    #[command(hide = true)]
    Schema,
    /// Print everything that is bounded, as in docs/BOUNDS.md
    #[command(hide = true)]
    Bounds,
    /// Print the tables of what is served, as in docs/PROTOCOL.md and docs/OPS_API.md
    #[command(hide = true)]
    Routes,
    /// Print the codes of errors, as in docs/ERRORS.md
    #[command(hide = true)]
    Errors,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DocsForm {
    /// A commented .env file
    Env,
    /// A page of Markdown
    Markdown,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum MetricsForm {
    /// A page of Markdown
    Markdown,
    /// A dashboard for Grafana, in JSON
    Grafana,
}

/// Runs the program with the arguments and environment of the process.
#[must_use]
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(mut message) => {
            // Help and version arrive here too; clap knows which goes where.
            add_tip(&mut message);
            let _ = message.print();
            return ExitCode::from(if message.use_stderr() { 2 } else { 0 });
        }
    };
    let path = SettingsPath::of_process(cli.config);
    match cli.verb.unwrap_or(Verb::Serve) {
        Verb::Serve => serve::run(&path),
        Verb::CheckConfig { strict } => check_config(&path, strict),
        Verb::PrintConfig => match load(&path) {
            Ok(loaded) => print(&config::docs::effective(&loaded.settings)),
            Err(error) => misconfigured(&error),
        },
        Verb::Token(verb) => match load(&path) {
            Ok(loaded) => token::run(&verb, &loaded.settings),
            Err(error) => misconfigured(&error),
        },
        Verb::Audit(verb) => audit::run(verb, &path),
        Verb::Backup { to } => backup::run_backup(to, &path),
        Verb::Verify { file } => backup::run_verify(&file),
        Verb::Restore { file, check } => backup::run_restore(&file, check, &path),
        Verb::Setup(options) => setup::run(&options),
        Verb::Doctor(options) => doctor::run(&options, &path),
        Verb::Smoke(options) => smoke::run(&options),
        Verb::Healthcheck(options) => healthcheck::run(&options, &path),
        Verb::ConfigDocs { form: DocsForm::Env } => print(&config::docs::env_example(&KNOBS)),
        Verb::ConfigDocs { form: DocsForm::Markdown } => print(&config::docs::markdown(&KNOBS)),
        Verb::MetricsDocs { form: MetricsForm::Markdown } => print(&metrics::markdown(&features::rows())),
        Verb::MetricsDocs { form: MetricsForm::Grafana } => print(&metrics::grafana(&features::rows())),
        Verb::Schema => print(&features::schema().text()),
        Verb::Bounds => {
            let above = [config::bounds::BOUNDS, server::bounds::BOUNDS, bounds::BOUNDS];
            print(&config::docs::bounds(&features::bounds(&above)))
        }
        Verb::Routes => {
            let (public, private) =
                (gate::table(&features::routes()), gate::operator_table(&features::operator_routes()));
            print(&format!("{public}\n{private}"))
        }
        Verb::Errors => print(&gate::code::markdown(&features::codes())),
    }
}

/// Says where settings go, to whoever looked for them among the options, as with other servers. A misspelt option is
/// suggested by clap.
fn add_tip(message: &mut clap::Error) {
    if message.kind() == ErrorKind::UnknownArgument && message.get(ContextKind::SuggestedArg).is_none() {
        let tip = "settings are variables, such as LISTEN_ADDR=127.0.0.1:9000 in front of the command, or lines of a file \
                   (--config FILE); `inkring print-config` shows them all";
        message.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
}

fn check_config(path: &SettingsPath, strict: bool) -> ExitCode {
    let loaded = sources(path).and_then(|sources| config::load(&sources, strict));
    let checked = loaded.map_err(|error| error.to_string()).and_then(|mut loaded| {
        let keys = OpenedKeys::of(&loaded.settings).map_err(|error| error.to_string())?;
        loaded.warnings.extend(keys.warning);
        Ok(loaded)
    });
    match checked {
        Ok(loaded) => {
            let mut report: String = loaded.warnings.iter().flat_map(|warning| ["warning: ", warning, "\n"]).collect();
            let warned = !loaded.warnings.is_empty();
            report.push_str(if warned { "The configuration can be used.\n" } else { "The configuration is good.\n" });
            print(&report)
        }
        Err(error) => fail("the configuration is wrong", &error, FOUND_PROBLEMS),
    }
}
