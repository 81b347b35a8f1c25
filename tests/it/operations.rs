//! docs/OPERATIONS.md and docs/deploy/: the commands exist, each alert has its entry in the runbook, the proxies and the
//! container fit the server.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use inkring::config::knobs::KNOBS;
use uuid::Uuid;

use crate::docs::blocks;
use crate::repository::{read, root};
use crate::support::inkring;

const PAGE: &str = "docs/OPERATIONS.md";

fn default_of(name: &str) -> &'static str {
    KNOBS.iter().find(|knob| knob.name == name).unwrap_or_else(|| panic!("{name} is no setting")).default
}

/// The words after the program in each call of inkring on these lines: `sudo`, settings and paths stand before it.
fn calls(script: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for line in script.lines() {
        for command in line.split(['&', ';', '(', ')']) {
            let mut words = command.split_whitespace().filter(|word| *word != "sudo").peekable();
            // Lines of units have names in small letters.
            let is_setting = |name: &str| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
            while let Some((name, _)) =
                words.peek().and_then(|word| word.split_once('=')).filter(|(name, _)| is_setting(name))
            {
                assert!(KNOBS.iter().any(|knob| knob.name == name), "{command}: {name} is no setting");
                words.next();
            }
            if words.next().is_some_and(|program| program == "inkring" || program.ends_with("/inkring")) {
                found.push(words.map(str::to_owned).collect());
            }
        }
    }
    found
}

