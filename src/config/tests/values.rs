//! How the text of one setting is read, and what is said about a bad one.

use std::path::PathBuf;

use super::complaint;
use super::knob;
use crate::config::knobs::KNOBS;
use crate::config::parse::parse;
use crate::settings::Kind;
use crate::settings::Value;

#[test]
fn integers_keep_to_their_bounds() {
    for knob in KNOBS.iter().copied() {
        let Kind::Integer { min, max, unit } = knob.kind else {
            continue;
        };
        let read = |text: &str| parse(knob, knob.name, text);
        assert_eq!(read(&min.to_string()), Ok(Value::Integer(min)));
        assert_eq!(read(&max.to_string()), Ok(Value::Integer(max)));
        let beyond = [min.checked_sub(1), Some(max + 1)].into_iter().flatten();
        for text in beyond.map(|n| n.to_string()).chain(["9".repeat(30)]) {
            assert_eq!(
                read(&text).unwrap_err().to_string(),
                format!("{}={text} is out of range: {min} to {max} {unit}", knob.name)
            );
        }
        for text in ["-1", "+1", "1_000", "1e3", "0x10", "1.5", "ten", "k", "s", "1kk", "1tb", "1 0", "10 s s", "١"] {
            assert!(read(text).unwrap_err().to_string().contains("not a whole number"), "{text}");
        }
    }
    assert_eq!(complaint("HEAD_MAX_BYTES", "12"), "HEAD_MAX_BYTES=12 is out of range: 1024 to 1048576 bytes");
}

#[test]
fn sizes_and_times_may_have_their_unit_behind_them() {
    let read = |name: &str, text: &str| parse(knob(name), name, text).map(|value| value.to_string());
    for (name, text, expected) in [
        ("BODY_MAX_BYTES", "1MB", "1048576"),
        ("BODY_MAX_BYTES", "64k", "65536"),
        ("BODY_MAX_BYTES", "64 KiB", "65536"),
        ("BODY_MAX_BYTES", "4096b", "4096"),
        ("DRAIN_SECONDS", "10s", "10"),
        ("DRAIN_SECONDS", "2m", "120"),
        ("JWT_KEYS_RELOAD_SECONDS", "1h", "3600"),
        ("JWT_KEYS_RELOAD_SECONDS", "1d", "86400"),
        ("BACKUP_INTERVAL_HOURS", "2d", "48"),
        ("BACKUP_INTERVAL_HOURS", "6h", "6"),
        ("BACKUP_KEEP_DAYS", "30d", "30"),
    ] {
        assert_eq!(read(name, text).as_deref(), Ok(expected), "{name}={text}");
    }
    for (name, text, said) in [
        (
            "BODY_MAX_BYTES",
            "10s",
            "is not a whole number: use 1024 to 67108864 bytes, optionally followed by k, m or g",
        ),
        ("DRAIN_SECONDS", "1k", "is not a whole number: use 0 to 600 seconds, optionally followed by s, m, h or d"),
        ("SHARDS", "2k", "is not a whole number: use 0 to 256 shards"),
        ("BODY_MAX_BYTES", "1g", "is out of range: 1024 to 67108864 bytes"),
        ("BODY_MAX_BYTES", "18446744073709551615g", "is out of range: 1024 to 67108864 bytes"),
    ] {
        assert_eq!(complaint(name, text), format!("{name}={text} {said}"));
    }
}

#[test]
fn a_place_may_be_written_short() {
    let read = |name: &str, text: &str| parse(knob(name), name, text).map(|value| value.to_string());
    for (text, expected) in [
        (":8000", "0.0.0.0:8000"),
        ("localhost:8000", "127.0.0.1:8000"),
        ("LocalHost:0", "127.0.0.1:0"),
        ("[::]:8000", "[::]:8000"),
    ] {
        assert_eq!(read("LISTEN_ADDR", text).as_deref(), Ok(expected));
        assert_eq!(read("OPS_ADDR", text).as_deref(), Ok(expected));
    }
    for text in ["localhost", ":", ":65536", ":+1", ":8000k", "localhost:", "example.org:8000", "::8000", "8000"] {
        assert!(complaint("LISTEN_ADDR", text).contains("is not an address: use IP:PORT"), "{text}");
        assert!(complaint("OPS_ADDR", text).contains("is not a listen address: use IP:PORT"), "{text}");
    }
    for (text, ends) in [
        ("127.0.0.1:80000", "; a port is at most 65535"),
        (":65536", "; a port is at most 65535"),
        ("box:8000", "; a name is not looked up"),
        ("21005", "or localhost:PORT, or :PORT, or unix:PATH"),
        ("1.2.3:80", "or localhost:PORT, or :PORT, or unix:PATH"),
    ] {
        assert!(complaint("LISTEN_ADDR", text).ends_with(ends), "{}", complaint("LISTEN_ADDR", text));
    }
    assert!(complaint("OPS_ADDR", "127.0.0.1:80000").ends_with("or off; a port is at most 65535"));
}

#[test]
fn flags() {
    for (texts, expected) in [("1 true yes on t y TRUE Yes oN", true), ("0 false no off f n FALSE No oFF", false)] {
        for text in texts.split(' ') {
            let value = parse(knob("CONFIG_STRICT"), "CONFIG_STRICT", text);
            assert_eq!(value, Ok(Value::Flag(expected)), "{text}");
        }
    }
    assert_eq!(complaint("CONFIG_STRICT", "maybe"), "CONFIG_STRICT=maybe is not a flag: use true or false");
}

