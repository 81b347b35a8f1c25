//! The verbs of the program and their exit codes: 0 ok, 1 failure, 2 usage, 3 a check found problems or the settings are
//! wrong.

mod audit;
mod bounds;
mod common;
mod doctor;
mod healthcheck;
mod manual;
mod reload;
mod serve;
mod setup;
mod signals;
mod smoke;
mod tips;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

use common::{load, misconfigured, print, sources, tell};

use crate::clock::Clock;
use crate::config::knobs::KNOBS;
use crate::config::{self, ConfigError, SettingsPath, Shown, Sources};
use crate::feature::verb::{Misconfigured, Program};
use crate::feature::{Feature, schema_of};
use crate::features;
use crate::gate::{self, OpenedKeys};
use crate::net::tls::server::{Files, Pair, caution, exposed};
use crate::observe::metrics;
use crate::server;
use crate::settings::{Knob, Settings};
use crate::store::options::DATABASE;
use crate::store::{self, OpenError, Schema};

/// A small server for drafts written in turn: one binary, one SQLite database.
///
/// Without a verb, it runs the server. It is configured by environment variables and a settings file; `inkring
/// print-config` prints all settings, and each verb first says which file it has read.
///
/// Its data are a directory, not one file: the database of DATABASE_URL, its write-ahead log and its lock beside it, and
/// the files of the gallery. Never copy them from a running server: `inkring backup` makes a copy that is whole.
#[derive(Debug, Parser)]
#[command(
    name = "inkring",
    version = crate::version::VERSION,
    after_help = "Exit codes: 0 ok, 1 failure, 2 usage, 3 a check found problems or the settings are wrong."
)]
struct Cli {
    /// The settings file [default: INKRING_CONFIG, ./.env or /etc/inkring/inkring.env, the first that exists]
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

/// Those that come before the verbs of features.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the server until SIGTERM or SIGINT (the default)
    Serve,
    /// Check the configuration and report what is wrong with it, without changing anything
    CheckConfig {
        /// Apply the rules of CONFIG_STRICT=true
        #[arg(long)]
        strict: bool,
    },
    /// Print every setting with its value and where it comes from, secrets masked
    PrintConfig {
        /// Only settings that are set, not those at their default
        #[arg(long)]
        changed: bool,
    },
    /// Read and verify the audit log
    #[command(subcommand)]
    Audit(audit::Verb),
}

