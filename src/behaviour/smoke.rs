//! What `inkring smoke` tries of events: one is sent and is in the snapshot. It says that a program sent it, so that reports keep
//! it apart from what people do.

use serde_json::{Value, json};

use crate::feature::smoke::{Caller, Smoke, shown};

/// The event. It stays: to erase one is the operator's.
const EVENT: &str = "inkring_smoke";
const STEP: &str = "event";
/// Who sends it: one of those that [`programs`](super::programs) knows.
const AGENT: &str = concat!("inkring-smoke/", env!("CARGO_PKG_VERSION"), " (monitor)");

/// Sends an event, and looks for it among the last ones.
pub(super) fn smoke(smoke: &mut Smoke<'_>) {
    let mut visitor = None;
    let _ = smoke.step(STEP, |caller| {
        if send(caller)? {
            visitor = Some(caller.name().to_owned());
        }
        find(caller)
    });
    if let Some(visitor) = visitor {
        smoke.stays(
            STEP,
            &format!(
                "one {EVENT}, which reports ignore; on the server's machine, inkring metrics erase --visitor \
                 {visitor} removes it"
            ),
        );
    }
}

/// Whether what was sent is kept: a sample may leave it out.
fn send(caller: &Caller) -> Result<bool, String> {
    // Whoever asks may be shown no more than the beginning of a visitor's id, but always the metadata.
    let event = json!({ "visitor_id": caller.name(), "event": EVENT, "metadata": { "run": caller.name() }, "user_agent": AGENT });
    let answer = caller.ask_for(202, "POST", "/api/metrics/event", Some(&event), STEP)?;
    if let (Some(true), Some(stored)) = (answer["ok"].as_bool(), answer["stored"].as_u64()) {
        return Ok(stored > 0);
    }
    Err(format!("expected to be told how many were stored, got {}", shown(&answer)))
}

fn find(caller: &Caller) -> Result<(), String> {
    let snapshot = caller.ask("GET", "/api/metrics/behavior", None, STEP)?;
    let last = snapshot["last_events"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_ours = |event: &Value| event["event"] == EVENT && event["metadata"]["run"] == caller.name();
    if last.iter().any(is_ours) {
        return Ok(());
    }
    Err(format!("expected the event among the last {}, got {}", last.len(), shown(last.first().unwrap_or(&snapshot))))
}

#[cfg(test)]
mod tests {
    use super::super::programs::is_program;
    use super::*;

    #[test]
    fn reports_keep_it_apart() {
        assert!(is_program(AGENT));
    }
}
