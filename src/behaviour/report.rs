//! What the lines of some days come to: lines in, a [`Report`] out. It knows no file and no clock, and its memory has an end
//! whatever the lines say.
//!
//! Days are those on which events came. What a program sent is counted by itself, and left out of everything else unless it is
//! asked for. Of paths, links and referrers query and fragment do not count.

use std::borrow::Cow;
use std::collections::HashMap;

use foldhash::fast::RandomState;
use memchr::{memchr, memchr2, memchr3, memrchr};
use serde::Serialize;

use super::programs::is_program;
use super::seen::Seen;
use super::tally::{Most, Texts, Visitors};
use super::time::{Day, parse as parse_time, utc};
use crate::clock::{SECOND_MICROS, Timestamp};

/// Days of a report.
pub(super) const REPORT_DAYS_MAX: u32 = 366;
/// What a report takes at most while it is made: its tables are full, and one of them grows.
pub(super) const REPORT_MAX_BYTES: usize = 32 * 1024 * 1024;
/// Unless asked for otherwise.
pub(super) const DAYS_DEFAULT: u32 = 7;
pub(super) const TOP_DEFAULT: u32 = 20;
/// Different events of a report that are told apart.
pub(super) const NAMES_MAX: usize = 500;
/// Rows of a table of the most frequent.
pub(super) const TOP_MAX: u32 = 1000;
/// Agents that are known to be programs, or none.
const AGENTS_KNOWN: usize = 1024;
/// Minutes that are shown one by one.
const MINUTES: i64 = 60;
const MINUTE_MICROS: i64 = 60 * SECOND_MICROS;
/// The events of which paths and links are counted, as our script sends them.
const PAGE_VIEW: &str = "page_view";
const LINK_CLICK: &str = "link_click";

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The time; its day is the last one.
    pub(super) now: Timestamp,
    /// How many days, from 1 to [`REPORT_DAYS_MAX`].
    pub(super) days: u32,
    /// Whether programs count like people.
    pub(super) with_programs: bool,
    /// How many of the most frequent are listed, up to [`TOP_MAX`].
    pub(super) top: u32,
}

impl Wanted {
    /// The first day.
    pub(super) fn from(&self) -> Day {
        Day::of(self.now).plus(1 - i64::from(self.days))
    }
}

/// Counts lines.
pub(super) struct Tally {
    wanted: Wanted,
    from: Day,
    days: Vec<OfDay>,
    visitors: Visitors,
    /// Their numbers are their places in [`OfDay::by_name`]. Those that find no room have the place behind them.
    names: HashMap<Box<str>, usize, RandomState>,
    paths: Texts,
    links: Texts,
    referrers: Texts,
    minutes: Vec<u64>,
    agents: Agents,
    /// The day that was last looked up, as lines have it.
    last_day: ([u8; 10], Option<usize>),
    lines: LineCounts,
}

#[derive(Default, Clone)]
struct OfDay {
    counts: Counts,
    by_name: Vec<Counts>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    events: u64,
    programs: u64,
}

impl Counts {
    fn add(&mut self, is_program: bool, counts: bool) {
        self.events += u64::from(counts);
        self.programs += u64::from(is_program);
    }
}

impl Tally {
    /// Nothing yet.
    pub(super) fn new(wanted: Wanted) -> Self {
        let days = wanted.days.clamp(1, REPORT_DAYS_MAX) as usize;
        Self {
            wanted,
            from: wanted.from(),
            days: vec![OfDay::default(); days],
            visitors: Visitors::new(days),
            names: HashMap::default(),
            paths: Texts::default(),
            links: Texts::default(),
            referrers: Texts::default(),
            minutes: vec![0; MINUTES as usize],
            agents: Agents::new(),
            last_day: ([0; 10], None),
            lines: LineCounts::default(),
        }
    }

