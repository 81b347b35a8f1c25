//! One small server, one SQLite database: drafts written in turn. The map of the house, top floor first; imports point
//! downwards only, and features never import each other (`tests/it/arrows.rs` holds them to it).

pub mod cli;
pub mod server;

pub mod config;
pub mod features;

pub mod backup;
pub mod behaviour;
pub mod drafts;
pub mod health;
pub mod modules;
pub mod ops;
pub mod pages;
pub mod people;
pub mod rooms;

pub mod plane;

pub mod feature;

pub mod audit;
pub mod gate;
pub mod hub;
pub mod store;

pub mod housekeeper;
pub mod systemd;

pub mod net;

pub mod pool;

pub mod observe;
pub mod settings;

pub mod clock;
pub mod random;
pub mod text;
pub mod version;
