//! What clients send of a record, read by the table of its kind: every field's value made what it is kept as, and all problems at
//! once (contract 04 §1.7, with R2, R3, R16, R17 and C6).

use serde_json::{Map, Number, Value, json};

use super::super::zone::{Zone, wall_text};
use super::field::{Field, Form};
use super::kinds::Kind;
use super::moment;
use crate::gate::ApiError;
use crate::gate::validate::{Body, Check, Problem, echo, flag_of};

/// Values by the names of their fields.
pub type Fields = Map<String, Value>;

/// Items of one list. The original has no such bound.
pub const LIST_MAX_ITEMS: usize = 1000;

/// What a change says of the fields of a record: only of those that it names.
#[derive(Debug, Clone)]
pub struct Change(Vec<(&'static Field, Value)>);

/// A new record of this kind: every field, in order.
///
/// # Errors
/// 422 with every problem.
pub fn create(kind: &'static Kind, body: &Body, zone: &Zone) -> Result<Fields, ApiError> {
    let sent = object(body)?;
    let mut reader = Reader { zone, problems: Vec::new() };
    let mut fields = Fields::new();
    for field in kind.all_fields() {
        let value = match sent_of(field, sent) {
            Some(value) if !(value.is_null() && may_be_null(field)) => reader.value(field, value),
            None if field.required => {
                let at = Place { field: field.name, item: None };
                reader.say("missing", at, "Field required", &Value::Object(sent.clone()), None);
                None
            }
            _ => Some(field.default()),
        };
        fields.insert(field.name.to_owned(), value.unwrap_or(Value::Null));
    }
    reader.span(kind, &fields);
    reader.done()?;
    Ok(fields)
}

/// What is to be changed of a record of this kind.
///
/// # Errors
/// 422 with every problem.
pub fn change(kind: &'static Kind, body: &Body, zone: &Zone) -> Result<Change, ApiError> {
    let sent = object(body)?;
    let mut reader = Reader { zone, problems: Vec::new() };
    let mut changes = Vec::new();
    for field in kind.all_fields() {
        let Some(value) = sent_of(field, sent) else { continue };
        let value = match value {
            Value::Null if !field.required => Some(field.default()),
            value => reader.value(field, value),
        };
        changes.extend(value.map(|value| (field, value)));
    }
    reader.done()?;
    Ok(Change(changes))
}

impl Change {
    /// The fields of a record after this change of them.
    ///
    /// # Errors
    /// 422 when they cannot all be so.
    pub fn applied(&self, kind: &'static Kind, old: &Fields, zone: &Zone) -> Result<Fields, ApiError> {
        let mut fields = Fields::new();
        for field in kind.all_fields() {
            let changed = self.0.iter().find(|(changed, _)| changed.name == field.name).map(|(_, value)| value);
            let value = changed.or_else(|| old.get(field.name)).cloned();
            fields.insert(field.name.to_owned(), value.unwrap_or_else(|| field.default()));
        }
        let mut reader = Reader { zone, problems: Vec::new() };
        reader.span(kind, &fields);
        reader.done()?;
        Ok(fields)
    }
}

fn object(body: &Body) -> Result<&Fields, ApiError> {
    let mut check = Check::new();
    let sent = check.object(body);
    check.done()?;
    sent.ok_or_else(|| ApiError::internal("a body that is not an object passed validation"))
}

/// What is sent of a field: under its own name, else under the other.
fn sent_of<'v>(field: &Field, sent: &'v Fields) -> Option<&'v Value> {
    sent.get(field.name).or_else(|| sent.get(field.alias?))
}

/// Whether null says nothing in a new record, as it does for what need not be there; `Words` and `Flag` have a value always.
fn may_be_null(field: &Field) -> bool {
    !field.required && !matches!(field.form, Form::Words | Form::Flag)
}

/// Where in a body a value stands: a field, or an item of its list. As `loc` only where something is wrong with it.
#[derive(Clone, Copy)]
struct Place {
    field: &'static str,
    item: Option<usize>,
}

impl Place {
    fn loc(self) -> Vec<Value> {
        let mut loc = vec!["body".into(), self.field.into()];
        loc.extend(self.item.map(Value::from));
        loc
    }
}

