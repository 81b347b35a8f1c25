//! Where settings come from: which file is read, by which rules, who may have written it, and that every verb reads the same.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::Value;
use uuid::Uuid;

use crate::repository::{files, read};
use crate::support::needs::skip;
use crate::support::{Server, inkring, program};

/// A key that nobody remarks on.
const K: &str = "kN7wXq2ZtR9mBv4cLs8dHf3gJp6yTu5eAo";

/// What strict production wants besides a key.
const STRICT: [(&str, &str); 5] = [
    ("ENV", "production"),
    ("CONFIG_STRICT", "true"),
    ("ALLOWED_ORIGINS", "https://a.example"),
    ("WS_ALLOWED_ORIGINS", "https://a.example"),
    ("HOUSEHOLD_PASSWORD", "a heron in the evening mist"),
];

/// What a run that ended by itself came to.
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

fn finish(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    Ran { code: output.status.code().expect("it ends by itself"), stdout, stderr }
}

fn run(directory: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
    finish(inkring(directory).args(arguments).envs(environment.iter().copied()))
}

fn write(directory: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    let path = directory.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    chmod(&path, 0o600);
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Whether exactly these bytes have signed a token.
fn signed_with(token: &str, key: &str) -> bool {
    let rules = Validation::new(Algorithm::HS256);
    decode::<Value>(token.trim(), &DecodingKey::from_secret(key.as_bytes()), &rules).is_ok()
}

/// Runs a verb with settings that it finds in its own way.
type Reader<'r> = &'r dyn Fn(&[&str]) -> Ran;

/// The settings in force, by name.
fn in_force(ran: &Ran) -> BTreeMap<String, (String, String)> {
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let line = |line: &str| {
        let (setting, origin) = line.rsplit_once("  # ").unwrap();
        let (name, value) = setting.split_once('=').unwrap();
        (name.to_owned(), (value.trim_end().to_owned(), origin.to_owned()))
    };
    ran.stdout.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(line).collect()
}

#[test]
fn a_key_in_a_file_is_what_stands_there_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let check = |line: &[u8]| {
        write(directory.path(), ".env", line);
        run(directory.path(), &["check-config", "--strict"], &STRICT)
    };
    let key = |more: &str| format!("{K}{more}");
    for (line, signs) in [
        (format!("JWT_SECRET={K}$hQ8vB2"), key("$hQ8vB2")),
        (format!("JWT_SECRET={K}$"), key("$")),
        (format!("JWT_SECRET={K}$5x"), key("$5x")),
        (format!("JWT_SECRET={K}$$x"), key("$$x")),
        (format!("JWT_SECRET={K}${{nope}}z"), key("${nope}z")),
        (format!("JWT_SECRET={K}$HOME$(id)`id`"), key("$HOME$(id)`id`")),
        (format!("JWT_SECRET='{K}$hQ8vB2'"), key("$hQ8vB2")),
        (format!("JWT_SECRET=\"{K}$hQ8vB2\""), key("$hQ8vB2")),
        (format!("JWT_SECRET=\"{K}\\$x\\\"y\""), key("$x\"y")),
        (format!("JWT_SECRET='{K}\\ \" # {{ }} @'"), key("\\ \" # { } @")),
        (format!("ENV=production\r\nJWT_SECRET={K}\r\n"), key("")),
        (format!("\u{feff}JWT_SECRET={K}\n"), key("")),
        (format!("export JWT_SECRET={K}\n"), key("")),
        (format!("  JWT_SECRET = {K} \t \n"), key("")),
        (format!("JWT_SECRET={K}#x # a comment"), key("#x")),
        (format!("JWT_SECRET={K}=x="), key("=x=")),
        (format!("JWT_SECRET={K} and blanks"), key(" and blanks")),
        (format!("JWT_SECRET={K}é🖋"), key("é🖋")),
    ] {
        let checked = check(line.as_bytes());
        assert_eq!((checked.code, checked.stdout.as_str()), (0, "The configuration is valid.\n"), "{line}");
        let minted = run(directory.path(), &["token", "mint", "--user", "alice"], &STRICT);
        assert_eq!(minted.code, 0, "{line}: {}", minted.stderr);
        assert!(signed_with(&minted.stdout, &signs), "{line}");
        assert_eq!(signed_with(&minted.stdout, K), signs == K, "{line}");
    }
    for (line, why) in [
        (format!("JWT_SECRET={K}\\$x"), "line 1 is malformed (JWT_SECRET): there is a backslash outside quotes"),
        (format!("JWT_SECRET={K}\\x"), "line 1 is malformed (JWT_SECRET): there is a backslash outside quotes"),
        (format!("\nJWT_SECRET={K}'x"), "line 2 is malformed (JWT_SECRET): there is a quote inside a value"),
        (format!("JWT_SECRET=\"{K}"), "line 1 is malformed (JWT_SECRET): the quote is never closed"),
        (format!("JWT_SECRET='{K}'x"), "line 1 is malformed (JWT_SECRET): after the closing quote there may be only"),
        (
            format!("JWT_SECRET=\"{K}\\x\""),
            "line 1 is malformed (JWT_SECRET): in double quotes a backslash may only precede",
        ),
        (format!("JWT_SECRET={K}\0"), "line 1 is malformed (JWT_SECRET): there is a control character"),
        (K.to_owned(), "line 1 is malformed: it must be NAME=value"),
    ] {
        let ran = check(line.as_bytes());
        assert_eq!((ran.code, ran.stdout.as_str()), (3, ""), "{line}");
        assert!(ran.stderr.starts_with(&format!("inkring: the configuration is wrong:\n.env {why}")), "{}", ran.stderr);
        assert!(!ran.stderr.contains(K), "a secret is shown: {}", ran.stderr);
    }
    let latin = [b"ENV=production\nJWT_SECRET=caf\xe9", K.as_bytes()].concat();
    assert!(check(&latin).stderr.contains(".env line 2 is not valid UTF-8"));
}

