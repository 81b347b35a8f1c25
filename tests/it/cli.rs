//! The program as an operator meets it: its verbs, exit codes, sentences, and the first start.

use std::io::{BufRead, BufReader, Read as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Client, PATIENCE, Server, besides_settings, inkring, wait_for};

/// What a run that ended by itself came to.
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Runs to the end; a program that goes on instead is a failure, not a test that hangs.
fn finish(command: &mut Command) -> Ran {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code().expect("it ends by itself"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: besides_settings(output.stderr),
    }
}

fn run(directory: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> Ran {
    finish(inkring(directory).args(arguments).envs(settings.iter().copied()))
}

/// Serves where it must not come to that; any free port, so that nothing else can be the reason.
fn refuse_to_serve(directory: &Path, settings: &[(&str, &str)]) -> String {
    let ran = run(directory, &[], &[&[("LISTEN_ADDR", "127.0.0.1:0")], settings].concat());
    let code = if ran.stderr.starts_with("inkring: the configuration is wrong:") { 3 } else { 1 };
    assert_eq!((ran.code, ran.stdout.as_str()), (code, ""), "{}", ran.stderr);
    ran.stderr
}

fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).unwrap().next().is_none()
}

/// Kills what it holds, so that no test leaves a server behind.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_page_of_a_draft_is_asked_for_by_its_flag() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_inkring")).args(["draft", "show", "x", "--after", "y"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("tip: `--segments-after ORDER`") && !said.contains("-- --after"), "{said}");
}

#[test]
fn the_first_start_needs_no_configuration_and_says_what_to_do_next() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = inkring(directory.path());
    command.env("LISTEN_ADDR", "127.0.0.1:0").stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running = Running(command.spawn().unwrap());
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut next =
        |label: &str| lines.next().unwrap().strip_prefix(label).unwrap_or_else(|| panic!("{label}")).to_owned();
    assert_eq!(next("inkring "), format!("{}: drafts written in turn", inkring::version::VERSION));
    let address = next("  listening on  http://");
    assert_eq!(next("  data in       "), "data/inkring.db");
    let first = next("  try           curl -s ");

    assert_eq!(next("  look at       "), format!("http://{address}/drafts"));
    // The command that it says to try works as it is written.
    let mut quoted = first.split('\'');
    assert_eq!(quoted.next(), Some(format!("http://{address}/v1/collab/drafts -H ").as_str()));
    assert_eq!((quoted.next(), quoted.nth(1)), (Some("X-User-Id: alice"), Some("Content-Type: application/json")));
    let body = quoted.nth(1).unwrap();
    let mut client = Client::connect(address.parse::<SocketAddr>().unwrap());
    let headers = [("X-User-Id", "alice"), ("Content-Type", "application/json")];
    let answer = client.request("POST", "/v1/collab/drafts", &headers, body.as_bytes());
    assert_eq!(answer.expect(200)["data"]["title"], "First draft");

    let mode = |name: &str| std::fs::metadata(directory.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("data"), 0o700, "what people write is nobody else's business");
    for file in ["inkring.db", "inkring.db-wal", "inkring.db-shm", "inkring.db.lock"] {
        assert_eq!(mode(&format!("data/{file}")), 0o600, "{file}");
    }
    let made: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(made, ["data"], "nothing else is made");
}

#[test]
fn a_start_on_every_address_says_to_try_one_that_can_be_opened() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = inkring(directory.path());
    // As a platform sets it, and a container the private plane.
    let plane = [("OPS_ADDR", "0.0.0.0:0"), ("OPS_TOKEN", "a-token-of-many-bytes")];
    command.envs([("PORT", "0"), ("AUTH_TRUST_USER_HEADER", "true")]).envs(plane);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running = Running(command.spawn().unwrap());
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut next = |label: &str| lines.find_map(|line| line.strip_prefix(label).map(str::to_owned)).unwrap();
    let port = next("  listening on  http://0.0.0.0:");
    let operator = next("  operator      http://127.0.0.1:");
    assert!(operator.strip_suffix('/').is_some_and(|port| port.parse::<u16>().is_ok()), "{operator}");
    let tried = next("  try           curl -s ");
    assert!(tried.starts_with(&format!("http://127.0.0.1:{port}/v1/collab/drafts ")), "{tried}");
    assert_eq!(next("  look at       "), format!("http://127.0.0.1:{port}/drafts"));
    Client::connect(SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap())))
        .request("GET", "/readyz", &[], b"")
        .expect(200);
}

