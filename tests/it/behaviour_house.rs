//! What the tests of behaviour metrics share: a server in this process whose clock stands still until it is moved, so that
//! rates and days are exact, and what can be read of the files.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use inkring::clock::Clock;
use inkring::config::{self, Sources};
use inkring::features::FEATURES;
use inkring::net::Endpoint;
use inkring::net::client::{Ask, Remote};
use inkring::observe::LogHandle;
use inkring::server::Server;
use inkring::systemd::{Inherited, Notify};
use serde_json::{Value, json};

use crate::support::{Answer, Client, PATIENCE};

pub const EVENT: &str = "/api/metrics/event";
pub const SNAPSHOT: &str = "/api/metrics/behavior";
pub const HEALTH: &str = "/api/metrics/health";
/// As many as one likes.
pub const FREELY: [(&str, &str); 2] = [("METRICS_RATE_PER_SECOND", "100000"), ("METRICS_BURST", "100000")];

/// An event of this visitor.
pub fn event(visitor: &str) -> Value {
    json!({ "visitor_id": visitor, "event": "page_view", "metadata": { "path": "/" } })
}

/// A server in this process, with the hands of its clock.
pub struct Here {
    pub directory: tempfile::TempDir,
    pub clock: Clock,
    settings: Vec<(String, String)>,
    running: Option<Server>,
}

impl Here {
    /// At this hour, with these settings.
    pub fn with(settings: &[(&str, &str)]) -> Self {
        let owned = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let clock = Clock::manual(Clock::system().now());
        let mut here = Self { directory: tempfile::tempdir().unwrap(), clock, settings: owned, running: None };
        here.launch();
        here
    }

    fn configured(&self, more: &[(&str, &str)]) -> inkring::settings::Settings {
        let (database, file) =
            (format!("sqlite:{}", self.path("here.db").display()), self.path("metrics.jsonl").display().to_string());
        let own = [
            ("DATABASE_URL", &*database),
            ("METRICS_JSONL", &*file),
            ("LISTEN_ADDR", "127.0.0.1:0"),
            ("OPS_ADDR", "127.0.0.1:0"),
            ("SHARDS", "1"),
        ];
        let given = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let all: BTreeMap<&str, &str> = own.into_iter().chain(given).chain(more.iter().copied()).collect();
        let pairs: Vec<_> = all.into_iter().collect();
        config::load(&Sources::from_pairs(&pairs, &[]), false).unwrap().settings
    }

    pub fn launch(&mut self) {
        let (inherited, notify, logs) = (Inherited::default(), Notify::default(), LogHandle::default());
        let settings = self.configured(&[]);
        let running = Server::start(FEATURES, &settings, inherited, notify, &logs, self.clock.clone());
        self.running = Some(running.unwrap());
    }

    pub fn stop(&mut self) {
        self.running.take().unwrap().stop();
    }

    /// Follows these settings besides.
    pub fn reload(&self, more: &[(&str, &str)]) {
        self.running.as_ref().unwrap().reload(&self.configured(more)).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Where clients are served.
    pub fn public(&self) -> Endpoint {
        self.running.as_ref().unwrap().endpoints()[0].clone()
    }

    pub fn client(&self) -> Client {
        Client::connect(self.public().to_string().parse().unwrap())
    }

    pub fn get(&self, path: &str) -> Value {
        self.client().get(path, None).expect(200)
    }

    pub fn post(&self, body: &Value) -> Answer {
        self.client().post(EVENT, None, body)
    }

    /// Has the files looked after, and returns what that did.
    pub fn rotate(&self, query: &str) -> Value {
        rotate(&self.running.as_ref().unwrap().private_endpoint().unwrap().clone(), query)
    }

    /// The file that is written; nothing if there is none.
    pub fn text(&self) -> String {
        std::fs::read_to_string(self.path("metrics.jsonl")).unwrap_or_default()
    }

    pub fn advance(&self, time: Duration) {
        self.clock.advance(i64::try_from(time.as_micros()).unwrap());
    }
}

/// Asks a private plane to look after the files.
pub fn rotate(plane: &Endpoint, query: &str) -> Value {
    let target = format!("/behaviour/rotate?{query}");
    let ask = Ask { method: "POST", ..Ask::get(&target) };
    let answer = ask.send(&Remote::at(plane.clone()), PATIENCE).unwrap();
    let (status, text) = (answer.status, answer.text(1 << 16).unwrap());
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// A text, compressed.
pub fn gz(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// The files of events in a directory: their names in order, each with what it says, compressed or not. Of one that is there in
/// both forms only the plain one, as a reader has it.
pub fn files(directory: &Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let mut found = BTreeMap::new();
    for name in names.iter().filter(|name| name.starts_with("metrics")) {
        let bytes = std::fs::read(directory.join(name)).unwrap();
        if name.ends_with(".jsonl") {
            found.insert(name.clone(), String::from_utf8(bytes).unwrap());
        } else if name.strip_suffix(".gz").is_some_and(|plain| !names.iter().any(|name| name == plain)) {
            let mut text = String::new();
            MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
            found.insert(name.clone(), text);
        }
    }
    found
}

/// The lines of all files, each of which has to be JSON.
pub fn lines(directory: &Path) -> Vec<Value> {
    files(directory).values().flat_map(|text| text.lines()).map(|line| serde_json::from_str(line).unwrap()).collect()
}