#[test]
fn one_file_has_one_reading_wherever_it_stands() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let text = format!(
        "ALLOWED_ORIGINS=https://a.example https://b.example\nJWT_SECRET={K}$tail99\n\
         BACKUP_DIR=$(touch executed) # `touch executed`\n"
    );
    write(path, "here/.env", &text);
    write(path, "there/inkring.env", &text);
    std::fs::create_dir(path.join("empty")).unwrap();
    let file = path.join("there/inkring.env").display().to_string();
    let here = |arguments: &[&str]| run(&path.join("here"), arguments, &[]);
    let named = |arguments: &[&str]| run(&path.join("empty"), &[&["--config", &file], arguments].concat(), &[]);
    let behind = |arguments: &[&str]| run(&path.join("empty"), &[arguments, &["--config", &file]].concat(), &[]);
    let variable = |arguments: &[&str]| run(&path.join("empty"), arguments, &[("INKRING_CONFIG", &file)]);
    let readers: [(Reader<'_>, &str); 4] = [(&here, ".env"), (&named, &file), (&behind, &file), (&variable, &file)];
    for (reader, name) in readers {
        let printed = reader(&["print-config"]);
        assert_eq!(printed.stderr, format!("inkring: settings from {name} (3) and the environment (1)\n"));
        let shown = in_force(&printed);
        let of_file = |name: &str| {
            assert_eq!(shown[name].1, "settings file", "{name}");
            shown[name].0.as_str()
        };
        assert_eq!(of_file("ALLOWED_ORIGINS"), "https://a.example,https://b.example");
        assert_eq!(of_file("BACKUP_DIR"), "$(touch executed)");
        assert_eq!(of_file("JWT_SECRET"), "********");
        let minted = reader(&["token", "mint", "--user", "alice"]);
        assert!(signed_with(&minted.stdout, &format!("{K}$tail99")), "{}", minted.stderr);
    }
    for place in ["here", "empty", "there"] {
        assert!(!path.join(place).join("executed").exists(), "nothing is carried out");
    }
    // What is named comes before what is found, the command line first; the environment comes before any file.
    write(path, "here/other.env", "SHARDS=3\nDRAIN_SECONDS=3\n");
    let both = [("INKRING_CONFIG", "there/nowhere.env"), ("DRAIN_SECONDS", "4")];
    let shown = in_force(&run(&path.join("here"), &["print-config", "--config", "other.env"], &both));
    assert_eq!(shown["SHARDS"], ("3".to_owned(), "settings file".to_owned()));
    assert_eq!(shown["DRAIN_SECONDS"], ("4".to_owned(), "environment".to_owned()));
    assert_eq!(shown["BACKUP_DIR"].1, "default");
}

#[test]
fn the_table_of_what_others_read_is_right_about_us_and_about_a_shell() {
    let directory = tempfile::tempdir().unwrap();
    let page = read("docs/CONFIGURATION.md");
    let (_, table) = page.split_once("| | here | a shell").unwrap();
    let mut rows = 0;
    for row in table.lines().skip(2).take_while(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let code = |cell: &str| cell.strip_prefix('`').and_then(|cell| cell.strip_suffix('`')).map(str::to_owned);
        let line = code(cells[0]).unwrap();
        write(directory.path(), "table.env", line.replacen('A', "JWT_ISSUER", 1));
        let ran = run(directory.path(), &["print-config", "--config", "table.env"], &[]);
        match code(cells[1]) {
            Some(value) => assert_eq!(in_force(&ran)["JWT_ISSUER"].0, value, "{row}"),
            None => {
                assert!(cells[1] == "refused" && ran.code == 3 && ran.stderr.contains("line 1 is malformed"), "{row}")
            }
        }
        if let Some(value) = code(cells[2]) {
            let read = "unset y; . ./shell.env; printf '%s' \"$A\"";
            write(directory.path(), "shell.env", &line);
            let shell = Command::new("/bin/sh").args(["-c", read]).current_dir(directory.path()).output().unwrap();
            assert_eq!(String::from_utf8(shell.stdout).unwrap(), value, "{row}");
        }
        rows += 1;
    }
    assert_eq!(rows, 8, "those that are a line");
}

#[test]
fn every_verb_reads_the_same_and_says_first_what_it_was() {
    let mut server = Server::absent(&[("INKRING_CONFIG", "ink.env")]);
    let path = server.directory.path().to_owned();
    let text = format!("JWT_SECRET={K}\nAUDIT_ENABLED=true\nBACKUP_DIR=backups\nDATABASE_URL=sqlite:here.db\n");
    // Where nobody listens; the server gets a port of its own from the environment.
    write(&path, "ink.env", text + "LISTEN_ADDR=127.0.0.1:1\n");
    server.launch();
    let read = server.wait_for_log(|line| line["message"] == "config.read");
    assert_eq!(read["settings_from"], "ink.env (5) and the environment (3)");
    server.create_draft("alice");
    assert!(server.terminate().success());
    drop(std::fs::remove_file(path.join("server.log")));

    let named = |arguments: &[&str]| run(&path, &[&["--config", "ink.env"], arguments].concat(), &[]);
    let token = named(&["token", "mint", "--user", "alice"]);
    for (arguments, code, says) in [
        (&["check-config"][..], 0, "The configuration "),
        (&["print-config"], 0, "DATABASE_URL=sqlite:here.db"),
        (&["token", "inspect", token.stdout.trim()], 0, "accepts it: the user is alice"),
        (&["audit", "verify"], 0, "the chain is intact"),
        (&["audit", "tail"], 0, "collab.create_draft"),
        (&["audit", "export"], 0, "{\"id\":1,"),
        (&["backup"], 0, "inkring-"),
        (&["doctor", "--json"], 0, "\"found\": \"version "),
        (&["healthcheck"], 1, "not ready: "),
    ] {
        let ran = named(arguments);
        assert_eq!(ran.code, code, "{arguments:?}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stdout.contains(says), "{arguments:?}: {}", ran.stdout);
        let first = "inkring: settings from ink.env (5) and the environment (1)\n";
        assert_eq!(ran.stderr, first, "{arguments:?}");
    }
    let backup = std::fs::read_dir(path.join("backups")).unwrap().map(|entry| entry.unwrap().path());
    let backup = backup.into_iter().find(|path| path.extension().is_some_and(|kind| kind == "db")).unwrap();
    let ran = named(&["restore", "--check", backup.to_str().unwrap()]);
    assert_eq!((ran.code, ran.stdout.contains("here.db")), (0, true), "{}", ran.stdout);
    assert!(!path.join("data/inkring.db").exists(), "and no verb has looked anywhere else");

    // Without a file that is what is said; one that is named has to be there.
    let none = "inkring: settings from the environment (1); no .env here, ";
    std::fs::create_dir(path.join("empty")).unwrap();
    let bare = run(&path.join("empty"), &["check-config"], &[]);
    assert!(bare.stderr.starts_with(none), "{}", bare.stderr);
    for (arguments, environment) in [
        (&["check-config", "--config", "nowhere.env"][..], &[][..]),
        (&["check-config"], &[("INKRING_CONFIG", "nowhere.env")]),
    ] {
        let ran = run(&path, arguments, environment);
        assert_eq!((ran.code, ran.stdout.as_str()), (3, ""));
        let said = "inkring: the configuration is wrong:\nnowhere.env cannot be read: No such file or directory (os error 2)\n";
        assert_eq!(ran.stderr, said);
    }
    // A link is there, even if it leads nowhere: without its settings nothing starts.
    std::os::unix::fs::symlink("nowhere", path.join("empty/.env")).unwrap();
    for verb in ["check-config", "serve"] {
        let ran = run(&path.join("empty"), &[verb], &[]);
        let said = ".env cannot be read: it is a link to a file that does not exist\n";
        assert_eq!((ran.code, ran.stderr.ends_with(said)), (3, true), "{verb}: {}", ran.stderr);
    }
    for not_a_file in ["/", "/dev/null", "empty"] {
        let ran = run(&path, &["serve", "--config", not_a_file], &[]);
        assert_eq!(ran.code, 3);
        assert!(ran.stderr.contains(&format!("{not_a_file} cannot be read: it is not a file")), "{}", ran.stderr);
    }
}

#[test]
fn a_name_that_means_nothing_is_found_in_the_file_and_guessed_at_in_the_environment() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "ink.env", "LISTEN_ADR=0.0.0.0:80\nRATE_LIMT_ENABLED=true\n");
    let strict = run(directory.path(), &["check-config", "--strict", "--config", "ink.env"], &STRICT);
    assert_eq!((strict.code, strict.stdout.as_str()), (3, ""));
    for sentence in [
        "unknown variable LISTEN_ADR in ink.env; did you mean LISTEN_ADDR?",
        "unknown variable RATE_LIMT_ENABLED in ink.env; did you mean RATE_LIMIT_ENABLED?",
    ] {
        assert!(strict.stderr.contains(sentence), "{}", strict.stderr);
    }
    let slips = [("LISTEN_ADR", "0.0.0.0:80"), ("RATE_LIMT_ENABLED", "true"), ("LISTEN_FDNAMES", ""), ("PORT", "1")];
    let key = [("JWT_SECRET", K)];
    let warned = run(directory.path(), &["check-config", "--strict"], &[&STRICT[..], &key, &slips].concat());
    assert_eq!(warned.code, 0, "{}", warned.stderr);
    assert_eq!(
        warned.stdout,
        "warning: LISTEN_ADR in the environment is not a setting; did you mean LISTEN_ADDR?\n\
         warning: RATE_LIMT_ENABLED in the environment is not a setting; did you mean RATE_LIMIT_ENABLED?\n\
         The configuration is valid, with 2 warnings.\n"
    );
    let server = Server::with(&[("LISTEN_ADR", "0.0.0.0:80"), ("TRUSTED_PROXY", "10.0.0.1")]);
    for meant in ["LISTEN_ADDR", "TRUSTED_PROXIES"] {
        let tip = format!("did you mean {meant}?");
        let said = |line: &Value| line["message"].as_str().is_some_and(|said| said.contains(&tip));
        assert_eq!(server.wait_for_log(said)["level"], "WARN");
    }
}

