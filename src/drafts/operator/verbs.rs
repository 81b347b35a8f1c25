//! `inkring draft`: what an operator does with drafts by hand.

use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::deed::Deed;
use super::routes::{DRAFTS_PAGE, SEGMENTS_PAGE};
use super::{DRAFTS_PAGE_MAX, SEGMENTS_PAGE_MAX, Search, Slice, list, show, verify};
use crate::clock::Clock;
use crate::drafts::change::Change;
use crate::drafts::counters::Counters;
use crate::drafts::model::REASON_MAX_CHARS;
use crate::drafts::watching::Watching;
use crate::feature::verb::{self, FOUND_PROBLEMS, Program, Whom, fail, misconfigured, print, user_id, whole};
use crate::gate::ApiError;
use crate::observe::metrics::Metrics;
use crate::plane::door::{Door, NotDone};
use crate::plane::record::Operator;
use crate::settings::Settings;
use crate::store::open_read_only;
use crate::store::options::DATABASE;
use crate::text::visible;

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failure, 2 usage, 3 the settings are wrong.";

/// The verbs of drafts.
#[derive(Debug, Subcommand)]
pub(in crate::drafts) enum Verb {
    /// Find and show drafts, release a ring, remove a member, redact a text, delete a draft
    ///
    /// A running server is asked through its private plane (OPS_ADDR, with OPS_TOKEN); otherwise the database is
    /// opened directly. Changes are recorded in the audit log as made by `operator`.
    #[command(subcommand)]
    Draft(Asked),
}

/// What can be done with drafts.
#[derive(Debug, Subcommand)]
pub(in crate::drafts) enum Asked {
    /// List drafts, newest first
    #[command(after_help = EXIT_CODES)]
    List {
        /// Only drafts of this member
        #[arg(long, value_parser = user_id)]
        user: Option<String>,
        /// Only drafts whose title contains this
        #[arg(long)]
        title: Option<String>,
        /// Continue after this draft, the last one of the previous page
        #[arg(long, value_name = "ID")]
        before: Option<String>,
        /// The number of drafts
        #[arg(short = 'n', long, value_name = "N", default_value_t = DRAFTS_PAGE as u32,
            value_parser = whole(1, DRAFTS_PAGE_MAX as u32))]
        limit: u32,
        #[command(flatten)]
        form: Form,
    },
    /// Show a draft: its members, the holder of the ring, and its text
    #[command(after_help = EXIT_CODES)]
    Show {
        /// The draft
        id: String,
        /// Continue after this segment, the last one of the previous page
        #[arg(long, value_name = "ORDER", value_parser = whole(0, i64::MAX))]
        segments_after: Option<i64>,
        /// The number of segments
        #[arg(short = 'n', long, value_name = "N", default_value_t = SEGMENTS_PAGE,
            value_parser = whole(1, SEGMENTS_PAGE_MAX))]
        limit: i64,
        #[command(flatten)]
        form: Form,
    },
    /// Verify the hash chain of a draft, and name the first segment that was changed, removed or moved
    ///
    /// Reads the database; the server may be running. An intact chain proves only as much as its last hash: compare
    /// that with one noted elsewhere, from a receipt or an earlier run.
    #[command(
        after_help = "Exit codes: 0 the chain is intact, 1 it cannot be read, 2 usage, 3 it is broken, or the settings \
            are wrong."
    )]
    Verify {
        /// The draft
        id: String,
        #[command(flatten)]
        form: Form,
    },
    /// Remove a member from a draft. Their texts stay; if they hold the ring, it goes to the creator
    #[command(after_help = EXIT_CODES)]
    RemoveMember {
        /// The draft
        id: String,
        #[command(flatten)]
        member: Whom,
        #[command(flatten)]
        form: Form,
    },
    /// Redact the text of a segment, for everyone and permanently
    ///
    /// Its place, its author and its hashes stay, so the chain remains intact. Earlier backups still contain the
    /// text.
    #[command(after_help = EXIT_CODES)]
    Redact {
        /// The draft
        id: String,
        /// The id of the segment
        segment: String,
        /// The reason, for the audit log: 1 to 500 characters
        #[arg(long, value_parser = reason)]
        reason: String,
        #[command(flatten)]
        form: Form,
    },
    /// Delete a draft, for everyone and at once. Only a backup can bring it back
    #[command(after_help = EXIT_CODES)]
    Delete {
        /// The draft
        id: String,
        /// Delete it
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        form: Form,
    },
    /// Give the ring to the creator, regardless of who holds it
    ///
    /// For drafts whose holder does not return. Watchers are notified that the ring was passed.
    #[command(after_help = EXIT_CODES)]
    ReleaseRing {
        /// The draft
        id: String,
        #[command(flatten)]
        form: Form,
    },
}

