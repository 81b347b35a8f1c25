//! A calendar file is taken in (contract 04 §5.2), as often as one likes: each event is known by its `UID`, becomes an entry once, and
//! is put over that entry the next time. What cannot be read or kept is reported, and the rest is taken.
//!
//! The file is held whole, because what belongs together may stand anywhere in it: so there is one at a time. So many events
//! are one change, so that whatever ends an import, each event is in it or not, and sending it again does the rest.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Value, json};

use super::entry::{SOURCE, event as event_of, named};
use super::event::Event;
use super::ics_fields;
use super::ics_read::{ICS_FILE_MAX_BYTES, Read, read as read_file};
use super::turns::Turn;
use crate::feature::Sink;
use crate::gate::validate::Body;
use crate::gate::{ApiError, Call, Code, Outcome, Reply};
use crate::modules::desk::Desk;
use crate::modules::gallery::multipart::{Event as Part, Parser, boundary};
use crate::modules::importing::{Done, REPORTED_MAX_LINES, Report, carried_out, is_dry};
use crate::modules::records::answer;
use crate::modules::records::change::{Hand, fields_of};
use crate::modules::records::kinds::Kind;
use crate::modules::records::read;
use crate::modules::records::record::RecordContent;
use crate::modules::records::store::{Stored, by_source, find};
use crate::store::{Error, Query, Tx, WriterHandle};

/// What a form may have around the file.
const FORM_MAX_BYTES: usize = 64 * 1024;
/// The whole body of an import.
pub(super) const BODY_MAX_BYTES: usize = ICS_FILE_MAX_BYTES + FORM_MAX_BYTES;
/// What one event may say of an entry.
pub(in crate::modules) const ICS_EVENT_MAX_BYTES: usize = 256 * 1024;
/// Events that are one change.
const JOB_MAX_EVENTS: usize = 100;
/// The name of the field that a form has its file in.
const FILE: &str = "file";

/// Takes a file in: the body, or the part `file` of a form.
pub(super) fn take(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    desk.active("calendar")?;
    let is_dry = is_dry(call)?;
    let kind = Kind::of_module("calendar").ok_or_else(|| ApiError::internal("there is no kind of entries"))?;
    let content_type = call.headers.get("content-type").and_then(|value| std::str::from_utf8(value).ok());
    let parser = boundary(content_type.unwrap_or_default()).transpose()?.map(|boundary| Parser::new(&boundary));
    let (turns, writer) = (desk.shared.calendar_files.clone(), desk.shared.house.writer.clone());
    let work = Arc::new(Work { hand: desk.hand(call), kind, is_dry });
    let open = move || {
        let file = File { has_file: parser.is_none(), is_file: parser.is_none(), bytes: Vec::new() };
        Ok::<_, ApiError>(Import { _turn: turns.take()?, parser, file, writer, work })
    };
    Ok(desk.parts.receive(call, open, move |taken: Taken| Ok(answer(&taken.shown(is_dry)))))
}

/// What became of a file.
#[derive(Debug, Default)]
struct Taken {
    report: Report,
    /// What was not kept of events that were taken.
    left_out: Vec<(usize, String, String)>,
}

impl Taken {
    fn shown(&self, is_dry: bool) -> Value {
        let left_out = self.left_out.iter();
        let left_out: Vec<Value> =
            left_out.map(|(line, title, why)| json!({ "line": line, "title": title, "why": why })).collect();
        let mut shown = self.report.shown(is_dry);
        shown["left_out"] = left_out.into();
        shown
    }

    fn leave_out(&mut self, line: usize, title: &str, sentences: Vec<String>) {
        let room = REPORTED_MAX_LINES.saturating_sub(self.left_out.len());
        self.left_out.extend(sentences.into_iter().take(room).map(|why| (line, title.to_owned(), why)));
    }
}

/// The file, as far as it has come.
struct File {
    /// Whether there is one: a form may have none.
    has_file: bool,
    /// Whether what comes is the file, and not another field of the form.
    is_file: bool,
    bytes: Vec<u8>,
}

