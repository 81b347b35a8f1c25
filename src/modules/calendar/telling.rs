//! Tells those who listen of reminders when they come due, each once.
//!
//! Until when that was done is kept in the database, and moves in the same change that has the reminders told: so whatever ends the
//! server, none is told twice. One that was lost on its way is still in the list of those that are due, which pages ask for when
//! they come. While nothing has changed, a look costs one row: what comes due within the next hour is known.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::reminder::Due;
use super::reminders::{Told, reminding, told};
use super::store;
use crate::clock::{HOUR_MICROS, Timestamp};
use crate::gate::ApiError;
use crate::housekeeper::{Stop, Task};
use crate::hub::Hub;
use crate::modules::desk::Shared;
use crate::modules::importing::carried_out;
use crate::modules::news::SPACE;
use crate::modules::records::kinds::Kind;
use crate::modules::records::store::{counts, revision};
use crate::modules::zone::Zone;
use crate::net::Frame;
use crate::store::{Reader, Topic, Tx, WriterHandle};

/// How late a reminder is told at most, where the housekeeper has nothing else to do.
const EVERY_MAX: Duration = Duration::from_secs(10);
/// For how long it is known what will come due.
const AHEAD_MICROS: i64 = HOUR_MICROS;
/// A mark that is further ahead than this was made by a clock that was wrong.
const CREDIBLE_MICROS: i64 = HOUR_MICROS;
/// How often it is tried again at once when entries change meanwhile.
const TRIES: usize = 3;

/// The task that tells them.
pub(in crate::modules) fn task(shared: &Arc<Shared>, reader: &Rc<Reader>, every: Duration) -> Task {
    let (shared, reader) = (Arc::clone(shared), Rc::clone(reader));
    let house = &shared.house;
    let mut teller = Teller::new(house.writer.clone(), &house.hub, &shared.zone, house.clock.now());
    let run = move |_: &Stop| {
        // While its module is shut down nothing is told, and afterwards what has come due meanwhile.
        if !shared.states.is_active("calendar") {
            return;
        }
        if let Err(error) = teller.pass(&reader, shared.house.clock.now()) {
            log::warn!(error = error.context().or(error.message()).unwrap_or_default(); "reminders.put_off");
        }
    };
    Task { name: "reminders", every: every.min(EVERY_MAX), run: Box::new(run) }
}

struct Teller {
    writer: WriterHandle,
    hub: Arc<Hub>,
    zone: Zone,
    /// When the server was started: what is changed from then on is seen in time.
    began: Timestamp,
    /// Until when all was told, once that is known.
    told_until: Option<Timestamp>,
    plan: Option<Plan>,
}

/// What is to be told.
struct Plan {
    /// The mark in the database, and the last change of an entry, when it was made: it is good while they are the same.
    mark: Option<Timestamp>,
    revision: i64,
    /// All that comes due until then is in here.
    until: Timestamp,
    /// In the order in which it comes due.
    coming: Vec<(Due, Value)>,
}

impl Teller {
    fn new(writer: WriterHandle, hub: &Arc<Hub>, zone: &Zone, began: Timestamp) -> Self {
        Self { writer, hub: Arc::clone(hub), zone: zone.clone(), began, told_until: None, plan: None }
    }

    /// Tells what is due, and says how many those are.
    fn pass(&mut self, reader: &Reader, now: Timestamp) -> Result<usize, ApiError> {
        for _ in 0..TRIES {
            if let Some(count) = self.step(reader, now)? {
                return Ok(count);
            }
        }
        Ok(0)
    }

