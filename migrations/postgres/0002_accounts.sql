-- A record belongs to an account at a provider of a tenant, whichever Auth0 user has it.
--
-- `account` is a keyed hash of tenant, connection and account. Rows of version 1 still have one of user, connection and
-- account there, and are renamed when their user first asks for them. `owner`, a keyed hash of tenant and user, says for
-- whom the row was last written.
--
-- The column has another name so that replicas of the version before fail, rather than use rows that were renamed: they
-- would send a refresh token that was spent since.
ALTER TABLE idp_token_record RENAME COLUMN identity TO account;
ALTER TABLE idp_token_record ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
