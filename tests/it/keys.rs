//! The keys of signed tokens as an operator meets them: public keys, sets that change under a running server, secrets from
//! files, sockets that end with their token, and the verbs that make and explain tokens (rulings 4 and 5).

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use spki::Document;

use crate::repository::root;
use crate::support::socket::{Socket, path};
use crate::support::{PATIENCE, Server, besides_settings, inkring, wait_for};

const DRAFTS: &str = "/v1/collab/drafts";
const SECRET: &str = "TOPSECRET-q7Zk2mWx9RtV4bNs-32-by";
/// Everything that strict production asks for but a key.
const PRODUCTION: [(&str, &str); 5] = [
    ("ENV", "production"),
    ("CONFIG_STRICT", "true"),
    ("ALLOWED_ORIGINS", "https://a.example"),
    ("WS_ALLOWED_ORIGINS", "https://a.example"),
    ("HOUSEHOLD_PASSWORD", "a heron in the evening mist"),
];

fn key_path(name: &str) -> String {
    root().join("tests/keys").join(name).display().to_string()
}

/// The private halves of the test keys.
fn signers() -> [(Algorithm, EncodingKey, &'static str); 3] {
    let der = |name: &str| {
        let pem = std::fs::read_to_string(key_path(name)).unwrap();
        Document::from_pem(&pem).unwrap().1.as_bytes().to_vec()
    };
    [
        (Algorithm::RS256, EncodingKey::from_rsa_der(&der("rsa.pem")), "rsa.pub.pem"),
        (Algorithm::ES256, EncodingKey::from_ec_der(&der("p256.pem")), "p256.pub.pem"),
        (Algorithm::EdDSA, EncodingKey::from_ed_der(&der("ed25519.pem")), "ed25519.pub.pem"),
    ]
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

fn sign(algorithm: Algorithm, kid: Option<&str>, key: &EncodingKey, claims: &Value) -> String {
    encode(&Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) }, claims, key).unwrap()
}

fn alice() -> Value {
    json!({ "sub": "alice", "exp": now() + 600 })
}

fn hs256(secret: &str, claims: &Value) -> String {
    sign(Algorithm::HS256, None, &EncodingKey::from_secret(secret.as_bytes()), claims)
}

fn jwk(key: &EncodingKey, algorithm: Algorithm, id: &str) -> Value {
    let mut jwk = serde_json::to_value(Jwk::from_encoding_key(key, algorithm).unwrap()).unwrap();
    jwk["kid"] = json!(id);
    jwk
}

/// The status of a request with this token.
fn status(server: &Server, token: &str) -> u16 {
    let authorization = format!("Bearer {token}");
    server.connect().request("GET", DRAFTS, &[("Authorization", &authorization), ("X-User-Id", "eve")], b"").status
}

/// The first text on a socket that is opened with this token.
fn greeting(server: &Server, token: &str) -> (Value, Socket) {
    let protocols = format!("bearer, {token}");
    let (answer, mut socket) = Socket::open(server, &path("d1"), &[("Sec-WebSocket-Protocol", &protocols)]);
    assert_eq!(answer.status, 101);
    (socket.json(), socket)
}

fn write(path: &Path, text: impl AsRef<[u8]>, mode: u32) {
    // Put in place at once, as one should.
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(mode)).unwrap();
    std::fs::rename(&beside, path).unwrap();
}

#[test]
fn a_public_key_takes_what_its_private_half_has_signed() {
    let signers = signers();
    for (algorithm, private, public) in &signers {
        let server = Server::with(&[("JWT_PUBLIC_KEY_FILE", &key_path(public))]);
        for (other, key, _) in &signers {
            let expected = if other == algorithm { 200 } else { 401 };
            assert_eq!(status(&server, &sign(*other, None, key, &alice())), expected, "{other:?} under {public}");
        }
        let (welcome, _socket) = greeting(&server, &sign(*algorithm, None, private, &alice()));
        assert_eq!((&welcome["type"], &welcome["user_id"]), (&json!("connected"), &json!("alice")));
        // The public key is public: who signs with it as if it were a secret is nobody.
        let pem = std::fs::read_to_string(key_path(public)).unwrap();
        for secret in [pem.as_str(), pem.trim()] {
            let forged = hs256(secret, &alice());
            assert_eq!(status(&server, &forged), 401);
            assert_eq!(greeting(&server, &forged).0["code"], "forbidden");
        }
        assert_eq!(status(&server, "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9."), 401, "alg none");
    }
}

