//! What to say to somebody whose command line means nothing here: where settings go, what other programs call otherwise, and which
//! verb is spelled almost like that.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::text::edit_distance;

/// The verb that is meant where there is none.
const SERVE: &str = "serve";

/// What other programs call what this one can do as well: the words behind `inkring`, and what to say of them.
const MEANT: [(&[&str], &str); 22] = [
    (
        &["completions", "completion", "man"],
        "`inkring manual DIRECTORY` writes manual pages, and completions for bash, zsh and fish",
    ),
    (&["start", "run", "up", "server", "daemon"], "`inkring serve`, or `inkring` alone, runs the server"),
    (
        &["status", "health", "ping", "ps", "check"],
        "`inkring healthcheck` checks whether the server is ready, and `inkring doctor` checks the installation",
    ),
    (
        &["stop", "shutdown", "down", "quit", "kill"],
        "`systemctl stop inkring` stops the service; without systemd, send SIGTERM to the process whose id is in the .lock file next \
         to the database",
    ),
    (
        &["reload", "restart"],
        "use `systemctl reload inkring` or `systemctl restart inkring`; without systemd, send SIGHUP to the process whose id is in the \
         .lock file next to the database, and it reloads its settings",
    ),
    (&["about"], "`inkring version` prints the version"),
    (
        &["config", "conf", "settings", "env"],
        "`inkring print-config` shows all settings, and `inkring check-config` checks them",
    ),
    (
        &["migrate", "migrations", "upgrade", "init-db"],
        "`inkring serve` migrates the database when it starts; no other command is needed",
    ),
    (&["init", "install"], "`inkring setup` sets up inkring as a service on this machine"),
    (
        &["token create", "token new", "token add", "token sign", "token issue"],
        "`inkring token mint --user USER` prints a token",
    ),
    (&["log", "logs", "journal"], "the log goes to stderr; `journalctl -u inkring` shows that of the service"),
    (&["draft ls", "draft find", "draft search"], "`inkring draft list` lists drafts"),
    (&["draft get", "draft cat", "draft view"], "`inkring draft show ID` shows a draft"),
    (&["draft rm", "draft remove", "draft del"], "`inkring draft delete ID` deletes a draft"),
    (&["room ls"], "`inkring room list` lists rooms"),
    (&["room show", "room get", "room cat"], "`inkring room export NAME` writes the document of a room"),
    (&["room rm", "room remove", "room del"], "`inkring room delete NAME` deletes a room"),
    (
        &["audit list", "audit ls", "audit show", "audit log"],
        "`inkring audit tail` shows the newest rows of the audit log",
    ),
    (&["modules export", "modules backup"], "GET /api/v1/export exports the records, and so does the page /settings"),
    (&["user rm", "user delete", "user remove", "user del"], "`inkring user erase USER` erases a person"),
    (&["token list"], "tokens are not stored; `inkring token revocations` lists the revocations"),
    (
        &["user list", "user create", "user add", "user new"],
        "there are no accounts: a token or a trusted X-User-Id header names the user; `inkring token mint --user USER` prints a token",
    ),
];

/// What changes much is not offered to somebody who has typed something like it.
const NEVER_GUESSED: [&str; 2] = ["restore", "setup"];

/// A beginning with so many letters is as good as a whole verb.
const BEGINNING_MIN_LETTERS: usize = 3;

/// A word may have one mistake for so many letters.
const LETTERS_PER_MISTAKE: usize = 3;

/// More mistakes than this make another word.
const MISTAKES_MAX: usize = 2;

/// Puts a tip into clap's message, in place of the verbs that clap itself would suggest.
pub(super) fn add(message: &mut clap::Error, program: &clap::Command, arguments: &[OsString]) {
    let Some(ContextValue::String(wrong)) =
        message.get(ContextKind::InvalidArg).or_else(|| message.get(ContextKind::InvalidSubcommand)).cloned()
    else {
        return;
    };
    let tip = match message.kind() {
        ErrorKind::UnknownArgument if wrong == "-c" => "`--config FILE` sets the settings file",
        ErrorKind::UnknownArgument if wrong == "--after" && is_to_show_a_draft(arguments) => {
            "`--segments-after ORDER` continues after this segment"
        }
        ErrorKind::UnknownArgument
            if is_to_serve(program, arguments)
                && wrong.starts_with('-')
                && message.get(ContextKind::SuggestedArg).is_none() =>
        {
            "settings are environment variables, such as LISTEN_ADDR=127.0.0.1:9000 before the command, or lines in a file \
             (--config FILE); `inkring print-config` shows all of them"
        }
        ErrorKind::InvalidSubcommand => {
            message.remove(ContextKind::SuggestedSubcommand);
            match meant(program, arguments, &wrong) {
                Meant::Elsewhere(tip) => tip,
                Meant::Verbs(verbs) if verbs.is_empty() => return,
                Meant::Verbs(verbs) => {
                    message.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(verbs));
                    return;
                }
            }
        }
        _ => return,
    };
    message.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
}

