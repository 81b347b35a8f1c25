//! `inkring smoke`: does a running server do what it is there for? Asks it from outside, step by step; the steps are those of
//! the features.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::common::{fail, load, misconfigured};
use crate::config::SettingsPath;
use crate::feature::smoke::{Caller, SMOKE_ORIGIN, SMOKE_TOKEN, Smoke, Trial};
use crate::feature::trust::Trusting;
use crate::feature::verb::TOKEN_STDIN_MAX_BYTES;
use crate::features::FEATURES;
use crate::gate::is_user_id;
use crate::net::base_url::{BaseUrl, own_url};

const BASE_URL: &str = "BASE_URL";
const SMOKE_USER_ID: &str = "SMOKE_USER_ID";
const SMOKE_COLLAB_ID: &str = "SMOKE_COLLAB_ID";
const SMOKE_TIMEOUT: &str = "SMOKE_TIMEOUT";

/// The longest patience that can be asked for, in seconds.
const PATIENCE_MAX_SECONDS: f64 = 300.0;

#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 everything passed, 1 something failed, 2 usage, 3 the settings are wrong.")]
pub(super) struct Options {
    /// The server's URL [env: BASE_URL] [default: from LISTEN_ADDR]
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// The user who creates the draft and writes, if the server accepts X-User-Id [env: SMOKE_USER_ID] [default:
    /// smoke-user]
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// The user who is added to the draft and gets its ring [env: SMOKE_COLLAB_ID] [default: smoke-collab]
    #[arg(long, value_name = "ID")]
    collaborator: Option<String>,
    /// How long to wait for each response, at most 300 seconds [env: SMOKE_TIMEOUT] [default: 5]
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<String>,
    /// The Origin to open the socket with, if WS_ALLOWED_ORIGINS is a list [env: SMOKE_ORIGIN]
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
    /// A file with the user's token, if the server requires one. The token itself may be in the variable SMOKE_TOKEN,
    /// but never on the command line, which every user of the machine can read
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    trusting: Trusting,
    /// Keep the draft instead of deleting it at the end
    #[arg(long)]
    keep: bool,
}

pub(super) fn run(options: &Options, path: &SettingsPath) -> ExitCode {
    let is_named = options.base_url.is_some() || std::env::var_os(BASE_URL).is_some_and(|url| !url.is_empty());
    let own = match is_named {
        true => None,
        false => match load(path) {
            Ok(loaded) => own_url(&loaded.settings),
            Err(error) => return misconfigured(&error),
        },
    };
    let (base, trial) = match read(options, own, |name| std::env::var_os(name)) {
        Ok(read) => read,
        Err(why) => return fail("the command line is wrong", &why, 2),
    };
    let trust = if is_named { options.trusting.trust(&base) } else { options.trusting.trust_of_own(&base) };
    let trust = match trust {
        Ok(trust) => trust,
        Err(why) => return fail("the command line is wrong", &why, 2),
    };
    let to = match base.remote(&trust, trial.patience) {
        Ok(to) => to,
        Err(error) => return fail("no such server", &format!("{base}: {error}"), 1),
    };
    let caller = Caller::new(trial, to, base.prefix());
    let mut out = io::stdout();
    let Ok(mut smoke) = Smoke::begin(caller, &mut out) else {
        return fail("smoke failed", &base.nobody(), 1);
    };
    FEATURES.iter().for_each(|feature| (feature.smoke)(&mut smoke));
    if smoke.end() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What is not on the command line is in a variable, or as it always is. Empty is not there.
fn read(
    options: &Options,
    own: Option<BaseUrl>,
    variable: impl Fn(&str) -> Option<std::ffi::OsString>,
) -> Result<(BaseUrl, Trial), String> {
    let text = |name: &str| {
        let value = variable(name).filter(|value| !value.is_empty());
        value.map(|value| value.into_string().map_err(|_| format!("{name} is not UTF-8"))).transpose()
    };
    // The name under which it was set, and its value.
    let setting = |option: &str, given: &Option<String>, name: &str| {
        let from_variable = || Ok::<_, String>(text(name)?.map(|value| (name.to_owned(), value)));
        given.clone().map_or_else(from_variable, |value| Ok(Some((option.to_owned(), value))))
    };
    let or = |set: Option<(String, String)>, default: &str| set.unwrap_or((String::new(), default.to_owned()));

    let base = match setting("--base-url", &options.base_url, BASE_URL)? {
        Some((by, url)) => BaseUrl::parse(&url).map_err(|why| format!("{by}: {why}"))?,
        None => own.ok_or("LISTEN_ADDR is a port chosen at start: pass --base-url")?,
    };
    let user_id = |(by, id): (String, String)| {
        // A header of a handshake is ASCII.
        let rules = "a user id for this has 1 to 100 ASCII characters, none of them a control character";
        if is_user_id(&id) && id.is_ascii() { Ok(id) } else { Err(format!("{by}: {rules}")) }
    };
    let user = user_id(or(setting("--user", &options.user, SMOKE_USER_ID)?, "smoke-user"))?;
    let other = setting("--collaborator", &options.collaborator, SMOKE_COLLAB_ID)?;
    let other = user_id(or(other, "smoke-collab"))?;
    let (by, seconds) = or(setting("--timeout", &options.timeout, SMOKE_TIMEOUT)?, "5");
    let seconds: Option<f64> = seconds.parse().ok();
    let seconds = seconds.filter(|seconds| (0.001..=PATIENCE_MAX_SECONDS).contains(seconds));
    let seconds = seconds.ok_or_else(|| format!("{by}: use a number of seconds, at most {PATIENCE_MAX_SECONDS}"))?;
    let origin = setting("--origin", &options.origin, SMOKE_ORIGIN)?;
    let origin = origin.map(|(by, origin)| header_value(origin).ok_or(format!("{by}: it is not an origin")));
    let token = match &options.token_file {
        Some(path) => Some(token_in(path)?),
        None => {
            let token = text(SMOKE_TOKEN)?.map(|token| token.trim().to_owned());
            token.map(|token| header_value(token).ok_or(format!("{SMOKE_TOKEN} is not a token"))).transpose()?
        }
    };
    let (patience, origin) = (Duration::from_secs_f64(seconds), origin.transpose()?);
    Ok((base, Trial { user, other, patience, origin, token, keep: options.keep }))
}

/// A text that can be sent as the value of a header: visible ASCII, so that no line can be put in between.
fn header_value(text: String) -> Option<String> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())).then_some(text)
}

fn token_in(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(TOKEN_STDIN_MAX_BYTES).read_to_string(&mut text));
    read.map_err(|error| format!("--token-file: {} cannot be read: {error}", path.display()))?;
    let not = || format!("--token-file: {} must contain only a token", path.display());
    header_value(text.trim().to_owned()).ok_or_else(not)
}
