//! What a feature is: what it declares, as data, and what it does while the server runs.
//!
//! A feature is one folder and one line in `features.rs`. From its [`Feature`] the platform makes the pages of settings and
//! metrics, `/readyz`, the status of the private plane and the reload; it knows none by name.

use std::rc::Rc;
use std::sync::{Arc, Weak};

use serde_json::{Map, Value};

use crate::audit::{self, Audit};
use crate::clock::{Clock, Timekeeper};
use crate::gate::{CodeRow, Revoked, Route, Routes, Tickets, Traffic, UntrustedProxy};
use crate::housekeeper::Task;
use crate::hub::{self, Hub, Seats};
use crate::net::{Endpoint, LoopbackClient};
use crate::observe::LogHandle;
use crate::observe::metrics::{Metrics, Row};
use crate::pool::PoolHandle;
use crate::settings::{BoundRow, Knob, Settings};
use crate::store::{self, Migration, Pending, Reader, Readers, Schema, Survey, Topic, WriterHandle};

mod check;
pub mod description;
mod directory;
pub mod doctor;
mod erase;
mod errors;
mod files;
mod newer;
mod receive;
mod shard;
pub mod smoke;
pub mod trust;
pub mod verb;

pub use check::{Check, Figures, Finding};
use description::{Api, Describe};
pub use directory::{OutputDirectory, make_private, unwritable};
use doctor::{Diagnosis, Examined};
pub use erase::{Erase, Erased, Erasure, Person};
pub use files::{FilesAt, KeptFiles, Walk};
pub(crate) use newer::LOSSES_NAMED_MAX;
pub use newer::{Compare, Newer};
pub(crate) use receive::BOUNDS;
pub use receive::Sink;
pub use shard::{ShardParts, hand_in};
use smoke::Smoke;
use verb::Verbs;

/// Why a feature does not start. Displays one sentence.
pub type StartError = Box<dyn std::error::Error + Send + Sync>;

/// Puts in force what a reload has made, which can no longer fail. Returns what an operator should know of it.
pub type Replacement = Box<dyn FnOnce() -> Option<String>>;

/// Starts a feature, before anything is served.
pub type Start = fn(&Settings, &House) -> Result<Arc<dyn Running>, StartError>;

