//! What those are told who listen to the modules (contract 04 §1.8 with R10): every change of a record, once it is on disk.

use serde::Serialize;
use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::net::Frame;
use crate::store::{Event, Space, Topic, Tx};

/// The topics of the modules: one for each, by its name.
pub(super) static SPACE: Space = Space { name: "modules", log_field: "module", encode };

/// What is told of a record that was changed.
#[derive(Serialize)]
pub(super) struct News<'r> {
    pub(super) id: i64,
    pub(super) title: &'r str,
    pub(super) story_type: Option<&'r Value>,
}

/// Has those who listen to a module told of a change of one of its records; `seq` numbers the changes of that module.
pub(super) fn publish(
    tx: &mut Tx<'_>,
    module: &'static str,
    seq: i64,
    what: &'static str,
    news: &News<'_>,
    request_id: &str,
) {
    let topic = Topic::new(&SPACE, module);
    let at = tx.now();
    // Numbers, texts and values can all be written.
    let data = serde_json::to_string(news).unwrap_or_default();
    tx.publish(Event { topic, seq, kind: what, data, request_id: request_id.to_owned(), at });
}

fn encode(event: &Event, _: bool) -> Frame {
    let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
    Frame::text(&news(event.topic.name(), event.kind, &data, event.at).to_string())
}

/// The message about a change. Those of kazkar have the names that the original's clients know, whatever type a story has.
fn news(module: &str, what: &str, data: &Value, at: Timestamp) -> Value {
    let told = json!({ "title": data["title"], "action": what });
    if module == "kazkar" {
        return json!({
            "event": format!("legend_{what}"), "legend_id": data["id"], "sense": null, "data": told,
            "timestamp": at.seconds(), "module": module, "story_type": data["story_type"],
        });
    }
    json!({ "event": format!("record_{what}"), "id": data["id"], "data": told, "timestamp": at.seconds(), "module": module })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_in_the_contracts_words() {
        let data = json!({ "id": 1, "title": "L", "story_type": "legend" });
        let said = news("kazkar", "created", &data, Timestamp(1_795_246_286_710_931));
        assert_eq!(said["event"], "legend_created");
        assert_eq!(said["data"], json!({ "title": "L", "action": "created" }));
        assert_eq!(
            (&said["legend_id"], &said["sense"], &said["timestamp"]),
            (&json!(1), &Value::Null, &json!(1_795_246_286))
        );
        let said = news("malya", "deleted", &json!({ "id": 2, "title": "I" }), Timestamp(0));
        assert_eq!(
            (&said["event"], &said["id"], &said["module"]),
            (&json!("record_deleted"), &json!(2), &json!("malya"))
        );
    }
}