/// In which form it is said.
#[derive(Debug, Clone, Copy, Args)]
pub(in crate::drafts) struct Form {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Form {
    fn say(self, said: &Value, plain: impl FnOnce(&Value) -> String) -> ExitCode {
        if self.json { print(&format!("{said}\n")) } else { print(&plain(said)) }
    }
}

impl verb::Verb for Verb {
    fn run(self, program: &Program<'_>) -> ExitCode {
        let Self::Draft(asked) = self;
        let settings = match (program.settings)() {
            Ok(settings) => settings,
            Err(error) => return misconfigured(&error),
        };
        let door = Door::new(&settings, &program.schema);
        let (ended, not_done) = match asked {
            Asked::List { user, title, before, limit, form } => {
                let search = Search { user, title, before, limit: limit as usize };
                (find(door, &search).map(|said| form.say(&said, table)), "the drafts cannot be listed")
            }
            Asked::Show { id, segments_after, limit, form } => {
                let slice = Slice { after: segments_after.unwrap_or(-1), limit };
                (look(door, &id, slice).map(|said| form.say(&said, page)), "the draft cannot be shown")
            }
            Asked::Verify { id, form } => {
                let said = follow(&settings, program, &id);
                (said.map(|said| judged(form, &said)), "the draft cannot be verified")
            }
            Asked::ReleaseRing { id, form } => {
                let said = act(door, &settings, id, Deed::ReleaseRing, "inkring draft release-ring");
                (said.map(|said| form.say(&said, released)), "the ring was not released")
            }
            Asked::RemoveMember { id, member, form } => {
                let said = act(door, &settings, id, Deed::RemoveMember(member.id()), "inkring draft remove-member");
                (said.map(|said| form.say(&said, removed)), "nobody was removed")
            }
            Asked::Redact { id, segment: segment_id, reason, form } => {
                let said = act(door, &settings, id, Deed::Redact { segment_id, reason }, "inkring draft redact");
                (said.map(|said| form.say(&said, redacted)), "nothing was redacted")
            }
            Asked::Delete { id, yes: false, .. } => {
                let said = look(door, &id, Slice { after: -1, limit: 1 });
                (said.map(|said| fail("nothing was deleted", &to_be_deleted(&said["draft"]), 2)), "nothing was deleted")
            }
            Asked::Delete { id, form, .. } => {
                let said = act(door, &settings, id, Deed::Delete, "inkring draft delete");
                (said.map(|said| form.say(&said, deleted)), "nothing was deleted")
            }
        };
        ended.unwrap_or_else(|error| fail(not_done, &error, 1))
    }
}

fn find(door: Door<'_>, search: &Search) -> Result<Value, NotDone> {
    let Search { user, title, before, limit } = search;
    let given = [("user", user), ("title", title), ("before", before)];
    let given = given.into_iter().filter_map(|(name, value)| Some(format!("&{name}={}", escaped(value.as_deref()?))));
    let target = format!("/drafts?limit={limit}{}", given.collect::<String>());
    door.read(&target, |reader| list(reader, search))
}

fn look(door: Door<'_>, id: &str, slice: Slice) -> Result<Value, NotDone> {
    let Slice { after, limit } = slice;
    let target = format!("/drafts/{}?limit={limit}&segments_after={after}", escaped(id));
    door.read(&target, |reader| show(reader, id, slice, Clock::system().now()))
}

/// Reads the database itself, be it served or not: what is asked is whether the file can be trusted.
fn follow(settings: &Settings, program: &Program<'_>, id: &str) -> Result<Value, NotDone> {
    let reader = open_read_only(settings.database(&DATABASE), &program.schema)?;
    let said = reader.snapshot(|reader| Ok(verify(reader, id)));
    Ok(said.map_err(ApiError::from)??)
}

/// Says what was found, with the exit code for it.
fn judged(form: Form, said: &Value) -> ExitCode {
    let fault = text(said, "fault");
    let shown = form.say(said, |said| {
        let verdict = if fault.is_empty() { "the chain is intact" } else { "THE CHAIN IS BROKEN" };
        let mut lines = format!("{verdict}\n  draft          {}\n", text(said, "draft_id"));
        for (shown, name) in [("segments", "segments"), ("redacted", "taken_out"), ("without hash", "unhashed")] {
            lines.push_str(&format!("  {shown:<14} {}\n", number(said, name)));
        }
        lines.push_str(&format!("  last hash      {}\n", text(said, "chain_sha256")));
        lines
    });
    if fault.is_empty() { shown } else { fail("the draft is not as it was written", &fault, FOUND_PROBLEMS) }
}

/// Has a draft changed, in the name of this verb.
fn act(door: Door<'_>, settings: &Settings, id: String, deed: Deed, verb: &'static str) -> Result<Value, NotDone> {
    let (method, rest, body) = deed.request();
    let target = format!("/drafts/{}{rest}", escaped(&id));
    let operator = Operator::of_verb(settings, verb);
    // Nobody watches, and nothing is counted, where no server runs.
    let counters = Arc::new(Counters::new(&Metrics::default()));
    let change = Change::of_operator(&id, operator, Watching::default(), counters);
    door.change((method, &target, &body), move |tx| deed.run(tx, &change))
}

fn reason(text: &str) -> Result<String, String> {
    let chars = text.chars().count();
    if (1..=REASON_MAX_CHARS).contains(&chars) {
        return Ok(text.to_owned());
    }
    Err(format!("a reason has 1 to {REASON_MAX_CHARS} characters; this one has {chars}"))
}

/// As a part of a path or a query.
fn escaped(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// A text of what was said, made safe to show.
fn text(said: &Value, name: &str) -> String {
    visible(said[name].as_str().unwrap_or_default()).into_owned()
}

/// The same of a time, to the second, which is how people look at it.
fn time(said: &Value, name: &str) -> String {
    let text = text(said, name);
    text.split_once(['.', '+']).map_or_else(|| text.clone(), |(seconds, _)| format!("{seconds}Z"))
}

fn number(said: &Value, name: &str) -> i64 {
    said[name].as_i64().unwrap_or_default()
}

fn table(said: &Value) -> String {
    let mut lines =
        format!("{:<36}  {:>8}  {:<20}  {:<20}  {:<20}  TITLE\n", "DRAFT", "SEGMENTS", "UPDATED", "CREATOR", "HOLDER");
    for draft in said["drafts"].as_array().into_iter().flatten() {
        let [id, creator, holder, title] =
            ["draft_id", "creator_id", "holder_id", "title"].map(|name| text(draft, name));
        let (segments, updated) = (number(draft, "segments"), time(draft, "updated_at"));
        lines.push_str(&format!("{id:<36}  {segments:>8}  {updated:<20}  {creator:<20}  {holder:<20}  {title}\n"));
    }
    if let Some(next) = said["next"].as_str() {
        lines.push_str(&format!("there may be more: --before {}\n", visible(next)));
    }
    lines
}

fn page(said: &Value) -> String {
    let draft = &said["draft"];
    let mut lines = format!("{}\n", text(draft, "draft_id"));
    let mut line = |name: &str, value: String| lines.push_str(&format!("  {name:<14} {value}\n"));
    for (shown, name) in [
        ("title", "title"),
        ("platform", "platform"),
        ("status", "status"),
        ("creator", "creator_id"),
        ("holder", "holder_id"),
    ] {
        line(shown, text(draft, name));
    }
    for name in ["segments", "passes", "version"] {
        line(name, number(draft, name).to_string());
    }
    for (shown, name) in [("created", "created_at"), ("last pass", "passed_at"), ("last change", "updated_at")] {
        line(shown, time(draft, name));
    }
    for member in said["members"].as_array().into_iter().flatten() {
        line(
            "member",
            format!("{} ({}, since {})", text(member, "user_id"), text(member, "role"), time(member, "joined_at")),
        );
    }
    for invite in said["invites"].as_array().into_iter().flatten() {
        let [whom, by, status] = ["target_user_id", "created_by_user_id", "status"].map(|name| text(invite, name));
        line("invited", format!("{whom} ({status}, by {by}, until {})", time(invite, "expires_at")));
    }
    for segment in said["segments"].as_array().into_iter().flatten() {
        let (order, at) = (number(segment, "segment_order"), time(segment, "created_at"));
        let [id, user, content] = ["segment_id", "user_id", "content"].map(|name| text(segment, name));
        lines.push_str(&format!("\n  {order}  {id}  {at}  {user}\n  {content}\n"));
    }
    if said["more"] == true {
        let last = said["segments"].as_array().and_then(|all| all.last()).map(|last| number(last, "segment_order"));
        lines.push_str(&format!("\nthere are more: --segments-after {}\n", last.unwrap_or_default()));
    }
    lines
}

fn released(said: &Value) -> String {
    let [id, from, to] = ["draft_id", "from_user_id", "holder_id"].map(|name| text(said, name));
    match said["released"] == true {
        true => format!("{id}: the ring went from {from} to {to}\n"),
        false => format!("{id}: nothing to do, {to} holds the ring\n"),
    }
}

fn removed(said: &Value) -> String {
    let [id, user, holder] = ["draft_id", "user_id", "holder_id"].map(|name| text(said, name));
    format!("{id}: {user} is no longer a member, {holder} holds the ring\n")
}

fn redacted(said: &Value) -> String {
    format!("{}: the text of segment {} is redacted\n", text(said, "draft_id"), text(said, "segment_id"))
}

/// Asks whether it is really this one.
fn to_be_deleted(draft: &Value) -> String {
    let [id, title, creator] = ["draft_id", "title", "creator_id"].map(|name| text(draft, name));
    let segments = match number(draft, "segments") {
        1 => "1 segment".to_owned(),
        count => format!("{count} segments"),
    };
    format!(
        "pass --yes to delete draft {id}, \"{title}\" by {creator}, with {segments}; only a backup can bring it back"
    )
}

fn deleted(said: &Value) -> String {
    format!("{}: deleted, with {} segments\n", text(said, "draft_id"), number(said, "segments"))
}