/// Reads values and keeps what is wrong with them.
struct Reader<'z> {
    zone: &'z Zone,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn done(self) -> Result<(), ApiError> {
        if self.problems.is_empty() { Ok(()) } else { Err(ApiError::invalid(&self.problems)) }
    }

    fn say(&mut self, kind: &'static str, at: Place, msg: impl Into<String>, input: &Value, ctx: Option<Value>) {
        self.problems.push(Problem { kind, loc: at.loc(), msg: msg.into(), input: echo(input), ctx, hint: "" });
    }

    /// The value as it is kept; nothing if there was a problem.
    fn value(&mut self, field: &'static Field, value: &Value) -> Option<Value> {
        let at = Place { field: field.name, item: None };
        match field.form {
            Form::Text => {
                let text = self.text(at, value)?;
                if field.required && text.trim().is_empty() {
                    let ctx = Some(json!({ "min_length": 1 }));
                    self.say("string_too_short", at, "String should have at least 1 character", value, ctx);
                    return None;
                }
                let kept = field.synonyms.iter().find(|(synonym, _)| *synonym == text).map_or(text, |(_, word)| word);
                Some(kept.into())
            }
            Form::Address => {
                let text = self.text(at, value)?;
                if !is_address(text) {
                    let ctx = Some(json!({ "expected_schemes": "'http' or 'https'" }));
                    self.say("url_scheme", at, "URL scheme should be 'http' or 'https'", value, ctx);
                    return None;
                }
                Some(text.into())
            }
            Form::Moment => self.moment(field, at, value),
            Form::Flag => self.flag(at, value),
            Form::Whole => self.whole(at, value),
            Form::Number(least, most) => self.number(at, value, least, most),
            Form::Texts | Form::Words => {
                self.list(at, value, |reader, at, item| reader.text(at, item).map(Value::from))
            }
            Form::Wholes => self.list(at, value, Self::whole),
            Form::Object(shape) => match shape(value, self.zone) {
                Ok(object) if object.is_object() || object.is_null() => Some(object),
                Ok(_) => {
                    self.say("dict_type", at, "Input should be a valid dictionary", value, None);
                    None
                }
                Err(why) => {
                    let ctx = Some(json!({ "error": why }));
                    self.say("value_error", at, format!("Value error, {why}"), value, ctx);
                    None
                }
            },
        }
    }

    fn text<'v>(&mut self, at: Place, value: &'v Value) -> Option<&'v str> {
        if value.as_str().is_none() {
            self.say("string_type", at, "Input should be a valid string", value, None);
        }
        value.as_str()
    }

    fn moment(&mut self, field: &Field, at: Place, value: &Value) -> Option<Value> {
        let read = match value {
            // A form that nobody has touched.
            Value::String(text) if text.is_empty() && !field.required => return Some(Value::Null),
            Value::String(text) => moment::read(text, self.zone),
            Value::Number(number) => moment::of_number(number.as_f64().unwrap_or(f64::NAN), self.zone),
            _ => {
                self.say("datetime_type", at, "Input should be a valid datetime", value, None);
                return None;
            }
        };
        match read {
            Ok(wall) => Some(wall_text(wall).into()),
            Err(why) => {
                let ctx = Some(json!({ "error": why }));
                self.say("datetime_parsing", at, format!("Input should be a valid datetime, {why}"), value, ctx);
                None
            }
        }
    }

    fn flag(&mut self, at: Place, value: &Value) -> Option<Value> {
        let read = match value {
            Value::Bool(flag) => return Some(Value::Bool(*flag)),
            Value::Number(number) if number.as_f64() == Some(0.0) => Some(false),
            Value::Number(number) if number.as_f64() == Some(1.0) => Some(true),
            Value::Number(_) => None,
            Value::String(text) => flag_of(text),
            _ => {
                self.say("bool_type", at, "Input should be a valid boolean", value, None);
                return None;
            }
        };
        if read.is_none() {
            self.say("bool_parsing", at, "Input should be a valid boolean, unable to interpret input", value, None);
        }
        read.map(Value::Bool)
    }

    fn whole(&mut self, at: Place, value: &Value) -> Option<Value> {
        let (kind, why) = match value {
            Value::Bool(flag) => return Some(i64::from(*flag).into()),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => return Some(whole.into()),
                (None, Some(float)) if float.fract() != 0.0 => {
                    ("int_from_float", ", got a number with a fractional part")
                }
                (None, Some(float)) if float.abs() < WHOLE_MAX => {
                    #[expect(clippy::cast_possible_truncation, reason = "whole, and within the bounds, as just seen")]
                    return Some((float as i64).into());
                }
                _ => ("int_parsing_size", ", unable to parse string as an integer, exceeded maximum size"),
            },
            Value::String(text) => match text.trim().strip_suffix(".0").unwrap_or(text.trim()).parse::<i64>() {
                Ok(whole) => return Some(whole.into()),
                Err(_) => ("int_parsing", ", unable to parse string as an integer"),
            },
            _ => ("int_type", ""),
        };
        self.say(kind, at, format!("Input should be a valid integer{why}"), value, None);
        None
    }

    fn number(&mut self, at: Place, value: &Value, least: f64, most: f64) -> Option<Value> {
        let read = match value {
            Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => {
                self.say("float_type", at, "Input should be a valid number", value, None);
                return None;
            }
        };
        let Some(number) = read else {
            let msg = "Input should be a valid number, unable to parse string as a number";
            self.say("float_parsing", at, msg, value, None);
            return None;
        };
        let (kind, msg, ctx) = if number.is_nan() {
            ("finite_number", "Input should be a finite number".to_owned(), None)
        } else if number < least {
            let msg = format!("Input should be greater than or equal to {least}");
            ("greater_than_equal", msg, Some(json!({ "ge": least })))
        } else if number > most {
            ("less_than_equal", format!("Input should be less than or equal to {most}"), Some(json!({ "le": most })))
        } else {
            // Proof that it is one: it is finite, as it is within finite bounds.
            return Number::from_f64(number).map(Value::Number);
        };
        self.say(kind, at, msg, value, ctx);
        None
    }

    /// A list of which `item` reads each; an item's place ends with its index.
    fn list(
        &mut self,
        at: Place,
        value: &Value,
        mut item: impl FnMut(&mut Self, Place, &Value) -> Option<Value>,
    ) -> Option<Value> {
        let Value::Array(items) = value else {
            self.say("list_type", at, "Input should be a valid list", value, None);
            return None;
        };
        if items.len() > LIST_MAX_ITEMS {
            let count = items.len();
            let msg = format!("List should have at most {LIST_MAX_ITEMS} items after validation, not {count}");
            let ctx = Some(json!({ "field_type": "List", "max_length": LIST_MAX_ITEMS, "actual_length": count }));
            self.say("too_long", at, msg, value, ctx);
            return None;
        }
        let read: Vec<Option<Value>> =
            items.iter().enumerate().map(|(index, each)| item(self, Place { item: Some(index), ..at }, each)).collect();
        read.into_iter().collect::<Option<Vec<_>>>().map(Value::Array)
    }

    /// What begins must not end before.
    fn span(&mut self, kind: &Kind, fields: &Fields) {
        let Some((first, last)) = kind.span else { return };
        let (Some(begin), Some(end)) = (text_of(fields, first), text_of(fields, last)) else { return };
        // As texts they are in the order of time: the same form, and digits.
        if end < begin {
            let msg = format!("Value error, {last} must not be before {first}");
            let ctx = Some(json!({ "error": format!("{last} must not be before {first}") }));
            self.say("value_error", Place { field: last, item: None }, msg, &end.into(), ctx);
        }
    }
}

