//! The Debian package: made by its one command, installed into a root of its own, run, and removed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use regex::Regex;

use crate::repository::root;
use crate::support::needs::{program, skip};

const BINARY: &str = env!("CARGO_BIN_EXE_inkring");

/// The package of this build, made once for all tests; none where a program for it is missing.
pub fn package() -> Option<&'static Path> {
    static MADE: OnceLock<Option<PathBuf>> = OnceLock::new();
    MADE.get_or_init(make).as_deref()
}

fn make() -> Option<PathBuf> {
    if program(&["dpkg-deb"]).is_none() || program(&["strip"]).is_none() {
        return None;
    }
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("package");
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir(&directory).unwrap();
    let at = |name: &str| directory.join(name);
    run(Command::new(BINARY).arg("manual").arg(at("manual")));
    // A release has no symbols either, and without them it is a quarter as large.
    run(Command::new("strip").arg("-o").arg(at("inkring")).arg(BINARY));
    let made = run(Command::new(root().join("packaging/deb"))
        .arg(at("out"))
        .env("INKRING_BINARY", at("inkring"))
        .env("INKRING_MANUAL", at("manual"))
        .env("INKRING_COMPRESSION", "none"));
    Some(made.trim().into())
}

/// Runs a program that has to succeed; what it has said.
#[track_caller]
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{stdout}\n{stderr}");
    stdout.into_owned()
}

/// All files below a directory.
fn files_below(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// Of the installed pages, each relative link and each path below `/usr/share/doc/inkring` leads to an installed file.
#[track_caller]
fn links_lead_to_what_is_installed(pages: &Path) {
    let link = Regex::new(r"\]\(([^()\s:#]+)(?:#[^()\s]*)?\)").unwrap();
    let absolute = Regex::new(r"/usr/share/doc/inkring/([\w./-]*\w)").unwrap();
    let mut links = 0;
    for page in files_below(pages).iter().filter(|page| page.extension().is_some_and(|kind| kind == "md")) {
        let text = fs::read_to_string(page).unwrap();
        let relative = link.captures_iter(&text).map(|found| page.with_file_name(&found[1]));
        let all = relative.chain(absolute.captures_iter(&text).map(|found| pages.join(&found[1])));
        for to in all {
            assert!(to.exists(), "{} leads to {}, which is not installed", page.display(), to.display());
            links += 1;
        }
    }
    assert!(links > 200, "{links}");
    for (page, wanted) in
        [("README.md", "](SECURITY.md)"), ("README.md", "](LICENSE)"), ("docs/OPERATIONS.md", "](deploy/Dockerfile)")]
    {
        let text = fs::read_to_string(pages.join(page)).unwrap();
        assert!(text.contains(wanted), "what is installed stays a link: {page} {wanted}");
    }
}

#[test]
fn a_manual_that_cannot_be_written_says_where_and_why() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let output = Command::new(BINARY).arg("manual").arg(&file).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let wanted = format!("inkring: the manual cannot be written into {}:\nnot a directory", file.display());
    assert!(said.starts_with(&wanted), "{said}");
}

#[test]
fn a_binary_that_is_linked_dynamically_is_no_package() {
    if program(&["readelf"]).is_none() {
        return skip("readelf");
    }
    // What stands in for the compiler makes a binary like the one of the tests.
    let directory = tempfile::tempdir().unwrap();
    let made = root().join("target/linked-dynamically");
    let cargo = format!("mkdir -p {0}/release && ln -sf {BINARY} {0}/release/inkring", made.display());
    for (name, script) in [("rustc", "echo host: linked-dynamically"), ("cargo", &cargo)] {
        let path = directory.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:{}", directory.path().display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(root().join("packaging/deb"));
    let output = command.arg(directory.path().join("out")).env("PATH", path).output().unwrap();
    fs::remove_dir_all(&made).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("is linked dynamically"), "{said}");
    assert!(!directory.path().join("out").exists());
}

