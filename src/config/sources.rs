//! Where settings are given: the environment of the process and a settings file. Secrets may also stand in files that
//! these name, and in the credentials that systemd hands to a service.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::error::ConfigError;
use super::grammar;
use super::knobs::KNOBS;
use super::parse::{BadValue, printable};
use super::path::{Found, SettingsPath, VARIABLE};
use crate::gate::identity::options::TOKEN_KEYS;
use crate::settings::{Knob, MASK, Origin, open_to_others};
use crate::text::{edit_distance, listed};

/// The longest file that a secret is read from, in bytes.
pub(super) const SECRET_FILE_MAX_BYTES: u64 = 65_536;

/// Where systemd puts the credentials of a service.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// A misspelt name in the environment has at least so many letters: it is everyone's, and short names are alike.
const NEAR_MIN_LETTERS: usize = 6;

/// With so many letters it may be two mistakes away, and else one.
const NEAR_TWICE_LETTERS: usize = 10;

/// A setting with another ending is only guessed at if its name has at least so many letters, and several words.
const ENDING_MIN_LETTERS: usize = 8;

/// With another ending, the last words have at least so many letters in common.
const ENDING_COMMON_LETTERS: usize = 3;

/// Two endings have at most so many letters each: `PROXY` and `PROXIES`.
const ENDING_MAX_LETTERS: usize = 3;

/// What is written out where the other is short has at most so many letters more: `DIRECTORY` and `DIR`.
const WRITTEN_OUT_MAX_LETTERS: usize = 6;

/// The texts settings are read from. Not `Debug`: they may hold secrets.
#[derive(Clone, Default)]
pub struct Sources {
    environment: BTreeMap<String, String>,
    /// Names in the environment that mean nothing here, and what they were probably meant to be.
    near: Vec<(String, String)>,
    file: SettingsFile,
    credentials: Option<PathBuf>,
}

/// The settings file, or that there is none.
#[derive(Clone, Default)]
struct SettingsFile {
    path: Option<PathBuf>,
    /// How it is called in sentences.
    name: String,
    pairs: BTreeMap<String, String>,
    /// Why there is none.
    absent: String,
}

/// A text somebody gave for a knob.
pub(super) struct Given<'s> {
    /// What it was given under: the name or alias, that of a file, or that of a credential.
    pub(super) name: String,
    pub(super) text: Cow<'s, str>,
    pub(super) origin: Origin,
    /// What is wrong with the permissions of the file that it stands in.
    pub(super) exposed: Option<String>,
}

impl Sources {
    /// The environment of this process, and the settings file if there is one.
    ///
    /// The process environment is only read, never changed.
    ///
    /// # Errors
    ///
    /// A variable of ours is not UTF-8; the file cannot be read, is not trusted, or has malformed lines. No value is named,
    /// as it may be a secret.
    pub fn read(path: &SettingsPath) -> Result<Self, ConfigError> {
        let (read, problems) = Self::what_can_be_read(path);
        if !problems.is_empty() {
            return Err(ConfigError { problems, warnings: read.near_names().collect() });
        }
        Ok(read)
    }

    /// The same as far as it can be read, and what is wrong with the rest: to be looked at, and not to start with.
    pub(super) fn what_can_be_read(path: &SettingsPath) -> (Self, Vec<String>) {
        let (mut environment, mut near) = (BTreeMap::new(), Vec::new());
        let mut problems = Vec::new();
        for (name, text) in std::env::vars_os() {
            // The rest of the environment is nobody's business here, unless it looks like a slip.
            let Some(name) = name.to_str() else { continue };
            if !is_known(name) {
                near.extend(nearest_variable(name).map(|known| (name.to_owned(), known)));
                continue;
            }
            match text.into_string() {
                Ok(text) => drop(environment.insert(name.to_owned(), text)),
                Err(_) => problems.push(format!("{name} is not valid UTF-8")),
            }
        }
        let (file, unread) = SettingsFile::read(path);
        problems.extend(unread);
        let credentials = std::env::var_os(CREDENTIALS).filter(|path| !path.is_empty()).map(PathBuf::from);
        (Self { environment, near, file, credentials }, problems)
    }

