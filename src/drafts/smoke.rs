//! What `inkring smoke` tries of drafts: the sequence of the original's smoke script (contract 01 §7).

use serde_json::{Value, json};

use crate::feature::smoke::{Caller, Found, NO_CONTENT, SMOKE_ORIGIN, SMOKE_TOKEN, Smoke, brief, shown};

/// Creates a draft, adds a collaborator, appends, watches an append over a WebSocket, passes the ring, and deletes the draft,
/// whatever came of the steps before.
pub(super) fn smoke(smoke: &mut Smoke<'_>) {
    let draft = smoke.step("create-draft", create_draft);
    let draft = draft.as_deref().map_err(|failed| *failed);
    let added = smoke.step_after("add-collaborator", draft, |caller, draft| {
        add_collaborator(caller, draft)?;
        Ok(draft)
    });
    let _ = smoke.step_after("append", draft, |caller, draft| append(caller, draft, "append"));
    let _ = smoke.step_after("websocket", draft, watch);
    let _ = smoke.step_after("pass-ring", added, pass_ring);
    smoke.step_if_there(DELETE, |caller| match draft {
        Err(failed) => Ok(Found::LeftOut(format!("{failed} failed"))),
        Ok(draft) if caller.trial().keep => Ok(Found::LeftOut(format!("draft {draft} is kept"))),
        Ok(draft) => delete(caller, draft).map(|()| Found::There),
    });
}

/// The step that takes the draft away.
const DELETE: &str = "delete-draft";

/// Creates a draft with a first segment; its id.
fn create_draft(caller: &Caller) -> Result<String, String> {
    let body = json!({ "title": "Smoke test", "platform": "x", "initial_segment": "Is there smoke?" });
    let data = change(caller, "/v1/collab/drafts", &body, "create-draft")?;
    let id = data["draft_id"].as_str().unwrap_or_default();
    // It becomes part of paths.
    let is_plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !is_plain {
        return Err(format!("expected a draft_id of letters, digits and dashes, got {}", shown(&data["draft_id"])));
    }
    Ok(id.to_owned())
}

fn add_collaborator(caller: &Caller, draft: &str) -> Result<(), String> {
    let wanted = &caller.trial().other;
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("collaborator_id", wanted)
        .append_pair("role", "contributor")
        .finish();
    let target = format!("/v1/collab/drafts/{draft}/collaborators?{query}");
    let data = change(caller, &target, &json!({}), "add-collaborator")?;
    // Nobody is a collaborator of their own draft.
    let mut members = data["collaborators"].as_array().into_iter().flatten().chain([&data["creator_id"]]);
    if members.any(|member| member == wanted) {
        return Ok(());
    }
    Err(format!("expected {wanted} among the collaborators, got {}", shown(&data["collaborators"])))
}

/// Appends a segment; its place in the draft.
fn append(caller: &Caller, draft: &str, step: &str) -> Result<Value, String> {
    let content = format!("Written by {step}.");
    let body = json!({ "content": content, "idempotency_key": format!("{}-{step}", caller.name()) });
    let data = change(caller, &format!("/v1/collab/drafts/{draft}/segments"), &body, step)?;
    let last = data["segments"].as_array().and_then(|segments| segments.last()).unwrap_or(&Value::Null);
    if last["content"] != content.as_str() {
        return Err(format!("expected the segment that was sent as the last one, got {}", shown(last)));
    }
    Ok(last["segment_order"].clone())
}

fn pass_ring(caller: &Caller, draft: &str) -> Result<(), String> {
    let wanted = &caller.trial().other;
    let body = json!({ "to_user_id": wanted, "idempotency_key": format!("{}-pass-ring", caller.name()) });
    let data = change(caller, &format!("/v1/collab/drafts/{draft}/pass-ring"), &body, "pass-ring")?;
    let holder = &data["ring_state"]["current_holder_id"];
    if holder == wanted { Ok(()) } else { Err(format!("expected {wanted} to hold the ring, got {}", shown(holder))) }
}

/// Deletes the draft, as its creator may.
fn delete(caller: &Caller, draft: &str) -> Result<(), String> {
    let target = format!("/v1/collab/drafts/{draft}");
    caller.ask_for(NO_CONTENT, "DELETE", &target, None, DELETE).map(drop).map_err(|why| {
        format!("{why}; the draft stays: on the server's machine, inkring draft delete {draft} --yes removes it")
    })
}

/// Makes a change; the draft as it is then.
fn change(caller: &Caller, target: &str, body: &Value, step: &str) -> Result<Value, String> {
    let mut answer = caller.ask("POST", target, Some(body), step)?;
    match answer["data"].take() {
        data @ Value::Object(_) => Ok(data),
        _ => Err(format!("expected a JSON object with data, got {}", shown(&answer))),
    }
}

/// Opens a socket, and sees what is then appended.
fn watch(caller: &Caller, draft: &str) -> Result<(), String> {
    let mut socket = caller.open(&format!("/v1/ws/drafts/{draft}"), "websocket")?;
    let first = socket.frame("a first frame")?;
    if first["type"] != "connected" {
        return Err(unwelcome(caller, &first));
    }
    let order = append(caller, draft, "websocket")?;
    socket.begin_anew();
    loop {
        let event = socket.frame("the event of what was appended after it")?;
        let data = &event["data"];
        if event["type"] == "collab.segment_added" && data["draft_id"] == draft && data["segment_order"] == order {
            break;
        }
    }
    socket.close();
    Ok(())
}

fn unwelcome(caller: &Caller, frame: &Value) -> String {
    let (code, message) = (frame["code"].as_str(), frame["message"].as_str());
    let (Some(code), Some(message)) = (code, message) else {
        return format!("expected a frame of type connected, got {}", shown(frame));
    };
    let advice = match message {
        "Origin not allowed" => {
            format!("; set {SMOKE_ORIGIN} or --origin to one of the server's WS_ALLOWED_ORIGINS")
        }
        _ if code == "forbidden" && caller.trial().token.is_none() => {
            format!("; put a token that this server accepts into {SMOKE_TOKEN} or --token-file")
        }
        _ => String::new(),
    };
    format!("expected to be connected, got {}: {}{advice}", brief(code), brief(message))
}