/// What a verb says of itself, or one of a verb's own verbs.
fn help(verb: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let output = inkring(directory.path()).args(verb).arg("--help").output().unwrap();
    assert!(output.status.success(), "there is no verb {verb:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_commands_of_the_page_exist_with_their_options() {
    let page = read(PAGE);
    let mut tried = BTreeSet::new();
    for block in blocks(&page).iter().filter(|block| block.language == "sh") {
        for call in calls(&block.text) {
            let (verb, rest) = call.split_first().unwrap();
            let has_verbs = ["draft", "room", "token", "user"].contains(&verb.as_str());
            let help = if has_verbs { help(&[verb, &rest[0]]) } else { help(&[verb]) };
            for option in rest.iter().filter(|word| word.starts_with("--")) {
                assert!(help.contains(&format!("{option} ")) || help.contains(&format!("{option}\n")), "{call:?}");
            }
            tried.insert(verb.clone());
        }
    }
    let expected = ["backup", "draft", "restore", "room", "serve", "setup", "smoke", "token", "user", "verify"];
    assert_eq!(tried.iter().collect::<Vec<_>>(), expected);
    let (before, _) = page.split_once("--token-file token.txt").unwrap();
    assert!(before.contains(" > token.txt)\n"), "the token is read before anything has written it");
}

#[test]
fn each_alert_has_its_entry_in_the_runbook_and_each_entry_its_alert() {
    let rules = read("docs/deploy/alerts.yml");
    // The page of the package, by an address that a browser on that machine opens.
    let begins = "runbook_url: \"file:///usr/share/doc/inkring/docs/OPERATIONS.md#";
    let wanted: BTreeSet<&str> =
        rules.lines().filter_map(|line| line.trim().strip_prefix(begins)?.strip_suffix('"')).collect();
    assert_eq!(wanted.len(), rules.matches("- alert: ").count(), "an alert has no entry of its own");
    let page = read(PAGE);
    let (_, runbook) = page.split_once("\n## Runbook\n").unwrap();
    let runbook = runbook.split("\n## ").next().unwrap();
    let entries: Vec<String> = runbook
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .map(|heading| heading.to_lowercase().replace(' ', "-"))
        .collect();
    assert_eq!(entries.iter().map(String::as_str).collect::<BTreeSet<_>>(), wanted);
}

#[test]
fn the_units_that_are_enabled_exist() {
    let page = read(PAGE);
    let (enabled, _) = page.split_once("systemctl enable --now ").unwrap().1.split_once('\n').unwrap();
    for unit in enabled.split_whitespace() {
        assert!(read(&format!("systemd/{unit}")).contains("[Install]"), "{unit} cannot be enabled");
    }
}

#[test]
fn the_proxies_let_through_what_the_server_takes_and_let_go_before_it_does() {
    let body: usize = default_of("BODY_MAX_BYTES").parse().unwrap();
    let keep_alive: u64 = default_of("KEEP_ALIVE_SECONDS").parse().unwrap();
    let (ping, commit): (u64, u64) =
        (default_of("WS_PING_SECONDS").parse().unwrap(), default_of("COMMIT_TIMEOUT_SECONDS").parse().unwrap());
    let address = default_of("LISTEN_ADDR");
    /// The number after a name, which a unit follows.
    fn number(text: &str, name: &str) -> u64 {
        let rest = text.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap_or_else(|| panic!("no {name}"));
        rest.trim().chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
    }
    let nginx = read("docs/deploy/nginx.conf");
    assert!(nginx.contains(&format!("server {address};")));
    assert!(number(&nginx, "client_max_body_size ") > body as u64 / 1024, "inkring refuses in its own shape");
    for bound in ["limit_conn inkring_conn ", "limit_req  zone=inkring_req "] {
        assert!(nginx.contains(bound), "nobody is counted behind nginx without {bound}");
    }
    assert!(number(&nginx, "keepalive_timeout ") < keep_alive);
    assert!(number(&nginx, "proxy_read_timeout ") > ping.max(commit));
    let caddy = read("docs/deploy/Caddyfile");
    assert!(!caddy.contains("max_size"), "Caddy answers 502 to much of what is over a bound of its own");
    // As much as routes of their own take, as the settings and the bounds are unless they are set.
    let gallery: u64 = default_of("GALLERY_MAX_BYTES").parse().unwrap();
    for (path, file_bytes) in
        [("gallery/upload", gallery), ("calendar/import", 16 << 20), ("import", 1 << 30), ("rooms", 16 << 20)]
    {
        let path = if path == "rooms" { "^/rooms/.+/update$".to_owned() } else { format!("^/api/v1/{path}/?$") };
        let (_, of_nginx) = nginx.split_once(&path).unwrap_or_else(|| panic!("nothing for {path}"));
        let mebibytes = file_bytes / 1_048_576 + 1;
        assert_eq!(number(of_nginx, "client_max_body_size "), mebibytes, "{path}");
    }
    let said = "`nginx.conf` accepts bodies up to 128 KiB, and up to 17 MiB at\n`/rooms/NAME/update`; the Caddyfile sets no limit";
    assert!(read("docs/ROOMS.md").contains(said) && nginx.contains("client_max_body_size 128k;"));
    assert!(caddy.contains(&format!("reverse_proxy {address} {{")));
    assert!(number(&caddy, "keepalive ") < keep_alive);
    for (file, text) in [("nginx.conf", &nginx), ("Caddyfile", &caddy)] {
        assert!(text.contains("#   TRUSTED_PROXIES=127.0.0.1\n"), "{file}");
        assert!(text.contains("X-User-Id"), "{file} lets names through from outside");
    }
}

#[test]
fn the_container_runs_verbs_and_settings_that_exist() {
    let file = read("docs/deploy/Dockerfile");
    let quoted = |line: &str| -> Vec<String> {
        let words = line.split_once('[').unwrap().1.split_once(']').unwrap().0;
        words.split(',').map(|word| word.trim().trim_matches('"').to_owned()).collect()
    };
    for line in file.lines().filter(|line| line.contains("CMD [")) {
        let words: Vec<String> = quoted(line).into_iter().filter(|word| word != "inkring").collect();
        help(&[&words[0]]);
    }
    let (_, settings) = file.split_once("\nENV ").unwrap();
    let (settings, rest) = settings.split_once("\nEXPOSE ").unwrap();
    for setting in settings.split('\\') {
        let (name, _) = setting.trim().split_once('=').unwrap();
        default_of(name);
    }
    assert!(settings.lines().next() == Some("ENV=production \\"), "{settings}");
    assert!(settings.contains("    DRAFTS_PUBLIC_READ=false \\\n"), "drafts are for their members, as `setup` has it");
    let port = rest.lines().next().unwrap();
    assert!(settings.contains(&format!("LISTEN_ADDR=0.0.0.0:{port}")));
    // The build has no repository to ask for its commit.
    let (before, build) = file.split_once("RUN cargo build ").unwrap();
    assert!(before.ends_with("\nARG INKRING_COMMIT=\n") && !build.contains("INKRING_COMMIT"), "{file}");
    assert!(read("build.rs").contains("env::var(\"INKRING_COMMIT\")"));
    assert!(read("docs/deploy/compose.yml").contains("        INKRING_COMMIT: ${INKRING_COMMIT:-}\n"));
    let user = file.lines().find_map(|line| line.strip_prefix("USER ")).unwrap();
    assert!(!user.starts_with('0') && user != "root");
    // What the build reads is what is copied.
    let ignored = read("docs/deploy/Dockerfile.dockerignore");
    let build = read("build.rs");
    let constants = build.lines().filter_map(|line| line.strip_prefix("const ")?.split('"').nth(1));
    let read_by_it: Vec<&str> = constants.filter(|path| path.contains('/') && !path.starts_with("src/")).collect();
    assert_eq!(read_by_it, ["docs/clients/inkring.js"]);
    for needed in [
        "src",
        "build.rs",
        "docs/clients/inkring.js",
        "systemd",
        "bench",
        "testkit",
        "schema.sql",
        "Cargo.toml",
        "Cargo.lock",
    ] {
        assert!(ignored.lines().any(|line| line == format!("!{needed}")), "{needed} is not copied");
    }
}

#[test]
fn the_composed_containers_are_set_up_with_settings_that_a_start_in_production_takes() {
    let file = read("docs/deploy/compose.yml");
    let (_, environment) = file.split_once("    environment:\n").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let secret = |name: &str| {
        let path = directory.path().join(name);
        fs::write(&path, format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        path.display().to_string()
    };
    let settings: Vec<(String, String)> = environment
        .lines()
        .take_while(|line| line.starts_with("      "))
        .map(|line| {
            let (name, value) = line.trim().split_once(": ").unwrap();
            let value = value.trim_matches('"');
            match value.strip_prefix("/run/secrets/") {
                Some(name_of_secret) => {
                    assert!(file.contains(&format!("\n  {name_of_secret}:\n    file: ./secrets/{name_of_secret}\n")));
                    (name.to_owned(), secret(name_of_secret))
                }
                // What the commands in its first lines have written.
                None if value.starts_with(&format!("${{{name}:?")) => {
                    assert!(file.contains(&format!(
                        "\n#   echo \"{name}=$(timedatectl show --property=Timezone --value)\" > .env "
                    )));
                    (name.to_owned(), "Europe/Warsaw".to_owned())
                }
                None => (name.to_owned(), value.to_owned()),
            }
        })
        .collect();
    assert!(settings.iter().any(|(name, _)| name == "HOUSEHOLD_TIMEZONE"), "or a household has the default's clocks");
    assert!(settings.contains(&("DRAFTS_PUBLIC_READ".to_owned(), "false".to_owned())), "drafts are for their members");
    let output = inkring(directory.path())
        .args(["check-config", "--strict"])
        .env("ENV", "production")
        .env("BACKUP_DIR", directory.path().join("backups"))
        .envs(settings)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(file.contains("\"127.0.0.1:8001:8001\""), "the private plane is for this machine alone");
}

/// A key that others can read for a moment is no secret: whatever the umask of the shell is, it is closed from the first byte.
#[test]
fn the_recipe_of_the_containers_makes_its_secrets_where_nobody_else_can_read_them() {
    let file = read("docs/deploy/compose.yml");
    let line = file.lines().find_map(|line| line.strip_prefix("#   ").filter(|line| line.contains("mkdir secrets")));
    let directory = tempfile::tempdir().unwrap();
    let (machine, path) = (root().join("tests/machine"), std::env::var("PATH").unwrap());
    let status = Command::new("sh")
        .args(["-c", &format!("set -e; umask 022; {}", line.unwrap())])
        .env("PATH", format!("{path}:{}", machine.display()))
        .current_dir(directory.path())
        .status()
        .unwrap();
    assert!(status.success());
    let secrets = directory.path().join("secrets");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&secrets), 0o700);
    let (_, listed) = file.split_once("\nsecrets:\n").unwrap();
    let names: Vec<&str> = listed.lines().filter_map(|line| line.trim().strip_prefix("file: ./secrets/")).collect();
    assert_eq!(names.len(), fs::read_dir(&secrets).unwrap().count());
    for name in names {
        assert_eq!(mode(&secrets.join(name)), 0o600, "{name}");
        let text = fs::read_to_string(secrets.join(name)).unwrap();
        assert!(text.trim().len() == 64 && text.trim().bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
    }
}
