//! What only the operator sees, on the private plane ([`crate::plane`]): the dashboard, how things are, the metrics, the audit
//! log, and what is logged.

mod bounds;
mod feature;
mod operator;
pub mod options;
mod page;
mod paths;
mod recent;
mod sampler;
mod status;

pub use feature::FEATURE;
