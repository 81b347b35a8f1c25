//! The headings that settings and metrics are listed under.

/// A heading. Who needs one that is not here declares it beside what stands under it.
#[derive(Debug)]
pub struct Section {
    /// As it is shown to an operator.
    pub title: &'static str,
    /// The section that it comes after; without one, after all of the platform's.
    pub after: Option<&'static Self>,
}

impl Section {
    /// One that has its place in the list of the platform.
    pub const fn of_platform(title: &'static str) -> Self {
        Self { title, after: None }
    }
}

/// What is declared by an owner and listed with what others declare.
pub trait Listed: 'static {
    /// The heading that it stands under, and what it stands behind there, if that is not left to the order of the owners.
    fn place(&self) -> (&'static Section, Option<&'static Self>);
}

/// What these owners declare as it is shown: section by section, and in each of them in the order of the owners, except for
/// what is to stand behind something else.
pub fn in_sections<T: Listed>(platform: &[&'static Section], owners: &[&[&'static T]]) -> Vec<&'static T> {
    let all: Vec<&'static T> = owners.iter().flat_map(|owned| owned.iter().copied()).collect();
    let mut sections = platform.to_vec();
    for section in all.iter().map(|one| one.place().0) {
        let is = |other: &Section| sections.iter().position(|known| known.title == other.title);
        if is(section).is_none() {
            let place = section.after.and_then(is).map_or(sections.len(), |before| before + 1);
            sections.insert(place, section);
        }
    }
    let mut shown: Vec<&'static T> = Vec::with_capacity(all.len());
    for section in sections {
        let here = all.iter().copied().filter(|one| one.place().0.title == section.title);
        let (behind, first): (Vec<_>, Vec<_>) = here.partition(|one| one.place().1.is_some());
        shown.extend(first);
        for one in behind {
            let before = one.place().1;
            let place = shown.iter().position(|known| before.is_some_and(|before| std::ptr::eq(before, *known)));
            shown.insert(place.map_or(shown.len(), |before| before + 1), one);
        }
    }
    shown
}
