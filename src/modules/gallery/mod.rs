//! Pictures, sound, films and documents: what is uploaded, and how it is served safely.

pub mod kind;
