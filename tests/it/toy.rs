//! A feature is one folder and one line: here is one that has one of everything. It uses what any feature may use, is
//! known to nobody but the list that the server is started with, and is seen wherever a feature is to be seen.

use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use inkring::cli;
use inkring::clock::Clock;
use inkring::config::knobs::KNOBS;
use inkring::config::{self, Sources};
use inkring::feature::doctor::{Diagnosis, Examined};
use inkring::feature::smoke::{Caller, Smoke, Trial};
use inkring::feature::verb::{self, Program, Verbs};
use inkring::feature::{Check, Feature, House, Replacement, Running, Serving, ShardParts, StartError};
use inkring::features;
use inkring::gate::{self, ApiError, Code, CodeRow, Live, Outcome, Route, Routes};
use inkring::housekeeper::Task;
use inkring::net::client::{Ask, Remote};
use inkring::net::{Endpoint, Response};
use inkring::observe::LogHandle;
use inkring::observe::metrics::{self, Counter, Row};
use inkring::server::Server;
use inkring::settings::{self, BoundRow, Knob, Section, Settings};
use inkring::store::{Migration, Reader, Tx};
use inkring::systemd::{Inherited, Notify};
use rusqlite::Connection;
use serde_json::{Map, Value, json};

use crate::support::wait_for;

const TABLES: &[Migration] = &[Migration { version: 6, sql: "CREATE TABLE toys (name TEXT NOT NULL) STRICT;" }];
static TOYS: Section = Section { title: "Toys", after: None };
static GREETING: Knob =
    settings::text(&TOYS, "TOY_GREETING").reloading().in_status("toy_greeting").meaning("What the toy says.");
static SAID: Row = Row::counter(&TOYS, "inkring_toy_said_total").says("Greetings of the toy", "Does anybody play?");
static SHY: CodeRow = CodeRow::new("toy_shy", &[StatusCode::IM_A_TEAPOT]).meaning("the toy is shy", "come back later");
const GREETING_MAX_CHARS: usize = 40;
const BOUNDS: &[BoundRow] = &[BoundRow::new(&TOYS, "GREETING_MAX_CHARS", GREETING_MAX_CHARS as u64, "characters")
    .of("The greeting.", "cut")
    .tested_by("a_feature_is_one_folder_and_one_line")];
const ROUTES: [Route; 3] = [
    Route::public(&Method::GET, "/toy").does("Hear what the toy says"),
    Route::public(&Method::GET, "/toy/shy").does("Be refused"),
    Route::public(&Method::PUT, "/toy/{name}").about("name").does("Add a toy"),
];
const COUNT: Route = Route::public(&Method::GET, "/toys").does("Count the toys");
static TOY: Feature = Feature {
    knobs: &[&GREETING],
    counters: &[&SAID],
    bounds: BOUNDS,
    codes: &[&SHY],
    routes: &[&ROUTES],
    operator: &[COUNT],
    schema: TABLES,
    verbs: Some(Verbs::of::<Verb>()),
    doctor,
    smoke,
    ..Feature::new("toy", start)
};

struct Toy {
    greeting: Live<String>,
    said: Counter,
    tidied: Arc<AtomicU64>,
}

fn greeting(settings: &Settings) -> String {
    settings.text(&GREETING).unwrap_or("hello").chars().take(GREETING_MAX_CHARS).collect()
}

fn start(settings: &Settings, house: &House) -> Result<Arc<dyn Running>, StartError> {
    let said = house.metrics.counter(&SAID);
    Ok(Arc::new(Toy { greeting: Live::new(greeting(settings)), said, tidied: Arc::default() }))
}

/// Its verbs of the command line.
#[derive(clap::Subcommand)]
enum Verb {
    /// Say how many letters a name has
    Spell {
        /// The name
        name: String,
    },
}

impl verb::Verb for Verb {
    fn run(self, _: &Program<'_>) -> ExitCode {
        let Self::Spell { name } = self;
        ExitCode::from(name.len() as u8)
    }
}

/// What `inkring doctor` finds of it.
fn doctor(examined: &Examined<'_>) -> Vec<Diagnosis> {
    vec![Diagnosis::green("toy", format!("it says {:?}", greeting(examined.settings)))]
}

