//! `inkring setup`: what a fresh machine needs to run the server as a service. It writes what is not there, and never over
//! what is: neither secrets nor settings nor a unit that somebody has changed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use uuid::Uuid;

use super::common::{fail, print};
use crate::clock::{Clock, zone_of_machine};
use crate::config::knobs::KNOBS;
use crate::config::parse::parse;
use crate::config::{self, INSTALLED, Malformed, Sources};
use crate::feature::verb::user_id;
use crate::gate::Demands;
use crate::gate::identity::options::{SECRET, TOKEN_KEYS};
use crate::gate::mint;
use crate::gate::options::ORIGINS;
use crate::net::Endpoint;
use crate::settings::{Knob, Settings, Value};
use crate::store::options::DATABASE;
use crate::text::hex;
use crate::{net, plane};

/// Every unit, as it is called below `/etc/systemd/system`.
const UNITS: &[(&str, &str)] = &[
    ("inkring.service", include_str!("../../systemd/inkring.service")),
    ("inkring.service.d/activated.conf", include_str!("../../systemd/inkring.service.d/activated.conf")),
    ("inkring.socket", include_str!("../../systemd/inkring.socket")),
    ("inkring-ops.socket", include_str!("../../systemd/inkring-ops.socket")),
    ("inkring-redirect.socket", include_str!("../../systemd/inkring-redirect.socket")),
    ("inkring-backup.service", include_str!("../../systemd/inkring-backup.service")),
    ("inkring-backup.timer", include_str!("../../systemd/inkring-backup.timer")),
];
/// The program, as the units call it.
const PROGRAM: &str = "/usr/local/bin/inkring";
/// Where units of the administrator are.
const UNITS_DIRECTORY: &str = "/etc/systemd/system";
/// Where those of a package are, which go and change with it.
const PACKAGED_UNITS: &str = "/usr/lib/systemd/system";
/// Programs below this are a package's.
const PACKAGED_PROGRAMS: &str = "/usr/bin/";
/// The settings, which the units hand to the program, and which its verbs find by themselves.
const SETTINGS: &str = INSTALLED;
/// The secrets, from where systemd hands them to the service: the setting that each one is, and its file. The settings
/// name these files, for the verbs.
const SECRETS: [(&str, &str); 3] = [
    ("JWT_SECRET", "/etc/credstore/inkring.jwt_secret"),
    ("OPS_TOKEN", "/etc/credstore/inkring.ops_token"),
    (PASSWORD, "/etc/credstore/inkring.household_password"),
];
/// The secret that people type.
const PASSWORD: &str = "HOUSEHOLD_PASSWORD";
/// Where the data is, which is never touched.
const STATE: &str = "/var/lib/inkring";
/// Programs below these are where the service sees them, and stay there.
const VISIBLE: [&str; 2] = ["/usr/", "/opt/"];
/// How long a secret is, before it is written as hexadecimal digits.
const SECRET_BYTES: usize = 32;
/// What a password is written with: nothing that looks like something else. Each of them is five bits.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// How many of them a password has, and after how many of them there is a hyphen.
const PASSWORD_LETTERS: usize = 16;
const PASSWORD_GROUP: usize = 4;
/// How many hours the first token is good for.
const TOKEN_HOURS: u32 = 24;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// A web origin whose pages may use the server, such as https://app.example; may be repeated
    #[arg(long = "origin", value_name = "ORIGIN", value_parser = origin)]
    origins: Vec<String>,
    /// The origin is a guess, and the settings are to say so: for packages, which cannot ask
    #[arg(long, hide = true, requires = "origins")]
    guessed: bool,
    /// Print a first token for this user, valid for a day
    #[arg(long, value_name = "USER", value_parser = user_id)]
    user: Option<String>,
    /// Write below this directory instead of /, for example into an image; needs only write access to it
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Print what would be written, without writing anything
    #[arg(long)]
    dry_run: bool,
}

/// One origin as browsers send it. Any origin is none that can be named.
fn origin(text: &str) -> Result<String, String> {
    match parse(&ORIGINS, "--origin", text).map_err(|bad| bad.to_string())? {
        Value::Origins(origins) => match &origins[..] {
            [one] if one != "*" => Ok(one.clone()),
            _ => Err("give one origin, such as https://app.example; repeat --origin for more".to_owned()),
        },
        _ => Err("it is not an origin".to_owned()),
    }
}

