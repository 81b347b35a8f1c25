//! One test program: real server processes, raw sockets, and what a client sees.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, missing_docs, unreachable_pub)]

mod arrows;
mod audit;
mod cli;
mod client_js;
mod crash;
mod docs;
mod drafts;
mod events;
mod faults;
mod gate;
mod health;
mod http1_props;
mod http_bounds;
mod http_wire;
mod identity;
mod keys;
mod limits;
mod logs;
mod metrics;
mod model;
mod racing;
mod repository;
mod shutdown;
mod smoke;
mod socket_conformance;
mod socket_order;
mod sockets;
mod support;
mod tidy;
