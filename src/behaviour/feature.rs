//! Behaviour metrics as a feature of the house.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use super::active::Active;
use super::bucket::Buckets;
use super::counters::{self, Counters, FILE_BYTES, HEALTHY, QUEUE};
use super::errors::SINK_FAILED;
use super::files::Ownership;
use super::kept_reports::{REPORTS_KEPT_MAX_BYTES, Reports};
use super::names::Names;
use super::openapi::SHEET;
use super::operator::{self, Operated};
use super::options;
use super::report::REPORT_MAX_BYTES;
use super::ring::{RING_MAX_BYTES, Ring};
use super::routes::{self, Served};
use super::sink::{Parts, SINK_BYTES_MAX, Sink, SinkHandle};
use super::state::State;
use super::tail::last_events;
use super::upkeep::Upkeep;
use super::verbs::Verb;
use super::{bounds, client, doctor, pages, smoke};
use crate::feature::verb::Verbs;
use crate::feature::{Check, Feature, House, OutputDirectory, Replacement, Running, Serving, ShardParts, StartError};
use crate::gate::{Live, Routes};
use crate::housekeeper::Task;
use crate::observe::metrics::{Gauge, Metrics, set_usize};
use crate::settings::Settings;
use crate::store::{Reader, directory_of};

/// Behaviour metrics.
pub static FEATURE: Feature = Feature {
    knobs: options::KNOBS,
    writes: |settings| {
        let knob = [&options::FILE, &options::DIRECTORY].into_iter().find(|knob| settings.of(knob).origin.is_given());
        let path = || directory_of(&options::file(settings)).to_owned();
        knob.map(|knob| OutputDirectory { knob, path: path(), is_needed: false }).into_iter().collect()
    },
    counters: counters::ROWS,
    bounds: bounds::BOUNDS,
    codes: &[&SINK_FAILED],
    routes: &[&routes::ROUTES, &[client::CONFIG], &pages::ROUTES],
    describe: |route| SHEET.describe(route),
    schemas: || SHEET.schemas(),
    operator: &operator::ROUTES,
    verbs: Some(Verbs::of::<Verb>()),
    doctor: doctor::doctor,
    smoke: smoke::smoke,
    memory: |_, _| (RING_MAX_BYTES + SINK_BYTES_MAX + REPORT_MAX_BYTES + REPORTS_KEPT_MAX_BYTES) as u64,
    ..Feature::new("behaviour", start)
};

fn start(settings: &Settings, house: &House) -> Result<Arc<dyn Running>, StartError> {
    let file = options::file(settings);
    let names = Names::of(&file);
    let ring = Ring::new(settings.count(&options::RING_CAPACITY));
    let capacity = ring.capacity();
    let state = Arc::new(State::new(ring, Counters::new(&house.metrics)));
    let (live, ownership) = (Live::new(options::Live::of(settings)), Arc::new(Ownership::of(names.clone())));
    let sink = Sink::start(Parts {
        active: Active::new(names.clone(), Arc::clone(&ownership)),
        state: Arc::clone(&state),
        live: live.clone(),
        directory: names.directory().to_owned(),
        clock: house.clock.clone(),
        timekeeper: house.timekeeper.clone(),
    })?;
    // After the sink has put an end to the last line.
    state.remember(last_events(&names, capacity));
    show(&house.metrics, Arc::clone(&state), sink.handle());
    let timekeeper = house.timekeeper.clone();
    let reports = Arc::new(Reports::new(names.clone(), house.clock.clone()));
    let upkeep = Upkeep::new(names, ownership, sink.handle(), Arc::clone(&state), timekeeper.clone());
    let served = Served {
        state,
        sink: sink.handle(),
        live: live.clone(),
        buckets: Buckets::new(),
        file: json!(options::shown(&file)).to_string().into(),
        clock: house.clock.clone(),
        began: house.clock.instant(),
        timekeeper,
    };
    let (served, upkeep, sink) = (Arc::new(served), Arc::new(upkeep), Mutex::new(Some(sink)));
    let operated = Operated { upkeep, reports, live };
    Ok(Arc::new(Behaviour { served, operated, every: options::every(settings), sink }))
}

/// Has metrics show how the file and its queue stand.
fn show(metrics: &Metrics, state: Arc<State>, sink: SinkHandle) {
    let gauges: [Gauge; 3] = [&FILE_BYTES, &QUEUE, &HEALTHY].map(|row| metrics.gauge(row));
    metrics.sample_with(move || {
        let [bytes, queue, healthy] = &gauges;
        bytes.set(i64::try_from(state.file_bytes().unwrap_or_default()).unwrap_or(i64::MAX));
        set_usize(queue, sink.waiting());
        healthy.set(i64::from(state.trouble().is_none()));
    });
}

/// While the server runs.
struct Behaviour {
    served: Arc<Served>,
    operated: Operated,
    every: Duration,
    /// Until the stop.
    sink: Mutex<Option<Sink>>,
}

impl Running for Behaviour {
    fn routes(&self, shard: &ShardParts, to: &mut Routes) {
        routes::add(to, shard, &self.served);
        client::add(to, &self.operated.live);
        pages::add(to);
    }

    fn operator(&self, shard: &ShardParts, _: &Arc<Serving>, to: &mut Routes) {
        operator::add(to, shard, &self.operated);
    }

    fn tasks(&self, _: &Rc<Reader>) -> Vec<Task> {
        let Operated { upkeep, live, .. } = self.operated.clone();
        // What came of it is logged, counted, and kept for health.
        let run = move |stop: &crate::housekeeper::Stop| _ = upkeep.pass(live.now().rules, &|| stop.asked());
        vec![Task { name: "behaviour", every: self.every, run: Box::new(run) }]
    }

    /// Events that cannot be written are a matter for the operator: everything else is served as well as ever.
    fn checks(&self) -> Vec<Check> {
        let state = Arc::clone(&self.served.state);
        let look = move || {
            Ok(state.trouble().map(|trouble| {
                let warning = format!("events cannot be written: {trouble}");
                Map::from_iter([("ok".to_owned(), Value::from(false)), ("warning".to_owned(), warning.into())])
            }))
        };
        vec![Check::new("behaviour", look)]
    }

    fn card(&self) -> Option<(&'static str, Value)> {
        let mut card = routes::report(&self.served.state);
        card["page"] = operator::SHOWN.into();
        card["says"] = said(&self.served.state).into();
        Some(("behaviour", card))
    }

    fn prepare(&self, settings: &Settings) -> Result<Option<Replacement>, String> {
        let (live, new) = (self.operated.live.clone(), options::Live::of(settings));
        Ok(Some(Box::new(move || {
            live.replace(new);
            None
        })))
    }

    fn stop(&self) {
        if let Some(sink) = self.sink.lock().take() {
            sink.stop();
        }
    }
}

/// How events fare, in one line for the dashboard.
fn said(state: &State) -> String {
    let written = state
        .trouble()
        .map_or_else(|| "events are written".to_owned(), |trouble| format!("events cannot be written: {trouble}"));
    let ((size, capacity), files) = (state.ring_size(), &state.counters.files);
    format!("{written}; in memory: {size} of at most {capacity}; {} files rotated since the start", files.rotated.get())
}
