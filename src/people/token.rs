//! `inkring token`: makes a signed token, says what one claims, revokes tokens.

use std::io::{self, Read};
use std::process::ExitCode;

use clap::{ArgGroup, Subcommand};
use serde_json::Value;
use uuid::Uuid;

use super::revocation;
use super::revoking::{self, REVOCATIONS, Wanted, jti_of};
use super::user;
use crate::audit::since;
use crate::clock::{Clock, Timestamp};
use crate::feature::verb::{
    self, FOUND_PROBLEMS, Program, TOKEN_STDIN_MAX_BYTES, fail, misconfigured, print, user_id, warn, whole,
};
use crate::gate::identity::options::{SECRET, TOKEN_KEYS, max_life};
use crate::gate::{Caller, Demands, MINT_MAX_HOURS, OpenedKeys, Revocations, Verifier, mint, unverified};
use crate::plane::door::{Door, NotDone};
use crate::plane::record::Operator;
use crate::settings::Settings;
use crate::store::options::DATABASE;
use crate::text::{span, visible};

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failure, 2 usage, 3 the settings are wrong.";

/// The verbs about people.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Make, inspect and revoke signed tokens
    #[command(subcommand)]
    Token(Asked),
    /// Erase a person
    ///
    /// Their tokens stay valid until `inkring token revoke --user USER` revokes them.
    #[command(subcommand)]
    User(user::Asked),
}

impl verb::Verb for Verb {
    fn run(self, program: &Program<'_>) -> ExitCode {
        let asked = match self {
            Self::Token(asked) => asked,
            Self::User(asked) => return user::run(asked, program),
        };
        match (program.settings)() {
            Ok(settings) => run(asked, &settings, program),
            Err(error) => misconfigured(&error),
        }
    }
}