fn knob(name: &str) -> Option<&'static Knob> {
    KNOBS.iter().copied().find(|knob| knob.name == name)
}

/// Why it did not come to its end.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("it writes to /etc and {PROGRAM}: run it as root, or write elsewhere with --root DIR")]
    NotRoot,
    #[error(
        "give the web origin whose pages may use the server, such as --origin https://app.example: it becomes \
         ALLOWED_ORIGINS in {SETTINGS}"
    )]
    NoOrigin,
    #[error("{path}: {source}", path = .0.display(), source = .1)]
    File(PathBuf, io::Error),
    #[error("{0}\nWhat was written so far stays, and the next run continues from there.")]
    Settings(String),
}

pub(super) fn run(options: &Options) -> ExitCode {
    match set_up(options) {
        Ok(report) => print(&report),
        Err(error @ Failure::NoOrigin) => fail("the command line is wrong", &error, 2),
        Err(error) => fail("cannot set up", &error, 1),
    }
}

fn set_up(options: &Options) -> Result<String, Failure> {
    if options.root.is_none() && !options.dry_run && !rustix::process::geteuid().is_root() {
        return Err(Failure::NotRoot);
    }
    let root = options.root.clone().unwrap_or_else(|| "/".into());
    let mut target = Target {
        root: std::path::absolute(&root).map_err(|error| Failure::File(root, error))?,
        dry: options.dry_run,
        report: String::new(),
    };
    let settings = target.place(SETTINGS);
    let present = fs::read_to_string(&settings).ok();
    if present.is_none() && options.origins.is_empty() && !settings.exists() {
        return Err(Failure::NoOrigin);
    }
    let is_new = !settings.exists();
    let given = named(present.as_deref().unwrap_or_default())?;
    let program = program(&mut target)?;
    for (name, text) in UNITS {
        let (path, packaged) = (format!("{UNITS_DIRECTORY}/{name}"), format!("{PACKAGED_UNITS}/{name}"));
        if target.place(&packaged).exists() && !target.place(&path).exists() {
            target.say("left out", &path, &format!(" (it is {packaged})"));
        } else {
            target.keep(&path, 0o644, text.replace(PROGRAM, &program).as_bytes())?;
        }
    }
    for (name, path) in SECRETS {
        match rival(&given, name) {
            Some(rival) => target.say("left out", path, &format!(" ({SETTINGS} has {rival})")),
            None => target.secret(path, if name == PASSWORD { new_password } else { new_secret })?,
        }
    }
    target.settings(present.is_some(), options)?;
    next_steps(&mut target, options, &program)?;
    if is_new && options.guessed {
        let origins = options.origins.join(",");
        target.report.push_str(&format!(
            "\nALLOWED_ORIGINS={origins} in {SETTINGS} is a guess from the host name: correct it there if your address is another.\n"
        ));
    }
    Ok(target.report)
}

/// The path of the program that the units are to start, which is copied where they see it if it is elsewhere.
fn program(target: &mut Target) -> Result<String, Failure> {
    let running = std::env::current_exe().map_err(|error| Failure::File("this program".into(), error))?;
    // As the machine will call it, whose files may still lie below another directory.
    let inside = running.strip_prefix(&target.root).ok().map(|path| format!("/{}", path.display()));
    if let Some(path) = inside.filter(|path| stays(path)) {
        target.say("kept", &path, "");
        return Ok(path);
    }
    let bytes = fs::read(&running).map_err(|error| Failure::File(running.clone(), error))?;
    target.keep(PROGRAM, 0o755, &bytes)?;
    Ok(PROGRAM.to_owned())
}

/// Whether units can start the program from where it is: they see it, and its path means to systemd what it says.
fn stays(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+".contains(&byte);
    VISIBLE.iter().any(|visible| path.starts_with(visible)) && path.bytes().all(plain)
}

