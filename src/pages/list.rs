//! The pages, as data.

use super::language::Words;

/// A page.
#[derive(Debug)]
pub(super) struct Page {
    /// Where it is, a template of routes.
    pub(super) path: &'static str,
    /// The script that makes its content.
    pub(super) script: &'static str,
    /// What it is called.
    pub(super) title: Words,
    /// What it is for, in one line below the title.
    pub(super) lead: Words,
    /// Whether it is in the navigation.
    pub(super) listed: bool,
    /// Whether it is shown by night (contract 04 §3.2: whatever is below `/kazkar`).
    pub(super) is_night: bool,
    /// The route that it stands on: where that is not served, neither is the page.
    pub(super) needs: Option<&'static str>,
}

/// The route by which a page knows that the household's modules are served.
pub(super) const MODULES: &str = "/api/v1/modules";
/// The same of drafts.
pub(super) const DRAFTS: &str = "/v1/collab/drafts";

impl Page {
    const fn new(path: &'static str, script: &'static str, title: Words, lead: Words) -> Self {
        Self { path, script, title, lead, listed: false, is_night: false, needs: Some(MODULES) }
    }

    const fn listed(self) -> Self {
        Self { listed: true, ..self }
    }

    const fn by_night(self) -> Self {
        Self { is_night: true, ..self }
    }

    const fn on(self, needs: &'static str) -> Self {
        Self { needs: Some(needs), ..self }
    }

    const fn everywhere(self) -> Self {
        Self { needs: None, ..self }
    }

    /// The first part of its path, which that of the navigation has that it belongs to.
    pub(super) fn section(&self) -> &'static str {
        let end = self.path[1..].find('/').map_or(self.path.len(), |at| at + 1);
        &self.path[..end]
    }
}

/// All pages. Those of the navigation come in its order.
pub(super) static PAGES: &[Page] = &[
    Page::new("/ci", "ci.js", ("Ci", "Ci"), ("Одне поле для всього", "One box for everything")).listed(),
    Page::new(
        "/kazkar",
        "kazkar.js",
        ("Казкар", "Stories"),
        ("Пам'ять родини: історії та легенди", "What the family remembers"),
    )
    .listed()
    .by_night(),
    Page::new("/podija", "podija.js", ("Подія", "Events"), ("Що було і що буде", "What was and what will be")).listed(),
    Page::new(
        "/nastrij",
        "nastrij.js",
        ("Настрій", "Moods"),
        ("Як вам було, без порад", "How you were, without advice"),
    )
    .listed(),
    Page::new("/malya", "malya.js", ("Маля", "Ideas"), ("Ідеї від думки до справи", "Ideas, from a thought to a deed"))
        .listed(),
    Page::new(
        "/gallery",
        "gallery.js",
        ("Галерея", "Gallery"),
        ("Світлини, відео і файли", "Pictures, films and files"),
    )
    .listed(),
    Page::new("/calendar", "calendar.js", ("Календар", "Calendar"), ("Що коли", "What is when")).listed(),
    Page::new(
        "/ci/legend",
        "legend.js",
        ("Легенда Ci", "The legend of Ci"),
        ("Двадцять вузлів одного кола", "Twenty knots of one circle"),
    ),
    Page::new("/chat", "chat.js", ("Розмова", "Chat"), ("Відповідає з ваших записів", "Answers from your own records")),
    Page::new("/kazkar/legends", "kazkar.js", ("Легенди", "Legends"), ("Те, що розповідають далі", "What is told on"))
        .by_night(),
    Page::new("/kazkar/{id}", "kazkar.js", ("Історія", "Story"), ("", "")).by_night(),
    Page::new(
        "/api/docs",
        "docs.js",
        ("CIMEIKA API", "CIMEIKA API"),
        ("Усі запити, з пробою кожного", "All requests, each to be tried"),
    )
    .everywhere(),
    Page::new(
        "/api/redoc",
        "docs.js",
        ("CIMEIKA API", "CIMEIKA API"),
        ("Усі запити, з пробою кожного", "All requests, each to be tried"),
    )
    .everywhere(),
    Page::new(
        "/settings",
        "settings.js",
        ("Налаштування", "Settings"),
        ("Сеанси, копії, підписка", "Sessions, copies, the feed"),
    ),
    Page::new("/sign-in", "settings.js", ("Вхід", "Sign in"), ("Пароль вашого дому", "The password of your household")),
    Page::new("/drafts", "drafts.js", ("Чернетки", "Drafts"), ("Пишуть по черзі", "Written in turn")).on(DRAFTS),
    Page::new("/drafts/{id}", "drafts.js", ("Чернетка", "Draft"), ("", "")).on(DRAFTS),
    Page::new("/collab/invite/{id}", "drafts.js", ("Запрошення", "Invitation"), ("", "")).on(DRAFTS),
    Page::new("/dashboard/collab", "drafts.js", ("Чернетка", "Draft"), ("", "")).on(DRAFTS),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn night_is_below_kazkar_and_nowhere_else() {
        for page in PAGES {
            assert_eq!(page.is_night, page.section() == "/kazkar", "{}", page.path);
            assert!(!page.title.0.is_empty() && !page.title.1.is_empty());
            assert_eq!(page.lead.0.is_empty(), page.lead.1.is_empty());
        }
        assert_eq!(PAGES.iter().filter(|page| page.listed).count(), 7);
    }
}
