//! The password of the household.

use crate::gate::HashedSecret;

/// With fewer characters it can be guessed by trying even at ten tries an address and quarter of an hour.
pub const MIN_CHARS: usize = 12;

/// It, kept as its hash only.
pub struct Password(HashedSecret);

impl Password {
    /// As configured.
    #[must_use]
    pub fn of(configured: &str) -> Self {
        Self(HashedSecret::new(configured.as_bytes()))
    }

    /// Whether somebody has given it. Takes as long for a wrong one as for the right one, however much of it is right.
    #[must_use]
    pub fn is(&self, given: &str) -> bool {
        self.0.is(given.as_bytes())
    }
}

/// Why this password is none for production, in a sentence that shows nothing of it.
#[must_use]
pub fn fault(configured: &str) -> Option<String> {
    let chars = configured.chars().count();
    (chars < MIN_CHARS).then(|| {
        format!(
            "HOUSEHOLD_PASSWORD has {chars} characters, so it can be guessed by trying: use {MIN_CHARS} or more, such as four \
             unrelated words"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_itself_and_nothing_else() {
        let password = Password::of("вечірня пошта 7");
        assert!(password.is("вечірня пошта 7"));
        for other in
            ["", "вечірня пошта", "вечірня пошта 77", "Вечірня пошта 7", " вечірня пошта 7", "вечірня пошта 7\n"]
        {
            assert!(!password.is(other), "{other:?}");
        }
    }

    #[test]
    fn a_short_one_is_none_for_production() {
        assert_eq!(fault("twelve chars"), None);
        assert_eq!(fault("дванадцять12"), None, "characters count, not bytes");
        let said = fault("eleven char").unwrap();
        assert!(said.contains("has 11 characters") && !said.contains("eleven"), "{said}");
        assert!(fault("").unwrap().contains("has 0 characters"));
    }
}