/// What a server with these settings prints, and its log until it says that it has started.
fn printed_and_logged(settings: &[(&str, &str)]) -> (String, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let mut command = inkring(directory.path());
    command.env("LISTEN_ADDR", "127.0.0.1:0").envs(settings.iter().copied());
    let mut running = Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(running.0.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut log = Vec::new();
    while log.last().is_none_or(|line: &String| !line.contains("server.started")) {
        log.push(lines.next().unwrap_or_else(|| panic!("it did not start: {log:?}")));
    }
    // The lines for people are printed right after that one, and before it can be told to stop.
    assert!(Command::new("kill").arg(running.0.id().to_string()).status().unwrap().success());
    log.extend(lines);
    let mut printed = String::new();
    running.0.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    (printed, log)
}

#[test]
fn a_log_in_json_is_all_that_is_said() {
    for settings in [&[("LOG_FORMAT", "json")][..], &[("ENV", "production")]] {
        let (printed, log) = printed_and_logged(settings);
        assert_eq!(printed, "", "{settings:?}");
        let records: Vec<Value> = log.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let said = |message: &str| records.iter().find(|record| record["message"] == message).unwrap();
        let from = said("config.read")["settings_from"].as_str().unwrap();
        assert!(from.ends_with("; no .env here, no /etc/inkring/inkring.env"), "{from}");
        assert!(said("server.started")["address"].as_str().unwrap().starts_with("127.0.0.1:"));
        assert_eq!(said("store.opened")["pragmas"], Value::Null);
    }
}

#[test]
fn a_log_for_people_says_once_where_the_settings_are_from() {
    let (printed, log) = printed_and_logged(&[]);
    let both = format!("{printed}{}", log.join("\n"));
    assert_eq!(both.matches("the environment (2); no .env here").count(), 1, "{both}");
    assert!(!both.contains("journal_mode") && log.iter().all(|line| line.chars().count() < 250), "{both}");
    let read = log.iter().find(|line| line.contains("config.read")).unwrap();
    assert!(read.chars().count() <= 130, "too wide for a terminal: {read}");
    let (_, log) = printed_and_logged(&[("LOG_LEVEL", "debug")]);
    assert!(log.iter().any(|line| line.contains("store.pragmas") && line.contains("journal_mode=wal")), "{log:?}");
}

#[test]
fn a_caution_is_read_once_wherever_both_the_log_and_the_printed_lines_go() {
    let sentence = "AUTH_TRUST_USER_HEADER=true on the address 0.0.0.0 without TRUSTED_PROXIES: anyone who reaches it may claim any name";
    let settings = [
        ("LISTEN_ADDR", "0.0.0.0:0"),
        ("OPS_ADDR", "off"),
        ("AUTH_TRUST_USER_HEADER", "true"),
        ("ROOMS_ENABLED", "false"),
        ("MODULES_ENABLED", "false"),
    ];
    for level in ["info", "error"] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("terminal");
        let terminal = std::fs::File::create(&path).unwrap();
        let mut command = inkring(directory.path());
        command.envs(settings).env("LOG_LEVEL", level).stdout(terminal.try_clone().unwrap()).stderr(terminal);
        let mut running = Running(command.spawn().unwrap());
        let read = || std::fs::read_to_string(&path).unwrap();
        wait_for(|| read().contains("  data in  ").then_some(()));
        assert!(Command::new("kill").arg(running.0.id().to_string()).status().unwrap().success());
        assert!(running.0.wait().unwrap().success());
        assert_eq!(read().matches(sentence).count(), 1, "{level}: {}", read());
        assert_eq!(read().contains(&format!("  warning       {sentence}\n")), level == "error", "{}", read());
    }
    // In two places, it is in both.
    let (printed, log) = printed_and_logged(&settings);
    assert!(printed.contains(&format!("  warning       {sentence}\n")), "{printed}");
    assert!(log.iter().any(|line| line.contains(sentence)), "{log:?}");
}

#[test]
fn nothing_is_suggested_that_would_not_work() {
    for settings in [&[("AUTH_TRUST_USER_HEADER", "false")][..], &[("ENV", "production"), ("LOG_FORMAT", "pretty")]] {
        let (printed, _) = printed_and_logged(settings);
        let expected = ["inkring ", "  listening on  http://127.0.0.1:", "  data in       data/inkring.db"];
        assert!(printed.lines().zip(expected).all(|(line, begins)| line.starts_with(begins)), "{printed}");
        assert!(!printed.contains("X-User-Id"), "{printed}");
    }
}

#[test]
fn help_and_version_go_to_stdout_and_change_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let version = run(directory.path(), &["--version"], &[]);
    let known = format!("inkring {} (schema 5, SQLite {})\n", inkring::version::VERSION, rusqlite::version());
    assert_eq!((version.code, version.stdout.as_str()), (0, known.as_str()));
    let verb = run(directory.path(), &["version"], &[("DATABASE_URL", "nonsense")]);
    assert_eq!((verb.code, verb.stdout, verb.stderr.as_str()), (0, known, ""));
    let for_programs = run(directory.path(), &["version", "--json"], &[]);
    assert_eq!((for_programs.code, for_programs.stdout.lines().count()), (0, 1));
    let said: Value = serde_json::from_str(&for_programs.stdout).unwrap();
    let expected = json!({
        "version": inkring::version::VERSION, "commit": null, "dirty": null, "schema": 5, "sqlite": rusqlite::version()
    });
    assert_eq!(said, expected, "a build for tests knows no commit");
    for arguments in [&["--help"][..], &["-h"], &["help"], &["check-config", "--help"], &["help", "config-docs"]] {
        let help = run(directory.path(), arguments, &[("DATABASE_URL", "nonsense")]);
        assert_eq!((help.code, help.stderr.as_str()), (0, ""), "{arguments:?}");
        assert!(help.stdout.contains("Usage: inkring"), "{arguments:?}");
    }
    let help = run(directory.path(), &["--help"], &[]).stdout;
    assert!(help.starts_with("A small server for drafts written in turn"), "{help}");
    assert!(help.contains("Its data are a directory, not one file"), "{help}");
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let verbs: Vec<&str> = listed.filter_map(|line| line.split_whitespace().next()).collect();
    let own = ["serve", "check-config", "print-config", "audit"];
    assert!(
        verbs.starts_with(&own)
            && verbs[4..].starts_with(&[
                "token", "user", "draft", "backup", "verify", "restore", "metrics", "room", "gallery", "modules",
                "demo", "doctor"
            ]),
        "{help}"
    );
    for said in [
        "serve",
        "check-config",
        "print-config",
        "token",
        "doctor",
        "setup",
        "healthcheck",
        "version",
        "Exit codes: 0 ok, 1 failure, 2 usage, 3 a check",
    ] {
        assert!(help.contains(said), "{said}: {help}");
    }
    // They are for those who work on the program.
    for hidden in ["config-docs", "metrics-docs", "errors", "bounds", "routes"] {
        assert!(!verbs.contains(&hidden), "{hidden}: {help}");
    }
    assert!(is_empty(directory.path()));
}