#[test]
fn keys_change_under_a_running_server_and_a_bad_file_keeps_the_old_ones() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keys.json");
    let [(rs256, rsa, _), (es256, p256, _), _] = signers();
    let (old, new) = (jwk(&rsa, rs256, "old"), jwk(&p256, es256, "new"));
    let [by_old, by_new] = [sign(rs256, Some("old"), &rsa, &alice()), sign(es256, Some("new"), &p256, &alice())];
    let put = |keys: &[&Value]| write(&file, json!({ "keys": keys }).to_string(), 0o644);
    put(&[&old]);
    let setting = [("JWT_JWKS_FILE", file.to_str().unwrap()), ("JWT_KEYS_RELOAD_SECONDS", "1")];
    let server = Server::with(&setting);
    let both = || (status(&server, &by_old), status(&server, &by_new));
    let becomes = |expected| wait_for(|| (both() == expected).then_some(()));
    let unnamed = sign(rs256, None, &rsa, &alice());
    assert_eq!((both(), status(&server, &unnamed)), ((200, 401), 200));
    let (welcome, mut watching) = greeting(&server, &by_old);
    assert_eq!(welcome["type"], "connected");
    put(&[&old, &new]);
    becomes((200, 200));
    assert_eq!(status(&server, &unnamed), 401, "which of the two is meant?");
    write(&file, "{\"keys\":[{\"kty\":\"oct\",\"k\":\"TOPSECRET", 0o644);
    let error = server.wait_for_log(|line| line["message"] == "keys.not_changed");
    assert_eq!(error["level"], "ERROR");
    assert!(error["error"].as_str().unwrap().contains("keys.json is not JSON (line 1, column"), "{error}");
    assert_eq!(both(), (200, 200));
    std::fs::remove_file(&file).unwrap();
    let gone =
        |line: &Value| line["error"].as_str().is_some_and(|error| error.contains("cannot be read: No such file"));
    server.wait_for_log(|line| line["message"] == "keys.not_changed" && gone(line));
    assert_eq!(both(), (200, 200));
    put(&[&new]);
    becomes((401, 200));
    assert_eq!(server.log().matches("keys.not_changed").count(), 2, "each is said once");
    assert!(!server.log().contains("TOPSECRET"));
    watching.assert_quiet();
}

#[test]
fn a_socket_ends_with_the_token_that_it_was_opened_with() {
    let server = Server::with(&[("JWT_SECRET", SECRET), ("WS_LIMITS_ENABLED", "true")]);
    let begun = Instant::now();
    // Taken for 30 seconds after its time.
    let short = hs256(SECRET, &json!({ "sub": "alice", "exp": now() - 28 }));
    let (welcome, mut socket) = greeting(&server, &short);
    assert_eq!(welcome["type"], "connected", "{welcome}");
    let (_, mut lasting) = greeting(&server, &hs256(SECRET, &json!({ "sub": "alice" })));
    let mut named = Socket::watch(&server, "d1", "bob");
    let error = socket.json();
    assert_eq!(
        error,
        json!({ "type": "error", "code": "forbidden", "message": "Token expired", "request_id": welcome["request_id"] })
    );
    socket.assert_closed(4401, "Token expired");
    assert!(begun.elapsed().as_secs() < 20, "as soon as it is over");
    server.wait_for_log(|line| line["message"] == "ws.token_expired" && line["user_id"] == "alice");
    let closed = server
        .wait_for_log(|line| line["message"] == "ws.disconnected" && line["connection_id"] == welcome["connection_id"]);
    assert_eq!(closed["code"], 4401);
    assert_eq!(greeting(&server, &short).0["code"], "forbidden", "it is of no use any more");
    assert_eq!(status(&server, &short), 401);
    lasting.assert_quiet();
    named.assert_quiet();
}