/// Floats from which on not every whole number is one.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// The text of a field, if it has one.
pub(in crate::modules) fn text_of<'f>(fields: &'f Fields, name: &str) -> Option<&'f str> {
    fields.get(name)?.as_str()
}

/// What may stand as an address in a page (R19): something on the web, or a file of ours.
pub(in crate::modules) fn is_address(text: &str) -> bool {
    let scheme = |name: &str| text.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name));
    let is_clean = !text.chars().any(|letter| letter.is_control() || letter == '\\');
    is_clean && (scheme("http://") || scheme("https://") || text.starts_with("/media/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone() -> Zone {
        Zone::named("Europe/Kyiv").unwrap()
    }

    fn problems(error: &ApiError) -> Vec<Value> {
        let body: Value = serde_json::from_slice(&error.body("r", None)).unwrap();
        body["detail"].as_array().unwrap().clone()
    }

    /// What is said of one field of a new record whose other fields are right.
    fn of_field(module: &str, field: &str, value: Value) -> Result<Value, Value> {
        let kind = Kind::of_module(module).unwrap();
        let mut body = json!({
            "title": "T", "content": "C", "description": "D", "emotion_state": "calm", "media_type": "photo",
            "url": "https://example.com/a.jpg", "scheduled_at": "2026-03-01T10:00",
        });
        body[field] = value;
        match create(kind, &Body::Json(body), &zone()) {
            Ok(fields) => Ok(fields[field].clone()),
            Err(error) => {
                let mut said = problems(&error);
                assert_eq!(said.len(), 1, "{said:?}");
                Err(said.remove(0))
            }
        }
    }

    #[test]
    fn values_are_coerced_as_the_original_does() {
        for (module, field, sent, kept) in [
            ("podija", "is_completed", json!("Yes"), json!(true)),
            ("podija", "is_completed", json!("off"), json!(false)),
            ("podija", "is_completed", json!(1), json!(true)),
            ("podija", "is_completed", json!(0.0), json!(false)),
            ("podija", "event_date", json!(""), Value::Null),
            ("podija", "event_date", json!("2026-11-21T10:00:00+02:00"), json!("2026-11-21T10:00:00")),
            ("podija", "event_date", json!(1_700_000_000), json!("2023-11-15T00:13:20")),
            ("podija", "participants", Value::Null, Value::Null),
            ("nastrij", "intensity", json!(7), json!(7.0)),
            ("nastrij", "intensity", json!(" 6.5 "), json!(6.5)),
            ("nastrij", "intensity", json!(true), json!(1.0)),
            ("gallery", "file_size", json!("12"), json!(12)),
            ("gallery", "file_size", json!(12.0), json!(12)),
            ("gallery", "file_size", json!("12.0"), json!(12)),
            ("gallery", "url", json!("/media/ab/cd.jpg"), json!("/media/ab/cd.jpg")),
            ("malya", "status", json!("realized"), json!("completed")),
            ("malya", "related_ideas", json!([1, "2", 3.0]), json!([1, 2, 3])),
            ("kazkar", "story_type", json!(""), json!("")),
        ] {
            assert_eq!(of_field(module, field, sent.clone()), Ok(kept), "{module} {field} {sent}");
        }
        let intensity = of_field("nastrij", "intensity", json!(7)).unwrap();
        assert_eq!(intensity.to_string(), "7.0", "a float, as the original prints it");
    }

    #[test]
    fn each_problem_has_its_name_its_place_and_a_sentence() {
        for (module, field, sent, kind, msg) in [
            ("kazkar", "title", json!(7), "string_type", "Input should be a valid string"),
            ("kazkar", "title", Value::Null, "string_type", "Input should be a valid string"),
            ("kazkar", "title", json!("  "), "string_too_short", "String should have at least 1 character"),
            ("kazkar", "tags", Value::Null, "list_type", "Input should be a valid list"),
            ("kazkar", "participants", json!("Ivan"), "list_type", "Input should be a valid list"),
            (
                "podija",
                "is_completed",
                json!("maybe"),
                "bool_parsing",
                "Input should be a valid boolean, unable to interpret input",
            ),
            (
                "podija",
                "is_completed",
                json!(2),
                "bool_parsing",
                "Input should be a valid boolean, unable to interpret input",
            ),
            ("podija", "is_completed", Value::Null, "bool_type", "Input should be a valid boolean"),
            (
                "podija",
                "event_date",
                json!("2026-11-21"),
                "datetime_parsing",
                "Input should be a valid datetime, input is too short",
            ),
            ("podija", "event_date", json!([]), "datetime_type", "Input should be a valid datetime"),
            (
                "nastrij",
                "intensity",
                json!("x"),
                "float_parsing",
                "Input should be a valid number, unable to parse string as a number",
            ),
            ("nastrij", "intensity", json!([]), "float_type", "Input should be a valid number"),
            ("nastrij", "intensity", json!(42), "less_than_equal", "Input should be less than or equal to 10"),
            ("nastrij", "intensity", json!(-1), "greater_than_equal", "Input should be greater than or equal to 0"),
            ("nastrij", "intensity", json!("NaN"), "finite_number", "Input should be a finite number"),
            (
                "gallery",
                "file_size",
                json!(1.5),
                "int_from_float",
                "Input should be a valid integer, got a number with a fractional part",
            ),
            (
                "gallery",
                "file_size",
                json!("x"),
                "int_parsing",
                "Input should be a valid integer, unable to parse string as an integer",
            ),
            ("gallery", "file_size", json!({}), "int_type", "Input should be a valid integer"),
            ("gallery", "media_metadata", json!("x"), "dict_type", "Input should be a valid dictionary"),
            ("gallery", "url", json!("javascript:alert(1)"), "url_scheme", "URL scheme should be 'http' or 'https'"),
            ("gallery", "url", json!("data:text/html,x"), "url_scheme", "URL scheme should be 'http' or 'https'"),
            (
                "calendar",
                "end_time",
                json!("2026-02-01T10:00"),
                "value_error",
                "Value error, end_time must not be before scheduled_at",
            ),
            (
                "calendar",
                "scheduled_at",
                json!(""),
                "datetime_parsing",
                "Input should be a valid datetime, input is too short",
            ),
        ] {
            let said = of_field(module, field, sent.clone()).unwrap_err();
            assert_eq!((&said["type"], &said["msg"]), (&json!(kind), &json!(msg)), "{module} {field} {sent}");
            assert_eq!(said["loc"], json!(["body", field]), "{said}");
        }
        let said = of_field("kazkar", "tags", json!(["a", 1])).unwrap_err();
        assert_eq!((&said["type"], &said["loc"]), (&json!("string_type"), &json!(["body", "tags", 1])));
        let many = vec!["a"; LIST_MAX_ITEMS + 1];
        let said = of_field("kazkar", "tags", json!(many)).unwrap_err();
        assert_eq!((&said["type"], &said["ctx"]["actual_length"]), (&json!("too_long"), &json!(1001)));
        assert!(of_field("kazkar", "tags", json!(vec!["a"; LIST_MAX_ITEMS])).is_ok());
    }

    #[test]
    fn all_problems_are_told_at_once_and_what_is_not_known_is_ignored() {
        let kind = Kind::of_module("kazkar").unwrap();
        let error = create(kind, &Body::Json(json!({ "tags": 1, "id": "x" })), &zone()).unwrap_err();
        let said: Vec<_> = problems(&error).iter().map(|said| (said["type"].clone(), said["loc"].clone())).collect();
        assert_eq!(
            said,
            [
                (json!("missing"), json!(["body", "title"])),
                (json!("missing"), json!(["body", "content"])),
                (json!("list_type"), json!(["body", "tags"])),
            ]
        );
        for body in [Body::Absent, Body::Json(json!([])), Body::Other("a=b".to_owned())] {
            assert_eq!(create(kind, &body, &zone()).unwrap_err().status(), 422);
        }
    }

    #[test]
    fn a_change_touches_what_it_names_and_null_never_breaks_a_record() {
        let (podija, zone) = (Kind::of_module("podija").unwrap(), zone());
        let old =
            create(podija, &Body::Json(json!({ "title": "T", "is_completed": true, "tags": ["a"] })), &zone).unwrap();
        let changed = |body: Value| {
            change(podija, &Body::Json(body), &zone).and_then(|change| change.applied(podija, &old, &zone))
        };
        let fields = changed(json!({ "tags": null, "is_completed": null, "description": "D" })).unwrap();
        assert_eq!((&fields["tags"], &fields["is_completed"]), (&json!([]), &json!(false)));
        assert_eq!((&fields["title"], &fields["description"]), (&json!("T"), &json!("D")));
        let names: Vec<_> = fields.keys().map(String::as_str).collect();
        assert_eq!(names, podija.all_fields().map(|field| field.name).collect::<Vec<_>>(), "always in order");
        let said = problems(&changed(json!({ "title": null })).unwrap_err());
        assert_eq!(said[0]["type"], "string_type");
        let calendar = Kind::of_module("calendar").unwrap();
        let said = change(calendar, &Body::Json(json!({ "scheduled_at": null })), &zone).unwrap_err();
        assert_eq!(problems(&said)[0]["type"], "datetime_type");
        let entry =
            create(calendar, &Body::Json(json!({ "title": "T", "scheduled_at": "2026-03-01T10:00" })), &zone).unwrap();
        let early = change(calendar, &Body::Json(json!({ "end_time": "2026-02-28T10:00" })), &zone).unwrap();
        assert_eq!(early.applied(calendar, &entry, &zone).unwrap_err().status(), 422, "beside what is there");
    }

    #[test]
    fn an_address_is_of_the_web_or_ours() {
        for good in ["https://a.example/ä b", "HTTP://a", "/media/ab/abcdef.jpg"] {
            assert!(is_address(good), "{good}");
        }
        for bad in [
            "",
            "//evil.example",
            "/etc/passwd",
            "javascript:1",
            " https://a",
            "https:/a",
            "https://a\nb",
            "http:\\\\a",
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }
}
