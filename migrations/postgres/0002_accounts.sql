-- A record belongs to an account at a provider of a tenant, whichever Auth0 user has it.
--
-- `account` is a keyed hash of tenant, connection and account. In rows of version 1 it is still one of user,
-- connection and account; they are renamed when first requested for their user. `owner`, a keyed hash of
-- tenant and user, tells for whom the row was last written.
--
-- The column is renamed so that replicas of the previous version fail instead of using renamed rows: they
-- would send a refresh token that has been spent since.
ALTER TABLE idp_token_record RENAME COLUMN identity TO account;
ALTER TABLE idp_token_record ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
