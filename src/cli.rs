//! The verbs of the program and their exit codes: 0 ok, 1 failure, 2 usage, 3 a check found problems.

mod audit;
mod backup;
mod base_url;
mod doctor;
mod healthcheck;
mod reload;
mod setup;
mod signals;
mod smoke;

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

use crate::clock::{Clock, Timestamp};
use crate::config::{self, Config, ConfigError, Environment, Loaded, LogFormat, Secret, Sources};
use crate::gate::{MINT_MAX_HOURS, Verifier, is_user_id, mint, unverified};
use crate::net::Endpoint;
use crate::net::client::{Answer, Ask, AskError};
use crate::observe::{self, LogHandle, metrics};
use crate::server::{Server, demands, open_keys};
use crate::systemd::{Inherited, Notify};
use signals::{BackUp, BackUps, Order, Orders};

/// Exit code when a check ran and found problems.
const FOUND_PROBLEMS: u8 = 3;
/// As much as is read of what should be a token: more than one may have, so that it is known to be too long.
const TOKEN_STDIN_MAX_BYTES: u64 = 65_536;
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
    /// Make a signed token, or see what one says
    #[command(subcommand)]
    Token(TokenVerb),
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
        /// Do everything but change anything
        #[arg(long)]
        check: bool,
    },
    /// Look at the installation and say what is wrong with it and what to do, changing nothing
    ///
    /// Configuration, permissions, disk, database, backups, clock, proxy, the running server: each is green, yellow or
    /// red. Give it the settings of the server, and run it as the server's user.
    Doctor(doctor::Options),
    /// Make this machine ready to run inkring as a service: units, settings for production, fresh secrets
    ///
    /// Nothing that is there is written over, so it can be run again. It says all that it wrote, what to do next, and how to
    /// be rid of it.
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
}

#[derive(Debug, Subcommand)]
enum TokenVerb {
    /// Print a token for a user, signed with JWT_SECRET (HS256)
    ///
    /// It has what this configuration asks for: exp, and iss and aud where JWT_ISSUER and JWT_AUDIENCE are set. Whoever
    /// has it is that user until it expires; it cannot be called back but by changing the key.
    Mint {
        /// Whose token it is: 1 to 100 characters, none of them a control character
        #[arg(long, value_parser = user_id)]
        user: String,
        /// How many hours it is good for, at most a year
        #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=i64::from(MINT_MAX_HOURS)))]
        hours: u32,
    },
    /// Show what a token says, and whether a server with this configuration would take it
    ///
    /// Exit code 0 if it would, 3 if not. What is shown of a token that is not taken is what it claims, no more.
    Inspect {
        /// The token; without it, or as -, it is read from stdin, where other users of the machine do not see it
        token: Option<String>,
    },
}

fn user_id(text: &str) -> Result<String, String> {
    let rules = "a user id has 1 to 100 characters, none of them a control character";
    if is_user_id(text) { Ok(text.to_owned()) } else { Err(rules.to_owned()) }
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
        Verb::Token(verb) => match load(false) {
            Ok(loaded) => token(&verb, &loaded.config),
            Err(error) => fail("the configuration is wrong", &error, 1),
        },
        Verb::Audit(verb) => audit::run(verb),
        Verb::Backup { to } => backup::run_backup(to),
        Verb::Verify { file } => backup::run_verify(&file),
        Verb::Restore { file, check } => backup::run_restore(&file, check),
        Verb::Setup(options) => setup::run(&options),
        Verb::Doctor(options) => doctor::run(&options),
        Verb::Smoke(options) => smoke::run(&options),
        Verb::Healthcheck(options) => healthcheck::run(&options),
        Verb::ConfigDocs { form: DocsForm::Env } => print(&config::docs::env_example()),
        Verb::ConfigDocs { form: DocsForm::Markdown } => print(&config::docs::markdown()),
        Verb::MetricsDocs { form: MetricsForm::Markdown } => print(&metrics::markdown()),
        Verb::MetricsDocs { form: MetricsForm::Grafana } => print(&metrics::grafana()),
    }
}

fn load(strict: bool) -> Result<Loaded, ConfigError> {
    config::load(&sources()?, strict)
}

fn sources() -> Result<Sources, ConfigError> {
    Sources::from_process(Path::new("."))
}

