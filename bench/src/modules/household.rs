//! A household that has kept many records, filled through the door that is there for it: the import.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use inkring_testkit::random::Random;
use tempfile::TempDir;

use super::setting::{client_header, server_in};
use crate::load::{describe, fields};
use crate::options::Result;
use crate::process::{self, Server};

/// In every record.
pub const COMMON: &str = "день";
/// In so many of all.
pub const RARE: &str = "їжаченя";
pub const RARE_RECORDS: usize = 10;
/// For each story so many records of each other kind.
const OTHERS: f64 = 0.01;
const OTHER_MODULES: [&str; 5] = ["podija", "nastrij", "malya", "gallery", "calendar"];
/// Filling takes a while.
const PATIENCE: Duration = Duration::from_secs(600);

/// Its directory, while no server has it, and what is in it.
pub struct Household {
    directory: Option<TempDir>,
    pub stories: usize,
    pub records: usize,
}

impl Household {
    /// One with so many stories and a few records of every other kind.
    pub fn fill(program: &Path, stories: usize) -> Result<Self> {
        let lines = lines(stories);
        let records = lines.lines().count();
        let (began, server) = (Instant::now(), server_in(process::directory()?, program, None)?);
        let mut client = inkring_testkit::Client::try_connect(server.address, PATIENCE)?;
        let head = format!(
            "POST /api/v1/import HTTP/1.1\r\nHost: {}\r\n{}Content-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n",
            server.address,
            client_header(0),
            lines.len(),
        );
        let answer = client.exchange(&[head.as_bytes(), lines.as_bytes()].concat())?;
        let text = String::from_utf8_lossy(&answer.body);
        if answer.status != 200 || fields(&text, "made").next() != Some(&records.to_string()) {
            return Err(format!("filling: {}", describe(answer.status, &answer.body)).into());
        }
        eprintln!("{records} records are there after {:.0} s", began.elapsed().as_secs_f64());
        Ok(Self { directory: Some(server.end()?), stories, records })
    }

    /// The one that is there already, or a new one.
    pub fn of<'h>(there: &'h mut Option<Self>, program: &Path, stories: usize) -> Result<&'h mut Self> {
        match there {
            Some(household) => Ok(household),
            None => Ok(there.insert(Self::fill(program, stories)?)),
        }
    }

    /// A server that has it, started now.
    pub fn open(&mut self, program: &Path, core: Option<usize>) -> Result<Server> {
        server_in(self.directory.take().ok_or("another server has the household")?, program, core)
    }

    /// Takes it back.
    pub fn close(&mut self, server: Server) -> Result<()> {
        self.directory = Some(server.end()?);
        Ok(())
    }
}

/// What is imported. Of keys that a kind does not have it takes no notice.
fn lines(stories: usize) -> String {
    let others = (stories as f64 * OTHERS) as usize;
    let of_others = OTHER_MODULES.into_iter().flat_map(|module| (1..=others).map(move |id| (module, id)));
    let all = (1..=stories).map(|id| ("kazkar", id)).chain(of_others);
    let (mut random, mut lines) = (Random::of(13), String::new());
    for (module, id) in all {
        let is_rare = module == "kazkar" && id % (stories / RARE_RECORDS) == 0;
        let (title, said) = (words(&mut random, 2), words(&mut random, 10));
        let rare = if is_rare { RARE } else { "" };
        let text = format!("{said} {COMMON} {rare}");
        // Writing to a String cannot fail.
        _ = writeln!(
            lines,
            r#"{{"title":"{title}","content":"{text}","description":"{text}","notes":"{text}","story_type":"memory","participants":["Олена"],"tags":["родина"],"emotion_state":"calm","media_type":"photo","url":"https://example.com/{id}.jpg","scheduled_at":"2026-01-01T10:00","module":"{module}","id":{id},"time":"2026-01-01T00:00:00.{id:06}Z"}}"#,
        );
    }
    lines
}

/// Words of a language that nobody speaks, some of them much more often than others.
fn words(random: &mut Random, count: usize) -> String {
    const SYLLABLES: [&str; 10] = ["ка", "ло", "ми", "ра", "не", "ту", "ві", "ся", "до", "пи"];
    let mut text = String::new();
    for number in 0..count {
        if number > 0 {
            text.push(' ');
        }
        let (one, other) = (random.below(10_000), random.below(10_000));
        let mut rest = one * other / 10_000;
        for _ in 0..4 {
            text.push_str(SYLLABLES[rest % 10]);
            rest /= 10;
        }
    }
    text
}
