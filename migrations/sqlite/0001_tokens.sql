-- Times are milliseconds since 1970 by this database's clock: the clocks of the service's replicas differ.

CREATE VIEW idp_token_clock AS
    SELECT CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER) AS now;

-- One identity of one user. `identity` and `owner` are keyed hashes: see idp_token_index_key.
CREATE TABLE idp_token_record (
    identity     BLOB    PRIMARY KEY,
    owner        BLOB    NOT NULL,
    generation   INTEGER NOT NULL,
    key_id       BLOB    NOT NULL,
    sealed       BLOB    NOT NULL,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL
) STRICT;
CREATE INDEX idp_token_record_owner ON idp_token_record (owner);
CREATE INDEX idp_token_record_last_used ON idp_token_record (last_used_at);

-- Leases: which replica does what only one may do at a time.
CREATE TABLE idp_token_lease (
    name       BLOB    PRIMARY KEY,
    holder     TEXT    NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

-- Secrets that all replicas use: the Management token.
CREATE TABLE idp_token_shared (
    name       TEXT    PRIMARY KEY,
    generation INTEGER NOT NULL,
    key_id     BLOB    NOT NULL,
    sealed     BLOB    NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

-- The single key of the hashes above, sealed under an encryption key.
CREATE TABLE idp_token_index_key (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    key_id   BLOB      NOT NULL,
    sealed   BLOB      NOT NULL
) STRICT;
