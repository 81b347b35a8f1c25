//! What a capture is: what people send, the records that are made of it, and what they are answered (contract 04 §1.9 and §5.2).

use jiff::civil::DateTime;
use serde_json::{Map, Value, json};

use super::super::records::kinds::Kind;
use super::super::records::read::{self, Fields, is_address};
use super::super::zone::{Zone, wall_text};
use super::classify::{Classified, classify};
use super::earlier::Seen;
use super::state::{State, Write};
use super::store::Capture;
use crate::clock::Timestamp;
use crate::gate::ApiError;
use crate::gate::validate::{Body, Check, Length};

/// Characters of the word that says what a capture is.
pub(in crate::modules) const CAPTURE_TYPE_MAX_CHARS: usize = 50;
/// Characters of the beginning of a text by which its records are called.
pub(in crate::modules) const CAPTURE_TITLE_MAX_CHARS: usize = 80;

/// What was sent, and what it is about.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Moment {
    kind: String,
    content: String,
    metadata: Option<Map<String, Value>>,
    /// The file or page that came with it.
    url: Option<String>,
    pub(super) what: Classified,
    /// When it was sent, on the household's wall to the second.
    now: DateTime,
}

impl Moment {
    /// Reads what was sent when the household's clock showed `now`.
    ///
    /// # Errors
    /// 422 with every problem.
    pub(super) fn read(body: &Body, now: DateTime) -> Result<Self, ApiError> {
        let mut check = Check::new();
        let members = check.object(body);
        let kind = check.text(members, "type", Length::between(0, CAPTURE_TYPE_MAX_CHARS));
        let content = check.text(members, "content", Length::ANY);
        let is_text = members.is_some_and(|members| members.get("content").is_some_and(Value::is_string));
        if is_text && content.trim().is_empty() {
            check.length("body", "content", "", Length::between(1, usize::MAX));
        }
        let metadata = check.optional_object(members, "metadata").cloned();
        let sent_url = match metadata.as_ref().and_then(|metadata| metadata.get("url")) {
            None | Some(Value::Null) => None,
            Some(Value::String(url)) if is_address(url) => Some(url.clone()),
            Some(other) => {
                let why = "url should be an http or https address, or that of a file of ours";
                check.refuse("body", "metadata", &other.to_string(), why);
                None
            }
        };
        check.done()?;
        let now = now.date().at(now.hour(), now.minute(), now.second(), 0);
        let what = classify(&content, sent_url.is_some(), now);
        let url = sent_url.or_else(|| what.url.clone().filter(|url| is_address(url)));
        Ok(Self { kind, content, metadata, url, what, now })
    }

    /// What was sent as text.
    pub(super) fn content(&self) -> &str {
        &self.content
    }

    /// The time that it is about: what it speaks of, else now.
    pub(super) fn about(&self) -> DateTime {
        self.what.when.as_ref().map_or(self.now, |when| when.at())
    }

