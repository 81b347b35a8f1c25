//! The engine of records against a model of it: a list for each kind, and loops over it. The same changes, the same lists, page
//! by page; and nothing is left in the tables of what is not there.

use std::cell::RefCell;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::read::{change, create};
use super::super::routes::page;
use super::super::wanted;
use super::*;
use crate::gate::validate::Body;
use crate::modules::MIGRATIONS;
use crate::store::Reader;

/// Kinds that have between them whatever the engine has rules for: a time of their own and none, flags, words that stand for
/// others, and ids of records of the same kind.
const MODULES: [&str; 2] = ["podija", "malya"];
const IDS: i64 = 8;

/// A change; fields by their names, in the order in which a client might send them.
#[derive(Debug, Clone)]
enum Step {
    Create(usize, Vec<(&'static str, Value)>),
    Update(usize, i64, Vec<(&'static str, Value)>),
    Delete(usize, i64),
    Restore(usize, i64),
}

/// What a list is asked for.
#[derive(Debug, Clone)]
struct Asked {
    kind: usize,
    filters: Vec<(&'static str, &'static str)>,
    from: Option<&'static str>,
    to: Option<&'static str>,
    word: Option<&'static str>,
    newest: bool,
    skip: usize,
    limit: usize,
}

// ── The model ───────────────────────────────────────────────────────────────────────────────────────────────────────

/// A record: its fields as they are kept, and whether it is there or in the bin.
#[derive(Debug, Clone)]
struct Known {
    fields: Fields,
    is_there: bool,
}

/// Those of each kind; the first has id 1.
#[derive(Debug, Default)]
struct Model {
    kinds: [Vec<Known>; 2],
}

/// What is kept of what is sent.
fn kept(name: &str, sent: &Value) -> Value {
    match (name, sent) {
        ("tags", Value::Null) => json!([]),
        ("is_completed", Value::Null) => json!(false),
        ("status", value) if value == "realized" => json!("completed"),
        ("event_date", Value::String(day)) => format!("{day}:00").into(),
        (_, value) => value.clone(),
    }
}

impl Model {
    fn get(&mut self, kind: usize, id: i64, is_there: bool) -> Option<&mut Known> {
        let known = usize::try_from(id - 1).ok().and_then(|index| self.kinds[kind].get_mut(index));
        known.filter(|known| known.is_there == is_there)
    }

    /// Carries a step out; false where there is nothing of that id.
    fn step(&mut self, step: &Step) -> bool {
        match step {
            Step::Create(kind, sent) => {
                let mut fields = Fields::new();
                for field in kind_of(*kind).all_fields() {
                    fields.insert(field.name.to_owned(), kept(field.name, &Value::Null));
                }
                fields.extend(sent.iter().map(|(name, value)| ((*name).to_owned(), kept(name, value))));
                self.kinds[*kind].push(Known { fields, is_there: true });
            }
            Step::Update(kind, id, sent) => {
                let Some(known) = self.get(*kind, *id, true) else { return false };
                known.fields.extend(sent.iter().map(|(name, value)| ((*name).to_owned(), kept(name, value))));
            }
            Step::Delete(kind, id) => {
                let Some(known) = self.get(*kind, *id, true) else { return false };
                known.is_there = false;
                for other in self.kinds[*kind].iter_mut().filter(|other| other.is_there) {
                    if let Some(Value::Array(ids)) = other.fields.get_mut("related_ideas") {
                        ids.retain(|other| other != id);
                    }
                }
            }
            Step::Restore(kind, id) => {
                let Some(known) = self.get(*kind, *id, false) else { return false };
                known.is_there = true;
            }
        }
        true
    }

    /// The ids of a page, and how many there would be without its bounds.
    fn list(&self, asked: &Asked) -> (Vec<i64>, usize) {
        let known = (1..).zip(&self.kinds[asked.kind]);
        let mut ids: Vec<i64> =
            known.filter(|(_, known)| known.is_there && known.is(asked)).map(|(id, _)| id).collect();
        if asked.newest {
            ids.reverse();
        }
        (ids.iter().copied().skip(asked.skip).take(asked.limit).collect(), ids.len())
    }
}

impl Known {
    fn is(&self, asked: &Asked) -> bool {
        let is_so = |(name, wanted): &(&str, &str)| match *name {
            "person" => self.has("participants", wanted),
            "place" => self.fields["location"] == *wanted,
            "tag" => self.has("tags", wanted),
            "related_to" => self.has("related_ideas", wanted),
            "is_completed" => self.fields["is_completed"] == (*wanted == "yes"),
            "status" if *wanted == "realized" => self.fields["status"] == "completed",
            name => self.fields[name] == *wanted,
        };
        // The clock stands at the beginning of 1970.
        let day = self.fields.get("event_date").and_then(Value::as_str).map_or("1970-01-01", |date| &date[..10]);
        let is_then = asked.from.is_none_or(|from| day >= from) && asked.to.is_none_or(|to| day <= to);
        let is_said = asked.word.is_none_or(|wanted| {
            let texts = ["title", "description", "location", "participants", "tags"].map(|name| self.fields.get(name));
            let said = texts.into_iter().flatten().map(Value::to_string).collect::<String>().to_lowercase();
            said.split(|letter: char| !letter.is_alphanumeric()).any(|word| {
                // Fewer than three letters are a whole word.
                word == wanted || wanted.chars().count() > 2 && word.starts_with(wanted)
            })
        });
        is_then && is_said && asked.filters.iter().all(is_so)
    }

    fn has(&self, name: &str, wanted: &str) -> bool {
        let (items, number) = (self.fields[name].as_array(), wanted.parse::<i64>().ok());
        let is_it = |item: &Value| item == wanted || (number.is_some() && item.as_i64() == number);
        items.is_some_and(|items| items.iter().any(is_it))
    }
}

// ── The engine ──────────────────────────────────────────────────────────────────────────────────────────────────────

fn kind_of(kind: usize) -> &'static Kind {
    Kind::of_module(MODULES[kind]).unwrap()
}

/// The engine on a database in memory.
struct Engine {
    reader: Reader,
    hand: Hand,
}

impl Engine {
    fn new() -> Self {
        let zone = Zone::named("Europe/Kyiv").unwrap();
        let written = Counters::new(&crate::observe::metrics::Metrics::default());
        let hand = Hand { zone, witness: None, request_id: "r".to_owned(), user: HOUSEHOLD.to_owned(), written };
        Self { reader: Reader::in_memory(MIGRATIONS), hand }
    }

    /// Carries a step out; false where there is nothing of that id.
    fn step(&self, step: &Step) -> bool {
        let body = |sent: &[(&str, Value)]| Body::Json(sent.iter().cloned().collect());
        let key = |kind, id| Key::of(kind_of(kind), id).unwrap();
        let done = RefCell::new(None);
        let changed = self.reader.write(|tx| {
            let result = match step {
                Step::Create(kind, sent) => {
                    let fields = create(kind_of(*kind), &body(sent), &self.hand.zone).unwrap();
                    self.hand.create(tx, kind_of(*kind), &RecordContent::of(kind_of(*kind), fields)).map(|_| ())
                }
                Step::Update(kind, id, sent) => {
                    let change = change(kind_of(*kind), &body(sent), &self.hand.zone).unwrap();
                    let conditions = Conditions::default();
                    self.hand.update(tx, kind_of(*kind), key(*kind, *id), &change, &conditions).map(|_| ())
                }
                Step::Delete(kind, id) => self.hand.delete(tx, kind_of(*kind), key(*kind, *id), &Conditions::default()),
                Step::Restore(kind, id) => self.hand.restore(tx, kind_of(*kind), key(*kind, *id)).map(|_| ()),
            };
            done.replace(Some(result));
            Ok(())
        });
        changed.unwrap();
        match done.into_inner().unwrap() {
            Ok(()) => true,
            Err(error) => {
                assert_eq!(error.status(), 404, "{error:?}");
                false
            }
        }
    }

    /// A page, and how many records there would be without its bounds.
    fn list(&self, asked: &Asked) -> (Vec<Value>, usize) {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&asked.filters);
        query.extend_pairs(
            [("from", asked.from), ("to", asked.to), ("q", asked.word)]
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        query.append_pair("order", if asked.newest { "desc" } else { "asc" });
        query.append_pair("skip", &asked.skip.to_string()).append_pair("limit", &asked.limit.to_string());
        let kind = kind_of(asked.kind);
        let wanted = wanted::read(kind, &query.finish(), &self.hand.zone).unwrap();
        let counts = store::counts(&self.reader, kind).unwrap();
        let (body, total) = page(&self.reader, kind, &wanted, &counts).unwrap();
        (serde_json::from_slice(&body).unwrap(), usize::try_from(total).unwrap())
    }
}

/// Holds both to the same answers.
fn compare(engine: &Engine, model: &Model, asked: &Asked) {
    let ((listed, total), (ids, known)) = (engine.list(asked), model.list(asked));
    let listed_ids: Vec<i64> = listed.iter().map(|record| record["id"].as_i64().unwrap()).collect();
    assert_eq!((listed_ids, total), (ids, known), "{asked:?}");
    for record in listed {
        let known = &model.kinds[asked.kind][usize::try_from(record["id"].as_i64().unwrap()).unwrap() - 1];
        for (name, value) in &known.fields {
            assert_eq!(&record[name], value, "{name} of {record}");
        }
        assert_eq!(record["module"], MODULES[asked.kind]);
    }
}

/// What is derived of records is there for those that are, and for no others.
fn nothing_is_left(engine: &Engine, model: &Model) {
    let (mut there, mut binned, mut facts_of_all) = (0, 0, 0);
    for (kind, known) in model.kinds.iter().enumerate() {
        let counts = store::counts(&engine.reader, kind_of(kind)).unwrap();
        let is_there = known.iter().filter(|known| known.is_there);
        assert_eq!(counts.records, i64::try_from(is_there.clone().count()).unwrap());
        there += is_there.clone().count();
        binned += known.iter().filter(|known| !known.is_there).count();
        facts_of_all += is_there.map(|known| facts(kind_of(kind), &known.fields).len()).sum::<usize>();
    }
    let found = ["records", "record_bin", "record_facts", "texts"]
        .map(|table| engine.reader.number(&format!("SELECT COUNT(*) FROM {table}")));
    assert_eq!(found, [there, binned, facts_of_all, there].map(|count| i64::try_from(count).unwrap()));
}

// ── What may happen ─────────────────────────────────────────────────────────────────────────────────────────────────

fn word() -> impl Strategy<Value = Value> {
    prop::sample::select(&["Сад", "садок біля хати", "ХАТА", "Їжак"][..]).prop_map(Value::from)
}

fn nothing_or(values: &'static [&'static str]) -> impl Strategy<Value = Value> {
    prop::option::of(prop::sample::select(values)).prop_map(Value::from)
}

fn some_of(values: &'static [&'static str]) -> impl Strategy<Value = Value> {
    vec(prop::sample::select(values), 0..4).prop_map(Value::from)
}

/// What is sent of each field that a kind has.
fn sent(kind: usize) -> BoxedStrategy<Vec<(&'static str, Value)>> {
    let common = (word(), word(), some_of(&["родина", "сад", "x"]));
    if kind == 0 {
        let flag = any::<bool>().prop_map(Value::from);
        let own = (
            nothing_or(&["2026-03-01T10:00", "2026-03-15T23:59", "2026-03-16T00:00"]),
            nothing_or(&["work", "family", ""]),
            flag,
            some_of(&["Іван", "Олена"]),
            nothing_or(&["Київ", "Сад"]),
        );
        let fields = (common, own).prop_map(|((title, text, tags), (date, form, flag, people, place))| {
            vec![
                ("tags", tags),
                ("title", title),
                ("description", text),
                ("event_date", date),
                ("event_type", form),
                ("is_completed", flag),
                ("participants", people),
                ("location", place),
            ]
        });
        fields.boxed()
    } else {
        let own = (nothing_or(&["draft", "realized", "completed"]), prop::option::of(vec(1..IDS, 0..4)));
        let fields = (common, own).prop_map(|((title, text, tags), (status, related))| {
            vec![
                ("title", title),
                ("description", text),
                ("related_ideas", related.map_or(Value::Null, Value::from)),
                ("status", status),
                ("tags", tags),
            ]
        });
        fields.boxed()
    }
}

/// Some of them, as a change sends them; what may be null may also be taken away.
fn some_sent(kind: usize) -> impl Strategy<Value = Vec<(&'static str, Value)>> {
    (sent(kind), vec(0..4_u8, 8)).prop_map(|(fields, chances)| {
        let pairs = fields.into_iter().zip(chances);
        let chosen = pairs.filter_map(|((name, value), chance)| match chance {
            0 => Some((name, value)),
            1 if name != "title" && name != "description" => Some((name, Value::Null)),
            _ => None,
        });
        chosen.collect()
    })
}

fn step() -> impl Strategy<Value = Step> {
    let of_kind = |kind: usize| {
        prop_oneof![
            4 => sent(kind).prop_map(move |fields| Step::Create(kind, fields)),
            4 => (1..IDS, some_sent(kind)).prop_map(move |(id, fields)| Step::Update(kind, id, fields)),
            2 => (1..IDS).prop_map(move |id| Step::Delete(kind, id)),
            2 => (1..IDS).prop_map(move |id| Step::Restore(kind, id)),
        ]
    };
    prop_oneof![of_kind(0), of_kind(1)]
}

fn asked() -> impl Strategy<Value = Asked> {
    const OF_EVENTS: [(&str, &str); 6] = [
        ("event_type", "work"),
        ("is_completed", "yes"),
        ("is_completed", "0"),
        ("person", "Іван"),
        ("place", "Сад"),
        ("tag", "родина"),
    ];
    const OF_IDEAS: [(&str, &str); 5] =
        [("status", "realized"), ("status", "draft"), ("related_to", "2"), ("related_to", "3"), ("tag", "x")];
    let days = || prop::option::of(prop::sample::select(&["1970-01-01", "2026-03-01", "2026-03-15"][..]));
    let of_kind = move |kind: usize, filters: &'static [(&'static str, &'static str)]| {
        let word = prop::option::weighted(0.3, prop::sample::select(&["са", "садок", "ха", "їж", "олена", "x"][..]));
        let bounds = (any::<bool>(), 0..4_usize, prop_oneof![Just(100_usize), 1..4_usize]);
        let chosen = prop::sample::subsequence(filters, 0..3);
        (chosen, days(), days(), word, bounds).prop_map(move |(mut filters, from, to, word, (newest, skip, limit))| {
            // Of two that say different things about one field the last one counts.
            filters.dedup_by_key(|(name, _)| *name);
            Asked { kind, filters, from, to, word, newest, skip, limit }
        })
    };
    prop_oneof![of_kind(0, &OF_EVENTS), of_kind(1, &OF_IDEAS)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_does_what_a_list_in_memory_does(steps in vec((step(), vec(asked(), 0..4)), 1..60)) {
        let (engine, mut model) = (Engine::new(), Model::default());
        for (step, lists) in &steps {
            prop_assert_eq!(engine.step(step), model.step(step), "{:?}", step);
            lists.iter().for_each(|asked| compare(&engine, &model, asked));
        }
        for kind in 0..MODULES.len() {
            let whole = Asked {
                kind, filters: Vec::new(), from: None, to: None, word: None, newest: false, skip: 0, limit: 100,
            };
            compare(&engine, &model, &whole);
        }
        nothing_is_left(&engine, &model);
    }
}
