//! One setting, as data. Parsing, the `.env` example, the page of the configuration, and the effective configuration are all
//! made from it, so none of them can drift from the others.

use super::section::{Listed, Section, in_sections};

/// What kind of installation this is.
pub static GENERAL: Section = Section::of_platform("General");
/// The listening socket and the threads behind it.
pub static SERVER: Section = Section::of_platform("Server");
/// The database and the writer in front of it.
pub static STORAGE: Section = Section::of_platform("Storage");
/// What is logged, and how.
pub static LOGS: Section = Section::of_platform("Logs");
/// Who may reach the server and who is trusted.
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

/// In which list a knob is shown, in the order of the lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Prominence {
    /// The few that a person needs who sets up a server.
    First,
    /// Those to think of when other people are to use it.
    Production,
    /// All the others.
    Later,
}

/// What a knob's text must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// True or false.
    Flag,
    /// A plain decimal number, both bounds included.
    Integer {
        /// The smallest value accepted.
        min: u64,
        /// The largest value accepted.
        max: u64,
        /// What is being counted, in the plural.
        unit: &'static str,
    },
    /// How many of all, from none (0) to every one (1); more counts as 1 and less than none as 0.
    Fraction,
    /// One word out of a list, in any case.
    Choice(&'static [&'static str]),
    /// A list of IP addresses with a port and of Unix sockets, at least one.
    Endpoints,
    /// An IP address and a port, a Unix socket, or nothing.
    Endpoint,
    /// The address of a database.
    Database,
    /// A list of web origins, or `*`.
    Origins,
    /// A list of IP addresses and networks.
    Networks,
    /// Text on one line.
    Text,
}

/// What a bad value does when the configuration is not strict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnBad {
    /// The server does not start: guessing could put the data elsewhere, or
    /// let the wrong people in.
    Refuse,
    /// The default is used and a warning is given.
    UseDefault,
}

/// One setting.
#[derive(Debug)]
pub struct Knob {
    /// The name of the variable.
    pub name: &'static str,
    /// Older names still understood; the name wins over them.
    pub aliases: &'static [&'static str],
    /// The variable by which a platform gives a port alone, for every IPv4 address: heard when nothing else says where.
    pub port: Option<&'static str>,
    /// Where it is listed.
    pub section: &'static Section,
    /// The knob of that section behind which it is listed, where it does not follow those of its owner.
    pub after: Option<&'static Self>,
    /// What its text must look like.
    pub kind: Kind,
    /// The text used when it is not set.
    pub default: &'static str,
    /// The default with `ENV=production`, where it is another one.
    pub in_production: Option<&'static str>,
    /// In which of the lists it stands.
    pub prominence: Prominence,
    /// The setting of which this is another name, with rules of its own, which the meaning of that one tells. It is listed
    /// with that one, and not by itself.
    pub alias_of: Option<&'static Self>,
    /// Whether a strict configuration must set it explicitly.
    pub required: bool,
    /// Where a strict configuration for production may not turn it off (ruling 5): what is missing while it is off.
    pub guards_against: Option<&'static str>,
    /// Where a strict configuration for production must set it: while that flag is on.
    pub needed_with: Option<&'static Self>,
    /// It does something only while one of these is on; with none of them here, always.
    pub only_with: &'static [&'static Self],
    /// It is passed over where this one is set.
    pub ignored_with: Option<&'static Self>,
    /// What it does, for an operator.
    pub meaning: &'static str,
    /// Whether its value must never be shown.
    pub secret: bool,
    /// Of a secret that strangers can try out: from how many bytes on that is hopeless, if chance has chosen them.
    pub strength: Option<usize>,
    /// Whether it names a place that other users of the machine have no business with. The doctor looks at its mode.
    pub private: bool,
    /// What a bad value does.
    pub on_bad: OnBad,
    /// Whether a running server takes another value when it is told to reload.
    pub reloads: bool,
    /// Its name in the status of the private plane, for those that an operator would ask about first.
    pub in_status: Option<&'static str>,
    /// If it is a bound: what happens there, and the test that goes to it, by its name.
    pub at_bound: Option<(&'static str, &'static str)>,
}

/// Of the common [`Kind::Flag`].
pub const fn flag(section: &'static Section, name: &'static str, default: &'static str) -> Knob {
    Knob::new(section, name, Kind::Flag, default)
}

/// Of the common [`Kind::Text`], without a default.
pub const fn text(section: &'static Section, name: &'static str) -> Knob {
    Knob::new(section, name, Kind::Text, "")
}

/// A [`Kind::Text`] that is never shown.
pub const fn secret(section: &'static Section, name: &'static str) -> Knob {
    Knob { secret: true, ..text(section, name) }
}

