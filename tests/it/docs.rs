//! What the documentation says is tried out.
//!
//! - Every `sh` block of README.md and the pages of `carry_out` is carried out by the shell in `support/shell.rs`, in order,
//!   against one server per page, which has the settings of the page's `ini` block if there is one.
//! - A `json` block right after an `sh` block is the last answer of that block: the same members in the same order, the
//!   same values; only ids, times and fractions may differ. After a `websocat`, it is what the socket sends next.
//! - A comment `<!-- test: … -->` above a block says what to do instead of it: `cargo` (it builds or tests, which this
//!   very run has done), `start` (the server, if it does not run), `kill` (SIGKILL), `socket` (JSON that the last socket
//!   sends next), `illustration` (JSON that only has to parse), `browser` (`behaviour_browser.rs` has it in a page), `node`
//!   (`rooms_client.rs` has Node run it), `hashed` (a shell must come to the hash of the page), `provider` (a Yjs client by hand does what the stock one on the page does).
//!
//! The programs in docs/clients/README.md are run by `client_js.rs`.

use std::collections::BTreeSet;
use std::process::Command;

use inkring::config::knobs::KNOBS;
use inkring::features;
use serde_json::Value;

use crate::repository::{files, read, root};
use crate::support::inkring;
use crate::support::shell::Shell;

/// A fenced block of a page.
#[derive(Debug)]
pub struct Block {
    pub language: String,
    pub line: usize,
    pub text: String,
    /// What a comment above it says to do instead.
    pub instead: Option<String>,
}

pub fn blocks(page: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let (mut open, mut instead) = (false, None);
    for (number, line) in page.lines().enumerate() {
        if let Some(language) = line.strip_prefix("```") {
            if !open {
                let (language, instead) = (language.to_owned(), instead.take());
                found.push(Block { language, line: number + 1, text: String::new(), instead });
            }
            open = !open;
        } else if open {
            let block = found.last_mut().unwrap();
            block.text.push_str(line);
            block.text.push('\n');
        } else if let Some(said) = line.strip_prefix("<!-- test: ") {
            instead = Some(said.strip_suffix(" -->").unwrap().to_owned());
        } else if !line.trim().is_empty() {
            assert_eq!(instead, None, "line {}: a test comment stands right above its block", number + 1);
        }
    }
    assert!(!open, "a block is not closed");
    found
}

/// The page's prose: no blocks.
fn prose(page: &str) -> String {
    let mut open = false;
    let mut kept = String::new();
    for line in page.lines() {
        if line.starts_with("```") {
            open = !open;
        } else if !open {
            kept.push_str(line);
        }
        kept.push('\n');
    }
    kept
}

/// Every page of Markdown.
fn pages() -> Vec<(String, String)> {
    let mut paths = files("docs");
    paths.extend(["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"].map(str::to_owned));
    paths.into_iter().filter(|path| path.ends_with(".md")).map(|path| (path.clone(), read(&path))).collect()
}

/// With which docs/PROTOCOL.md says that its tokens are signed.
const KEY: (&str, &str) = ("JWT_SECRET", "only-for-the-examples-of-this-page");

fn carry_out(path: &str) {
    let blocks = blocks(&read(path));
    let ini = blocks.iter().find(|block| block.language == "ini");
    let settings: Vec<(&str, &str)> = match ini {
        Some(block) => block.text.lines().map(|line| line.split_once('=').unwrap()).collect(),
        None => vec![KEY],
    };
    let mut shell = Shell::new(&settings);
    let mut after_sh = false;
    for block in &blocks {
        #[expect(clippy::print_stderr, reason = "shown when the test fails: at which block")]
        {
            eprintln!("{path}:{}", block.line);
        }
        let is_sh = block.language == "sh";
        match (block.language.as_str(), block.instead.as_deref()) {
            ("json", Some("illustration")) => {}
            ("json", Some("socket")) => {
                shell.last = None;
                shell.compare(&block.text);
            }
            ("html" | "js", Some("browser" | "node")) | ("sh", Some("hashed")) => {}
            (_, Some(what)) => shell.instead(what),
            ("sh", None) => shell.run(&block.text),
            ("json", None) if after_sh => shell.compare(&block.text),
            ("json", None) => panic!("this JSON follows no sh block; is it an illustration?"),
            ("text" | "http" | "ini", None) => {}
            (other, None) => panic!("nobody tries out a block of {other:?}"),
        }
        after_sh = is_sh;
    }
}