#[test]
fn a_place_that_cannot_be_used_is_named_before_the_start_and_at_it() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("notes"), "mine").unwrap();
    for (name, value, says, of_a_start) in [
        ("DATABASE_URL", "sqlite:a/b/c.db", "a/b/c.db cannot be created: the directory a does not exist", ""),
        ("DATABASE_URL", "sqlite:.", "is not an inkring database (it is a directory)", ""),
        ("DATABASE_URL", "sqlite:notes/c.db", "notes/c.db cannot be created or opened: Not a directory", ""),
        ("GALLERY_DIR", "notes", "GALLERY_DIR=notes: notes is not a directory", "set GALLERY_DIR to a directory"),
        (
            "LISTEN_ADDR",
            "unix:nowhere/s",
            "",
            "LISTEN_ADDR=unix:nowhere/s: No such file or directory (os error 2); create the directory",
        ),
        (
            "LISTEN_ADDR",
            "unix:notes",
            "",
            "a file that is not a socket has this path: use another path, or move the file away",
        ),
    ] {
        let settings = [("OPS_ADDR", "off"), ("LISTEN_ADDR", "127.0.0.1:0"), (name, value)];
        let checked = run(directory.path(), &["check-config"], &settings);
        let said = format!("{}{}", checked.stdout, checked.stderr);
        assert!(
            said.contains(says) && says.is_empty() == (checked.stdout == "The configuration is valid.\n"),
            "{name}={value}: {said}"
        );
        let started = run(directory.path(), &["serve"], &settings);
        let expected = if of_a_start.is_empty() { says } else { of_a_start };
        assert_eq!(started.code, 1, "{name}={value}: {}", started.stderr);
        assert!(started.stderr.contains(expected), "{name}={value}: {}", started.stderr);
    }
    assert_eq!(std::fs::read_to_string(directory.path().join("notes")).unwrap(), "mine");
    // What cannot be looked at is not told as absent.
    let hidden = [("DATABASE_URL", "sqlite:notes/c.db")];
    let why = "notes/c.db cannot be created or opened: Not a directory (os error 20); set DATABASE_URL to a file in a directory that";
    for (verb, code) in
        [(&["draft", "list"][..], 1), (&["room", "list"], 1), (&["audit", "verify"], 1), (&["doctor"], 3)]
    {
        let ran = run(directory.path(), verb, &hidden);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.code, code, "{said}");
        assert!(said.contains(why) && !said.contains("there is no database"), "{verb:?}: {said}");
    }
}

#[test]
fn a_command_line_that_means_nothing_is_a_usage_error() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in [
        &["bogus"][..],
        &["--bogus"],
        &["serve", "extra"],
        &["check-config", "--no"],
        &["config-docs"],
        &["config-docs", "html"],
        &[""],
    ] {
        let ran = run(directory.path(), arguments, &[]);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(ran.stderr.starts_with("error: ") && ran.stderr.contains("--help"), "{}", ran.stderr);
    }
    assert!(is_empty(directory.path()));
}

#[test]
fn whoever_mistypes_or_looks_for_options_is_told_what_there_is() {
    let directory = tempfile::tempdir().unwrap();
    let settings = "settings are environment variables, such as LISTEN_ADDR=127.0.0.1:9000 before the command, or lines in a file \
                    (--config FILE); `inkring print-config` shows all of them";
    for (arguments, tip) in [
        (&["check-confg"][..], "a similar subcommand exists: 'check-config'"),
        (&["dcotor"], "a similar subcommand exists: 'doctor'"),
        (&["check-config", "--strit"], "a similar argument exists: '--strict'"),
        (&["--cofnig", "x"], "a similar argument exists: '--config'"),
        (&["serve", "--port", "9000"], settings),
        (&["--listen=0.0.0.0:80"], settings),
        (&["start"], "`inkring serve`, or `inkring` alone, runs the server"),
        (&["run", "--port", "9000"], "`inkring serve`, or `inkring` alone, runs the server"),
        (&["status"], "`inkring healthcheck` checks whether the server is ready"),
        (&["stop"], "`systemctl stop inkring` stops the service"),
        (&["reload"], "use `systemctl reload inkring`"),
        (&["about"], "`inkring version` prints the version"),
        (&["--config", "x", "config"], "`inkring print-config` shows all settings"),
        (&["migrate"], "`inkring serve` migrates the database when it starts"),
        (&["token", "create"], "`inkring token mint --user USER` prints a token"),
        (&["token", "crete"], "`inkring token mint --user USER` prints a token"),
        (&["token", "revok"], "a similar subcommand exists: 'revoke'"),
        (&["audit", "verfy"], "a similar subcommand exists: 'verify'"),
        (&["user", "list"], "there are no accounts"),
        (&["user", "delete"], "`inkring user erase USER`"),
        (&["logs"], "the log goes to stderr"),
        (&["draft", "ls"], "`inkring draft list`"),
        (&["draft", "rm", "x"], "`inkring draft delete ID`"),
        (&["room", "show", "x"], "`inkring room export NAME`"),
        (&["audit", "list"], "`inkring audit tail`"),
        // An import is the last thing that is meant.
        (&["modules", "export"], "GET /api/v1/export"),
        (&["-c", "x"], "`--config FILE` sets the settings file"),
        (&["doctor", "-c", "x"], "`--config FILE` sets the settings file"),
    ] {
        let ran = run(directory.path(), arguments, &[]);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(ran.stderr.contains(&format!("tip: {tip}")), "{arguments:?}: {}", ran.stderr);
        assert_eq!(ran.stderr.matches("tip:").count(), 1, "{}", ran.stderr);
        assert!(!ran.stderr.contains("\n\n\n"), "{}", ran.stderr);
    }
    // What changes much is not offered by its spelling.
    for word in ["restor", "store", "setu", "step", "sutep"] {
        let ran = run(directory.path(), &[word], &[]);
        assert!(!ran.stderr.contains("'restore'") && !ran.stderr.contains("'setup'"), "{}", ran.stderr);
    }
    // What is no setting is not taken for one.
    for arguments in [
        &["verify", "a.db", "b.db"][..],
        &["restore", "a.db", "b.db"],
        &["serve", "9000"],
        &["doctor", "--port", "9000"],
        &["user", "erase", "alice", "--before", "7d"],
    ] {
        let ran = run(directory.path(), arguments, &[]);
        assert_eq!((ran.code, ran.stderr.contains("LISTEN_ADDR")), (2, false), "{arguments:?}: {}", ran.stderr);
    }
}

