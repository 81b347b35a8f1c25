//! Programs and permissions that a test needs and a machine may lack. A test that does without is skipped: it says so
//! on stderr and writes its name down for `tests/skipped.rs`, which counts.

use std::fs::File;
use std::io::Write;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Server;

/// Reports that this test is skipped, and why.
#[track_caller]
pub fn skip(needs: &str) {
    let here = Location::caller();
    // libtest names a test's thread after the test, unless all of them run on one.
    let thread = std::thread::current();
    let name = match thread.name() {
        Some("main") | None => format!("{}:{}", here.file(), here.line()),
        Some(name) => name.to_owned(),
    };
    let line = format!("skipped: {name} (needs {needs})\n");
    // Past libtest, which shows what a test prints only when it fails.
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    // One file for each run of cargo, which is the parent of this program and of the one that counts.
    let list = format!("{}/skipped-{}", env!("CARGO_TARGET_TMPDIR"), std::os::unix::process::parent_id());
    File::options().create(true).append(true).open(list).unwrap().write_all(line.as_bytes()).unwrap();
}

/// A program on the path.
pub fn program(names: &[&str]) -> Option<PathBuf> {
    let places: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    names.iter().flat_map(|name| places.iter().map(move |place| place.join(name))).find(|path| path.is_file())
}

/// A proxy by its name, on the path or where Debian has what is not for everybody's.
pub fn proxy(name: &str) -> Option<PathBuf> {
    program(&[name]).or_else(|| Some(PathBuf::from("/usr/sbin").join(name)).filter(|path| path.is_file()))
}

/// What a shell does before it becomes a server, to give that a small file system of its own in this directory.
#[track_caller]
pub fn small_disk(name: &str) -> Option<String> {
    let mount = format!("mkdir -p {name} && mount -t tmpfs -o size=16m tmpfs {name}");
    let directory = tempfile::tempdir().unwrap();
    let mut made = Command::new("unshare");
    made.args(["--user", "--map-root-user", "--mount", "/bin/sh", "-c", &mount]).current_dir(directory.path());
    if !made.stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        skip("a file system of its own (unshare --user --mount)");
        return None;
    }
    Some(format!(
        "[ -n \"$APART\" ] || {{ APART=1 exec unshare --user --map-root-user --mount /bin/sh -c '{mount}; exec \"$0\" \
         \"$@\"' \"$0\" \"$@\"; }}"
    ))
}

/// Where that directory of the server is from here.
pub fn on_small_disk(server: &Server, name: &str) -> PathBuf {
    let own = server.directory.path().strip_prefix("/").unwrap().join(name);
    Path::new(&format!("/proc/{}/root", server.pid())).join(own)
}

/// `INKRING_BROWSER`, or a Chromium on the path.
#[track_caller]
pub fn browser() -> Option<Browser> {
    let found = std::env::var_os("INKRING_BROWSER").map(PathBuf::from);
    let found = found.or_else(|| program(&["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]));
    if found.is_none() {
        skip("chromium");
    }
    found.map(Browser)
}

pub struct Browser(PathBuf);

impl Browser {
    /// The program.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A browser without a window and with a profile of its own, which asks nothing of the network by itself.
    pub fn command(&self, profile: &tempfile::TempDir) -> Command {
        let mut command = Command::new(&self.0);
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
        command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
        command.arg("--remote-debugging-port=0").arg(format!("--user-data-dir={}", profile.path().display()));
        command
    }
}