/// Whether these arguments are for the server itself, and for no other verb.
fn is_to_serve(program: &clap::Command, arguments: &[OsString]) -> bool {
    let names = arguments.iter().skip(1).filter_map(|argument| argument.to_str());
    names.filter(|name| program.find_subcommand(name).is_some()).all(|name| name == SERVE)
}

/// Whether `draft show` is among these arguments.
fn is_to_show_a_draft(arguments: &[OsString]) -> bool {
    arguments.windows(2).any(|two| two[0] == "draft" && two[1] == "show")
}

/// What a word that is no verb was probably meant to be.
#[derive(Debug, PartialEq, Eq)]
enum Meant {
    /// What other programs call so, and what to say of it.
    Elsewhere(&'static str),
    /// The verbs nearest to it, or none.
    Verbs(Vec<String>),
}

fn meant(program: &clap::Command, arguments: &[OsString], wrong: &str) -> Meant {
    // The verbs before it say which verbs could stand in its place.
    let (mut command, mut before) = (program, String::new());
    for argument in arguments.iter().skip(1).filter_map(|argument| argument.to_str()).take_while(|name| *name != wrong)
    {
        if let Some(verb) = command.find_subcommand(argument) {
            command = verb;
            before.push_str(argument);
            before.push(' ');
        }
    }
    let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
    let verbs: Vec<&str> = verbs.map(|verb| verb.get_name()).collect();
    let elsewhere = MEANT.iter().flat_map(|(words, tip)| words.iter().map(move |word| (*word, *tip)));
    let elsewhere = elsewhere.filter_map(|(word, tip)| Some((word.strip_prefix(before.as_str())?, tip)));
    let elsewhere: Vec<(&str, &'static str)> = elsewhere.filter(|(word, _)| !word.contains(' ')).collect();

    let mistakes_max = (wrong.chars().count() / LETTERS_PER_MISTAKE).min(MISTAKES_MAX);
    let words = verbs.iter().copied().chain(elsewhere.iter().map(|(word, _)| *word));
    let fewest = words.map(|word| edit_distance(wrong, word)).min().filter(|fewest| *fewest <= mistakes_max);
    let is_near = |word: &str| match fewest {
        Some(fewest) => edit_distance(wrong, word) == fewest,
        None => wrong.chars().count() >= BEGINNING_MIN_LETTERS && word.starts_with(wrong),
    };
    let near: Vec<&str> = verbs.into_iter().filter(|verb| is_near(verb)).collect();
    match elsewhere.into_iter().find(|(word, _)| is_near(word)) {
        Some((_, tip)) if near.is_empty() => Meant::Elsewhere(tip),
        _ => Meant::Verbs(near.into_iter().filter(|verb| !NEVER_GUESSED.contains(verb)).map(str::to_owned).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant_by(line: &str) -> Meant {
        let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        meant(&crate::cli::command(crate::features::FEATURES), &arguments, line.rsplit(' ').next().unwrap_or_default())
    }

    #[test]
    fn the_nearest_verb_is_suggested_below_every_verb() {
        for (line, verbs) in [
            ("inkring tokn", &["token"][..]),
            ("inkring dcotor", &["doctor"]),
            ("inkring rooms", &["room"]),
            ("inkring healthcehck", &["healthcheck"]),
            ("inkring print", &["print-config"]),
            ("inkring token mnit", &["mint"]),
            ("inkring token revok", &["revoke"]),
            ("inkring token revo", &["revoke", "revocations"]),
            ("inkring audit verfy", &["verify"]),
            ("inkring --config x audit tial", &["tail"]),
            ("inkring metrics raport", &["report"]),
            ("inkring user earse", &["erase"]),
            // Nothing is like these, or it changes too much, or it is hidden.
            ("inkring bogus", &[]),
            ("inkring restor", &[]),
            ("inkring route", &[]),
            ("inkring token verify", &[]),
            ("inkring x", &[]),
        ] {
            assert_eq!(meant_by(line), Meant::Verbs(verbs.iter().map(|verb| (*verb).to_owned()).collect()), "{line}");
        }
    }

    #[test]
    fn what_is_called_otherwise_may_be_misspelt_as_well() {
        for (line, word) in [
            ("inkring token crete", "token create"),
            ("inkring token create", "token create"),
            ("inkring token lsit", "token list"),
            ("inkring user lst", "user list"),
            ("inkring statsu", "status"),
            ("inkring sttop", "stop"),
        ] {
            let Meant::Elsewhere(tip) = meant_by(line) else { panic!("{line}") };
            assert!(MEANT.iter().any(|(words, said)| words.contains(&word) && *said == tip), "{line}: {tip}");
        }
    }
}
