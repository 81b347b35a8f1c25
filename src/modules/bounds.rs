//! What the modules bound, besides what is configured.

use super::options::MODULES;
use super::records::fact::{FACT_MAX_CHARS, SEARCHED_MAX_CHARS};
use super::records::read::LIST_MAX_ITEMS;
use super::records::store::SEARCHED_MAX;
use super::records::wanted::{FILTERS_MAX, PAGE_MAX_RECORDS};
use crate::settings::BoundRow;

pub(crate) const BOUNDS: &[BoundRow] = &[
    BoundRow::new(&MODULES, "PAGE_MAX_RECORDS", PAGE_MAX_RECORDS as u64, "records")
        .of("Records in one list.", "`limit` beyond it is served as this")
        .tested_by("a_query_says_which_records"),
    BoundRow::new(&MODULES, "FILTERS_MAX", FILTERS_MAX as u64, "filters")
        .of("Filters of one list, of those that name a value.", "422 `validation_error`")
        .tested_by("what_is_wrong_with_a_query_is_told_at_once"),
    BoundRow::new(&MODULES, "SEARCHED_MAX", SEARCHED_MAX as u64, "records")
        .of("Records with the words of `q` that one list looks at.", "the rest is not found; a further word finds less")
        .tested_by("a_search_looks_at_so_many_records"),
    BoundRow::new(&MODULES, "LIST_MAX_ITEMS", LIST_MAX_ITEMS as u64, "items")
        .of("Items in one list of a record, such as its tags.", "422 `validation_error`")
        .tested_by("each_problem_has_its_name_its_place_and_a_sentence"),
    BoundRow::new(&MODULES, "FACT_MAX_CHARS", FACT_MAX_CHARS as u64, "characters")
        .of("Characters by which values of filters are told apart.", "the rest is not compared")
        .tested_by("long_values_and_texts_are_cut"),
    BoundRow::new(&MODULES, "SEARCHED_MAX_CHARS", SEARCHED_MAX_CHARS as u64, "characters")
        .of("Characters of a record that are searched.", "the rest is kept, and not found")
        .tested_by("long_values_and_texts_are_cut"),
];