#[test]
fn a_file_that_somebody_else_may_have_written_is_not_believed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    write(path, "secret", "0123456789abcdef0123456789abcdef\n");
    // Who takes a token with it may be anybody; it must not come to that.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let ops = listener.local_addr().unwrap();
    let text = format!("OPS_ADDR={ops}\nOPS_TOKEN_FILE=secret\n");
    write(path, "own/.env", &text);
    write(path, "own/secret", K);
    let own = path.join("own");
    let dotenv = own.join(".env");
    let fine = |verb: &str| run(&own, &[verb], &[("OPS_ADDR", "")]);
    assert_eq!(in_force(&fine("print-config"))["OPS_ADDR"].0, ops.to_string());
    let refused = |why: &str| {
        for verb in ["check-config", "doctor", "backup", "serve", "print-config"] {
            let ran = fine(verb);
            assert_eq!(ran.code, 3, "{verb}: {}{}", ran.stdout, ran.stderr);
            assert!((ran.stdout + &ran.stderr).contains(why), "{verb}: {}", ran.stderr);
        }
    };
    chmod(&dotenv, 0o666);
    refused(".env is not read, because it has mode 0666, so every user of this machine may write to it: chmod go-w");
    chmod(&dotenv, 0o644);
    assert_eq!(fine("print-config").code, 0);
    chmod(&own, 0o777);
    refused(&format!(".env is not read, because its directory {} is not safe: it has mode 0777", own.display()));
    chmod(&own, 0o700);

    // A link does not hide whose file it is.
    std::fs::rename(&dotenv, path.join("theirs")).unwrap();
    std::os::unix::fs::symlink("../theirs", &dotenv).unwrap();
    assert_eq!(fine("print-config").code, 0);
    chmod(&path.join("theirs"), 0o622);
    refused("mode 0622");
    chmod(&path.join("theirs"), 0o600);
    chmod(path, 0o1777);
    refused(&format!("its directory {} is not safe", path.display()));
    chmod(path, 0o700);
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(path.join("theirs"), Some(65_534), Some(65_534)).unwrap();
        refused(".env is not read, because it belongs to user 65534, and settings are read only from files of this");
    }
    assert!(listener.accept().is_err(), "nobody was asked, and nobody was told");
}

