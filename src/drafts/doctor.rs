//! What the doctor sees of drafts: whether others than their members can read them.

use super::options::PUBLIC_READ;
use crate::feature::doctor::{Diagnosis, Examined};

const CHECK: &str = "drafts";

/// Who can read drafts.
pub(super) fn doctor(examined: &Examined<'_>) -> Vec<Diagnosis> {
    let settings = examined.settings;
    vec![judge(settings.production(), settings.flag(&PUBLIC_READ))]
}

/// On somebody's own machine all may read all. In production that may be meant, but it is the default: perhaps nobody chose it.
fn judge(production: bool, public_read: bool) -> Diagnosis {
    match public_read {
        false => Diagnosis::green(CHECK, "only a draft's members can read it".to_owned()),
        true if production => Diagnosis::yellow(
            CHECK,
            "anyone who knows a draft's id can read it without a token (DRAFTS_PUBLIC_READ=true)".to_owned(),
            "set DRAFTS_PUBLIC_READ=false, and only members can; leave it if drafts are meant to be public",
        ),
        true => Diagnosis::green(CHECK, "anyone who knows a draft's id can read it".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature::doctor::Colour::{Green, Yellow};

    #[test]
    fn public_drafts_are_remarked_on_in_production_alone() {
        for (production, public_read, colour, says) in [
            (true, true, Yellow, "without a token (DRAFTS_PUBLIC_READ=true)"),
            (true, false, Green, "only a draft's members"),
            (false, true, Green, "anyone who knows a draft's id can read it"),
            (false, false, Green, "only a draft's members"),
        ] {
            let found = judge(production, public_read);
            assert_eq!((found.colour, found.remedy.is_some()), (colour, colour != Green), "{found:?}");
            assert!(found.found.contains(says), "{found:?}");
        }
    }
}
