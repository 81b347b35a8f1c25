//! The dashboard.

use crate::plane::page::Page;

/// The page.
pub(super) static DASHBOARD: Page = Page::of(include_str!("dashboard.html"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_one_script_and_one_style_and_nothing_that_its_policy_forbids() {
        assert_eq!(DASHBOARD.complaints(), [""; 0]);
    }
}
