//! The members of a JSON object, each parsed by itself.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, Visitor, value::StrDeserializer},
};

/// The value of a member.
pub(super) enum Value {
    /// A text.
    Text(String),
    /// Any other JSON, kept as written and parsed only when it is needed.
    Json(String),
}

impl Value {
    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Json(_) => None,
        }
    }

    /// The value as `T`, if it has that type.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Option<T> {
        match self {
            Self::Text(text) => T::deserialize(StrDeserializer::<serde_json::Error>::new(text)).ok(),
            Self::Json(json) => serde_json::from_str(json).ok(),
        }
    }

    /// Returns whether the value is true, which may be written as text.
    pub(super) fn flag(&self) -> Option<bool> {
        let (Self::Text(word) | Self::Json(word)) = self;
        word.trim().to_ascii_lowercase().parse().ok()
    }

    /// The members of the value, if it is an object.
    pub(super) fn members(&self) -> Option<Vec<(String, Self)>> {
        match self {
            Self::Json(json) => of_object(json),
            Self::Text(_) => None,
        }
    }
}

/// Returns the members of the object at the start of `text`; `None` if there is no object or it is truncated.
///
/// Values are delimited by quotes and brackets alone, so that one a parser would reject (a number out of
/// range, half of a surrogate pair, a line break inside a string) does not cost the others.
pub(super) fn of_object(text: &str) -> Option<Vec<(String, Value)>> {
    let mut members = Vec::new();
    let mut rest = text.strip_prefix('{')?.trim_start();
    while !rest.starts_with('}') {
        let (name, after) = rest.split_at_checked(quoted(rest)?)?;
        let value = after.trim_start().strip_prefix(':')?.trim_start();
        let (value, after) = value.split_at_checked(length(value)?)?;
        members.push((unquoted(name).unwrap_or_default(), of_json(value)));
        let after = after.trim_start();
        rest = after.strip_prefix(',').unwrap_or(after).trim_start();
    }
    Some(members)
}

fn of_json(json: &str) -> Value {
    unquoted(json).map_or_else(|| Value::Json(json.trim_end().to_owned()), Value::Text)
}

/// Returns the length of the value at the start of `text`.
fn length(text: &str) -> Option<usize> {
    match text.as_bytes().first()? {
        b'"' => quoted(text),
        b'{' | b'[' => nested(text),
        _ => text.find([',', '}']).filter(|length| *length > 0),
    }
}

/// Returns the length of the string at the start of `text`, quotes included.
fn quoted(text: &str) -> Option<usize> {
    let mut escaped = false;
    let closes = |letter| {
        let closes = letter == '"' && !escaped;
        escaped = letter == '\\' && !escaped;
        closes
    };
    Some(text.strip_prefix('"')?.find(closes)? + 2)
}

/// Returns the length of the object or array at the start of `text`.
fn nested(text: &str) -> Option<usize> {
    let (mut depth, mut end) = (0_usize, 0);
    loop {
        let at = end + text[end..].find(['"', '{', '[', ']', '}'])?;
        end = at + 1;
        match text.as_bytes()[at] {
            b'"' => end = at + quoted(&text[at..])?,
            b'{' | b'[' => depth += 1,
            _ => depth -= 1,
        }
        if depth == 0 {
            return Some(end);
        }
    }
}

/// Decodes a JSON string; characters that are not valid Unicode are replaced.
fn unquoted(json: &str) -> Option<String> {
    serde_json::from_str(json).ok().map(|Lossy(text)| text)
}

/// A JSON string read as bytes: serde_json then accepts line breaks and half surrogate pairs.
struct Lossy(String);

impl<'de> Deserialize<'de> for Lossy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(LossyVisitor).map(Self)
    }
}

struct LossyVisitor;

impl Visitor<'_> for LossyVisitor {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<String, E> {
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }
}
