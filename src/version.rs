//! Which program this is.

/// The version, and the commit that it was built of; `.dirty` behind that says that the tree was not as committed. Builds that are
/// not releases have `+debug`, so that a commit does not build them anew.
pub const VERSION: &str = env!("INKRING_VERSION");