fn check_config(strict: bool) -> ExitCode {
    let checked = load(strict).map_err(|error| error.to_string()).and_then(|mut loaded| {
        let keys = open_keys(&loaded.config).map_err(|error| error.to_string())?;
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

fn token(verb: &TokenVerb, config: &Config) -> ExitCode {
    match verb {
        TokenVerb::Mint { user, hours } => {
            let Some(secret) = &config.jwt.secret else {
                let advice = "there is no JWT_SECRET: tokens for other keys are made by whoever has the private key";
                return fail("cannot sign", &advice, 1);
            };
            let now = Clock::system().now();
            match mint(secret.bytes(), user, *hours, &demands(config), now) {
                Ok(token) => print(&format!("{token}\n")),
                Err(error) => fail("cannot sign", &error, 1),
            }
        }
        TokenVerb::Inspect { token } => match token.as_deref().filter(|token| *token != "-") {
            Some(token) => inspect(token, config),
            None => {
                let mut token = String::new();
                match io::stdin().take(TOKEN_STDIN_MAX_BYTES).read_to_string(&mut token) {
                    Ok(_) => inspect(&token, config),
                    Err(error) => fail("cannot read a token from stdin", &error, 1),
                }
            }
        },
    }
}

/// Shows a token, and says whether it would be taken.
fn inspect(token: &str, config: &Config) -> ExitCode {
    let token = token.trim();
    let now = Clock::system().now();
    let mut report = String::new();
    match unverified(token) {
        Some((header, claims)) => {
            report.push_str(&format!("header   {}\n", safe(&header.to_string())));
            for (name, value) in &claims {
                let when =
                    if ["exp", "nbf", "iat"].contains(&name.as_str()) { in_words(value, now) } else { String::new() };
                report.push_str(&format!("{:8} {}{when}\n", safe(name), safe(&value.to_string())));
            }
        }
        None => report.push_str("This is no token: it should be three parts in base64url with dots between them.\n"),
    }
    let opened = match open_keys(config) {
        Ok(opened) => opened,
        Err(error) => return fail("the keys cannot be read", &error, 1),
    };
    let verdict = match opened.keys.map(|keys| Verifier::new(keys, demands(config))) {
        None => Err("no key is set, so tokens are not looked at".to_owned()),
        Some(verifier) => verifier.verify(token.as_bytes(), now).map_err(|bad| bad.reason().to_owned()),
    };
    let taken = verdict.is_ok();
    report.push_str(&match verdict {
        Ok(caller) => format!("A server with this configuration takes it: the user is {}\n", caller.user),
        Err(why) => format!("A server with this configuration does not take it: {why}\n"),
    });
    print(&report);
    if taken { ExitCode::SUCCESS } else { ExitCode::from(FOUND_PROBLEMS) }
}

/// A claim that is a time, as people write it, and how far away it is.
fn in_words(seconds: &serde_json::Value, now: Timestamp) -> String {
    let Some(seconds) = seconds.as_f64() else { return "  (not a number)".to_owned() };
    let at = (seconds * 1e6) as i64;
    let away = at.saturating_sub(now.0) / 1_000_000;
    let span = span(away.unsigned_abs());
    let relation = if away < 0 { format!("{span} ago") } else { format!("in {span}") };
    format!("  ({}, {relation})", Timestamp(at).offset_style())
}

/// How long so many seconds are, as people say it.
fn span(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..120 => (seconds, "seconds"),
        120..7200 => (seconds / 60, "minutes"),
        7200..172_800 => (seconds / 3600, "hours"),
        _ => (seconds / 86_400, "days"),
    };
    format!("{count} {unit}")
}

/// A text of a stranger as it may go to a terminal.
fn safe(text: &str) -> String {
    let one = |letter: char| if letter.is_control() { letter.escape_default().to_string() } else { letter.to_string() };
    text.chars().map(one).collect()
}

fn serve() -> ExitCode {
    // Before there is any other thread, as it has to be.
    let inherited = match Inherited::from_environment() {
        Ok(inherited) => inherited,
        Err(error) => return fail("cannot start", &error, 1),
    };
    let loaded = match load(false) {
        Ok(loaded) => loaded,
        Err(error) => return fail("the configuration is wrong", &error, 1),
    };
    let level = log_level(&loaded.config);
    let format = match loaded.config.log.format {
        LogFormat::Pretty => observe::Format::Pretty,
        LogFormat::Json => observe::Format::Json,
    };
    let logs = match observe::init(&observe::Options { level, format }) {
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

/// The level of the log as configured, in the words of the log.
fn log_level(config: &Config) -> log::LevelFilter {
    config.log.level.as_str().parse().unwrap_or(log::LevelFilter::Info)
}

/// Serves until the first SIGTERM or SIGINT; a second one during the stop ends the process at once.
fn serve_until_told(
    mut loaded: Loaded,
    inherited: Inherited,
    logs: &LogHandle,
) -> Result<(), Box<dyn std::error::Error>> {
    let orders = Orders::listen(logs.clone())?;
    let notify = Notify::from_environment();
    let server = Server::start(&loaded.config, inherited, notify.clone(), logs)?;
    print(&banner(&loaded.config, &server));
    let backups = server.backups();
    // How it went, it logs itself.
    let back_up: BackUp = Arc::new(move || drop(backups.now()));
    let mut backups = BackUps::new(loaded.config.operations.backups.directory.is_some().then_some(back_up));
    loop {
        match orders.next() {
            Order::Stop => break,
            Order::Reload => {
                notify.reloading("reading the settings again");
                reload::reload(&mut loaded, &server, logs);
                notify.ready(&server.status());
            }
            Order::BackUp => backups.begin(),
        }
    }
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
    match server.private_endpoint() {
        Some(Endpoint::Tcp(address)) => text.push_str(&format!("  operator      http://{address}/\n")),
        Some(socket) => text.push_str(&format!("  operator      {socket}\n")),
        None => {}
    }
    if config.env == Environment::Production {
        return text;
    }
    text.push_str(&format!(
        "  try           curl -s http://{address}/v1/collab/drafts -H 'X-User-Id: alice' \
         -H 'Content-Type: application/json' -d '{{\"title\":\"First draft\",\"platform\":\"x\"}}'\n"
    ));
    text
}

/// Asks the private plane of a server on this machine, as somebody who has its token.
fn ask_privately(ask: Ask<'_>, to: &Endpoint, token: Option<&Secret>, patience: Duration) -> Result<Answer, AskError> {
    let bearer = token.map(|token| format!("Bearer {}", String::from_utf8_lossy(token.bytes())));
    let headers: Vec<(&str, &str)> = bearer.iter().map(|bearer| ("Authorization", bearer.as_str())).collect();
    let to = to.from_here();
    Ask { headers: &headers, ..ask }.send(&to, &to.host(), patience)
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
