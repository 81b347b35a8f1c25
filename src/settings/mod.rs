//! How a setting is declared and read. The owner of a setting declares it as a [`Knob`] in its own `options.rs`, and builds
//! what it works with from [`Settings`]; where values come from is the business of `config`, over all knobs together.
//!
//! A setting is read by its knob (`settings.flag(&ENABLED)`), so a name cannot be misspelt.

mod bound;
mod endpoint;
mod knob;
mod network;
mod section;
mod value;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use bound::BoundRow;
pub use endpoint::Endpoint;
pub use knob::{
    ACCESS, AUDIT, CONNECTIONS, GENERAL, Kind, Knob, LOGS, OPERATIONS, OnBad, Prominence, RATES, SERVER, SOCKETS,
    STORAGE, flag, in_order, int, secret, text,
};
pub use network::{Network, NotANetwork};
pub use section::{Listed, Section, in_sections};
pub use value::{Fraction, MASK, OFF, Secret, Value};

/// The word for an installation that real users are served by.
const PRODUCTION: &str = "production";

pub(crate) static ENVIRONMENT: Knob =
    Knob::new(&GENERAL, "ENV", Kind::Choice(&["development", PRODUCTION, "test"]), "development")
        .first()
        .refusing()
        .meaning(
            "The kind of installation. production limits requests and sockets, records changes in the audit log, logs \
         JSON and ignores the X-User-Id header (each unless set otherwise), requires tokens to expire, and warns \
         about settings that are only safe in development.",
        );

pub(crate) static STRICT: Knob = flag(&GENERAL, "CONFIG_STRICT", "false").for_production().refusing().meaning(
    "Refuses to start on any invalid value, unknown name in the settings file or missing required setting, instead \
     of logging a warning and starting anyway.",
);

/// The settings that belong to nobody.
pub(crate) const KNOBS: &[&Knob] = &[&ENVIRONMENT, &STRICT];

/// Where the value of a setting came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// Nobody set it, and `ENV=production` has a default of its own.
    ProductionDefault,
    /// The environment of the process.
    Environment,
    /// The settings file.
    SettingsFile,
    /// A file that the environment names.
    EnvironmentFile,
    /// A file that the settings file names.
    NamedInFile,
    /// A file in the credentials directory of systemd.
    Credential,
}

impl Origin {
    /// Whether somebody has set it.
    pub fn is_given(self) -> bool {
        !matches!(self, Self::Default | Self::ProductionDefault)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::ProductionDefault => "default in production",
            Self::Environment => "environment",
            Self::SettingsFile => "settings file",
            Self::EnvironmentFile => "file named in the environment",
            Self::NamedInFile => "file named in the settings file",
            Self::Credential => "systemd credential",
        })
    }
}

/// The value a knob has, and why.
#[derive(Clone)]
pub struct Setting {
    /// The knob.
    pub knob: &'static Knob,
    /// Its value.
    pub value: Value,
    /// Where the value came from.
    pub origin: Origin,
}

impl Setting {
    /// The value as it may be shown: a secret is masked, but that there is none may be known.
    pub fn shown(&self) -> String {
        let text = self.value.to_string();
        if self.knob.secret && !text.is_empty() { MASK.to_owned() } else { text }
    }
}

/// Written by hand so that a secret never ends up in a log by way of `{:?}`.
impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={} ({})", self.knob.name, self.shown(), self.origin)
    }
}

/// The settings in force: one for each knob.
#[derive(Clone, Debug)]
pub struct Settings {
    all: Vec<Setting>,
    strict: bool,
}

impl Settings {
    /// These settings; `strict` if mistakes are refused, which may have been demanded by other means than the setting.
    pub fn new(all: Vec<Setting>, strict: bool) -> Self {
        Self { all, strict }
    }

