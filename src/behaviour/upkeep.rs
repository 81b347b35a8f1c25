//! Looks after the files: has the active one moved aside, compresses what is old, removes what is too old, erases a visitor. The
//! housekeeper asks for it, and so may the operator.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::active::Active;
use super::erase::{self, Erased, Visitor};
use super::files::{self, Ownership};
use super::names::{Named, Names, Shard, packed};
use super::options::Rules;
use super::plan::{Plan, plan};
use super::sink::SinkHandle;
use super::state::{Passed, State};
use super::time::Day;
use crate::clock::steady::{Horizon, TIME_MIN};
use crate::clock::{DAY, Retention, Timekeeper, Timestamp};

/// Looks after the files of a server that runs. One look at a time.
pub(super) struct Upkeep {
    names: Names,
    ownership: Arc<Ownership>,
    sink: SinkHandle,
    state: Arc<State>,
    timekeeper: Timekeeper,
    /// What says whether the clock is to be trusted, and for how many days of keeping.
    retention: Mutex<Option<(u32, Retention)>>,
}

impl Upkeep {
    /// Of the files with these names.
    pub(super) fn new(
        names: Names,
        ownership: Arc<Ownership>,
        sink: SinkHandle,
        state: Arc<State>,
        timekeeper: Timekeeper,
    ) -> Self {
        Self { names, ownership, sink, state, timekeeper, retention: Mutex::new(None) }
    }

    /// Does what these rules ask for now, and says what that was. A long one asks between its steps whether to stop.
    pub(super) fn pass(&self, rules: Rules, stop: &dyn Fn() -> bool) -> Passed {
        let mut retention = self.retention.lock();
        let now = self.timekeeper.now();
        let mut passed = Passed::begun(now);
        match self.sink.rotate(rules.max_bytes) {
            Ok(rotated) => passed.rotated = rotated,
            Err(error) => passed.faults.push(format!("the file cannot be rotated: {error}")),
        }
        match rules.keep_days {
            Some(days) => {
                let known = retention.take().filter(|(known, _)| *known == days);
                // To the end of a day, which is one day less than to its beginning.
                let make = || (days, self.timekeeper.retention("behaviour events", DAY * (days - 1)));
                let (_, retention) = retention.insert(known.unwrap_or_else(make));
                let horizon = retention.horizon();
                let allows = |oldest| retention.allows(&horizon, oldest);
                look_after(&self.names, &self.ownership, rules, Some(&horizon), allows, stop, &mut passed);
            }
            None => look_after(&self.names, &self.ownership, rules, None, |_| true, stop, &mut passed),
        }
        let counters = &self.state.counters.files;
        counters.compressed.inc_by(passed.compressed as u64);
        counters.removed.inc_by(passed.removed as u64);
        counters.failed.inc_by(passed.faults.len() as u64);
        if !passed.faults.is_empty() {
            log::warn!(faults = passed.faults.join("; "); "behaviour.not_looked_after");
        }
        self.state.set_passed(passed.clone());
        passed
    }
}

/// Nothing but what was left half done.
const NO_RULES: Rules = Rules { max_bytes: None, gzip_after_days: None, keep_days: None };

impl Upkeep {
    /// Erases all that came from a visitor up to now: from the files, the one that is written included, and from the ring.
    pub(super) fn erase(&self, visitor: &Visitor) -> Erased {
        let _one_at_a_time = self.retention.lock();
        // What waits to be written is written before it answers.
        let rotate = |max_bytes| self.sink.rotate(max_bytes).map(drop);
        let aside = rotate(None).and_then(|()| match erase::count(self.names.active(), false, visitor)? {
            0 => Ok(()),
            _ => rotate(Some(0)),
        });
        self.state.forget(&visitor.id);
        erase_aside(&self.names, &self.ownership, aside, visitor, self.timekeeper.now())
    }
}

