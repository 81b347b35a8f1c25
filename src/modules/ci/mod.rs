//! The entry action: one box that turns a line of text into records of the right modules.