#[test]
fn the_readme_can_be_followed() {
    carry_out("README.md");
}

/// Words without code, as somebody reads them aloud, in about two minutes.
#[test]
fn the_readme_is_short_enough_to_be_read_aloud() {
    let text = prose(&read("README.md"));
    let lines = text.lines().filter(|line| !line.starts_with("<!--"));
    let is_word = |word: &&str| word.contains(char::is_alphanumeric);
    let words: usize = lines.map(|line| line.split_whitespace().filter(is_word).count()).sum();
    assert!(words <= 390, "{words} words: what is long belongs on a page of its own");
    // What it is, and when it is not for you, stand before how it is built.
    let place = |what: &str| text.find(what).unwrap_or_else(|| panic!("no {what}"));
    for what in ["](docs/ROOMS.md)", "](docs/MODULES.md)", "](docs/BEHAVIOUR_METRICS.md)", "## Why not"] {
        assert!(place(what) < place("\n## Try it\n"), "{what} comes too late");
    }
}

#[test]
fn the_first_draft_can_be_followed() {
    carry_out("docs/FIRST_DRAFT.md");
}

#[test]
fn the_checklist_for_production_can_be_followed() {
    carry_out("docs/OPS_PROD_CHECKLIST.md");
}

#[test]
fn the_protocol_is_as_written() {
    assert!(read("docs/PROTOCOL.md").contains(&format!("`{}={}`", KEY.0, KEY.1)));
    carry_out("docs/PROTOCOL.md");
}

#[test]
fn the_uses_of_drafts_can_be_followed() {
    for path in files("docs/drafts") {
        carry_out(&path);
    }
}

#[test]
fn the_shell_of_the_protocol_comes_to_the_hash_of_its_example() {
    let page = read("docs/PROTOCOL.md");
    let mut hashed = blocks(&page).into_iter().filter(|block| block.instead.as_deref() == Some("hashed"));
    let output = Command::new("sh").args(["-c", &hashed.next().unwrap().text]).output().unwrap();
    let hash = String::from_utf8(output.stdout).unwrap();
    assert_eq!(hash.trim_end().len(), 64, "{}", String::from_utf8_lossy(&output.stderr));
    assert!(page.contains(&format!("\"chain_sha256\": \"{}\"", hash.trim_end())), "{hash}");
}

#[test]
fn the_audit_page_is_as_written() {
    carry_out("docs/AUDIT.md");
}

#[test]
fn the_page_of_behaviour_metrics_is_as_written() {
    carry_out("docs/BEHAVIOUR_METRICS.md");
}

#[test]
fn the_page_of_rooms_is_as_written() {
    carry_out("docs/ROOMS.md");
}

#[test]
fn the_page_of_the_modules_is_as_written() {
    carry_out("docs/MODULES.md");
}

/// What stands behind each `curl ` of a page, to the end of the command.
fn curls(page: &str) -> Vec<String> {
    let page = page.replace("\\\n", " ");
    let command = |rest: &str| rest.split(['`', '\n', '|']).next().unwrap().to_owned();
    page.split("curl ").skip(1).map(command).collect()
}

#[test]
fn every_curl_of_the_private_plane_has_the_token_and_none_keeps_an_error_as_a_file() {
    let (mut private, mut files) = (0, 0);
    for (path, page) in pages() {
        for curl in curls(&page) {
            if curl.contains("127.0.0.1:8001/") && !curl.ends_with("/healthz") {
                let begins = "inkring.ops_token | curl ";
                assert!(curl.contains("-H @- ") && page.contains(&format!("{begins}{curl}")), "{path}: curl {curl}");
                private += 1;
            }
            // Where what is kept is a refusal, the file is called so.
            let others = |file: &str| file.starts_with("/dev/null") || file.starts_with("refused");
            let is_file = |mark| curl.split_once(mark).is_some_and(|(_, file)| !others(file));
            if is_file(" -o ") || is_file(" > ") {
                assert!(curl.starts_with("-sf ") || curl.starts_with("-fsS "), "{path}: curl {curl}");
                files += 1;
            }
        }
    }
    assert!(private >= 2 && files >= 4, "{private} and {files}");
}

