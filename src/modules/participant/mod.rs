//! Answers about logs of continuous integration (contract 04 §1.10).

pub mod diagnosis;
pub mod key;
pub mod request;
pub mod window;
