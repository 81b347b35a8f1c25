//! Answers about logs of continuous integration (contract 04 §1.10).
