-- What is searched of things that have a number, whoever they belong to (src/store/sqlite/texts.rs). Only its words are here, in small
-- letters, each behind the letter of its group, without which a MATCH by hand finds nothing. The text is where it belongs. Where in it
-- a word stands is not kept: nothing asks for it. Labels, by which a text is found exactly, are words as well.
CREATE VIRTUAL TABLE texts USING fts5 (
    title, body, content = '', contentless_delete = 1, tokenize = 'ascii', detail = column
);
-- Pieces of the index are merged sixteen at a time: with four, as is usual, a word is written twice as often. Many more of one size are
-- there only where merging bit by bit has not kept up: then they are merged at once, and everybody waits.
INSERT INTO texts (texts, rank) VALUES ('automerge', 16), ('crisismerge', 64);
-- Each word with how many texts have it: so labels are counted.
CREATE VIRTUAL TABLE text_terms USING fts5vocab (texts, row);
