//! What the figures of a draft say, in words (contract 01 §1.15): insights, what to do about them, and alerts. Pure but for its route;
//! each follows from figures and thresholds, and says which.

use std::rc::Rc;

use http::Method;
use serde_json::{Value, json};

use super::desk::Desk;
use super::figures::Figures;
use super::model::Head;
use crate::clock::HOUR_MICROS;
use crate::gate::{ApiError, Call, Code, Outcome, Route, Routes};

/// A draft in which nothing has happened for so long is stalled.
const STALLED_HOURS: i64 = 48;
/// And for so long it is an alert.
const NO_ACTIVITY_HOURS: i64 = 72;
/// A ring that somebody has held for so long.
const LONG_HOLD_HOURS: i64 = 24;
/// Whoever has written so much of a draft, in percent, dominates it.
const DOMINANT_PERCENT: i64 = 60;
/// One author alone of so many segments.
const SINGLE_SEGMENTS: i64 = 5;

/// What is served.
pub(super) const ROUTES: [Route; 1] = [Route::user(&Method::GET, "/api/insights/drafts/{draft_id}")
    .about("draft_id")
    .does("Read insights from the figures of a draft")];

/// Adds these routes for one shard.
pub(super) fn routes(routes: &mut Routes, desk: &Rc<Desk>) {
    let [to_read] = ROUTES;
    desk.add(routes, to_read, read);
}

fn read(desk: &Rc<Desk>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let refused = |_: &str, _: &str| ApiError::new(Code::Forbidden, "Only collaborators can view draft insights");
    desk.for_member(call, 1, refused, insights)
}

/// All of it.
fn insights(figures: &Figures, head: &Head, members: &[String]) -> Value {
    let hours = figures.idle_micros() / HOUR_MICROS;
    let (people, segments) = (figures.people.len(), figures.segments);
    let (mut found, mut advice) = (Vec::new(), Vec::new());
    let pass_to = |user: &str, reason: String, confidence: f64| json!({ "action": "pass_ring", "target_user_id": user, "reason": reason, "confidence": confidence });
    if hours >= STALLED_HOURS {
        found.push(insight(
            ("stalled", "critical", "The draft has stalled"),
            format!("Nothing has happened for {hours} hours."),
            format!("{hours} h without activity; the threshold is {STALLED_HOURS} h"),
            json!({ "hours_since_activity": hours, "threshold_hours": STALLED_HOURS, "total_segments": segments }),
        ));
        if let Some(next) = figures.most_inactive(head, members) {
            let reason = format!("Nothing has happened for {STALLED_HOURS} h or more. {}", next.reasoning);
            advice.push(pass_to(&next.to_user_id, reason, 0.85));
        }
    } else {
        if let Some((user, own)) = dominant(figures) {
            let percent = own * 100 / segments;
            found.push(insight(
                ("dominant_user", "warning", "One person writes most of it"),
                format!("{user} has written {percent} % of the segments."),
                format!("{own} of {segments} segments; the threshold is {DOMINANT_PERCENT} %"),
                json!({
                    "dominant_user_id": user, "dominant_user_segments": own, "total_segments": segments,
                    "dominance_ratio": own as f64 / segments as f64,
                }),
            ));
            let may_have_it = |other: &&String| *other != user && **other != head.holder_id && members.contains(other);
            if let Some(other) = figures.people.keys().find(may_have_it) {
                let reason = format!("{user} has written most of it; {other} might.");
                advice.push(pass_to(other, reason, 0.75));
            }
        }
        if people == 1 && segments > 0 {
            found.push(insight(
                ("low_engagement", "warning", "Nobody else takes part"),
                "Only one person has written or held the ring.".to_owned(),
                format!("1 contributor, {segments} segments"),
                json!({ "total_contributors": people, "total_segments": segments }),
            ));
            advice.push(json!({
                "action": "invite_user", "target_user_id": null, "reason": "There is nobody to pass the ring to who has taken part.",
                "confidence": 0.9,
            }));
        }
        if found.is_empty() {
            let passes = figures.passes;
            found.push(insight(
                ("healthy", "info", "The draft goes well"),
                format!("{people} contributors, {segments} segments, {passes} passes."),
                "no threshold is reached".to_owned(),
                json!({ "total_contributors": people, "total_segments": segments, "ring_pass_count": passes }),
            ));
        }
    }
    json!({
        "draft_id": head.draft_id,
        "insights": found,
        "recommendations": advice,
        "alerts": alerts(figures),
        "computed_at": figures.now.z_style(),
    })
}

fn insight(
    (kind, severity, title): (&str, &str, &str),
    message: String,
    reason: String,
    metrics_snapshot: Value,
) -> Value {
    json!({
        "type": kind, "severity": severity, "title": title, "message": message, "reason": reason,
        "metrics_snapshot": metrics_snapshot,
    })
}

