//! Pictures, sound, films and documents: what is uploaded, and how it is served safely.

mod boxes;
pub mod exif;
pub mod kind;
pub mod multipart;
mod reading;
pub mod shelf;