/// The names that a text gives a value to, as the service reads it.
fn named(text: &str) -> Result<Vec<(String, String)>, Failure> {
    let told = |malformed: Vec<Malformed>| malformed.iter().map(|one| format!("{SETTINGS} {one}")).collect::<Vec<_>>();
    let pairs = config::pairs(text).map_err(|malformed| Failure::Settings(told(malformed).join("\n")))?;
    Ok(pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect())
}

/// What the settings have in place of this secret.
fn rival(given: &[(String, String)], name: &'static str) -> Option<&'static str> {
    // Tokens are verified with one key, of whichever kind.
    let rivals = if name == SECRET.name { TOKEN_KEYS.map(|key| key.name).to_vec() } else { vec![name] };
    let ours = SECRETS.iter().find(|(secret, _)| *secret == name).map(|(secret, path)| named_file(secret, path));
    let others: Vec<_> = given.iter().filter(|pair| Some(*pair) != ours.as_ref()).cloned().collect();
    rivals.into_iter().find(|rival| is_given(&others, rival))
}

/// How the settings name the file of a secret.
fn named_file(name: &str, path: &str) -> (String, String) {
    (format!("{name}_FILE"), path.to_owned())
}

/// Whether a setting is given, by any of its names or in a file.
fn is_given(given: &[(String, String)], name: &str) -> bool {
    let Some(knob) = knob(name) else { return false };
    let mut names = knob.names().map(str::to_owned).chain(knob.file_names());
    names.any(|name| given.iter().any(|(other, _)| *other == name))
}

/// A machine, or the image of one, and what was done to it.
struct Target {
    root: PathBuf,
    dry: bool,
    report: String,
}

impl Target {
    /// Where a path of the machine is.
    fn place(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    fn say(&mut self, what: &str, path: &str, more: &str) {
        self.report.push_str(&format!("{what:11} {path}{more}\n"));
    }

    /// Writes a file that is not there. One that is stays as it is, and is remarked on if it is another one.
    fn keep(&mut self, path: &str, mode: u32, bytes: &[u8]) -> Result<(), Failure> {
        let place = self.place(path);
        match fs::read(&place) {
            Ok(found) if found == bytes => self.say("kept", path, ""),
            Ok(_) => {
                self.say("kept", path, " (it differs from this program: move it away to have it replaced)");
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.write(path, mode, bytes)?,
            Err(error) => return Err(Failure::File(place, error)),
        }
        Ok(())
    }

    /// Writes a new secret, of which nothing is said but where it is.
    fn secret(&mut self, path: &str, make: fn() -> io::Result<String>) -> Result<(), Failure> {
        if self.place(path).exists() {
            self.say("kept", path, "");
            return Ok(());
        }
        let text = make().map_err(|error| Failure::File("/dev/random".into(), error))?;
        self.write(path, 0o600, text.as_bytes())
    }

    fn settings(&mut self, present: bool, options: &Options) -> Result<(), Failure> {
        if present || self.place(SETTINGS).exists() {
            let more =
                if options.origins.is_empty() || options.guessed { "" } else { " (--origin changes nothing in it)" };
            self.say("kept", SETTINGS, more);
            return Ok(());
        }
        let zone = zone_of_machine(&self.root);
        self.write(SETTINGS, 0o600, settings(&options.origins, options.guessed, zone.as_deref()).as_bytes())
    }

    /// Makes a file under another name and gives it this one when it is whole, unless something has it by now.
    fn write(&mut self, path: &str, mode: u32, bytes: &[u8]) -> Result<(), Failure> {
        let mode_shown = format!(" ({mode:04o})");
        if self.dry {
            self.say("would write", path, &mode_shown);
            return Ok(());
        }
        let place = self.place(path);
        let directory = place.parent().unwrap_or(Path::new("/"));
        // Of the directories that may be missing, only that of the secrets is nobody else's to look into.
        let of_directory = if mode == 0o600 { 0o700 } else { 0o755 };
        make_directory(directory, of_directory).map_err(|error| Failure::File(directory.to_owned(), error))?;
        let half = directory.join(format!(".inkring-setup-{}", std::process::id()));
        let made = write_all(&half, mode, bytes).and_then(|()| fs::hard_link(&half, &place));
        // It has its own name by now, or is not wanted.
        let _ = fs::remove_file(&half);
        made.map_err(|error| Failure::File(place.clone(), error))?;
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(|error| Failure::File(directory.to_owned(), error))?;
        self.say("wrote", path, &mode_shown);
        Ok(())
    }
}

/// Makes what is missing of a directory, with this mode, whatever the umask is.
fn make_directory(directory: &Path, mode: u32) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    if let Some(above) = directory.parent() {
        // What is above is a place like any other.
        make_directory(above, 0o755)?;
    }
    match fs::DirBuilder::new().mode(mode).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(()) => fs::set_permissions(directory, fs::Permissions::from_mode(mode)),
    }
}

/// What is said of the zone.
const ZONE: &str = "# The household's time zone: times that people enter are local times of this zone. It is the zone of the \
     machine.\n";

/// What is said of an origin that nobody gave.
const GUESS: &str =
    "# This one is a guess from the host name: if the server has another address, correct it in both lines.\n";

/// A new file with this mode, whatever the umask is.
fn write_all(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.sync_all()
}

/// A secret as hexadecimal digits on a line.
fn new_secret() -> io::Result<String> {
    Ok(hex(&random::<SECRET_BYTES>()?) + "\n")
}

/// A password on a line, as people can read it to each other: `k7wm-2qxr-h9ed-bv3t`.
fn new_password() -> io::Result<String> {
    let letters = random::<PASSWORD_LETTERS>()?.map(|byte| LETTERS[usize::from(byte) % LETTERS.len()] as char);
    let groups: Vec<String> = letters.chunks(PASSWORD_GROUP).map(|group| group.iter().collect()).collect();
    Ok(groups.join("-") + "\n")
}

/// The device waits, on a machine that has just started, until it has something that nobody can guess.
fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/random")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// The settings of a new installation on a machine in this zone.
fn settings(origins: &[String], guessed: bool, zone: Option<&str>) -> String {
    let zone = zone.map(|name| format!("{ZONE}HOUSEHOLD_TIMEZONE={name}\n\n")).unwrap_or_default();
    let origins = origins.join(",");
    let guess = if guessed { GUESS } else { "" };
    let by_timer = UNITS.iter().any(|(name, _)| *name == "inkring-backup.timer");
    let timer = if by_timer { "# inkring-backup.timer makes the backups.\nBACKUP_INTERVAL_HOURS=0\n" } else { "" };
    let secrets: String = SECRETS.iter().map(|(name, path)| format!("{name}_FILE={path}\n")).collect();
    let plane = plane::options::LISTEN.default;
    format!(
        "# Written once by `inkring setup`, and yours to change: it is never overwritten. `inkring print-config` \
         prints all\n\
         # settings; docs/CONFIGURATION.md describes the syntax: a $ is a $.\n\
         ENV=production\n\
         CONFIG_STRICT=true\n\
         DATABASE_URL=sqlite:{STATE}/inkring.db\n\n\
         # A proxy on this machine terminates TLS, and is trusted about its clients' addresses.\n\
         LISTEN_ADDR=127.0.0.1:8000\n\
         TRUSTED_PROXIES=127.0.0.1,::1\n\
         # The private plane, for this machine only: the same as in inkring-ops.socket.\n\
         OPS_ADDR={plane}\n\n\
         # The web origins whose pages may use the server.\n\
         {guess}ALLOWED_ORIGINS={origins}\n\
         WS_ALLOWED_ORIGINS={origins}\n\n\
         # A draft is for its members. With true, anyone who knows its id may read it, without a token; ids appear \
         in\n\
         # addresses, chats and proxy logs.\n\
         DRAFTS_PUBLIC_READ=false\n\n\
         {zone}# Better on another disk; then add it to ReadWritePaths= of the unit.\n\
         BACKUP_DIR={STATE}/backups\n\
         {timer}\n\
         # Visitors' events, as an absolute path so that verbs find them from any directory. METRICS_SAMPLE_RATE=0 \
         writes none.\n\
         METRICS_JSONL={STATE}/data/metrics.jsonl\n\n\
         # systemd passes the secrets to the service from these same files. They are named here for verbs such as\n\
         # `inkring doctor` when root runs them.\n\
         {secrets}"
    )
}

/// Enabled only by those who have the server itself terminate TLS.
const FOR_TLS: &str = "inkring-redirect.socket";

/// The units that are enabled: those that say for what, sockets first.
fn enabled() -> Vec<&'static str> {
    let rank = |name: &&str| match name.rsplit_once('.').map(|(_, kind)| kind) {
        Some("socket") => 0,
        Some("service") => 1,
        _ => 2,
    };
    let installed = UNITS.iter().filter(|(name, unit)| *name != FOR_TLS && unit.contains("\n[Install]\n"));
    let mut enabled: Vec<&str> = installed.map(|(name, _)| *name).collect();
    enabled.sort_by_key(rank);
    enabled
}