    /// The same; none if entries were changed meanwhile: then nothing was told.
    fn step(&mut self, reader: &Reader, now: Timestamp) -> Result<Option<usize>, ApiError> {
        let kind = Kind::of_module("calendar").ok_or_else(|| ApiError::internal("there is no kind of entries"))?;
        let revision = counts(reader, kind)?.revision;
        let is_wrong = self.told_until.is_some_and(|at| !is_credible(at, now));
        let known = self.plan.take().filter(|plan| !is_wrong && plan.revision == revision && now <= plan.until);
        let mut plan = match known {
            Some(plan) => plan,
            None => self.planned(reader, revision, now)?,
        };
        let count = plan.coming.partition_point(|(due, _)| due.at <= now);
        // A clock that was put back a little waits for itself.
        let until = now.min(plan.until).max(self.told_until.unwrap_or(now));
        if count > 0 || plan.mark.is_none() {
            let frames: Vec<Frame> = plan.coming.iter().take(count).map(|(_, said)| frame(said, now)).collect();
            let (hub, mark) = (Arc::clone(&self.hub), plan.mark);
            let is_told = carried_out(&self.writer, move |tx: &mut Tx<'_>| {
                if store::reminded_until(tx)? != mark || self::revision(tx, kind)? != revision {
                    return Ok(false);
                }
                store::set_reminded(tx, until)?;
                let (hub, frames) = (Arc::clone(&hub), frames.clone());
                tx.after_commit(move || {
                    let topic = Topic::new(&SPACE, "calendar");
                    frames.into_iter().for_each(|frame| hub.send(&topic, "reminder", frame, None));
                });
                Ok(true)
            })?;
            if !is_told {
                return Ok(None);
            }
            plan.mark = Some(until);
            plan.coming.drain(..count);
        }
        self.told_until = Some(until);
        self.plan = Some(plan);
        Ok(Some(count))
    }

    /// Finds out what comes due from now on, and what has come due since all was told.
    fn planned(&mut self, reader: &Reader, revision: i64, now: Timestamp) -> Result<Plan, ApiError> {
        let mark = store::reminded_until(reader)?;
        let since = self.told_until.or(mark).unwrap_or(self.began);
        let since = if is_credible(since, now) { since } else { now };
        self.told_until = Some(since);
        let ahead = Timestamp(now.0.saturating_add(AHEAD_MICROS));
        let found = reminding(reader, since, ahead, &self.zone)?;
        let Told { dues, said } = told(&found, since, ahead, &self.zone)?;
        // What was due when its entry was last changed, before this start, was told then, or is not to be told.
        let began = self.began;
        let coming = said.into_iter().filter(|(due, updated, _)| due.at > began || due.at > *updated);
        Ok(Plan { mark, revision, until: dues.until, coming: coming.map(|(due, _, said)| (due, said)).collect() })
    }
}

/// Whether reminders can have been told until then.
fn is_credible(at: Timestamp, now: Timestamp) -> bool {
    at.0 <= now.0.saturating_add(CREDIBLE_MICROS)
}

