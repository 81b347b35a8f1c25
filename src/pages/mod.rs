//! The pages of the house (contract 04 §3): one frame of HTML in two languages, one style, and small scripts that ask the API.
//!
//! Nothing that people wrote is ever in the HTML. Scripts show it, as text and never as markup, and the policy of the pages
//! allows neither anything inline nor anything from elsewhere. A page is served where the API that it stands on is.

mod accept;
mod assets;
mod demo;
mod feature;
mod frame;
mod language;
mod list;
mod openapi;

pub use feature::FEATURE;
