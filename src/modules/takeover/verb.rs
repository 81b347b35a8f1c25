//! The verb itself: reads there, writes here, and says what became of each module.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};

use super::super::options::PASSWORD;
use super::super::records::kinds::{KINDS, Kind};
use super::listing::{Listing, Next};
use crate::feature::smoke::{pause, wait_of};
use crate::feature::trust::Trusting;
use crate::feature::verb::{self, FOUND_PROBLEMS, Program, fail, misconfigured, print};
use crate::net::base_url::{BaseUrl, own_server};
use crate::net::client::{Answer, Ask, AskError, Remote};
use crate::net::tls::client::Trust;
use crate::settings::Settings;
use crate::text::{cut, visible};

/// Records that are asked for at once: the original promises no more (contract 04 §1.7).
const PAGE_RECORDS: usize = 100;
/// A page of them, or an answer of ours.
pub(in crate::modules) const PAGE_MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Lines are sent when there are so many bytes of them.
const SENT_BYTES: usize = 1024 * 1024;
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Who is told to come back later than that does not.
const WAIT_MAX: Duration = Duration::from_secs(3600);
/// Records that were refused are named up to so many.
const NAMED_MAX: usize = 100;
/// As much of a stranger's text as is repeated.
const SHOWN_CHARS: usize = 300;

/// The verbs of the modules as a whole.
#[derive(Debug, Subcommand)]
pub(in crate::modules) enum Verb {
    /// Commands for all modules of the household
    #[command(subcommand)]
    Modules(Asked),
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub(in crate::modules) enum Asked {
    /// Import the records of another server, the original program or another inkring, through its API
    ///
    /// Reads all six kinds of record from /api/v1 there and sends them to the server of these settings, which must be
    /// running. Times are kept; so are ids, in a household without records. Records that exist here are left alone or
    /// corrected. It can be repeated, and continues where it stopped. Of a gallery, only the records are read, not
    /// the files.
    #[command(
        after_help = "Exit codes: 0 all records are here, 1 it stopped early, 2 usage, 3 some records were refused or \
            may be missing, or the settings are wrong."
    )]
    Import {
        /// The other server: https://HOST or http://HOST:PORT
        #[arg(long, value_name = "URL", value_parser = BaseUrl::parse)]
        from: BaseUrl,
        /// Print what would be done, without changing anything
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        trusting: Trusting,
    },
}

impl verb::Verb for Verb {
    fn run(self, program: &Program<'_>) -> ExitCode {
        let Self::Modules(Asked::Import { from, dry_run, trusting }) = self;
        let trust = match trusting.trust(&from) {
            Ok(trust) => trust,
            Err(why) => return fail("the command line is wrong", &why, 2),
        };
        let settings = match (program.settings)() {
            Ok(settings) => settings,
            Err(error) => return misconfigured(&error),
        };
        let mut report = Report::default();
        let ended = Takeover::begin(&from, &trust, &settings, dry_run).and_then(|takeover| takeover.run(&mut report));
        print(&report.text(&from, dry_run));
        match ended {
            Err(error) => fail("it stopped early; run it again to import the rest", &error, 1),
            Ok(()) if report.is_whole() => ExitCode::SUCCESS,
            Ok(()) => fail("some records were not imported", &report.lacking().trim_end(), FOUND_PROBLEMS),
        }
    }
}

/// Why it ended early.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(
        "the address of this server is not known before it starts: set LISTEN_ADDR for both the server and this verb"
    )]
    NoAddress,
    #[error("{0}: {1}")]
    NoHost(String, io::Error),
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("{0} was interrupted: {1}")]
    Broken(String, io::Error),
    #[error("{what} returned {status}: {why}")]
    Refused { what: String, status: u16, why: String },
    #[error("{0} did not return a list of records")]
    Strange(String),
    #[error("{0}: {1}")]
    TooMany(&'static str, String),
}

/// One of the two servers.
struct Side {
    to: Remote,
    prefix: String,
    /// What is shown there.
    bearer: Option<String>,
}

