//! Where settings are given: the environment of the process and a `.env` file. Secrets may also stand in files that
//! these name, and in the credentials that systemd hands to a service.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::error::ConfigError;
use super::knobs::KNOBS;
use super::parse::{BadValue, printable};
use crate::gate::identity::options::TOKEN_KEYS;
use crate::settings::{Knob, Origin, open_to_others};

/// The longest file that a secret is read from, in bytes.
const SECRET_FILE_MAX_BYTES: u64 = 65_536;

/// Where systemd puts the credentials of a service.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// The texts settings are read from. Not `Debug`: they may hold secrets.
#[derive(Clone, Default)]
pub struct Sources {
    environment: BTreeMap<String, String>,
    dotenv: BTreeMap<String, String>,
    credentials: Option<PathBuf>,
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
    /// The environment of this process, and `.env` in `dir` if there is one.
    ///
    /// The process environment is only read, never changed.
    ///
    /// # Errors
    ///
    /// A variable of ours is not UTF-8, or `.env` cannot be read or has a
    /// malformed line. No value is named, as it may be a secret.
    pub fn from_process(dir: &Path) -> Result<Self, ConfigError> {
        let mut environment = BTreeMap::new();
        let mut problems = Vec::new();
        for (name, text) in std::env::vars_os() {
            // The rest of the environment is nobody's business here.
            let Some(name) = name.to_str().filter(|name| is_known(name)) else {
                continue;
            };
            match text.into_string() {
                Ok(text) => drop(environment.insert(name.to_owned(), text)),
                Err(_) => problems.push(format!("{name} is not valid UTF-8")),
            }
        }
        let dotenv = read_dotenv(dir).unwrap_or_else(|problem| {
            problems.push(problem);
            BTreeMap::new()
        });
        let credentials = std::env::var_os(CREDENTIALS).filter(|path| !path.is_empty()).map(PathBuf::from);
        if problems.is_empty() { Ok(Self { environment, dotenv, credentials }) } else { Err(ConfigError { problems }) }
    }

    /// Sources made of these pairs alone.
    #[must_use]
    pub fn from_pairs(env: &[(&str, &str)], dotenv: &[(&str, &str)]) -> Self {
        let collect = |pairs: &[(&str, &str)]| {
            let own = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
            pairs.iter().map(own).collect()
        };
        Self { environment: collect(env), dotenv: collect(dotenv), credentials: None }
    }

    /// The same with the files of this directory as credentials.
    #[must_use]
    pub fn with_credentials(self, directory: &Path) -> Self {
        Self { credentials: Some(directory.to_owned()), ..self }
    }

    /// What was given for `knob`: the environment before `.env`, and in each of them the name before its aliases. An
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
            return Ok(Some(given));
        }
        in_texts(knob, (&self.dotenv, ".env", Origin::DotEnv, Origin::DotEnvFile))
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

    /// One sentence for each name in `.env` that means nothing here.
    ///
    /// The environment is shared with every other program, so unknown names
    /// there are no mistake; `.env` was written for this server.
    pub(super) fn unknown_names(&self) -> impl Iterator<Item = String> {
        self.dotenv.keys().filter(|name| !is_known(name)).map(|name| {
            let shown = printable(name);
            match nearest(name) {
                Some(known) => {
                    format!("unknown variable {shown} in .env; did you mean {known}?")
                }
                None => format!("unknown variable {shown} in .env"),
            }
        })
    }
}

fn is_known(name: &str) -> bool {
    known_names().any(|known| known == name)
}

fn known_names() -> impl Iterator<Item = String> {
    KNOBS.iter().flat_map(|knob| knob.names().map(str::to_owned).chain(knob.file_names()))
}

/// What one place gives for a knob: the texts themselves, what to call it, and the origins of a text and of a file.
fn in_texts<'s>(
    knob: &Knob,
    (texts, place, text, file): (&'s BTreeMap<String, String>, &str, Origin, Origin),
) -> Result<Option<Given<'s>>, BadValue> {
    let given = |name: String| {
        let text = texts.get(&name)?.trim();
        (!text.is_empty()).then_some((name, text))
    };
    let direct = knob.names().map(str::to_owned).find_map(given);
    match (direct, knob.file_names().find_map(given)) {
        (Some((name, _)), Some((file, _))) => Err(BadValue::new(format!(
            "{name} and {file} are both set in {place}: remove one of them, so that it is clear which counts"
        ))),
        (Some((name, given)), None) => {
            Ok(Some(Given { name, text: Cow::Borrowed(given), origin: text, exposed: None }))
        }
        (None, Some((name, path))) => from_file(name, Path::new(path), file).map(Some),
        (None, None) => Ok(None),
    }
}

