//! Records as bytes before they are sealed: JSON, which tolerates fields that a later version adds.
//!
//! The times in a record are by the clock of its writer, and `written_at` is that clock's time of writing.
//! The row has the record's age by the store's clock. So a reader can convert all times to its own clock, and
//! replicas whose clocks differ agree on a token's remaining life to within the few milliseconds that a
//! statement takes.

use std::{borrow::Cow, time::SystemTime};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    Failure, Record, RenewedTokens, StoreError,
    clock::{from_millis, to_millis},
};
use crate::token::{AccessToken, Fingerprint, RefreshToken, TokenType};

#[derive(Serialize, Deserialize)]
struct Plain<'a> {
    /// Missing in version 1, whose times are taken as they are.
    written_at: Option<i64>,
    #[serde(borrow)]
    tokens: Option<PlainTokens<'a>>,
    #[serde(borrow)]
    spare: Option<Cow<'a, str>>,
    descends_from: Option<String>,
    failure: Option<PlainFailure<'a>>,
    revoked: bool,
    refused: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct PlainTokens<'a> {
    #[serde(borrow)]
    access: Cow<'a, str>,
    /// `None` for bearer tokens, which nearly all are, and in records of version 1.
    token_type: Option<String>,
    #[serde(borrow)]
    refresh: Option<Cow<'a, str>>,
    obtained_at: i64,
    expires_at: Option<i64>,
    scopes: Cow<'a, [String]>,
}

#[derive(Serialize, Deserialize)]
struct PlainFailure<'a> {
    count: u32,
    /// Stored under its former name, which older versions and records have.
    #[serde(rename = "rest_until")]
    retry_at: i64,
    #[serde(borrow)]
    reason: Cow<'a, str>,
    permanent: bool,
}

/// Encodes a record.
pub(super) fn encode(record: &Record) -> Zeroizing<Vec<u8>> {
    encode_at(record, SystemTime::now())
}

/// Returns whether two records are equal except for their times, which may come from two readings: renewals
/// differ in what they obtained, and failures are numbered.
pub(super) fn is_same(one: &Record, other: &Record) -> bool {
    let timeless = |record: &Record| encode_at(&without_times(record.clone()), SystemTime::UNIX_EPOCH);
    timeless(one) == timeless(other)
}

fn without_times(mut record: Record) -> Record {
    if let Some(tokens) = &mut record.tokens {
        tokens.obtained_at = SystemTime::UNIX_EPOCH;
        tokens.expires_at = tokens.expires_at.and(Some(SystemTime::UNIX_EPOCH));
    }
    if let Some(failure) = &mut record.failure {
        failure.retry_at = SystemTime::UNIX_EPOCH;
    }
    record
}

/// Equal records at equal times are encoded alike.
fn encode_at(record: &Record, now: SystemTime) -> Zeroizing<Vec<u8>> {
    let plain = Plain {
        written_at: Some(to_millis(now)),
        tokens: record.tokens.as_ref().map(|tokens| PlainTokens {
            access: tokens.access.expose().into(),
            token_type: (tokens.token_type != TokenType::Bearer).then(|| tokens.token_type.to_string()),
            refresh: tokens.refresh.as_ref().map(|refresh| refresh.expose().into()),
            obtained_at: to_millis(tokens.obtained_at),
            expires_at: tokens.expires_at.map(to_millis),
            scopes: tokens.scopes.as_slice().into(),
        }),
        spare: record.spare.as_ref().map(|refresh| refresh.expose().into()),
        descends_from: record.descends_from.as_ref().map(Fingerprint::to_string),
        failure: record.failure.as_ref().map(|failure| PlainFailure {
            count: failure.count,
            retry_at: to_millis(failure.retry_at),
            reason: failure.reason.as_str().into(),
            permanent: failure.permanent,
        }),
        revoked: record.revoked,
        refused: record.refused.iter().map(Fingerprint::to_string).collect(),
    };
    // Large enough from the start: growing would leave copies of the tokens behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(2 * size(record) + 64));
    serde_json::to_writer(&mut *bytes, &plain).expect("a record has only text and numbers");
    bytes
}

/// The approximate size of a record in bytes.
pub(super) fn size(record: &Record) -> usize {
    let tokens = record.tokens.as_ref().map_or(0, |tokens| {
        tokens.access.expose().len()
            + tokens.refresh.as_ref().map_or(0, |refresh| refresh.expose().len())
            + tokens.scopes.iter().map(|scope| scope.len() + 4).sum::<usize>()
    });
    let spare = record.spare.as_ref().map_or(0, |refresh| refresh.expose().len());
    let failure = record.failure.as_ref().map_or(0, |failure| failure.reason.len());
    512 + tokens + spare + failure
}

/// Decodes a record that was written `age` milliseconds ago.
pub(super) fn decode(bytes: &[u8], age: i64) -> Result<Record, StoreError> {
    decode_at(bytes, age, SystemTime::now())
}

