//! SQL stands in `store.rs` files only, and every statement is one that more than one engine understands.

use crate::repository::{files, read, without_tests};

/// How a statement begins.
const BEGINNINGS: [&str; 7] = ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH ", "PRAGMA ", "REPLACE "];

/// What only SQLite understands, or understands in its own way.
const REFUSED: [&str; 12] = [
    "INSERT OR",
    "REPLACE INTO",
    "->>",
    "->",
    "strftime",
    "datetime(",
    "randomblob",
    "printf",
    "ROWID",
    "PRAGMA",
    "GLOB",
    "max(?",
];

/// The texts in quotes of a source, comments left out, with lines that go on joined.
fn texts(source: &str) -> Vec<String> {
    let (mut found, mut letters) = (Vec::new(), source.chars().peekable());
    let mut before = ' ';
    while let Some(letter) = letters.next() {
        match letter {
            '/' if letters.peek() == Some(&'/') => _ = letters.by_ref().find(|letter| *letter == '\n'),
            // A letter in quotes may be a quotation mark.
            '\'' => {
                let mut ahead = letters.clone();
                let first = ahead.next();
                if first == Some('\\') || ahead.next() == Some('\'') {
                    letters.next();
                    letters.by_ref().find(|letter| *letter == '\'');
                }
            }
            '"' if before == '#' => {
                let mut last = ' ';
                letters.by_ref().find(|letter| std::mem::replace(&mut last, *letter) == '"' && *letter == '#');
            }
            '"' => {
                let mut text = String::new();
                while let Some(letter) = letters.next().filter(|letter| *letter != '"') {
                    match letter {
                        '\\' if letters.peek() == Some(&'\n') => {
                            while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
                        }
                        '\\' => text.extend(letters.next()),
                        letter => text.push(letter),
                    }
                }
                found.push(text);
            }
            _ => {}
        }
        before = letter;
    }
    found
}

fn is_statement(text: &str) -> bool {
    BEGINNINGS.iter().any(|beginning| text.starts_with(beginning))
}

/// Every source outside the engine with the statements in it.
fn statements() -> Vec<(String, Vec<String>)> {
    let paths = files("src")
        .into_iter()
        .filter(|path| path.ends_with(".rs") && !path.contains("/test") && !path.starts_with("src/store/sqlite/"));
    let of = |path: &str| texts(&without_tests(&read(path))).into_iter().filter(|text| is_statement(text)).collect();
    paths.map(|path| (path.clone(), of(&path))).collect()
}

/// What is wrong with a statement, if anything is.
fn fault(sql: &str) -> Option<String> {
    if let Some(word) = REFUSED.iter().find(|word| sql.to_lowercase().contains(&word.to_lowercase())) {
        return Some(format!("{word} is not for every engine"));
    }
    let mut numbers: Vec<usize> = Vec::new();
    for rest in sql.split('?').skip(1) {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let Ok(number) = digits.parse() else { return Some("a ? has no number".to_owned()) };
        numbers.push(number);
    }
    numbers.sort_unstable();
    numbers.dedup();
    let complete = numbers.iter().enumerate().all(|(index, number)| *number == index + 1);
    (!complete).then(|| format!("its values are {numbers:?}, and should be ?1 to ?n"))
}

#[test]
fn statements_stand_in_the_files_called_store() {
    let may = |path: &str| path.ends_with("/store.rs") || path == "src/store/tx.rs";
    let found: Vec<_> = statements().into_iter().filter(|(path, found)| !found.is_empty() && !may(path)).collect();
    assert!(found.is_empty(), "SQL belongs into the feature's store.rs: {found:#?}");
}

#[test]
fn every_statement_is_one_for_more_than_one_engine() {
    let statements = statements();
    for (path, statements) in &statements {
        for sql in statements {
            assert_eq!(fault(sql), None, "{path}: {sql}");
        }
    }
    let count: usize = statements.iter().map(|(_, found)| found.len()).sum();
    assert!(count > 25, "only {count} statements were found");
}

#[test]
fn what_is_refused_is_found() {
    assert_eq!(fault("SELECT a FROM b WHERE c = ?2 AND d = ?1 AND e = ?2"), None);
    for (sql, says) in [
        ("SELECT a FROM b WHERE c = ?", "has no number"),
        ("SELECT a FROM b WHERE c = ?1 AND d = ?3", "should be"),
        ("INSERT OR IGNORE INTO a VALUES (?1)", "INSERT OR"),
        ("SELECT a ->> 'b' FROM c", "->>"),
    ] {
        assert!(fault(sql).unwrap().contains(says), "{sql}");
    }
    let source = "// \"no\"\nf('\"', \"SELECT \\\n    1\", r#\"raw \"x\" \"#, \"two\")";
    assert_eq!(texts(source), ["SELECT 1", "two"]);
}