/// What `inkring smoke` tries of it.
fn smoke(smoke: &mut Smoke<'_>) {
    let greeted = smoke.step("toy", |caller| caller.ask("GET", "/toy", None, "toy"));
    let _ = smoke.step_after("toy-shy", greeted, |caller, _| caller.ask("GET", "/toy/shy", None, "toy-shy"));
}

impl Running for Toy {
    fn routes(&self, shard: &ShardParts, routes: &mut Routes) {
        let (greeting, said) = (self.greeting.clone(), self.said.clone());
        let greet = move |_: &inkring::gate::Call<'_>| {
            said.inc();
            Ok(Outcome::Now(Response::json(
                StatusCode::OK,
                json!({ "says": *greeting.now() }).to_string().into_bytes(),
            )))
        };
        let [to_greet, to_shy, to_add] = ROUTES;
        routes.add(to_greet, greet);
        let shy = |_: &inkring::gate::Call<'_>| Err(ApiError::new(Code::Of(&SHY), "The toy is shy"));
        routes.add(to_shy, shy);
        let shard = shard.clone();
        let add = move |call: &inkring::gate::Call<'_>| {
            let name = call.param("name").to_owned();
            let insert = move |tx: &mut Tx<'_>| Ok(tx.run("INSERT INTO toys (name) VALUES (?1)", &[(&name).into()])?);
            shard.change(call, insert, |()| Ok(Response::empty(StatusCode::CREATED)))
        };
        routes.add(to_add, add);
    }

    fn operator(&self, _: &ShardParts, _: &Arc<Serving>, routes: &mut Routes) {
        let count =
            |_: &inkring::gate::Call<'_>| Ok(Outcome::Now(Response::json(StatusCode::OK, &b"{\"toys\":1}"[..])));
        routes.add(COUNT, count);
    }

    fn tasks(&self, _: &Rc<Reader>) -> Vec<Task> {
        let tidied = Arc::clone(&self.tidied);
        let run = Box::new(move |_: &inkring::housekeeper::Stop| _ = tidied.fetch_add(1, Ordering::Relaxed));
        vec![Task { name: "toy", every: Duration::from_millis(10), run }]
    }

    fn checks(&self) -> Vec<Check> {
        vec![Check::new("toy", || Ok(Some(Map::new())))]
    }

    fn card(&self) -> Option<(&'static str, Value)> {
        Some(("toy", json!({ "tidied": self.tidied.load(Ordering::Relaxed) > 0 })))
    }

    fn prepare(&self, settings: &Settings) -> Result<Option<Replacement>, String> {
        let (live, new) = (self.greeting.clone(), greeting(settings));
        if new == "bad" {
            return Err("TOY_GREETING=bad is not a greeting".to_owned());
        }
        Ok(Some(Box::new(move || {
            live.replace(new);
            None
        })))
    }
}

/// What is configured in `directory`, with a toy that says this.
fn configured(directory: &std::path::Path, says: &str) -> Settings {
    let database = format!("sqlite:{}/toy.db", directory.display());
    let pairs =
        [("DATABASE_URL", &*database), ("LISTEN_ADDR", "127.0.0.1:0"), ("OPS_ADDR", "127.0.0.1:0"), ("SHARDS", "1")];
    let loaded = config::load(&Sources::from_pairs(&pairs, &[]), false).unwrap();
    let toys = settings::Setting {
        knob: &GREETING,
        value: config::parse::parse(&GREETING, GREETING.name, says).unwrap(),
        origin: settings::Origin::SettingsFile,
    };
    Settings::new(loaded.settings.iter().cloned().chain([toys]).collect(), false)
}

fn get(from: &Endpoint, target: &str) -> (u16, String) {
    let answer = Ask::get(target).send(&Remote::at(from.clone()), Duration::from_secs(10)).unwrap();
    (answer.status, answer.text(1 << 20).unwrap())
}