#[test]
fn fractions_are_all_none_or_something_between() {
    let rate = knob("AUDIT_SAMPLE_RATE");
    for (text, shown) in [
        ("1", "1.0"),
        ("1.0", "1.0"),
        ("7.25", "1.0"),
        ("99999999999999999999999", "1.0"),
        ("0", "0.0"),
        ("-0.5", "0.0"),
        ("-3", "0.0"),
        ("0.25", "0.25"),
        ("00.500000000", "0.5"),
        ("0.000001", "0.000001"),
        ("0.999999", "0.999999"),
    ] {
        let value = parse(rate, rate.name, text).unwrap();
        assert_eq!(value.to_string(), shown, "{text}");
        assert_eq!(parse(rate, rate.name, shown), Ok(value));
    }
    for text in [".", "1.", ".5", "+1", "1e-3", "50%", "half", "nan", "inf", "--1", "1,5", "-", "0.1.2"] {
        assert!(complaint("AUDIT_SAMPLE_RATE", text).contains("such as 0.25"), "{text}");
    }
    assert!(complaint("AUDIT_SAMPLE_RATE", "0.0000001").contains("has more than 6 decimal places"));
    let Value::Fraction(quarter) = parse(rate, rate.name, "0.25").unwrap() else { panic!() };
    assert!((quarter.as_f64() - 0.25).abs() < 1e-12);
}

#[test]
fn databases() {
    for (text, path) in [
        ("sqlite:data/x.db", "data/x.db"),
        ("sqlite://data/x.db", "data/x.db"),
        ("sqlite:///var/x.db", "/var/x.db"),
        ("SQLite:/var/x.db", "/var/x.db"),
    ] {
        let value = parse(knob("DATABASE_URL"), "DATABASE_URL", text).unwrap();
        assert_eq!(value, Value::Database(PathBuf::from(path)));
        assert_eq!(parse(knob("DATABASE_URL"), "DATABASE_URL", &value.to_string()), Ok(value));
    }
    for text in [
        "sqlite:",
        "sqlite://",
        "sqlite:///",
        "sqlite::memory:",
        "sqlite://:memory:",
        "sqlite:a/",
        "sqlite:x?mode=memory",
        "sqlite:file:x",
        "sqlite:///./x.db",
        "sqlite:a\0b",
        "data/x.db",
        "sqlite+aiosqlite:///x.db",
    ] {
        assert!(complaint("DATABASE_URL", text).contains("sqlite:PATH"), "{text}");
    }
}

#[test]
fn passwords_in_addresses_are_masked() {
    for (text, shown) in [
        ("postgres://me:hunter2@db/x", "postgres://********@db/x"),
        ("postgres://me:hunt@er2@db/x", "postgres://********@db/x"),
        ("postgres:me:hunter2@db/x", "postgres:********@db/x"),
        ("me_hunter2@db", "********@db"),
        ("postgres://db/x?password=hunter2", "postgres://db/x?********"),
        ("postgres://me:hunt?er2@db/x", "postgres://********"),
        ("postgres://db/x?password=hunt@er2", "postgres://********"),
    ] {
        assert_eq!(
            complaint("DATABASE_URL", text),
            format!("DATABASE_URL={shown} is not supported: only sqlite is, as sqlite:PATH")
        );
    }
    let text = complaint("ALLOWED_ORIGINS", "https://a.example https://me:hunter2@b.example");
    assert!(text.starts_with("ALLOWED_ORIGINS: https://********@b.example is not an origin"));
}

#[test]
fn origins_and_networks() {
    let read = |name, text| parse(knob(name), name, text).unwrap().to_string();
    let text = "HTTPS://A.example/, http://a.example:80\n\thttps://a.example:443 http://[::1]:3000,,*";
    assert_eq!(read("ALLOWED_ORIGINS", text), "https://a.example,http://a.example,http://[::1]:3000,*");
    assert_eq!(read("ALLOWED_ORIGINS", ","), "");
    for text in [
        "a.example",
        "ftp://a.example",
        "http://",
        "http://a.example/x",
        "http://a:0",
        "http://a:x",
        "http://a:65536",
        "http://*.a.example",
        "null",
        "http://a?",
        "http://[::g]",
        "http://a:+1",
    ] {
        assert!(complaint("ALLOWED_ORIGINS", text).contains("is not an origin"), "{text}");
    }
    let text = "10.0.0.0/8 ::1,::ffff:192.168.0.0/112";
    assert_eq!(read("TRUSTED_PROXIES", text), "10.0.0.0/8,::1/128,192.168.0.0/16");
    assert!(
        complaint("TRUSTED_PROXIES", "10.0.0.1,proxy")
            .starts_with("TRUSTED_PROXIES: proxy is not an address or a network: use")
    );
}

#[test]
fn echoes_are_safe_and_short() {
    assert_eq!(
        complaint("LOG_FORMAT", "\u{1b}[31m\nx\u{202e}"),
        "LOG_FORMAT=\\u{1b}[31m\\nx\\u{202e} is not one of the choices: use auto, pretty or json"
    );
    let text = complaint("LOG_FORMAT", &"é".repeat(5000));
    assert_eq!(text.matches('é').count(), 200);
    assert!(text.contains("é...<truncated> is not"));
}
