//! What only the operator sees, on the private plane ([`crate::plane`]): the dashboard, how things are, the metrics, the audit
//! log, what is logged, and backups.

mod feature;
mod operator;
pub mod options;
mod page;
mod status;

pub use feature::FEATURE;
pub use operator::PROCESS_HEADER;
