//! Behaviour metrics: what visitors of a site do, event by event, in a file of lines that rotates (contract 02).
//!
//! The rules are values in, values out, and know no clock, disk or socket: [`event`] and [`body`] say what may be sent,
//! [`bucket`] how often, [`quiet`] what is not counted; [`line`] is the stored form, [`names`] and [`plan`] say how files are
//! called and what becomes of them, [`ring`] and [`snapshot`] what is shown. Around them: [`active`] is the file that is
//! written, [`sink`] the one thread that does it, [`files`] and [`upkeep`] look after those that are not written any more.
//!
//! What happened is said by [`report`], lines in and figures out; [`seen`] is what it reads of a line, [`tally`] how it counts in
//! memory that has an end, [`programs`] who is no reader, [`forms`] how it is printed, [`kept_reports`] what the operator sees of it, and [`reading`] brings it the files.
//! [`erase`] takes a visitor out of them, [`import`] takes over those of others.
//!
//! [`client`] is what the server tells its script, and [`pages`] are the script and the pages. [`smoke`] tries a running server.

mod active;
mod asking;
mod body;
mod bounds;
mod bucket;
mod client;
mod counters;
mod doctor;
mod erase;
mod errors;
mod event;
mod feature;
mod files;
mod forms;
mod import;
mod json;
mod kept_reports;
mod line;
mod names;
mod openapi;
mod operator;
mod options;
mod pages;
mod pieces;
mod plan;
mod programs;
mod quiet;
mod reading;
mod report;
mod ring;
mod routes;
mod seen;
mod sink;
mod smoke;
mod snapshot;
mod state;
mod tail;
mod tally;
mod time;
mod upkeep;
mod verb_erase;
mod verb_import;
mod verb_report;
mod verbs;

pub use body::lines_of;
pub use feature::FEATURE;
