//! Lists as they were answered last, kept by each shard: the same few are asked for again and again, and change seldom.
//!
//! A page is right for as long as its kind has the revision that its entity tag names; to know that takes one row. While nothing
//! at all was committed since, not even that is read.

use std::collections::VecDeque;
use std::sync::Arc;

use super::kinds::Kind;
use super::wanted::Wanted;

/// Lists that one shard keeps.
pub(in crate::modules) const PAGES_KEPT_MAX: usize = 16;
/// Bytes of their answers.
pub(in crate::modules) const PAGES_KEPT_MAX_BYTES: usize = 1024 * 1024;

/// A list as it is answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// Its entity tag, without quotes.
    pub(super) tag: String,
    /// JSON.
    pub(super) body: Arc<[u8]>,
    /// How many records it would have without its bounds.
    pub(super) total: i64,
}

/// A page that was right once.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) page: Arc<Page>,
    /// [`Reader::version`](crate::store::Reader::version) from before that was seen.
    pub(super) version: Option<u64>,
}

/// The lists that one shard keeps.
#[derive(Debug, Default)]
pub(in crate::modules) struct Pages {
    /// The one that was asked for last stands last.
    kept: VecDeque<Kept>,
}

#[derive(Debug)]
struct Kept {
    kind: i64,
    wanted: Wanted,
    known: Known,
}

impl Pages {
    /// What is kept of a list.
    pub(super) fn find(&self, kind: &Kind, wanted: &Wanted) -> Option<Known> {
        self.place(kind, wanted).map(|place| self.kept[place].known.clone())
    }

    /// Keeps a list in place of what is kept of it; but none of words, which are seldom asked for again, and none that is too large.
    pub(super) fn keep(&mut self, kind: &Kind, wanted: Wanted, known: Known) {
        if let Some(place) = self.place(kind, &wanted) {
            self.kept.remove(place);
        }
        if wanted.words.is_some() || known.page.body.len() > PAGES_KEPT_MAX_BYTES {
            return;
        }
        self.kept.push_back(Kept { kind: kind.number, wanted, known });
        while self.kept.len() > PAGES_KEPT_MAX || self.bytes() > PAGES_KEPT_MAX_BYTES {
            self.kept.pop_front();
        }
    }

    fn place(&self, kind: &Kind, wanted: &Wanted) -> Option<usize> {
        self.kept.iter().position(|kept| kept.kind == kind.number && kept.wanted == *wanted)
    }

    fn bytes(&self) -> usize {
        self.kept.iter().map(|kept| kept.known.page.body.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::zone::Zone;

    fn wanted(query: &str) -> Wanted {
        super::super::wanted::read(kazkar(), query, &Zone::named("Europe/Kyiv").unwrap()).unwrap()
    }

    fn kazkar() -> &'static Kind {
        Kind::of_module("kazkar").unwrap()
    }

    fn keep(pages: &mut Pages, query: &str, bytes: usize) {
        let page = Arc::new(Page { tag: query.to_owned(), body: vec![b' '; bytes].into(), total: 0 });
        pages.keep(kazkar(), wanted(query), Known { page, version: Some(1) });
    }

    fn tag(pages: &Pages, query: &str) -> Option<String> {
        pages.find(kazkar(), &wanted(query)).map(|known| known.page.tag.clone())
    }

    #[test]
    fn so_many_lists_are_kept_and_the_one_not_asked_for_longest_is_dropped() {
        let mut pages = Pages::default();
        let query = |skip: usize| format!("skip={skip}");
        (0..PAGES_KEPT_MAX).for_each(|skip| keep(&mut pages, &query(skip), 1));
        keep(&mut pages, &query(0), 1);
        keep(&mut pages, &query(PAGES_KEPT_MAX), 1);
        assert_eq!(tag(&pages, &query(0)), Some(query(0)), "it was asked for again");
        assert_eq!(tag(&pages, &query(1)), None);
        assert_eq!((pages.kept.len(), pages.bytes()), (PAGES_KEPT_MAX, PAGES_KEPT_MAX));
    }

    #[test]
    fn lists_are_kept_up_to_so_many_bytes() {
        let mut pages = Pages::default();
        keep(&mut pages, "skip=1", 1);
        keep(&mut pages, "skip=2", PAGES_KEPT_MAX_BYTES);
        assert_eq!((tag(&pages, "skip=1"), tag(&pages, "skip=2")), (None, Some("skip=2".to_owned())));
        keep(&mut pages, "skip=3", PAGES_KEPT_MAX_BYTES + 1);
        assert!(
            tag(&pages, "skip=2").is_some() && tag(&pages, "skip=3").is_none(),
            "none makes way for what is too large"
        );
    }

    #[test]
    fn a_list_is_found_however_it_is_asked_for_and_no_other() {
        let mut pages = Pages::default();
        keep(&mut pages, "order=desc&limit=100", 1);
        assert!(tag(&pages, "limit=500&unknown=1&order=desc").is_some());
        let others = ["", "order=desc&limit=99", "order=desc&tag=a", "order=desc&from=2026-01-01", "order=desc&skip=1"];
        others.iter().for_each(|other| assert_eq!(tag(&pages, other), None, "{other}"));
        assert!(pages.find(Kind::of_module("malya").unwrap(), &wanted("order=desc")).is_none());
        keep(&mut pages, "q=word", 1);
        assert_eq!(tag(&pages, "q=word"), None);
    }
}