#[test]
fn a_secret_from_a_file_or_from_systemd_is_taken_and_never_shown() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("jwt_secret");
    write(&file, format!("{SECRET}\n"), 0o600);
    let (path, folder) = (file.to_str().unwrap(), directory.path().to_str().unwrap());
    for (setting, origin) in [
        (("JWT_SECRET_FILE", path), "file named in the environment"),
        (("CREDENTIALS_DIRECTORY", folder), "systemd credential"),
    ] {
        let server = Server::with(&[&PRODUCTION[..], &[setting]].concat());
        assert_eq!(status(&server, &hs256(SECRET, &alice())), 200);
        assert_eq!(status(&server, &hs256("another", &alice())), 401);
        let ran = run(directory.path(), &["print-config"], &[setting], "");
        let line = ran.stdout.lines().find(|line| line.starts_with("JWT_SECRET=")).unwrap();
        assert!(line.starts_with("JWT_SECRET=********") && line.ends_with(&format!("# {origin}")), "{line}");
        assert!(!ran.stdout.contains(SECRET) && !server.log().contains(SECRET));
    }
    write(&file, SECRET, 0o644);
    let open = [&PRODUCTION[..], &[("JWT_SECRET_FILE", path)]].concat();
    let ran = run(directory.path(), &["check-config"], &open, "");
    assert_eq!((ran.code, ran.stdout.as_str()), (3, ""));
    assert!(ran.stderr.contains("has mode 0644, so every user of this machine can open it"), "{}", ran.stderr);
    let server = Server::with(&[("JWT_SECRET_FILE", path)]);
    let warned = |line: &Value| line["message"].as_str().is_some_and(|said| said.contains("has mode 0644"));
    assert_eq!(server.wait_for_log(warned)["level"], "WARN");
}

#[test]
fn a_file_of_keys_that_cannot_be_used_stops_the_start_and_the_check() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing").display().to_string();
    let set = directory.path().join("set.json");
    let secret = json!({ "keys": [jwk(&EncodingKey::from_secret(SECRET.as_bytes()), Algorithm::HS256, "a")] });
    write(&set, secret.to_string(), 0o604);
    let set = set.to_str().unwrap();
    let open = directory.path().join("open.pem");
    write(&open, std::fs::read(key_path("rsa.pub.pem")).unwrap(), 0o646);
    let open = open.to_str().unwrap();
    let (private, weak) = (key_path("p256.pem"), key_path("rsa1024.pub.pem"));
    for (settings, why) in [
        (vec![("JWT_PUBLIC_KEY_FILE", missing.as_str())], "missing cannot be read: No such file"),
        (vec![("JWT_PUBLIC_KEY_FILE", &private)], "p256.pem contains a private key, which only the signer may have"),
        (vec![("JWT_PUBLIC_KEY_FILE", &weak)], "rsa1024.pub.pem is an RSA key of 1024 bits"),
        (vec![("JWT_JWKS_FILE", &weak)], "rsa1024.pub.pem is not JSON (line 1, column 2)"),
        (vec![("JWT_JWKS_FILE", set), PRODUCTION[1], PRODUCTION[2]], "set.json holds a secret and has mode 0604"),
        (
            vec![("JWT_PUBLIC_KEY_FILE", open), PRODUCTION[1], PRODUCTION[2]],
            "open.pem decides whose tokens are accepted and has mode 0646",
        ),
        (vec![("JWT_JWKS_FILE", set), ("JWT_SECRET", SECRET)], "JWT_SECRET and JWT_JWKS_FILE are set together"),
    ] {
        let checked = run(directory.path(), &["check-config"], &settings, "");
        assert_eq!((checked.code, checked.stdout.as_str()), (3, ""), "{why}");
        assert!(checked.stderr.contains(why), "{}", checked.stderr);
        let served = run(directory.path(), &[], &[&settings[..], &[("LISTEN_ADDR", "127.0.0.1:0")]].concat(), "");
        assert_eq!((served.code, served.stdout.as_str()), (if why.contains("together") { 3 } else { 1 }, ""), "{why}");
        assert!(served.stderr.contains(why), "{}", served.stderr);
    }
    assert!(!directory.path().join("data").exists(), "no database is made by a server that does not start");
    let warned = run(directory.path(), &["check-config"], &[("JWT_JWKS_FILE", set)], "");
    assert_eq!(warned.code, 0);
    assert!(warned.stdout.contains("warning: JWT_JWKS_FILE: ") && warned.stdout.contains("has mode 0604"));
}

