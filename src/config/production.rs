//! What must not be left to chance where real users are served (ruling 5): strict refuses it, all at once, and production
//! without strict warns about it.

use std::path::Path;

use super::parse::printable;
use super::sources::{Sources, token_keys};
use crate::feature::{OutputDirectory, unwritable};
use crate::features::{self, FEATURES};
use crate::gate::identity::options::{TOKEN_KEYS, TRUST_HEADER};
use crate::gate::options::ORIGINS;
use crate::hub::options::{ORIGINS as SOCKET_ORIGINS, any_page_may_open_sockets};
use crate::settings::{Knob, Settings};
use crate::store::directory_of;
use crate::store::options::DATABASE;

/// What strict does not do without.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// Names that are not set and that strict production asks for, be this production or not.
    pub(super) missing: Vec<&'static str>,
    /// What is missing here, dangerous, or cannot work: a sentence for each.
    pub(super) sentences: Vec<String>,
    /// What cannot work and keeps nothing else from working.
    pub(super) cautions: Vec<String>,
}

/// What is missing or dangerous. Outside production only the origins are asked for, and no directory is looked at: [`unwritten`] does that.
pub(super) fn needs(settings: &Settings, sources: &Sources, production: bool) -> Needs {
    let (mut sentences, mut cautions) = (Vec::new(), Vec::new());
    let required = settings.iter().map(|setting| setting.knob).filter(|knob| knob.required);
    let mut missing: Vec<_> = required.filter(|knob| !sources.has(knob)).map(|knob| knob.name).collect();
    let of_all = missing.len();
    missing.extend(missing_in_production(settings, sources));
    let here = if production { &missing[..] } else { &missing[..of_all] };
    if !here.is_empty() {
        sentences.push(format!("Missing required configuration: {}", here.join(", ")));
    }
    if settings.origins(&ORIGINS).iter().any(|origin| origin == "*") {
        sentences.push(
            "ALLOWED_ORIGINS contains *, which lets the pages of any site call this server: list the origins instead"
                .to_owned(),
        );
    }
    if production {
        if !knows_users(settings, sources) {
            sentences.push(format!(
                "there is no source of identity, so requests cannot be identified: set {}, or, behind a proxy that \
                 authenticates its users, AUTH_TRUST_USER_HEADER=true",
                TOKEN_KEYS.map(|key| key.name).join(" or ")
            ));
        }
        for knob in features::declared() {
            let (name, Some(without)) = (knob.name, knob.guards_against) else { continue };
            // Production turns it on by itself.
            let turned_off = settings.of(knob).origin.is_given() && !settings.flag(knob);
            if turned_off {
                sentences.push(format!("{name}=false in production: {without}; remove it, or set it to true"));
            }
        }
        if settings.of(&SOCKET_ORIGINS).origin.is_given() && any_page_may_open_sockets(settings) {
            sentences.push(format!(
                "{} lets the pages of any site open sockets: list the origins instead",
                SOCKET_ORIGINS.name
            ));
        }
        let database = settings.database(&DATABASE);
        sentences.extend(
            unwritable(directory_of(database))
                .map(|why| format!("{}=sqlite:{}: {why}", DATABASE.name, printable(&database.display().to_string()))),
        );
        let directories = FEATURES.iter().flat_map(|feature| (feature.writes)(settings));
        for OutputDirectory { knob, path, is_needed } in directories {
            let told = if is_needed { &mut sentences } else { &mut cautions };
            told.extend(not_written(settings, knob, &path));
        }
    }
    Needs { missing, sentences, cautions }
}

/// Names that are not set, and that production asks for beyond those that every installation needs.
fn missing_in_production(settings: &Settings, sources: &Sources) -> impl Iterator<Item = &'static str> {
    let key = (!knows_users(settings, sources)).then_some(TOKEN_KEYS[0]);
    let origins = (!sources.has(&SOCKET_ORIGINS)).then_some(&SOCKET_ORIGINS);
    let needed = move |knob: &&Knob| knob.needed_with.is_some_and(|flag| settings.flag(flag)) && !sources.has(knob);
    key.into_iter().chain(origins).chain(features::declared().filter(needed)).map(|knob| knob.name)
}

/// Whether there is a source of identity. A header that is trusted on purpose is one, too (ruling 3).
fn knows_users(settings: &Settings, sources: &Sources) -> bool {
    let believed = settings.flag(&TRUST_HEADER) && settings.of(&TRUST_HEADER).origin.is_given();
    believed || !token_keys(sources).is_empty()
}

/// What cannot be written, as far as somebody has set it: nobody sets a directory for backups to have none, wherever the server
/// runs.
pub(super) fn unwritten(settings: &Settings) -> Vec<String> {
    let directories = FEATURES.iter().flat_map(|feature| (feature.writes)(settings));
    let given = directories.filter(|directory| settings.of(directory.knob).origin.is_given());
    given.filter_map(|OutputDirectory { knob, path, .. }| not_written(settings, knob, &path)).collect()
}

fn not_written(settings: &Settings, knob: &'static Knob, path: &Path) -> Option<String> {
    let named = printable(&settings.of(knob).shown());
    unwritable(path).map(|why| format!("{}={named}: {why}", knob.name))
}
