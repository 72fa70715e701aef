//! Keeps the user's token out of the provider's answer.
//!
//! A caller may be allowed to call without seeing the token, yet some answers repeat it: Graph's
//! `paging.next` carries `access_token=...`, and `/me/accounts` brings tokens of the user's pages along,
//! which are worth as much. Each occurrence is overwritten by as many `*`, so that every other byte, and the
//! length, stays.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};
use memchr::memmem;
use percent_encoding::utf8_percent_encode;
use zeroize::Zeroizing;

use crate::{identity::RESERVED, token::AccessToken};

/// Overwrites `token` wherever it stands in `body`. Costs a pass or two; copies only where something is
/// found.
pub(super) fn mask_body(body: Bytes, token: &AccessToken) -> Bytes {
    spellings(token).iter().fold(body, |body, spelling| mask(body, spelling.as_bytes()))
}

/// Overwrites what stands at `places`.
pub(super) fn mask_places(body: Bytes, places: &[Range<usize>]) -> Bytes {
    if places.is_empty() {
        return body;
    }
    let mut body = BytesMut::from(body);
    places.iter().for_each(|place| body[place.clone()].fill(b'*'));
    body.freeze()
}

/// Overwrites headers that repeat `token`.
pub(super) fn mask_headers(headers: &mut HeaderMap, token: &AccessToken) {
    let spellings = spellings(token);
    for value in headers.values_mut() {
        if spellings.iter().any(|spelling| memmem::find(value.as_bytes(), spelling.as_bytes()).is_some()) {
            *value = HeaderValue::from_static("***");
        }
    }
}

/// The token as it stands in a header, in a URL, and in JSON whose writer escapes slashes; mostly these are
/// one.
fn spellings(token: &AccessToken) -> Vec<Zeroizing<String>> {
    let plain = token.expose();
    let encoded = utf8_percent_encode(plain, RESERVED).to_string();
    let mut all = vec![plain.to_owned(), encoded, plain.replace('/', "\\/")];
    all.dedup();
    all.into_iter().filter(|spelling| !spelling.is_empty()).map(Zeroizing::new).collect()
}

fn mask(body: Bytes, needle: &[u8]) -> Bytes {
    let places: Vec<_> = memmem::find_iter(&body, needle).map(|at| at..at + needle.len()).collect();
    mask_places(body, &places)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn masked(body: &str, token: &str) -> String {
        let body = mask_body(Bytes::copy_from_slice(body.as_bytes()), &AccessToken::new(token));
        String::from_utf8_lossy(&body).into_owned()
    }

    #[test]
    fn every_occurrence_is_masked_and_nothing_else() {
        for (body, token, expected) in [
            ("a=EAAB&b=EAAB", "EAAB", "a=****&b=****"),
            ("EAABEAAB", "EAAB", "********"),
            ("aaaaa", "aa", "****a"),
            ("EAA", "EAAB", "EAA"),
            ("anything", "", "anything"),
            ("**", "*", "**"),
            ("a=1%2F%2F0g&b=1//0g", "1//0g", "a=*********&b=*****"),
            (r#"{"t":"1\/\/0g"}"#, "1//0g", r#"{"t":"*******"}"#),
        ] {
            assert_eq!(masked(body, token), expected);
        }
    }

    #[test]
    fn a_header_that_repeats_the_token_is_masked() {
        let mut headers = HeaderMap::new();
        headers.insert("location", HeaderValue::from_static("https://x/?access_token=EAAB"));
        headers.insert("etag", HeaderValue::from_static("abc"));
        mask_headers(&mut headers, &AccessToken::new("EAAB"));
        assert_eq!(
            (&headers["location"], &headers["etag"]),
            (&HeaderValue::from_static("***"), &HeaderValue::from_static("abc"))
        );
    }

    #[test]
    fn places_are_masked_even_where_they_overlap() {
        let masked = mask_places(Bytes::from_static(b"0123456789"), &[1..3, 2..5, 9..10, 7..7]);
        assert_eq!(masked, "0****5678*");
        assert_eq!(mask_places(masked.clone(), &[]), masked);
    }

    proptest! {
        #[test]
        fn without_the_token_a_body_stays_as_it_is(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let body = Bytes::from(body);
            prop_assume!(memmem::find(&body, b"token").is_none());
            prop_assert_eq!(mask_body(body.clone(), &AccessToken::new("token")), body);
        }

        #[test]
        fn with_the_token_it_is_gone_and_the_length_stays(before in ".{0,20}", after in ".{0,20}") {
            let masked = masked(&format!("{before}secret-token{after}"), "secret-token");
            prop_assert!(!masked.contains("secret-token"));
            prop_assert_eq!(masked.len(), before.len() + after.len() + "secret-token".len());
        }
    }
}