fn decode_at(bytes: &[u8], age: i64, now: SystemTime) -> Result<Record, StoreError> {
    let plain: Plain<'_> = serde_json::from_slice(bytes).map_err(|_| unreadable())?;
    let behind = |written_at| to_millis(now).saturating_sub(age).saturating_sub(written_at);
    let behind = plain.written_at.map_or(0, behind);
    let time = |millis: i64| from_millis(millis.saturating_add(behind));
    Ok(Record {
        tokens: plain.tokens.map(|tokens| RenewedTokens {
            access: AccessToken::new(secret(tokens.access)),
            token_type: tokens.token_type.as_deref().map_or(TokenType::Bearer, TokenType::named),
            refresh: tokens.refresh.map(|refresh| RefreshToken::new(secret(refresh))),
            obtained_at: time(tokens.obtained_at),
            expires_at: tokens.expires_at.map(time),
            scopes: tokens.scopes.into_owned(),
        }),
        spare: plain.spare.map(|refresh| RefreshToken::new(secret(refresh))),
        descends_from: plain.descends_from.as_deref().map(fingerprint).transpose()?,
        failure: plain.failure.map(|failure| Failure {
            count: failure.count,
            retry_at: time(failure.retry_at),
            reason: failure.reason.into_owned(),
            permanent: failure.permanent,
        }),
        revoked: plain.revoked,
        refused: plain.refused.iter().map(|text| fingerprint(text)).collect::<Result<_, _>>()?,
    })
}

/// Avoids copies that nobody would zero: an owned text is moved, a borrowed one copied into the secret.
fn secret(text: Cow<'_, str>) -> SecretString {
    match text {
        Cow::Borrowed(text) => text.into(),
        Cow::Owned(text) => text.into(),
    }
}

fn fingerprint(text: &str) -> Result<Fingerprint, StoreError> {
    text.parse().map_err(|_| unreadable())
}

fn unreadable() -> StoreError {
    StoreError::Corrupt { what: "a record's content cannot be read" }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record with all fields, at `time`.
    fn full(time: SystemTime) -> Record {
        let mut record = Record {
            tokens: Some(RenewedTokens {
                token_type: TokenType::named("DPoP"),
                access: AccessToken::new("access \" \u{1} ü"),
                refresh: Some(RefreshToken::new("refresh")),
                obtained_at: time,
                expires_at: Some(time),
                scopes: vec!["openid".to_owned(), "a b".to_owned()],
            }),
            spare: Some(RefreshToken::new("spare")),
            descends_from: Some(Fingerprint::of("old")),
            failure: Some(Failure {
                count: 3,
                retry_at: time,
                reason: "timeout".to_owned(),
                permanent: false,
            }),
            revoked: true,
            refused: Vec::new(),
        };
        record.refuse(Fingerprint::of("refused"));
        record
    }

    const TIME: i64 = 1_700_000_000_123;
    const HOUR: i64 = 3_600_000;

    #[test]
    fn a_record_reads_back_as_it_was() {
        let time = from_millis(TIME);
        for record in [full(time), Record::default()] {
            let bytes = encode_at(&record, time);
            let again = decode_at(&bytes, HOUR, from_millis(TIME + HOUR)).expect("what was encoded decodes");
            assert_eq!(format!("{record:?}"), format!("{again:?}"));
            assert_eq!(bytes, encode_at(&again, time));
        }
    }

    #[test]
    fn times_are_put_onto_the_readers_clock() {
        // The clocks of writer and reader are wrong by this much; a minute passes in between.
        for (writer, reader) in [(0, 0), (HOUR, 0), (0, HOUR), (-HOUR, HOUR), (HOUR, HOUR)] {
            let bytes = encode_at(&full(from_millis(TIME + writer)), from_millis(TIME + writer));
            let now = from_millis(TIME + 60_000 + reader);
            let read = decode_at(&bytes, 60_000, now).expect("what was encoded decodes");
            let expected = full(from_millis(TIME + reader));
            assert_eq!(format!("{read:?}"), format!("{expected:?}"), "{writer} {reader}");
        }
    }

    #[test]
    fn times_of_version_1_are_taken_as_they_are_and_absurd_ones_do_no_harm() {
        let failure =
            |time: i64| format!(r#"{{"count":1,"rest_until":{time},"reason":"x","permanent":false}}"#);
        let retry_at = |written_at: &str, time, age| {
            let rest = r#""tokens":null,"spare":null,"descends_from":null,"revoked":false,"refused":[]"#;
            let text = format!(r#"{{{written_at}{rest},"failure":{}}}"#, failure(time));
            let record = decode_at(text.as_bytes(), age, from_millis(TIME)).expect("a record");
            record.failure.map(|failure| to_millis(failure.retry_at))
        };
        assert_eq!(retry_at("", TIME, HOUR), Some(TIME));
        for extreme in [i64::MIN, 0, i64::MAX] {
            for age in [0, i64::MAX] {
                retry_at(&format!(r#""written_at":{extreme},"#), extreme, age);
            }
        }
    }

    #[test]
    fn times_do_not_tell_records_apart_and_all_else_does() {
        let (one, later) = (full(from_millis(TIME)), full(from_millis(TIME + 7)));
        assert!(is_same(&one, &later));
        assert!(!is_same(&one, &Record { revoked: false, ..later.clone() }));
        assert!(!is_same(&one, &Record { failure: None, ..later.clone() }));
        let tokens = RenewedTokens { expires_at: None, ..later.tokens.clone().expect("it has tokens") };
        assert!(!is_same(&one, &Record { tokens: Some(tokens), ..later }));
    }

    #[test]
    fn what_a_later_version_adds_is_ignored_and_what_lacks_is_damage() {
        let known = r#""tokens":null,"spare":null,"descends_from":null,"failure":null,"revoked":false"#;
        assert!(decode(format!(r#"{{{known},"refused":[],"new":1}}"#).as_bytes(), 0).is_ok());
        assert!(decode(format!("{{{known}}}").as_bytes(), 0).is_err());
        assert!(decode(format!(r#"{{{known},"refused":["?"]}}"#).as_bytes(), 0).is_err());
    }
}
