-- One row, rewritten by the readiness probe: proof that a commit reaches the disk.
CREATE TABLE probe (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    probed_at  INTEGER NOT NULL
) STRICT;