    /// Sources made of these pairs alone: an environment, and a file `.env`.
    pub fn from_pairs(env: &[(&str, &str)], file: &[(&str, &str)]) -> Self {
        let collect = |pairs: &[(&str, &str)]| {
            let own = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
            pairs.iter().map(own).collect()
        };
        let file = SettingsFile { name: ".env".to_owned(), pairs: collect(file), ..SettingsFile::default() };
        Self { environment: collect(env), file, ..Self::default() }
    }

    /// The same with the files of this directory as credentials.
    #[cfg(test)]
    #[must_use]
    pub(super) fn with_credentials(self, directory: &Path) -> Self {
        Self { credentials: Some(directory.to_owned()), ..self }
    }

    /// The path of the settings file, if there is one.
    pub fn file(&self) -> Option<&Path> {
        self.file.path.as_deref()
    }

    /// What is wrong with the permissions of the settings file, if secrets stand in it.
    pub(super) fn exposed_file(&self) -> Option<String> {
        let stands_there = |knob: &&&Knob| knob.secret && direct(knob, &self.file.pairs).is_some();
        let names: Vec<&str> = KNOBS.iter().filter(stands_there).map(|knob| knob.name).collect();
        let mode = self.file().filter(|_| !names.is_empty()).and_then(open_to_others)?;
        let (file, names) = (&self.file.name, listed(&names, "and"));
        Some(format!("{file} has mode {mode:04o}, so every user of this machine can read {names} in it: chmod o="))
    }

    /// What was read, as the end of a sentence: which file, or why none, and how many settings are given where.
    pub fn described(&self) -> String {
        let given = |texts: &BTreeMap<String, String>| texts.values().filter(|text| !text.trim().is_empty()).count();
        let credentials = self.credentials.as_ref().map(|_| ", the credentials of systemd").unwrap_or_default();
        let environment = format!("the environment ({})", given(&self.environment));
        match &self.file.path {
            Some(_) => format!("{} ({}){credentials} and {environment}", self.file.name, given(&self.file.pairs)),
            None => format!("{environment}{credentials}; {}", self.file.absent),
        }
    }