fn next_steps(target: &mut Target, options: &Options, program: &str) -> Result<(), Failure> {
    let units = enabled().join(" ");
    let rooted = options.root.as_ref().map(|_| ", on the machine that runs from this directory").unwrap_or_default();
    target.report.push_str(&format!(
        "\nNext{rooted}:\n  systemctl daemon-reload\n  systemctl enable --now {units}\n  \
         curl -s http://127.0.0.1:8000/readyz\n"
    ));
    let config = config(target);
    let given = named(&fs::read_to_string(target.place(SETTINGS)).unwrap_or_default())?;
    let unnamed = SECRETS.iter().filter(|(name, path)| {
        target.place(SETTINGS).exists() && rival(&given, name).is_none() && !given.contains(&named_file(name, path))
    });
    let unnamed: String = unnamed.map(|(name, path)| format!("  {name}_FILE={path}\n")).collect();
    let report = &mut target.report;
    if let Ok(config) = &config {
        let places = config.endpoints(&net::options::LISTEN).iter().map(|place| match place {
            Endpoint::Tcp(address) => format!("http://{address}"),
            socket => socket.to_string(),
        });
        report.push_str(&format!("\nIt listens on {}.\n", places.collect::<Vec<_>>().join(" and ")));
        if let Some(endpoint) = config.endpoint(&plane::options::LISTEN) {
            let token = SECRETS[1].1;
            report.push_str(&format!("Its private plane is {endpoint}, and requires the token in {token}.\n"));
        }
    }
    if rival(&given, PASSWORD).is_none() {
        let (_, path) = SECRETS[2];
        report.push_str(&format!("The household's password, which the modules require, is in {path}.\n"));
    }
    report.push_str("Check it (as root):\n  inkring doctor\n");
    if !unnamed.is_empty() {
        report.push_str(&format!("Add to {SETTINGS}, so that it finds the secrets:\n{unnamed}"));
    }
    if let Some(user) = &options.user {
        if options.dry_run {
            report.push_str(&format!("A token for {user} would be printed here.\n"));
        } else {
            let token = config.and_then(|config| first_token(&config, user)).map_err(Failure::Settings)?;
            report.push_str(&format!("A token for {user}, valid for {TOKEN_HOURS} hours:\n{token}\n"));
        }
    }
    if program.starts_with(PACKAGED_PROGRAMS) {
        report.push_str(&format!(
            "\nTo uninstall:\n  apt remove inkring\nSettings, secrets and the data in {STATE} stay until you remove them.\n"
        ));
    } else {
        report.push_str(&format!(
            "\nTo uninstall:\n  systemctl disable --now {units} {FOR_TLS}\n  rm -r {UNITS_DIRECTORY}/inkring* /etc/inkring \
             /etc/credstore/inkring.* {program}\n  systemctl daemon-reload\nThe data stays in {STATE} until you remove it.\n"
        ));
    }
    Ok(())
}

