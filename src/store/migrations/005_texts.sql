-- What is searched of things that have a number, whoever they belong to (src/store/sqlite/texts.rs). Its text is normalised, so it
-- is here a second time. Three spellings of the apostrophe part words alike; letters keep their marks, as й is no и.
CREATE VIRTUAL TABLE texts USING fts5 (
    title, body, prefix = '2 3', tokenize = "unicode61 remove_diacritics 0 separators '''ʼ’`'"
);