#[test]
fn a_settings_file_with_secrets_that_everybody_can_read_is_told_in_production_and_refused_by_the_strict() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let (origins, production) = (("ALLOWED_ORIGINS", "https://a.example"), ("ENV", "production"));
    let says = ".env has mode 0644, so every user of this machine can read JWT_SECRET and OPS_TOKEN in it: chmod o=\n";
    write(path, ".env", format!("JWT_SECRET={K}\nOPS_TOKEN={K}\nSHARDS=1\n"));
    let dotenv = path.join(".env");
    for mode in [0o644, 0o400, 0o440] {
        chmod(&dotenv, mode);
        let is_open = mode == 0o644;
        let ran = run(path, &["check-config"], &[origins, production]);
        assert_eq!((ran.code, ran.stdout.contains(says)), (0, is_open), "{mode:o}: {}{}", ran.stdout, ran.stderr);
        let ran = run(path, &["check-config", "--strict"], &[origins]);
        assert_eq!((ran.code, ran.stderr.contains(says)), (if is_open { 3 } else { 0 }, is_open), "{}", ran.stderr);
        let ran = run(path, &["check-config"], &[]);
        assert!(ran.code == 0 && !ran.stdout.contains("has mode"), "who tries it out: {}", ran.stdout);
    }
    chmod(&dotenv, 0o600);
    write(path, ".env", "SHARDS=1\nALLOWED_ORIGINS=https://a.example\n");
    chmod(&dotenv, 0o644);
    assert_eq!(run(path, &["check-config", "--strict"], &[]).code, 0, "nothing in it is secret");
}

