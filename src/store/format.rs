//! Records as bytes, before they are sealed: JSON, which tolerates fields that a later version adds.

use std::borrow::Cow;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    Failure, Record, RenewedTokens, StoreError,
    clock::{from_millis, to_millis},
};
use crate::token::{AccessToken, Fingerprint, RefreshToken};

#[derive(Serialize, Deserialize)]
struct Plain<'a> {
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
    #[serde(borrow)]
    refresh: Option<Cow<'a, str>>,
    obtained_at: i64,
    expires_at: Option<i64>,
    scopes: Cow<'a, [String]>,
}

#[derive(Serialize, Deserialize)]
struct PlainFailure<'a> {
    count: u32,
    rest_until: i64,
    #[serde(borrow)]
    reason: Cow<'a, str>,
    permanent: bool,
}

/// The record as bytes. Equal records are equal bytes.
pub(super) fn encode(record: &Record) -> Zeroizing<Vec<u8>> {
    let plain = Plain {
        tokens: record.tokens.as_ref().map(|tokens| PlainTokens {
            access: tokens.access.expose().into(),
            refresh: tokens.refresh.as_ref().map(|refresh| refresh.expose().into()),
            obtained_at: to_millis(tokens.obtained_at),
            expires_at: tokens.expires_at.map(to_millis),
            scopes: tokens.scopes.as_slice().into(),
        }),
        spare: record.spare.as_ref().map(|refresh| refresh.expose().into()),
        descends_from: record.descends_from.as_ref().map(Fingerprint::to_string),
        failure: record.failure.as_ref().map(|failure| PlainFailure {
            count: failure.count,
            rest_until: to_millis(failure.rest_until),
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

/// About how many bytes a record takes.
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

/// The record that `bytes` are.
pub(super) fn decode(bytes: &[u8]) -> Result<Record, StoreError> {
    let plain: Plain<'_> = serde_json::from_slice(bytes).map_err(|_| unreadable())?;
    Ok(Record {
        tokens: plain.tokens.map(|tokens| RenewedTokens {
            access: AccessToken::new(secret(tokens.access)),
            refresh: tokens.refresh.map(|refresh| RefreshToken::new(secret(refresh))),
            obtained_at: from_millis(tokens.obtained_at),
            expires_at: tokens.expires_at.map(from_millis),
            scopes: tokens.scopes.into_owned(),
        }),
        spare: plain.spare.map(|refresh| RefreshToken::new(secret(refresh))),
        descends_from: plain.descends_from.as_deref().map(fingerprint).transpose()?,
        failure: plain.failure.map(|failure| Failure {
            count: failure.count,
            rest_until: from_millis(failure.rest_until),
            reason: failure.reason.into_owned(),
            permanent: failure.permanent,
        }),
        revoked: plain.revoked,
        refused: plain.refused.iter().map(|text| fingerprint(text)).collect::<Result<_, _>>()?,
    })
}

/// Without a copy that nobody would zero: an owned text is moved, a borrowed one copied into the secret.
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
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn a_record_reads_back_as_it_was() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        let mut record = Record {
            tokens: Some(RenewedTokens {
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
                rest_until: time,
                reason: "timeout".to_owned(),
                permanent: false,
            }),
            revoked: true,
            refused: Vec::new(),
        };
        record.refuse(Fingerprint::of("refused"));
        for record in [record, Record::default()] {
            let bytes = encode(&record);
            let again = decode(&bytes).expect("what was encoded decodes");
            assert_eq!(format!("{record:?}"), format!("{again:?}"));
            assert_eq!(bytes, encode(&again));
        }
    }

    #[test]
    fn what_a_later_version_adds_is_ignored_and_what_lacks_is_damage() {
        let known = r#""tokens":null,"spare":null,"descends_from":null,"failure":null,"revoked":false"#;
        assert!(decode(format!(r#"{{{known},"refused":[],"new":1}}"#).as_bytes()).is_ok());
        assert!(decode(format!("{{{known}}}").as_bytes()).is_err());
        assert!(decode(format!(r#"{{{known},"refused":["?"]}}"#).as_bytes()).is_err());
    }
}
