//! How often one client may ask the modules (contract 04 §1.3).
