//! What is wrong with a run, by its log: ten rules in order, the first that matches is the answer. Rules are data; no rule
//! makes a patch.

use serde_json::{Value, json};

/// Bytes of log that are looked at, the text and its artifacts together; what follows them is not read.
pub const LOG_MAX_BYTES: usize = 256 * 1024;

/// What to do, and what it is called.
struct Action {
    kind: &'static str,
    title: &'static str,
    details: &'static str,
}

/// One rule.
struct Rule {
    /// It matches where all signs of any of these lines are in the log, in small letters, each at the beginning of a word.
    signs: &'static [&'static [&'static str]],
    severity: &'static str,
    message: &'static str,
    actions: &'static [Action],
}

const RULES: [Rule; 10] = [
    Rule {
        signs: &[
            &["ebadengine"],
            &["unsupported engine"],
            &["engine \"node\" is incompatible"],
            &["unable to find node version"],
            &["node version", "required"],
            &["node version", "unsupported"],
            &["node version", "not supported"],
            &["node version", "mismatch"],
            &["requires node"],
            &["requires a node version"],
        ],
        severity: "error",
        message: "The Node.js version of the runner is not the one that the project asks for.",
        actions: &[
            Action {
                kind: "suggest",
                title: "Pin the Node.js version",
                details: "Set node-version in the workflow to what engines.node of package.json asks for.",
            },
            Action {
                kind: "check",
                title: "Compare the versions",
                details: "Run node --version locally and in the run.",
            },
        ],
    },
    Rule {
        signs: &[
            &["lockfile"],
            &["lock file", "npm"],
            &["dependencies lock file is not found"],
            &["package-lock.json"],
            &["npm-shrinkwrap.json"],
            &["npm ci", "can only install"],
        ],
        severity: "error",
        message: "The npm lockfile is missing or does not agree with package.json.",
        actions: &[
            Action {
                kind: "suggest",
                title: "Renew the lockfile",
                details: "Run npm install, then commit package-lock.json.",
            },
            Action {
                kind: "check",
                title: "Check where it lies",
                details: "The lockfile has to stand beside package.json; otherwise name it in cache-dependency-path.",
            },
        ],
    },
    Rule {
        signs: &[
            &["pip install", "error"],
            &["pip install", "failed"],
            &["could not find a version that satisfies"],
            &["no matching distribution found"],
            &["resolutionimpossible"],
            &["failed building wheel"],
            &["subprocess-exited-with-error"],
        ],
        severity: "error",
        message: "pip could not install a dependency.",
        actions: &[
            Action {
                kind: "suggest",
                title: "Correct the requirement",
                details: "See that the named version exists for this version of Python.",
            },
            Action {
                kind: "check",
                title: "Install it alone",
                details: "Run pip install for the named package in a fresh environment.",
            },
        ],
    },
    Rule {
        signs: &[
            &["ruff", "error"],
            &["ruff", "found"],
            &["ruff", "failed"],
            &["ruff check"],
            &["ruff format"],
            &["would reformat", "ruff"],
        ],
        severity: "warn",
        message: "ruff has found something to correct.",
        actions: &[Action {
            kind: "suggest",
            title: "Let ruff correct it",
            details: "Run ruff check --fix and ruff format, then commit.",
        }],
    },
    Rule {
        signs: &[&["flake8"]],
        severity: "warn",
        message: "flake8 has found something to correct.",
        actions: &[Action {
            kind: "suggest",
            title: "Correct the named lines",
            details: "Run flake8 locally; each line of its output names file, line and rule.",
        }],
    },
    Rule {
        signs: &[&["modulenotfounderror"], &["importerror"], &["no module named"], &["cannot import name"]],
        severity: "error",
        message: "Python could not import a module.",
        actions: &[
            Action {
                kind: "suggest",
                title: "Name the dependency",
                details: "Add the missing package to the requirements, or correct the path of the import.",
            },
            Action {
                kind: "check",
                title: "Check where it runs",
                details: "The working directory and PYTHONPATH have to be those of a local run.",
            },
        ],
    },
    Rule {
        signs: &[
            &["operation was canceled"],
            &["operation was cancelled"],
            &["run was canceled"],
            &["run was cancelled"],
            &["job was canceled"],
            &["job was cancelled"],
            &["workflow was canceled"],
            &["workflow was cancelled"],
            &["run cancelled"],
            &["run canceled"],
            &["has been cancelled"],
            &["has been canceled"],
            &["canceling since a higher priority"],
        ],
        severity: "warn",
        message: "The run was cancelled before it ended.",
        actions: &[Action {
            kind: "check",
            title: "See who cancelled it",
            details: "A newer push cancels a run where concurrency has cancel-in-progress; otherwise run it again.",
        }],
    },
    Rule {
        signs: &[
            &["tests failed"],
            &["test failed"],
            &["failed tests"],
            &["failing tests"],
            &["test suites:", "failed"],
            &["tests:", "failed"],
            &["pytest", "failed"],
            &["assertionerror"],
            &["test result: failed"],
            &["short test summary info"],
            &["fail:", "test"],
        ],
        severity: "error",
        message: "Tests have failed.",
        actions: &[
            Action {
                kind: "check",
                title: "Run the first failing test alone",
                details: "The first failure of the log is the one to look at; later ones often follow from it.",
            },
            Action {
                kind: "suggest",
                title: "Correct the code or the test",
                details: "Say in the commit which of the two was wrong.",
            },
        ],
    },
    Rule {
        signs: &[
            &["timed out"],
            &["timeout"],
            &["etimedout"],
            &["deadline exceeded"],
            &["exceeded the maximum execution time"],
        ],
        severity: "warn",
        message: "A step took longer than it may.",
        actions: &[
            Action {
                kind: "check",
                title: "Find the slow step",
                details: "Compare its duration with that of the last good run.",
            },
            Action {
                kind: "suggest",
                title: "Give it more time or less work",
                details: "Raise timeout-minutes, cache downloads or split the step.",
            },
        ],
    },
    Rule {
        signs: &[
            &["docker build"],
            &["docker buildx", "error"],
            &["dockerfile", "error"],
            &["dockerfile", "failed"],
            &["failed to solve"],
            &["buildkit", "error"],
        ],
        severity: "error",
        message: "The Docker image could not be built.",
        actions: &[
            Action {
                kind: "check",
                title: "Build it locally",
                details: "Run docker build --no-cache with the same arguments.",
            },
            Action {
                kind: "suggest",
                title: "Correct the named line of the Dockerfile",
                details: "See that what is copied is in the build context and not in .dockerignore.",
            },
        ],
    },
];

const UNKNOWN: Rule = Rule {
    signs: &[],
    severity: "info",
    message: "There is no recognized failure in this log; please review it by hand.",
    actions: &[Action {
        kind: "check",
        title: "Review the log",
        details: "Begin with the first line that says error, and with the last step that ended well.",
    }],
};

/// The answer about a log (contract 04 §1.10) that comes in several pieces, the text and its artifacts.
#[must_use]
pub fn diagnose<'l>(log: impl IntoIterator<Item = &'l [u8]>) -> Value {
    let mut left = LOG_MAX_BYTES;
    let pieces: Vec<String> = log
        .into_iter()
        .map_while(|piece| {
            let taken = piece.len().min(left);
            left -= taken;
            (taken > 0 || piece.is_empty()).then(|| String::from_utf8_lossy(&piece[..taken]).to_lowercase())
        })
        .collect();
    let has = |sign: &&str| pieces.iter().any(|piece| has_word(piece, sign));
    let matches = |rule: &&Rule| rule.signs.iter().any(|signs| signs.iter().all(has));
    let rule = RULES.iter().find(matches).unwrap_or(&UNKNOWN);
    let action = |action: &Action| json!({ "type": action.kind, "title": action.title, "details": action.details });
    json!({
        "participant": "cimeika-api",
        "message": rule.message,
        "severity": rule.severity,
        "outputs": { "patch_unified_diff": null, "actions": rule.actions.iter().map(action).collect::<Vec<_>>() },
    })
}