    /// What was given for `knob`: the environment before the file, and in each of them the name before its aliases. An
    /// empty text was not given. A secret may also stand in a file that either names, and in a systemd credential, which
    /// is a part of the environment and comes after what that says itself.
    ///
    /// # Errors
    /// A file that is named cannot be read, or the same place has both a text and a file.
    pub(super) fn find(&self, knob: &Knob) -> Result<Option<Given<'_>>, BadValue> {
        let environment = (&self.environment, "the environment", Origin::Environment, Origin::EnvironmentFile);
        if let Some(given) = in_texts(knob, environment)? {
            return Ok(Some(given));
        }
        if let Some(given) = self.credential(knob)? {
            // A file that the settings name may well be the one that the credential is a copy of.
            if let Some((name, _)) = direct(knob, &self.file.pairs) {
                return Err(BadValue::new(format!(
                    "{name} in {} and {} are both set: remove one of them",
                    self.file.name, given.name
                )));
            }
            return Ok(Some(given));
        }
        let file = in_texts(knob, (&self.file.pairs, &self.file.name, Origin::SettingsFile, Origin::NamedInFile))?;
        Ok(file.or_else(|| self.port(knob)))
    }

    /// The name that a setting was given by, or its own, and what stands for the value of a secret in a sentence about it.
    pub(super) fn name_given(&self, knob: &Knob) -> (String, String) {
        match self.find(knob).ok().flatten() {
            Some(Given { name, origin: Origin::Environment | Origin::SettingsFile, .. }) => (name, format!("={MASK}")),
            Some(Given { name, .. }) => (name, String::new()),
            None => (knob.name.to_owned(), String::new()),
        }
    }

    /// The port alone, where a platform gives it.
    fn port(&self, knob: &Knob) -> Option<Given<'_>> {
        let places = [(&self.environment, Origin::Environment), (&self.file.pairs, Origin::SettingsFile)];
        let (name, port, origin) = places
            .into_iter()
            .find_map(|(texts, origin)| given(knob.port?.to_owned(), texts).map(|(name, port)| (name, port, origin)))?;
        Some(Given { name, text: Cow::Owned(format!(":{port}")), origin, exposed: None })
    }

    /// Whether anything is given for `knob`, good or bad.
    pub(super) fn has(&self, knob: &Knob) -> bool {
        !matches!(self.find(knob), Ok(None))
    }

    /// The file of this knob in the credentials directory.
    fn credential(&self, knob: &Knob) -> Result<Option<Given<'_>>, BadValue> {
        let Some(directory) = self.credentials.as_deref().filter(|_| knob.secret) else { return Ok(None) };
        for name in knob.names() {
            let name = name.to_ascii_lowercase();
            let path = directory.join(&name);
            if path.exists() {
                return from_file(format!("the credential {name}"), &path, Origin::Credential).map(Some);
            }
        }
        Ok(None)
    }

    /// One sentence for each name in the settings file that means nothing here: it was written for this server.
    pub(super) fn unknown_names(&self) -> impl Iterator<Item = String> {
        let place = &self.file.name;
        self.file.pairs.keys().filter(|name| !is_known(name)).map(move |name| {
            let shown = printable(name);
            match nearest(name) {
                Some(known) => {
                    format!("unknown variable {shown} in {place}; did you mean {known}?")
                }
                None => format!("unknown variable {shown} in {place}; inkring print-config lists all settings"),
            }
        })
    }

    /// One sentence for each name in the environment that is a slip away from a setting. It is shared with every other
    /// program, so this is no more than a guess.
    pub(super) fn near_names(&self) -> impl Iterator<Item = String> {
        let near = self.near.iter();
        near.map(|(name, known)| {
            format!("{} in the environment is not a setting; did you mean {known}?", printable(name))
        })
    }
}

impl SettingsFile {
    /// As far as it can be read, and what is wrong with the rest.
    fn read(path: &SettingsPath) -> (Self, Vec<String>) {
        let (path, text) = match path.find() {
            Err(problem) => return (Self::default(), vec![problem]),
            Ok(Found::Nothing(absent)) => return (Self { absent, ..Self::default() }, Vec::new()),
            Ok(Found::Text { path, text }) => (path, text),
        };
        let name = printable(&path.display().to_string());
        let (pairs, malformed) = grammar::what_fits(&text);
        let malformed = malformed.iter().map(|malformed| format!("{name} {malformed}")).collect();
        (Self { path: Some(path), name, pairs, absent: String::new() }, malformed)
    }
}

fn is_known(name: &str) -> bool {
    known_names().any(|known| known == name)
}

fn known_names() -> impl Iterator<Item = String> {
    KNOBS.iter().flat_map(|knob| knob.names().chain(knob.port).map(str::to_owned).chain(knob.file_names()))
}

/// What one place gives for a knob: the texts themselves, what to call it, and the origins of a text and of a file.
fn in_texts<'s>(
    knob: &Knob,
    (texts, place, text, file): (&'s BTreeMap<String, String>, &str, Origin, Origin),
) -> Result<Option<Given<'s>>, BadValue> {
    match (direct(knob, texts), knob.file_names().find_map(|name| given(name, texts))) {
        (Some((name, _)), Some((file, _))) => {
            Err(BadValue::new(format!("{name} and {file} are both set in {place}: remove one of them")))
        }
        (Some((name, given)), None) => {
            Ok(Some(Given { name, text: Cow::Borrowed(given), origin: text, exposed: None }))
        }
        (None, Some((name, path))) => from_file(name, Path::new(path), file).map(Some),
        (None, None) => Ok(None),
    }
}

/// The name by which a place gives a text for a knob itself, and that text.
fn direct<'s>(knob: &Knob, texts: &'s BTreeMap<String, String>) -> Option<(String, &'s str)> {
    knob.names().find_map(|name| given(name.to_owned(), texts))
}

