//! What `inkring smoke` tries of the modules: a record is made, read, found and deleted, and nothing of it stays.

use serde_json::{Value, json};

use crate::feature::smoke::{Caller, Found, Smoke, shown};

const STORIES: &str = "/api/v1/kazkar/stories";
const STEP: &str = "record";

/// Makes a story, reads it, finds it, and removes it for good.
pub(super) fn smoke(smoke: &mut Smoke<'_>) {
    smoke.step_if_there(STEP, keep);
}

fn keep(caller: &Caller) -> Result<Found, String> {
    let title = format!("inkring {}", caller.name());
    let story = json!({ "title": title, "content": "Made by inkring smoke, which removes it again" });
    let made = match caller.ask("POST", STORIES, Some(&story), STEP) {
        Err(why) if why.contains("404 not_found") => {
            return Ok(Found::LeftOut("the server has no modules (MODULES_ENABLED=false)".to_owned()));
        }
        Err(why) if why.contains("session_required") => {
            return Ok(Found::LeftOut("the modules need the household's password".to_owned()));
        }
        Err(why) if why.contains("is inactive") => {
            return Ok(Found::LeftOut("kazkar is shut down".to_owned()));
        }
        made => made?,
    };
    let id = made["id"].as_i64().ok_or_else(|| format!("expected a story with an id, got {}", shown(&made)))?;
    let tried = find(caller, id, &title);
    // Whatever came of it, it goes.
    let gone = remove(caller, id);
    tried.and(gone).map(|()| Found::There)
}

fn find(caller: &Caller, id: i64, title: &str) -> Result<(), String> {
    let read = caller.ask("GET", &format!("{STORIES}/{id}"), None, STEP)?;
    if read["title"] != title {
        return Err(format!("expected the story, got {}", shown(&read)));
    }
    let found = caller.ask("GET", &format!("/api/v1/search?q={}", caller.name()), None, STEP)?;
    let is_ours = |result: &Value| result["id"] == id && result["module"] == "kazkar";
    if found["results"].as_array().is_some_and(|results| results.iter().any(is_ours)) {
        return Ok(());
    }
    Err(format!("expected to find the story, got {}", shown(&found)))
}

fn remove(caller: &Caller, id: i64) -> Result<(), String> {
    caller.ask("DELETE", &format!("{STORIES}/{id}"), None, STEP)?;
    caller.ask("DELETE", &format!("/api/v1/bin/kazkar/{id}"), None, STEP).map(|_| ())
}