#[test]
fn strict_production_starts_with_all_it_asks_for_and_with_nothing_less() {
    let public = key_path("ed25519.pub.pem");
    let whole = [&PRODUCTION[..], &[("JWT_PUBLIC_KEY_FILE", public.as_str())]].concat();
    let server = Server::with(&whole);
    let [_, _, (eddsa, ed, _)] = signers();
    assert_eq!(status(&server, &sign(eddsa, None, &ed, &alice())), 200);
    // But for the new database, which production says wherever it makes one.
    let log = server.log();
    let warned: Vec<&str> = log.lines().filter(|line| line.contains("WARN")).collect();
    assert!(matches!(warned[..], [only] if only.contains("store.created")), "{log}");
    let directory = tempfile::tempdir().unwrap();
    let check = |settings: &[(&str, &str)]| run(directory.path(), &["check-config"], settings, "");
    assert_eq!(check(&whole).stdout, "The configuration is valid.\n");
    for (left_out, missing) in [
        ("ALLOWED_ORIGINS", "ALLOWED_ORIGINS"),
        ("WS_ALLOWED_ORIGINS", "WS_ALLOWED_ORIGINS"),
        ("HOUSEHOLD_PASSWORD", "HOUSEHOLD_PASSWORD"),
        ("JWT_PUBLIC_KEY_FILE", "JWT_SECRET"),
    ] {
        let settings: Vec<_> = whole.iter().copied().filter(|(name, _)| *name != left_out).collect();
        let ran = check(&settings);
        assert_eq!((ran.code, ran.stdout.as_str()), (3, ""), "{left_out}");
        let said = format!("inkring: the configuration is wrong:\nMissing required configuration: {missing}\n");
        assert!(ran.stderr.starts_with(&said), "{}", ran.stderr);
    }
    assert!(std::fs::read_dir(directory.path()).unwrap().next().is_none(), "nothing was made");
}

