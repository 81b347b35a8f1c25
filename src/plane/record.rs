//! Who changes something as the operator, for the audit log: over the private plane, or by a verb while no server runs.

use std::net::{IpAddr, Ipv4Addr};

use crate::audit::{Audit, Entry, Field, Witness};
use crate::gate::Call;
use crate::settings::Settings;
use crate::store::{StoreError, Tx};

/// The name by which rows of the operator are found.
pub const OPERATOR: &str = "operator";

/// The operator, at one change.
#[derive(Debug)]
pub struct Operator {
    witness: Option<Witness>,
    /// What the change is found by in the log.
    pub request_id: String,
}

impl Operator {
    /// The one who calls, if anything is recorded.
    pub fn of_call(audit: Option<&Audit>, call: &Call<'_>) -> Self {
        let witness = audit.and_then(|audit| audit.witness(call.client, call.headers.get("user-agent")));
        Self { witness, request_id: call.request_id.as_str().to_owned() }
    }

    /// The one who runs a verb, such as `inkring token revoke`, under these settings.
    pub fn of_verb(settings: &Settings, verb: &'static str) -> Self {
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let witness = Audit::of(settings).and_then(|audit| audit.witness(here, Some(verb.as_bytes())));
        Self { witness, request_id: verb.replace(' ', "-") }
    }

    /// One of whom nothing is recorded.
    #[cfg(test)]
    pub(crate) fn unseen() -> Self {
        Self { witness: None, request_id: String::new() }
    }

    /// What records the change, if anything does, and what the change is found by.
    pub fn into_parts(self) -> (Option<Witness>, String) {
        (self.witness, self.request_id)
    }

    /// Writes a row in the transaction of the change, if there is to be one.
    ///
    /// # Errors
    /// As [`Witness::record`].
    pub fn record(
        &self,
        tx: &mut Tx<'_>,
        action: &'static str,
        subject: &str,
        metadata: &[(&'static str, Field<'_>)],
    ) -> Result<(), StoreError> {
        let Some(witness) = &self.witness else { return Ok(()) };
        let entry = Entry { request_id: &self.request_id, user_id: OPERATOR, action, subject, metadata };
        witness.record(tx, &entry)
    }
}
