//! What a token, introspection or revocation endpoint answers, read as the most liberal honest client would:
//! an answer may hold the only live tokens of a grant, and there is no second one.

use std::{borrow::Cow, char::REPLACEMENT_CHARACTER};

use http::HeaderValue;
use url::form_urlencoded;

use self::member::Value;
use super::{Loose, Words};

mod member;

/// The members of a JSON object or a form, by name. A body that is neither has none.
///
/// The body alone tells which it is: an object begins with `{`, and a form with a name and `=`. Content types
/// are not asked: JSON comes as `text/html`, forms come as `text/plain`, and neither can be mistaken for the
/// other, nor a page for people for either.
///
/// Of members with the same name the last counts that can be read as what is wanted, as in most parsers (RFC
/// 8259, section 4).
#[derive(Default)]
pub(in crate::provider) struct Document(Vec<(String, Value)>);

impl Document {
    /// Reads a body. What does not end is nothing: half a token looks like a whole one.
    pub(in crate::provider) fn read(body: &[u8]) -> Self {
        let text = decoded(body);
        let text = text.trim_matches(|letter: char| letter.is_whitespace() || letter == BYTE_ORDER_MARK);
        Self(member::of_object(text).or_else(|| of_form(text)).unwrap_or_default())
    }

    fn find<'a, T>(&'a self, name: &str, read: impl Fn(&'a Value) -> Option<T>) -> Option<T> {
        let mut values = self.0.iter().rev().filter(|(own, _)| own == name).map(|(_, value)| value);
        values.find_map(read)
    }

    /// The text; empty if there is none.
    pub(in crate::provider) fn text(&self, name: &str) -> &str {
        self.find(name, |value| value.text().filter(|text| !text.is_empty())).unwrap_or_default()
    }

    /// The token: a text that a header can hold, every letter of which could be read.
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

    /// The id, which some write as a text and some as a number.
    pub(in crate::provider) fn id(&self, name: &str) -> Option<String> {
        self.find(name, |value| value.read::<Loose>()?.name())
    }

    /// The words of a text or an array; none if the member is neither.
    pub(in crate::provider) fn words(&self, name: &str) -> Vec<String> {
        let words = self.find(name, |value| value.read().filter(|Words(words)| !words.is_empty()));
        words.unwrap_or_default().0
    }

    /// Whether it is true, which may be written as text.
    pub(in crate::provider) fn flag(&self, name: &str) -> Option<bool> {
        self.find(name, Value::flag)
    }

    /// The object; an empty one if there is none.
    pub(in crate::provider) fn object(&self, name: &str) -> Self {
        self.find(name, Value::members).map(Self).unwrap_or_default()
    }
}

const BYTE_ORDER_MARK: char = '\u{feff}';

/// The text of a body: UTF-8, or UTF-16 where it says so. What is neither costs the letters that cannot be
/// read and no others.
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
