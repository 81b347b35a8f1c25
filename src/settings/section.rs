//! The headings that settings are listed under.

use super::Knob;

/// A heading. Who needs one that is not here declares it beside its knobs.
#[derive(Debug)]
pub struct Section {
    /// As it is shown to an operator.
    pub title: &'static str,
    /// The section that it comes after; without one, after all of the platform's.
    pub after: Option<&'static Self>,
}

impl Section {
    const fn of_platform(title: &'static str) -> Self {
        Self { title, after: None }
    }
}

/// What kind of installation this is.
pub static GENERAL: Section = Section::of_platform("General");
/// The listening socket and the threads behind it.
pub static SERVER: Section = Section::of_platform("Server");
/// The database and the writer in front of it.
pub static STORAGE: Section = Section::of_platform("Storage");
/// What is logged, and how.
pub static LOGS: Section = Section::of_platform("Logs");
/// Who may reach the server and who is believed.
pub static ACCESS: Section = Section::of_platform("Access");
/// Limits on connections and on the requests they carry.
pub static CONNECTIONS: Section = Section::of_platform("Connections");
/// Limits on how often somebody asks.
pub static RATES: Section = Section::of_platform("Rate limits");
/// Limits on WebSockets.
pub static SOCKETS: Section = Section::of_platform("Sockets");
/// What is recorded of who changed what.
pub static AUDIT: Section = Section::of_platform("Audit");
/// What only the operator sees.
pub static OPERATIONS: Section = Section::of_platform("Operations");

/// Those of the platform, in the order in which they are shown.
const PLATFORM: [&Section; 10] =
    [&GENERAL, &SERVER, &STORAGE, &LOGS, &ACCESS, &CONNECTIONS, &RATES, &SOCKETS, &AUDIT, &OPERATIONS];

/// The knobs of these owners as they are shown: section by section, and in each of them in the order of the owners, but that
/// a knob which is to stand behind another one does.
#[must_use]
pub fn in_order(owners: &[&[&'static Knob]]) -> Vec<&'static Knob> {
    let knobs: Vec<&'static Knob> = owners.iter().flat_map(|knobs| knobs.iter().copied()).collect();
    let mut sections: Vec<&'static Section> = PLATFORM.to_vec();
    for section in knobs.iter().map(|knob| knob.section) {
        let is = |other: &Section| sections.iter().position(|known| known.title == other.title);
        if is(section).is_none() {
            let place = section.after.and_then(is).map_or(sections.len(), |before| before + 1);
            sections.insert(place, section);
        }
    }
    let mut shown: Vec<&'static Knob> = Vec::with_capacity(knobs.len());
    for section in sections {
        let (behind, first): (Vec<_>, Vec<_>) = knobs
            .iter()
            .copied()
            .filter(|knob| knob.section.title == section.title)
            .partition(|knob| knob.after.is_some());
        shown.extend(first);
        for knob in behind {
            let place = shown.iter().position(|known| knob.after.is_some_and(|before| before.name == known.name));
            shown.insert(place.map_or(shown.len(), |before| before + 1), knob);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::super::flag;
    use super::*;

    static OURS: Section = Section { title: "Ours", after: Some(&RATES) };
    static LAST: Section = Section { title: "Last", after: None };
    static ONE: Knob = flag(&STORAGE, "ONE", "false");
    static TWO: Knob = flag(&STORAGE, "TWO", "false");
    static BETWEEN: Knob = flag(&STORAGE, "BETWEEN", "false").after(&ONE);
    static SOCKET: Knob = flag(&SOCKETS, "SOCKET", "false");
    static OWN: Knob = flag(&OURS, "OWN", "false");
    static OTHER: Knob = flag(&LAST, "OTHER", "false");

    #[test]
    fn knobs_are_shown_by_section_and_each_stands_where_it_wants() {
        let shown = in_order(&[&[&OTHER, &SOCKET], &[&ONE, &TWO], &[&BETWEEN, &OWN]]);
        let names: Vec<_> = shown.iter().map(|knob| knob.name).collect();
        assert_eq!(names, ["ONE", "BETWEEN", "TWO", "OWN", "SOCKET", "OTHER"]);
    }
}
