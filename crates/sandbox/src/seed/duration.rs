//! Durations as people write them: `90s`, `1h`, `2days`, and moments as `5m ago`.

use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// Reads `60s`.
pub(super) fn read<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
    parse(&String::deserialize(input)?).map_err(D::Error::custom)
}

/// Reads `60s`, where the key is there.
pub(super) fn read_some<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Duration>, D::Error> {
    read(input).map(Some)
}

/// Reads `5m ago` as the time passed since.
pub(super) fn read_ago<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(input)?;
    let Some(passed) = text.strip_suffix(" ago") else {
        return Err(D::Error::custom(format!("{text:?} is not a time like \"5m ago\"")));
    };
    parse(passed).map_err(D::Error::custom)
}

fn parse(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("{text:?} is not a duration like \"60s\": {error}"))
}
