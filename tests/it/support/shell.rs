//! The shell in which the pages are carried out: a small interpreter, so that no machine needs curl.
//!
//! It knows comments, `NAME=value`, `NAME=$(curl … | cut …)`, `export`, `echo`, curl with `-s -f -i -X -H -d -o` and
//! `--data-binary @FILE`, `websocat` with `-H`, which opens a socket and keeps it, and the verbs of `inkring`, which must succeed and see what was exported; JSON
//! that they print, or the last line of it (`| tail -n 1`), can be shown like an answer. A line it does not know fails.
//!
//! A curl is answered 200, unless a comment above it begins with another status: `# 403 ring_required`. A code after the
//! status is the error's.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};
use uuid::Uuid;

use super::socket::Socket;
use super::yjs::{Peer, typed};
use super::{Answer, Server};

/// Carries out the blocks of one page.
pub struct Shell {
    server: Server,
    running: bool,
    variables: BTreeMap<String, String>,
    /// Those that programs see.
    exported: BTreeSet<String>,
    /// What a comment says of the next curl: status and code.
    expected: Option<(u16, Option<String>)>,
    pub last: Option<Answer>,
    socket: Option<Socket>,
}

impl Shell {
    pub fn new(settings: &[(&str, &str)]) -> Self {
        let mut server = Server::absent(settings);
        // A page prints no secret: what it has in a file is made anew.
        for (name, file) in
            settings.iter().filter(|(name, _)| name.ends_with("SECRET_FILE") || name.ends_with("PASSWORD_FILE"))
        {
            let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
            let path = server.directory.path().join(file);
            std::fs::write(&path, secret).unwrap_or_else(|error| panic!("{name}: {error}"));
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        server.launch();
        Self {
            server,
            running: true,
            variables: BTreeMap::new(),
            exported: BTreeSet::new(),
            expected: None,
            last: None,
            socket: None,
        }
    }

    pub fn instead(&mut self, what: &str) {
        match what {
            "cargo" => {}
            "start" => {
                if !std::mem::replace(&mut self.running, true) {
                    self.server.launch();
                }
            }
            "kill" => {
                self.server.kill();
                self.running = false;
            }
            // As the provider on the page does, it writes into the room `notes`, and sees that it is kept.
            "provider" => Peer::enter(&self.server, "/rooms/notes").change(&typed(5, 0, "Hi")),
            other => panic!("nobody knows the test comment {other}"),
        }
    }

    pub fn run(&mut self, script: &str) {
        for line in script.replace("\\\n", " ").lines().map(str::trim) {
            if let Some(comment) = line.strip_prefix('#') {
                let mut words = comment.split_whitespace();
                if let Some(status) = words.next().and_then(|word| word.parse().ok()) {
                    self.expected = Some((status, words.next().map(str::to_owned)));
                }
            } else if let Some((name, value)) = assignment(line.trim_start_matches("export ")) {
                let value = match value.strip_prefix("$(").and_then(|value| value.strip_suffix(')')) {
                    Some(inner) => self.pipeline(inner),
                    None => self.words(value).concat().concat(),
                };
                assert!(!value.is_empty(), "{line}: nothing was captured");
                self.variables.insert(name.to_owned(), value);
                if line.starts_with("export ") {
                    self.exported.insert(name.to_owned());
                }
            } else if !line.is_empty() {
                self.pipeline(line);
            }
        }
        assert_eq!(self.expected, None, "a status is expected and no curl follows");
    }

    /// Runs commands joined by `|` and returns what the last one printed, without the end of its line.
    fn pipeline(&mut self, line: &str) -> String {
        let mut output = String::new();
        for command in self.words(line) {
            let words: Vec<&str> = command.iter().map(String::as_str).collect();
            output = match words[..] {
                ["curl", ref options @ ..] => self.curl(options),
                ["websocat", ref options @ ..] => self.websocat(options),
                ["inkring", ref verb @ ..] => {
                    let exported = self.variables.iter().filter(|(name, _)| self.exported.contains(*name));
                    let here = format!("http://{}", self.server.address);
                    let verb = verb.iter().map(|word| word.replace("http://127.0.0.1:8000", &here));
                    let output = self.server.command().args(verb).envs(exported).output().unwrap();
                    assert!(output.status.success(), "{line}: {output:?}\n{}", self.server.log());
                    self.printed(String::from_utf8(output.stdout).unwrap().trim_end().to_owned())
                }
                ["tail", "-n", "1"] => self.printed(output.lines().last().unwrap_or_default().to_owned()),
                ["echo", ref rest @ ..] => rest.join(" "),
                ["cut", delimiter, field] => {
                    let delimiter = delimiter.strip_prefix("-d").unwrap();
                    let field: usize = field.strip_prefix("-f").unwrap().parse().unwrap();
                    output.split(delimiter).nth(field - 1).unwrap_or_default().to_owned()
                }
                _ => panic!("the test shell cannot do this: {line}"),
            };
        }
        output
    }

    /// What a verb has printed is an answer if it is JSON.
    fn printed(&mut self, text: String) -> String {
        if text.starts_with('{') {
            let body = text.clone().into_bytes();
            self.last = Some(Answer { status: 200, reason: String::new(), headers: Vec::new(), body });
        }
        text
    }

    /// The words of each command of a line: quotes, variables and `|` as in a shell.
    fn words(&self, line: &str) -> Vec<Vec<String>> {
        let mut commands = vec![Vec::new()];
        let mut word: Option<String> = None;
        let mut letters = line.chars().peekable();
        let mut quote = None;
        while let Some(letter) = letters.next() {
            match (quote, letter) {
                (None, '\'' | '"') => {
                    quote = Some(letter);
                    word.get_or_insert_default();
                }
                (Some(open), _) if letter == open => quote = None,
                (None | Some('"'), '$') => {
                    let mut name = String::new();
                    while let Some(letter) = letters.next_if(|letter| letter.is_ascii_uppercase() || *letter == '_') {
                        name.push(letter);
                    }
                    let value = self.variables.get(&name);
                    word.get_or_insert_default()
                        .push_str(value.unwrap_or_else(|| panic!("${name} is not set: {line}")));
                }
                (None, ' ' | '|') => {
                    commands.last_mut().unwrap().extend(word.take());
                    if letter == '|' {
                        commands.push(Vec::new());
                    }
                }
                (None, '\\' | '`' | ';' | '&' | '>' | '<' | '*' | '?' | '(' | ')') => {
                    panic!("the test shell does not know {letter}: {line}")
                }
                _ => word.get_or_insert_default().push(letter),
            }
        }
        assert_eq!(quote, None, "a quote is not closed: {line}");
        commands.last_mut().unwrap().extend(word);
        commands
    }

    fn curl(&mut self, options: &[&str]) -> String {
        let (mut method, mut headers, mut target, mut output) = (None, Vec::new(), None, None);
        let mut body = Vec::new();
        let file = |name: &str| self.server.directory.path().join(name);
        let mut options = options.iter();
        while let Some(option) = options.next() {
            match *option {
                "-s" | "-sf" | "-i" | "-si" => {}
                "-X" => method = options.next().copied(),
                "-H" => headers.push(options.next().unwrap().split_once(": ").unwrap()),
                "-d" => body = options.next().unwrap().as_bytes().to_vec(),
                "--data-binary" => {
                    let name = options.next().unwrap().strip_prefix('@').expect("--data-binary of a file");
                    body = std::fs::read(file(name)).unwrap();
                }
                "-o" => output = options.next().map(|name| file(name)),
                url => {
                    let rest = url.strip_prefix("http://127.0.0.1:8000");
                    target =
                        Some(rest.unwrap_or_else(|| panic!("curl of another server, or an unknown option: {url}")));
                }
            }
        }
        let method = method.unwrap_or(if body.is_empty() { "GET" } else { "POST" });
        if !body.is_empty() && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            headers.push(("Content-Type", "application/x-www-form-urlencoded"));
        }
        let answer = self.server.connect().request(method, target.unwrap(), &headers, &body);
        let (status, code) = self.expected.take().unwrap_or((200, None));
        assert_eq!(answer.status, status, "{method} {target:?}: {}", String::from_utf8_lossy(&answer.body));
        if let Some(code) = code {
            assert_eq!(answer.json()["error"]["code"], code, "{}", answer.text());
        }
        if let Some(path) = output {
            std::fs::write(path, &answer.body).unwrap();
            self.last = None;
            return String::new();
        }
        let text = answer.text().to_owned();
        self.last = Some(answer);
        text
    }