#[test]
fn every_json_block_parses() {
    for (path, page) in pages() {
        for block in blocks(&page).iter().filter(|block| block.language == "json") {
            let parsed = serde_json::Deserializer::from_str(&block.text).into_iter::<Value>();
            let parsed: Result<Vec<Value>, _> = parsed.collect();
            assert!(parsed.is_ok(), "{path}:{}: {parsed:?}", block.line);
        }
    }
}

#[test]
fn the_tables_of_routes_are_what_the_program_prints() {
    let directory = tempfile::tempdir().unwrap();
    let printed = |plane: &str| {
        String::from_utf8(inkring(directory.path()).args(["routes", plane]).output().unwrap().stdout).unwrap()
    };
    let public = printed("public");
    assert!(public == read("docs/PATHS.md"), "out of date: inkring routes public > docs/PATHS.md");
    assert_eq!(public.lines().filter(|line| line.starts_with("| `")).count(), features::routes().len());
    let heading = public.lines().find(|line| line.starts_with("## "));
    assert_eq!(heading, Some("## Drafts"), "what one comes for stands first");
    let private = printed("private");
    let table = private.trim_end();
    assert!(
        read("docs/OPS_API.md").contains(&format!("\n\n{table}\n\n")),
        "docs/OPS_API.md is out of date: inkring routes private\n{table}"
    );
}

#[test]
fn every_limit_of_the_protocol_is_the_default_of_its_setting() {
    let page = read("docs/PROTOCOL.md");
    let (_, table) = page.split_once("| status | when | setting |").unwrap();
    let mut checked = 0;
    for row in table.lines().skip(2).take_while(|line| line.starts_with('|')) {
        for knob in KNOBS.iter().filter(|knob| knob.default != "0" && row.contains(&format!("`{}`", knob.name))) {
            let mut numbers = row.split(|letter: char| !letter.is_ascii_digit());
            assert!(numbers.any(|number| number == knob.default), "{row}: {}", knob.default);
            checked += 1;
        }
    }
    assert_eq!(checked, 7, "rows of the table with a setting");
}

#[test]
fn every_limit_of_rooms_is_that_of_the_page_of_bounds() {
    let page = read("docs/ROOMS.md");
    let (_, table) = page.split_once("| what | at most | then |").unwrap();
    let mut checked = 0;
    for row in table.lines().skip(2).take_while(|line| line.starts_with('|')) {
        for [name, value, _] in bounds().iter().filter(|[name, ..]| row.contains(&format!("`{name}`"))) {
            let number = value.split(' ').next().unwrap();
            assert!(
                row.split(|letter: char| !letter.is_ascii_digit()).any(|said| said == number),
                "{row}: {name} {value}"
            );
            checked += 1;
        }
    }
    assert_eq!(checked, 18, "limits with a name");
}

/// Words in capitals with an underscore, as settings and constants are written.
fn capital_words(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    let capital = |word: &&str| {
        word.contains('_')
            && word.starts_with(|letter: char| letter.is_ascii_uppercase())
            && !word.contains(|letter: char| letter.is_ascii_lowercase())
    };
    words.filter(capital).collect()
}

/// Names, values and tests of the table on the page of bounds, which the program prints.
fn bounds() -> Vec<[String; 3]> {
    let page = read("docs/BOUNDS.md");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let cell = |row: &str, at: usize| row.split(" | ").nth(at).unwrap().trim_matches(['|', '`', ' ']).to_owned();
    rows.map(|row| [cell(row, 0), cell(row, 1), cell(row, 4)]).collect()
}