#[test]
fn a_package_is_made_installed_run_and_removed() {
    let Some(package) = package().filter(|_| rustix::process::geteuid().is_root()) else {
        return skip("dpkg-deb, strip, and root");
    };
    let directory = tempfile::tempdir().unwrap();
    let at = |path: &str| directory.path().join(path);
    let (here, sum) = (package.parent().unwrap(), format!("{}.sha256", package.display()));
    run(Command::new("sha256sum").arg("--check").arg(sum).current_dir(here));
    let field = |name: &str| run(Command::new("dpkg-deb").arg("--field").arg(package).arg(name)).trim().to_owned();
    assert_eq!((field("Package"), field("Version")), ("inkring".to_owned(), inkring::version::VERSION.to_owned()));
    assert_eq!(field("Depends"), "", "it needs nothing");

    // A root of its own: nothing of this machine is touched.
    let dpkg = |arguments: &[&str]| {
        let mut command = Command::new("dpkg");
        command.arg(format!("--root={}", at("root").display()));
        command.args(["--force-script-chrootless", "--force-not-root"]).args(arguments);
        run(&mut command)
    };
    for path in ["root/var/lib/dpkg/updates", "root/var/lib/dpkg/info", "root/etc"] {
        fs::create_dir_all(at(path)).unwrap();
    }
    fs::write(at("root/var/lib/dpkg/status"), "").unwrap();
    let said = dpkg(&["--install", &package.display().to_string()]);
    assert!(said.contains("/etc/inkring/inkring.env"), "{said}");
    let version = run(Command::new(at("root/usr/bin/inkring")).arg("--version"));
    assert!(version.starts_with(&format!("inkring {} (schema ", inkring::version::VERSION)), "{version}");
    let unit = fs::read_to_string(at("root/usr/lib/systemd/system/inkring.service")).unwrap();
    assert!(unit.contains("ExecStart=/usr/bin/inkring serve") && !unit.contains("/usr/local/bin/inkring"), "{unit}");
    assert!(!at("root/usr/local").exists(), "the units call the program of the package");
    assert!(!at("root/etc/systemd").exists(), "an upgrade brings new units");
    assert!(said.contains("To uninstall:\n  apt remove inkring\n"), "{said}");
    let names: Vec<String> =
        files_below(&at("root/usr")).iter().filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect();
    for name in [
        "inkring.1.gz",
        "inkring-backup.1.gz",
        "_inkring",
        "inkring.fish",
        "copyright",
        "OPERATIONS.md",
        "inkring.socket",
        "activated.conf",
    ] {
        assert!(names.iter().any(|other| other == name), "{name} is not among {names:?}");
    }

    for (page, leads_from) in [
        ("docs/OPERATIONS.md", "the runbook_url of each alert"),
        ("docs/screens/draft.png", "the picture of README.md"),
        ("packaging/README.md", "docs/tasks/install.md"),
    ] {
        assert!(at(&format!("root/usr/share/doc/inkring/{page}")).exists(), "{page}: {leads_from}");
    }

    links_lead_to_what_is_installed(&at("root/usr/share/doc/inkring"));
    assert!(said.contains("is a guess from the host name"), "{said}");
    let settings = fs::read_to_string(at("root/etc/inkring/inkring.env")).unwrap();
    assert!(settings.contains("# This one is a guess from the host name"), "{settings}");

    let licences = fs::read_to_string(at("root/usr/share/doc/inkring/copyright")).unwrap();
    assert!(["--- ", "rusqlite v", "tungstenite v"].iter().all(|name| licences.contains(name)), "{licences}");

    // What somebody has changed, and what they have written, stays.
    let settings = at("root/etc/inkring/inkring.env");
    let changed = fs::read_to_string(&settings).unwrap() + "LOG_LEVEL=warn\n";
    fs::write(&settings, &changed).unwrap();
    let said = dpkg(&["--install", &package.display().to_string()]);
    assert!(!said.contains("guess"), "the settings were there: {said}");
    assert_eq!(fs::read_to_string(&settings).unwrap(), changed);
    dpkg(&["--purge", "inkring"]);
    assert!(!at("root/usr/bin/inkring").exists() && !at("root/usr/lib/systemd").exists());
    assert_eq!(fs::read_to_string(&settings).unwrap(), changed);
}