/// What a feature does with an older database before it is brought up to date. If that fails, the server does not start: the
/// error says what to do.
pub type BeforeMigration = fn(&Settings, &Schema, &[FilesAt], &Pending<'_>, &Clock) -> Result<(), StartError>;

/// A door of a feature's own: further places where clients are served, with routes of their own and nothing of the others. Its
/// connections are on the shards of the public front, count with those, and pass the same gate.
pub struct OwnDoor {
    /// For the log, and for who adds its routes.
    pub name: &'static str,
    /// The setting that says where it is, for the sentence should that be taken.
    pub knob: &'static Knob,
    /// Where it is, as configured; without a place there is no such door.
    pub places: fn(&Settings) -> Vec<Endpoint>,
}

/// What a feature declares.
pub struct Feature {
    /// For the log, and for readers of the list.
    pub name: &'static str,
    /// Its settings.
    pub knobs: &'static [&'static Knob],
    /// Why it would not start with these settings, on whatever machine: a sentence for each.
    pub mistakes: fn(&Settings) -> Vec<String>,
    /// What anybody may do who reaches the server, with what ends it, where that is more than an operator may know. Warned of where other
    /// machines can reach it.
    pub open: fn(&Settings) -> Option<&'static str>,
    /// Where it writes, besides the database and beside it.
    pub writes: fn(&Settings) -> Vec<OutputDirectory>,
    /// What it counts.
    pub counters: &'static [&'static Row],
    /// What it bounds, besides those of its settings that are bounds.
    pub bounds: &'static [BoundRow],
    /// The errors that only it answers.
    pub codes: &'static [&'static CodeRow],
    /// What it serves to clients.
    pub routes: &'static [&'static [Route]],
    /// What programs are told of those beyond what they say themselves.
    pub describe: Describe,
    /// The schemas that it refers to there.
    pub schemas: fn() -> Map<String, Value>,
    /// Doors of its own.
    pub doors: &'static [OwnDoor],
    /// What it serves to the operator, on the private plane.
    pub operator: &'static [Route],
    /// Its tables.
    pub schema: &'static [Migration],
    /// Tables of which an operator is told how many rows are in a backup.
    pub counted: &'static [&'static str],
    /// What it keeps beside the database.
    pub files: &'static [KeptFiles],
    /// Says what a database has and a backup of it has not, before that takes its place.
    pub newer: Option<Compare>,
    /// Takes one person out of what it keeps.
    pub erase: Option<Erase>,
    /// What it does before an older database is changed.
    pub before_migration: Option<BeforeMigration>,
    /// What it keeps in memory at most with so many shards, in bytes, with what it takes to make the largest answer.
    pub memory: fn(&Settings, u64) -> u64,
    /// Its verbs of the command line.
    pub verbs: Option<Verbs>,
    /// What `inkring doctor` finds of its part of an installation, while no server need run.
    pub doctor: fn(&Examined<'_>) -> Vec<Diagnosis>,
    /// What `inkring smoke` tries of it on a running server, from outside.
    pub smoke: fn(&mut Smoke<'_>),
    /// Starts it, before anything is served.
    pub start: Start,
}

impl Feature {
    /// One that declares nothing yet.
    #[must_use]
    pub const fn new(name: &'static str, start: Start) -> Self {
        Self {
            name,
            knobs: &[],
            mistakes: |_| Vec::new(),
            open: |_| None,
            writes: |_| Vec::new(),
            counters: &[],
            bounds: &[],
            codes: &[],
            routes: &[],
            describe: |_| Vec::new(),
            schemas: Map::new,
            doors: &[],
            operator: &[],
            schema: &[],
            counted: &[],
            files: &[],
            newer: None,
            erase: None,
            before_migration: None,
            memory: |_, _| 0,
            verbs: None,
            doctor: |_| Vec::new(),
            smoke: |_| (),
            start,
        }
    }
}

/// The database of a server with these features.
#[must_use]
pub fn schema_of(features: &[&Feature]) -> Schema {
    let features = features.iter().map(|feature| feature.schema);
    let owners: Vec<_> = [store::MIGRATIONS, audit::MIGRATIONS].into_iter().chain(features).collect();
    Schema::of(&owners)
}

/// What these features serve to clients, and what they say of it.
#[must_use]
pub fn apis_of(features: &[&Feature]) -> Vec<Api> {
    let api = |feature: &&Feature| Api {
        name: feature.name,
        routes: feature.routes,
        describe: feature.describe,
        schemas: feature.schemas,
    };
    features.iter().map(api).collect()
}

/// The tables that a server with these features cannot do without, in the order in which missing ones are named.
#[must_use]
pub fn tables_of(features: &[&Feature]) -> Vec<&'static str> {
    let owners = features.iter().map(|feature| feature.schema).chain([store::MIGRATIONS, audit::MIGRATIONS]);
    owners.flat_map(|migrations| Schema::of(&[migrations]).tables()).collect()
}

/// What these features keep beside the database, where a server with these settings has it.
#[must_use]
pub fn files_of(features: &[&Feature], settings: &Settings) -> Vec<FilesAt> {
    features.iter().flat_map(|feature| feature.files).map(|files| files.at(settings)).collect()
}

