//! What is to be done with the files: a listing, a time and the settings in, steps out. It touches no file.
//!
//! Whether the active file is to be moved aside is [`is_due`]; all else is about files that nobody writes any more, by the day
//! in their names. What has no day in its name is as old as its last change (contract 02 §2.4).

use super::names::{Named, Names, Shard, packed, plain};
use super::time::Day;
use crate::clock::steady::Horizon;
use crate::clock::{DAY, Timestamp};

/// One file of the directory.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) name: String,
    pub(super) modified: Timestamp,
}

/// What is to be done, kind by kind in this order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// To remove: what was left behind half made.
    pub(super) discard: Vec<String>,
    /// Plain files that are also there compressed: one of the two was to be removed when the process ended.
    pub(super) settle: Vec<Shard>,
    /// Files of a day that cannot be, and the names that they get, of today.
    pub(super) redate: Vec<(String, String)>,
    /// To compress.
    pub(super) pack: Vec<String>,
    /// To remove, if the clock is to be trusted: too old.
    pub(super) expired: Vec<String>,
    /// The end of the oldest day of these.
    pub(super) oldest: Option<Timestamp>,
}

/// Whether a file whose first line came on this day is to be moved aside: another day has begun, or it is large enough. An
/// empty one has no such day, and is never.
pub(super) fn is_due(first_line: Option<Day>, bytes: u64, today: Day, max_bytes: Option<u64>) -> bool {
    first_line.is_some_and(|day| day != today) || (bytes > 0 && max_bytes.is_some_and(|max| bytes >= max))
}