#[test]
fn after_setup_the_verbs_find_the_installation_by_themselves() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path();
    write(path, "usr/local/bin/inkring", "another");
    let setup = run(path, &["setup", "--root", path.to_str().unwrap(), "--origin", "https://a.example"], &[]);
    assert_eq!(setup.code, 0, "{}", setup.stderr);
    assert!(setup.stdout.contains("Check it (as root):\n  inkring doctor\n"), "{}", setup.stdout);
    for place in ["lib/inkring", "elsewhere"] {
        std::fs::create_dir_all(path.join(place)).unwrap();
    }
    // As root of this machine: what setup wrote is its /etc.
    let bare = |arguments: &[&str], environment: &[(&str, &str)]| {
        let mount = "mount --bind \"$1/etc\" /etc && mount --bind \"$1/lib\" /var/lib && shift && exec \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "/bin/sh", "-c", mount, "sh"]).arg(path).arg(program());
        command.args(arguments).env_clear().envs(environment.iter().copied()).current_dir(path.join("elsewhere"));
        finish(&mut command)
    };
    if Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "true"])
        .status()
        .is_ok_and(|end| !end.success())
    {
        return skip("a file system of its own (unshare --user --mount)");
    }
    let first = "inkring: settings from /etc/inkring/inkring.env (16) and the environment (0)\n";
    let checked = bare(&["check-config"], &[]);
    assert_eq!(
        (checked.code, checked.stdout.as_str(), checked.stderr.as_str()),
        (0, "The configuration is valid.\n", first)
    );
    let minted = bare(&["token", "mint", "--user", "alice"], &[]);
    let secret = std::fs::read_to_string(path.join("etc/credstore/inkring.jwt_secret")).unwrap();
    assert!(minted.stderr == first && signed_with(&minted.stdout, secret.trim()), "{}", minted.stderr);
    let shown = in_force(&bare(&["print-config"], &[]));
    assert_eq!(shown["OPS_TOKEN"], ("********".to_owned(), "file named in the settings file".to_owned()));

    // A database, as the service leaves it.
    let restored = bare(&["audit", "verify"], &[]);
    assert_eq!(restored.code, 1);
    assert!(restored.stderr.contains("/var/lib/inkring/inkring.db"), "{}", restored.stderr);
    make_database(path);
    let verified = bare(&["audit", "verify"], &[]);
    assert_eq!(verified.code, 0, "{}", verified.stderr);
    let backup = bare(&["backup"], &[]);
    assert!(backup.code == 0 && backup.stdout.contains("/var/lib/inkring/backups/inkring-"), "{}", backup.stderr);
    let doctor = bare(&["doctor", "--json"], &[]);
    let Value::Array(findings) = serde_json::from_str(&doctor.stdout).unwrap() else { panic!() };
    let found = findings.iter().find(|finding| finding["check"] == "configuration").unwrap();
    assert_eq!(found["state"], "green", "{found}");
    assert!(found["found"].as_str().unwrap().contains("/etc/inkring/inkring.env (16)"), "{found}");

    // A file here comes first, and what is misspelt in the installation's is found.
    write(path, "elsewhere/.env", "SHARDS=2\n");
    assert_eq!(bare(&["print-config"], &[]).stderr, "inkring: settings from .env (1) and the environment (0)\n");
    std::fs::remove_file(path.join("elsewhere/.env")).unwrap();
    let settings = std::fs::read_to_string(path.join("etc/inkring/inkring.env")).unwrap();
    write(path, "etc/inkring/inkring.env", settings + "LISTEN_ADR=0.0.0.0:80\n");
    let misspelt = bare(&["check-config"], &[]);
    assert_eq!(misspelt.code, 3);
    let sentence = "unknown variable LISTEN_ADR in /etc/inkring/inkring.env; did you mean LISTEN_ADDR?";
    assert!(misspelt.stderr.contains(sentence), "{}", misspelt.stderr);
}

