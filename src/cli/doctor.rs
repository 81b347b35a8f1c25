//! `inkring doctor`: looks at an installation and says what is wrong with it, and what to do. Changes nothing that stays.
//!
//! [`facts`] looks, [`judge`] knows what is good: facts in, findings out, nothing else. [`address`] does both from outside.

mod address;
mod certificate;
mod facts;
mod judge;

pub(super) use facts::QUICK_CHECK_MAX_BYTES;

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::common::{FOUND_PROBLEMS, fail, print};
use crate::clock::Clock;
use crate::config::SettingsPath;
use crate::feature::doctor::{Colour, Diagnosis};
use crate::feature::trust::Trusting;
use crate::net::base_url::BaseUrl;
use crate::text::visible;

/// How wide the names of the checks are, in characters.
const CHECK_WIDTH: usize = 13;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Print a JSON list of {check, state, found, remedy}
    #[arg(long)]
    json: bool,
    /// Also check the address that clients use, such as https://box.example, through the proxy in front of the server
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    trusting: Trusting,
}

pub(super) fn run(options: &Options, path: &SettingsPath) -> ExitCode {
    let outside = match &options.url {
        None => match options.trusting.named() {
            Some(option) => return fail("the command line is wrong", &format!("{option} is for --url: give both"), 2),
            None => None,
        },
        Some(url) => {
            let asked = BaseUrl::parse(url).map_err(|why| format!("--url: {why}"));
            match asked.and_then(|url| options.trusting.trust(&url).map(|trust| (url, trust))) {
                Ok(asked) => Some(asked),
                Err(why) => return fail("the command line is wrong", &why, 2),
            }
        }
    };
    let mut findings = judge::judge(&facts::gather(path));
    if let Some((url, trust)) = outside {
        findings.push(address::judge(&address::look(&url, &trust), Clock::system().now()));
    }
    if options.json {
        print(&as_json(&findings));
    } else {
        let wants_none = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        print(&as_text(&findings, io::stdout().is_terminal() && !wants_none));
    }
    if findings.iter().any(|finding| finding.colour == Colour::Red) {
        return ExitCode::from(FOUND_PROBLEMS);
    }
    ExitCode::SUCCESS
}

fn as_json(findings: &[Diagnosis]) -> String {
    let list: Vec<_> = findings
        .iter()
        .map(|finding| {
            json!({
                "check": finding.check,
                "state": finding.colour.as_str(),
                "found": finding.found,
                "remedy": finding.remedy,
            })
        })
        .collect();
    format!("{:#}\n", serde_json::Value::Array(list))
}

fn as_text(findings: &[Diagnosis], coloured: bool) -> String {
    let mut text = String::new();
    for finding in findings {
        let word = finding.colour.as_str();
        let (on, off) = if coloured { (escape(finding.colour), "\x1b[0m") } else { ("", "") };
        text.push_str(&format!("{on}{word:6}{off}  {:CHECK_WIDTH$}  {}\n", finding.check, visible(&finding.found)));
        if let Some(remedy) = &finding.remedy {
            text.push_str(&format!("{:6}  {:CHECK_WIDTH$}  → {}\n", "", "", visible(remedy)));
        }
    }
    let count = |colour| findings.iter().filter(|finding| finding.colour == colour).count();
    let (green, yellow, red) = (count(Colour::Green), count(Colour::Yellow), count(Colour::Red));
    text.push_str(&format!("{green} green, {yellow} yellow, {red} red\n"));
    text
}

/// What turns a terminal to this colour.
const fn escape(colour: Colour) -> &'static str {
    match colour {
        Colour::Green => "\x1b[32m",
        Colour::Yellow => "\x1b[33m",
        Colour::Red => "\x1b[31m",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Vec<Diagnosis> {
        vec![
            Diagnosis::green("disk", "all of it".to_owned()),
            Diagnosis::red("clock", "it\nis 1970".to_owned(), "set it"),
        ]
    }

    #[test]
    fn each_finding_is_a_line_and_what_is_not_green_has_a_remedy_below() {
        let lines = "green   disk           all of it\n\
                     red     clock          it\\nis 1970\n                       → set it\n\
                     1 green, 0 yellow, 1 red\n";
        assert_eq!(as_text(&findings(), false), lines);
        let coloured = as_text(&findings(), true);
        assert!(coloured.contains("\x1b[32mgreen \x1b[0m") && coloured.contains("\x1b[31mred   \x1b[0m"), "{coloured}");
    }

    #[test]
    fn as_json_it_is_a_list() {
        let list: serde_json::Value = serde_json::from_str(&as_json(&findings())).unwrap();
        let expected = json!([
            { "check": "disk", "state": "green", "found": "all of it", "remedy": null },
            { "check": "clock", "state": "red", "found": "it\nis 1970", "remedy": "set it" },
        ]);
        assert_eq!(list, expected);
    }
}
