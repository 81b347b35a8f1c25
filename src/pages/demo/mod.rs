//! `inkring demo`: a small believable household in a server that keeps no records yet, to look around in and to take pictures of.
//!
//! It asks the API as anybody would, so it needs a server that lets everybody in: one for development.

mod paint;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::Value;

use crate::clock::Clock;
use crate::feature::trust::Trusting;
use crate::feature::verb::{self, Program, fail, misconfigured, print};
use crate::net::base_url::{BaseUrl, own_url};
use crate::net::client::{Ask, AskError, Remote};
use crate::net::tls::client::Trust;

/// What is in it: requests, one after the other. `{day:N}` is so many days from today, `{draft}` the draft that was made last.
const HOUSEHOLD: &str = include_str!("household.json");
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// What an answer may have.
const ANSWER_MAX_BYTES: u64 = 1024 * 1024;

/// The verb.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Add a small household and drafts in two languages to a running server that has no household records yet
    ///
    /// For trying out inkring. The server must be a development server that requires no sign-in and trusts X-User-Id. Existing drafts
    /// stay; a server that already has household records is not changed.
    #[command(after_help = "Exit codes: 0 done, 1 failure, 2 usage, 3 the settings are wrong.")]
    Demo {
        /// The server's URL [default: from LISTEN_ADDR]
        #[arg(long, value_name = "URL", value_parser = BaseUrl::parse)]
        base_url: Option<BaseUrl>,
        #[command(flatten)]
        trusting: Trusting,
    },
}

impl verb::Verb for Verb {
    fn run(self, program: &Program<'_>) -> ExitCode {
        let Self::Demo { base_url, trusting } = self;
        let (base_url, trust) = match base_url {
            Some(url) => {
                let trust = trusting.trust(&url);
                (url, trust)
            }
            None => match (program.settings)().map(|settings| own_url(&settings)) {
                Ok(Some(url)) => {
                    let trust = trusting.trust_of_own(&url);
                    (url, trust)
                }
                Ok(None) => {
                    let why = "LISTEN_ADDR is a port chosen at start: pass --base-url";
                    return fail("the command line is wrong", &why, 2);
                }
                Err(error) => return misconfigured(&error),
            },
        };
        let trust = match trust {
            Ok(trust) => trust,
            Err(why) => return fail("the command line is wrong", &why, 2),
        };
        let filled = fill(&base_url, &trust).map_err(|error| match error {
            Ended::Ask(error) if error.is_nobody() => Ended::Nobody(base_url.clone()),
            Ended::Refused { status: 401 | 403, .. } => Ended::NotForAll(base_url.clone()),
            error => error,
        });
        match filled {
            Ok(count) => print(&format!("made {count} requests; open {base_url}\n")),
            Err(error) => fail("demo failed", &error, 1),
        }
    }
}

/// Why it is not there.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("{0}: {1}")]
    NoHost(BaseUrl, io::Error),
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("the response to {0} was cut off: {1}")]
    Broken(String, io::Error),
    #[error("{}", .0.nobody())]
    Nobody(BaseUrl),
    #[error("the demo needs a development server (ENV=development) without sign-in; {0} requires credentials")]
    NotForAll(BaseUrl),
    #[error("{what} returned {status}: {text}")]
    Refused { what: String, status: u16, text: String },
    #[error("the server already has {0} household records, and the demo needs one without any (drafts do not matter)")]
    NotEmpty(i64),
    #[error("cannot create a picture: {0}")]
    Painting(#[from] png::EncodingError),
    #[error("a step of the demo is invalid: {0}")]
    Step(String),
}

/// One request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// Where something is posted.
    post: Option<String>,
    /// What is.
    json: Option<Value>,
    /// By whom, for drafts.
    #[serde(rename = "as")]
    user: Option<String>,
    /// Remembers the draft that was made.
    keep: Option<String>,
    /// A picture of this title, instead.
    upload: Option<String>,
    /// Its colours.
    #[serde(default)]
    colors: Vec<String>,
    /// Its tags.
    #[serde(default)]
    tags: Vec<String>,
}

fn steps() -> Result<Vec<Step>, Ended> {
    serde_json::from_str(HOUSEHOLD).map_err(|error| Ended::Step(error.to_string()))
}