impl File {
    fn part(&mut self, part: Part<'_>) -> Result<(), ApiError> {
        match part {
            Part::Part(head) => {
                self.is_file = head.name == FILE;
                if self.is_file && std::mem::replace(&mut self.has_file, true) {
                    return Err(ApiError::malformed("The form has more than one file; send one at a time"));
                }
                Ok(())
            }
            Part::Data(bytes) if self.is_file => self.take(bytes),
            Part::Data(_) | Part::End => Ok(()),
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), ApiError> {
        if self.bytes.len() + bytes.len() > ICS_FILE_MAX_BYTES {
            let message = format!("The file is over the limit of {ICS_FILE_MAX_BYTES} bytes");
            return Err(ApiError::new(Code::PayloadTooLarge, message));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

/// An import that is under way.
struct Import {
    _turn: Turn,
    /// For a form.
    parser: Option<Parser>,
    file: File,
    writer: WriterHandle,
    work: Arc<Work>,
}

impl Sink for Import {
    type Kept = Taken;

    fn write(&mut self, bytes: &[u8]) -> Result<(), ApiError> {
        match &mut self.parser {
            Some(parser) => parser.feed(bytes, &mut |part| self.file.part(part)),
            None => self.file.take(bytes),
        }
    }

    fn end(self, reply: Reply<Taken>) {
        reply.done(self.taken());
    }
}

impl Import {
    fn taken(self) -> Result<Taken, ApiError> {
        let Self { _turn, parser, file, writer, work } = self;
        if let Some(parser) = parser {
            parser.finish()?;
        }
        if !file.has_file {
            return Err(ApiError::malformed("The form has no part named file"));
        }
        let events = read_file(&file.bytes, &work.hand.zone).map_err(|why| ApiError::malformed(sentence(&why)))?;
        drop(file);
        let mut taken = Taken::default();
        let mut jobs = Vec::new();
        for event in once_each(events) {
            jobs.push(event);
            if jobs.len() == JOB_MAX_EVENTS {
                work.hand_in(&writer, std::mem::take(&mut jobs), &mut taken)?;
            }
        }
        work.hand_in(&writer, jobs, &mut taken)?;
        Ok(taken)
    }
}

/// Refuses events that are called like one before them: the next import would otherwise put the one over the other, again and again.
fn once_each(events: Vec<Read>) -> impl Iterator<Item = Read> {
    let mut lines: HashMap<String, usize> = HashMap::new();
    events.into_iter().map(move |mut read| {
        if let Ok(event) = &read.event {
            let first = *lines.entry(event.uid.clone()).or_insert(read.line);
            if first != read.line {
                let line = read.line;
                read.event =
                    Err(format!("line {line}: the event in line {first} has the same UID and is used instead"));
            }
        }
        read
    })
}

fn sentence(why: &str) -> String {
    let mut letters = why.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// What all changes of an import need.
struct Work {
    hand: Hand,
    kind: &'static Kind,
    is_dry: bool,
}

impl Work {
    /// Has some events carried out as one change, and waits for it.
    fn hand_in(self: &Arc<Self>, writer: &WriterHandle, events: Vec<Read>, taken: &mut Taken) -> Result<(), ApiError> {
        let mut right = Vec::with_capacity(events.len());
        for Read { line, event, left_out } in events {
            match event {
                Err(why) => taken.report.refuse(line as u64, why),
                Ok(event) => {
                    taken.leave_out(line, &event.title, left_out);
                    right.push((line, event));
                }
            }
        }
        if right.is_empty() {
            return Ok(());
        }
        let work = Arc::clone(self);
        let report = carried_out(writer, move |tx: &mut Tx<'_>| {
            let mut report = Report::default();
            for (line, event) in &right {
                match work.event(tx, event)? {
                    Ok(done) => report.count(done),
                    Err(why) => report.refuse(*line as u64, format!("line {line}: {why}")),
                }
            }
            Ok(report)
        })?;
        taken.report.add(report);
        Ok(())
    }

    /// Makes an event an entry, or puts it over the one that it is; or says why not.
    fn event(&self, tx: &mut Tx<'_>, event: &Event) -> Result<Result<Done, String>, ApiError> {
        let (kind, zone) = (self.kind, &self.hand.zone);
        let stored = match home(tx, event)? {
            Home::Entry(stored) => stored,
            Home::Elsewhere(stored) => return self.elsewhere(&stored, event),
            Home::Source(source) => match by_source(tx, kind, &source)? {
                Some(stored) => stored,
                None => return self.made(tx, event, &source),
            },
        };
        let old_fields = fields_of(&stored)?;
        let Some(old) = event_of(&stored, &old_fields, zone) else {
            return Ok(Err("its entry cannot be read as an event".to_owned()));
        };
        let body = ics_fields::changed(event, &old, &old_fields, zone);
        if let Some(why) = too_large(&body) {
            return Ok(Err(why));
        }
        let fields =
            read::change(kind, &Body::Json(body), zone).and_then(|change| change.applied(kind, &old_fields, zone));
        let fields = match fields {
            Ok(fields) => fields,
            Err(error) => return Ok(Err(why(&error))),
        };
        let content = RecordContent::of(kind, fields);
        if content.json(stored.key, stored.created_at) == stored.json {
            return Ok(Ok(Done::Unchanged));
        }
        if !self.is_dry {
            self.hand.replaced(tx, kind, &stored, &old_fields, &content)?;
        }
        Ok(Ok(Done::Changed))
    }

    fn made(&self, tx: &mut Tx<'_>, event: &Event, source: &str) -> Result<Result<Done, String>, ApiError> {
        let body = ics_fields::new(event, source);
        if let Some(why) = too_large(&body) {
            return Ok(Err(why));
        }
        match read::create(self.kind, &Body::Json(body), &self.hand.zone) {
            Ok(fields) if self.is_dry => drop(fields),
            Ok(fields) => drop(self.hand.create(tx, self.kind, &RecordContent::of(self.kind, fields))?),
            Err(error) => return Ok(Err(why(&error))),
        }
        Ok(Ok(Done::Made))
    }

    /// An event of podija in a file of ours stays there.
    fn elsewhere(&self, stored: &Stored, event: &Event) -> Result<Result<Done, String>, ApiError> {
        let module = stored.key.kind().map_or("", |kind| kind.module);
        let there = event_of(stored, &fields_of(stored)?, &self.hand.zone);
        let is_same = there.is_some_and(|there| {
            let second = |at: jiff::civil::DateTime| at.with().subsec_nanosecond(0).build().unwrap_or(at);
            there.title == event.title && second(there.start) == event.start
        });
        let why = || format!("it is a record of {module} here, {}: change it there", stored.key.id());
        Ok(if is_same { Ok(Done::Unchanged) } else { Err(why()) })
    }
}

fn too_large(body: &Value) -> Option<String> {
    let bytes = body.to_string().len();
    (bytes > ICS_EVENT_MAX_BYTES).then(|| format!("it has {bytes} bytes; the maximum is {ICS_EVENT_MAX_BYTES}"))
}

fn why(error: &ApiError) -> String {
    error.message().unwrap_or_default().to_owned()
}

/// Where an event is here.
enum Home {
    /// It is this entry, which was written into a file.
    Entry(Stored),
    /// It is this record of another module, which was written into a file.
    Elsewhere(Stored),
    /// If it is here, its entry comes of this source.
    Source(String),
}

/// Looks whether an event was written here. One that was written in another household comes of a source as all others do.
fn home(query: &impl Query, event: &Event) -> Result<Home, Error> {
    if let Some((key, created_at)) = named(&event.uid)
        && let Some(stored) = find(query, key)?.filter(|stored| stored.created_at == created_at)
    {
        let is_entry = key.kind().is_some_and(|kind| kind.module == "calendar");
        return Ok(if is_entry { Home::Entry(stored) } else { Home::Elsewhere(stored) });
    }
    Ok(Home::Source(format!("{SOURCE}{}", event.uid)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::zone::Zone;

    #[test]
    fn of_events_with_one_name_the_first_is_taken() {
        let event = |title: &str| format!("BEGIN:VEVENT\nUID:a\nSUMMARY:{title}\nDTSTART:20260731\nEND:VEVENT\n");
        let file = format!("BEGIN:VCALENDAR\n{}{}END:VCALENDAR\n", event("A"), event("B"));
        let read = read_file(file.as_bytes(), &Zone::named("Europe/Kyiv").unwrap()).unwrap();
        let taken: Vec<Read> = once_each(read).collect();
        assert_eq!(taken[0].event.as_ref().unwrap().title, "A");
        assert_eq!(
            taken[1].event.as_ref().unwrap_err(),
            "line 7: the event in line 2 has the same UID and is used instead"
        );
    }

    #[test]
    fn what_is_left_out_is_said_of_so_many_events() {
        let mut taken = Taken::default();
        for line in 0..REPORTED_MAX_LINES {
            taken.leave_out(line, "T", vec!["why".to_owned(), "why".to_owned()]);
        }
        assert_eq!(taken.left_out.len(), REPORTED_MAX_LINES);
        assert_eq!(taken.shown(true)["left_out"][1], json!({ "line": 0, "title": "T", "why": "why" }));
    }

    #[test]
    fn one_event_says_so_much() {
        let body = |bytes: usize| json!({ "title": "x".repeat(bytes) });
        let around = body(0).to_string().len();
        assert_eq!(too_large(&body(ICS_EVENT_MAX_BYTES - around)), None);
        let why = "it has 262145 bytes; the maximum is 262144";
        assert_eq!(too_large(&body(ICS_EVENT_MAX_BYTES - around + 1)).as_deref(), Some(why));
    }
}