/// Who has written so much of it that others hardly do, where there are others.
fn dominant(figures: &Figures) -> Option<(&String, i64)> {
    let most = figures.people.iter().max_by_key(|(user, person)| (person.segments, std::cmp::Reverse(*user)))?;
    let (user, own) = (most.0, most.1.segments);
    let dominates = figures.people.len() > 1 && own > 0 && own * 100 >= DOMINANT_PERCENT * figures.segments;
    dominates.then_some((user, own))
}

fn alerts(figures: &Figures) -> Vec<Value> {
    let alert = |kind: &str, threshold: String, current: i64, reason: String| {
        json!({
            "alert_type": kind, "triggered_at": figures.now.z_style(), "threshold": threshold, "current_value": current,
            "reason": reason,
        })
    };
    let (idle, held) = (figures.idle_micros() / HOUR_MICROS, figures.held_micros() / HOUR_MICROS);
    let mut alerts = Vec::new();
    if idle >= NO_ACTIVITY_HOURS {
        let threshold = format!("No activity for {NO_ACTIVITY_HOURS} h");
        alerts.push(alert("no_activity", threshold, idle, format!("The last activity was {idle} h ago")));
    }
    if held >= LONG_HOLD_HOURS {
        let (threshold, holder) = (format!("The ring held for {LONG_HOLD_HOURS} h"), &figures.holder.0);
        alerts.push(alert("long_ring_hold", threshold, held, format!("{holder} has held the ring for {held} h")));
    }
    if figures.people.len() == 1 && figures.segments >= SINGLE_SEGMENTS {
        let (threshold, segments) = (format!("One contributor of {SINGLE_SEGMENTS} segments"), figures.segments);
        alerts.push(alert(
            "single_contributor",
            threshold,
            1,
            format!("One contributor has written {segments} segments"),
        ));
    }
    alerts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::drafts::store::{Pass, Segment};

    /// What is said of a draft of alice's in which these have written, of which bob got the ring in the first hour, if he did.
    fn said(writers: &[&str], passed: bool, now_hours: i64) -> (Vec<String>, Vec<String>, Vec<Value>) {
        let head = Head::of_alice(if passed { "bob" } else { "alice" });
        let mut figures = Figures::new(&head, Timestamp(now_hours * HOUR_MICROS), 1);
        for user_id in writers {
            let segment = Segment {
                order: 0,
                segment_id: "s",
                user_id,
                content: "c",
                created_at: Timestamp(0),
                is_redacted: false,
            };
            figures.take_segment(&segment);
        }
        if passed {
            let passed_at = Timestamp(HOUR_MICROS);
            figures.take_pass(&Pass { row: 1, from_user: "alice", to_user: "bob", passed_at });
        }
        let said = insights(&figures, &head, &["alice", "bob"].map(str::to_owned));
        let words = |list: &str, name: &str| {
            let items = said[list].as_array().unwrap().iter();
            items.map(|item| item[name].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let advice = said["recommendations"].as_array().unwrap().iter();
        let advice = advice.map(|item| json!([item["action"], item["target_user_id"]])).collect();
        (words("insights", "type"), words("alerts", "alert_type"), advice)
    }

    #[test]
    fn each_threshold_is_the_contracts() {
        let none: &[&str] = &[];
        let (insights, alerts, advice) = said(&["alice", "bob"], true, 2);
        assert_eq!((insights, alerts, advice), (vec!["healthy".to_owned()], vec![], vec![]));
        assert_eq!(said(&["alice", "bob", "bob"], true, 2).0, ["dominant_user"], "two thirds");
        assert_eq!(said(&["alice", "bob", "bob"], true, 2).2, [json!(["pass_ring", "alice"])]);
        assert_eq!(said(&["alice", "alice", "bob", "bob"], true, 2).0, ["healthy"]);
        let (insights, alerts, advice) = said(&["alice"; 5], false, 2);
        assert_eq!((insights, alerts), (vec!["low_engagement".to_owned()], vec!["single_contributor".to_owned()]));
        assert_eq!(advice, [json!(["invite_user", null])]);
        assert_eq!(said(&["alice"; 4], false, 2).1, none);
        assert_eq!((said(none, true, 48).0, said(none, true, 49).0), (vec!["healthy".into()], vec!["stalled".into()]));
        assert_eq!(said(none, true, 49).2, [json!(["pass_ring", "alice"])]);
        assert_eq!(said(none, true, 24).1, none);
        assert_eq!(said(none, true, 25).1, ["long_ring_hold"]);
        assert_eq!(said(none, true, 72).1, ["long_ring_hold"]);
        assert_eq!(said(none, true, 73).1, ["no_activity", "long_ring_hold"]);
    }
}
