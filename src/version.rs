//! Which program this is.

/// The version, and the commit that it was built from; `.dirty` behind that says that the tree was not as committed. Builds that are
/// not releases have `+debug`, so that a commit does not build them anew.
pub const VERSION: &str = env!("INKRING_VERSION");

/// The commit in a version, and whether the tree was as committed; neither for a build that is no release, or of a tree without a
/// repository.
pub fn commit(version: &str) -> Option<(&str, bool)> {
    let (_, build) = version.split_once('+').filter(|(_, build)| *build != "debug")?;
    let clean = build.strip_suffix(".dirty");
    Some((clean.unwrap_or(build), clean.is_none()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_the_commit_that_it_says() {
        for (version, found) in [
            ("0.1.0+1a2b3c4d5", Some(("1a2b3c4d5", true))),
            ("0.1.0+1a2b3c4d5.dirty", Some(("1a2b3c4d5", false))),
            ("0.1.0+debug", None),
            ("0.1.0", None),
        ] {
            assert_eq!(commit(version), found, "{version}");
        }
    }
}
