//! Which records a list is to have, as its query says (contract 04 §1.7).

use jiff::civil::DateTime;
use serde_json::{Value, json};

use super::super::zone::Zone;
use super::fact::{Fact, fact_text, wall_micros};
use super::field::Form;
use super::kinds::Kind;
use super::moment;
use crate::gate::ApiError;
use crate::gate::validate::{Problem, echo_text, flag_of};
use crate::store::{Order, Search};

/// Records in one answer, unless it is asked for fewer. More are never given.
pub const PAGE_MAX_RECORDS: i64 = 100;
/// Filters of one list, of those that name a value.
pub const FILTERS_MAX: usize = 4;

/// The parameters that lists of every kind have.
const PLAIN: [&str; 6] = ["skip", "limit", "order", "from", "to", "q"];

/// What a list is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// How many of what is found are left out first.
    pub skip: i64,
    /// How many there are to be at most.
    pub limit: i64,
    /// By which end of their ids it begins.
    pub order: Order,
    /// What each record must have.
    pub facts: Vec<Fact>,
    /// From when on, and until before when, by [`wall_micros`].
    pub from: Option<i64>,
    /// See [`Wanted::from`].
    pub until: Option<i64>,
    /// The words that each must have; with none of them there is nothing.
    pub words: Option<Option<Search>>,
}

impl Wanted {
    /// What the index of words is asked for: nothing where a list needs no index, and within that nothing where there are no words that
    /// could be found.
    #[must_use]
    pub fn search(&self) -> Option<Option<Search>> {
        let with = |search: Search, fact: &Fact| search.with_label(fact.name, &fact.value);
        match (&self.words, self.facts.split_first()) {
            (None, None) => None,
            (None, Some((first, others))) => {
                Some(Some(others.iter().fold(Search::of_label(first.name, &first.value), with)))
            }
            (Some(words), _) => Some(words.clone().map(|words| self.facts.iter().fold(words, with))),
        }
    }

    /// Whether only records of some time are wanted.
    #[must_use]
    pub fn is_of_a_time(&self) -> bool {
        self.from.is_some() || self.until.is_some()
    }
}

/// Reads the query of a list of this kind; the last of parameters that come twice counts, and what is not known is ignored.
///
/// # Errors
/// 422 with every problem.
pub fn read(kind: &Kind, query: &str, zone: &Zone) -> Result<Wanted, ApiError> {
    let mut wanted = Wanted {
        skip: 0,
        limit: PAGE_MAX_RECORDS,
        order: Order::Oldest,
        facts: Vec::new(),
        from: None,
        until: None,
        words: None,
    };
    let mut problems = Vec::new();
    let mut given: Vec<(String, String)> = Vec::new();
    // What is not known is not kept: of that there may be thousands.
    let is_known = |name: &str| PLAIN.contains(&name) || kind.filters().any(|(_, parameter)| parameter == name);
    for (name, value) in form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| is_known(name)) {
        given.retain(|(known, _)| *known != name);
        given.push((name.into_owned(), value.into_owned()));
    }
    for (name, value) in &given {
        let mut read = Parameter { name, value, problems: &mut problems };
        match name.as_str() {
            "skip" => wanted.skip = read.number(0).unwrap_or_default(),
            "limit" => wanted.limit = read.number(1).unwrap_or_default().min(PAGE_MAX_RECORDS),
            "order" => match value.as_str() {
                "asc" => wanted.order = Order::Oldest,
                "desc" => wanted.order = Order::Newest,
                _ => read.say(
                    "literal_error",
                    "Input should be 'asc' or 'desc'",
                    Some(json!({ "expected": "'asc' or 'desc'" })),
                ),
            },
            "from" => wanted.from = read.day(zone).map(|(first, _)| first),
            "to" => wanted.until = read.day(zone).map(|(_, until)| until),
            "q" if !value.trim().is_empty() => wanted.words = Some(Search::of(value)),
            _ => {
                let Some((field, _)) = kind.filters().find(|(_, parameter)| parameter == name) else { continue };
                let value = match field.form {
                    Form::Flag | Form::Object(_) => match flag_of(value) {
                        Some(flag) => flag.to_string(),
                        None => {
                            let msg = "Input should be a valid boolean, unable to interpret input";
                            read.say("bool_parsing", msg, None);
                            continue;
                        }
                    },
                    // A choice that says "all of them".
                    _ if value.is_empty() => continue,
                    _ => {
                        let word = field
                            .synonyms
                            .iter()
                            .find(|(synonym, _)| synonym == value)
                            .map_or(value.as_str(), |(_, word)| word);
                        fact_text(word).to_owned()
                    }
                };
                wanted.facts.push(Fact { name: field.name, value });
            }
        }
    }
    if wanted.facts.len() > FILTERS_MAX {
        let msg = format!("At most {FILTERS_MAX} filters together are understood, not {}", wanted.facts.len());
        let ctx = Some(json!({ "error": msg }));
        let (kind, loc) = ("value_error", vec!["query".into()]);
        problems.push(Problem { kind, loc, msg, input: echo_text(query), ctx, hint: "" });
    }
    if problems.is_empty() { Ok(wanted) } else { Err(ApiError::invalid(&problems)) }
}