    /// One line.
    pub(super) fn line(&mut self, line: &[u8]) {
        self.lines.read += 1;
        let Some(seen) = Seen::read(line) else {
            // One without its end is being written, or was torn, which is counted when the file is opened to be written.
            return self.lines.bad += u64::from(line.ends_with(b"\n"));
        };
        let Some((day, minute)) = self.moment(seen.said_at()) else { return self.lines.bad += 1 };
        let Some(day) = day else { return };
        self.lines.counted += 1;
        let is_program = seen.user_agent.as_deref().is_some_and(|agent| self.agents.is_program(agent));
        let counts = self.wanted.with_programs || !is_program;
        let name = self.number_of(&seen.name);
        let of_day = &mut self.days[day];
        of_day.counts.add(is_program, counts);
        if of_day.by_name.len() <= name {
            of_day.by_name.resize(name + 1, Counts::default());
        }
        of_day.by_name[name].add(is_program, counts);
        if !counts {
            return;
        }
        self.visitors.add(day, &seen.visitor_id);
        if let Some(minute) = minute {
            self.minutes[minute] += 1;
        }
        let metadata = &seen.metadata;
        match &*seen.name {
            PAGE_VIEW => {
                metadata.path.as_deref().into_iter().for_each(|path| self.paths.add(without_query(path)));
                let host = metadata.referrer.as_deref().and_then(host);
                host.into_iter().for_each(|host| self.referrers.add(&host));
            }
            LINK_CLICK => metadata.href.as_deref().into_iter().for_each(|href| self.links.add(without_query(href))),
            _ => {}
        }
    }

    /// A line that was too long to be read.
    pub(super) fn too_long(&mut self) {
        self.lines.read += 1;
        self.lines.bad += 1;
    }

    fn number_of(&mut self, name: &str) -> usize {
        if let Some(number) = self.names.get(name) {
            return *number;
        }
        let number = self.names.len();
        if number < NAMES_MAX {
            self.names.insert(name.into(), number);
        }
        number
    }

    /// Which of the days, and which of the last minutes, a time is of; nothing if it is none.
    fn moment(&mut self, at: &str) -> Option<(Option<usize>, Option<usize>)> {
        let bytes = at.as_bytes();
        let is_known = bytes.len() >= 20 && bytes.ends_with(b"Z") && bytes.starts_with(&self.last_day.0);
        // Nearly all lines are of the day of the line before, and of a day that is over nothing else matters.
        let last = self.days.len() - 1;
        if is_known && self.last_day.1.is_none_or(|day| day + 1 < last) {
            return Some((self.last_day.1, None));
        }
        let moment = parse_time(at).ok()?;
        let day = usize::try_from(self.from.before(Day::of(moment))).ok().filter(|day| *day <= last);
        if let (true, Some(beginning)) = (bytes.ends_with(b"Z"), bytes.first_chunk::<10>()) {
            self.last_day = (*beginning, day);
        }
        let minute = moment.0.div_euclid(MINUTE_MICROS) - first_minute(self.wanted.now);
        Some((day, usize::try_from(minute).ok().filter(|minute| *minute < self.minutes.len())))
    }

    /// What it comes to.
    pub(super) fn done(self) -> Report {
        let Self { wanted, from, days, visitors, names, paths, links, referrers, minutes, lines, .. } = self;
        let mut known: Vec<Option<&str>> = vec![None; names.len() + 1];
        names.iter().for_each(|(name, number)| known[*number] = Some(name));
        let named = |by_name: &[Counts]| {
            let found = by_name.iter().enumerate().filter(|(_, counts)| **counts != Counts::default());
            let rows = found.map(|(number, counts)| OfName {
                event: known.get(number).copied().flatten().map(str::to_owned),
                events: counts.events,
                programs: counts.programs,
            });
            let mut rows: Vec<OfName> = rows.collect();
            rows.sort_by(|one, other| {
                (other.events, other.programs)
                    .cmp(&(one.events, one.programs))
                    .then_with(|| one.event.cmp(&other.event))
            });
            rows
        };
        let mut all = OfDay { counts: Counts::default(), by_name: vec![Counts::default(); names.len() + 1] };
        for day in &days {
            all.counts.events += day.counts.events;
            all.counts.programs += day.counts.programs;
            for (all, of_day) in all.by_name.iter_mut().zip(&day.by_name) {
                all.events += of_day.events;
                all.programs += of_day.programs;
            }
        }
        let of_days = days.iter().enumerate().map(|(nth, day)| {
            let (visitors, visitors_exact) = visitors.of_day(nth);
            ReportedDay {
                day: from.plus(nth as i64).to_string(),
                events: day.counts.events,
                visitors,
                visitors_exact,
                programs: day.counts.programs,
                by_event: named(&day.by_name),
            }
        });
        let (count, exact) = visitors.of_all();
        let top = wanted.top.min(TOP_MAX) as usize;
        Report {
            from: from.to_string(),
            to: Day::of(wanted.now).to_string(),
            with_programs: wanted.with_programs,
            events: all.counts.events,
            visitors: count,
            visitors_exact: exact,
            programs: all.counts.programs,
            by_event: named(&all.by_name),
            days: of_days.collect(),
            paths: paths.most(top).into(),
            links: links.most(top).into(),
            referrers: referrers.most(top).into(),
            last_hour: LastHour {
                from: utc(Timestamp(first_minute(wanted.now) * MINUTE_MICROS)).to_string(),
                events: minutes,
            },
            lines,
            files: 0,
            faults: Vec::new(),
        }
    }
}