/// A database where the installation below this directory has it.
fn make_database(path: &Path) {
    let mut server = Server::absent(&[("AUDIT_ENABLED", "true")]);
    server.launch();
    server.create_draft("alice");
    assert!(server.terminate().success());
    std::fs::copy(server.database(), path.join("lib/inkring/inkring.db")).unwrap();
    chmod(&path.join("lib/inkring"), 0o700);
    chmod(&path.join("lib/inkring/inkring.db"), 0o600);
}

#[test]
fn only_pages_of_this_machine_are_trusted_unless_others_are_named() {
    let server = Server::start();
    let default = in_force(&run(server.directory.path(), &["print-config"], &[]))["ALLOWED_ORIGINS"].clone();
    assert_eq!(default.1, "default");
    let allowed = |origin: &str| {
        let answer = server.connect().request("GET", "/healthz", &[("Origin", origin)], b"");
        answer.header("access-control-allow-origin").map(str::to_owned)
    };
    for origin in default.0.split(',') {
        let host = origin.split_once("://").unwrap().1.rsplit_once(':').unwrap().0;
        assert!(["localhost", "127.0.0.1", "[::1]"].contains(&host), "{origin} is not of this machine");
        assert_eq!(allowed(origin).as_deref(), Some(origin));
    }
    assert!(default.0.contains("http://localhost:3000") && default.0.contains("http://localhost:5173"));
    for stranger in ["https://somebody.github.io", "http://localhost.example:3000", "null"] {
        assert_eq!(allowed(stranger), None, "{stranger}");
    }
}

#[test]
fn strict_production_lets_no_page_of_just_any_site_open_sockets() {
    let directory = tempfile::tempdir().unwrap();
    let check = |origins: Option<&str>, strict: bool| {
        let mut environment: Vec<(&str, &str)> = STRICT.to_vec();
        environment.retain(|(name, _)| *name != "WS_ALLOWED_ORIGINS" && (strict || *name != "CONFIG_STRICT"));
        environment.push(("JWT_SECRET", K));
        environment.extend(origins.map(|origins| ("WS_ALLOWED_ORIGINS", origins)));
        run(directory.path(), &["check-config"], &environment)
    };
    let any = "WS_ALLOWED_ORIGINS lets the pages of any site open sockets: list the origins instead";
    for (origins, why) in [
        (None, "Missing required configuration: WS_ALLOWED_ORIGINS"),
        (Some(""), "Missing required configuration: WS_ALLOWED_ORIGINS"),
        (Some("*"), any),
        (Some("https://a.example, *"), any),
        (Some(","), any),
    ] {
        let refused = check(origins, true);
        assert_eq!((refused.code, refused.stdout.as_str()), (3, ""), "{origins:?}");
        assert!(
            refused.stderr.ends_with(&format!("inkring: the configuration is wrong:\n{why}\n")),
            "{}",
            refused.stderr
        );
        let warned = check(origins, false);
        assert_eq!((warned.code, warned.stdout.contains(&format!("warning: {why}\n"))), (0, true), "{}", warned.stdout);
    }
    assert_eq!(check(Some("https://a.example"), true).stdout, "The configuration is valid.\n");
}

