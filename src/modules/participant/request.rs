//! What callers send (contract 04 §1.10), checked: all problems at once, in the shape of every other 422.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value, json};

use crate::gate::validate::{Length, Problem, echo, echo_text};

/// Characters of a conversation's id.
pub const CONVERSATION_MAX_CHARS: usize = 255;
/// Characters of a topic.
pub const TOPIC_MAX_CHARS: usize = 500;
/// Characters of the text: the end of a log.
pub const TEXT_MAX_CHARS: usize = 200_000;
/// Artifacts of one message.
pub const ARTIFACTS_MAX: usize = 10;
/// Characters of an artifact's name, and of each text of the metadata.
pub const NAME_MAX_CHARS: usize = 255;
/// Bytes of one artifact, decoded.
pub const ARTIFACT_MAX_BYTES: usize = 256 * 1024;

/// Padding may be left out, as some tools do.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What the caller wants. The diagnosis is the same for all three; a patch is never made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// To know; also where nothing is said.
    Analysis,
    /// To have it corrected.
    Autofix,
    /// To have it on record.
    Logger,
}

/// Where a log comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// From continuous integration; also where nothing is said.
    Ci,
    /// From continuous integration and delivery.
    CiCd,
    /// From a person.
    User,
}

/// A file beside the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Its name, as sent.
    pub name: String,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Which conversation it is of.
    pub conversation_id: String,
    /// What is wanted.
    pub mode: Mode,
    /// What it is about; may be empty (R18).
    pub topic: String,
    /// The log.
    pub text: String,
    /// Files beside it, at most [`ARTIFACTS_MAX`].
    pub artifacts: Vec<Artifact>,
    /// Where it comes from.
    pub source: Source,
    /// The repository, the run and the pull request, as far as they were sent.
    pub repo: Option<String>,
    /// See `repo`.
    pub run_id: Option<String>,
    /// See `repo`.
    pub pr: Option<String>,
}

impl Message {
    /// The pieces of the log, for [`diagnose`](super::diagnosis::diagnose).
    pub fn log(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(self.text.as_bytes()).chain(self.artifacts.iter().map(|artifact| artifact.content.as_slice()))
    }

    /// Reads the members of a body, which [`Check::object`](crate::gate::validate::Check::object) gives.
    ///
    /// # Errors
    /// Everything that is wrong with them, in the order of the fields.
    pub fn read(members: &Map<String, Value>) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let body = Place::body();
        let mut top = Fields { members, place: body.clone(), problems: &mut problems };
        let conversation_id = top.text("conversation_id", Length::between(0, CONVERSATION_MAX_CHARS));
        let mode =
            top.word("mode", &[("analysis", Mode::Analysis), ("autofix", Mode::Autofix), ("logger", Mode::Logger)]);
        let topic = top.optional_text("topic", Length::between(0, TOPIC_MAX_CHARS)).unwrap_or_default();
        let input = top.object("input", true);
        let empty = Map::new();
        let place = body.down("input");
        let given = input.unwrap_or(&empty);
        let (mut text, mut artifacts) = (String::new(), Vec::new());
        if input.is_some() {
            let mut fields = Fields { members: given, place: place.clone(), problems: &mut problems };
            text = fields.text("text", Length::between(0, TEXT_MAX_CHARS));
            artifacts = fields.artifacts();
        }
        let mut fields = Fields { members: given, place: place.clone(), problems: &mut problems };
        let metadata = fields.object("metadata", false).unwrap_or(&empty);
        let mut fields = Fields { members: metadata, place: place.down("metadata"), problems: &mut problems };
        let source = fields.word("source", &[("ci", Source::Ci), ("ci-cd", Source::CiCd), ("user", Source::User)]);
        let [repo, run_id, pr] = ["repo", "run_id", "pr"].map(|name| fields.text_or_number(name));
        if problems.is_empty() {
            Ok(Self { conversation_id, mode, topic, text, artifacts, source, repo, run_id, pr })
        } else {
            Err(problems)
        }
    }
}

