//! What the server does about a clock that was wrong: looks at it, says so, and has stored times follow it again once it is
//! right.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::audit::Field;
use crate::clock::Timestamp;
use crate::feature::{Check, House};
use crate::housekeeper::Task;
use crate::store::{ChoreError, Error, Tx, run_chore};

/// Looks at the clock every so often, and has stored times follow it when they should.
pub(super) fn clock_task(house: &House, every: Duration) -> Task {
    let house = house.clone();
    let run = move |_: &_| {
        let standing = house.timekeeper.look();
        let (Some(newest), true) = (standing.stored, standing.should_follow) else { return };
        let ahead = standing.stored_ahead();
        match follow(&house, newest, ahead) {
            Ok(()) => log::warn!(
                seconds = ahead.as_secs(), newest = newest.offset_style().to_string();
                "store.times_follow_the_clock"
            ),
            Err(error) => log::warn!(error = error.to_string(); "store.times_follow_put_off"),
        }
    };
    Task { name: "clock", every, run: Box::new(run) }
}

/// One change that has the time of the clock, as those after it will; with a row in the audit log, if there is one.
fn follow(house: &House, newest: Timestamp, ahead: Duration) -> Result<(), ChoreError> {
    // First, so that nothing is ever taken for older than it is.
    house.timekeeper.follow();
    let audit = house.audit.clone();
    let work = move |tx: &mut Tx<'_>| {
        tx.follow();
        tx.probe()?;
        let newest = newest.offset_style().to_string();
        let seconds = i64::try_from(ahead.as_secs()).unwrap_or(i64::MAX);
        let details = [("newest_change", Field::Text(&newest)), ("ahead_seconds", Field::Number(seconds))];
        if let Some(audit) = &audit {
            let recorded = audit.record_own(tx, "server.times_follow_the_clock", &details);
            recorded.map_err(|error| Error::Other(error.to_string()))?;
        }
        Ok(1)
    };
    run_chore(&house.writer, work).map(drop)
}

/// What `/readyz` says of the clock. It keeps nobody from being served.
pub(super) fn clock_check(house: &House) -> Check {
    let timekeeper = house.timekeeper.clone();
    Check::new("clock", move || {
        let warning = timekeeper.look().warning();
        let mut said = Map::new();
        said.insert("ok".to_owned(), warning.is_none().into());
        said.extend(warning.map(|warning| ("warning".to_owned(), Value::from(warning))));
        Ok(Some(said))
    })
}