/// The common case of [`Kind::Integer`].
pub const fn int(min: u64, max: u64, unit: &'static str) -> Kind {
    Kind::Integer { min, max, unit }
}

impl Knob {
    /// The common case: no alias, not secret, a bad value falls back, and a reload leaves it as it is. Give it a
    /// [`Knob::meaning`].
    pub const fn new(section: &'static Section, name: &'static str, kind: Kind, default: &'static str) -> Self {
        Self {
            name,
            aliases: &[],
            section,
            after: None,
            kind,
            default,
            in_production: None,
            prominence: Prominence::Later,
            alias_of: None,
            required: false,
            guards_against: None,
            needed_with: None,
            only_with: &[],
            ignored_with: None,
            meaning: "",
            secret: false,
            strength: None,
            on_bad: OnBad::UseDefault,
            reloads: false,
            in_status: None,
            private: false,
            at_bound: None,
            port: None,
        }
    }

    /// With what it does, in sentences.
    #[must_use]
    pub const fn meaning(self, meaning: &'static str) -> Self {
        Self { meaning, ..self }
    }

    /// With bad values always refused.
    #[must_use]
    pub const fn refusing(self) -> Self {
        Self { on_bad: OnBad::Refuse, ..self }
    }

    /// A secret that strangers can try out, which is hopeless from so many bytes on.
    #[must_use]
    pub const fn strong_from(self, bytes: usize) -> Self {
        Self { strength: Some(bytes), ..self }
    }

    /// The name of a place that is private.
    #[must_use]
    pub const fn private(self) -> Self {
        Self { private: true, ..self }
    }

    /// Taken by a reload.
    #[must_use]
    pub const fn reloading(self) -> Self {
        Self { reloads: true, ..self }
    }

    /// Listed behind another knob of its section.
    #[must_use]
    pub const fn after(self, other: &'static Self) -> Self {
        Self { after: Some(other), ..self }
    }

    /// One that strict production may not turn off, with what is missing while it is off.
    #[must_use]
    pub const fn guarding_against(self, what: &'static str) -> Self {
        Self { guards_against: Some(what), ..self }
    }

    /// One that strict production must set while a flag is on.
    #[must_use]
    pub const fn needed_with(self, flag: &'static Self) -> Self {
        Self { needed_with: Some(flag), ..self }
    }

    /// One that does something only while one of these is on.
    #[must_use]
    pub const fn only_with(self, others: &'static [&'static Self]) -> Self {
        Self { only_with: others, ..self }
    }

    /// One that is passed over where another is set.
    #[must_use]
    pub const fn ignored_with(self, other: &'static Self) -> Self {
        Self { ignored_with: Some(other), ..self }
    }

    /// One that the status of the private plane shows, under this name.
    #[must_use]
    pub const fn in_status(self, name: &'static str) -> Self {
        Self { in_status: Some(name), ..self }
    }

    /// A bound: with what happens there, and the test that goes to it.
    #[must_use]
    pub const fn at_bound(self, then: &'static str, test: &'static str) -> Self {
        Self { at_bound: Some((then, test)), ..self }
    }

    /// With an older name.
    #[must_use]
    pub const fn also(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    /// Also given by a port alone.
    #[must_use]
    pub const fn or_port(self, name: &'static str) -> Self {
        Self { port: Some(name), ..self }
    }

    /// One of the few that a person needs who sets up a server.
    #[must_use]
    pub const fn first(self) -> Self {
        Self { prominence: Prominence::First, ..self }
    }

    /// One that is thought of when other people are to use the server.
    #[must_use]
    pub const fn for_production(self) -> Self {
        Self { prominence: Prominence::Production, ..self }
    }

    /// Another name of a setting, with rules of its own.
    #[must_use]
    pub const fn alias_of(self, other: &'static Self) -> Self {
        Self { alias_of: Some(other), ..self }
    }

    /// One that strict must be told.
    #[must_use]
    pub const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// With another default in production.
    #[must_use]
    pub const fn in_production(self, default: &'static str) -> Self {
        Self { in_production: Some(default), ..self }
    }

    /// The name, then the aliases, in the order they are looked up.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// The names under which the path of a file may be given that holds the value: `NAME_FILE`, for secrets only.
    pub fn file_names(&self) -> impl Iterator<Item = String> + use<> {
        let names = self.secret.then(|| self.names());
        names.into_iter().flatten().map(|name| format!("{name}_FILE"))
    }
}

impl Listed for Knob {
    fn place(&self) -> (&'static Section, Option<&'static Self>) {
        (self.section, self.after)
    }
}

/// The knobs of these owners as they are shown.
pub fn in_order(owners: &[&[&'static Knob]]) -> Vec<&'static Knob> {
    in_sections(&PLATFORM, owners)
}

#[cfg(test)]
mod tests {
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
