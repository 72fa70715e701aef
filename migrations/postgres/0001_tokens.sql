-- Times are milliseconds since 1970 by this database's clock: the clocks of the service's replicas differ.

CREATE VIEW idp_token_clock AS
    SELECT (extract(epoch FROM clock_timestamp()) * 1000)::BIGINT AS now;

-- One identity of one user. `identity` and `owner` are keyed hashes: see idp_token_index_key.
CREATE TABLE idp_token_record (
    identity     BYTEA  PRIMARY KEY,
    owner        BYTEA  NOT NULL,
    generation   BIGINT NOT NULL,
    key_id       BYTEA  NOT NULL,
    sealed       BYTEA  NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL
);
CREATE INDEX idp_token_record_owner ON idp_token_record (owner);
CREATE INDEX idp_token_record_last_used ON idp_token_record (last_used_at);

-- Leases: which replica does what only one may do at a time.
CREATE TABLE idp_token_lease (
    name       BYTEA  PRIMARY KEY,
    holder     TEXT   NOT NULL,
    expires_at BIGINT NOT NULL
);

-- Secrets that all replicas use: the Management token.
CREATE TABLE idp_token_shared (
    name       TEXT   PRIMARY KEY,
    generation BIGINT NOT NULL,
    key_id     BYTEA  NOT NULL,
    sealed     BYTEA  NOT NULL,
    expires_at BIGINT NOT NULL
);

-- The single key of the hashes above, sealed under an encryption key.
CREATE TABLE idp_token_index_key (
    only_one SMALLINT PRIMARY KEY CHECK (only_one = 1),
    key_id   BYTEA    NOT NULL,
    sealed   BYTEA    NOT NULL
);