impl Side {
    /// Asks, and waits where it is told to. Only 200 is an answer.
    fn ask(&self, method: &str, target: &str, content_type: &str, body: &[u8]) -> Result<Value, Ended> {
        let target = format!("{}{target}", self.prefix);
        let what = format!("{method} {target} of {}", self.to.endpoint());
        let mut headers: Vec<(&str, &str)> = Vec::new();
        if !body.is_empty() {
            headers.push(("Content-Type", content_type));
        }
        headers.extend(self.bearer.as_deref().map(|bearer| ("Authorization", bearer)));
        let ask = Ask { method, target: &target, headers: &headers, body };
        loop {
            let answer = ask.send(&self.to, PATIENCE)?;
            match wait_of(&answer).filter(|wait| *wait <= WAIT_MAX) {
                Some(wait) => pause(wait),
                None => return read(answer, what),
            }
        }
    }
}

fn read(answer: Answer, what: String) -> Result<Value, Ended> {
    let status = answer.status;
    let text = answer.text(PAGE_MAX_BYTES).map_err(|error| Ended::Broken(what.clone(), error))?;
    if status == 200 {
        return serde_json::from_str(&text).map_err(|_| Ended::Strange(what));
    }
    let body: Value = serde_json::from_str(&text).unwrap_or_default();
    let why = body["error"]["message"].as_str().or(body["detail"].as_str()).unwrap_or(&text);
    Err(Ended::Refused { what, status, why: shown(why) })
}

/// A stranger's text as it may go to a terminal.
fn shown(text: &str) -> String {
    visible(&cut(text.trim(), SHOWN_CHARS)).into_owned()
}

struct Takeover {
    there: Side,
    here: Side,
    dry_run: bool,
}

impl Takeover {
    fn begin(from: &BaseUrl, trust: &Trust, settings: &Settings, dry_run: bool) -> Result<Self, Ended> {
        let to = from.remote(trust, PATIENCE).map_err(|error| Ended::NoHost(from.to_string(), error))?;
        let there = Side { to, prefix: from.prefix().to_owned(), bearer: None };
        let to = own_server(settings).ok_or(Ended::NoAddress)?;
        let mut here = Side { to, prefix: String::new(), bearer: None };
        if let Some(password) = settings.text(&PASSWORD) {
            let asked = json!({ "password": password }).to_string();
            let opened = here.ask("POST", "/api/session", "application/json", asked.as_bytes())?;
            here.bearer = opened["token"].as_str().map(|token| format!("Bearer {token}"));
        }
        Ok(Self { there, here, dry_run })
    }

    fn run(&self, report: &mut Report) -> Result<(), Ended> {
        let all = KINDS.iter().try_for_each(|kind| self.module(kind, report));
        if self.here.bearer.is_some() {
            // One that stays ends by itself.
            let _ = self.here.ask("DELETE", "/api/session", "", b"");
        }
        all
    }

    /// Takes over the records of one kind.
    fn module(&self, kind: &'static Kind, report: &mut Report) -> Result<(), Ended> {
        let (mut listing, mut waiting) = (Listing::default(), Waiting::default());
        let of = report.module(kind.module);
        let mut skip = 0;
        loop {
            let path = format!("/api/v1/{}/{}?skip={skip}&limit={PAGE_RECORDS}", kind.module, kind.collection);
            let Value::Array(page) = self.there.ask("GET", &path, "", b"")? else {
                return Err(Ended::Strange(path));
            };
            let count = page.len();
            let new = listing.take(page).map_err(|why| Ended::TooMany(kind.module, why))?;
            for record in new {
                waiting.add(&record);
                if waiting.lines.len() >= SENT_BYTES {
                    self.send(&mut waiting, of)?;
                }
            }
            match listing.next(count) {
                Next::Page(next) => skip = next,
                Next::Done => break,
                Next::Unsure => {
                    of.is_unsure = true;
                    break;
                }
            }
        }
        self.send(&mut waiting, of)
    }

    fn send(&self, waiting: &mut Waiting, of: &mut OfModule) -> Result<(), Ended> {
        let Waiting { lines, ids } = std::mem::take(waiting);
        if ids.is_empty() {
            return Ok(());
        }
        let target = if self.dry_run { "/api/v1/import?dry_run=1" } else { "/api/v1/import" };
        let answer = self.here.ask("POST", target, "application/x-ndjson", &lines)?;
        of.add(&answer, &ids);
        Ok(())
    }
}