#[test]
fn a_user_is_named_by_one_spelling_with_every_verb() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in [
        &["token", "revoke", "--user", "a\u{1}"][..],
        &["draft", "list", "--user", "a\u{1}"],
        &["draft", "remove-member", "d", "--user", "a\u{1}"],
        &["draft", "remove-member", "d", "a\u{1}"],
        &["user", "erase", "--user", "a\u{1}"],
        &["user", "erase", "a\u{1}"],
    ] {
        let ran = run(directory.path(), arguments, &[]);
        assert_eq!((ran.code, ran.stderr.contains("a user id has 1 to 100 characters")), (2, true), "{}", ran.stderr);
    }
    for arguments in [&["user", "erase"][..], &["user", "erase", "alice", "--user", "bob"]] {
        assert_eq!(run(directory.path(), arguments, &[]).code, 2, "{arguments:?}");
    }
    assert!(is_empty(directory.path()));
}

#[test]
fn check_config_tells_good_from_bad_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let good = run(directory.path(), &["check-config"], &[]);
    assert_eq!((good.code, good.stdout.as_str(), good.stderr.as_str()), (0, "The configuration is valid.\n", ""));

    let doubtful = [("SHARDS", "many"), ("MAX_CONNECTIONS", "1000001")];
    let warned = run(directory.path(), &["check-config"], &doubtful);
    assert_eq!(warned.code, 0, "what can be replaced by its default is a warning");
    assert_eq!(
        warned.stdout,
        "warning: SHARDS=many is not a whole number: use 0 to 256 shards; using the default 0\n\
         warning: MAX_CONNECTIONS=1000001 is out of range: 0 to 1000000 connections; using the default 0\n\
         The configuration is valid, with 2 warnings.\n"
    );
    std::fs::write(directory.path().join(".env"), "MAX_CONECTIONS=5\nLOG_LEVEL=loud\n").unwrap();
    let strict = run(directory.path(), &["check-config", "--strict"], &doubtful);
    assert_eq!((strict.code, strict.stdout.as_str()), (3, ""));
    assert_eq!(
        strict.stderr,
        "inkring: the configuration is wrong:\n\
         SHARDS=many is not a whole number: use 0 to 256 shards\n\
         LOG_LEVEL=loud is not one of the choices: use off, error, warn, info, debug or trace\n\
         MAX_CONNECTIONS=1000001 is out of range: 0 to 1000000 connections\n\
         unknown variable MAX_CONECTIONS in .env; did you mean MAX_CONNECTIONS?\n\
         Missing required configuration: ALLOWED_ORIGINS\n",
        "everything at once (G8, ruling 5)"
    );
    let by_variable = run(directory.path(), &["check-config"], &[&doubtful[..], &[("CONFIG_STRICT", "true")]].concat());
    assert_eq!((by_variable.code, by_variable.stderr), (3, strict.stderr));
    let stars = [("ALLOWED_ORIGINS", "*")];
    std::fs::remove_file(directory.path().join(".env")).unwrap();
    assert!(run(directory.path(), &["check-config", "--strict"], &stars).stderr.contains("ALLOWED_ORIGINS contains *"));
    let origins = [("ALLOWED_ORIGINS", "https://a.example")];
    assert_eq!(run(directory.path(), &["check-config", "--strict"], &origins).code, 0);
    assert!(is_empty(directory.path()));
}

#[test]
fn what_is_refused_comes_with_what_is_only_warned_of() {
    let directory = tempfile::tempdir().unwrap();
    let near = "warning: LISTEN_ADR in the environment is not a setting; did you mean LISTEN_ADDR?\n\
                warning: OPS_ADDRESS in the environment is not a setting; did you mean OPS_ADDR?\n\
                warning: RATE_LIMT_ENABLED in the environment is not a setting; did you mean RATE_LIMIT_ENABLED?\n\
                warning: TRUSTED_PROXY in the environment is not a setting; did you mean TRUSTED_PROXIES?\n";
    let misspelt = [
        ("LISTEN_ADR", "127.0.0.1:1"),
        ("OPS_ADDRESS", "off"),
        ("RATE_LIMT_ENABLED", "true"),
        ("TRUSTED_PROXY", "10.0.0.1"),
        ("LOG_LEVEL_FILE", "log"),
        ("SSL_CERT_FILE", "/etc/ssl/cert.pem"),
    ];
    let strict = run(directory.path(), &["check-config", "--strict"], &misspelt);
    assert_eq!((strict.code, strict.stdout.as_str()), (3, ""));
    assert_eq!(
        strict.stderr,
        format!("inkring: the configuration is wrong:\nMissing required configuration: ALLOWED_ORIGINS\n{near}")
    );
    // By whichever verb, and what is wrong comes first.
    let bad = [("BODY_MAX_BYTES", "1XB"), ("DRAIN_SECONDS", "ten"), ("LISTEN_ADDR", "here")];
    for verb in [&["check-config"][..], &["serve"], &["print-config"], &["token", "mint", "--user", "alice"]] {
        let ran = run(directory.path(), verb, &bad);
        let lines: Vec<&str> = ran.stderr.lines().collect();
        assert_eq!((ran.code, lines.len()), (3, 4), "{verb:?}: {}", ran.stderr);
        assert!(lines[1].starts_with("LISTEN_ADDR=here is not an address"), "{}", ran.stderr);
        for (line, name) in lines[2..].iter().zip(["BODY_MAX_BYTES=1XB is not", "DRAIN_SECONDS=ten is not"]) {
            assert!(line.starts_with("warning: ") && line.contains("; using the default "), "{line}");
            assert!(ran.stderr.contains(name), "{}", ran.stderr);
        }
    }
    let ran = run(directory.path(), &["doctor", "--json"], &bad);
    let findings: Value = serde_json::from_str(&ran.stdout).unwrap();
    let found = findings.as_array().unwrap().iter().filter(|finding| finding["check"] == "configuration");
    let states: Vec<_> = found.map(|finding| finding["state"].as_str().unwrap()).collect();
    assert_eq!((ran.code, states), (3, vec!["red", "yellow", "yellow"]));
    // A file that cannot be read hides no slip in the environment, and a key that cannot be read no warning.
    std::fs::write(directory.path().join(".env"), "A='\n").unwrap();
    let ran = run(directory.path(), &["check-config"], &misspelt);
    assert!(ran.code == 3 && ran.stderr.ends_with(near), "{}", ran.stderr);
    std::fs::remove_file(directory.path().join(".env")).unwrap();
    let key = [("JWT_PUBLIC_KEY_FILE", "nowhere.pem"), ("DRAIN_SECONDS", "ten")];
    let ran = run(directory.path(), &["check-config"], &key);
    assert!(ran.code == 3 && ran.stderr.contains("nowhere.pem"), "{}", ran.stderr);
    assert!(ran.stderr.contains("\nwarning: DRAIN_SECONDS=ten is not"), "{}", ran.stderr);
}

