//! The tables: scripts in `migrations/`, each run once, in order, by one replica.

use crate::store::StoreError;

/// Creates the table of versions, which takes rights that the service need not keep.
pub(super) const CREATE_VERSIONS: &str =
    "CREATE TABLE IF NOT EXISTS idp_token_schema (version BIGINT PRIMARY KEY)";

/// The number of the newest script that has run.
pub(super) const VERSION: &str = "SELECT coalesce(max(version), 0) FROM idp_token_schema";

/// Records that a script has run.
pub(super) const RAN: &str = "INSERT INTO idp_token_schema (version) VALUES ($1)";

/// The scripts that have not run if `version` is the newest that has, with their numbers, which begin at 1.
pub(super) fn pending(
    scripts: &[&'static str],
    version: i64,
) -> Result<impl Iterator<Item = (i64, &'static str)>, StoreError> {
    let ran = usize::try_from(version).unwrap_or(0);
    if ran > scripts.len() {
        return Err(StoreError::Newer);
    }
    Ok((1..).zip(scripts.to_vec()).skip(ran))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scripts_that_have_not_run_are_pending_and_a_newer_schema_is_left_alone() {
        let numbers = |version| pending(&["a", "b"], version).map(Iterator::collect::<Vec<_>>);
        assert_eq!(numbers(0), Ok(vec![(1, "a"), (2, "b")]));
        assert_eq!(numbers(1), Ok(vec![(2, "b")]));
        assert_eq!(numbers(2), Ok(Vec::new()));
        assert_eq!(numbers(3), Err(StoreError::Newer));
    }
}