/// What can be done with tokens.
#[derive(Debug, Subcommand)]
pub(super) enum Asked {
    /// Print a token for a user, signed with JWT_SECRET (HS256)
    ///
    /// It contains what this configuration requires: exp, and iss and aud if JWT_ISSUER and JWT_AUDIENCE are set.
    /// Anyone who has it is that user until it expires or its jti is revoked.
    Mint {
        /// The user: 1 to 100 characters, none of them a control character
        #[arg(long, value_parser = user_id)]
        user: String,
        /// The lifetime in hours, at most a year
        #[arg(long, default_value_t = 24, value_parser = whole(1, MINT_MAX_HOURS))]
        hours: u32,
    },
    /// Show the claims of a token, and whether a server with this configuration would accept it
    ///
    /// Exits with 0 if it would, with 3 if not. The claims of a token that is not accepted are unverified.
    Inspect {
        /// The token; if missing or -, it is read from stdin, where other users of the machine cannot see it
        token: Option<String>,
    },
    /// Revoke one token by its jti, or all tokens of a user issued before a given time
    ///
    /// It takes effect at once: requests get 401, and open sockets are closed with 4401. A running server is asked
    /// through its private plane (OPS_ADDR, with OPS_TOKEN); one that is stopped applies it when it starts. `inkring
    /// token inspect` shows the jti of a token. A revocation is removed once every token it covers has expired; the
    /// server knows when if JWT_MAX_LIFE_DAYS is set, or from --expires.
    #[command(after_help = EXIT_CODES, group = ArgGroup::new("which").required(true).args(["jti", "user"]))]
    Revoke {
        /// The jti of the token
        #[arg(long, value_name = "JTI", value_parser = jti_of)]
        jti: Option<String>,
        /// The user whose tokens are revoked
        #[arg(long, value_parser = user_id)]
        user: Option<String>,
        /// Only tokens issued before this time: 2026-01-31, 2026-01-31T12:00:00Z, or an age such as 24h [default:
        /// now]
        #[arg(long, value_name = "TIME|DURATION", requires = "user", conflicts_with = "jti")]
        before: Option<String>,
        /// When the token expires, as a date or a time; its revocation is then removed
        #[arg(long, value_name = "TIME", requires = "jti", conflicts_with = "user")]
        expires: Option<String>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// List the revocations in force
    #[command(after_help = EXIT_CODES)]
    Revocations {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

fn run(asked: Asked, settings: &Settings, program: &Program<'_>) -> ExitCode {
    match asked {
        Asked::Mint { user, hours } => {
            let Some(secret) = settings.secret(&SECRET) else {
                let other = TOKEN_KEYS.iter().find(|key| settings.text(key).is_some());
                let advice = match other {
                    Some(key) => format!("tokens for {} are made with the private key, which is not here", key.name),
                    None => {
                        "JWT_SECRET is not set: put what `openssl rand -hex 32` prints into .env, as JWT_SECRET=…, and \
                             restart the server"
                            .to_owned()
                    }
                };
                return fail("token mint failed", &advice, 1);
            };
            if let Some(most) = max_life(settings).filter(|most| most.as_secs() < u64::from(hours) * 3600) {
                let most = most.as_secs() / 3600;
                let why = format!("--hours {hours} is more than the {most} hours that JWT_MAX_LIFE_DAYS allows");
                return fail("token mint failed", &why, 1);
            }
            let now = Clock::system().now();
            match mint(secret.bytes(), &user, hours, &Demands::of(settings), &Uuid::new_v4().to_string(), now) {
                Ok(token) => {
                    // The server that takes the token says so at its start, which may be elsewhere.
                    if let Some(sentence) = (program.weakness)(&SECRET) {
                        warn(&sentence);
                    }
                    print(&format!("{token}\n"))
                }
                Err(error) => fail("token mint failed", &error, 1),
            }
        }
        Asked::Inspect { token } => match token.as_deref().filter(|token| *token != "-") {
            Some(token) => inspect(token, settings, program),
            None => {
                let mut token = String::new();
                match io::stdin().take(TOKEN_STDIN_MAX_BYTES).read_to_string(&mut token) {
                    Ok(_) => inspect(&token, settings, program),
                    Err(error) => fail("cannot read a token from stdin", &error, 1),
                }
            }
        },
        Asked::Revoke { jti, user, before, expires, json } => {
            let now = Clock::system().now();
            let time = |name: &str, text: Option<String>| {
                text.map(|text| since(&text, now).map_err(|why| format!("{name} {text:?}: {why}"))).transpose()
            };
            let wanted = match (time("--before", before), time("--expires", expires)) {
                (Err(why), _) | (_, Err(why)) => return fail("nothing was revoked", &why, 2),
                (Ok(before), Ok(expires_at)) => match (jti, user) {
                    (Some(jti), _) => Wanted::Token { jti, expires_at },
                    (None, Some(user)) => Wanted::User { user, before },
                    (None, None) => return fail("nothing was revoked", &"say --jti or --user", 2),
                },
            };
            match wanted.checked(now).map_err(NotDone::from).and_then(|wanted| revoke(wanted, settings, program)) {
                Ok(said) if json => print(&format!("{said}\n")),
                Ok(said) => print(&revoked(&said["revocation"])),
                Err(error) => fail("nothing was revoked", &error, 1),
            }
        }
        Asked::Revocations { json } => {
            let life = max_life(settings);
            let door = Door::new(settings, &program.schema);
            match door.read(REVOCATIONS, |reader| Ok(revoking::list(reader, life)?)) {
                Ok(said) if json => print(&format!("{said}\n")),
                Ok(said) => print(&table(&said["revocations"])),
                Err(error) => fail("the revocations cannot be listed", &error, 1),
            }
        }
    }
}

/// Has the server revoke, or the database that it will start with.
fn revoke(wanted: Wanted, settings: &Settings, program: &Program<'_>) -> Result<Value, NotDone> {
    let (life, body) = (max_life(settings), wanted.body());
    let operator = Operator::of_verb(settings, "inkring token revoke");
    let here = move |tx: &mut crate::store::Tx<'_>| revoking::revoke(tx, &wanted, life, &operator);
    Door::new(settings, &program.schema).change(("POST", REVOCATIONS, &body), here)
}

/// What a revocation concerns, in words.
fn concerned(said: &Value) -> String {
    let text = |name: &str| visible(said[name].as_str().unwrap_or_default()).into_owned();
    match said["jti"].is_null() {
        true => format!("tokens of {} issued before {}", text("user"), text("before")),
        false => format!("token {}", text("jti")),
    }
}

/// Until when it is kept, in words.
fn kept_until(said: &Value) -> &str {
    said["over_at"].as_str().unwrap_or("forever")
}

fn revoked(said: &Value) -> String {
    let until = kept_until(said);
    let hint = if said["over_at"].is_null() {
        " (set JWT_MAX_LIFE_DAYS or pass --expires to have it removed when it is no longer needed)"
    } else {
        ""
    };
    format!("revoked: {}\n  kept           {until}{hint}\n", concerned(said))
}

fn table(all: &Value) -> String {
    let mut text = format!("{:<32}  {:<32}  {}\n", "REVOKED", "KEPT UNTIL", "WHAT");
    for said in all.as_array().into_iter().flatten() {
        let at = said["revoked_at"].as_str().unwrap_or_default();
        text.push_str(&format!("{at:<32}  {:<32}  {}\n", kept_until(said), concerned(said)));
    }
    text
}

/// Shows a token, and says whether it would be taken.
fn inspect(token: &str, settings: &Settings, program: &Program<'_>) -> ExitCode {
    let token = token.trim();
    let now = Clock::system().now();
    let mut report = String::new();
    match unverified(token) {
        Some((header, claims)) => {
            report.push_str(&format!("header   {}\n", visible(&header.to_string())));
            for (name, value) in &claims {
                let when =
                    if ["exp", "nbf", "iat"].contains(&name.as_str()) { in_words(value, now) } else { String::new() };
                report.push_str(&format!("{:8} {}{when}\n", visible(name), visible(&value.to_string())));
            }
        }
        None => report.push_str("This is not a token: it should be three base64url parts separated by dots.\n"),
    }
    let opened = match OpenedKeys::of(settings) {
        Ok(opened) => opened,
        Err(error) => return fail("the keys cannot be read", &error, 1),
    };
    let verdict = match opened.keys.map(|keys| Verifier::new(keys, Demands::of(settings))) {
        None => Err("no key is set, so tokens are ignored".to_owned()),
        Some(verifier) => verifier.verify(token.as_bytes(), now).map_err(|bad| bad.reason().to_owned()),
    };
    let is_revoked = match &verdict {
        Ok(caller) => is_revoked(caller, settings, program),
        Err(_) => Ok(false),
    };
    let verdict = match &is_revoked {
        Ok(true) => Err("it is revoked".to_owned()),
        _ => verdict,
    };
    let taken = verdict.is_ok();
    report.push_str(&match verdict {
        Ok(caller) => format!("A server with this configuration accepts it: the user is {}\n", caller.user),
        Err(why) => format!("A server with this configuration rejects it: {why}\n"),
    });
    if let Err(why) = is_revoked {
        report.push_str(&format!("unless it is revoked, which is not known: {why}\n"));
    }
    print(&report);
    if taken { ExitCode::SUCCESS } else { ExitCode::from(FOUND_PROBLEMS) }
}

/// Whether the server, or the database that it will start with, has the token of this caller revoked. Where there is no database yet,
/// nothing is.
fn is_revoked(caller: &Caller, settings: &Settings, program: &Program<'_>) -> Result<bool, NotDone> {
    let claims = match &caller.claims {
        Some(claims) if settings.database(&DATABASE).exists() => claims,
        _ => return Ok(false),
    };
    let door = Door::new(settings, &program.schema);
    let said = door.read(REVOCATIONS, |reader| Ok(revoking::list(reader, None)?))?;
    let all: Revocations =
        said["revocations"].as_array().into_iter().flatten().filter_map(revocation::of_json).collect();
    Ok(all.revoke(&caller.user, claims))
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
