//! docs/tasks/: every page is carried out, command by command, where the package is installed on a machine of its own
//! (`tests/machine/enter`), all of them one after the other.
//!
//! - Each `sh` block is run by bash, and has to succeed.
//! - A `text` block shows what the blocks since the one before have printed: its lines, in this order; `…` stands for anything.
//! - A comment `<!-- test: … -->` above a block says what to do instead of it: `instead COMMAND` carries out that command, `last`
//!   carries the block out when all pages are through, `keeps FILE` carries it out and puts the file, which it removes, back for
//!   what follows, `shown` does nothing with it.

use std::fs;
use std::process::{Command, Stdio};

use crate::docs::{Block, blocks};
use crate::packaging::package;
use crate::repository::{files, read, root};
use crate::support::needs::{program, skip};

/// The pages in the order in which they are carried out; each finds what those before have left.
const PAGES: [&str; 11] = [
    "install",
    "who-did-what",
    "scrape",
    "alerts",
    "proxy",
    "tls",
    "upgrade",
    "roll-back",
    "restore",
    "rotate-keys",
    "move",
];

/// What is done besides: at which page, the script, and what is to be seen then.
type Besides = (&'static str, &'static str, &'static str);

const BEFORE: [Besides; 2] = [
    // A backup of the night after the upgrade, of a version of the schema (four bytes of the file from the 60th on) that the
    // previous program does not know.
    (
        "roll-back",
        r"
cd /var/lib/inkring/backups
cp $(ls -1 *.db | tail -n 1) inkring-20991231T235959Z.db
printf '\0\0\1\0' | dd of=inkring-20991231T235959Z.db bs=1 seek=60 conv=notrunc status=none
ls -1 *.db | tail -n 1
",
        "inkring-20991231T235959Z.db",
    ),
    // Something of the operator's that is no setting.
    ("move", r"printf '[Service]\nTimeoutStopSec=45\n' > /etc/systemd/system/inkring.service.d/patience.conf", ""),
];

const AFTER: [Besides; 8] = [
    // For the others to keep.
    (
        "install",
        r#"
curl -sf http://127.0.0.1:8000/v1/collab/drafts -H "Authorization: Bearer $(cat token.txt)" \
  -H 'Content-Type: application/json' -d '{"title":"The lighthouse","platform":"x"}'
"#,
        "",
    ),
    // The package has found the zone of the machine, and the doctor has nothing to remark on it.
    ("install", "inkring doctor || true", "green   timezone … Europe/Warsaw"),
    // Root's verbs find the operator's token by themselves.
    ("install", "inkring room list", "NAME … QUARANTINE"),
    // No key lies about that is used no more.
    (
        "rotate-keys",
        "[ ! -e jwt_secret.old ]; [ \"$(echo /etc/credstore/inkring.jwt_*)\" = /etc/credstore/inkring.jwt_secret ]",
        "",
    ),
    // It is the newest still, and not what was restored.
    ("restore", "rm /var/lib/inkring/backups/inkring-20991231T235959Z.db", ""),
    ("move", "cat /etc/systemd/system/inkring.service.d/patience.conf", "TimeoutStopSec=45"),
    ("move", "cat /var/lib/inkring/data/metrics.jsonl", "inkring_smoke"),
    // What holds secrets is for its owner alone, however open other new files are.
    ("move", "stat -c '%a %n' move new-token.txt token.txt", "700 move\n600 new-token.txt\n600 token.txt"),
];

/// Where the machine is, which the package finds.
const ZONE: &str = "Europe/Warsaw";

/// What runs between two looks at what was printed.
struct Step {
    /// Where it stands.
    name: String,
    script: String,
    /// What is to be seen then.
    shown: String,
}

/// The steps of a page, and those for the end.
fn steps(page: &str) -> (Vec<Step>, Vec<Step>) {
    let (mut steps, mut last): (Vec<Step>, Vec<Step>) = (Vec::new(), Vec::new());
    let mut closed = true;
    for Block { language, line, text, instead } in blocks(&read(&format!("docs/tasks/{page}.md"))) {
        let name = format!("docs/tasks/{page}.md:{line}");
        let step = |script: String| Step { name: name.clone(), script, shown: String::new() };
        match (language.as_str(), instead.as_deref()) {
            (_, Some("shown")) => {}
            ("sh", Some("last")) => last.push(step(text)),
            ("sh", instead) => {
                let script = match instead.map(|said| said.split_once(' ')) {
                    None => text,
                    Some(Some(("instead", command))) => command.to_owned(),
                    Some(Some(("keeps", file))) => format!("cp -p {file} kept\n{text}[ ! -e {file} ]\nmv kept {file}"),
                    Some(_) => panic!("{name}: nobody knows the test comment {instead:?}"),
                };
                match steps.last_mut().filter(|_| !closed) {
                    Some(step) => step.script.push_str(&format!("\n{script}")),
                    None => steps.push(step(script)),
                }
                closed = false;
            }
            ("text", None) => {
                steps.last_mut().unwrap_or_else(|| panic!("{name} shows what nothing has printed")).shown = text;
                closed = true;
            }
            (other, _) => panic!("{name}: nobody tries out a block of {other:?}"),
        }
    }
    (steps, last)
}

/// The first of these lines that is not to be found in what was printed, behind those before it.
fn missing<'a>(shown: &'a str, printed: &str) -> Option<&'a str> {
    let mut lines = printed.lines();
    shown.lines().find(|wanted| !lines.any(|line| fits(wanted, line)))
}

