//! Imports point downwards, in the order of `src/lib.rs`; features do not know each other; where settings come from is known
//! to `cli` and `server` alone.
//!
//! The check reads the sources as text: every `crate::name` and every `super::` that climbs out of its room, inside
//! tests too. It is proved below on one small example of each violation.

use inkring::features;

use crate::repository;

/// The rooms of the house, top floor first, and which of them are features.
struct Map {
    rooms: Vec<String>,
    features: Vec<String>,
}

impl Map {
    /// Reads the `pub mod` lines of `lib.rs`. The paragraph that names `drafts` is the floor of the features.
    fn of(lib: &str) -> Self {
        let names = |paragraph: &str| -> Vec<String> {
            let names = paragraph.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
            names.map(str::to_owned).collect()
        };
        let floors: Vec<Vec<String>> = lib.split("\n\n").map(names).collect();
        let features = floors.iter().find(|floor| floor.iter().any(|name| name == "drafts")).unwrap().clone();
        Self { rooms: floors.concat(), features }
    }

    fn floor(&self, room: &str) -> Option<usize> {
        self.rooms.iter().position(|known| known == room)
    }

    fn is_feature(&self, room: &str) -> bool {
        self.features.iter().any(|known| known == room)
    }

    /// What is wrong with `from` importing `to`, if anything is.
    fn violation(&self, from: &str, to: &str) -> Option<String> {
        let Some(below) = self.floor(to) else { return Some(format!("{to} is no room of src/lib.rs")) };
        if from == to {
            return None;
        }
        if from == "main" {
            return (to != "cli").then(|| format!("main imports {to}; it may import only cli"));
        }
        if to == "config" && !["cli", "server"].contains(&from) {
            return Some(format!("{from} imports config; only cli and server may"));
        }
        // The private plane is still wired by hand.
        if from == "server" && self.is_feature(to) && to != "ops" {
            return Some(format!("server imports {to}; it knows no feature, only their list"));
        }
        if self.is_feature(from) && self.is_feature(to) {
            return Some(format!("{from} imports {to}; features never import each other"));
        }
        match self.floor(from) {
            Some(above) if above < below => None,
            Some(_) => Some(format!("{from} imports {to}, which is above it in src/lib.rs")),
            None => Some(format!("{from} is no room of src/lib.rs")),
        }
    }

    /// What is wrong with the imports of one source file.
    fn violations(&self, path: &str, source: &str) -> Vec<String> {
        let modules = modules(path);
        let room = &modules[0];
        let mut found = Vec::new();
        for (line, name) in imports(source, modules.len(), room == "main") {
            // A chain of `super` may end in an inline module, so it only counts when it leads to a room.
            let to = match name {
                Import::Crate(name) => name,
                Import::Super(name) if self.floor(&name).is_some() => name,
                Import::Super(_) => continue,
            };
            if let Some(violation) = self.violation(room, &to) {
                found.push(format!("{path}:{line}: {violation}"));
            }
        }
        found
    }
}

/// `src/net/shard.rs` is `["net", "shard"]`, `src/net/mod.rs` is `["net"]`.
fn modules(path: &str) -> Vec<String> {
    let inside = path.strip_prefix("src/").unwrap().strip_suffix(".rs").unwrap();
    inside.split('/').filter(|part| *part != "mod").map(str::to_owned).collect()
}

enum Import {
    Crate(String),
    Super(String),
}

/// The names right below the crate's root that a source mentions, with their lines. `depth` is how many `super` lead to
/// the root; `program` is for `main.rs`, which knows the crate by its name.
fn imports(source: &str, depth: usize, program: bool) -> Vec<(usize, Import)> {
    let code: Vec<&str> = source.lines().map(|line| line.split("//").next().unwrap()).collect();
    let code = code.join("\n");
    let mut found = Vec::new();
    for root in if program { &["crate::", "inkring::"][..] } else { &["crate::"] } {
        for at in starts(&code, root) {
            let names = names_after(&code[at + root.len()..]);
            found.extend(names.into_iter().map(|name| (line_of(&code, at), Import::Crate(name))));
        }
    }
    for at in starts(&code, "super::") {
        let climbed = code[at..].split("super::").take_while(|between| between.is_empty()).count();
        if climbed >= depth && !code[..at].ends_with("super::") {
            let names = names_after(&code[at + climbed * "super::".len()..]);
            found.extend(names.into_iter().map(|name| (line_of(&code, at), Import::Super(name))));
        }
    }
    found
}

