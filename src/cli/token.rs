//! `inkring token`: makes a signed token, or says what one claims.

use std::io::{self, Read};
use std::process::ExitCode;

use clap::Subcommand;

use super::common::{FOUND_PROBLEMS, fail, print};
use crate::clock::{Clock, Timestamp};
use crate::gate::identity::options::{SECRET, TOKEN_KEYS};
use crate::gate::{Demands, MINT_MAX_HOURS, OpenedKeys, Verifier, is_user_id, mint, unverified};
use crate::settings::Settings;
use crate::text::{span, visible};

/// As much as is read of what should be a token: more than one may have, so that it is known to be too long.
pub(super) const TOKEN_STDIN_MAX_BYTES: u64 = 65_536;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Print a token for a user, signed with JWT_SECRET (HS256)
    ///
    /// It has what this configuration asks for: exp, and iss and aud where JWT_ISSUER and JWT_AUDIENCE are set. Anyone who
    /// has it is that user until it expires; it cannot be revoked except by changing the key.
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

pub(super) fn user_id(text: &str) -> Result<String, String> {
    let rules = "a user id has 1 to 100 characters, none of them a control character";
    if is_user_id(text) { Ok(text.to_owned()) } else { Err(rules.to_owned()) }
}

pub(super) fn run(verb: &Verb, settings: &Settings) -> ExitCode {
    match verb {
        Verb::Mint { user, hours } => {
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
                return fail("cannot sign", &advice, 1);
            };
            let now = Clock::system().now();
            match mint(secret.bytes(), user, *hours, &Demands::of(settings), now) {
                Ok(token) => print(&format!("{token}\n")),
                Err(error) => fail("cannot sign", &error, 1),
            }
        }
        Verb::Inspect { token } => match token.as_deref().filter(|token| *token != "-") {
            Some(token) => inspect(token, settings),
            None => {
                let mut token = String::new();
                match io::stdin().take(TOKEN_STDIN_MAX_BYTES).read_to_string(&mut token) {
                    Ok(_) => inspect(&token, settings),
                    Err(error) => fail("cannot read a token from stdin", &error, 1),
                }
            }
        },
    }
}

/// Shows a token, and says whether it would be taken.
fn inspect(token: &str, settings: &Settings) -> ExitCode {
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
        None => report.push_str("This is no token: it should be three parts in base64url with dots between them.\n"),
    }
    let opened = match OpenedKeys::of(settings) {
        Ok(opened) => opened,
        Err(error) => return fail("the keys cannot be read", &error, 1),
    };
    let verdict = match opened.keys.map(|keys| Verifier::new(keys, Demands::of(settings))) {
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