    fn websocat(&mut self, options: &[&str]) -> String {
        // The address comes first: websocat takes whatever follows a -H for another header.
        let (url, headers) = options.split_first().unwrap();
        let header = |pair: &[&str]| pair[0] == "-H" && pair[1].contains(": ");
        assert!(headers.chunks(2).all(header), "websocat: an unknown option: {headers:?}");
        let headers: Vec<(&str, &str)> = headers.chunks(2).map(|pair| pair[1].split_once(": ").unwrap()).collect();
        let path = url.strip_prefix("ws://127.0.0.1:8000").expect("websocat to another server");
        let (answer, socket) = Socket::open(&self.server, path, &headers);
        assert_eq!(answer.status, 101, "{path}: {}", answer.text());
        self.last = None;
        self.socket = Some(socket);
        String::new()
    }

    /// Holds the last answer, or what the socket sends next, to what the page shows of it.
    pub fn compare(&mut self, shown: &str) {
        if let Some(answer) = self.last.take() {
            assert_same(&serde_json::from_str(shown).unwrap(), &answer.json());
            return;
        }
        let socket = self.socket.as_mut().expect("a json block follows the sh block whose answer it shows");
        for shown in serde_json::Deserializer::from_str(shown).into_iter() {
            assert_same(&shown.unwrap(), &socket.json());
        }
    }
}

fn assert_same(shown: &Value, real: &Value) {
    // As text, so that the order of members counts.
    let text = |value: &Value| serde_json::to_string_pretty(&without_chance(value)).unwrap();
    assert_eq!(text(shown), text(real), "left: the page; right: the server");
}

