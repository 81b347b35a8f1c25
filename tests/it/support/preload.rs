//! Libraries that are loaded before the C library, to have it do otherwise.

use std::path::PathBuf;
use std::process::Command;

use super::needs;

/// Builds one of its source in C; nothing where there is no C compiler. Built once in a run, if the caller keeps it.
#[track_caller]
pub fn build(name: &str, source: &str) -> Option<PathBuf> {
    let compiler = needs::program(&["cc", "gcc", "clang"])?;
    let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let (text, library) = (place.join(format!("{name}.c")), place.join(format!("{name}.so")));
    std::fs::write(&text, source).unwrap();
    // Another run may use the one that is there.
    let made = place.join(format!("{name}-{}.so", std::process::id()));
    let done = Command::new(compiler).args(["-shared", "-fPIC", "-O1", "-o"]).arg(&made).arg(&text).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    std::fs::rename(made, &library).unwrap();
    Some(library)
}