/// Whether the text has this where a word begins: "scruff" is not "ruff".
fn has_word(text: &str, sign: &str) -> bool {
    text.match_indices(sign).any(|(at, _)| !text[..at].ends_with(char::is_alphanumeric))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(log: &str) -> String {
        diagnose([log.as_bytes()])["message"].as_str().unwrap().to_owned()
    }

    #[test]
    fn logs_are_recognized() {
        let cases = [
            ("npm WARN EBADENGINE Unsupported engine { package: 'x', required: { node: '>=20' } }", 0),
            ("error x@1.0.0: The engine \"node\" is incompatible with this module.", 0),
            ("Unable to find Node version '99' for platform linux", 0),
            ("Dependencies lock file is not found in /repo", 1),
            ("`npm ci` can only install packages when your package.json and package-lock.json are in sync", 1),
            ("npm error: missing lockfile", 1),
            ("$ pip install -r requirements.txt\nERROR: something", 2),
            ("ERROR: No matching distribution found for fastapi==9", 2),
            ("ERROR: Failed building wheel for lxml", 2),
            ("ruff check .\nFound 3 errors.", 3),
            ("Run ruff\napp.py:1:1: F401 error", 3),
            ("flake8 app\napp.py:1:80: E501 line too long", 4),
            ("ModuleNotFoundError: No module named 'app'", 5),
            ("ImportError: cannot import name 'x' from 'y'", 5),
            ("Error: The operation was canceled.", 6),
            ("The run was cancelled by a user", 6),
            ("=== short test summary info ===\nFAILED tests/test_a.py::test_b", 7),
            ("Tests:       1 failed, 3 passed", 7),
            ("test result: FAILED. 3 passed; 1 failed", 7),
            ("AssertionError: 1 != 2", 7),
            ("Error: The job has exceeded the maximum execution time of 6h0m0s", 8),
            ("connect ETIMEDOUT 1.2.3.4:443", 8),
            ("request timed out", 8),
            ("ERROR: failed to solve: process \"/bin/sh -c make\" did not complete", 9),
            ("$ docker build -t app .", 9),
        ];
        for (log, rule) in cases {
            assert_eq!(message(log), RULES[rule].message, "{log}");
        }
        let hit: std::collections::BTreeSet<usize> = cases.iter().map(|(_, rule)| *rule).collect();
        assert_eq!(hit.len(), RULES.len(), "each rule has a case");
    }

    #[test]
    fn the_first_rule_wins() {
        assert_eq!(message("docker build failed: package-lock.json timed out"), RULES[1].message);
        assert_eq!(message("pytest: 1 failed\nModuleNotFoundError: x"), RULES[5].message);
    }

    #[test]
    fn what_is_not_known_is_for_people() {
        for log in ["", "all is well", "scruff error", "\u{0}\u{1}"] {
            let answer = diagnose([log.as_bytes()]);
            assert_eq!(answer["severity"], "info", "{log}");
            let message = answer["message"].as_str().unwrap();
            assert!(message.contains("no recognized") && message.contains("review"));
        }
    }

    #[test]
    fn the_answer_has_the_shape_of_the_contract() {
        for log in ["lockfile", "nothing"] {
            let answer = diagnose([log.as_bytes()]);
            let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
            assert_eq!(keys(&answer), ["participant", "message", "severity", "outputs"]);
            assert_eq!(answer["participant"], "cimeika-api");
            assert_eq!(keys(&answer["outputs"]), ["patch_unified_diff", "actions"]);
            assert_eq!(answer["outputs"]["patch_unified_diff"], Value::Null);
            for action in answer["outputs"]["actions"].as_array().unwrap() {
                assert_eq!(keys(action), ["type", "title", "details"]);
                assert!(["suggest", "check"].contains(&action["type"].as_str().unwrap()));
            }
        }
        for rule in RULES.iter().chain([&UNKNOWN]) {
            assert!(["info", "warn", "error"].contains(&rule.severity) && !rule.actions.is_empty());
            let small = |sign: &&&str| sign.to_lowercase() == **sign;
            assert!(rule.signs.iter().flat_map(|signs| signs.iter()).all(|sign| small(&sign)));
        }
    }

    #[test]
    fn artifacts_are_read_with_the_text_up_to_a_bound() {
        let answer = |log: &[&[u8]]| diagnose(log.iter().copied())["message"].clone();
        assert_eq!(answer(&[b"see the log", b"flake8"]), RULES[4].message);
        assert_eq!(answer(&[b"pip install", b"ERROR"]), RULES[2].message, "signs may be in different pieces");
        let long = vec![b'.'; LOG_MAX_BYTES];
        assert_eq!(answer(&[&long, b"flake8"]), UNKNOWN.message);
        assert_eq!(
            answer(&[&[0xff, b' ', b'r', b'u', b'f', b'f', b' ', b'c', b'h', b'e', b'c', b'k']]),
            RULES[3].message
        );
    }
}
