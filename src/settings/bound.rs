//! One bound, as data: everything that could grow has one, and `docs/BOUNDS.md` is made of them (G5).

use super::knob::{Kind, Knob};
use super::section::Section;

/// A bound as it is documented: a constant, whose row stands in the same file, or a setting that says so of itself
/// ([`Knob::at_bound`]).
#[derive(Debug, Clone, Copy)]
pub struct BoundRow {
    /// Where it is listed.
    pub section: &'static Section,
    /// The constant or the setting.
    pub name: &'static str,
    /// Its value; that of a setting is its default.
    pub value: u64,
    /// What is counted, in the plural.
    pub unit: &'static str,
    /// What it bounds.
    pub of: &'static str,
    /// What happens at the bound.
    pub then: &'static str,
    /// The test that goes to it, by its name; empty if there is none.
    pub test: &'static str,
}

impl BoundRow {
    /// A constant. Say what it bounds with [`BoundRow::of`].
    pub const fn new(section: &'static Section, name: &'static str, value: u64, unit: &'static str) -> Self {
        Self { section, name, value, unit, of: "", then: "", test: "" }
    }

    /// With what it bounds, and what happens at the bound.
    #[must_use]
    pub const fn of(self, of: &'static str, then: &'static str) -> Self {
        Self { of, then, ..self }
    }

    /// With the test that goes to it.
    #[must_use]
    pub const fn tested_by(self, test: &'static str) -> Self {
        Self { test, ..self }
    }

    /// That of a setting, if it is a bound.
    pub fn of_knob(knob: &Knob) -> Option<Self> {
        let ((then, test), Kind::Integer { unit, .. }) = (knob.at_bound?, knob.kind) else { return None };
        let value = knob.default.parse().ok()?;
        Some(Self { of: knob.meaning, then, test, ..Self::new(knob.section, knob.name, value, unit) })
    }
}