    /// What is written of it. A snapshot needs an address; the mere name of a file has none.
    pub(super) fn writes(&self) -> impl Iterator<Item = Write> + '_ {
        self.what.writes.iter().copied().filter(|write| *write != Write::Snapshot || self.url.is_some())
    }

    /// The records to make, with `trace` as what they come from.
    ///
    /// # Errors
    /// When one of them cannot be as it would have to be.
    pub(super) fn records(&self, trace: &str, zone: &Zone) -> Result<Vec<(&'static Kind, Fields)>, ApiError> {
        let made = self.writes().map(|write| {
            let (module, mut fields) = self.fields(write);
            fields["tags"] = self.what.tags.clone().into();
            fields["source_trace"] = trace.into();
            let kind = Kind::of_module(module)
                .ok_or_else(|| ApiError::internal(format!("there is no kind of record of {module}")))?;
            Ok((kind, read::create(kind, &Body::Json(fields), zone)?))
        });
        made.collect()
    }

    /// The module of a write, and the fields of its record.
    fn fields(&self, write: Write) -> (&'static str, Value) {
        let (title, content) = (self.title(), &*self.content);
        let about = wall_text(self.about());
        let is_over = self.what.when.as_ref().is_none_or(|when| when.is_past);
        // What is felt or seen is so now, unless it is said that it was.
        let felt = if is_over { about.clone() } else { wall_text(self.now) };
        match write {
            Write::TimePoint => (
                "calendar",
                json!({ "title": title, "description": content, "scheduled_at": about, "entry_type": "time_point" }),
            ),
            Write::Snapshot => {
                let media_type = self.media_type();
                let item = json!({
                    "title": title, "description": content, "media_type": media_type, "url": self.url,
                    "media_metadata": self.metadata, "taken_at": felt,
                });
                ("gallery", item)
            }
            Write::StateMark => {
                ("nastrij", json!({ "emotion_state": mood(self.what.state), "context": content, "occurred_at": felt }))
            }
            Write::MemoryNode => ("kazkar", json!({ "title": title, "content": content, "story_type": "memory" })),
            Write::FutureLink => {
                let event = json!({
                    "title": title, "description": content, "event_date": about, "event_type": "moment",
                    "is_completed": is_over,
                });
                ("podija", event)
            }
            Write::Idea => ("malya", json!({ "title": title, "description": content, "status": "draft" })),
        }
    }

    /// The first line that says something, or its beginning.
    fn title(&self) -> String {
        let line = self.content.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        match line.char_indices().nth(CAPTURE_TITLE_MAX_CHARS) {
            None => line.to_owned(),
            Some((end, _)) => format!("{}…", line[..end].trim_end()),
        }
    }

    /// What the file is, by what is said of it, or else by its name.
    fn media_type(&self) -> &str {
        let said = self.metadata.as_ref().and_then(|metadata| metadata.get("media_type")).and_then(Value::as_str);
        let by_type = match &*self.kind {
            "image" => Some("photo"),
            "voice" => Some("audio"),
            _ => None,
        };
        let url = self.url.as_deref().unwrap_or_default();
        let path = url.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
        let ends = |endings: &[&str]| endings.iter().any(|ending| path.ends_with(ending));
        said.filter(|said| !said.trim().is_empty()).or(by_type).unwrap_or_else(|| {
            if ends(&[".jpg", ".jpeg", ".png", ".gif", ".webp", ".heic", ".avif"]) {
                "photo"
            } else if ends(&[".mp4", ".mov", ".webm"]) {
                "video"
            } else if ends(&[".mp3", ".m4a", ".wav", ".ogg"]) {
                "audio"
            } else if ends(&[".pdf"]) {
                "document"
            } else {
                "link"
            }
        })
    }

    /// As it is kept, with the records that were made of it.
    pub(super) fn kept(&self, id: &str, at: Timestamp, records: &[Value]) -> Capture {
        Capture {
            id: id.to_owned(),
            kind: self.kind.clone(),
            content: self.content.clone(),
            metadata: self.metadata.clone().map(|metadata| Value::Object(metadata).to_string()),
            captured_at: at,
            about_at: wall_text(self.about()),
            state: self.what.state.name().to_owned(),
            intent: self.what.intent.name().to_owned(),
            module: self.what.module.id().to_owned(),
            tags: json!(self.what.tags).to_string(),
            records: json!(records).to_string(),
            undone: false,
        }
    }

    /// The answer: the contract's members first (C5), then what a page needs besides.
    pub(super) fn answer(&self, kept: &Capture, records: &[Value], relatives: &[Seen], zone: &Zone) -> Value {
        let about = iso_of_wall(self.about(), zone);
        let is_day = self.what.when.as_ref().is_some_and(|when| when.time.is_none());
        let form = if is_day { "%d.%m.%Y" } else { "%d.%m.%Y %H:%M" };
        let captured = zone.wall(kept.captured_at).unwrap_or(self.now);
        json!({
            "event_id": kept.id,
            "event": {
                "id": kept.id,
                "content": self.content,
                "type": self.kind,
                "captured_at": iso(kept.captured_at, zone),
                "classification": { "podija": "moment", "stan": kept.state, "time": about },
            },
            "time_position": format!("Зафіксовано: {}", captured.strftime("%d.%m.%Y %H:%M")),
            "related_traces": relatives.iter().map(Seen::brief).collect::<Vec<_>>(),
            "expand_options": ["open_calendar", "open_gallery", "add_narrative", "close"],
            "time": { "iso": about, "readable": self.about().strftime(form).to_string() },
            "classification": {
                "state": kept.state, "intent": kept.intent, "module": kept.module, "tags": self.what.tags,
            },
            "records": records,
        })
    }
}

/// The word of the log of moods for a state; others are moods already.
fn mood(state: State) -> &'static str {
    match state {
        State::Fatigue => "tired",
        State::Tension => "tense",
        State::Anxiety => "anxious",
        State::Joy => "happy",
        State::Loss => "sad",
        State::Anticipation => "excited",
        State::Change | State::Neutral => "neutral",
    }
}

/// A capture in the list of them.
pub(super) fn listed(capture: &Capture, zone: &Zone) -> Value {
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    let about = capture.about_at.parse().map_or(Value::Null, |wall| iso_of_wall(wall, zone).into());
    json!({
        "event_id": capture.id,
        "type": capture.kind,
        "content": capture.content,
        "metadata": capture.metadata.as_deref().map(json),
        "captured_at": iso(capture.captured_at, zone),
        "time": about,
        "classification": {
            "state": capture.state, "intent": capture.intent, "module": capture.module, "tags": json(&capture.tags),
        },
        "records": json(&capture.records),
        "undone": capture.undone,
    })
}

/// A moment as the household's clock shows it, with the offset of its zone.
pub(super) fn iso(at: Timestamp, zone: &Zone) -> String {
    let at = jiff::Timestamp::from_microsecond(at.0).unwrap_or(jiff::Timestamp::MAX);
    at.to_zoned(zone.rules().clone()).strftime("%Y-%m-%dT%H:%M:%S%.f%:z").to_string()
}