/// The configuration that the service will have.
fn config(target: &Target) -> Result<Settings, String> {
    let text = match fs::read_to_string(target.place(SETTINGS)) {
        Ok(text) => text,
        Err(error) => return Err(format!("{SETTINGS} cannot be read: {error}")),
    };
    let mut pairs = named(&text).map_err(|error| error.to_string())?;
    // On an image the database will lie within it.
    for (_, value) in pairs.iter_mut().filter(|(name, _)| name == DATABASE.name) {
        if let Some(path) = value.strip_prefix("sqlite:/") {
            *value = format!("sqlite:{}", target.place(path).display());
        }
    }
    for (name, path) in SECRETS {
        let ours = named_file(name, path);
        let place = target.place(path);
        let rival = rival(&pairs, name);
        pairs.retain(|pair| *pair != ours);
        if place.exists() && rival.is_none() {
            pairs.push(named_file(name, &place.display().to_string()));
        }
    }
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let loaded = config::load(&Sources::from_pairs(&pairs, &[]), false);
    loaded.map(|loaded| loaded.settings).map_err(|error| format!("{SETTINGS} is wrong:\n{error}"))
}

fn first_token(settings: &Settings, user: &str) -> Result<String, String> {
    let secret = settings.secret(&SECRET);
    let secret = secret.ok_or("there is no JWT_SECRET to sign with: make tokens with the issuer's private key")?;
    mint(secret.bytes(), user, TOKEN_HOURS, &Demands::of(settings), &Uuid::new_v4().to_string(), Clock::system().now())
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_one_and_can_be_named() {
        assert_eq!(origin(" https://App.Example:443 ").as_deref(), Ok("https://app.example"));
        for bad in ["*", "app.example", "https://a.example,https://b.example", "", ",", "https://app.example/x"] {
            assert!(origin(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_program_stays_where_units_can_start_it() {
        assert!(stays("/usr/bin/inkring") && stays("/opt/inkring-0.1.0/inkring"));
        for elsewhere in ["/srv/inkring", "/opt/my programs/inkring", "/opt/%n/inkring", "/opt/$HOME/inkring"] {
            assert!(!stays(elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn a_setting_is_given_by_any_of_its_names() {
        let given = named("# JWT_SECRET=x\nCLERK_SECRET_KEY=\"y\"\nOPS_TOKEN_FILE=/z\nJWT_JWKS_FILE=\n").unwrap();
        assert!(is_given(&given, "JWT_SECRET") && is_given(&given, "OPS_TOKEN"));
        assert!(!is_given(&given, "JWT_JWKS_FILE") && !is_given(&given, "JWT_PUBLIC_KEY_FILE"));
    }

    #[test]
    fn secrets_are_long_and_never_the_same() {
        let (one, other) = (new_secret().unwrap(), new_secret().unwrap());
        assert_eq!((one.len(), other.len()), (2 * SECRET_BYTES + 1, 2 * SECRET_BYTES + 1));
        assert_ne!(one, other);
        let (one, other) = (new_password().unwrap(), new_password().unwrap());
        assert_ne!(one, other);
        let groups: Vec<&str> = one.trim_end().split('-').collect();
        let is_plain = |group: &&str| group.len() == PASSWORD_GROUP && group.bytes().all(|one| LETTERS.contains(&one));
        assert!(groups.len() == 4 && groups.iter().all(is_plain), "{one}");
    }

    #[test]
    fn the_settings_are_what_strict_production_asks_for() {
        let text = settings(&["https://app.example".to_owned()], false, Some("Europe/Berlin"));
        let directory = tempfile::tempdir().unwrap();
        let database = format!("sqlite:{}/inkring.db", directory.path().display());
        let elsewhere = ["DATABASE_URL", "JWT_SECRET_FILE", "OPS_TOKEN_FILE", "HOUSEHOLD_PASSWORD_FILE"];
        let mut pairs = named(&text).unwrap();
        pairs.retain(|(name, _)| !elsewhere.contains(&name.as_str()));
        assert_eq!(pairs.len() + elsewhere.len(), named(&text).unwrap().len());
        pairs.push(("DATABASE_URL".to_owned(), database));
        pairs.push(("JWT_SECRET".to_owned(), new_secret().unwrap()));
        pairs.push(("HOUSEHOLD_PASSWORD".to_owned(), new_password().unwrap()));
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let loaded = config::load(&Sources::from_pairs(&pairs, &[]), true).unwrap();
        assert_eq!(loaded.warnings, [""; 0]);
        assert!(loaded.settings.strict());
        for guard in KNOBS.iter().filter(|knob| knob.guards_against.is_some()) {
            assert!(loaded.settings.flag(guard), "{}", guard.name);
        }
    }
}
