//! `rekey`: encrypts every row of the token store with the first encryption key, so that the others can be
//! removed.

use super::{Failure, output::say, start_logging};
use crate::{
    config::Config,
    store::{Rekeyed, Store},
    telemetry::logging::Format,
};

pub(super) async fn run(config: &Config) -> Result<(), Failure> {
    // The store logs for each row why it cannot be read.
    start_logging("warn", Format::Text);
    let failed = |error| Failure::of_store(&error);
    let store = Store::open(&config.store.url, config.store.keys.clone(), &config.auth0.audience)
        .await
        .map_err(failed)?;
    if !store.is_durable() {
        return Err(Failure::Usage(IN_MEMORY.to_owned()));
    }
    let Rekeyed { resealed, left } = store.rekey().await.map_err(failed)?;
    say(format_args!("rows moved to the first key: {resealed}; still under others: {left}"))?;
    if left > 0 {
        return Err(Failure::Other(LEFT.to_owned()));
    }
    say("the other keys can be removed from `store.encryption_keys_file`")
}

/// A user who forgot `--config` must not believe that the old keys can be removed.
const IN_MEMORY: &str = "`store.url` is `memory:`, where nothing is encrypted: name the database, or the configuration \
    file that does, with --config";

const LEFT: &str = "keep all keys: some rows are under a key that the file does not hold, are damaged, or were written \
    meanwhile by a replica that encrypts with another key; put missing keys back below the first line, restart the \
    replicas that have another first key, and run this again";
