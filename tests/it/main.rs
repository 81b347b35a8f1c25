//! One test program: real server processes, raw sockets, and what a client sees.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, missing_docs, unreachable_pub)]

mod cli;
mod drafts;
mod gate;
mod health;
mod logs;
mod smoke;
mod support;