/// The first of the minutes that are shown, since 1970. The last one is the one that is not over.
fn first_minute(now: Timestamp) -> i64 {
    now.0.div_euclid(MINUTE_MICROS) - (MINUTES - 1)
}

fn without_query(text: &str) -> &str {
    memchr2(b'?', b'#', text.as_bytes()).map_or(text, |end| &text[..end])
}

/// The host of an address, with or without the rest of it; none where there is none.
fn host(referrer: &str) -> Option<Cow<'_, str>> {
    let after_scheme = memchr(b':', referrer.as_bytes()).and_then(|end| referrer[end + 1..].strip_prefix("//"));
    let rest = after_scheme.unwrap_or(referrer);
    let authority = memchr3(b'/', b'?', b'#', rest.as_bytes()).map_or(rest, |end| &rest[..end]);
    let host = memrchr(b'@', authority.as_bytes()).map_or(authority, |end| &authority[end + 1..]);
    match host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        _ if host.is_empty() => None,
        true => Some(Cow::Owned(host.to_ascii_lowercase())),
        false => Some(Cow::Borrowed(host)),
    }
}

/// Agents that were looked at: most lines have one of a few.
struct Agents {
    known: Vec<Option<(u64, bool)>>,
    hasher: RandomState,
}

impl Agents {
    fn new() -> Self {
        Self { known: vec![None; AGENTS_KNOWN], hasher: RandomState::default() }
    }

    fn is_program(&mut self, agent: &str) -> bool {
        use std::hash::BuildHasher as _;
        let hash = self.hasher.hash_one(agent);
        let place = &mut self.known[hash as usize % AGENTS_KNOWN];
        match place {
            Some((known, is_program)) if *known == hash => *is_program,
            _ => place.insert((hash, is_program(agent))).1,
        }
    }
}

/// What the lines of some days come to. What is `false` under a name with `exact` is right to about 3 %.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Report {
    /// The first day, UTC.
    pub(super) from: String,
    /// The last day.
    pub(super) to: String,
    /// Whether programs count like people.
    pub(super) with_programs: bool,
    pub(super) events: u64,
    /// Different ones; who came on two days is one.
    pub(super) visitors: u64,
    pub(super) visitors_exact: bool,
    /// Events of programs.
    pub(super) programs: u64,
    /// Most frequent first.
    pub(super) by_event: Vec<OfName>,
    /// All of them, from the first to the last.
    pub(super) days: Vec<ReportedDay>,
    pub(super) paths: Top,
    pub(super) links: Top,
    pub(super) referrers: Top,
    pub(super) last_hour: LastHour,
    pub(super) lines: LineCounts,
    /// How many files were read.
    pub(super) files: u64,
    /// What could not be read, in sentences.
    pub(super) faults: Vec<String>,
}

/// One day.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct ReportedDay {
    pub(super) day: String,
    pub(super) events: u64,
    pub(super) visitors: u64,
    pub(super) visitors_exact: bool,
    pub(super) programs: u64,
    pub(super) by_event: Vec<OfName>,
}

/// One kind of event.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct OfName {
    /// None for all those for which there was no room.
    pub(super) event: Option<String>,
    pub(super) events: u64,
    pub(super) programs: u64,
}

/// The most frequent of many texts.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Top {
    /// By how much a count may be too low, and how often a text may have come that is not listed; 0 if all is exact.
    pub(super) missed_at_most: u64,
    pub(super) rows: Vec<TopRow>,
}

/// One of them.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct TopRow {
    pub(super) name: String,
    pub(super) events: u64,
}