#[test]
fn print_config_shows_every_value_and_where_it_came_from() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(".env"), "SHARDS=3\nDRAIN_SECONDS=7\nCORS_ORIGINS='https://a.example'\n")
        .unwrap();
    let settings = [("ENV", "production"), ("DRAIN_SECONDS", "8"), ("LOG_LEVEL", "")];
    let ran = run(directory.path(), &["print-config"], &settings);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let shown = |name: &str| {
        let line = ran.stdout.lines().find(|line| line.starts_with(&format!("{name}="))).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    for line in [
        "ENV=production # environment",
        "LISTEN_ADDR=127.0.0.1:8000 # default",
        "DATABASE_URL=sqlite:data/inkring.db # default",
        "SHARDS=3 # settings file",
        "DRAIN_SECONDS=8 # environment",
        "ALLOWED_ORIGINS=https://a.example # settings file",
        "AUTH_TRUST_USER_HEADER=false # default in production",
        "LOG_LEVEL=info # default",
    ] {
        assert_eq!(shown(line.split_once('=').unwrap().0), line);
    }
    let changed = run(directory.path(), &["print-config", "--changed"], &settings);
    let lines: Vec<String> =
        changed.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let wanted = [
        "# What you need first",
        "ENV=production # environment",
        "ALLOWED_ORIGINS=https://a.example # settings file",
        // By which tests keep the port of the private plane free.
        "OPS_ADDR=off # environment",
        "",
        "# You will not need these",
        "SHARDS=3 # settings file",
        "DRAIN_SECONDS=8 # environment",
    ];
    assert_eq!((changed.code, lines), (0, wanted.map(str::to_owned).into()), "only what somebody has set");
    let nothing = tempfile::tempdir().unwrap();
    let nothing = run(nothing.path(), &["print-config", "--changed"], &[("OPS_ADDR", "")]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (0, "# Nothing is set: every setting has its default.\n"));

    let documented = run(directory.path(), &["config-docs", "env"], &[]).stdout;
    let names = |text: &str, lead: &str| -> Vec<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(lead)?.split_once('='));
        lines
            .map(|(name, _)| name.to_owned())
            .filter(|name| name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
            .collect()
    };
    assert_eq!(names(&ran.stdout, ""), names(&documented, "#"), "every setting, in the order of the documentation");

    let secret = [("DATABASE_URL", "postgres://someone:hunter2@db.example/x?password=hunter2")];
    let ran = run(directory.path(), &["print-config"], &secret);
    assert_eq!(ran.code, 3);
    assert!(
        ran.stderr.contains("DATABASE_URL=postgres://********@db.example/x?******** is not supported"),
        "{}",
        ran.stderr
    );
}

