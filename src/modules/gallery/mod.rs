//! Pictures, sound, films and documents: what is uploaded, and how it is served safely.

mod boxes;
pub mod exif;
pub mod kind;
pub mod multipart;
pub mod picture;
mod reading;
pub mod serving;
pub mod shelf;
pub mod upload;
