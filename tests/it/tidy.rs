//! Rules of the house that neither compiler nor linter hold.

use std::collections::BTreeSet;

use crate::repository::{files, read, root, without_tests};

/// Larger files belong elsewhere.
const FILE_MAX_BYTES: u64 = 512 * 1024;

/// Every source of the server with its tests left out.
fn sources() -> Vec<(String, String)> {
    let paths = files("src").into_iter().filter(|path| path.ends_with(".rs") && !path.contains("/test"));
    paths.map(|path| (path.clone(), without_tests(&read(&path)))).collect()
}

/// Every text file of the project, binary ones left out.
fn texts() -> Vec<(String, String)> {
    let text = |path: String| Some((path.clone(), std::fs::read_to_string(root().join(&path)).ok()?));
    files("").into_iter().filter_map(text).collect()
}

/// Lines of code that contain one of these words, comments and what a proof above them allows left out.
fn lines_with(source: &str, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut above = "";
    for line in source.lines() {
        let code = line.split("//").next().unwrap();
        if words.iter().any(|word| code.contains(word)) && !above.trim_start().starts_with("// Proof:") {
            found.push(line.trim().to_owned());
        }
        above = line;
    }
    found
}

#[test]
fn nothing_in_the_server_gives_up_without_a_proof() {
    let mut found = Vec::new();
    for (path, source) in sources() {
        found.extend(lines_with(&source, &[".unwrap()", ".expect("]).into_iter().map(|line| format!("{path}: {line}")));
    }
    assert!(found.is_empty(), "say above the line, after `// Proof:`, why it cannot fail:\n{}", found.join("\n"));
}

#[test]
fn a_proof_is_a_comment_right_above() {
    assert_eq!(lines_with("// Proof: two is not zero.\nx.unwrap();\n", &[".unwrap()"]), [""; 0]);
    assert_eq!(lines_with("// It is.\nx.unwrap();\n// y.unwrap()\n", &[".unwrap()"]), ["x.unwrap();"]);
}

#[test]
fn nothing_prints_but_the_log_and_the_verbs() {
    for (path, source) in sources() {
        assert_eq!(lines_with(&source, &["print!(", "println!(", "dbg!("]), [""; 0], "{path}");
    }
}

#[test]
fn no_file_is_huge_or_left_for_later_or_of_one_machine() {
    let left = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let homes = [concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/ro", "ot/")];
    for path in files("") {
        let bytes = std::fs::metadata(root().join(&path)).unwrap().len();
        assert!(bytes <= FILE_MAX_BYTES, "{path} has {bytes} bytes");
    }
    for (path, text) in texts() {
        for (number, line) in text.lines().enumerate() {
            for word in left.iter().chain(&homes) {
                assert!(!line.contains(word), "{path}:{}: {word}", number + 1);
            }
        }
    }
}

/// Whether a line cites a case or an issue by a number, for which nothing stands in the repository.
fn cites_a_number(line: &str) -> bool {
    let line = line.to_lowercase();
    let words: Vec<&str> = line.split_whitespace().map(|word| word.trim_start_matches('(')).collect();
    let cites = |pair: &[&str]| {
        ["case", "cases", "issue", "issues"].contains(&pair[0])
            && pair[1].starts_with(|first: char| first.is_ascii_digit())
    };
    words.windows(2).any(cites)
}

#[test]
fn nothing_is_cited_that_a_reader_cannot_look_up() {
    for (path, text) in texts().iter().filter(|(path, _)| [".rs", ".md", ".sql"].iter().any(|end| path.ends_with(end)))
    {
        for (number, line) in text.lines().enumerate() {
            assert!(!cites_a_number(line), "{path}:{}: say what it was, not its number: {line}", number + 1);
        }
    }
    let cited = concat!("as found (ca", "se 7), and");
    assert!(cites_a_number(cited) && !cites_a_number("in that case seven of them, in case of 7"));
    // What a number of a contract, of a ruling or of a mended bug is.
    let page = read("docs/ARCHITECTURE.md");
    let (_, said) = page.split_once("\n## What comments refer to\n").unwrap();
    let (said, _) = said.split_once("\n## ").unwrap();
    for word in
        ["**contracts**", "01 drafts", "04 modules", "`§`", "`R` with", "`C` with", "**ruling**", "`G1` to `G10`"]
    {
        assert!(said.contains(word), "{word}");
    }
}

#[test]
fn the_server_only_builds_starts_and_stops() {
    let lines = read("src/server.rs").lines().count();
    assert!(
        lines <= 200,
        "src/server.rs has {lines} lines: what it does beyond that belongs in src/server/ or in a feature"
    );
}

#[test]
fn the_changelog_knows_this_version() {
    let heading = format!("## {}", env!("CARGO_PKG_VERSION"));
    let changelog = read("CHANGELOG.md");
    assert!(changelog.lines().any(|line| line.starts_with(&heading)), "CHANGELOG.md has no {heading}");
}

#[test]
fn everyone_may_use_it() {
    assert!(read("LICENSE").starts_with("MIT License\n\nCopyright (c) 2026 the inkring contributors\n"));
    for manifest in files("").iter().filter(|path| path.ends_with("Cargo.toml")) {
        assert!(read(manifest).contains("\nlicense = \"MIT\"\n"), "{manifest} has no license");
    }
    assert!(read("README.md").contains("[MIT](LICENSE)"));
}

#[test]
fn every_decision_can_be_found() {
    let pages = read("README.md") + &read("docs/ARCHITECTURE.md");
    for path in files("docs/decisions") {
        let name = path.strip_prefix("docs/").unwrap();
        assert!(pages.contains(&format!("{name})")), "neither README.md nor docs/ARCHITECTURE.md links to {path}");
    }
}

/// Names in the dependency tables of a manifest.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut inside = false;
    let mut names = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
        } else if let (true, Some((name, _))) = (inside, line.split_once('=')) {
            names.insert(name.trim().to_owned());
        }
    }
    names
}

#[test]
fn every_dependency_has_a_reason_and_every_reason_a_dependency() {
    let page = read("docs/decisions/0002-dependencies.md");
    let row = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
    let reasons: BTreeSet<String> = page.lines().filter_map(row).collect();
    let mut used = dependencies(&read("Cargo.toml"));
    used.append(&mut dependencies(&read("bench/Cargo.toml")));
    used.append(&mut dependencies(&read("bench/peers/Cargo.toml")));
    used.append(&mut dependencies(&read("testkit/Cargo.toml")));
    assert_eq!(used, reasons, "left: the manifests; right: docs/decisions/0002-dependencies.md");
}
