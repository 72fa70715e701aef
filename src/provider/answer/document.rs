//! Answers of token, introspection and revocation endpoints, read as liberally as an honest client can: one
//! may hold the only live tokens of a grant.

use std::{borrow::Cow, char::REPLACEMENT_CHARACTER};

use http::HeaderValue;
use url::form_urlencoded;

use self::member::Value;
use super::{Loose, Words};

mod member;

/// The members of a JSON object or a form, by name; none if the body is neither.
///
/// The body alone decides: an object begins with `{`, and a form with a name and `=`. Content types are
/// ignored, because some providers send JSON as `text/html` and forms as `text/plain`. The two cannot be
/// confused with each other or with an HTML page.
///
/// Of members with the same name, the last one of a readable type counts, as in most parsers (RFC 8259,
/// section 4).
#[derive(Default)]
pub(in crate::provider) struct Document(Vec<(String, Value)>);

impl Document {
    /// Reads a body. A truncated one counts as empty, since half a token looks like a whole one.
    pub(in crate::provider) fn read(body: &[u8]) -> Self {
        let text = decoded(body);
        let text = text.trim_matches(|letter: char| letter.is_whitespace() || letter == BYTE_ORDER_MARK);
        Self(member::of_object(text).or_else(|| of_form(text)).unwrap_or_default())
    }

    fn find<'a, T>(&'a self, name: &str, read: impl Fn(&'a Value) -> Option<T>) -> Option<T> {
        let mut values = self.0.iter().rev().filter(|(own, _)| own == name).map(|(_, value)| value);
        values.find_map(read)
    }

    /// The text; empty if the member is not one.
    pub(in crate::provider) fn text(&self, name: &str) -> &str {
        self.find(name, |value| value.text().filter(|text| !text.is_empty())).unwrap_or_default()
    }

    /// The token, if it is text that a header can hold and every character could be decoded.
    pub(in crate::provider) fn token(&self, name: &str) -> Option<&str> {
        let is_token = |text: &&str| {
            !text.is_empty() && !text.contains(REPLACEMENT_CHARACTER) && HeaderValue::from_str(text).is_ok()
        };
        self.find(name, |value| value.text().filter(is_token))
    }

    /// The number, which may be written as text.
    pub(in crate::provider) fn number(&self, name: &str) -> Option<i64> {
        self.find(name, |value| value.read::<Loose>()?.number())
    }

    /// The numbers of an array.
    pub(in crate::provider) fn numbers(&self, name: &str) -> Vec<i64> {
        let numbers: Option<Vec<Loose>> = self.find(name, Value::read);
        numbers.iter().flatten().filter_map(Loose::number).collect()
    }

    /// The id, which some providers write as text and some as a number.
    pub(in crate::provider) fn id(&self, name: &str) -> Option<String> {
        self.find(name, |value| value.read::<Loose>()?.name())
    }

    /// The words of a text or an array; none if the member is neither.
    pub(in crate::provider) fn words(&self, name: &str) -> Vec<String> {
        let words = self.find(name, |value| value.read().filter(|Words(words)| !words.is_empty()));
        words.unwrap_or_default().0
    }

    /// Returns whether the member is true, which may be written as text.
    pub(in crate::provider) fn flag(&self, name: &str) -> Option<bool> {
        self.find(name, Value::flag)
    }

    /// The object; empty if the member is not one.
    pub(in crate::provider) fn object(&self, name: &str) -> Self {
        self.find(name, Value::members).map(Self).unwrap_or_default()
    }
}

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Decodes a body: UTF-8, or UTF-16 with a byte order mark. Characters that cannot be decoded are replaced,
/// and the others kept.
fn decoded(body: &[u8]) -> Cow<'_, str> {
    match body {
        [0xff, 0xfe, text @ ..] => of_utf16(text, u16::from_le_bytes).into(),
        [0xfe, 0xff, text @ ..] => of_utf16(text, u16::from_be_bytes).into(),
        text => String::from_utf8_lossy(text),
    }
}

fn of_utf16(text: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let units: Vec<_> = text.as_chunks().0.iter().copied().map(unit).collect();
    String::from_utf16_lossy(&units)
}

/// `access_token=a&expires_in=3600`
fn of_form(text: &str) -> Option<Vec<(String, Value)>> {
    let (first, _) = text.split_once('=')?;
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    let is_name = !first.is_empty() && first.bytes().all(is_letter);
    let field =
        |(name, value): (Cow<'_, str>, Cow<'_, str>)| (name.into_owned(), Value::Text(value.into_owned()));
    is_name.then(|| form_urlencoded::parse(text.as_bytes()).map(field).collect())
}

#[cfg(test)]
mod tests;