/// The same for files that no server has.
///
/// # Errors
/// When the files are another process's.
pub(super) fn erase_alone(
    names: &Names,
    ownership: &Arc<Ownership>,
    visitor: &Visitor,
    now: Timestamp,
) -> Result<Erased, files::NotOurs> {
    ownership.take()?;
    let aside = erase::count(names.active(), false, visitor).and_then(|lines| match lines {
        0 => Ok(()),
        _ => Active::new(names.clone(), Arc::clone(ownership)).rotate_if_due(now, Some(0)).map(drop),
    });
    Ok(erase_aside(names, ownership, aside, visitor, now))
}

/// Erases a visitor from files that nobody writes any more, the one that has been moved `aside` among them.
fn erase_aside(
    names: &Names,
    ownership: &Ownership,
    aside: io::Result<()>,
    visitor: &Visitor,
    now: Timestamp,
) -> Erased {
    if let Err(error) = ownership.take() {
        return Erased { faults: vec![error.to_string()], ..Erased::default() };
    }
    // Of two forms of a file one goes first: if only one of them was rewritten, they would not be the same any more.
    let mut passed = Passed::begun(now);
    look_after(names, ownership, NO_RULES, None, |_| true, &|| false, &mut passed);
    let mut erased = erase::from_shards(names, visitor);
    erased.faults.append(&mut passed.faults);
    if let Err(error) = aside {
        erased.faults.push(format!("the file that is written: {error}"));
    }
    erased
}

/// Looks after files that no server has. Somebody asks for it by hand, so the clock is trusted if it was ever set.
///
/// # Errors
/// When the files are another process's.
pub(super) fn pass_alone(
    names: &Names,
    ownership: &Arc<Ownership>,
    rules: Rules,
    now: Timestamp,
) -> Result<Passed, files::NotOurs> {
    ownership.take()?;
    let mut passed = Passed::begun(now);
    match Active::new(names.clone(), Arc::clone(ownership)).rotate_if_due(now, rules.max_bytes) {
        Ok(rotated) => passed.rotated = rotated,
        Err(error) => passed.faults.push(format!("the file cannot be rotated: {error}")),
    }
    let is_steady = now >= TIME_MIN;
    let horizon = rules.keep_days.map(|days| Horizon { before: now.earlier(DAY * (days - 1)), now, is_steady });
    look_after(names, ownership, rules, horizon.as_ref(), |_| is_steady, &|| false, &mut passed);
    Ok(passed)
}

/// Carries out what is planned for files that nobody writes any more.
fn look_after(
    names: &Names,
    ownership: &Ownership,
    rules: Rules,
    horizon: Option<&Horizon>,
    mut allows: impl FnMut(Option<Timestamp>) -> bool,
    stop: &dyn Fn() -> bool,
    passed: &mut Passed,
) {
    let found = match files::list(names) {
        Ok(found) => found,
        Err(error) => return passed.faults.push(format!("the directory cannot be read: {error}")),
    };
    let today = Day::of(passed.at);
    let planned = plan(names, &found, today, rules.gzip_after_days, horizon);
    if planned == Plan::default() {
        return;
    }
    if let Err(error) = ownership.take() {
        return passed.faults.push(error.to_string());
    }
    let mut faults = Vec::new();
    let mut tried = |name: &str, done: io::Result<()>| match done {
        Ok(()) => true,
        // Somebody has removed it by hand.
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => {
            faults.push(format!("{name}: {error}"));
            false
        }
    };
    for name in &planned.discard {
        tried(name, files::remove(names, name));
    }
    for shard in &planned.settle {
        let others = found.iter().filter_map(|found| match names.read(&found.name) {
            Named::Shard(shard) => Some(shard),
            _ => None,
        });
        let others: Vec<Shard> = others.collect();
        tried(&shard.name, settle(names, shard, &others, today));
    }
    for (from, to) in &planned.redate {
        if tried(from, files::rename(&names.path(from), &names.path(to))) {
            log::warn!(from, to; "behaviour.redated");
        }
    }
    // First what makes room.
    if allows(planned.oldest) {
        for name in &planned.expired {
            if tried(name, files::remove(names, name)) {
                log::info!(name; "behaviour.removed");
                passed.removed += 1;
            }
        }
    } else {
        passed.waiting = planned.expired.len();
    }
    for name in &planned.pack {
        if stop() {
            break;
        }
        let mut whole = false;
        let done = files::compress(names, name, stop).map(|done| whole = done);
        if tried(name, done) && whole {
            passed.compressed += 1;
        }
    }
    passed.faults.append(&mut faults);
}