/// The message about a reminder.
fn frame(said: &Value, now: Timestamp) -> Frame {
    let message = json!({
        "event": "reminder_due", "id": said["id"], "data": { "title": said["title"], "action": "due" },
        "reminder": said, "timestamp": now.seconds(), "module": "calendar",
    });
    Frame::text(&message.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, DAY_MICROS, SECOND_MICROS};
    use crate::modules::MIGRATIONS;
    use crate::modules::records::fact::wall_micros;
    use crate::modules::records::record::Key;
    use crate::modules::zone::wall_text;
    use crate::store::testing::House;

    /// Midnight in UTC on 1 July 2026.
    const BEGIN: i64 = 1_782_864_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp((BEGIN + seconds) * SECOND_MICROS)
    }

    fn kyiv() -> Zone {
        Zone::named("Europe/Kyiv").unwrap()
    }

    /// An entry that was changed then and starts then, where it reminds.
    fn entry(house: &House, id: i64, changed: i64, start: i64) {
        let start = kyiv().wall(at(start)).unwrap();
        let json = json!({
            "title": "T", "scheduled_at": wall_text(start), "reminder_settings": { "minutes_before": 0 }, "id": id,
        });
        let text = json.to_string();
        house.write(move |tx| {
            let kind = Kind::of_module("calendar").unwrap();
            let key = Key::of(kind, id).unwrap().0;
            let record = "INSERT INTO records (key, json, moment, created_at, updated_at, revision) \
                          VALUES (?1, ?2, ?3, ?4, ?4, ?5)";
            let values = [key.into(), (&text).into(), wall_micros(start).into(), at(changed).into(), id.into()];
            tx.run(record, &values).unwrap();
            let fact = "INSERT INTO record_facts (name, value, key) VALUES ('reminder_settings', 'true', ?1)";
            tx.run(fact, &[key.into()]).unwrap();
            let counted = "INSERT INTO record_kinds (kind, last_id, records, revision) VALUES (?1, ?2, ?2, ?2) \
                           ON CONFLICT (kind) DO UPDATE SET revision = excluded.revision";
            tx.run(counted, &[kind.number.into(), id.into()]).unwrap();
        });
    }

    /// That of a server that is started then.
    fn teller(house: &House, began: i64) -> Teller {
        Teller::new(house.handle(), &Arc::new(Hub::new(Clock::system())), &kyiv(), at(began))
    }

    fn told(house: &House, teller: &mut Teller, now: i64) -> usize {
        teller.pass(&house.reader, at(now)).unwrap()
    }

    #[test]
    fn each_reminder_is_told_once_and_none_that_was_due_before_its_entry() {
        let house = House::at(at(0), MIGRATIONS);
        let mut first = teller(&house, 0);
        entry(&house, 1, 0, 60);
        assert_eq!([5, 59, 60, 61, 3700].map(|now| told(&house, &mut first, now)), [0, 0, 1, 0, 0]);
        // Another change, and one that comes too late for its reminder.
        entry(&house, 2, 3710, 3720);
        entry(&house, 3, 3711, 3600);
        assert_eq!([3715, 3725].map(|now| told(&house, &mut first, now)), [0, 1]);
        entry(&house, 4, 3730, 3800);
        entry(&house, 5, 3731, 3727);
        // A server that was down meanwhile, and one right after it.
        let mut second = teller(&house, 4000);
        assert_eq!([4003, 4006].map(|now| told(&house, &mut second, now)), [1, 0]);
        assert_eq!(told(&house, &mut teller(&house, 4010), 4013), 0);
        // What has been due for more than a week is told to nobody.
        entry(&house, 6, 4014, 4100);
        let week = 7 * DAY_MICROS / SECOND_MICROS;
        assert_eq!(told(&house, &mut teller(&house, 4100 + week), 4100 + week + 1), 0);
    }

    #[test]
    fn a_look_that_finds_nothing_writes_nothing() {
        let house = House::at(at(0), MIGRATIONS);
        let mut teller = teller(&house, 0);
        assert_eq!(house.commits(|| assert_eq!(told(&house, &mut teller, 1), 0)), 1, "the mark");
        entry(&house, 1, 2, 60);
        assert_eq!(house.commits(|| assert_eq!(told(&house, &mut teller, 30), 0)), 0);
        assert_eq!(house.commits(|| assert_eq!(told(&house, &mut teller, 7200), 1)), 1);
        assert_eq!(house.commits(|| assert_eq!(told(&house, &mut teller, 20_000), 0)), 0);
    }

    #[test]
    fn a_clock_that_was_years_ahead_or_goes_back_a_little_has_nothing_told_twice_or_never() {
        let house = House::at(at(0), MIGRATIONS);
        let mut running = teller(&house, 0);
        entry(&house, 1, 0, 60);
        entry(&house, 2, 0, 300);
        assert_eq!([61, 40, 62].map(|now| told(&house, &mut running, now)), [1, 0, 0]);
        let years = 12 * 365 * DAY_MICROS / SECOND_MICROS;
        entry(&house, 3, 100, years);
        assert_eq!([years, 200, 301, 302].map(|now| told(&house, &mut running, now)), [1, 0, 1, 0]);
        // The same for a mark that one has left behind.
        entry(&house, 4, 310, 2 * years);
        assert_eq!(told(&house, &mut running, 2 * years), 1);
        entry(&house, 5, 320, 400);
        let mut later = teller(&house, 330);
        assert_eq!([331, 401, 402].map(|now| told(&house, &mut later, now)), [0, 1, 0]);
    }
}