/// Lines that are about to be sent, and the id of each.
#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    ids: Vec<String>,
}

impl Waiting {
    fn add(&mut self, record: &Value) {
        self.lines.extend_from_slice(record.to_string().as_bytes());
        self.lines.push(b'\n');
        self.ids.push(record["id"].to_string());
    }
}

/// What became of the records.
#[derive(Debug, Default)]
struct Report {
    modules: Vec<OfModule>,
}

/// What became of those of one module.
#[derive(Debug, Default)]
struct OfModule {
    module: &'static str,
    made: u64,
    changed: u64,
    unchanged: u64,
    refused: u64,
    /// Whether some may have been passed over.
    is_unsure: bool,
    /// Some of those that were refused, each with why.
    why: Vec<String>,
}

impl OfModule {
    fn add(&mut self, answer: &Value, ids: &[String]) {
        let count = |name: &str| answer[name].as_u64().unwrap_or_default();
        self.made += count("made");
        self.changed += count("changed");
        self.unchanged += count("unchanged");
        self.refused += count("refused");
        for line in answer["lines"].as_array().into_iter().flatten() {
            let id = line["line"].as_u64().and_then(|line| ids.get(usize::try_from(line).ok()?.checked_sub(1)?));
            if self.why.len() < NAMED_MAX {
                let (id, why) = (id.map_or("?", String::as_str), line["why"].as_str().unwrap_or_default());
                self.why.push(format!("{} {}: {}", self.module, shown(id), shown(why)));
            }
        }
    }
}

impl Report {
    fn module(&mut self, module: &'static str) -> &mut OfModule {
        self.modules.push(OfModule { module, ..OfModule::default() });
        let last = self.modules.len() - 1;
        &mut self.modules[last]
    }

    fn is_whole(&self) -> bool {
        self.modules.iter().all(|of| of.refused == 0 && !of.is_unsure)
    }

    fn text(&self, from: &BaseUrl, dry_run: bool) -> String {
        let done = if dry_run { "would be imported" } else { "imported" };
        let mut text = format!("{done} from {from}:\n");
        for OfModule { module, made, changed, unchanged, refused, .. } in &self.modules {
            text.push_str(&format!(
                "  {module:<14} {made} created, {changed} changed, {unchanged} already here, {refused} refused\n"
            ));
        }
        text
    }

    /// A line for each record that is not here.
    fn lacking(&self) -> String {
        let mut text = String::new();
        for of in &self.modules {
            of.why.iter().for_each(|why| text.push_str(&format!("{why}\n")));
            let more = of.refused.saturating_sub(of.why.len() as u64);
            if more > 0 {
                text.push_str(&format!("{} {more} more\n", of.module));
            }
            if of.is_unsure {
                text.push_str(&format!(
                    "{}: the other server returned its list in a different order each time; try again\n",
                    of.module
                ));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_is_named_by_its_id_up_to_a_number() {
        let mut report = Report::default();
        let ids: Vec<String> = (1..=NAMED_MAX as u64 + 1).map(|id| (id * 10).to_string()).collect();
        let lines: Vec<Value> =
            (1..=ids.len()).map(|line| json!({ "line": line, "why": "body.title: Field\u{1b}required" })).collect();
        let answer = json!({ "made": 2, "changed": 0, "unchanged": 1, "refused": ids.len(), "lines": lines });
        report.module("kazkar").add(&answer, &ids);
        let from = BaseUrl::parse("http://127.0.0.1:1").unwrap();
        let said = report.text(&from, true);
        assert_eq!(
            said,
            format!(
                "would be imported from http://127.0.0.1:1:\n  kazkar         2 created, 0 changed, 1 already here, {} refused\n",
                ids.len()
            )
        );
        let lacking = report.lacking();
        assert!(lacking.starts_with("kazkar 10: body.title: Field"), "{lacking}");
        assert!(!lacking.contains('\u{1b}') && lacking.ends_with("kazkar 1 more\n"), "{lacking}");
        assert!(!report.is_whole());
        report.modules[0] = OfModule { module: "kazkar", is_unsure: true, ..OfModule::default() };
        assert!(!report.is_whole() && report.lacking().contains("try again"));
    }
}