/// This name and what is given for it.
fn given(name: String, texts: &BTreeMap<String, String>) -> Option<(String, &str)> {
    let text = texts.get(&name)?.trim();
    (!text.is_empty()).then_some((name, text))
}

/// The secret in a file. A path may be shown; what stands in the file never.
fn from_file<'s>(name: String, path: &Path, origin: Origin) -> Result<Given<'s>, BadValue> {
    let place = printable(&path.display().to_string());
    let bad = |why: String| BadValue::new(format!("{name}: {place} {why}"));
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(SECRET_FILE_MAX_BYTES + 1).read_to_end(&mut bytes));
    read.map_err(|error| bad(format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > SECRET_FILE_MAX_BYTES {
        return Err(bad(format!("is longer than {SECRET_FILE_MAX_BYTES} bytes: use a file with only the secret")));
    }
    let text = String::from_utf8(bytes).map_err(|_| {
        bad("is not UTF-8 text: write the secret in hexadecimal, for example the output of openssl rand -hex 32"
            .to_owned())
    })?;
    let text = text.trim().to_owned();
    if text.is_empty() {
        return Err(bad("is empty: write the secret into it, or remove the setting".to_owned()));
    }
    let exposed = open_to_others(path).map(|mode| {
        format!("{name}: {place} has mode {mode:04o}, so every user of this machine can open it: chmod 600")
    });
    Ok(Given { name, text: Cow::Owned(text), origin, exposed })
}

/// The known name a typing mistake or two away from `name`, or with another ending.
fn nearest(name: &str) -> Option<String> {
    let limit = (name.len() / 4).clamp(2, 3);
    nearest_within(name, limit)
}

/// The same for a name in the environment, where others' names stand as well.
fn nearest_variable(name: &str) -> Option<String> {
    let letters = name.chars().count();
    let limit = if letters < NEAR_TWICE_LETTERS { 1 } else { 2 };
    let meant = name != VARIABLE && letters >= NEAR_MIN_LETTERS;
    // People seldom mistype the first letter, and SSL_CERT_FILE is no TLS_CERT_FILE.
    let begins_like =
        |known: &String| known.bytes().next() == name.bytes().next().map(|first| first.to_ascii_uppercase());
    meant.then(|| nearest_within(name, limit)).flatten().filter(begins_like)
}

fn nearest_within(name: &str, limit: usize) -> Option<String> {
    let name = name.to_ascii_uppercase();
    known_names()
        .map(|known| (edit_distance(&name, &known), known))
        .filter(|(distance, known)| *distance <= limit || has_another_ending(&name, known))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// Whether two names differ only in the ending of their last word, as a plural or an abbreviation does: `TRUSTED_PROXY`,
/// `OPS_ADDRESS`, `BACKUP_DIRECTORY`. A name with a word more or less is another's: `LOG_LEVEL_FILE`.
fn has_another_ending(name: &str, known: &str) -> bool {
    let (Some((start, word)), Some((known_start, known_word))) = (name.rsplit_once('_'), known.rsplit_once('_')) else {
        return false;
    };
    let common = word.chars().zip(known_word.chars()).take_while(|(one, other)| one == other).count();
    let [ending, known_ending] = [word, known_word].map(|word| word.chars().count() - common);
    let max = if ending == 0 || known_ending == 0 { WRITTEN_OUT_MAX_LETTERS } else { ENDING_MAX_LETTERS };
    start == known_start
        && known.len() >= ENDING_MIN_LETTERS
        && common >= ENDING_COMMON_LETTERS
        && ending.max(known_ending) <= max
}

/// Those settings of [`TOKEN_KEYS`] that are given, even badly, by the names they are given under.
pub(super) fn token_keys(sources: &Sources) -> Vec<String> {
    let name = |knob: &&'static Knob| match sources.find(knob) {
        Ok(given) => given.map(|given| given.name),
        Err(_) => Some(knob.name.to_owned()),
    };
    TOKEN_KEYS.iter().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_only_what_is_near() {
        assert_eq!(nearest("MAX_CONECTIONS").as_deref(), Some("MAX_CONNECTIONS"));
        assert_eq!(nearest("log_level").as_deref(), Some("LOG_LEVEL"));
        assert_eq!(nearest("CORS_ORIGIN").as_deref(), Some("CORS_ORIGINS"));
        assert_eq!(nearest("JWT_SECRET_FLIE").as_deref(), Some("JWT_SECRET_FILE"));
        assert_eq!(nearest("OPS_ADDRESS").as_deref(), Some("OPS_ADDR"));
        assert_eq!(nearest("POSTGRES_PASSWORD"), None);
        assert_eq!(nearest("HOSTNAME"), None);
    }

    #[test]
    fn in_the_environment_only_a_slip_is_told() {
        let near = |name| nearest_variable(name);
        for (name, meant) in [
            ("LISTEN_ADR", "LISTEN_ADDR"),
            ("RATE_LIMT_ENABLED", "RATE_LIMIT_ENABLED"),
            ("listen_addr", "LISTEN_ADDR"),
            ("CORS_ORIGIN", "CORS_ORIGINS"),
            ("JWT_SECRET_FLIE", "JWT_SECRET_FILE"),
            ("SHRDS1", ""),
            ("TRUSTED_PROXY", "TRUSTED_PROXIES"),
            ("TRUSTED_PROXYS", "TRUSTED_PROXIES"),
            ("OPS_ADDRESS", "OPS_ADDR"),
            ("ops_address", "OPS_ADDR"),
            ("LISTEN_ADDRESS", "LISTEN_ADDR"),
            ("BACKUP_DIRECTORY", "BACKUP_DIR"),
            ("METRICS_DIRECTORY", "METRICS_DIR"),
            ("GALLERY_DIRECTORY", "GALLERY_DIR"),
            ("DRAIN_SEC", "DRAIN_SECONDS"),
            ("JWT_AUD", "JWT_AUDIENCE"),
            ("TLS_CERT_FILENAME", "TLS_CERT_FILE"),
            ("HOUSEHOLD_TIMEZONE_NAME", ""),
        ] {
            assert_eq!(near(name).as_deref().unwrap_or_default(), meant, "{name}");
        }
        for foreign in [
            "PATH",
            "PWD",
            "HOME",
            "TERM",
            "LANG",
            "EDITOR",
            "LOGNAME",
            "HOSTNAME",
            "LISTEN_FDS",
            "LISTEN_PID",
            "NOTIFY_SOCKET",
            "LISTEN_FDNAMES",
            "WATCHDOG_USEC",
            "CREDENTIALS_DIRECTORY",
            "INVOCATION_ID",
            "JOURNAL_STREAM",
            "STATE_DIRECTORY",
            "RUNTIME_DIRECTORY",
            "INKRING_CONFIG",
            "PORT",
            "NO_COLOR",
            "POSTGRES_PASSWORD",
            "HTTP_PROXY",
            "SMOKE_TOKEN",
            "LOG_LEVEL_FILE",
            "LOG_LEVEL_ROOT",
            "LOG_FILE",
            "LOG_DIRECTORY",
            "PORTAGE",
            "PORTAGE_TMPDIR",
            "SHELL",
            "ENVIRONMENT",
            "DATABASE_USER",
            "DATABASE_PASSWORD",
            "REDIS_ADDRESS",
            "LISTEN_BACKLOG",
            "CACHE_DIRECTORY",
            "LOGS_DIRECTORY",
            "CONFIGURATION_DIRECTORY",
            "JWT_SECRET_KEY",
            "WS_HOSTNAME",
            "METRICS_CONSUMER",
            "METRICS_PORT",
            "TRUSTED_CERTIFICATES",
            "OPS_TEAM",
            "BACKUP_DRIVE",
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
        ] {
            assert_eq!(near(foreign), None, "{foreign}");
        }
    }
}