/// Where `word` begins and is not the end of a longer word.
fn starts(code: &str, word: &str) -> Vec<usize> {
    let whole = |at: &usize| !code[..*at].ends_with(|before: char| before.is_alphanumeric() || before == '_');
    code.match_indices(word).map(|(at, _)| at).filter(whole).collect()
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// The first name, or the first name of each branch of `{a::b, c}`.
fn names_after(rest: &str) -> Vec<String> {
    let first = |path: &str| -> String {
        path.trim_start().chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
    };
    let Some(group) = rest.strip_prefix('{') else { return vec![first(rest)] };
    let (mut names, mut open, mut begin) = (Vec::new(), 1, 0);
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        if (letter == ',' && open == 1) || open == 0 {
            names.push(first(&group[begin..at]));
            begin = at + 1;
        }
        if open == 0 {
            break;
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

#[test]
fn imports_point_downwards() {
    let map = Map::of(&repository::read("src/lib.rs"));
    let mut found = Vec::new();
    for path in repository::files("src") {
        if path.ends_with(".rs") && path != "src/lib.rs" {
            found.extend(map.violations(&path, &repository::read(&path)));
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn the_library_of_the_engine_stays_in_its_folder() {
    let knows = |path: &String| {
        repository::read(path).lines().any(|line| line.split("//").next().unwrap().contains("rusqlite"))
    };
    let outside = |path: &String| path.ends_with(".rs") && !path.starts_with("src/store/sqlite/");
    let found: Vec<String> = repository::files("src").into_iter().filter(|path| outside(path) && knows(path)).collect();
    assert_eq!(found, [""; 0], "rusqlite is for src/store/sqlite/ alone");
}

#[test]
fn the_map_is_the_order_that_the_architecture_describes() {
    let map = Map::of(&repository::read("src/lib.rs"));
    let mut listed: Vec<&str> = features::FEATURES.iter().map(|feature| feature.name).collect();
    listed.sort_unstable();
    assert_eq!(map.features, listed, "src/lib.rs and src/features.rs");
    let order = map.rooms.iter().map(|room| format!("`{room}`")).collect::<Vec<_>>().join(" → ");
    let page = repository::read("docs/ARCHITECTURE.md");
    assert!(page.contains(&format!("`main` → {order}")), "docs/ARCHITECTURE.md does not say: `main` → {order}");
}

#[test]
fn each_violation_is_found() {
    let map = Map::of(
        "pub mod cli;\npub mod server;\n\npub mod config;\n\npub mod drafts;\npub mod health;\n\n\
         pub mod gate;\npub mod store;\n\npub mod net;\n\npub mod clock;\n",
    );
    for (path, source, says) in [
        ("src/store/writer.rs", "use crate::gate::Call;", "above it"),
        ("src/clock.rs", "fn f() { crate::net::run() }", "above it"),
        ("src/net/mod.rs", "use crate::{\n    clock::Clock,\n    store::{self, Reader},\n};", "above it"),
        ("src/drafts/routes.rs", "use crate::health::Readiness;", "features never"),
        ("src/health/mod.rs", "pub use crate::drafts::view;", "features never"),
        ("src/gate/mod.rs", "use crate::config::Config;", "only cli and server"),
        ("src/server/plan.rs", "use crate::health;", "no feature"),
        ("src/store/mod.rs", "use super::gate::Call;", "above it"),
        ("src/store/writer.rs", "use super::super::gate;", "above it"),
        ("src/main.rs", "use inkring::server::Server;", "only cli"),
        ("src/gate/call.rs", "use crate::attic::Box;", "no room"),
        ("src/attic.rs", "use crate::clock::Clock;", "no room"),
    ] {
        let found = map.violations(path, source);
        assert!(found.len() == 1 && found[0].contains(says), "{path}: {source}: {found:?}");
    }
    for (path, source) in [
        ("src/main.rs", "inkring::cli::run()"),
        ("src/server.rs", "use crate::{config::Loaded, gate::{self, Gate}};"),
        ("src/drafts/view.rs", "use super::store;\nuse crate::store::Reader;"),
        ("src/gate/mod.rs", "//! See [`crate::drafts`].\nuse crate::net; // not crate::health"),
        ("src/net/shard.rs", "mod tests { use super::super::mailbox; }"),
    ] {
        assert_eq!(map.violations(path, source), [""; 0], "{path}: {source}");
    }
}
