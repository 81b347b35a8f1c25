//! Who may use the modules: a household's password, and the sessions and tokens it opens.
