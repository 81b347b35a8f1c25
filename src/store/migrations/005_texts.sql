-- What is searched of things that have a number, whoever they belong to (src/store/sqlite/texts.rs). Only its words are here: the
-- text is where it belongs. Three spellings of the apostrophe part words alike; letters keep their marks, as й is no и.
CREATE VIRTUAL TABLE texts USING fts5 (
    title, body, content = '', contentless_delete = 1, tokenize = "unicode61 remove_diacritics 0 separators '''ʼ’`'"
);
-- Pieces of the index are merged eight at a time: with four, as is usual, a word is written half as often again.
INSERT INTO texts (texts, rank) VALUES ('automerge', 8);
