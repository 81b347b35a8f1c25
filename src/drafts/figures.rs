//! What a draft's segments and passes come to, in figures (contract 01 §1.15). Pure: it is handed what there is, and told the time.
//!
//! The ring is held from one pass to the next, by the times of the passes; the first hold begins with the draft.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde_json::{Value, json};

use super::model::Head;
use super::smart::{self, Strategy};
use super::store::{Pass, Segment};
use crate::clock::{DAY_MICROS, HOUR_MICROS, SECOND_MICROS, Timestamp};

/// Holds, and passes, that are listed.
const LISTED_MAX: usize = 10;

/// What there is, as far as it was taken.
#[derive(Debug)]
pub(super) struct Figures {
    /// For which moment.
    pub(super) now: Timestamp,
    pub(super) segments: i64,
    words: i64,
    pub(super) passes: i64,
    pub(super) last_activity: Timestamp,
    pub(super) people: BTreeMap<String, Person>,
    /// Who holds the ring, and since when.
    pub(super) holder: (String, Timestamp),
    /// How long all holds took that have ended.
    ended_micros: i64,
    /// The last ones, the newest last.
    holds: VecDeque<(String, Timestamp, Timestamp)>,
    handed: VecDeque<(String, String, Timestamp)>,
    /// Segments and passes by day, of the days asked for.
    days: BTreeMap<i64, [i64; 2]>,
    first_day: i64,
}

/// One who has written, or held the ring.
#[derive(Debug, Default)]
pub(super) struct Person {
    pub(super) segments: i64,
    words: i64,
    first_at: Option<Timestamp>,
    last_at: Option<Timestamp>,
    holds: i64,
    held_micros: i64,
}

impl Figures {
    /// Of the draft with this head, as it is at `now`; its days are the last `days`, today among them.
    pub(super) fn new(head: &Head, now: Timestamp, days: i64) -> Self {
        let first = Person { holds: 1, ..Person::default() };
        Self {
            now,
            segments: 0,
            words: 0,
            passes: 0,
            last_activity: head.created_at,
            people: BTreeMap::from([(head.founder_id.clone(), first)]),
            holder: (head.founder_id.clone(), head.created_at),
            ended_micros: 0,
            holds: VecDeque::new(),
            handed: VecDeque::new(),
            days: BTreeMap::new(),
            first_day: day(now) - days + 1,
        }
    }

    /// Takes the next segment.
    pub(super) fn take_segment(&mut self, segment: &Segment<'_>) {
        let words = i64::try_from(segment.content.split_whitespace().count()).unwrap_or(i64::MAX);
        self.segments += 1;
        self.words += words;
        self.happened(segment.created_at, 0);
        let person = person(&mut self.people, segment.user_id);
        person.segments += 1;
        person.words += words;
        person.first_at.get_or_insert(segment.created_at);
        person.last_at = Some(segment.created_at);
    }

    /// Takes the next pass.
    pub(super) fn take_pass(&mut self, pass: &Pass<'_>) {
        self.passes += 1;
        self.happened(pass.passed_at, 1);
        let (holder, since) = std::mem::replace(&mut self.holder, (pass.to_user.to_owned(), pass.passed_at));
        let micros = between(since, pass.passed_at);
        self.ended_micros += micros;
        person(&mut self.people, &holder).held_micros += micros;
        person(&mut self.people, pass.to_user).holds += 1;
        keep(&mut self.holds, (holder, since, pass.passed_at));
        keep(&mut self.handed, (pass.from_user.to_owned(), pass.to_user.to_owned(), pass.passed_at));
    }

    fn happened(&mut self, at: Timestamp, which: usize) {
        self.last_activity = self.last_activity.max(at);
        if (self.first_day..=day(self.now)).contains(&day(at)) {
            self.days.entry(day(at)).or_default()[which] += 1;
        }
    }

    /// For how long nothing has happened, in microseconds.
    pub(super) fn idle_micros(&self) -> i64 {
        between(self.last_activity, self.now)
    }

    /// For how long the ring has been where it is, in microseconds.
    pub(super) fn held_micros(&self) -> i64 {
        between(self.holder.1, self.now)
    }

    /// How long a hold took on average, in seconds; none before the first pass.
    fn average_hold_seconds(&self) -> Option<f64> {
        (self.passes > 0).then(|| self.ended_micros as f64 / SECOND_MICROS as f64 / self.passes as f64)
    }

