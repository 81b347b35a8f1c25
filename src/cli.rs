//! The verbs of the program and their exit codes: 0 ok, 1 failure, 2 usage, 3 a check found problems.

mod audit;

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

use crate::clock::{Clock, Timestamp};
use crate::config::{self, Config, ConfigError, Environment, Loaded, LogFormat, Sources};
use crate::gate::{MINT_MAX_HOURS, Verifier, is_user_id, mint, unverified};
use crate::observe::{self, LogHandle, metrics};
use crate::server::{Server, demands, open_keys};

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
        Verb::ConfigDocs { form: DocsForm::Env } => print(&config::docs::env_example()),
        Verb::ConfigDocs { form: DocsForm::Markdown } => print(&config::docs::markdown()),
        Verb::MetricsDocs { form: MetricsForm::Markdown } => print(&metrics::markdown()),
        Verb::MetricsDocs { form: MetricsForm::Grafana } => print(&metrics::grafana()),
    }
}

fn load(strict: bool) -> Result<Loaded, ConfigError> {
    config::load(&Sources::from_process(Path::new("."))?, strict)
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
    let (count, unit) = match away.unsigned_abs() {
        seconds @ 0..120 => (seconds, "seconds"),
        seconds @ 120..7200 => (seconds / 60, "minutes"),
        seconds @ 7200..172_800 => (seconds / 3600, "hours"),
        seconds => (seconds / 86_400, "days"),
    };
    let relation = if away < 0 { format!("{count} {unit} ago") } else { format!("in {count} {unit}") };
    format!("  ({}, {relation})", Timestamp(at).offset_style())
}

/// A text of a stranger as it may go to a terminal.
fn safe(text: &str) -> String {
    let one = |letter: char| if letter.is_control() { letter.escape_default().to_string() } else { letter.to_string() };
    text.chars().map(one).collect()
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
    // A limit on the size of files shall be an error of the write that meets it, and not the end of the process.
    signal_hook::flag::register(SIGXFSZ, Arc::default())?;
    let (told, wait) = mpsc::channel();
    let last_words = logs.clone();
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for (nth, signal) in signals.forever().enumerate() {
            log::info!(signal; "signal.received");
            if nth > 0 {
                last_words.flush(Duration::from_millis(200));
                // What was acknowledged is on disk (G1); what was not, the operator has chosen not to wait for.
                std::process::exit(128 + signal);
            }
            let _ = told.send(());
        }
    })?;
    let server = Server::start(config, logs)?;
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