/// Those that come after the verbs of features.
#[derive(Debug, Subcommand)]
enum Tool {
    /// Check the installation and say what is wrong and what to do, without changing anything
    ///
    /// It checks configuration, permissions, disk, database, backups, clock, proxy and the running server; each is
    /// green, yellow or red. Run it with the server's settings, as the server's user or as root.
    Doctor(doctor::Options),
    /// Set up inkring as a service on this machine: units, production settings, fresh secrets
    ///
    /// It never overwrites existing files, so it can be run again. It prints what it wrote, what to do next, and how
    /// to uninstall.
    #[command(after_help = "Exit codes: 0 done, 1 failure, 2 usage.")]
    Setup(setup::Options),
    /// Test a running server as a client: drafts, segments, sockets, the ring
    ///
    /// It checks that the server is alive and ready, creates a draft, adds a collaborator, appends, sees an append on
    /// a WebSocket, and passes the ring, with one line of output per step. At the end it deletes the draft, "Smoke
    /// test", unless --keep is given.
    Smoke(smoke::Options),
    /// Check whether the server is ready, and print one line
    ///
    /// Exits with 0 if it is ready, with 1 if not.
    Healthcheck(healthcheck::Options),
    /// Print the version, the commit it was built from, and the versions of the schema and of SQLite
    #[command(after_help = "Exit codes: 0 done, 2 usage.")]
    Version {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Write manual pages, and completions for bash, zsh and fish, into a directory
    Manual(manual::Options),
    /// Print the documentation of the configuration
    #[command(hide = true)]
    ConfigDocs {
        /// The format
        form: DocsForm,
    },
    /// Print the documentation of the metrics
    #[command(hide = true)]
    MetricsDocs {
        /// The format
        form: MetricsForm,
    },
    /// Print the tables of the database, as in schema.sql
    #[command(hide = true)]
    Schema,
    /// Print all bounds, as in docs/BOUNDS.md
    #[command(hide = true)]
    Bounds,
    /// Print all routes: docs/PATHS.md, or the table of docs/OPS_API.md
    #[command(hide = true)]
    Routes {
        /// The address
        plane: Plane,
    },
    /// Print the error codes, as in docs/ERRORS.md
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
enum Plane {
    /// To clients
    Public,
    /// To the operator
    Private,
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
    run_with(features::FEATURES, std::env::args_os())
}

/// The same with these features and arguments.
pub fn run_with(features: &[&Feature], arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let program = command(features);
    let asked = match program.clone().try_get_matches_from(&arguments) {
        Ok(asked) => asked,
        Err(mut message) => {
            if message.kind() == ErrorKind::DisplayVersion {
                return print(&version(&schema_of(features)));
            }
            // Help arrives here too; clap knows which goes where.
            tips::add(&mut message, &program, &arguments);
            let _ = message.print();
            return ExitCode::from(if message.use_stderr() { 2 } else { 0 });
        }
    };
    let path = SettingsPath::of_process(asked.get_one::<PathBuf>("config").cloned());
    let Some(name) = asked.subcommand_name() else { return serve::run(&path) };
    if let Some(verbs) = features.iter().filter_map(|feature| feature.verbs.as_ref()).find(|verbs| verbs.has(name)) {
        let settings = || load(&path).map(|loaded| loaded.settings).map_err(|error| Misconfigured(error.to_string()));
        let weakness = |knob: &'static Knob| {
            // What cannot be read was told by whoever wanted the settings.
            Sources::read(&path).ok().and_then(|sources| config::weakness(knob, &sources))
        };
        let program = Program {
            schema: schema_of(features),
            counted: features.iter().flat_map(|feature| feature.counted).copied().collect(),
            files: features.iter().flat_map(|feature| feature.files).collect(),
            erasers: features.iter().filter_map(|feature| feature.erase).collect(),
            newer: features.iter().filter_map(|feature| feature.newer).collect(),
            settings: &settings,
            weakness: &weakness,
        };
        return verbs.run(&asked, &program);
    }
    let ended = if Verb::has_subcommand(name) {
        Verb::from_arg_matches(&asked).map(|verb| verb.run(&path))
    } else {
        Tool::from_arg_matches(&asked).map(|tool| tool.run(&path))
    };
    ended.unwrap_or_else(|message| message.exit())
}

/// Which program this is, and what it keeps data in.
fn version(schema: &Schema) -> String {
    let (version, sqlite) = (crate::version::VERSION, store::sqlite_version());
    format!("inkring {version} (schema {}, SQLite {sqlite})\n", schema.version())
}

/// The same for programs.
fn version_in_json(schema: &Schema) -> serde_json::Value {
    let commit = crate::version::commit(crate::version::VERSION);
    serde_json::json!({
        "version": crate::version::VERSION,
        "commit": commit.map(|(commit, _)| commit),
        "dirty": commit.map(|(_, is_clean)| !is_clean),
        "schema": schema.version(),
        "sqlite": store::sqlite_version(),
    })
}

/// The program as clap knows it: its verbs in the order in which help lists them.
fn command(features: &[&Feature]) -> clap::Command {
    let program = Cli::command();
    // Each list of verbs would put its own doc comment in place of what is said of the program.
    let [about, long_about] =
        [program.get_about(), program.get_long_about()].map(|said| said.cloned().unwrap_or_default());
    let brought = features.iter().filter_map(|feature| feature.verbs.as_ref());
    let all = brought.fold(Verb::augment_subcommands(program), |all, verbs| verbs.add_to(all));
    Tool::augment_subcommands(all).about(about).long_about(long_about)
}

impl Verb {
    fn run(self, path: &SettingsPath) -> ExitCode {
        match self {
            Self::Serve => serve::run(path),
            Self::CheckConfig { strict } => check_config(path, strict),
            Self::PrintConfig { changed } => print_config(path, changed),
            Self::Audit(verb) => audit::run(verb, path),
        }
    }
}

impl Tool {
    fn run(self, path: &SettingsPath) -> ExitCode {
        match self {
            Self::Setup(options) => setup::run(&options),
            Self::Doctor(options) => doctor::run(&options, path),
            Self::Smoke(options) => smoke::run(&options, path),
            Self::Healthcheck(options) => healthcheck::run(&options, path),
            Self::Version { json: true } => print(&format!("{}\n", version_in_json(&features::schema()))),
            Self::Version { json: false } => print(&version(&features::schema())),
            Self::Manual(options) => manual::run(&options, command(features::FEATURES)),
            Self::ConfigDocs { form: DocsForm::Env } => print(&config::docs::env_example(&KNOBS)),
            Self::ConfigDocs { form: DocsForm::Markdown } => print(&config::docs::markdown(&KNOBS)),
            Self::MetricsDocs { form: MetricsForm::Markdown } => print(&metrics::markdown(&features::rows())),
            Self::MetricsDocs { form: MetricsForm::Grafana } => print(&metrics::grafana(&features::rows())),
            Self::Schema => print(&features::schema().text()),
            Self::Bounds => {
                let above = [config::bounds::BOUNDS, server::bounds::BOUNDS, bounds::BOUNDS];
                print(&config::docs::bounds(&features::bounds(&above)))
            }
            Self::Routes { plane: Plane::Public } => print(&gate::paths(&features::paths())),
            Self::Routes { plane: Plane::Private } => print(&gate::operator_table(&features::operator_routes())),
            Self::Errors => print(&gate::code::markdown(&features::codes())),
        }
    }
}

/// What can be read is shown, and what is wrong told: whoever corrects one setting wants to see the others.
fn print_config(path: &SettingsPath, changed: bool) -> ExitCode {
    let Shown { lines, sources, is_all, refused } = config::show(path);
    if is_all {
        tell(&sources);
    } else {
        print("# These are not all: some of what is set cannot be read.\n");
    }
    let printed = print(&config::docs::effective(&lines, changed));
    refused.map_or(printed, |error| misconfigured(&error))
}

fn check_config(path: &SettingsPath, strict: bool) -> ExitCode {
    let loaded = sources(path).and_then(|sources| config::load(&sources, strict));
    let checked = loaded.and_then(|loaded| {
        let mut warnings = loaded.warnings;
        let settings = &loaded.settings;
        let beyond = beyond_the_table(settings)
            .and_then(|more| Ok((more, of_the_schema(settings).map_err(|error| error.to_string())?)));
        match beyond {
            Ok((more, stored)) => {
                warnings.extend(more);
                Ok((stored, warnings))
            }
            Err(problem) => Err(ConfigError::of(problem, warnings)),
        }
    });
    match checked {
        Ok((stored, warnings)) => {
            let mut report: String = warnings.iter().flat_map(|warning| ["warning: ", warning, "\n"]).collect();
            report.extend(stored);
            report.push_str(&match warnings.len() {
                0 => "The configuration is valid.\n".to_owned(),
                1 => "The configuration is valid, with a warning.\n".to_owned(),
                count => format!("The configuration is valid, with {count} warnings.\n"),
            });
            print(&report)
        }
        Err(error) => misconfigured(&error),
    }
}

/// A line about a database that the start would change, if it is one.
///
/// # Errors
/// When the start would refuse it.
fn of_the_schema(settings: &Settings) -> Result<Option<String>, OpenError> {
    match store::check_place(settings.database(&DATABASE)) {
        // What this user may not look at, the server's user may.
        Err(OpenError::File { source, .. }) if source.kind() == std::io::ErrorKind::PermissionDenied => {}
        placed => placed?,
    }
    match store::open_leaving_nothing(settings.database(&DATABASE), &features::schema()) {
        Err(OpenError::Older { path, found, known }) => Ok(Some(format!(
            "{} has schema version {found}; the start of this inkring brings it to {known}, and older ones refuse it then\n",
            path.display()
        ))),
        Err(error @ (OpenError::Newer { .. } | OpenError::Foreign { .. } | OpenError::Altered { .. })) => Err(error),
        // What else is wrong with it may be so only for who asks.
        _ => Ok(None),
    }
}

/// Warnings of the files that settings name: keys of tokens, and the certificate.
fn beyond_the_table(settings: &Settings) -> Result<Vec<String>, String> {
    let mut warnings = Vec::from_iter(OpenedKeys::of(settings).map_err(|error| error.to_string())?.warning);
    if let Some(files) = Files::of(settings)? {
        warnings.extend(caution(Pair::read(&files)?.until, Clock::system().now()));
        warnings.extend(exposed(settings)?);
    }
    Ok(warnings)
}