impl From<Most> for Top {
    fn from(most: Most) -> Self {
        let rows = most.rows.into_iter().map(|(name, events)| TopRow { name: name.into(), events });
        Self { missed_at_most: most.missed, rows: rows.collect() }
    }
}

/// Events minute by minute.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct LastHour {
    /// When the first minute began.
    pub(super) from: String,
    /// Of each minute; the last one is not over.
    pub(super) events: Vec<u64>,
}

/// What was read.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct LineCounts {
    pub(super) read: u64,
    /// Those of the days.
    pub(super) counted: u64,
    /// Those that are no event.
    pub(super) bad: u64,
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const NOW: Timestamp = Timestamp(1_760_013_297_000_000);

    fn wanted(days: u32, with_programs: bool) -> Wanted {
        Wanted { now: NOW, days, with_programs, top: 5 }
    }

    fn report(lines: &[String], wanted: Wanted) -> Report {
        let mut tally = Tally::new(wanted);
        lines.iter().for_each(|line| tally.line(line.as_bytes()));
        tally.done()
    }

    fn line(visitor: &str, event: &str, metadata: &Value, agent: Option<&str>, received_at: &str) -> String {
        let (visitor, event, agent) = (json!(visitor), json!(event), json!(agent));
        format!(
            "{{\"visitor_id\": {visitor}, \"event\": {event}, \"timestamp\": \"2001-01-01T00:00:00Z\", \"metadata\": {metadata}, \
             \"user_agent\": {agent}, \"received_at\": \"{received_at}\"}}\n"
        )
    }

    #[test]
    fn people_are_counted_and_programs_beside_them() {
        let bot = Some("AhrefsBot/7.0");
        let lines = [
            line(
                "v-000001",
                "page_view",
                &json!({ "path": "/a?x=1#y", "referrer": "https://News.example/x" }),
                None,
                "2025-10-09T12:34:00Z",
            ),
            line("v-000001", "page_view", &json!({ "path": "/a" }), Some("Mozilla"), "2025-10-09T11:35:00.5Z"),
            line(
                "v-000002",
                "link_click",
                &json!({ "href": "https://x.example/?q" }),
                Some(""),
                "2025-10-08T23:59:59Z",
            ),
            line("v-000003", "page_view", &json!({ "path": "/b" }), bot, "2025-10-09T00:00:00Z"),
            line("v-000004", "own", &json!({ "path": "/not a view" }), None, "2025-10-09T11:34:59Z"),
            line("v-000005", "page_view", &json!({ "path": "/old" }), None, "2025-10-07T23:59:59Z"),
            line("v-000006", "page_view", &json!({ "path": "/ahead" }), None, "2025-10-10T00:00:00Z"),
            "no line\n".to_owned(),
            line("v-000007", "page_view", &json!({}), None, "once upon a time"),
        ];
        let found = report(&lines, wanted(2, false));
        assert_eq!((found.from.as_str(), found.to.as_str()), ("2025-10-08", "2025-10-09"));
        assert_eq!((found.events, found.visitors, found.visitors_exact, found.programs), (4, 3, true, 1));
        assert_eq!(found.lines, LineCounts { read: 9, counted: 5, bad: 2 });
        let days: Vec<_> = found.days.iter().map(|day| (&*day.day, day.events, day.visitors, day.programs)).collect();
        assert_eq!(days, [("2025-10-08", 1, 1, 0), ("2025-10-09", 3, 2, 1)]);
        let names: Vec<_> =
            found.by_event.iter().map(|row| (row.event.as_deref().unwrap(), row.events, row.programs)).collect();
        assert_eq!(names, [("page_view", 2, 1), ("link_click", 1, 0), ("own", 1, 0)]);
        let rows = |top: &Top| top.rows.iter().map(|row| format!("{} {}", row.name, row.events)).collect::<Vec<_>>();
        assert_eq!(rows(&found.paths), ["/a 2"]);
        assert_eq!(rows(&found.links), ["https://x.example/ 1"]);
        assert_eq!(rows(&found.referrers), ["news.example 1"]);
        assert_eq!(found.last_hour.from, "2025-10-09T11:35:00Z");
        assert_eq!(
            (found.last_hour.events[0], found.last_hour.events[59], found.last_hour.events.iter().sum()),
            (1, 1, 2)
        );
        let all = report(&lines, wanted(2, true));
        assert_eq!((all.events, all.visitors, all.programs, all.paths.rows.len()), (5, 4, 1, 2));
    }

    #[test]
    fn so_many_names_are_told_apart_and_the_rest_is_counted_together() {
        let lines: Vec<String> = (0..NAMES_MAX + 20)
            .map(|number| line("v-000001", &format!("e{number}"), &json!({}), None, "2025-10-09T00:00:00Z"))
            .collect();
        let found = report(&lines, wanted(1, false));
        assert_eq!(found.by_event.len(), NAMES_MAX + 1);
        assert_eq!((found.by_event[0].event.as_deref(), found.by_event[0].events), (None, 20));
    }

    #[test]
    fn a_report_has_so_many_days_and_rows_and_no_more() {
        let lines: Vec<String> = (0..TOP_MAX + 10)
            .map(|number| {
                line("v-000001", "page_view", &json!({ "path": format!("/{number}") }), None, "2025-10-09T00:00:00Z")
            })
            .collect();
        let found = report(&lines, Wanted { top: u32::MAX, ..wanted(REPORT_DAYS_MAX, false) });
        assert_eq!((found.days.len(), found.paths.rows.len()), (REPORT_DAYS_MAX as usize, TOP_MAX as usize));
        assert_eq!(found.days.last().unwrap().events, u64::from(TOP_MAX) + 10);
    }

    #[test]
    fn hosts_are_found_in_what_pages_say() {
        for (referrer, expected) in [
            ("https://News.example/a?b", Some("news.example")),
            ("https://me:secret@news.example:8080#x", Some("news.example:8080")),
            ("news.example", Some("news.example")),
            ("", None),
            ("https:///x", None),
        ] {
            assert_eq!(host(referrer).as_deref(), expected, "{referrer}");
        }
    }

    /// Counted one by one, with everything in memory.
    fn model(lines: &[(u8, u8, u8, bool, i64)], days: i64) -> BTreeMap<String, (u64, BTreeSet<u8>, u64)> {
        let mut model = BTreeMap::new();
        let today = Day::of(NOW);
        (0..days).for_each(|back| _ = model.insert(today.plus(-back).to_string(), (0, BTreeSet::new(), 0)));
        for (visitor, _, _, is_program, at) in lines {
            let Some(day) = model.get_mut(&Day::of(Timestamp(*at)).to_string()) else { continue };
            if *is_program {
                day.2 += 1;
            } else {
                day.0 += 1;
                day.1.insert(*visitor);
            }
        }
        model
    }

    proptest! {
        #[test]
        fn a_report_is_what_a_simple_count_finds(
            lines in prop::collection::vec(
                (0..20_u8, 0..3_u8, 0..4_u8, any::<bool>(), NOW.0 - 6 * 86_400_000_000..NOW.0 + 86_400_000_000), 0..200),
            days in 1..5_u32,
        ) {
            let texts: Vec<String> = lines.iter().map(|(visitor, event, path, is_program, at)| {
                let event = ["page_view", "link_click", "own"][usize::from(*event)];
                let metadata = json!({ "path": format!("/{path}"), "href": format!("/{path}") });
                let agent = is_program.then_some("curl/8");
                line(&format!("v-{visitor:06}"), event, &metadata, agent, &utc(Timestamp(*at)).to_string())
            }).collect();
            let found = report(&texts, wanted(days, false));
            let model = model(&lines, i64::from(days));
            prop_assert_eq!(found.days.len(), model.len());
            for (day, (expected, (events, visitors, programs))) in found.days.iter().zip(&model) {
                prop_assert_eq!(&day.day, expected);
                prop_assert_eq!((day.events, day.visitors, day.programs), (*events, visitors.len() as u64, *programs));
                prop_assert_eq!(day.by_event.iter().map(|row| row.events).sum::<u64>(), *events);
            }
            prop_assert_eq!(found.events, found.by_event.iter().map(|row| row.events).sum::<u64>());
            let views = lines.iter().filter(|(_, event, _, is_program, at)| {
                *event == 0 && !is_program && model.contains_key(&Day::of(Timestamp(*at)).to_string())
            });
            prop_assert_eq!(found.paths.rows.iter().map(|row| row.events).sum::<u64>(), views.count() as u64);
        }
    }
}