/// `NAME=value`, with a name in capitals.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let name = |name: &str| !name.is_empty() && name.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_');
    line.split_once('=').filter(|(left, _)| name(left))
}

/// A value without what differs from run to run: ids, times, and numbers with a fraction.
fn without_chance(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(text_without_chance(text)),
        Value::Number(number) if number.is_f64() => json!("<fraction>"),
        Value::Array(items) => items.iter().map(without_chance).collect(),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                let value = match name.as_str() {
                    "age_ms" => json!("<milliseconds>"),
                    // Six digits of a token.
                    "token_hint" => json!("<hint>"),
                    // Signed, with the time.
                    "ticket" => json!("<ticket>"),
                    _ => without_chance(value),
                };
                (name.clone(), value)
            };
            members.iter().map(member).collect()
        }
        other => other.clone(),
    }
}

/// Puts a sign for each hash, each token, each UUID and each time in a text.
fn text_without_chance(text: &str) -> String {
    const HASH: &str = concat!("hhhhhhhhhhhhhhhh", "hhhhhhhhhhhhhhhh", "hhhhhhhhhhhhhhhh", "hhhhhhhhhhhhhhhh");
    const TOKEN: &str = concat!("hhhhhhhhhhhhhhhh", "hhhhhhhhhhhhhhhh");
    const SHAPES: [(&str, &str); 8] = [
        (HASH, "<hash>"),
        (TOKEN, "<token>"),
        // As Markdown has it.
        ("dddd-dd-dd dd:dd:dd.dddddd+00:00", "<time>"),
        ("hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh", "<id>"),
        ("dddd-dd-ddTdd:dd:dd.dddddd+00:00", "<time>"),
        ("dddd-dd-ddTdd:dd:dd+00:00", "<time>"),
        ("dddd-dd-ddTdd:dd:dd.ddddddZ", "<time>"),
        ("dddd-dd-ddTdd:dd:dd.dddZ", "<time>"),
    ];
    let fits = |shape: &str, text: &[u8]| {
        shape.bytes().enumerate().all(|(at, wanted)| {
            text.get(at).is_some_and(|byte| match wanted {
                b'h' => byte.is_ascii_hexdigit(),
                b'd' => byte.is_ascii_digit(),
                _ => *byte == wanted,
            })
        })
    };
    let mut shortened = String::new();
    let mut at = 0;
    while let Some(letter) = text[at..].chars().next() {
        match SHAPES.iter().find(|(shape, _)| fits(shape, &text.as_bytes()[at..])) {
            Some((shape, sign)) => {
                shortened.push_str(sign);
                at += shape.len();
            }
            None => {
                shortened.push(letter);
                at += letter.len_utf8();
            }
        }
    }
    shortened
}

#[test]
fn the_test_shell_reads_words_as_a_shell_does() {
    let mut shell = Shell::new(&[]);
    shell.variables.insert("A".to_owned(), "1 2".to_owned());
    let words = shell.words(r#"a  'b "$A"' "c$A'd"e | f "" $A"#);
    assert_eq!(words, [vec!["a", "b \"$A\"", "c1 2'de"], vec!["f", "", "1 2"]]);
    shell.run("# a remark\nX=$(echo 'p\"q\"r' | cut -d'\"' -f2)\nY=\"$X s\"\n");
    assert_eq!((shell.variables["X"].as_str(), shell.variables["Y"].as_str()), ("q", "q s"));
    shell.run("# 404 not_found\ncurl -s \\\n  http://127.0.0.1:8000/nowhere\n");
    assert_eq!(shell.last.as_ref().unwrap().status, 404);
    shell.compare(
        r#"{"error":{"code":"not_found","message":"Not Found",
            "request_id":"00000000-0000-4000-8000-000000000000"},"detail":"Not Found"}"#,
    );
}

#[test]
#[should_panic(expected = "left: the page; right: the server")]
fn an_answer_that_lacks_a_member_is_found() {
    let mut shell = Shell::new(&[]);
    shell.run("curl -s http://127.0.0.1:8000/healthz");
    shell.compare("{}");
}

#[test]
#[should_panic(expected = "nothing was captured")]
fn a_capture_of_nothing_is_found() {
    Shell::new(&[]).run("X=$(curl -s http://127.0.0.1:8000/healthz | cut -d'\"' -f99)");
}

#[test]
fn ids_and_times_do_not_count_and_the_rest_does() {
    let shown = "Draft 2ac3010c-9d99-4a9f-a42d-0beb324bd3e5 of 2025-12-23T07:26:17.543616+00:00 and 12é-3";
    assert_eq!(text_without_chance(shown), "Draft <id> of <time> and 12é-3");
    let value = json!({ "a": [0.5, 3, "2025-12-23T07:26:17+00:00"], "age_ms": 4 });
    assert_eq!(without_chance(&value), json!({ "a": ["<fraction>", 3, "<time>"], "age_ms": "<milliseconds>" }));
}
