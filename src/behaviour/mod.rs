//! Behaviour metrics: what visitors of a site do, event by event, in a file of lines that rotates (contract 02).
//!
//! The rules are values in, values out, and know no clock, disk or socket: [`event`] and [`body`] say what may be sent,
//! [`bucket`] how often, [`quiet`] what is not counted; [`line`] is the stored form, [`names`] and [`plan`] say how files are
//! called and what becomes of them, [`ring`] and [`snapshot`] what is shown. Around them: [`active`] is the file that is
//! written, [`sink`] the one thread that does it, [`files`] and [`upkeep`] look after those that are not written any more.

mod active;
mod body;
mod bounds;
mod bucket;
mod counters;
mod doctor;
mod errors;
mod event;
mod feature;
mod files;
mod json;
mod line;
mod names;
mod operator;
mod options;
mod plan;
mod quiet;
mod ring;
mod routes;
mod sink;
mod snapshot;
mod state;
mod tail;
mod time;
mod upkeep;
mod verbs;

pub use feature::FEATURE;