fn iso_of_wall(wall: DateTime, zone: &Zone) -> String {
    zone.instant(wall).map_or_else(|| wall_text(wall), |at| iso(at, zone))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn zone() -> Zone {
        Zone::named("Europe/Kyiv").unwrap()
    }

    fn moment(body: Value) -> Result<Moment, ApiError> {
        Moment::read(&Body::Json(body), date(2026, 11, 18).at(12, 30, 15, 123_456_000))
    }

    fn made(body: Value) -> Vec<(&'static str, Value)> {
        let records = moment(body).unwrap().records("ci:1", &zone()).unwrap();
        records.into_iter().map(|(kind, fields)| (kind.module, Value::Object(fields))).collect()
    }

    #[test]
    fn what_is_planned_is_an_event_and_a_point_of_time() {
        let made = made(json!({ "type": "text", "content": "Завтра о 18:00 день народження бабусі #родина" }));
        let [(calendar, entry), (podija, event)] = &made[..] else { panic!("{made:?}") };
        assert_eq!((*calendar, *podija), ("calendar", "podija"));
        assert_eq!(
            (&entry["scheduled_at"], &event["event_date"]),
            (&json!("2026-11-19T18:00:00"), &entry["scheduled_at"])
        );
        assert_eq!((&entry["entry_type"], &event["is_completed"]), (&json!("time_point"), &json!(false)));
        for record in [entry, event] {
            assert_eq!(record["title"], "Завтра о 18:00 день народження бабусі #родина");
            assert_eq!((&record["tags"], &record["source_trace"]), (&json!(["родина"]), &json!("ci:1")));
        }
    }

    #[test]
    fn each_kind_of_record_has_its_fields() {
        let of = |content: &str, module: &str| {
            let found =
                made(json!({ "type": "text", "content": content })).into_iter().find(|(made, _)| *made == module);
            found.unwrap_or_else(|| panic!("{content} makes nothing in {module}")).1
        };
        let mood = of("Дуже втомилася після роботи", "nastrij");
        assert_eq!((&mood["emotion_state"], &mood["occurred_at"]), (&json!("tired"), &json!("2026-11-18T12:30:15")));
        let story = of("Знову не виспався, малий плакав", "kazkar");
        assert_eq!((&story["story_type"], &story["content"]), (&json!("memory"), &story["title"]));
        let event = of("Зустрів сусіда", "podija");
        assert_eq!((&event["is_completed"], &event["event_date"]), (&json!(true), &json!("2026-11-18T12:30:15")));
        let item = of("Дивись https://example.com/a/b.JPG?x=1", "gallery");
        assert_eq!((&item["media_type"], &item["url"]), (&json!("photo"), &json!("https://example.com/a/b.JPG?x=1")));
        let entry = of(&format!("\n  {}\nдруге", "ї".repeat(100)), "calendar");
        assert_eq!(entry["title"].as_str().unwrap().chars().count(), CAPTURE_TITLE_MAX_CHARS + 1);
        assert_eq!(entry["scheduled_at"], "2026-11-18T12:30:15");
    }

    #[test]
    fn a_file_makes_a_snapshot_and_a_name_of_one_does_not() {
        let body = json!({ "type": "image", "content": "Сніг", "metadata": { "url": "/media/ab", "size": 7 } });
        let item = made(body).into_iter().find(|(module, _)| *module == "gallery").unwrap().1;
        assert_eq!((&item["media_type"], &item["url"]), (&json!("photo"), &json!("/media/ab")));
        assert_eq!(item["media_metadata"], json!({ "url": "/media/ab", "size": 7 }));
        let named = made(json!({ "type": "text", "content": "Дивись IMG_1.jpg" }));
        assert!(named.iter().all(|(module, _)| *module != "gallery"), "{named:?}");
    }

    #[test]
    fn all_problems_are_said_at_once() {
        let problems = |body: Value| -> Vec<String> {
            let body: Value = serde_json::from_slice(&moment(body).unwrap_err().body("r", None)).unwrap();
            let said = |problem: &Value| format!("{} {}", problem["type"].as_str().unwrap(), problem["loc"]);
            body["detail"].as_array().unwrap().iter().map(said).collect()
        };
        assert_eq!(problems(json!({})), [r#"missing ["body","type"]"#, r#"missing ["body","content"]"#]);
        assert_eq!(
            problems(json!({ "type": 7, "content": " \n", "metadata": [] })),
            [
                r#"string_type ["body","type"]"#,
                r#"string_too_short ["body","content"]"#,
                r#"dict_type ["body","metadata"]"#
            ]
        );
        assert_eq!(
            problems(json!({ "type": "x".repeat(51), "content": "a", "metadata": { "url": "javascript:1" } })),
            [r#"string_too_long ["body","type"]"#, r#"value_error ["body","metadata"]"#]
        );
        assert!(moment(json!({ "type": "gesture", "content": "a", "metadata": null, "more": 1 })).is_ok());
    }

    #[test]
    fn times_carry_the_offset_of_the_zone() {
        assert_eq!(iso(Timestamp(1_795_246_286_710_931), &zone()), "2026-11-21T09:31:26.710931+02:00");
        assert_eq!(iso_of_wall(date(2026, 7, 1).at(9, 0, 0, 0), &zone()), "2026-07-01T09:00:00+03:00");
    }
}
