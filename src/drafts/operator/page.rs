//! The page of drafts on the private plane. It asks the routes beside it, which do what the verbs do.

use crate::plane::page::Page;

/// Where it is. Under `/drafts` it would be taken for the draft of that id.
pub(in crate::drafts) const SHOWN: &str = "/dashboard/drafts";

/// The page.
pub(super) static PAGE: Page = Page::of(include_str!("page.html"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_one_script_and_one_style_and_nothing_that_its_policy_forbids() {
        assert_eq!(PAGE.complaints(), [""; 0]);
    }
}
