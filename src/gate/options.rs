//! What is configured of whom the gate lets in and whom it believes.

use super::{identity, limit};
use crate::settings::{ACCESS, Kind, Knob};

pub(crate) static ORIGINS: Knob = Knob::new(
    &ACCESS,
    "ALLOWED_ORIGINS",
    Kind::Origins,
    "http://localhost:3000,http://localhost:5173,http://localhost:5500,http://127.0.0.1:5500,http://localhost:5530,\
     http://127.0.0.1:5530",
)
.also(&["CORS_ORIGINS"])
.first()
.required()
.refusing()
.reloading()
.meaning(
    "The web origins whose pages may call this server from a browser (CORS), on every route. * allows any origin.",
);

pub(crate) static PROXIES: Knob =
    Knob::new(&ACCESS, "TRUSTED_PROXIES", Kind::Networks, "").first().refusing().reloading().meaning(
        "The addresses or networks of reverse proxies in front of this server; unix stands for all clients of a \
         Unix socket. Their X-Forwarded-For header is trusted, or Forwarded if they send no X-Forwarded-For, and \
         they are exempt from MAX_CONNECTIONS_PER_ADDRESS.",
    );

/// Those of the gate and of what belongs to it.
pub(crate) const KNOBS: &[&[&Knob]] = &[&[&ORIGINS], identity::options::KNOBS, &[&PROXIES], limit::options::KNOBS];
