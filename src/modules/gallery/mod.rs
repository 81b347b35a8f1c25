//! Pictures, sound, films and documents: what is uploaded, and how it is served safely.

pub mod exif;
pub mod kind;
pub mod multipart;
pub mod shelf;