/// What is to be done with these files on a day. Files are compressed when they are `pack_after` days old, if at all, and are too
/// old when the end of their day lies before that of `horizon`, if there is one.
pub(super) fn plan(
    names: &Names,
    found: &[Found],
    today: Day,
    pack_after: Option<u32>,
    horizon: Option<&Horizon>,
) -> Plan {
    let mut plan = Plan::default();
    let mut shards: Vec<(Shard, Timestamp)> = Vec::new();
    for Found { name, modified } in found {
        match names.read(name) {
            Named::Unfinished => plan.discard.push(name.clone()),
            Named::Shard(shard) => {
                let begins = shard.day.map_or(*modified, Day::begins);
                shards.push((shard, begins));
            }
            Named::Other => {}
        }
    }
    shards.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
    let is_there = |name: &str| shards.binary_search_by(|(shard, _)| shard.name.as_str().cmp(name)).is_ok();
    // Their names while this pass gives out new ones.
    let mut taken: Vec<Shard> = shards.iter().map(|(shard, _)| shard.clone()).collect();
    for (shard, begins) in &shards {
        let name = shard.name.clone();
        if shard.packed && is_there(plain(&name)) {
            continue;
        }
        if !shard.packed && is_there(&packed(&name)) {
            plan.settle.push(shard.clone());
            continue;
        }
        if let (Some(horizon), Some(_)) = (horizon, shard.day)
            && !horizon.is_credible(*begins)
        {
            if horizon.is_steady {
                let free = names.free(today, taken.iter());
                if let Named::Shard(new) = names.read(&free) {
                    taken.push(new);
                }
                let free = if shard.packed { packed(&free) } else { free };
                plan.redate.push((name, free));
            }
            continue;
        }
        // By its end, so that nothing of it is taken for older than it is.
        let ends = begins.later(DAY);
        if horizon.is_some_and(|horizon| horizon.is_credible(*begins) && ends < horizon.before) {
            plan.oldest = Some(plan.oldest.map_or(ends, |oldest| oldest.min(ends)));
            plan.expired.push(name);
        } else if !shard.packed && pack_after.is_some_and(|days| Day::of(*begins).before(today) >= i64::from(days)) {
            plan.pack.push(name);
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    /// On this day at this hour, where files are kept for 30 days.
    fn horizon(today: &str, hour: u64) -> Horizon {
        let now = day(today).begins().later(Duration::from_secs(hour * 3600));
        Horizon { before: now.earlier(29 * DAY), now, is_steady: true }
    }

    fn planned(names: &[&str], today: &str, horizon: Option<&Horizon>) -> Plan {
        let found: Vec<Found> = names
            .iter()
            .map(|name| {
                // Of a file without a day in its name, it says when it was changed.
                let modified = name.split_once('@').map_or("2001-01-01", |(_, day)| &day[..10]);
                Found { name: (*name).to_owned(), modified: day(modified).begins() }
            })
            .collect();
        plan(&Names::of(Path::new("metrics.jsonl")), &found, day(today), Some(3), horizon)
    }

    #[test]
    fn the_active_file_is_due_by_day_or_size() {
        let (today, yesterday) = (day("2025-10-09"), day("2025-10-08"));
        let max = Some(1000);
        assert!(is_due(Some(yesterday), 1, today, max) && is_due(Some(day("2038-01-01")), 1, today, None));
        assert!(is_due(Some(today), 1000, today, max) && !is_due(Some(today), 999, today, max));
        assert!(!is_due(Some(today), u64::MAX, today, None));
        assert!(!is_due(None, 0, today, Some(0)), "no empty shards are made");
        assert!(is_due(Some(today), 1, today, Some(0)), "at once, if that is asked for");
    }

    #[test]
    fn days_in_names_decide_what_is_compressed_and_what_goes() {
        let files = [
            "metrics-2025-11-08.jsonl",
            "metrics-2025-11-06.jsonl",
            "metrics-2025-11-05.2.jsonl",
            "metrics-2025-11-05.jsonl.gz",
            "metrics-2025-10-10.jsonl.gz",
            "metrics-2025-10-09.jsonl.gz",
            "metrics-2025-10-09.1.jsonl",
            "metrics-2025-10-01.jsonl",
            "metrics.jsonl",
            "inkring.db",
        ];
        let plan = planned(&files, "2025-11-08", Some(&horizon("2025-11-08", 0)));
        assert_eq!(plan.pack, ["metrics-2025-10-09.1.jsonl", "metrics-2025-11-05.2.jsonl"]);
        assert_eq!(
            plan.expired,
            ["metrics-2025-10-01.jsonl"],
            "at the first moment of the day it is 30 days, and no more"
        );
        let plan = planned(&files, "2025-11-08", Some(&horizon("2025-11-08", 1)));
        let old = ["metrics-2025-10-01.jsonl", "metrics-2025-10-09.1.jsonl", "metrics-2025-10-09.jsonl.gz"];
        assert_eq!(plan.expired, old, "what is too old is not compressed first");
        assert_eq!(plan.oldest, Some(day("2025-10-02").begins()));
        assert_eq!(planned(&files, "2025-11-08", None).expired, [""; 0], "kept for ever");
    }

    #[test]
    fn what_an_end_in_the_middle_has_left_is_put_in_order_first() {
        let files = [
            "metrics-2025-11-01.jsonl",
            "metrics-2025-11-01.jsonl.gz",
            "metrics-2025-11-02.jsonl.gz.tmp",
            "metrics-2025-11-02.jsonl",
            "metrics-2025-01-01.jsonl",
            "metrics-2025-01-01.jsonl.gz",
        ];
        let plan = planned(&files, "2025-11-08", Some(&horizon("2025-11-08", 1)));
        assert_eq!(plan.discard, ["metrics-2025-11-02.jsonl.gz.tmp"]);
        let settled: Vec<&str> = plan.settle.iter().map(|shard| shard.name.as_str()).collect();
        assert_eq!(settled, ["metrics-2025-01-01.jsonl", "metrics-2025-11-01.jsonl"]);
        assert_eq!((plan.pack, plan.expired), (vec!["metrics-2025-11-02.jsonl".to_owned()], Vec::new()));
    }

    #[test]
    fn a_day_that_cannot_be_becomes_today_once_the_clock_is_believed() {
        let files = [
            "metrics-2038-11-25.jsonl",
            "metrics-1970-01-01.jsonl.gz",
            "metrics-2025-11-08.jsonl",
            "metrics-2025-11-09.jsonl",
        ];
        let steady = horizon("2025-11-08", 12);
        let plan = planned(&files, "2025-11-08", Some(&steady));
        let redated = [
            ("metrics-1970-01-01.jsonl.gz", "metrics-2025-11-08.1.jsonl.gz"),
            ("metrics-2038-11-25.jsonl", "metrics-2025-11-08.2.jsonl"),
        ];
        assert_eq!(plan.redate, redated.map(|(from, to)| (from.to_owned(), to.to_owned())));
        assert_eq!(plan.expired, [""; 0]);
        let doubtful = planned(&files, "2025-11-08", Some(&Horizon { is_steady: false, ..steady }));
        assert_eq!((doubtful.redate.len(), doubtful.expired.len()), (0, 0));
    }

    #[test]
    fn foreign_names_are_as_old_as_their_last_change() {
        let files = ["metrics-a@2025-10-08.jsonl", "metrics-b@2025-11-01.jsonl", "metrics-c@2025-11-07.jsonl.gz"];
        let plan = planned(&files, "2025-11-08", Some(&horizon("2025-11-08", 1)));
        assert_eq!((plan.expired, plan.pack), (vec![files[0].to_owned()], vec![files[1].to_owned()]));
        assert_eq!(
            planned(&["metrics-x.jsonl"], "2025-11-08", Some(&horizon("2025-11-08", 1))).expired,
            [""; 0],
            "of 2001"
        );
    }

    proptest! {
        #[test]
        fn nothing_is_done_twice_and_no_name_is_given_away_twice(
            days in prop::collection::btree_set((0..3000_i64, 0..3_u32, any::<bool>()), 0..30), steady: bool,
        ) {
            let names = Names::of(Path::new("metrics.jsonl"));
            let name = |(offset, number, is_packed): &(i64, u32, bool)| {
                let day = Day::of(Timestamp(1_700_000_000_000_000 + offset * 86_400_000_000));
                let name = names.shard(day, *number);
                if *is_packed { packed(&name) } else { name }
            };
            let files: Vec<String> = days.iter().map(name).collect();
            let listed: Vec<&str> = files.iter().map(String::as_str).collect();
            let horizon = Horizon { is_steady: steady, ..horizon("2026-11-08", 12) };
            let plan = planned(&listed, "2026-11-08", Some(&horizon));
            let settled = plan.settle.iter().map(|shard| shard.name.clone());
            let from: Vec<String> = settled
                .chain(plan.redate.iter().map(|(from, _)| from.clone()))
                .chain(plan.pack.clone())
                .chain(plan.expired.clone())
                .collect();
            let to: Vec<&str> = plan.redate.iter().map(|(_, to)| plain(to)).collect();
            prop_assert!(from.iter().all(|name| files.contains(name)));
            let unique: std::collections::BTreeSet<&String> = from.iter().collect();
            prop_assert_eq!(unique.len(), from.len());
            let new: std::collections::BTreeSet<&&str> = to.iter().collect();
            prop_assert_eq!(new.len(), to.len());
            prop_assert!(to.iter().all(|name| !files.iter().any(|known| plain(known) == *name)));
        }
    }
}