/// What the platform lends to features. Clones share it.
#[derive(Clone)]
pub struct House {
    /// What says which tokens are revoked.
    pub revoked: Revoked,
    /// Makes tickets for sockets.
    pub tickets: Tickets,
    /// Takes changes.
    pub writer: WriterHandle,
    /// Opens connections for a thread of a feature's own, which closes them when it is told to stop ([`Running::stop`]).
    pub readers: Readers,
    /// Takes work that blocks.
    pub pool: PoolHandle,
    /// Hands on what was committed.
    pub hub: Arc<Hub>,
    /// Counts sockets, whatever they watch.
    pub sockets: Arc<hub::Counters>,
    /// Says which sockets still get in.
    pub seats: Seats,
    /// Records changes, if anything is recorded.
    pub audit: Option<Audit>,
    /// All tables, and their version.
    pub schema: Schema,
    /// The tables that there have to be.
    pub tables: Arc<[&'static str]>,
    /// What takes one person out of what all features keep.
    pub erasers: Arc<[Erase]>,
    /// What all features serve to clients.
    pub apis: Arc<[Api]>,
    /// What lies beside the database and belongs in its backups.
    pub files: Arc<[FilesAt]>,
    /// Looks at the files of the database.
    pub survey: Arc<Survey>,
    /// Who forwards requests of clients without being trusted.
    pub untrusted_proxy: UntrustedProxy,
    /// How many requests there were, and of late.
    pub traffic: Traffic,
    /// The log of the process.
    pub logs: LogHandle,
    /// Where counters come from.
    pub metrics: Metrics,
    /// The time.
    pub clock: Clock,
    /// Says what is old enough to be removed: nothing is removed by the clock alone.
    pub timekeeper: Timekeeper,
}

/// The server once it serves, for what shows it to the operator.
pub struct Serving {
    /// Where clients are served.
    pub endpoints: Vec<Endpoint>,
    /// Asks as a client would.
    pub client: LoopbackClient,
    /// All that run; at the stop they may be gone first.
    pub running: Weak<[Arc<dyn Running>]>,
}

/// A feature that runs. Each method is asked for its part and has an empty default.
pub trait Running: Send + Sync {
    /// Adds the routes that it has declared for one shard, on the shard's thread.
    fn routes(&self, _shard: &ShardParts, _routes: &mut Routes) {}

    /// Adds those of one of its own doors ([`Feature::doors`]), by its name, for one shard, on the shard's thread.
    fn door_routes(&self, _door: &str, _shard: &ShardParts, _routes: &mut Routes) {}

    /// Adds those for the operator to the private plane, on that shard's thread. Each is for the operator alone: who may not see it has
    /// been turned away. What they hand to the pool must not keep the writer from ending: it may outlast the stop.
    fn operator(&self, _shard: &ShardParts, _serving: &Arc<Serving>, _routes: &mut Routes) {}

    /// What the housekeeper does for it, made on the housekeeper's thread.
    fn tasks(&self, _reader: &Rc<Reader>) -> Vec<Task> {
        Vec::new()
    }

    /// What `/readyz` asks about it.
    fn checks(&self) -> Vec<Check> {
        Vec::new()
    }

    /// What `/health` and `/ready` say of it, each figure under a name that nobody else has.
    fn figures(&self) -> Option<Figures> {
        None
    }

    /// What the status of the private plane says of it, under a name of its own. Of its members, `page` is where the plane shows more, and
    /// `says` is a line for people.
    fn card(&self) -> Option<(&'static str, Value)> {
        None
    }

    /// What another configuration changes for it.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence. Nothing at all is changed then.
    fn prepare(&self, _settings: &Settings) -> Result<Option<Replacement>, String> {
        Ok(None)
    }

    /// A user was taken out of what all features keep, and these topics went with them: what is open of theirs may have to be closed.
    /// Told by the writer, which this must not keep, once it is on disk.
    fn erased(&self, _user: &str, _gone: &[Topic]) {}

    /// The operator asks by SIGUSR1 for what is done on demand. Begins it on a thread of its own, or logs why not.
    fn on_demand(&self) {}

    /// The server is on its way out; what is under way goes on.
    fn drain(&self) {}

    /// Nobody is served any more. What it still hands to the writer is committed.
    fn stop(&self) {}
}