    fn risk(&self) -> &'static str {
        let idle = self.idle_micros();
        match () {
            () if idle > 48 * HOUR_MICROS => "high",
            () if idle > 24 * HOUR_MICROS && self.passes < 2 => "medium",
            () => "low",
        }
    }

    /// The answer of `…/summary`.
    pub(super) fn summary(&self, draft_id: &str) -> Value {
        json!({
            "draft_id": draft_id,
            "total_segments": self.segments,
            "total_words": self.words,
            "unique_contributors": self.people.len(),
            "last_activity_ts": self.last_activity.z_style(),
            "ring_pass_count": self.passes,
            "avg_time_holding_ring_seconds": self.average_hold_seconds(),
            "inactivity_risk": self.risk(),
        })
    }

    /// The answer of `…/contributors`: whoever wrote last comes first, and last who has not written, by name.
    pub(super) fn contributors(&self, draft_id: &str) -> Value {
        let mut people: Vec<(&String, &Person)> = self.people.iter().collect();
        people.sort_by_key(|(_, person)| std::cmp::Reverse(person.last_at));
        let contributor = |(user, person): &(&String, &Person)| {
            let held = if **user == self.holder.0 { self.held_micros() } else { 0 } + person.held_micros;
            json!({
                "user_id": user,
                "segments_added_count": person.segments,
                "words_added": person.words,
                "first_contribution_ts": person.first_at.map(Timestamp::z_style),
                "last_contribution_ts": person.last_at.map(Timestamp::z_style),
                "ring_holds_count": person.holds,
                "total_hold_seconds": seconds(held),
                "suggestions_queued_count": 0,
                "votes_cast_count": 0,
            })
        };
        let contributors: Vec<Value> = people.iter().map(contributor).collect();
        json!({ "draft_id": draft_id, "total_contributors": contributors.len(), "contributors": contributors })
    }

    /// The answer of `…/ring`; of these members one is recommended.
    pub(super) fn ring(&self, head: &Head, members: &[String]) -> Value {
        let hold = |user: &str, start: Timestamp, end: Option<Timestamp>| {
            let micros = between(start, end.unwrap_or(self.now));
            json!({ "user_id": user, "start_ts": start.z_style(), "end_ts": end.map(Timestamp::z_style), "seconds": seconds(micros) })
        };
        let current = hold(&self.holder.0, self.holder.1, None);
        let ended = self.holds.iter().rev().map(|(user, start, end)| hold(user, *start, Some(*end)));
        let holds: Vec<Value> = std::iter::once(current).chain(ended).take(LISTED_MAX).collect();
        let passes = self.handed.iter().rev();
        let passes: Vec<Value> = passes
            .map(|(from, to, at)| json!({ "from_user_id": from, "to_user_id": to, "ts": at.z_style(), "strategy": null }))
            .collect();
        let recommended = self.most_inactive(head, members);
        json!({
            "draft_id": head.draft_id,
            "current_holder_id": head.holder_id,
            "holds": holds,
            "passes": passes,
            "recommendation": recommended.map(|it| json!({ "recommended_to_user_id": it.to_user_id, "reason": it.reasoning })),
        })
    }

    /// To whom the ring should go: as for `most_inactive`.
    pub(super) fn most_inactive(&self, head: &Head, members: &[String]) -> Option<smart::Selection> {
        let written = |(user, person): (&String, &Person)| Some((user.clone(), person.last_at?));
        let written: HashMap<String, Timestamp> = self.people.iter().filter_map(written).collect();
        smart::select(super::change::ring_of(head), members, &written, Strategy::MostInactive)
    }

    /// The answer of `…/daily`, the oldest day first.
    pub(super) fn daily(&self, draft_id: &str) -> Value {
        let days: Vec<Value> = (self.first_day..=day(self.now))
            .map(|number| {
                let [segments, passes] = self.days.get(&number).copied().unwrap_or_default();
                let date = Timestamp(number.saturating_mul(DAY_MICROS)).date();
                json!({ "date": date, "segments_added": segments, "ring_passes": passes })
            })
            .collect();
        json!({ "draft_id": draft_id, "window_days": days.len(), "days": days })
    }
}

fn person<'p>(people: &'p mut BTreeMap<String, Person>, user: &str) -> &'p mut Person {
    if !people.contains_key(user) {
        people.insert(user.to_owned(), Person::default());
    }
    people.entry(user.to_owned()).or_default()
}

/// Adds to the last ones, and drops the oldest when there are as many as are listed.
fn keep<T>(last: &mut VecDeque<T>, newest: T) {
    if last.len() == LISTED_MAX {
        last.pop_front();
    }
    last.push_back(newest);
}

/// Microseconds from one moment to another; none when a clock that was wrong has dated the second before the first.
fn between(from: Timestamp, to: Timestamp) -> i64 {
    to.0.saturating_sub(from.0).max(0)
}

fn seconds(micros: i64) -> i64 {
    micros / SECOND_MICROS
}