/// The item of a 422 for a call without its key (contract 04 §1.1: reported together with the body's).
#[must_use]
pub fn missing_key() -> Problem {
    let loc = vec!["header".into(), "X-API-KEY".into()];
    Problem { kind: "missing", loc, msg: "Field required".to_owned(), input: Value::Null, ctx: None, hint: "" }
}

/// Where a value stands.
#[derive(Clone)]
struct Place(Vec<Value>);

impl Place {
    fn body() -> Self {
        Self(vec!["body".into()])
    }

    fn down(&self, name: impl Into<Value>) -> Self {
        let mut way = self.0.clone();
        way.push(name.into());
        Self(way)
    }
}

/// Takes the members of one object.
struct Fields<'b, 'p> {
    members: &'b Map<String, Value>,
    place: Place,
    problems: &'p mut Vec<Problem>,
}

impl<'b> Fields<'b, '_> {
    /// A member that is there and not `null`.
    fn given(&self, name: &str) -> Option<&'b Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    fn wrong(&mut self, name: &str, kind: &'static str, msg: &str, value: &Value) {
        let loc = self.place.down(name).0;
        self.problems.push(Problem { kind, loc, msg: msg.to_owned(), input: echo(value), ctx: None, hint: "" });
    }

    fn missing(&mut self, name: &str) {
        let sent = Value::Object(self.members.clone());
        self.wrong(name, "missing", "Field required", &sent);
    }

    /// A text that has to be there.
    fn text(&mut self, name: &str, length: Length) -> String {
        match self.members.get(name) {
            Some(value) => self.text_of(name, value, length).unwrap_or_default(),
            None => {
                self.missing(name);
                String::new()
            }
        }
    }

    fn optional_text(&mut self, name: &str, length: Length) -> Option<String> {
        let value = self.given(name)?;
        self.text_of(name, value, length)
    }

    fn text_of(&mut self, name: &str, value: &Value, length: Length) -> Option<String> {
        let Value::String(text) = value else {
            self.wrong(name, "string_type", "Input should be a valid string", value);
            return None;
        };
        self.problems.extend(length.problem(|| self.place.down(name).0, text, text));
        Some(text.clone())
    }

    /// A text, or a number as one: runs and pull requests are known by numbers.
    fn text_or_number(&mut self, name: &str) -> Option<String> {
        match self.given(name)? {
            Value::Number(number) => Some(number.to_string()),
            value => self.text_of(name, value, Length::between(0, NAME_MAX_CHARS)),
        }
    }

    /// One of some words; the first where nothing is said.
    fn word<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> T {
        let Some(value) = self.given(name) else { return words[0].1 };
        if let Some((_, meant)) = words.iter().find(|(word, _)| value.as_str() == Some(word)) {
            return *meant;
        }
        let quoted: Vec<String> = words.iter().map(|(word, _)| format!("'{word}'")).collect();
        let expected = match quoted.split_last() {
            Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
            None => String::new(),
        };
        self.problems.push(Problem {
            kind: "literal_error",
            loc: self.place.down(name).0,
            msg: format!("Input should be {expected}"),
            input: echo(value),
            ctx: Some(json!({ "expected": expected })),
            hint: "",
        });
        words[0].1
    }

    fn object(&mut self, name: &str, required: bool) -> Option<&'b Map<String, Value>> {
        let value = match self.members.get(name) {
            Some(Value::Null) | None if !required => return None,
            Some(value) => value,
            None => {
                self.missing(name);
                return None;
            }
        };
        if value.as_object().is_none() {
            let msg = "Input should be a valid dictionary or object to extract fields from";
            self.wrong(name, "model_attributes_type", msg, value);
        }
        value.as_object()
    }

    fn artifacts(&mut self) -> Vec<Artifact> {
        let Some(value) = self.given("artifacts") else { return Vec::new() };
        let Some(items) = value.as_array() else {
            self.wrong("artifacts", "list_type", "Input should be a valid list", value);
            return Vec::new();
        };
        let place = self.place.down("artifacts");
        if items.len() > ARTIFACTS_MAX {
            let msg = format!("List should have at most {ARTIFACTS_MAX} items after validation, not {}", items.len());
            let ctx = json!({ "field_type": "List", "max_length": ARTIFACTS_MAX, "actual_length": items.len() });
            let input = echo(value);
            self.problems.push(Problem { kind: "too_long", loc: place.0, msg, input, ctx: Some(ctx), hint: "" });
            return Vec::new();
        }
        let mut artifacts = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let place = place.down(index);
            let Some(members) = item.as_object() else {
                let msg = "Input should be a valid dictionary or object to extract fields from".to_owned();
                let kind = "model_attributes_type";
                self.problems.push(Problem { kind, loc: place.0, msg, input: echo(item), ctx: None, hint: "" });
                continue;
            };
            let mut fields = Fields { members, place: place.clone(), problems: self.problems };
            let name = fields.text("name", Length::between(0, NAME_MAX_CHARS));
            let sent = fields.text("content_base64", Length::ANY);
            match decoded(&sent) {
                Ok(content) => artifacts.push(Artifact { name, content }),
                Err(why) => {
                    let (loc, ctx) = (place.down("content_base64").0, Some(json!({ "error": why })));
                    let input = echo_text(&sent);
                    self.problems.push(Problem { kind: "value_error", loc, msg: why, input, ctx, hint: "" });
                }
            }
        }
        artifacts
    }
}

