//! What is configured of the private plane.

use crate::settings::{Kind, Knob, OPERATIONS, secret};

pub(crate) static LISTEN: Knob =
    Knob::new(&OPERATIONS, "OPS_ADDR", Kind::Endpoint, "127.0.0.1:8001").first().refusing().meaning(
        "Where the private plane listens: the dashboard, metrics and backups. unix:PATH makes it a Unix socket for \
         this user only; off leaves it out. An address that is not of this machine alone needs OPS_TOKEN. If the \
         default is in use, the server starts without a private plane and says so; an address that is set has to be free.",
    );

pub(crate) static TOKEN: Knob = secret(&OPERATIONS, "OPS_TOKEN").first().refusing().meaning(
    "What the private plane asks for, as Authorization: Bearer or as a password with any user name. At least 16 \
     bytes. Without one, anyone who reaches it may use it.",
);

pub(crate) const KNOBS: &[&Knob] = &[&LISTEN, &TOKEN];