/// One parameter of a query.
struct Parameter<'q> {
    name: &'q str,
    value: &'q str,
    problems: &'q mut Vec<Problem>,
}

impl Parameter<'_> {
    fn say(&mut self, kind: &'static str, msg: impl Into<String>, ctx: Option<Value>) {
        let loc = vec!["query".into(), self.name.into()];
        self.problems.push(Problem { kind, loc, msg: msg.into(), input: echo_text(self.value), ctx, hint: "" });
    }

    /// A whole number that is not smaller than this.
    fn number(&mut self, least: i64) -> Option<i64> {
        match self.value.trim().parse::<i64>() {
            Ok(number) if number >= least => return Some(number),
            Ok(_) => {
                let msg = format!("Input should be greater than or equal to {least}");
                self.say("greater_than_equal", msg, Some(json!({ "ge": least })));
            }
            Err(_) => {
                let msg = "Input should be a valid integer, unable to parse string as an integer";
                self.say("int_parsing", msg, None);
            }
        }
        None
    }

    /// A moment, or the whole of a day: when it begins, and what is just not it any more.
    fn day(&mut self, zone: &Zone) -> Option<(i64, i64)> {
        // In a query a plus sign that nobody has escaped is a blank.
        let text = self.value.trim();
        let read = match moment::date(text.as_bytes()) {
            Ok(date) if text.len() == 10 => {
                let next = date.tomorrow().map_err(|_| "day value is outside expected range");
                next.map(|next| (midnight(date), midnight(next)))
            }
            _ => moment::read(text, zone).map(|wall| (wall_micros(wall), wall_micros(wall) + 1)),
        };
        match read {
            Ok(span) => Some(span),
            Err(why) => {
                let msg = format!("Input should be a valid datetime, {why}");
                self.say("datetime_parsing", msg, Some(json!({ "error": why })));
                None
            }
        }
    }
}

fn midnight(date: jiff::civil::Date) -> i64 {
    wall_micros(DateTime::from_parts(date, jiff::civil::Time::midnight()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(module: &str, query: &str) -> Result<Wanted, Vec<String>> {
        read(Kind::of_module(module).unwrap(), query, &Zone::named("Europe/Kyiv").unwrap()).map_err(|error| {
            let body: Value = serde_json::from_slice(&error.body("r", None)).unwrap();
            let said = |item: &Value| format!("{} {}", item["type"].as_str().unwrap(), item["loc"]);
            body["detail"].as_array().unwrap().iter().map(said).collect()
        })
    }

    #[test]
    fn a_query_says_which_records() {
        let plain = wanted("podija", "").unwrap();
        assert_eq!((plain.skip, plain.limit, plain.order, plain.facts.len()), (0, 100, Order::Oldest, 0));
        let all = "skip=5&limit=500&order=desc&is_completed=YES&event_type=work&tag=%D0%B4%D1%96%D0%BC&person=&unknown=1&skip=7";
        let all = wanted("podija", all).unwrap();
        assert_eq!(
            (all.skip, all.limit, all.order),
            (7, 100, Order::Newest),
            "the last one counts, and 100 are enough"
        );
        let facts: Vec<_> = all.facts.iter().map(|fact| format!("{}={}", fact.name, fact.value)).collect();
        assert_eq!(facts, ["is_completed=true", "event_type=work", "tags=дім"]);
        let span = wanted("podija", "from=2026-03-01&to=2026-03-31").unwrap();
        assert_eq!(span.until.unwrap() - span.from.unwrap(), 31 * crate::clock::DAY_MICROS, "the last day is of it");
        let instants = wanted("podija", "from=2026-03-01T10:00&to=2026-03-01T10:00").unwrap();
        assert_eq!(instants.until.unwrap() - instants.from.unwrap(), 1);
        assert_eq!(wanted("malya", "status=realized").unwrap().facts[0].value, "completed");
        assert!(wanted("malya", "q=%20").unwrap().words.is_none());
        assert!(matches!(wanted("malya", "q=!!!").unwrap().words, Some(None)), "words that are none find nothing");
    }

    #[test]
    fn what_is_wrong_with_a_query_is_told_at_once() {
        assert_eq!(
            wanted("podija", "skip=-1&limit=0&order=up&is_completed=maybe&from=soon").unwrap_err(),
            [
                r#"greater_than_equal ["query","skip"]"#,
                r#"greater_than_equal ["query","limit"]"#,
                r#"literal_error ["query","order"]"#,
                r#"bool_parsing ["query","is_completed"]"#,
                r#"datetime_parsing ["query","from"]"#,
            ]
        );
        assert_eq!(wanted("kazkar", "limit=x").unwrap_err(), [r#"int_parsing ["query","limit"]"#]);
        let many = "story_type=a&person=b&place=c&tag=d";
        assert_eq!(wanted("kazkar", many).unwrap().facts.len(), FILTERS_MAX);
        let more = "event_type=a&person=b&place=c&tag=d&is_completed=1";
        assert_eq!(wanted("podija", more).unwrap_err(), [r#"value_error ["query"]"#]);
    }
}