/// The bytes of an artifact. Line breaks and blanks are left out, as tools wrap base64.
fn decoded(sent: &str) -> Result<Vec<u8>, String> {
    // Four letters are three bytes; whatever is wrapped by lines is hardly longer.
    if sent.len() > ARTIFACT_MAX_BYTES * 2 {
        return Err(too_large());
    }
    let letters: Vec<u8> = sent.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let content = BASE64.decode(letters).map_err(|error| format!("Input should be valid base64: {error}"))?;
    if content.len() > ARTIFACT_MAX_BYTES { Err(too_large()) } else { Ok(content) }
}

fn too_large() -> String {
    format!("Input should have at most {ARTIFACT_MAX_BYTES} bytes once decoded")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(body: &Value) -> Result<Message, Vec<Value>> {
        Message::read(body.as_object().unwrap()).map_err(|problems| problems.iter().map(Problem::to_json).collect())
    }

    /// The type and the place of each problem.
    fn wrong(body: &Value) -> Vec<String> {
        let place = |item: &Value| {
            let way: Vec<String> =
                item["loc"].as_array().unwrap().iter().map(|part| part.to_string().replace('"', "")).collect();
            format!("{} {}", item["type"].as_str().unwrap(), way.join("."))
        };
        read(body).unwrap_err().iter().map(place).collect()
    }

    #[test]
    fn the_least_that_can_be_sent() {
        let message = read(&json!({ "conversation_id": "c", "input": { "text": "log" } })).unwrap();
        assert_eq!((message.mode, message.source), (Mode::Analysis, Source::Ci));
        assert_eq!((message.topic.as_str(), message.artifacts.len()), ("", 0));
        assert_eq!(message.log().collect::<Vec<_>>(), [b"log"]);
    }

    #[test]
    fn all_that_can_be_sent() {
        let message = read(&json!({
            "conversation_id": "c", "mode": "logger", "topic": "t", "more": 1,
            "input": {
                "text": "log",
                "artifacts": [{ "name": "a.txt", "content_base64": "0YTQsNC50Ls=" }, { "name": "b", "content_base64": "Y\nQ" }],
                "metadata": { "source": "ci-cd", "repo": "o/r", "run_id": 12, "pr": null },
            },
        }))
        .unwrap();
        assert_eq!((message.mode, message.source), (Mode::Logger, Source::CiCd));
        assert_eq!(
            (message.repo.as_deref(), message.run_id.as_deref(), message.pr.as_deref()),
            (Some("o/r"), Some("12"), None)
        );
        assert_eq!(message.log().collect::<Vec<_>>(), [&b"log"[..], "файл".as_bytes(), b"a"]);
    }

    #[test]
    fn every_problem_is_told_in_the_order_of_the_fields() {
        assert_eq!(wrong(&json!({})), ["missing body.conversation_id", "missing body.input"]);
        assert_eq!(
            wrong(&json!({
                "conversation_id": 7, "mode": "guess", "topic": [],
                "input": {
                    "artifacts": [1, { "name": "x" }, { "name": null, "content_base64": "%%%" }],
                    "metadata": { "source": "moon", "repo": {}, "pr": true },
                },
            })),
            [
                "string_type body.conversation_id",
                "literal_error body.mode",
                "string_type body.topic",
                "missing body.input.text",
                "model_attributes_type body.input.artifacts.0",
                "missing body.input.artifacts.1.content_base64",
                "string_type body.input.artifacts.2.name",
                "value_error body.input.artifacts.2.content_base64",
                "literal_error body.input.metadata.source",
                "string_type body.input.metadata.repo",
                "string_type body.input.metadata.pr",
            ]
        );
        assert_eq!(
            wrong(&json!({ "conversation_id": "", "input": { "text": null, "artifacts": {}, "metadata": [] } })),
            [
                "string_type body.input.text",
                "list_type body.input.artifacts",
                "model_attributes_type body.input.metadata"
            ]
        );
        assert_eq!(wrong(&json!({ "conversation_id": "", "input": null })), ["model_attributes_type body.input"]);
    }

    #[test]
    fn a_word_is_told_what_it_may_be() {
        let body = json!({ "conversation_id": "", "mode": "x", "input": { "text": "" } });
        assert_eq!(
            read(&body).unwrap_err()[0],
            json!({
                "type": "literal_error", "loc": ["body", "mode"], "input": "x",
                "msg": "Input should be 'analysis', 'autofix' or 'logger'",
                "ctx": { "expected": "'analysis', 'autofix' or 'logger'" },
            })
        );
    }

    #[test]
    fn a_missing_key_is_a_problem_of_the_header() {
        assert_eq!(
            missing_key().to_json(),
            json!({ "type": "missing", "loc": ["header", "X-API-KEY"], "msg": "Field required", "input": null })
        );
    }

    #[test]
    fn everything_is_bounded() {
        let with = |text: usize, artifacts: Vec<Value>| json!({ "conversation_id": "", "input": { "text": "x".repeat(text), "artifacts": artifacts } });
        let artifact = |bytes: usize| json!({ "name": "", "content_base64": BASE64.encode(vec![0; bytes]) });
        assert!(read(&with(TEXT_MAX_CHARS, vec![artifact(1); ARTIFACTS_MAX])).is_ok());
        assert!(read(&with(0, vec![artifact(ARTIFACT_MAX_BYTES)])).is_ok());
        assert_eq!(wrong(&with(TEXT_MAX_CHARS + 1, vec![])), ["string_too_long body.input.text"]);
        assert_eq!(wrong(&with(0, vec![artifact(1); ARTIFACTS_MAX + 1])), ["too_long body.input.artifacts"]);
        for bytes in [ARTIFACT_MAX_BYTES + 1, ARTIFACT_MAX_BYTES * 2] {
            assert_eq!(wrong(&with(0, vec![artifact(bytes)])), ["value_error body.input.artifacts.0.content_base64"]);
        }
        let body = json!({ "conversation_id": "c".repeat(CONVERSATION_MAX_CHARS + 1), "input": { "text": "" } });
        assert_eq!(wrong(&body), ["string_too_long body.conversation_id"]);
    }

    proptest! {
        #[test]
        fn any_artifact_comes_back(content: Vec<u8>) {
            let body = json!({ "conversation_id": "", "input": { "text": "",
                "artifacts": [{ "name": "a", "content_base64": BASE64.encode(&content) }] } });
            prop_assert_eq!(&read(&body).unwrap().artifacts[0].content, &content);
        }
    }
}
