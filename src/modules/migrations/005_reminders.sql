-- Until when those who listen were told of reminders that came due, so that a restart tells nothing twice. One row, or none before the
-- first start that looked.
CREATE TABLE calendar_reminded (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    until INTEGER NOT NULL
) STRICT;