/// The number of the day of a moment, in UTC.
fn day(at: Timestamp) -> i64 {
    at.0.div_euclid(DAY_MICROS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn write(figures: &mut Figures, user_id: &str, content: &str, at: i64) {
        figures.take_segment(&Segment {
            order: 0,
            segment_id: "s",
            user_id,
            content,
            created_at: Timestamp(at),
            is_redacted: false,
        });
    }

    fn pass(figures: &mut Figures, from_user: &str, to_user: &str, at: i64) {
        figures.take_pass(&Pass { row: 0, from_user, to_user, passed_at: Timestamp(at) });
    }

    #[test]
    fn figures_are_made_of_the_times_of_real_passes() {
        let mut figures = Figures::new(&Head::of_alice("bob"), Timestamp(50 * HOUR_MICROS), 3);
        write(&mut figures, "alice", "one  two\nthree", HOUR_MICROS);
        write(&mut figures, "bob", "four", 3 * HOUR_MICROS);
        pass(&mut figures, "alice", "bob", 2 * HOUR_MICROS);
        pass(&mut figures, "bob", "carol", 6 * HOUR_MICROS);
        pass(&mut figures, "carol", "bob", 30 * HOUR_MICROS);
        assert_eq!(
            figures.summary("d"),
            json!({
                "draft_id": "d", "total_segments": 2, "total_words": 4, "unique_contributors": 3,
                "last_activity_ts": "1970-01-02T06:00:00Z", "ring_pass_count": 3,
                "avg_time_holding_ring_seconds": 36000.0, "inactivity_risk": "low",
            })
        );
        let contributors = figures.contributors("d");
        let shown: Vec<_> = contributors["contributors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| {
                json!([
                    it["user_id"],
                    it["segments_added_count"],
                    it["words_added"],
                    it["ring_holds_count"],
                    it["total_hold_seconds"]
                ])
            })
            .collect();
        let expected = [
            json!(["bob", 1, 1, 2, (4 + 20) * 3600]),
            json!(["alice", 1, 3, 1, 2 * 3600]),
            json!(["carol", 0, 0, 1, 24 * 3600]),
        ];
        assert_eq!(shown, expected);
        assert_eq!(contributors["contributors"][2]["last_contribution_ts"], Value::Null);
        let ring = figures.ring(&Head::of_alice("bob"), &["alice", "bob", "carol"].map(str::to_owned));
        let holds: Vec<_> =
            ring["holds"].as_array().unwrap().iter().map(|it| json!([it["user_id"], it["seconds"]])).collect();
        let expected = [json!(["bob", 72000]), json!(["carol", 86400]), json!(["bob", 14400]), json!(["alice", 7200])];
        assert_eq!(holds, expected);
        assert_eq!((&ring["holds"][0]["end_ts"], &ring["passes"][0]["to_user_id"]), (&Value::Null, &json!("bob")));
        assert_eq!(ring["recommendation"]["recommended_to_user_id"], "carol");
        assert_eq!(figures.ring(&Head::of_alice("alice"), &["alice".to_owned()])["recommendation"], Value::Null);
        let day = |date: &str, segments: i64, passes: i64| json!({ "date": date, "segments_added": segments, "ring_passes": passes });
        let days = [day("1970-01-01", 2, 2), day("1970-01-02", 0, 1), day("1970-01-03", 0, 0)];
        assert_eq!(figures.daily("d"), json!({ "draft_id": "d", "window_days": 3, "days": days }));
    }

    #[test]
    fn a_draft_that_rests_is_at_risk() {
        let risk = |hours: i64, micros: i64, passes: i64| {
            let mut figures = Figures::new(&Head::of_alice("bob"), Timestamp(hours * HOUR_MICROS + micros), 1);
            (0..passes).for_each(|_| pass(&mut figures, "alice", "bob", 0));
            figures.risk()
        };
        assert_eq!(
            [risk(24, 0, 0), risk(24, 1, 0), risk(24, 1, 1), risk(24, 1, 2)],
            ["low", "medium", "medium", "low"]
        );
        assert_eq!([risk(48, 0, 2), risk(48, 1, 2), risk(-1, 0, 0)], ["low", "high", "low"]);
        let fresh = Figures::new(&Head::of_alice("alice"), Timestamp(0), 1).summary("d");
        assert_eq!((&fresh["avg_time_holding_ring_seconds"], &fresh["unique_contributors"]), (&Value::Null, &json!(1)));
    }

    proptest! {
        /// The ring is always held by one, so that all holds together are as long as the draft is old.
        #[test]
        fn holds_fill_the_time(steps in prop::collection::vec((0usize..4, 0i64..10_000_000), 0..40), rest in 0i64..10_000_000) {
            let names = ["alice", "bob", "carol", "dave"];
            let now = steps.iter().map(|(_, micros)| micros).sum::<i64>() + rest;
            let mut figures = Figures::new(&Head::of_alice("alice"), Timestamp(now), 90);
            let mut at = 0;
            for (to, micros) in &steps {
                at += micros;
                let from = figures.holder.0.clone();
                pass(&mut figures, &from, names[*to], at);
            }
            let held: i64 = figures.people.values().map(|person| person.held_micros).sum();
            prop_assert_eq!(held + figures.held_micros(), now);
            let holds: i64 = figures.people.values().map(|person| person.holds).sum();
            prop_assert_eq!(holds, figures.passes + 1);
            let ring = figures.ring(&Head::of_alice("alice"), &[]);
            prop_assert!(ring["holds"].as_array().unwrap().len() <= LISTED_MAX);
            let days = figures.daily("d");
            let passes: i64 = days["days"].as_array().unwrap().iter().map(|day| day["ring_passes"].as_i64().unwrap()).sum();
            prop_assert_eq!(passes, figures.passes);
        }
    }
}