fn fill(base: &BaseUrl, trust: &Trust) -> Result<usize, Ended> {
    let to = base.remote(trust, PATIENCE).map_err(|error| Ended::NoHost(base.clone(), error))?;
    let server = Server { to, prefix: base.prefix() };
    let status = server.ask("GET", "/api/v1/modules/status", None, None)?;
    let records: i64 =
        status["modules"].as_object().into_iter().flatten().filter_map(|(_, of)| of["records"].as_i64()).sum();
    if records > 0 {
        return Err(Ended::NotEmpty(records));
    }
    let (today, mut draft) = (today(), String::new());
    let steps = steps()?;
    for step in &steps {
        match (&step.post, &step.upload) {
            (Some(path), None) => {
                let path = path.replace("{draft}", &draft);
                let body = step.json.as_ref().map(|json| dated(&json.to_string(), today)).transpose()?;
                let user = step.user.as_deref();
                let body = body.as_deref().map(|text| ("application/json", text.as_bytes()));
                let answer = server.ask("POST", &path, user, body)?;
                if step.keep.is_some() {
                    draft = answer["data"]["draft_id"].as_str().unwrap_or_default().to_owned();
                }
            }
            (None, Some(title)) => upload(&server, title, step)?,
            _ => return Err(Ended::Step(format!("{step:?}"))),
        }
    }
    Ok(steps.len())
}

/// The day in UTC; a clock that is out of bounds shows the first one that there is.
fn today() -> Date {
    let now = jiff::Timestamp::from_second(Clock::system().now().seconds());
    now.map_or(Date::ZERO, |now| now.to_zoned(TimeZone::UTC).date())
}

fn upload(server: &Server<'_>, title: &str, step: &Step) -> Result<(), Ended> {
    let colors: Vec<paint::Color> = step.colors.iter().filter_map(|text| paint::color(text)).collect();
    let colors = colors.try_into().map_err(|_| Ended::Step(format!("{title} has not three colours")))?;
    let picture = paint::picture(colors)?;
    let body = Some(("application/octet-stream", &picture[..]));
    let record = server.ask("POST", "/api/v1/gallery/upload?name=demo.png", None, body)?;
    let change = serde_json::json!({ "title": title, "tags": step.tags }).to_string();
    let body = Some(("application/json", change.as_bytes()));
    server.ask("PUT", &format!("/api/v1/gallery/items/{}", record["id"]), None, body).map(drop)
}

/// The text with its days.
fn dated(text: &str, today: Date) -> Result<String, Ended> {
    let mut parts = text.split("{day:");
    let mut dated = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let day = part.split_once('}').and_then(|(days, rest)| Some((days.parse::<i32>().ok()?, rest)));
        let (days, rest) = day.ok_or_else(|| Ended::Step(text.to_owned()))?;
        let day = today.checked_add(days.days()).map_err(|error| Ended::Step(error.to_string()))?;
        dated.push_str(&day.to_string());
        dated.push_str(rest);
    }
    Ok(dated)
}

struct Server<'a> {
    to: Remote,
    prefix: &'a str,
}

impl Server<'_> {
    /// Asks, as this user if one is given, with a body of this type.
    fn ask(&self, method: &str, path: &str, user: Option<&str>, body: Option<(&str, &[u8])>) -> Result<Value, Ended> {
        let target = format!("{}{path}", self.prefix);
        let (content_type, body) = body.map_or((None, &b""[..]), |(content_type, body)| (Some(content_type), body));
        let headers: Vec<(&str, &str)> = content_type
            .map(|value| ("Content-Type", value))
            .into_iter()
            .chain(user.map(|user| ("X-User-Id", user)))
            .collect();
        let answer = Ask { method, target: &target, headers: &headers, body }.send(&self.to, PATIENCE)?;
        let (status, what) = (answer.status, format!("{method} {target}"));
        let text = answer.text(ANSWER_MAX_BYTES).map_err(|error| Ended::Broken(what.clone(), error))?;
        if !(200..300).contains(&status) {
            let said = serde_json::from_str::<Value>(&text).ok();
            let said = said.as_ref().and_then(|body| body.get("detail")?.as_str()).unwrap_or(text.trim());
            let text = crate::text::visible(&crate::text::cut(said, 300)).into_owned();
            return Err(Ended::Refused { what, status, text });
        }
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_can_be_taken() {
        let today = jiff::civil::date(2026, 11, 29);
        for step in steps().unwrap() {
            assert_eq!(step.post.is_some(), step.upload.is_none(), "{step:?}");
            assert!(step.upload.is_none() || step.colors.iter().filter_map(|text| paint::color(text)).count() == 3);
            let text = step.json.unwrap_or_default().to_string();
            assert!(!dated(&text, today).unwrap().contains("{day"), "{text}");
        }
        assert_eq!(dated("a {day:3} b {day:-29}T10:00", today).unwrap(), "a 2026-12-02 b 2026-10-31T10:00");
        assert!(dated("{day:x}", today).is_err());
    }
}