#[test]
fn print_config_shows_what_is_right_beside_what_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let dotenv = directory.path().join(".env");
    std::fs::write(&dotenv, "DRAIN_SECONDS=7\nLOG_LEVEL=loud\nTRUSTED_PROXIES=somewhere\n").unwrap();
    let settings = [("LISTEN_ADDR", "here"), ("SHARDS", "3"), ("JWT_SECRET", "hunter2\u{1}"), ("WS_PORT", "none")];
    let lines = |ran: &Ran| -> Vec<String> {
        ran.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    };
    let ran = run(directory.path(), &["print-config"], &settings);
    let shown = lines(&ran);
    for line in [
        "LISTEN_ADDR=here # wrong (environment)",
        "JWT_SECRET=******** # wrong (environment)",
        "TRUSTED_PROXIES=somewhere # wrong (settings file)",
        "LOG_LEVEL=info # default, because loud is wrong (settings file)",
        "SHARDS=3 # environment",
        "DRAIN_SECONDS=7 # settings file",
        "BODY_MAX_BYTES=65536 # default",
    ] {
        assert!(shown.iter().any(|shown| shown == line), "{line}: {}", ran.stdout);
    }
    assert_eq!((ran.code, ran.stdout.contains("hunter2")), (3, false), "{}", ran.stdout);
    // What is wrong is told as by every other verb.
    let check = run(directory.path(), &["check-config"], &settings);
    assert_eq!((check.code, &check.stderr), (3, &ran.stderr));
    for problem in ["LISTEN_ADDR=here is not an address", "TRUSTED_PROXIES=somewhere is not", "WS_PORT=none is not"] {
        assert!(ran.stderr.contains(problem), "{problem}: {}", ran.stderr);
    }
    let changed = lines(&run(directory.path(), &["print-config", "--changed"], &settings));
    assert!(changed.contains(&"LOG_LEVEL=info # default, because loud is wrong (settings file)".to_owned()));
    assert_eq!(changed.iter().filter(|line| line.contains("wrong")).count(), 4, "{changed:?}");
    let strict = run(directory.path(), &["print-config"], &[("CONFIG_STRICT", "true")]);
    assert!(lines(&strict).contains(&"LOG_LEVEL=loud # wrong (settings file)".to_owned()), "{}", strict.stdout);
    // A default that is used in the place of what is wrong keeps nothing from starting.
    std::fs::write(&dotenv, "LOG_LEVEL=loud\n").unwrap();
    let ran = run(directory.path(), &["print-config"], &[]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert!(lines(&ran).contains(&"LOG_LEVEL=info # default, because loud is wrong (settings file)".to_owned()));
    // A line that cannot be read hides neither the others nor the environment.
    std::fs::write(&dotenv, "DRAIN_SECONDS=7\nBACKUP_DIR='b\n").unwrap();
    let ran = run(directory.path(), &["print-config"], &[("SHARDS", "3"), ("LISTEN_ADDR", "here")]);
    let shown = lines(&ran);
    assert_eq!((ran.code, shown[0].as_str()), (3, "# These are not all: some of what is set cannot be read."));
    assert!(shown.contains(&"DRAIN_SECONDS=7 # settings file".to_owned()), "{}", ran.stdout);
    assert!(shown.contains(&"SHARDS=3 # environment".to_owned()), "{}", ran.stdout);
    for problem in [".env line 2 is malformed (BACKUP_DIR)", "LISTEN_ADDR=here is not an address"] {
        assert!(ran.stderr.contains(problem), "{problem}: {}", ran.stderr);
    }
    let ran = run(directory.path(), &["--config", "nowhere", "print-config", "--changed"], &[("SHARDS", "3")]);
    assert!(ran.code == 3 && ran.stderr.contains("nowhere cannot be read"), "{}", ran.stderr);
    assert!(ran.stdout.contains("SHARDS=3 ") && !ran.stdout.contains("DRAIN_SECONDS"), "{}", ran.stdout);
}

#[test]
fn what_has_no_effect_is_told_before_the_start_and_at_it() {
    let directory = tempfile::tempdir().unwrap();
    let settings = [("TLS_HSTS_SECONDS", "86400"), ("BACKUP_KEEP_DAYS", "9")];
    let says =
        ["TLS_HSTS_SECONDS has no effect without TLS_CERT_FILE", "BACKUP_KEEP_DAYS has no effect without BACKUP_DIR"];
    let ran = run(directory.path(), &["check-config"], &settings);
    let [hsts, keep] = says;
    let expected = format!("warning: {hsts}\nwarning: {keep}\nThe configuration is valid, with 2 warnings.\n");
    assert_eq!((ran.code, ran.stdout), (0, expected));
    let (_, log) = printed_and_logged(&settings);
    for says in says {
        assert_eq!(log.iter().filter(|line| line.contains("WARN") && line.contains(says)).count(), 1, "{log:#?}");
    }
}

#[test]
fn a_token_made_with_a_weak_key_comes_with_the_sentence_of_the_server() {
    let directory = tempfile::tempdir().unwrap();
    let mint = ["token", "mint", "--user", "alice"];
    for (key, why) in [
        ("short", "JWT_SECRET=******** is shorter than 32 bytes, so anyone who has one token can find the key"),
        ("only-for-the-examples-of-this-page", "JWT_SECRET=******** is "),
    ] {
        let ran = run(directory.path(), &mint, &[("JWT_SECRET", key)]);
        assert_eq!((ran.code, ran.stdout.trim().split('.').count()), (0, 3), "{}", ran.stderr);
        assert!(ran.stderr.starts_with(&format!("warning: {why}")), "{}", ran.stderr);
        let check = run(directory.path(), &["check-config"], &[("JWT_SECRET", key)]);
        assert!(check.stdout.starts_with(&ran.stderr), "{}", check.stdout);
        let strict = run(directory.path(), &mint, &[("JWT_SECRET", key), ("CONFIG_STRICT", "true")]);
        assert_eq!((strict.code, strict.stdout.as_str()), (3, ""), "{}", strict.stderr);
    }
    let good = run(directory.path(), &mint, &[("JWT_SECRET", "k7XqZw.mB:eRtY+uIoP/2s4Dv6Fg8Hj1")]);
    assert_eq!((good.code, good.stderr.as_str()), (0, ""));
}

#[test]
fn the_documentation_of_the_configuration_is_what_the_program_prints() {
    let directory = tempfile::tempdir().unwrap();
    for (form, file) in [("env", ".env.example"), ("markdown", "docs/CONFIGURATION.md")] {
        let kept = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        let ran = run(directory.path(), &["config-docs", form], &[("ENV", "nonsense")]);
        assert_eq!(ran.code, 0);
        assert!(ran.stdout == kept, "{file} is out of date: inkring config-docs {form} > {file}");
    }
    std::fs::write(directory.path().join(".env"), run(directory.path(), &["config-docs", "env"], &[]).stdout).unwrap();
    assert_eq!(run(directory.path(), &["check-config"], &[]).code, 0, "the example is itself a good .env");
}