#[test]
fn every_setting_and_constant_that_is_named_exists() {
    // Names of the system, of the build, of the tests, of `inkring smoke` and of the clients, and one that stands for others.
    const OTHERS: [&str; 37] = [
        "BASE_URL",
        "USER_ID",
        "SMOKE_COLLAB_ID",
        "SMOKE_ORIGIN",
        "SMOKE_TIMEOUT",
        "SMOKE_TOKEN",
        "SMOKE_USER_ID",
        "GREETING_MAX_CHARS",
        "IM_A_TEAPOT",
        "TOYS_TABLE",
        "TOY_GREETING",
        "NAME_FILE",
        "INKRING_BROWSER",
        "INKRING_COMMIT",
        "INKRING_CONFIG",
        "CREDENTIALS_DIRECTORY",
        "INKRING_CRASH_ROUNDS",
        "INKRING_ROOMS_FIGURES",
        "INKRING_ROOMS_HISTORIES",
        "INKRING_ROOMS_LIVE_HISTORIES",
        "INKRING_SOAK_SECONDS",
        "INKRING_TEST_SEED",
        "OPS_API",
        "FIRST_DRAFT",
        "BEHAVIOUR_CHECKLIST",
        "BEHAVIOUR_METRICS",
        "OPS_PROD_CHECKLIST",
        "AF_INET",
        "AF_INET6",
        "AF_UNIX",
        "LISTEN_FDS",
        "LISTEN_FDNAMES",
        "LISTEN_PID",
        "NOTIFY_SOCKET",
        "WATCHDOG_USEC",
        "WATCHDOG_PID",
        "HAVE_FDATASYNC",
    ];
    let names = KNOBS.iter().flat_map(|knob| knob.names()).map(str::to_owned);
    let settings: BTreeSet<String> = names.chain(KNOBS.iter().flat_map(|knob| knob.file_names())).collect();
    let constants: BTreeSet<String> = bounds().into_iter().map(|[name, ..]| name).collect();
    let mut pages = pages();
    let deployed = files("systemd").into_iter().chain(files("docs/deploy"));
    pages.extend(deployed.filter(|path| !path.ends_with(".json")).map(|path| (path.clone(), read(&path))));
    for (path, page) in pages {
        for word in capital_words(&page) {
            let known = settings.contains(word) || constants.contains(word) || OTHERS.contains(&word);
            assert!(known, "{path} names {word}, which is neither a setting nor a constant");
        }
    }
}

#[test]
fn the_page_of_bounds_is_what_the_program_prints() {
    let directory = tempfile::tempdir().unwrap();
    let printed = String::from_utf8(inkring(directory.path()).arg("bounds").output().unwrap().stdout).unwrap();
    assert!(printed == read("docs/BOUNDS.md"), "out of date: inkring bounds > docs/BOUNDS.md");
    // What only the kernel, another program or minutes of waiting would lead to. There must not be more of them.
    const UNTESTED: [&str; 19] = [
        "SEND_PATIENCE",
        "START_PROBE_PATIENCE",
        "WAL_PAGES_MAX",
        "TOKEN_STDIN_MAX_BYTES",
        "BACKLOG",
        "LAST_CALL_MAX",
        "SLICE_ROWS",
        "SEARCHED_MAX_ROWS",
        "FAULTS_MAX",
        "READY_PATIENCE",
        "HEALTHCHECK_PATIENCE",
        "BACKUP_PATIENCE",
        "DOOR_ANSWER_MAX_BYTES",
        "PAGE_MAX_BYTES",
        "SMOKE_ANSWER_MAX_BYTES",
        "OPS_REQUEST_SECONDS",
        "OPS_WORK_SECONDS",
        "OPS_ANSWER_SECONDS",
        "OPS_THREADS",
    ];
    let sources = files("src").into_iter().chain(files("tests/it")).filter(|path| path.ends_with(".rs"));
    let sources: Vec<String> = sources.map(|path| read(&path)).collect();
    let is_there = |text: &str| sources.iter().any(|source| source.contains(text));
    for [name, _, test] in bounds() {
        let is_named = is_there(&format!("const {name}: ")) || KNOBS.iter().any(|knob| knob.name == name);
        assert!(is_named, "{name} is neither a constant nor a setting");
        let is_tested = if test.is_empty() { UNTESTED.contains(&&*name) } else { is_there(&format!("fn {test}()")) };
        assert!(is_tested, "{name}: there is no test {test:?}");
    }
}

#[test]
fn the_unit_fits_the_server() {
    let unit = read("systemd/inkring.service");
    let values = |name: &str| -> Vec<String> {
        unit.lines().filter_map(|line| line.strip_prefix(&format!("{name}="))).map(str::to_owned).collect()
    };
    let drain: u64 = KNOBS.iter().find(|knob| knob.name == "DRAIN_SECONDS").unwrap().default.parse().unwrap();
    assert!(values("TimeoutStopSec")[0].parse::<u64>().unwrap() > drain, "a stop must have the time to finish");
    let state = format!("/var/lib/{}", values("StateDirectory")[0]);
    assert_eq!(values("WorkingDirectory"), [state.as_str()]);
    assert!(read("src/cli/setup.rs").contains(&format!("const STATE: &str = \"{state}\";")));
    let directory = tempfile::tempdir().unwrap();
    for command in [values("ExecStartPre"), values("ExecStart")].concat() {
        let (program, arguments) = command.split_once(' ').unwrap();
        assert_eq!(program, "/usr/local/bin/inkring");
        assert!(arguments.ends_with(" --config ${CREDENTIALS_DIRECTORY}/inkring.env"), "{command}");
        let output = inkring(directory.path()).args(arguments.split(' ')).arg("--help").output().unwrap();
        assert!(output.status.success(), "{command}");
    }
}