/// Whether a line has these pieces, in this order.
fn fits(wanted: &str, line: &str) -> bool {
    let mut rest = line;
    wanted.split('…').all(|piece| match rest.split_once(piece) {
        Some((_, behind)) => {
            rest = behind;
            true
        }
        None => false,
    })
}

#[test]
fn every_task_can_be_carried_out_where_the_package_is_installed() {
    let all: Vec<String> = files("docs/tasks");
    let mut known: Vec<String> = PAGES.iter().map(|page| format!("docs/tasks/{page}.md")).collect();
    known.sort();
    assert_eq!(all, known, "a page that nobody carries out");

    let apart = ["--map-root-user", "--mount", "--net", "--pid", "--fork", "--kill-child"];
    let allowed = || Command::new("unshare").args(apart).arg("true").stderr(Stdio::null()).status();
    let programs = ["ip", "curl", "dpkg", "openssl", "perl"].iter().all(|name| program(&[name]).is_some());
    let Some(package) = package().filter(|_| programs && allowed().is_ok_and(|status| status.success())) else {
        return skip("dpkg-deb, strip, curl, ip, openssl, perl, and namespaces (unshare)");
    };
    let machine = tempfile::tempdir().unwrap();
    let home = machine.path().join("root");
    fs::create_dir(&home).unwrap();
    fs::create_dir(machine.path().join("etc")).unwrap();
    fs::write(machine.path().join("etc/timezone"), format!("{ZONE}\n")).unwrap();
    for path in [package.to_owned(), format!("{}.sha256", package.display()).into()] {
        fs::copy(&path, home.join(path.file_name().unwrap())).unwrap();
    }

    let (mut first, mut last) = (Vec::new(), Vec::new());
    for page in PAGES {
        let besides = |list: &[Besides]| -> Vec<Step> {
            let here = list.iter().filter(|(at, ..)| *at == page);
            here.map(|(at, script, shown)| Step {
                name: format!("besides {at}"),
                script: (*script).to_owned(),
                shown: (*shown).to_owned(),
            })
            .collect()
        };
        let (steps, end) = steps(page);
        first.extend(besides(&BEFORE));
        first.extend(steps);
        first.extend(besides(&AFTER));
        last.extend(end);
    }
    first.extend(last);
    let mut script = "set -e\numask 022\n".to_owned();
    for (number, step) in first.iter().enumerate() {
        script.push_str(&format!("cd ~\n{{\n{}\n}} > /out/{number} 2>&1\n", step.script));
    }
    fs::write(machine.path().join("script"), script).unwrap();
    let entered = Command::new("unshare")
        .args(apart)
        .arg(root().join("tests/machine/enter"))
        .arg(machine.path())
        .stdin(fs::File::open(machine.path().join("script")).unwrap())
        .output()
        .unwrap();
    let printed = |number: usize| fs::read_to_string(machine.path().join(format!("out/{number}")));
    for (number, step) in first.iter().enumerate() {
        let text = printed(number).unwrap_or_else(|_| panic!("{}: {entered:?}", step.name));
        let is_over = number + 1 == first.len() && entered.status.success() || printed(number + 1).is_ok();
        assert!(is_over, "{} has failed:\n{}\n{text}\n{entered:?}", step.name, step.script);
        let missing = missing(&step.shown, &text);
        assert_eq!(missing, None, "{} shows what was not printed:\n{text}", step.name);
    }
    assert!(!machine.path().join("usr/bin/inkring").exists(), "removed in the end");
}

/// The machine above knows root alone, so it would not notice: whoever follows the pages cannot enter these places.
#[test]
fn what_only_root_may_read_is_read_with_sudo() {
    for page in PAGES {
        let path = format!("docs/tasks/{page}.md");
        for block in blocks(&read(&path)).iter().filter(|block| block.language == "sh") {
            for line in block.text.lines() {
                let of_root = ["/var/lib/inkring", "/etc/credstore", "/etc/inkring/", "journalctl", "jwt_secret.old"];
                if of_root.iter().any(|place| line.contains(place)) {
                    // A pattern is filled in by the shell that reads it, before sudo.
                    let is_pattern = line.contains('*') && !line.starts_with("sudo sed ");
                    let wanted = if is_pattern { "sudo sh -" } else { "sudo" };
                    assert!(line.contains(wanted), "{path}:{}: without {wanted}: {line}", block.line);
                }
            }
        }
    }
}

#[test]
fn what_is_shown_is_looked_for_in_its_order() {
    let printed = "one 1 ms\ntwo\nthree 3 of 4";
    assert_eq!(missing("one … ms\nthree … of", printed), None);
    assert_eq!(missing("two\none", printed), Some("one"));
    assert_eq!(missing("three … in", printed), Some("three … in"));
    assert_eq!(missing("two\ntwo", printed), Some("two"));
}
