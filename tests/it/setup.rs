//! `inkring setup`: a machine that is ready for the service, made in a directory that stands for it.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

use crate::repository::{files, read};
use crate::support::{Server, besides_settings, inkring, shelled};

const ORIGIN: &str = "https://app.example";
const PROGRAM: &str = "usr/local/bin/inkring";
const SETTINGS: &str = "etc/inkring/inkring.env";
const SECRETS: [&str; 3] =
    ["etc/credstore/inkring.jwt_secret", "etc/credstore/inkring.ops_token", "etc/credstore/inkring.household_password"];

/// A directory that has a program already: copying ours takes a while, and once is enough.
fn machine() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), PROGRAM, "another");
    root
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn text(root: &Path, path: &str) -> String {
    std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn command(root: &Path, arguments: &[&str]) -> Command {
    let mut command = inkring(root);
    command.arg("setup").arg("--root").arg(root).args(arguments);
    command
}

/// What it says of a run that goes well, in which there is no secret.
#[track_caller]
fn set_up(root: &Path, arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = command(root, arguments).output().unwrap();
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""), "{stdout}");
    for path in SECRETS {
        if let Ok(secret) = std::fs::read_to_string(root.join(path)) {
            assert!(!stdout.contains(secret.trim()), "{path} is printed");
        }
    }
    stdout
}