/// There are both forms of a file. If they say the same, the process ended before it could remove the plain one; if not, both
/// stay, under different names.
fn settle(names: &Names, plain: &Shard, others: &[Shard], today: Day) -> io::Result<()> {
    let path = names.path(&plain.name);
    if files::is_same(&path, &names.path(&packed(&plain.name)))? {
        return std::fs::remove_file(path);
    }
    let free = names.free(plain.day.unwrap_or(today), others.iter());
    log::warn!(from = plain.name, to = free; "behaviour.two_files_of_one_name");
    files::rename(&path, &names.path(&free))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const RULES: Rules = Rules { max_bytes: None, gzip_after_days: Some(3), keep_days: Some(30) };

    fn now(day: &str) -> Timestamp {
        Day::parse(day).unwrap().begins().later(DAY / 2)
    }

    fn files_in(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| !name.ends_with(".lock"));
        names.sort_unstable();
        names
    }

    #[test]
    fn what_ended_in_the_middle_is_finished_by_the_next_look_and_nothing_is_doubled() {
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path();
        let names = Names::of(&here.join("metrics.jsonl"));
        let ownership = Arc::new(Ownership::of(names.clone()));
        let pass = || pass_alone(&names, &ownership, RULES, now("2025-11-08")).unwrap();
        let (name, text) = ("metrics-2025-11-01.jsonl", "{\"a\": 1}\n".repeat(1000));
        // Renamed, and not yet removed.
        std::fs::write(here.join(name), &text).unwrap();
        assert!(files::compress(&names, name, &|| false).unwrap());
        std::fs::write(here.join(name), &text).unwrap();
        // Half written.
        std::fs::write(here.join("metrics-2025-11-02.jsonl"), &text).unwrap();
        std::fs::write(here.join("metrics-2025-11-02.jsonl.gz.tmp"), "half").unwrap();
        let passed = pass();
        assert_eq!((passed.compressed, passed.removed, passed.faults.as_slice()), (1, 0, &[][..]));
        assert_eq!(files_in(here), ["metrics-2025-11-01.jsonl.gz", "metrics-2025-11-02.jsonl.gz"]);
        // One of the same name that says something else.
        std::fs::write(here.join(name), "{\"b\": 2}\n").unwrap();
        assert_eq!(pass().faults, [""; 0]);
        let kept = ["metrics-2025-11-01.1.jsonl", "metrics-2025-11-01.jsonl.gz", "metrics-2025-11-02.jsonl.gz"];
        assert_eq!(files_in(here), kept);
        assert_eq!(pass().compressed, 1);
        assert_eq!(files_in(here)[0], "metrics-2025-11-01.1.jsonl.gz");
    }

    #[test]
    fn by_hand_a_clock_that_was_never_set_removes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path();
        let names = Names::of(&here.join("metrics.jsonl"));
        let ownership = Arc::new(Ownership::of(names.clone()));
        let all = ["metrics-2025-10-01.jsonl", "metrics-2025-11-07.jsonl"];
        all.iter().for_each(|name| std::fs::write(here.join(name), "x\n").unwrap());
        pass_alone(&names, &ownership, RULES, Timestamp(7)).unwrap();
        assert_eq!(files_in(here), all);
        let passed = pass_alone(&names, &ownership, RULES, now("2025-11-08")).unwrap();
        assert_eq!((passed.removed, files_in(here)), (1, vec![all[1].to_owned()]));
    }
}
