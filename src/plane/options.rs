//! What is configured of the private plane.

use crate::settings::{Kind, Knob, OPERATIONS, secret};

pub(crate) static LISTEN: Knob =
    Knob::new(&OPERATIONS, "OPS_ADDR", Kind::Endpoint, "127.0.0.1:8001").first().refusing().meaning(
        "The address of the private plane: dashboard, metrics and backups. unix:PATH makes it a Unix socket that \
         only this user can open; off disables it. An address that other machines can reach requires OPS_TOKEN. If \
         the default address is in use, the server starts without a private plane and logs that; an address that is \
         set must be free.",
    );

pub(crate) static TOKEN: Knob = secret(&OPERATIONS, "OPS_TOKEN").strong_from(16).first().refusing().meaning(
    "The token for the private plane, sent as Authorization: Bearer, or as a password with any user name. At least \
     16 bytes. If not set, anyone who can reach the private plane can use it.",
);

pub(crate) const KNOBS: &[&Knob] = &[&LISTEN, &TOKEN];
