//! Backups as a feature of the house.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::on_demand::{Make, OnDemand};
use super::options::{self, Options};
use super::running::{Backups, Fact};
use super::verbs::Verb;
use super::{BackupError, before, bounds, counters, doctor, operator, upkeep};
use crate::clock::Timekeeper;
use crate::feature::verb::Verbs;
use crate::feature::{Check, Feature, Finding, House, OutputDirectory, Running, Serving, ShardParts, StartError};
use crate::gate::Routes;
use crate::housekeeper::{self, Task};
use crate::settings::Settings;
use crate::store::Reader;

/// Copies of the database, and of what features keep beside it.
pub static FEATURE: Feature = Feature {
    knobs: options::KNOBS,
    writes: |settings| {
        // A disk for backups that is away keeps nobody from being served.
        let directory = |path| OutputDirectory { knob: &options::DIRECTORY, path, is_needed: false };
        settings.path(&options::DIRECTORY).map(directory).into_iter().collect()
    },
    counters: counters::ROWS,
    bounds: bounds::BOUNDS,
    operator: &operator::ROUTES,
    verbs: Some(Verbs::of::<Verb>()),
    before_migration: Some(before::before_migration),
    doctor: doctor::doctor,
    ..Feature::new("backup", start)
};

fn start(settings: &Settings, house: &House) -> Result<Arc<dyn Running>, StartError> {
    let options = Options::of(settings);
    let is_kept = options.directory.is_some();
    let (writer, files) = (house.writer.clone(), Arc::clone(&house.files));
    let backups = Backups::new(writer, house.schema.clone(), files, options, house.clock.clone());
    backups.show(&house.metrics);
    let on_demand = OnDemand::new(is_kept.then(|| make(backups.clone())));
    let (every, timekeeper) = (settings.seconds(&housekeeper::EVERY), house.timekeeper.clone());
    Ok(Arc::new(Copies { backups, is_kept, on_demand, every, timekeeper }))
}

fn make(backups: Backups) -> Make {
    // How it went, it logs itself.
    Arc::new(move || {
        if let Err(error @ BackupError::UnderWay) = backups.now() {
            log::warn!(reason = error.to_string(); "backup.not_begun");
        }
    })
}

/// What the shards share.
struct Copies {
    backups: Backups,
    /// Whether there is a place for them.
    is_kept: bool,
    on_demand: OnDemand,
    every: Duration,
    timekeeper: Timekeeper,
}

impl Running for Copies {
    fn operator(&self, shard: &ShardParts, _: &Arc<Serving>, routes: &mut Routes) {
        operator::add(routes, shard, &self.backups);
    }

    fn tasks(&self, _: &Rc<Reader>) -> Vec<Task> {
        self.is_kept.then(|| upkeep::task(self.backups.clone(), self.every, &self.timekeeper)).into_iter().collect()
    }

    fn checks(&self) -> Vec<Check> {
        let backups = self.backups.clone();
        vec![Check::new("backup", move || readiness(backups.fact())).off_when_silent()]
    }

    fn card(&self) -> Option<(&'static str, Value)> {
        Some(("backups", self.backups.card()))
    }

    fn on_demand(&self) {
        self.on_demand.begin();
    }

    fn drain(&self) {
        self.backups.stop();
    }
}

/// A missing backup is a matter for the operator: clients are served as well as ever.
fn readiness(fact: Option<Fact>) -> Finding {
    let Some(Fact { age, warning }) = fact else { return Ok(None) };
    let mut said = Map::new();
    said.insert("ok".to_owned(), warning.is_none().into());
    said.insert("age_seconds".to_owned(), age.map(|age| age.as_secs()).into());
    if let Some(warning) = warning {
        said.insert("warning".to_owned(), warning.into());
    }
    Ok(Some(said))
}