/// A secret that is printed somewhere for everyone to read, with its place.
fn printed_secrets() -> Vec<(String, String)> {
    let mut pages = files("docs");
    pages.extend(files("systemd"));
    pages.extend(["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", ".env.example"].map(str::to_owned));
    let mut found = Vec::new();
    for path in pages.into_iter().filter(|path| !path.ends_with(".json") && !path.ends_with(".png")) {
        for (number, line) in read(&path).lines().enumerate() {
            for name in ["JWT_SECRET=", "CLERK_SECRET_KEY=", "OPS_TOKEN="] {
                let values = line.split(name).skip(1).map(|rest| {
                    let rest = rest.trim_start_matches(['\'', '"']);
                    rest.split(|c: char| c.is_whitespace() || "'\"`),;".contains(c)).next().unwrap_or_default()
                });
                // What is made by a command, or masked, is no secret.
                let values = values.filter(|value| value.len() >= 16 && !value.starts_with(['$', '*']));
                found.extend(values.map(|value| (format!("{path}:{}", number + 1), value.to_owned())));
            }
        }
    }
    found
}

#[test]
fn a_key_that_can_be_guessed_is_refused_when_strict() {
    let directory = tempfile::tempdir().unwrap();
    let check = |settings: &[(&str, &str)], strict: bool| {
        let kept = STRICT.into_iter().filter(|(name, _)| strict || *name != "CONFIG_STRICT");
        let environment: Vec<_> = kept.chain(settings.iter().copied()).collect();
        run(directory.path(), &["check-config"], &environment)
    };
    let mut guessable: Vec<String> = ["0".repeat(32), "a".repeat(40), "changeme-".repeat(4), "secret".repeat(6)].into();
    guessable.extend(["changeme-changeme-changeme-changeme", "0123456789abcdef0123456789abcdef"].map(str::to_owned));
    guessable
        .extend(["a-string-secret-at-least-256-bits-long", "take-your-own-32-random-bytes-or-more"].map(str::to_owned));
    let printed = printed_secrets();
    assert!(printed.iter().any(|(place, _)| place.starts_with("docs/PROTOCOL.md:")), "{printed:?}");
    guessable.extend(printed.into_iter().map(|(_, value)| value));
    for key in &guessable {
        let refused = check(&[("JWT_SECRET", key)], true);
        assert_eq!((refused.code, refused.stdout.as_str()), (3, ""), "{key}");
        let said = refused.stderr.lines().last().unwrap();
        assert!(said.starts_with("JWT_SECRET=******** "), "{key}: {said}");
        let remedy = ", so it can be guessed: use one of your own, for example the output of `openssl rand -hex 32`";
        assert!(said.ends_with(remedy), "{key}: {said}");
        let warned = check(&[("JWT_SECRET", key)], false);
        assert_eq!((warned.code, warned.stdout.contains(said)), (0, true), "{key}: {}", warned.stdout);
        let token = check(&[("JWT_SECRET", K), ("OPS_TOKEN", key)], true);
        assert!(token.code == 3 && token.stderr.contains("OPS_TOKEN=******** "), "{key}: {}", token.stderr);
    }
    let short = check(&[("JWT_SECRET", "k7XqZw-mB:eRtY+uIoP")], true);
    assert!(
        short.stderr.ends_with("use a longer one, for example the output of `openssl rand -hex 32`\n"),
        "{}",
        short.stderr
    );
    // What the sentence says to do is good, every time.
    for _ in 0..20 {
        let made = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        assert_eq!(check(&[("JWT_SECRET", &made), ("OPS_TOKEN", &made[..32])], true).code, 0, "{made}");
    }
}