/// Every file below a directory, with its mode and how it is.
fn listing(directory: &Path) -> Vec<(String, u32, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(listing(&path));
        } else {
            let mode = entry.metadata().unwrap().permissions().mode() & 0o7777;
            found.push((path.display().to_string(), mode, std::fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

/// Runs like the service, with files as systemd hands them over, but with a database of the test's own.
fn as_the_service(root: &Path, command: &mut Command) {
    let credentials = root.join("credentials");
    std::fs::create_dir_all(&credentials).unwrap();
    for path in SECRETS {
        let name = path.rsplit('.').next().unwrap();
        std::fs::copy(root.join(path), credentials.join(name)).unwrap();
    }
    std::fs::copy(root.join(SETTINGS), credentials.join("inkring.env")).unwrap();
    command.arg("--config").arg(credentials.join("inkring.env"));
    command.env("CREDENTIALS_DIRECTORY", &credentials).env_remove("OPS_ADDR");
    command.env("DATABASE_URL", format!("sqlite:{}", root.join("state/inkring.db").display()));
    command.env("METRICS_JSONL", root.join("state/data/metrics.jsonl"));
    command.env("BACKUP_DIR", root.join("state/backups"));
}

fn settings(root: &Path) -> Vec<(String, String)> {
    let text = text(root, SETTINGS);
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.split_once('=').unwrap()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn what_is_written_to_an_image_is_held_against_it_and_not_against_this_machine() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("var")).unwrap();
    std::fs::write(root.path().join("var/lib"), "").unwrap();
    let output = command(root.path(), &["--origin", ORIGIN, "--user", "alice"]).output().unwrap();
    let complaints = String::from_utf8(output.stderr).unwrap();
    let place = root.path().join("var/lib");
    assert_eq!(output.status.code(), Some(1));
    assert!(complaints.contains(&format!("{} is not a directory", place.display())), "{complaints}");
}

#[test]
fn a_fresh_machine_is_ready_after_one_command() {
    let root = tempfile::tempdir().unwrap();
    let mut setup = command(root.path(), &["--origin", ORIGIN, "--user", "alice"]);
    let output = shelled(setup.env("UNUSED", ""), "umask 077").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let complaints = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && complaints.is_empty(), "{said}{complaints}");

    // All that it wrote is listed, and there is nothing else; the umask counts for nothing.
    let written = listing(root.path());
    for (path, mode, _) in &written {
        let path = path.strip_prefix(&root.path().display().to_string()).unwrap();
        assert!(said.contains(&format!("wrote       {path} ({mode:04o})\n")), "{path} {mode:o}: {said}");
        let expected = match path {
            _ if path.ends_with("/bin/inkring") => 0o755,
            _ if path.starts_with("/etc/systemd/") => 0o644,
            _ => 0o600,
        };
        assert_eq!(*mode, expected, "{path}");
    }
    assert_eq!(said.matches("wrote ").count(), written.len(), "{said}");
    let mode = |path: &str| std::fs::metadata(root.path().join(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(
        [mode("etc/credstore"), mode("etc/inkring"), mode("etc/systemd/system"), mode("usr")],
        [0o700, 0o700, 0o755, 0o755]
    );
    let units: Vec<String> = files("systemd");
    let installed: Vec<_> = written.iter().filter(|(path, ..)| path.contains("/etc/systemd/system/")).collect();
    assert_eq!(installed.len(), units.len(), "every unit of systemd/ and no other: {said}");
    for unit in units {
        let name = unit.strip_prefix("systemd/").unwrap();
        assert_eq!(text(root.path(), &format!("etc/systemd/system/{name}")), read(&unit));
    }
    for words in [
        "systemctl daemon-reload",
        "systemctl enable --now inkring.socket inkring-ops.socket inkring.service inkring-backup.timer\n",
        "inkring.service",
        "http://127.0.0.1:8000",
        "127.0.0.1:8001",
        "The household's password, which the modules require, is in /etc/credstore/inkring.household_password.\n",
        "Check it (as root):\n  inkring doctor\n",
        "To uninstall:",
        "The data stays in /var/lib/inkring",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    for path in SECRETS {
        assert!(!said.contains(text(root.path(), path).trim()), "{path} is printed");
    }
    let token = said.lines().find(|line| line.starts_with("eyJ")).unwrap();
    assert_eq!(said.matches("eyJ").count(), 2, "one token, whose claims begin so too: {said}");

    // What it wrote is as strict production wants it, and the server runs with it and takes the token.
    let check = |arguments: &[&str]| {
        let mut command = inkring(root.path());
        as_the_service(root.path(), &mut command);
        let output = command.args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), besides_settings(output.stderr))
    };
    let good = "The configuration is valid.\n".to_owned();
    assert_eq!(check(&["check-config", "--strict"]), (Some(0), good, String::new()));
    let credentials = root.path().join("credentials").display().to_string();
    let (file, database) = (format!("{credentials}/inkring.env"), format!("sqlite:{credentials}/inkring.db"));
    let server = Server::with(&[
        ("INKRING_CONFIG", &file),
        ("CREDENTIALS_DIRECTORY", &credentials),
        ("DATABASE_URL", &database),
        ("BACKUP_DIR", "backups"),
        ("METRICS_JSONL", "metrics.jsonl"),
    ]);
    let bearer = format!("Bearer {token}");
    server.connect().request("GET", "/v1/collab/drafts", &[("Authorization", &bearer)], b"").expect(200);
    server.get("/v1/collab/drafts").expect(401);

    // The household comes in by its password.
    server.get("/api/v1/kazkar/stories").expect(401);
    let password = serde_json::json!({ "password": text(root.path(), SECRETS[2]).trim() });
    let opened = server.connect().post("/api/session", None, &password).expect(200);
    let session = format!("Bearer {}", opened["token"].as_str().unwrap());
    server.connect().request("GET", "/api/v1/kazkar/stories", &[("Authorization", &session)], b"").expect(200);

    // A draft is its members' alone.
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    let body = br#"{"title":"A draft","platform":"x"}"#;
    let made = server.connect().request("POST", "/v1/collab/drafts", &headers, body).expect(200);
    let draft = format!("/v1/collab/drafts/{}", made["data"]["draft_id"].as_str().unwrap());
    server.connect().request("GET", &draft, &headers, b"").expect(200);
    server.get(&draft).expect(401);
}

#[test]
fn what_is_there_stays_and_no_two_machines_share_a_secret() {
    let (one, other) = (machine(), machine());
    let first = set_up(one.path(), &["--origin", ORIGIN, "--origin", "http://Other.example:80"]);
    assert!(!first.contains("eyJ"), "no user, no token");
    assert!(first.contains("kept        /usr/local/bin/inkring (it differs from this program"), "{first}");
    assert!(
        settings(one.path()).contains(&("ALLOWED_ORIGINS".into(), "https://app.example,http://other.example".into()))
    );
    let events = "/var/lib/inkring/data/metrics.jsonl".to_owned();
    assert!(settings(one.path()).contains(&("METRICS_JSONL".into(), events)), "a verb run elsewhere finds them");
    let before = listing(one.path());
    let again = set_up(one.path(), &[]);
    assert!(!again.contains("wrote") && !again.contains("left out") && !again.contains("Add to"), "{again}");
    assert_eq!(listing(one.path()), before);

    set_up(other.path(), &["--origin", ORIGIN]);
    let mut secrets: Vec<String> =
        [&one, &other].iter().flat_map(|root| SECRETS.map(|path| text(root.path(), path))).collect();
    secrets.sort();
    secrets.dedup();
    assert_eq!(secrets.len(), 6);
    let lengths = |length| secrets.iter().filter(|secret| secret.trim().len() == length).count();
    assert_eq!((lengths(64), lengths(19)), (4, 2), "keys, and what people type");

    // Somebody's own unit, settings and secret stay, and what is missing is made.
    write(one.path(), "etc/systemd/system/inkring.service", "[Service]\n");
    write(one.path(), SECRETS[0], "my own");
    std::fs::remove_file(one.path().join(SECRETS[1])).unwrap();
    let third = set_up(one.path(), &["--origin", "https://third.example"]);
    assert!(third.contains("inkring.service (it differs from this program"), "{third}");
    assert!(third.contains("inkring.env (--origin changes nothing in it)"), "{third}");
    assert!(third.contains("wrote       /etc/credstore/inkring.ops_token (0600)"), "{third}");
    assert_eq!(text(one.path(), "etc/systemd/system/inkring.service"), "[Service]\n");
    assert_eq!(text(one.path(), SECRETS[0]), "my own");
    assert!(!text(one.path(), SETTINGS).contains("third"));

    // Settings of an older installation do not name the files of the secrets.
    write(one.path(), SETTINGS, "ENV=production\nALLOWED_ORIGINS=https://app.example https://b.example\nX='$y'\n");
    let fourth = set_up(one.path(), &["--user", "alice"]);
    let add = "Add to /etc/inkring/inkring.env, so that it finds the secrets:\n  \
               JWT_SECRET_FILE=/etc/credstore/inkring.jwt_secret\n  OPS_TOKEN_FILE=/etc/credstore/inkring.ops_token\n  \
               HOUSEHOLD_PASSWORD_FILE=/etc/credstore/inkring.household_password\n";
    assert!(fourth.contains(add) && fourth.contains("eyJ"), "{fourth}");
    write(one.path(), SETTINGS, "ENV=production\nJWT_SECRET=it's\n");
    let output = command(one.path(), &[]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("/etc/inkring/inkring.env line 2 is malformed (JWT_SECRET)"), "{said}");
}

#[test]
fn the_zone_of_the_machine_is_that_of_the_household() {
    let zone = |root: &Path| settings(root).into_iter().find(|(name, _)| name == "HOUSEHOLD_TIMEZONE");
    for (path, text, found) in [
        ("etc/timezone", "Europe/Warsaw\n", Some("Europe/Warsaw")),
        ("etc/timezone", "Europe/Atlantis\n", None),
        ("etc/hostname", "box\n", Some("Etc/UTC")),
    ] {
        let root = machine();
        write(root.path(), path, text);
        set_up(root.path(), &["--origin", ORIGIN]);
        assert_eq!(zone(root.path()).map(|(_, name)| name).as_deref(), found, "{text}");
    }
    let root = machine();
    write(root.path(), "etc/timezone", "Europe/Warsaw\n");
    std::os::unix::fs::symlink("/usr/share/zoneinfo/Europe/Lisbon", root.path().join("etc/localtime")).unwrap();
    set_up(root.path(), &["--origin", ORIGIN]);
    let chosen = ("HOUSEHOLD_TIMEZONE".to_owned(), "Europe/Lisbon".to_owned());
    assert_eq!(zone(root.path()), Some(chosen));
    // The service reads it, and has nothing to remark.
    let mut check = inkring(root.path());
    as_the_service(root.path(), &mut check);
    let output = check.args(["check-config", "--strict"]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "The configuration is valid.\n");
}

#[test]
fn settings_with_a_key_of_their_own_get_no_second_one() {
    let root = machine();
    write(
        root.path(),
        SETTINGS,
        "ENV=production\nJWT_PUBLIC_KEY_FILE=/etc/key.pem\nOPS_TOKEN=0123456789abcdef\nHOUSEHOLD_PASSWORD=a heron at dusk\n",
    );
    let said = set_up(root.path(), &[]);
    assert!(
        said.contains("left out    /etc/credstore/inkring.jwt_secret (/etc/inkring/inkring.env has JWT_PUBLIC"),
        "{said}"
    );
    assert!(said.contains("left out    /etc/credstore/inkring.ops_token (/etc/inkring/inkring.env has OPS_TOKEN)"));
    assert!(!root.path().join("etc/credstore").exists() && !said.contains("0123456789abcdef"));
    let output = command(root.path(), &["--user", "alice"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("make tokens with the issuer's private key"));
}

#[test]
fn a_dry_run_says_everything_and_does_nothing() {
    let root = machine();
    let before = listing(root.path());
    let said = set_up(root.path(), &["--origin", ORIGIN, "--user", "alice", "--dry-run"]);
    assert_eq!(listing(root.path()), before);
    for path in ["/etc/systemd/system/inkring.service (0644)", "/etc/inkring/inkring.env (0600)", "jwt_secret (0600)"] {
        assert!(said.lines().any(|line| line.starts_with("would write") && line.ends_with(path)), "{path}: {said}");
    }
    assert!(!said.contains("wrote") && !said.contains("eyJ") && said.contains("A token for alice"), "{said}");
}

#[test]
fn who_cannot_set_up_is_told_why() {
    let root = machine();
    let failed = |arguments: &[&str], code: i32, says: &str| {
        let output = command(root.path(), arguments).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(code) && stderr.contains(says), "{arguments:?}: {stderr}");
    };
    failed(&[], 2, "--origin https://app.example");
    failed(&["--origin", "*"], 2, "give one origin");
    failed(&["--origin", "app.example"], 2, "--origin");
    failed(&["--origin", ORIGIN, "--user", ""], 2, "a user id has 1 to 100 characters");
    assert_eq!(listing(root.path()).len(), 1, "nothing was written");
    write(root.path(), "etc/inkring", "a file is in the way");
    failed(&["--origin", ORIGIN], 1, "/etc/inkring");

    // Nobody but root writes to the machine itself.
    let mut command = Command::new(env!("CARGO_BIN_EXE_inkring"));
    command.args(["setup", "--origin", ORIGIN]).env_clear().current_dir("/");
    if rustix::process::geteuid().is_root() {
        command.uid(65_534);
    }
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("run it as root, or write elsewhere with --root"));
}