#[test]
fn a_setting_that_is_never_guessed_stops_the_start_by_name_value_and_bound() {
    let directory = tempfile::tempdir().unwrap();
    for (name, value, sentence) in [
        ("ENV", "staging", "ENV=staging is not one of the choices: use development, production or test"),
        ("CONFIG_STRICT", "maybe", "CONFIG_STRICT=maybe is not a flag: use true or false"),
        ("LISTEN_ADDR", "a.example:1", "LISTEN_ADDR=a.example:1 is not an address: use IP:PORT"),
        ("AUTH_TRUST_USER_HEADER", "2", "AUTH_TRUST_USER_HEADER=2 is not a flag: use true or false"),
        ("TRUSTED_PROXIES", "10.0.0.0/33", "TRUSTED_PROXIES=10.0.0.0/33 is not an address or a network"),
        ("ALLOWED_ORIGINS", "a.example", "ALLOWED_ORIGINS=a.example is not an origin"),
        ("CORS_ORIGINS", "https://a.example/path", "CORS_ORIGINS=https://a.example/path is not an origin"),
        (
            "DATABASE_URL",
            "postgres://h/db",
            "DATABASE_URL=postgres://h/db is not supported: only sqlite is, as sqlite:PATH",
        ),
        ("DATABASE_URL", "data.db", "DATABASE_URL=data.db is not supported: only sqlite is, as sqlite:PATH"),
        ("DATABASE_URL", "sqlite::memory:", "DATABASE_URL=sqlite::memory: would not be stored"),
    ] {
        let said = refuse_to_serve(directory.path(), &[(name, value)]);
        assert!(said.contains(sentence), "{said}");
        assert_eq!(run(directory.path(), &["check-config"], &[(name, value)]).code, 3, "{name}={value}");
    }
    let said =
        refuse_to_serve(directory.path(), &[("CONFIG_STRICT", "true"), ("SHARDS", "257"), ("BODY_MAX_BYTES", "-1")]);
    for sentence in [
        "SHARDS=257 is out of range: 0 to 256 shards",
        "BODY_MAX_BYTES=-1 is not a whole number: use 1024 to 67108864 bytes, optionally followed by k, m or g",
        "Missing required configuration: ALLOWED_ORIGINS",
    ] {
        assert!(said.contains(sentence), "{said}");
    }
    assert!(is_empty(directory.path()), "a refused configuration leaves nothing behind");
}

#[test]
fn a_setting_that_can_be_replaced_is_warned_about_once_and_served_without() {
    let server = Server::with(&[("SHARDS", "0x10"), ("BODY_MAX_BYTES", "100")]);
    server.get("/readyz").expect(200);
    let sentence = "SHARDS=0x10 is not a whole number: use 0 to 256 shards; using the default 0";
    let line = server.wait_for_log(|line| line["message"] == sentence);
    assert_eq!(line["level"], "WARN");
    let sentence = "BODY_MAX_BYTES=100 is out of range: 1024 to 67108864 bytes; using the default 65536";
    server.wait_for_log(|line| line["message"] == sentence);
    assert_eq!(server.log().matches("using the default").count(), 2);
}

#[test]
fn a_file_that_is_not_ours_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let database = |name: &str, sql: &str| rusqlite::Connection::open(at(name)).unwrap().execute_batch(sql).unwrap();
    database("newer.db", "PRAGMA application_id = 0x696e6b72; PRAGMA user_version = 99; CREATE TABLE drafts (a)");
    database("other.db", "PRAGMA application_id = 7; CREATE TABLE theirs (a)");
    database("plain.db", "CREATE TABLE theirs (a)");
    std::fs::write(at("notes.txt"), "These are my notes. ".repeat(100)).unwrap();
    std::fs::create_dir(at("folder")).unwrap();
    for (name, sentence) in [
        ("newer.db", "newer.db has schema version 99, and this inkring knows versions up to 5; run the newer inkring"),
        ("other.db", "other.db is not an inkring database (an SQLite database with application id 0x7)"),
        ("plain.db", "plain.db is not an inkring database (an SQLite database of another program)"),
        (
            "notes.txt",
            "notes.txt is not an inkring database (it is not an SQLite file); set DATABASE_URL to another file",
        ),
        ("folder", "folder is not an inkring database (it is a directory)"),
    ] {
        let before = std::fs::read(at(name)).ok();
        let said = refuse_to_serve(directory.path(), &[("DATABASE_URL", &format!("sqlite:{name}"))]);
        assert!(said.contains("inkring: cannot start:\n") && said.contains(sentence), "{said}");
        assert_eq!(std::fs::read(at(name)).ok(), before, "{name}");
        if name != "folder" {
            let checked = run(directory.path(), &["check-config"], &[("DATABASE_URL", &format!("sqlite:{name}"))]);
            assert!(checked.code == 3 && checked.stderr.contains(sentence), "{}", checked.stderr);
        }
    }
}

#[test]
fn check_config_says_that_the_start_changes_the_database() {
    let directory = tempfile::tempdir().unwrap();
    let old = directory.path().join("old.db");
    let connection = rusqlite::Connection::open(&old).unwrap();
    connection.execute_batch(include_str!("../data/schema-1.sql")).unwrap();
    connection.execute_batch("PRAGMA user_version = 1; PRAGMA application_id = 0x696e6b72").unwrap();
    drop(connection);
    let before = std::fs::read(&old).unwrap();
    let ran = run(directory.path(), &["check-config"], &[("DATABASE_URL", "sqlite:old.db")]);
    let said = "old.db has schema version 1; the start of this inkring brings it to 5, and older ones refuse it then\n\
                The configuration is valid.\n";
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, said, ""));
    assert_eq!(std::fs::read(&old).unwrap(), before);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn files_of_tls_are_named_with_their_settings_and_both() {
    let directory = tempfile::tempdir().unwrap();
    let files = [("TLS_CERT_FILE", "nofile"), ("TLS_KEY_FILE", "nokey")];
    let ran = run(directory.path(), &["check-config"], &files);
    let why = "cannot be read: No such file or directory (os error 2)";
    let said = format!("TLS_CERT_FILE=nofile {why}; TLS_KEY_FILE=nokey {why}\n");
    assert!(ran.code == 3 && ran.stderr.contains(&said), "{}", ran.stderr);
    assert!(refuse_to_serve(directory.path(), &files).contains(said.trim_end()));
}

