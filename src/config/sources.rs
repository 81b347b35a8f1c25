//! Where settings are given: the environment of the process and a `.env` file.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;

use super::ConfigError;
use super::knobs::{KNOBS, Knob};
use super::value::printable;

/// Where the value of a setting came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// Nobody set it, and `ENV=production` has a default of its own.
    ProductionDefault,
    /// The environment of the process.
    Environment,
    /// The `.env` file.
    DotEnv,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::ProductionDefault => "default in production",
            Self::Environment => "environment",
            Self::DotEnv => ".env",
        })
    }
}

/// The texts settings are read from. Not `Debug`: they may hold secrets.
#[derive(Clone, Default)]
pub struct Sources {
    environment: BTreeMap<String, String>,
    dotenv: BTreeMap<String, String>,
}

/// A text somebody gave for a knob.
pub(super) struct Given<'s> {
    /// The name or alias it was given under.
    pub(super) name: &'static str,
    pub(super) text: &'s str,
    pub(super) origin: Origin,
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
        if problems.is_empty() { Ok(Self { environment, dotenv }) } else { Err(ConfigError { problems }) }
    }

    /// Sources made of these pairs alone.
    #[must_use]
    pub fn from_pairs(env: &[(&str, &str)], dotenv: &[(&str, &str)]) -> Self {
        let collect = |pairs: &[(&str, &str)]| {
            let own = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
            pairs.iter().map(own).collect()
        };
        Self { environment: collect(env), dotenv: collect(dotenv) }
    }

    /// What was given for `knob`: the environment before `.env`, and in each
    /// of them the name before its aliases. An empty text was not given.
    pub(super) fn find(&self, knob: &Knob) -> Option<Given<'_>> {
        let places = [(&self.environment, Origin::Environment), (&self.dotenv, Origin::DotEnv)];
        places.into_iter().find_map(|(texts, origin)| {
            knob.names().find_map(|name| {
                let text = texts.get(name)?.trim();
                (!text.is_empty()).then_some(Given { name, text, origin })
            })
        })
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

fn known_names() -> impl Iterator<Item = &'static str> {
    KNOBS.iter().flat_map(Knob::names)
}

/// The known name a typing mistake or two away from `name`.
fn nearest(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_uppercase();
    let limit = (name.len() / 4).clamp(2, 3);
    known_names()
        .map(|known| (edit_distance(&name, known), known))
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
        assert_eq!(nearest("MAX_CONECTIONS"), Some("MAX_CONNECTIONS"));
        assert_eq!(nearest("log_level"), Some("LOG_LEVEL"));
        assert_eq!(nearest("CORS_ORIGIN"), Some("CORS_ORIGINS"));
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