#[test]
fn production_limits_and_records_by_itself_and_says_what_was_turned_off() {
    const OFF: [(&str, &str); 3] =
        [("RATE_LIMIT_ENABLED", "false"), ("WS_LIMITS_ENABLED", "false"), ("AUDIT_ENABLED", "false")];
    let settings = [&PRODUCTION[..], &[("JWT_SECRET", SECRET)]].concat();
    let tight = [
        ("CONFIG_STRICT", "false"),
        ("WS_ALLOWED_ORIGINS", "*"),
        ("AUTH_TRUST_USER_HEADER", "true"),
        ("RATE_LIMIT_BURST_DEFAULT", "2"),
        ("RATE_LIMIT_PER_MINUTE_DEFAULT", "2"),
        ("WS_MAX_SOCKETS_PER_DRAFT", "1"),
    ];
    let server = Server::with(&[&settings[..], &tight].concat());
    let draft = server.create_draft("alice");
    let open = || Socket::open(&server, &path(&draft), &[("X-User-Id", "alice")]).1;
    let _first = open();
    assert_eq!(open().json()["message"], "Draft socket limit exceeded");
    let statuses = [(); 3].map(|()| server.get_as("alice", DRAFTS).status);
    assert_eq!(statuses, [200, 200, 429]);
    let audited = |server: &Server| {
        let output = server.command().args(["audit", "export"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().contains("collab.create_draft")
    };
    assert!(audited(&server));

    let off = [&settings[..], &tight, &OFF].concat();
    let server = Server::with(&off);
    let draft = server.create_draft("alice");
    let sockets = [(); 2].map(|()| Socket::open(&server, &path(&draft), &[("X-User-Id", "alice")]).1.json());
    assert!(sockets.iter().all(|frame| frame["type"] == "connected"), "{sockets:?}");
    assert_eq!([(); 3].map(|()| server.get_as("alice", DRAFTS).status), [200; 3]);
    assert!(!audited(&server));
    let directory = tempfile::tempdir().unwrap();
    let checked = run(directory.path(), &["check-config"], &off, "");
    let diagnosed = run(directory.path(), &["doctor"], &off, "").stdout;
    let strictly = run(directory.path(), &["check-config", "--strict"], &off, "");
    assert_eq!((checked.code, strictly.code), (0, 3));
    for (name, _) in OFF {
        let sentence = format!("{name}=false in production: ");
        for said in [&server.log(), &checked.stdout, &diagnosed, &strictly.stderr] {
            assert!(said.contains(&sentence), "{sentence}{said}");
        }
    }
}

/// What a run that ended by itself came to.
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Runs the program in this directory to its end, with this on stdin.
fn run(directory: &Path, arguments: &[&str], settings: &[(&str, &str)], stdin: &str) -> Ran {
    let mut command = inkring(directory);
    command.args(arguments).envs(settings.iter().copied());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // One that does not read has ended already.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let stdout = String::from_utf8(stdout).unwrap();
    Ran { code: status.code().expect("it ends by itself"), stdout, stderr: besides_settings(stderr) }
}

#[test]
fn a_minted_token_is_what_the_server_asks_for() {
    let settings = [("JWT_SECRET", SECRET), ("JWT_ISSUER", "us"), ("JWT_AUDIENCE", "ring"), ("ENV", "production")];
    let server = Server::with(&settings);
    let mint = |arguments: &[&str], settings: &[(&str, &str)]| {
        run(server.directory.path(), &[&["token", "mint"], arguments].concat(), settings, "")
    };
    for (arguments, user, hours) in [
        (&["--user", "alice"][..], "alice", 24),
        (&["--user", "🖋 name", "--hours", "1"], "🖋 name", 1),
        (&["--hours", "8760", "--user=-"], "-", 8760),
    ] {
        let ran = mint(arguments, &settings);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{arguments:?}");
        let token = ran.stdout.strip_suffix('\n').unwrap();
        assert!(token.split('.').count() == 3 && !token.contains(char::is_whitespace), "just the token: {token}");
        assert_eq!(status(&server, token), 200);
        let (welcome, _socket) = greeting(&server, token);
        assert_eq!(welcome["user_id"], user);
        let seen = run(server.directory.path(), &["token", "inspect", token], &settings, "");
        assert_eq!((seen.code, seen.stderr.as_str()), (0, ""));
        let claim = |name: &str| -> Value {
            let line = seen.stdout.lines().find(|line| line.starts_with(name)).unwrap();
            serde_json::Deserializer::from_str(&line[name.len()..]).into_iter().next().unwrap().unwrap()
        };
        assert_eq!((claim("sub"), claim("iss"), claim("aud")), (json!(user), json!("us"), json!("ring")));
        assert_eq!(claim("exp").as_i64().unwrap() - claim("iat").as_i64().unwrap(), hours * 3600);
    }
    let too_long = "x".repeat(101);
    for (arguments, said) in [
        (&["--user", ""][..], "1 to 100 characters"),
        (&["--user", &too_long], "1 to 100 characters"),
        (&["--user", "a\u{7}b"], "1 to 100 characters"),
        (&["--user", "alice", "--hours", "0"], "use a whole number from 1 to 8760"),
        (&["--user", "alice", "--hours", "a day"], "'a day' for '--hours <HOURS>': use a whole number from 1 to 8760"),
        (&["--user", "alice", "--hours", "8761"], "use a whole number from 1 to 8760"),
        (&["--hours", "1"], "--user"),
    ] {
        let ran = mint(arguments, &settings);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(ran.stderr.contains(said), "{arguments:?}: {}", ran.stderr);
    }
    let public = key_path("rsa.pub.pem");
    for (settings, advice) in [
        (
            &[][..],
            "JWT_SECRET is not set: put what `openssl rand -hex 32` prints into .env, as JWT_SECRET=…, and restart",
        ),
        (&[("JWT_PUBLIC_KEY_FILE", public.as_str())], "tokens for JWT_PUBLIC_KEY_FILE are made with the private key"),
    ] {
        let ran = mint(&["--user", "alice"], settings);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
        assert!(ran.stderr.contains(advice), "{}", ran.stderr);
    }
}

#[test]
fn inspect_says_what_a_token_claims_and_why_it_would_not_be_taken() {
    let directory = tempfile::tempdir().unwrap();
    let inspect = |token: &str, settings: &[(&str, &str)]| {
        let ran = run(directory.path(), &["token", "inspect"], settings, &format!("{token}\n"));
        let dash = run(directory.path(), &["token", "inspect", "-"], settings, token);
        // How long ago something was is another number a moment later.
        let lasting =
            |text: &str| text.lines().filter(|line| !line.contains("+00:00")).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!((ran.code, lasting(&ran.stdout)), (dash.code, lasting(&dash.stdout)), "stdin either way");
        assert_eq!(ran.stderr, "");
        ran
    };
    let secret = [("JWT_SECRET", SECRET)];
    let claims = json!({ "sub": "alice", "exp": now() + 7230, "iat": now() - 180, "nbf": now() - 10 });
    let good = inspect(&hs256(SECRET, &claims), &secret);
    assert_eq!(good.code, 0, "{}", good.stdout);
    for said in [
        "header   {\"typ\":\"JWT\",\"alg\":\"HS256\"}\n",
        "sub      \"alice\"\n",
        "+00:00, in 2 hours)\n",
        "+00:00, 3 minutes ago)\n",
        " seconds ago)\n",
        "A server with this configuration accepts it: the user is alice\n",
    ] {
        assert!(good.stdout.contains(said), "{said:?} in {}", good.stdout);
    }
    let ours = |claims: Value| hs256(SECRET, &claims);
    let set = directory.path().join("set.json");
    let keys =
        ["a", "b"].map(|id| jwk(&EncodingKey::from_secret(format!("{id}{SECRET}").as_bytes()), Algorithm::HS256, id));
    write(&set, json!({ "keys": keys }).to_string(), 0o600);
    let set = [("JWT_JWKS_FILE", set.to_str().unwrap())];
    let named = |kid| sign(Algorithm::HS256, kid, &EncodingKey::from_secret(SECRET.as_bytes()), &alice());
    for (token, settings, why) in [
        (ours(json!({ "sub": "alice", "exp": now() - 3600 })), &secret[..], "exp is in the past"),
        (ours(json!({ "sub": "alice", "nbf": now() + 3600 })), &secret, "nbf is in the future"),
        (ours(json!({ "sub": "a\u{9b}31m\u{1b}[0m" })), &secret, "sub is not a user id"),
        (ours(json!({ "name": "alice" })), &secret, "sub is missing"),
        (hs256("another", &alice()), &secret, "the token is malformed, or not signed with this key and its algorithm"),
        (ours(alice()), &[("JWT_SECRET", SECRET), ("JWT_ISSUER", "us")], "iss is not JWT_ISSUER"),
        (ours(json!({ "sub": "alice" })), &[("JWT_SECRET", SECRET), ("ENV", "production")], "exp is missing"),
        (ours(alice()), &[], "no key is set, so tokens are ignored"),
        (named(None), &set, "there is no kid, and there are several keys"),
        (named(Some("c")), &set, "kid is none of the keys"),
        (named(Some("a")), &set, "not signed with this key"),
        ("nonsense".to_owned(), &secret, "the token is malformed"),
        (String::new(), &secret, "the token is empty"),
        ("x".repeat(70_000), &secret, "the token is too long"),
    ] {
        let ran = inspect(&token, settings);
        assert_eq!(ran.code, 3, "{why}");
        let verdict = ran.stdout.lines().last().unwrap();
        assert!(verdict.starts_with("A server with this configuration rejects it: "), "{verdict}");
        assert!(verdict.contains(why), "{verdict}");
        let printable = ran.stdout.chars().all(|letter| letter == '\n' || !letter.is_control());
        assert!(printable && !ran.stdout.contains(SECRET), "{:?}", ran.stdout);
    }
}
