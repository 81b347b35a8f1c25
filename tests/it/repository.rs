//! The files of the project, for the tests that read them.

use std::path::{Path, PathBuf};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file by its path from the root.
#[track_caller]
pub fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file below `directory`, as paths from the root, in order. What builds and servers leave behind is not ours.
pub fn files(directory: &str) -> Vec<String> {
    let mut found = Vec::new();
    collect(&root().join(directory), &mut found);
    found.sort();
    found
}

fn collect(directory: &Path, found: &mut Vec<String>) {
    const NOT_OURS: [&str; 6] = [".git", "target", "data", "corpus", "artifacts", ".env"];
    for entry in std::fs::read_dir(directory).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        if NOT_OURS.iter().any(|name| path.file_name().is_some_and(|known| known == *name)) {
            continue;
        }
        if path.is_dir() {
            collect(&path, found);
        } else {
            found.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
        }
    }
}

/// A Rust source without its test modules.
pub fn without_tests(source: &str) -> String {
    let mut kept = String::new();
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        if line != "#[cfg(test)]" {
            kept.push_str(line);
            kept.push('\n');
            continue;
        }
        if lines.next().is_some_and(|item| item.ends_with('{')) {
            lines.by_ref().find(|line| *line == "}");
        }
    }
    kept
}

#[test]
fn tests_are_left_out_and_nothing_else() {
    let source = "a\n#[cfg(test)]\nmod tests;\nb\n#[cfg(test)]\nmod tests {\n    c\n}\nd\n";
    assert_eq!(without_tests(source), "a\nb\nd\n");
}
