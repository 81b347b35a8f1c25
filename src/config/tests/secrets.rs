//! Secrets from files and from the credentials of systemd: which one counts, and what is refused.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::effective;
use crate::config::*;

const A: &str = "a-k7XqZw.mB:eRtY+uIoP/2s4Dv6Fg8Hj";
const B: &str = "b-Lz3Xc5Vb7Nm9,Qw1Er.Ty2Ui+Op4As6";

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>, mode: u32) -> String {
        let path = self.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    }
}

/// The secret in force and where it came from.
fn secret(sources: &Sources) -> (Option<String>, String) {
    let loaded = load(sources, false).unwrap();
    assert!(loaded.warnings.iter().all(|said| said.contains("still trusted")), "{:?}", loaded.warnings);
    let setting = loaded.settings.iter().find(|setting| setting.knob.name == "JWT_SECRET").unwrap();
    (Some(setting.value.to_string()).filter(|secret| !secret.is_empty()), setting.origin.to_string())
}

#[test]
fn a_secret_comes_from_the_environment_then_from_systemd_then_from_the_file_env() {
    let (folder, credentials) = (Folder::new(), Folder::new());
    let file = folder.write("secret", format!("{A}\n"), 0o600);
    credentials.write("clerk_secret_key", B, 0o400);
    let pairs = Sources::from_pairs;
    let given = |text: &str, origin: &str| (Some(text.to_owned()), origin.to_owned());
    assert_eq!(secret(&pairs(&[("JWT_SECRET_FILE", &file)], &[])), given(A, "file named in the environment"));
    assert_eq!(secret(&pairs(&[("CLERK_SECRET_KEY_FILE", &file)], &[])), given(A, "file named in the environment"));
    assert_eq!(secret(&pairs(&[], &[("JWT_SECRET_FILE", &file)])), given(A, "file named in the settings file"));
    assert_eq!(secret(&pairs(&[("JWT_SECRET", B)], &[("JWT_SECRET_FILE", &file)])), given(B, "environment"));
    let with = |env: &[(&str, &str)], dotenv: &[(&str, &str)]| {
        secret(&pairs(env, dotenv).with_credentials(credentials.path()))
    };
    assert_eq!(with(&[], &[]), given(B, "systemd credential"));
    // Where the service has a copy from systemd, the verbs have the file that it was made of.
    assert_eq!(with(&[], &[("JWT_SECRET_FILE", "/not/for/the/service")]), given(B, "systemd credential"));
    let both = pairs(&[], &[("JWT_SECRET", A)]).with_credentials(credentials.path());
    let said = "JWT_SECRET in .env and the credential clerk_secret_key are both set: remove one of them";
    assert_eq!(load(&both, false).unwrap_err().problems, [said]);
    assert_eq!(with(&[("JWT_SECRET", A)], &[]), given(A, "environment"));
    assert_eq!(with(&[("JWT_SECRET_FILE", &file)], &[]), given(A, "file named in the environment"));
    credentials.write("jwt_secret", A, 0o400);
    assert_eq!(with(&[], &[]), given(A, "systemd credential"), "its own name comes first");
    let nowhere = pairs(&[], &[]).with_credentials(Path::new("/nowhere"));
    assert_eq!(secret(&nowhere), (None, "default".to_owned()));
}

#[test]
fn a_file_is_for_secrets_only_and_never_guessed_at() {
    let folder = Folder::new();
    let problem = |env: &[(&str, &str)]| {
        let problems = load(&Sources::from_pairs(env, &[]), false).unwrap_err().problems;
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems[0].clone()
    };
    let good = folder.write("good", A, 0o600);
    let said = problem(&[("CLERK_SECRET_KEY", B), ("JWT_SECRET_FILE", &good)]);
    assert!(said.starts_with("CLERK_SECRET_KEY and JWT_SECRET_FILE are both set in the environment"), "{said}");
    for (name, bytes, why) in [
        ("empty", &b" \n"[..], "is empty"),
        ("bytes", b"\xff\xfe", "is not UTF-8 text"),
        ("long", &[b'x'; 65_537], "is longer than 65536 bytes"),
    ] {
        let path = folder.write(name, bytes, 0o600);
        let said = problem(&[("JWT_SECRET_FILE", &path)]);
        assert!(said.starts_with(&format!("JWT_SECRET_FILE: {path} {why}")), "{said}");
    }
    let missing = folder.path().join("missing").display().to_string();
    let said = problem(&[("JWT_SECRET_FILE", &missing)]);
    assert!(said.starts_with(&format!("JWT_SECRET_FILE: {missing} cannot be read: No such file")), "{said}");
    let lines = folder.write("lines", format!("{A}\n{B}\n"), 0o600);
    let said = problem(&[("JWT_SECRET_FILE", &lines)]);
    assert_eq!(said, "JWT_SECRET_FILE=******** contains control characters: use text on one line");
    // Others are not read from files, and a name in .env that means nothing is found.
    let sources = Sources::from_pairs(&[("LOG_LEVEL_FILE", &good)], &[("LOG_LEVEL_FILE", &good)]);
    assert_eq!(
        load(&sources, false).unwrap().warnings,
        ["unknown variable LOG_LEVEL_FILE in .env; inkring print-config lists all settings"]
    );
}

#[test]
fn a_file_that_everyone_may_open_is_remarked_on_and_refused_when_strict() {
    let (folder, credentials) = (Folder::new(), Folder::new());
    let told = [("ALLOWED_ORIGINS", "https://x.example"), ("AUTH_TRUST_USER_HEADER", "false")];
    for (mode, fine) in [(0o400, true), (0o640, true), (0o770, true), (0o644, false), (0o602, false), (0o601, false)] {
        let file = folder.write("secret", A, mode);
        credentials.write("jwt_secret", A, mode);
        let named = Sources::from_pairs(&[&told[..], &[("JWT_SECRET_FILE", file.as_str())]].concat(), &[]);
        let handed = Sources::from_pairs(&told, &[]).with_credentials(credentials.path());
        let path: PathBuf = credentials.path().join("jwt_secret");
        for (sources, name, path) in
            [(named, "JWT_SECRET_FILE", file), (handed, "the credential jwt_secret", path.display().to_string())]
        {
            let warnings = load(&sources, false).unwrap().warnings;
            let strict = load(&sources, true);
            assert_eq!((warnings.is_empty(), strict.is_ok()), (fine, fine), "{mode:o}: {warnings:?}");
            for said in warnings.into_iter().chain(strict.err().map(|error| error.to_string())) {
                assert!(said.starts_with(&format!("{name}: {path} has mode {mode:04o}, so every user")), "{said}");
            }
        }
    }
}

#[test]
fn a_secret_from_a_file_is_masked_and_named_by_its_file() {
    let folder = Folder::new();
    let file = folder.write("secret", "hunter2", 0o600);
    let loaded = load(&Sources::from_pairs(&[("JWT_SECRET_FILE", &file)], &[]), false).unwrap();
    let shown = format!("{loaded:?}") + &effective(&loaded.settings);
    assert!(!shown.contains("hunter2"), "{shown}");
    let line = shown.lines().find(|line| line.starts_with("JWT_SECRET=********")).unwrap();
    assert!(line.ends_with("# file named in the environment"), "{line}");
    assert!(loaded.warnings[0].starts_with("JWT_SECRET_FILE is shorter than 32 bytes"), "{:?}", loaded.warnings);
}