    /// Each setting, in the order in which they are shown.
    pub fn iter(&self) -> std::slice::Iter<'_, Setting> {
        self.all.iter()
    }

    /// Whether mistakes stop the start instead of being warned about.
    pub fn strict(&self) -> bool {
        self.strict
    }

    /// Whether real users are served.
    pub fn production(&self) -> bool {
        self.word(&ENVIRONMENT) == PRODUCTION
    }

    /// The setting of this knob.
    ///
    /// # Panics
    /// When no owner lists the knob: it could not be set, so the first start tells.
    pub fn of(&self, knob: &Knob) -> &Setting {
        let found = self.all.iter().find(|setting| setting.knob.name == knob.name);
        // Proof: a read of a knob that is not listed fails in every start, and so in every test.
        found.unwrap_or_else(|| panic!("{} is in no list of knobs", knob.name))
    }

    fn read<'s, T>(&'s self, knob: &Knob, pick: impl FnOnce(&'s Value) -> Option<T>) -> T {
        // Proof: the kind of a knob is fixed, so a read that does not fit it fails in every start.
        pick(&self.of(knob).value).unwrap_or_else(|| panic!("{} is read as something that it is not", knob.name))
    }

    fn number<T: TryFrom<u64>>(&self, knob: &Knob) -> T {
        self.read(knob, |value| if let Value::Integer(number) = value { T::try_from(*number).ok() } else { None })
    }

    /// Whether it is on, of a [`Kind::Flag`].
    pub fn flag(&self, knob: &Knob) -> bool {
        self.read(knob, |value| if let Value::Flag(flag) = value { Some(*flag) } else { None })
    }

    /// A [`Kind::Integer`] that counts something.
    pub fn count(&self, knob: &Knob) -> usize {
        self.number(knob)
    }

    /// A [`Kind::Integer`] of at most 32 bits.
    pub fn small(&self, knob: &Knob) -> u32 {
        self.number(knob)
    }

    /// A [`Kind::Integer`] of seconds.
    pub fn seconds(&self, knob: &Knob) -> Duration {
        Duration::from_secs(self.number(knob))
    }

    /// A [`Kind::Integer`] of units of so many seconds; none when it is 0.
    pub fn span(&self, knob: &Knob, unit_seconds: u64) -> Option<Duration> {
        let units: u64 = self.number(knob);
        (units > 0).then(|| Duration::from_secs(units.saturating_mul(unit_seconds)))
    }

    /// A [`Kind::Fraction`].
    pub fn fraction(&self, knob: &Knob) -> Fraction {
        self.read(knob, |value| if let Value::Fraction(fraction) = value { Some(*fraction) } else { None })
    }

    /// The word of a [`Kind::Choice`], as spelt in its list.
    pub fn word(&self, knob: &Knob) -> &'static str {
        self.read(knob, |value| if let Value::Choice(word) = value { Some(*word) } else { None })
    }

    /// The list of a [`Kind::Endpoints`], which is never empty.
    pub fn endpoints(&self, knob: &Knob) -> &[Endpoint] {
        self.read(knob, |value| if let Value::Endpoints(endpoints) = value { Some(endpoints.as_slice()) } else { None })
    }

    /// A [`Kind::Endpoint`]; none when it is off.
    pub fn endpoint(&self, knob: &Knob) -> Option<&Endpoint> {
        self.read(knob, |value| if let Value::Endpoint(endpoint) = value { Some(endpoint.as_ref()) } else { None })
    }

    /// The file of a [`Kind::Database`].
    pub fn database(&self, knob: &Knob) -> &Path {
        self.read(knob, |value| if let Value::Database(path) = value { Some(path.as_path()) } else { None })
    }

    /// The list of a [`Kind::Origins`].
    pub fn origins(&self, knob: &Knob) -> &[String] {
        self.read(knob, |value| if let Value::Origins(origins) = value { Some(origins.as_slice()) } else { None })
    }

    /// The list of a [`Kind::Networks`].
    pub fn networks(&self, knob: &Knob) -> &[Network] {
        self.read(knob, |value| if let Value::Networks(networks) = value { Some(networks.as_slice()) } else { None })
    }

    /// A [`Kind::Text`]; none when it is empty.
    pub fn text(&self, knob: &Knob) -> Option<&str> {
        let text = self.read(knob, |value| if let Value::Text(text) = value { Some(text.as_str()) } else { None });
        Some(text).filter(|text| !text.is_empty())
    }

    /// A [`Kind::Text`] that names a file or a directory; none when it is empty.
    pub fn path(&self, knob: &Knob) -> Option<PathBuf> {
        self.text(knob).map(PathBuf::from)
    }

    /// A [`Kind::Text`] that is never shown; none when it is empty.
    pub fn secret(&self, knob: &Knob) -> Option<Secret> {
        self.text(knob).map(Secret::new)
    }
}

/// The mode of a file that is open to everyone on the machine; none if it is not, or cannot be looked at.
pub fn open_to_others(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o7777;
    (mode & 0o007 != 0).then_some(mode)
}