#[test]
fn a_feature_is_one_folder_and_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let list: Vec<&Feature> = features::FEATURES.iter().copied().chain([&TOY]).collect();
    let settings = configured(directory.path(), "welcome");
    let examined = Examined { settings: &settings, reader: None, now: Clock::system().now() };
    assert_eq!((TOY.doctor)(&examined)[0].found, "it says \"welcome\"");
    assert_eq!(cli::run_with(&list, ["inkring", "spell", "teddy"].map(Into::into)), ExitCode::from(5));
    let server = Server::start(
        &list,
        &settings,
        Inherited::default(),
        Notify::default(),
        &LogHandle::default(),
        Clock::system(),
    )
    .unwrap();
    let (public, private) = (server.endpoints()[0].clone(), server.private_endpoint().unwrap().clone());

    assert_eq!(get(&public, "/toy"), (200, "{\"says\":\"welcome\"}".to_owned()));
    let (status, body) = get(&public, "/toy/shy");
    assert_eq!((status, body.contains("\"code\":\"toy_shy\"")), (418, true), "{body}");
    let database = Connection::open(directory.path().join("toy.db")).unwrap();
    let (status, ready) = get(&public, "/readyz?verbose=1");
    assert_eq!((status, ready.contains("{\"name\":\"toy\",\"ok\":true}")), (200, true), "{ready}");
    assert!(get(&private, "/metrics").1.contains("\ninkring_toy_said_total 1\n"));
    let status = || serde_json::from_str::<Value>(&get(&private, "/status").1).unwrap();
    wait_for(|| (status()["toy"]["tidied"] == true).then_some(()));
    assert_eq!(status()["configuration"]["toy_greeting"], "welcome");
    assert_eq!((get(&private, "/toys").0, get(&public, "/toys").0), (200, 404));

    assert_eq!(server.reload(&configured(directory.path(), "bad")).unwrap_err(), "TOY_GREETING=bad is not a greeting");
    assert_eq!(get(&public, "/toy").1, "{\"says\":\"welcome\"}");
    assert_eq!(server.reload(&configured(directory.path(), &"x".repeat(41))), Ok(Vec::new()));
    assert_eq!(get(&public, "/toy").1, format!("{{\"says\":\"{}\"}}", "x".repeat(40)));
    let trial = Trial {
        user: "alice".to_owned(),
        other: "bob".to_owned(),
        patience: Duration::from_secs(10),
        origin: None,
        token: None,
        keep: false,
    };
    let mut said = Vec::new();
    let mut smoke = Smoke::begin(Caller::new(trial, Remote::at(public.clone()), ""), &mut said).unwrap();
    list.iter().for_each(|feature| (feature.smoke)(&mut smoke));
    assert!(!smoke.end(), "the toy is shy");
    let said = String::from_utf8(said).unwrap();
    let steps: Vec<&str> = said.lines().map(|line| line.split([':', '(']).next().unwrap().trim_end()).collect();
    assert!(steps.starts_with(&["PASS  healthz", "PASS  readyz", "PASS  create-draft"]), "{said}");
    assert!(steps.ends_with(&["PASS  toy", "FAIL  toy-shy", "STAYS event", "12 passed, 1 failed"]), "{said}");
    let put = Ask { method: "PUT", ..Ask::get("/toy/ball") };
    assert_eq!(put.send(&Remote::at(public.clone()), Duration::from_secs(10)).unwrap().status, 201);
    let toys = database.query_row("SELECT group_concat(name) FROM toys", (), |row| row.get::<_, String>(0));
    assert_eq!(toys.unwrap(), "ball", "on disk before it is answered");
    database.execute_batch("DROP TABLE toys").unwrap();
    assert!(get(&public, "/readyz").1.contains("missing tables: toys"));
    drop(database);
    server.stop();
}

#[test]
fn a_feature_is_in_every_generated_page() {
    let knobs: Vec<&Knob> = KNOBS.iter().copied().chain(TOY.knobs.iter().copied()).collect();
    assert!(
        config::docs::env_example(&knobs)
            .ends_with("# What the toy says. Text on one line. Reloadable.\n#TOY_GREETING=\n")
    );
    assert!(config::docs::markdown(&knobs).contains("\n### Toys\n"));
    let rows: Vec<&Row> = features::rows().into_iter().chain(TOY.counters.iter().copied()).collect();
    assert!(metrics::markdown(&rows).contains("\n## Toys\n"));
    assert!(metrics::grafana(&rows).contains("\"title\": \"Does anybody play?\""));
    assert!(
        config::docs::bounds(TOY.bounds).contains("\n| `GREETING_MAX_CHARS` | 40 characters | The greeting. | cut |")
    );
    assert!(gate::code::markdown(TOY.codes).ends_with("| `toy_shy` | 418 | the toy is shy | come back later |  |\n"));
}
