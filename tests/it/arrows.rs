//! Imports point downwards, in the order of `src/lib.rs`; features do not know each other, and `cli` and `server` know only
//! their list; where settings come from is known to `cli` and `server` alone.
//!
//! Inside a room no files form a circle; below the features nothing has a word of the product; SQLite's library is known to
//! `store/sqlite` alone. Which rooms are features is read from `src/lib.rs`.
//!
//! The checks read the sources as text: every `crate::name` and every `super::` that climbs out of its room, inside
//! tests too; unit tests are left out where it says so. Each is proved on small examples of what it refuses.

use std::collections::{BTreeMap, BTreeSet};

use inkring::features;

use crate::repository::{self, without_tests};

/// The rooms of the house, top floor first, and which of them are features.
struct Map {
    rooms: Vec<String>,
    features: Vec<String>,
    below: Vec<String>,
}

impl Map {
    /// Reads the `pub mod` lines of `lib.rs`. Below the paragraph that names `features`, the list, are the features; below
    /// them the platform.
    fn of(lib: &str) -> Self {
        let names = |paragraph: &str| -> Vec<String> {
            let names = paragraph.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
            names.map(str::to_owned).collect()
        };
        let floors: Vec<Vec<String>> = lib.split("\n\n").map(names).collect();
        let list = floors.iter().position(|floor| floor.iter().any(|name| name == "features")).unwrap();
        Self { rooms: floors.concat(), features: floors[list + 1].clone(), below: floors[list + 2..].concat() }
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
        if ["cli", "server"].contains(&from) && self.is_feature(to) {
            return Some(format!("{from} imports {to}; it knows no feature, only their list"));
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

/// Every source of the server without its unit tests.
fn sources() -> BTreeMap<String, String> {
    let paths = repository::files("src").into_iter();
    let paths = paths.filter(|path| path.ends_with(".rs") && !path.contains("/tests") && path != "src/lib.rs");
    paths.map(|path| (path.clone(), without_tests(&repository::read(&path)))).collect()
}

/// A module's place below the crate: `["net", "conn"]`.
type Place = Vec<String>;

/// Which file uses which, as far as both are in one room.
struct Files {
    /// The file of each module.
    files: BTreeMap<Place, String>,
    /// What a module calls by which name because of a `use`.
    names: BTreeMap<Place, BTreeMap<String, Place>>,
    uses: BTreeMap<String, BTreeSet<String>>,
}

impl Files {
    fn of(sources: &BTreeMap<String, String>) -> Self {
        let files: BTreeMap<Place, String> = sources.keys().map(|path| (modules(path), path.clone())).collect();
        let mut all = Self { files, names: BTreeMap::new(), uses: BTreeMap::new() };
        let codes: Vec<(Place, String)> = sources.iter().map(|(path, source)| (modules(path), code(source))).collect();
        for (place, code) in &codes {
            let names = statements(code).flat_map(|(_, tree)| branches(tree));
            let names = names.filter_map(|(path, name)| Some((name, all.absolute(place, &path)?))).collect();
            all.names.insert(place.clone(), names);
        }
        for (place, code) in &codes {
            // A name that is only handed on is no use of it.
            let handed_on: Vec<&str> = statements(code).filter(|(public, _)| *public).map(|(_, tree)| tree).collect();
            let own = handed_on.iter().fold(code.clone(), |code, tree| code.replacen(tree, "", 1));
            let uses = mentioned(&own).into_iter().filter_map(|path| all.file(&all.absolute(place, &path)?));
            let here = &all.files[place];
            let uses = uses.filter(|path| path != here && modules(path)[0] == place[0]).collect();
            all.uses.insert(here.clone(), uses);
        }
        all
    }

    /// The path from the crate on, if it leads to something of ours.
    fn absolute(&self, place: &Place, path: &[String]) -> Option<Place> {
        let (first, rest) = path.split_first()?;
        let below = |from: &[String]| [from, rest].concat();
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some(below(place)),
            "super" => self.absolute(&place[..place.len() - 1].to_vec(), &[&["self".to_owned()], rest].concat()),
            child => {
                let child = [&place[..], &[child.to_owned()]].concat();
                self.files.contains_key(&child).then(|| below(&child))
            }
        }
        .map(|path| match path.iter().position(|part| part == "super") {
            // `super::super` was turned into `self::super`.
            Some(at) if at > 0 => [&path[..at - 1], &path[at + 1..]].concat(),
            _ => path,
        })
    }

    /// The file in which a path ends, behind all the names that are handed on.
    fn file(&self, path: &[String]) -> Option<String> {
        let known = (1..=path.len()).rev().find(|length| self.files.contains_key(&path[..*length]))?;
        let (module, rest) = path.split_at(known);
        let handed_on = rest.first().and_then(|name| self.names.get(module)?.get(name));
        match handed_on {
            Some(target) if target[..] != *path => self.file(&[&target[..], &rest[1..]].concat()),
            _ => Some(self.files[module].clone()),
        }
    }

    /// The files of each circle.
    fn circles(&self) -> BTreeSet<Vec<String>> {
        let reached = |from: &String| {
            let (mut found, mut open) = (BTreeSet::new(), vec![from.clone()]);
            while let Some(path) = open.pop() {
                open.extend(self.uses[&path].iter().filter(|next| found.insert((*next).clone())).cloned());
            }
            found
        };
        let reached: BTreeMap<&String, BTreeSet<String>> = self.uses.keys().map(|path| (path, reached(path))).collect();
        let circle = |path: &&String| -> Vec<String> {
            reached[path].iter().filter(|other| reached[other].contains(*path)).cloned().collect()
        };
        self.uses.keys().map(|path| circle(&path)).filter(|circle| !circle.is_empty()).collect()
    }
}

/// The source without its comments.
fn code(source: &str) -> String {
    source.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// The trees of all `use` statements, and whether each is public in some way.
fn statements(code: &str) -> impl Iterator<Item = (bool, &str)> {
    starts(code, "use ").into_iter().map(|at| {
        let line = code[..at].rsplit('\n').next().unwrap();
        (line.trim_start().starts_with("pub"), code[at + 4..].split(';').next().unwrap())
    })
}

/// The paths of a tree such as `a::{b, c::{self, d as e}}`, each with the name that it gets.
fn branches(tree: &str) -> Vec<(Vec<String>, String)> {
    let tree = tree.trim();
    if let Some((path, group)) = tree.split_once('{') {
        let prefix: Vec<String> =
            path.split("::").map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect();
        let (mut found, mut open, mut begin) = (Vec::new(), 0, 0);
        let group = group.rsplit_once('}').map_or(group, |(group, _)| group);
        for (at, letter) in group.char_indices().chain([(group.len(), ',')]) {
            match letter {
                '{' => open += 1,
                '}' => open -= 1,
                ',' if open == 0 => {
                    found.extend(branches(&group[begin..at]));
                    begin = at + 1;
                }
                _ => {}
            }
        }
        let whole = |(mut path, name): (Vec<String>, String)| {
            let own = path == ["self"];
            path.retain(|_| !own);
            ([&prefix[..], &path].concat(), if own { prefix.last().cloned().unwrap_or_default() } else { name })
        };
        return found.into_iter().map(whole).collect();
    }
    let (path, name) = tree.split_once(" as ").map_or((tree, None), |(path, name)| (path, Some(name.trim())));
    let path: Vec<String> = path.split("::").map(|part| part.trim().to_owned()).collect();
    let Some(last) = path.last().filter(|last| !last.is_empty()).cloned() else { return Vec::new() };
    vec![(path, name.map_or(last, str::to_owned))]
}

/// Every path that code mentions, those of `use` statements among them.
fn mentioned(code: &str) -> Vec<Vec<String>> {
    let mut found: Vec<Vec<String>> =
        statements(code).flat_map(|(_, tree)| branches(tree)).map(|(path, _)| path).collect();
    let is_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut rest = code;
    while let Some(at) = rest.find("::") {
        let begin = rest[..at].rfind(|letter| !is_name(letter)).map_or(0, |at| at + 1);
        let length = rest[begin..].find(|letter| !is_name(letter) && letter != ':').unwrap_or(rest.len() - begin);
        let path: Vec<String> = rest[begin..begin + length].split("::").map(str::to_owned).collect();
        if !path[0].is_empty() {
            found.push(path);
        }
        rest = &rest[(begin + length).max(at + 2)..];
    }
    found
}

/// Words of the product in a text, with their lines.
fn product_words(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        // `RingHolder` and `ring_holder` are two words; `String` and `during` hold none.
        let mut apart = String::new();
        // The name of a document of the IETF is none.
        for letter in line.replace("draft-ietf", "").replace("IETF draft", "").chars() {
            if letter.is_uppercase() && apart.ends_with(char::is_lowercase) {
                apart.push('_');
            }
            apart.push(letter);
        }
        for word in apart.split(|letter: char| !letter.is_alphanumeric()).map(str::to_lowercase) {
            let is_product =
                word == "ring" || word == "rings" || word.starts_with("draft") || word.starts_with("collab");
            if is_product {
                found.push((number + 1, word));
            }
        }
    }
    found
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
fn no_files_form_a_circle() {
    assert_eq!(Files::of(&sources()).circles(), BTreeSet::new());
}

#[test]
fn no_files_of_the_benchmarks_form_a_circle() {
    // As one room of the server, with the program as its own file.
    let paths = repository::files("bench/src").into_iter();
    let sources = paths.map(|path| {
        let here = path.replace("bench/src/main", "bench/src/mod").replace("bench/src/", "src/bench/");
        (here, without_tests(&repository::read(&path)).replace("crate::", "crate::bench::"))
    });
    assert_eq!(Files::of(&sources.collect()).circles(), BTreeSet::new());
}

#[test]
fn below_the_features_nothing_has_a_word_of_the_product() {
    let map = Map::of(&repository::read("src/lib.rs"));
    let platform = sources().into_iter().filter(|(path, _)| map.below.contains(&modules(path)[0]));
    let mut words: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, source) in platform {
        for (_, word) in product_words(&source) {
            words.entry(path.clone()).or_default().insert(word);
        }
    }
    // Contract 01 §6.1 names the column that says what a change was about `draft_id`: in the table and in the export.
    let draft = || BTreeSet::from(["draft".to_owned()]);
    let mut known = BTreeMap::from(["src/audit/read.rs", "src/audit/store.rs"].map(|path| (path.to_owned(), draft())));
    // The library of cryptography is called `ring`.
    known.insert("src/net/tls/mod.rs".to_owned(), BTreeSet::from(["ring".to_owned()]));
    assert_eq!(words, known);
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
        "pub mod cli;\npub mod server;\n\npub mod config;\npub mod features;\n\npub mod drafts;\npub mod health;\n\n\
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
        ("src/cli/doctor.rs", "use crate::drafts::FEATURE;", "no feature"),
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

#[test]
fn circles_of_files_are_found_and_what_is_handed_on_is_none() {
    let circles = |sources: &[(&str, &str)]| {
        let sources = sources.iter().map(|(path, source)| ((*path).to_owned(), (*source).to_owned())).collect();
        Files::of(&sources).circles().into_iter().collect::<Vec<_>>()
    };
    let names = ["src/a/mod.rs", "src/a/b.rs", "src/a/c.rs"];
    for (module, b, c, count) in [
        // Straight there and back, by either kind of path, in a `use` and in the midst of code.
        ("mod b;\nmod c;", "use super::c::C;", "use crate::a::b::B;", 2),
        ("mod b;\nmod c;", "fn f() { super::c::g() }", "use super::{b::{self, B}};", 2),
        // Through a name that the room hands on.
        ("mod b;\npub use b::B as Bee;\nmod c;\npub use self::c::C;", "use super::C;", "use super::Bee;", 2),
        // The room's own file uses what uses it.
        ("mod b;\nuse b::B;\nconst BOUND: u8 = 1;", "use super::BOUND;", "", 2),
        ("mod b;\nfn f() { b::g() }\nconst BOUND: u8 = 1;", "fn g() { super::BOUND }", "", 2),
        // Around three corners.
        ("mod b;\npub use b::B;\nfn f() { c::g() }", "use super::f;", "use super::b::{X, Y};", 3),
    ] {
        let found = circles(&[(names[0], module), (names[1], b), (names[2], c)]);
        assert!(found.len() == 1 && found[0].len() == count, "{module} | {b} | {c}: {found:?}");
    }
    for (module, b, c) in [
        ("mod b;\nmod c;\npub use b::B;\npub use c::C;", "use super::C;", "use crate::x::B;"),
        ("const BOUND: u8 = 1;", "use super::BOUND;", "use super::b::B;\nuse super::BOUND;"),
        ("mod b;", "// super::c::C\nuse std::sync::c;", "use super::b;"),
    ] {
        let found = circles(&[(names[0], module), (names[1], b), (names[2], c)]);
        assert!(found.is_empty(), "{module} | {b} | {c}: {found:?}");
    }
}

#[test]
fn words_of_the_product_are_found_in_every_spelling() {
    let words = |text: &str| product_words(text).into_iter().map(|(_, word)| word).collect::<Vec<_>>();
    assert_eq!(
        words("draft_id ring_holder RingHolder DRAFTS collaborator \"/v1/collab\" a ring."),
        ["draft", "ring", "ring", "drafts", "collaborator", "collab", "ring"]
    );
    assert_eq!(words("String during bring_up ringing Ordering"), [""; 0]);
}
