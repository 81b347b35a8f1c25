//! What the server itself has to tidy up, to say and to reload: the parts of the platform that features stand on.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Map;

use super::StartError;
use super::timekeeping::{clock_check, clock_task};
use crate::audit;
use crate::audit::options::RETENTION_DAYS;
use crate::feature::{Check, Feature, House, Replacement, Running};
use crate::gate::Policies;
use crate::housekeeper::{self, Task};
use crate::net::tls::server::Tls;
use crate::observe::metrics;
use crate::settings::Settings;
use crate::store::options::QUEUE_JOBS;
use crate::store::{self, Reader};

/// The platform, beside the features: it answers the same questions.
pub(super) struct Platform {
    policies: Policies,
    tls: Option<Tls>,
    house: House,
    settings: Settings,
    /// Whether the audit log says already how much is recorded.
    marked: bool,
}

impl Platform {
    /// With its gauges set whenever metrics are read.
    pub(super) fn new(settings: &Settings, house: &House, policies: Policies, marked: bool, tls: Option<Tls>) -> Self {
        let House { metrics, survey, seats, audit, timekeeper, .. } = house;
        store::counters::show(metrics, Arc::clone(survey), settings.count(&QUEUE_JOBS));
        seats.show(metrics);
        policies.show(metrics);
        audit.iter().for_each(|audit| audit.show(metrics));
        tls.iter().for_each(|tls| tls.show(metrics));
        metrics::show_clock(metrics, timekeeper.clone());
        Self { policies, tls, house: house.clone(), settings: settings.clone(), marked }
    }

    fn every(&self) -> Duration {
        self.settings.seconds(&housekeeper::EVERY)
    }

    /// What the housekeeper does for all that run, made on its own thread. Last, so that it finds the room that the others
    /// have freed, comes what gives it back to the disk.
    pub(super) fn tasks_of(
        &self,
        running: Arc<[Arc<dyn Running>]>,
        reader: Reader,
    ) -> impl FnOnce() -> Vec<Task> + Send + use<> {
        let (writer, every) = (self.house.writer.clone(), self.every());
        move || {
            let reader = Rc::new(reader);
            let watch = store::watch_task(Rc::clone(&reader), writer.clone(), every);
            let vacuum = store::vacuum_task(Rc::clone(&reader), writer, every);
            running.iter().flat_map(|running| running.tasks(&reader)).chain([watch, vacuum]).collect()
        }
    }
}

impl Running for Platform {
    fn tasks(&self, reader: &Rc<Reader>) -> Vec<Task> {
        let (every, days) = (self.every(), self.settings.small(&RETENTION_DAYS));
        let mut tasks = vec![clock_task(&self.house, every), self.policies.task(&self.settings)];
        if let Some(tls) = self.tls.clone() {
            tasks.push(Task { name: "tls", every, run: Box::new(move |_| tls.look()) });
        }
        if !self.marked {
            tasks.push(audit::marking::task(self.house.writer.clone(), self.house.audit.clone(), every));
        }
        if self.house.audit.is_some() || days > 0 {
            let (reader, writer) = (Rc::clone(reader), self.house.writer.clone());
            tasks.push(audit::upkeep::task(reader, writer, days, every, &self.house.timekeeper));
        }
        tasks
    }

    fn checks(&self) -> Vec<Check> {
        let audits = self.house.audit.is_some();
        // Who is trusted is a matter for the operator, and nothing that a restart or another server would change.
        let policy = self.policies.policy.clone();
        let identity = move || {
            let caution = policy.now().caution.clone();
            Ok(caution.map(|caution| Map::from_iter([("warning".to_owned(), caution.into())])))
        };
        let tls = self.tls.clone().map(|tls| {
            let clock = self.house.clock.clone();
            Check::new("tls", move || Ok(Some(tls.said(clock.now()))))
        });
        let checks = [
            Check::new("audit", move || Ok(audits.then(Map::new))).off_when_silent(),
            Check::new("identity", identity),
            clock_check(&self.house),
        ];
        checks.into_iter().chain(tls).collect()
    }

    fn prepare(&self, settings: &Settings) -> Result<Option<Replacement>, String> {
        let (policies, mut new) = (self.policies.clone(), self.policies.prepare(settings).map_err(|e| e.to_string())?);
        let tls = self.tls.as_ref().map(|tls| Ok::<_, String>((tls.clone(), tls.prepare()?))).transpose()?;
        let warnings = std::mem::take(&mut new.warnings);
        let warning = (!warnings.is_empty()).then(|| warnings.join("; "));
        Ok(Some(Box::new(move || {
            policies.replace(new);
            if let Some((tls, pair)) = tls {
                tls.take(pair);
            }
            warning
        })))
    }
}

/// Starts the features in their order. Returns the platform and them.
pub(super) fn start_all(
    features: &[&Feature],
    settings: &Settings,
    house: &House,
    platform: Arc<Platform>,
) -> Result<Arc<[Arc<dyn Running>]>, StartError> {
    let mut running: Vec<Arc<dyn Running>> = vec![platform];
    for feature in features {
        let started = (feature.start)(settings, house);
        running.push(started.map_err(|source| StartError::Feature { name: feature.name, source })?);
    }
    Ok(running.into())
}