/// The secret in a file. A path may be shown; what stands in the file never.
fn from_file<'s>(name: String, path: &Path, origin: Origin) -> Result<Given<'s>, BadValue> {
    let place = printable(&path.display().to_string());
    let bad = |why: String| BadValue::new(format!("{name}: {place} {why}"));
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(SECRET_FILE_MAX_BYTES + 1).read_to_end(&mut bytes));
    read.map_err(|error| bad(format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > SECRET_FILE_MAX_BYTES {
        return Err(bad(format!("is longer than {SECRET_FILE_MAX_BYTES} bytes: name a file with the secret alone")));
    }
    let text = String::from_utf8(bytes).map_err(|_| {
        bad("is not text in UTF-8: write the secret in hexadecimal, such as openssl rand -hex 32 makes it".to_owned())
    })?;
    let text = text.trim().to_owned();
    if text.is_empty() {
        return Err(bad("is empty: write the secret into it, or do not name it".to_owned()));
    }
    let exposed = open_to_others(path).map(|mode| {
        format!("{name}: {place} has mode {mode:04o}, so every user of this machine may open it: chmod 600")
    });
    Ok(Given { name, text: Cow::Owned(text), origin, exposed })
}

/// The known name a typing mistake or two away from `name`.
fn nearest(name: &str) -> Option<String> {
    let name = name.to_ascii_uppercase();
    let limit = (name.len() / 4).clamp(2, 3);
    known_names()
        .map(|known| (edit_distance(&name, &known), known))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// How many letters must be added, removed or replaced (Levenshtein).
fn edit_distance(from: &str, to: &str) -> usize {
    // Each row holds the distances from the letters of `from` read so far to
    // every beginning of `to`.
    let mut above: Vec<usize> = (0..=to.chars().count()).collect();
    for (read, a) in from.chars().enumerate() {
        let mut left = read + 1;
        let mut row = vec![left];
        for (cells, b) in above.windows(2).zip(to.chars()) {
            let replaced = cells[0] + usize::from(a != b);
            left = replaced.min(cells[1] + 1).min(left + 1);
            row.push(left);
        }
        above = row;
    }
    above.last().copied().unwrap_or_default()
}

/// The pairs in `dir/.env`, the last of each name; none without the file.
fn read_dotenv(dir: &Path) -> Result<BTreeMap<String, String>, String> {
    let text = match std::fs::read(dir.join(".env")) {
        Ok(bytes) => String::from_utf8(bytes).map_err(|_| ".env is not valid UTF-8")?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(format!(".env cannot be read: {error}")),
    };
    parse_dotenv(&text)
}

/// The pairs in the text of a `.env` file.
pub(super) fn parse_dotenv(text: &str) -> Result<BTreeMap<String, String>, String> {
    // Some editors put a byte order mark in front; it is no part of a name.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    pairs(text).map_err(|_| {
        // The parser's own error quotes the line, which may hold a secret, and
        // does not count lines: the longest good beginning finds the line.
        let lines: Vec<&str> = text.lines().collect();
        let good = |count: &usize| pairs(&lines[..*count].join("\n")).is_ok();
        let count = (0..lines.len()).rev().find(good).unwrap_or_default();
        let line = lines.get(count).copied().unwrap_or_default();
        match line_key(line) {
            Some(key) => format!(".env line {} is malformed ({key})", count + 1),
            None => format!(".env line {} is malformed: it must be NAME=value", count + 1),
        }
    })
}

fn pairs(text: &str) -> Result<BTreeMap<String, String>, dotenvy::Error> {
    // Without a final line break, trailing blanks would count as unfinished.
    let text = format!("{text}\n");
    dotenvy::from_read_iter(text.as_bytes()).collect()
}

/// The name a line gives a value to, if that is what it does.
fn line_key(line: &str) -> Option<&str> {
    let (key, _) = line.split_once('=')?;
    let key = key.trim();
    let key = key.strip_prefix("export ").unwrap_or(key).trim();
    let is_name = |key: &str| key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    (!key.is_empty() && is_name(key)).then_some(key)
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
    fn distances() {
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(edit_distance("abc", ""), 3);
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(edit_distance("SHARDS", "SHARDS"), 0);
        assert_eq!(edit_distance("SHRDS", "SHARDS"), 1);
    }

    #[test]
    fn suggests_only_what_is_near() {
        assert_eq!(nearest("MAX_CONECTIONS").as_deref(), Some("MAX_CONNECTIONS"));
        assert_eq!(nearest("log_level").as_deref(), Some("LOG_LEVEL"));
        assert_eq!(nearest("CORS_ORIGIN").as_deref(), Some("CORS_ORIGINS"));
        assert_eq!(nearest("JWT_SECRET_FLIE").as_deref(), Some("JWT_SECRET_FILE"));
        assert_eq!(nearest("POSTGRES_PASSWORD"), None);
        assert_eq!(nearest("PORT"), None);
    }

    #[test]
    fn a_malformed_line_is_named_without_its_value() {
        let problem = |text: &str| parse_dotenv(text).unwrap_err();
        assert_eq!(problem("SHARDS=1\n\nLOG_LEVEL=hunter2=x y\nENV=test\n"), ".env line 3 is malformed (LOG_LEVEL)");
        assert_eq!(problem("A='x\ny'\nexport LOG_LEVEL='hunter2\nENV=test\n"), ".env line 3 is malformed (LOG_LEVEL)");
        assert_eq!(problem("hunter2"), ".env line 1 is malformed: it must be NAME=value");
        assert_eq!(problem("a hunter=2"), ".env line 1 is malformed: it must be NAME=value");
    }

    #[test]
    fn byte_order_mark_trailing_blanks_and_repeats_are_harmless() {
        let pairs = parse_dotenv("\u{feff}SHARDS=1\r\nSHARDS=2 # two\nENV=test ").unwrap();
        assert_eq!(pairs["SHARDS"], "2");
        assert_eq!(pairs["ENV"], "test");
        assert_eq!(pairs.len(), 2);
    }
}