#[test]
fn a_directory_for_backups_that_cannot_be_written_is_warned_of_everywhere() {
    let directory = tempfile::tempdir().unwrap();
    for env in ["development", "test", "production"] {
        let ran = run(directory.path(), &["check-config"], &[("ENV", env), ("BACKUP_DIR", "/proc/nope")]);
        let said = "warning: BACKUP_DIR=/proc/nope: /proc cannot be written: it belongs to the kernel\n";
        assert!(ran.code == 0 && ran.stdout.matches(said).count() == 1, "{env}: {}", ran.stdout);
    }
}

#[test]
fn a_mistyped_path_makes_no_tree_and_a_new_database_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let wrong = directory.path().join("vra/lib/inkring.db");
    let said = refuse_to_serve(directory.path(), &[("DATABASE_URL", &format!("sqlite:{}", wrong.display()))]);
    let missing =
        format!("cannot be created: the directory {} does not exist; correct", directory.path().join("vra").display());
    assert!(said.contains(&missing), "{said}");
    assert!(is_empty(directory.path()));
    for (env, level) in [("production", "WARN"), ("development", "INFO")] {
        let mut server = Server::with(&[("ENV", env)]);
        let created = server.wait_for_log(|line| line["message"] == "store.created");
        assert_eq!((&created["level"], &created["path"]), (&json!(level), &json!("data/inkring.db")));
        assert!(server.terminate().success());
        server.launch();
        server.get("/healthz").expect(200);
        assert_eq!(server.log().matches("store.created").count(), 1);
    }
}

#[test]
fn a_second_server_on_the_same_database_is_refused_by_name() {
    let server = Server::start();
    let draft = server.create_draft("alice");
    let ran = finish(&mut server.command());
    let log = server.log() + &ran.stderr;
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    let sentence = format!(
        "data/inkring.db is in use by another inkring (process {}); stop it first, or set DATABASE_URL to another file",
        server.pid()
    );
    assert!(log.contains(&sentence), "{log}");
    let body = json!({ "content": "still here", "idempotency_key": "k" });
    server.post_as("alice", &format!("/v1/collab/drafts/{draft}/segments"), &body).expect(200);
}

#[test]
fn an_address_in_use_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = refuse_to_serve(directory.path(), &[("LISTEN_ADDR", &address)]);
    let sentence = format!("cannot listen on LISTEN_ADDR={address}: Address already in use");
    assert_eq!(said.matches(&sentence).count(), 1, "{said}");
    // What reads the log as JSON is told in a line of it, and once as well.
    let said = refuse_to_serve(directory.path(), &[("LISTEN_ADDR", &address), ("LOG_FORMAT", "json")]);
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<&Value> = lines.iter().filter(|line| line.to_string().contains(&sentence)).collect();
    assert_eq!((told.len(), &told[0]["message"]), (1, &json!("server.not_started")), "{said}");
    assert!(is_empty(directory.path()), "no database is made for a server that cannot listen");
}

#[test]
fn a_server_that_runs_already_is_named_with_its_process() {
    let server = Server::start();
    let address = server.address.to_string();
    let ran = finish(server.command().env("LISTEN_ADDR", &address));
    let sentence = format!(
        "process {} already serves data/inkring.db, and LISTEN_ADDR={address} is in use; stop it first, or set both \
         LISTEN_ADDR and DATABASE_URL for a second server",
        server.pid()
    );
    assert_eq!(ran.code, 1);
    assert!((server.log() + &ran.stderr).contains(&sentence), "{}", server.log());
    server.get("/readyz").expect(200);
}

#[test]
fn a_place_that_cannot_hold_the_data_is_named() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("file"), "").unwrap();
    for url in ["sqlite:file/inkring.db", "sqlite:file/deeper/inkring.db"] {
        let said = refuse_to_serve(directory.path(), &[("DATABASE_URL", url)]);
        assert!(said.contains("inkring: cannot start:\nfile"), "{said}");
        assert!(said.contains("cannot be created or opened: ") && said.contains("set DATABASE_URL"), "{said}");
    }
}

#[test]
fn smoke_and_demo_ask_where_the_settings_say_that_it_listens() {
    let server = Server::start();
    let directory = tempfile::tempdir().unwrap();
    let listens = server.address.to_string();
    let there = [("LISTEN_ADDR", listens.as_str())];
    for verb in ["demo", "smoke"] {
        let ran = run(directory.path(), &[verb], &there);
        assert_eq!(ran.code, 0, "{verb}: {} {}", ran.stdout, ran.stderr);
        let chosen = run(directory.path(), &[verb], &[("LISTEN_ADDR", "127.0.0.1:0")]);
        assert!(chosen.code == 2 && chosen.stderr.contains("pass --base-url"), "{}", chosen.stderr);
        assert_eq!(run(directory.path(), &[verb], &[("LISTEN_ADDR", "here")]).code, 3);
    }
}

#[test]
fn an_empty_audit_log_says_that_it_is_off() {
    let server = Server::start();
    let says = "inkring: nothing is recorded: AUDIT_ENABLED is off\n";
    for (verb, first) in [("tail", ""), ("verify", "the chain is intact")] {
        let off = run(server.directory.path(), &["audit", verb], &[]);
        assert_eq!((off.code, off.stdout.lines().next().unwrap_or_default(), off.stderr.as_str()), (0, first, says));
        let on = run(server.directory.path(), &["audit", verb], &[("AUDIT_ENABLED", "true")]);
        assert_eq!((on.code, on.stderr.as_str()), (0, ""));
    }
}
