//! What programs are told of drafts beyond their routes.

use crate::feature::description::Sheet;

/// As data.
pub(super) static SHEET: Sheet = Sheet::new(include_str!("openapi.json"));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drafts::FEATURE;

    #[test]
    fn it_speaks_of_what_is_there() {
        assert_eq!(SHEET.faults(FEATURE.routes), Vec::<String>::new());
    }
}