/// Anchors of a page as its readers make them of headings.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| -> String {
        let kept = line.trim_start_matches('#').trim().to_lowercase();
        let kept = kept.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
        kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_leads_somewhere() {
    for (path, page) in pages() {
        let text = prose(&page);
        for target in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if target.contains("://") {
                continue;
            }
            let (file, anchor) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
            let here = root().join(&path);
            let there = if file.is_empty() { here } else { here.parent().unwrap().join(file) };
            assert!(there.exists(), "{path} links to {target}");
            if let Some(anchor) = anchor {
                let known = anchors(&prose(&std::fs::read_to_string(&there).unwrap()));
                assert!(known.contains(anchor), "{path} links to {target}; there is {known:?}");
            }
        }
    }
}

/// The first cells of the table below this heading of a page, by what stands between backticks in them.
fn first_cells(page: &str, heading: &str) -> BTreeSet<String> {
    let (_, rest) = page.split_once(heading).unwrap();
    let rows = rest.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = rows.map(|row| row.split('|').nth(1).unwrap());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

#[test]
fn the_table_of_components_is_complete() {
    let named = first_cells(&read("docs/ARCHITECTURE.md"), "\n## Components\n");
    for path in &named {
        assert!(root().join(path).exists(), "the table of components names {path}");
    }
    for path in files("src") {
        let component = path.match_indices('/').nth(1).map_or(path.as_str(), |(at, _)| &path[..=at]);
        assert!(named.contains(component), "{path}: {component} is not in the table of components");
    }
}

#[test]
fn the_feature_of_the_architecture_is_the_one_that_the_tests_serve() {
    let (page, toy) = (read("docs/ARCHITECTURE.md"), read("tests/it/toy.rs"));
    let shown: Vec<Block> = blocks(&page).into_iter().filter(|block| block.language == "rust").collect();
    assert_eq!(shown.len(), 4);
    for block in shown {
        assert!(toy.contains(&block.text), "docs/ARCHITECTURE.md:{}: tests/it/toy.rs has another text", block.line);
    }
}

#[test]
fn every_file_to_read_first_exists() {
    let page = read("docs/ARCHITECTURE.md");
    let (_, list) = page.split_once("\n## Start reading here\n").unwrap();
    let list = list.split("\n## ").next().unwrap();
    let paths: Vec<&str> = list.lines().filter_map(|line| line.split_once(". `")?.1.split('`').next()).collect();
    assert_eq!(paths.len(), 5, "{paths:?}");
    for path in paths {
        assert!(root().join(path).is_file(), "{path}");
    }
}

#[test]
fn every_test_that_is_cited_exists() {
    let page = read("docs/GUARANTEES.md");
    let (_, rest) = page.split_once("## What it promises").unwrap();
    let promises = rest.split("\n## ").next().unwrap();
    for number in 1..=10 {
        assert!(promises.contains(&format!("**G{number}**")), "G{number} is missing");
    }
    let threats = read("docs/THREATS.md");
    for text in [promises, &threats] {
        let mut cited = 0;
        for name in text.split('`').skip(1).step_by(2).filter(|name| name.contains(".rs::")) {
            let (file, test) = name.split_once("::").unwrap();
            assert!(read(file).contains(&format!("fn {test}(")), "{name} is cited and does not exist");
            cited += 1;
        }
        assert!(cited > 30, "only {cited} tests are cited");
    }
    for row in threats.lines().skip_while(|line| !line.starts_with("| threat")).filter(|line| line.starts_with("| ")) {
        assert!(
            row.contains(".rs::") || row.ends_with(" test |") || row.ends_with(" tests |"),
            "a threat without a test: {row}"
        );
    }
}
