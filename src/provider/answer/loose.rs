//! JSON values of uncertain types.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// A JSON value that should be text or a whole number. Providers write both `463` and `"463"`; any other type
/// is [`Loose::Other`] instead of an error, so that one odd field does not hide the rest.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::provider) enum Loose {
    /// A string.
    Text(String),
    /// A number, without its fraction.
    Number(i64),
    /// Absent, null, or another type.
    #[default]
    Other,
}

impl Loose {
    /// The text; empty if the value is not one.
    pub(in crate::provider) fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            _ => "",
        }
    }

    /// The id, which some providers write as text and some as a number.
    pub(in crate::provider) fn name(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()).filter(|text| !text.is_empty()),
            Self::Number(number) => Some(number.to_string()),
            Self::Other => None,
        }
    }

    /// The number, which may be written as text, also as a duration in protobuf's JSON such as `3600s`.
    pub(in crate::provider) fn number(&self) -> Option<i64> {
        match self {
            Self::Text(text) => whole(text.trim().trim_end_matches('s')),
            Self::Number(number) => Some(*number),
            Self::Other => None,
        }
    }
}

/// Parses a number, without its fraction.
fn whole(text: &str) -> Option<i64> {
    let of_fraction = || text.parse::<f64>().ok().filter(|number| number.is_finite());
    text.parse().ok().or_else(|| of_fraction().map(|number| number as i64)) // `as` saturates
}

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyType)
    }
}

struct AnyType;

impl<'de> Visitor<'de> for AnyType {
    type Value = Loose;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_str<E>(self, text: &str) -> Result<Loose, E> {
        Ok(Loose::Text(text.to_owned()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Loose, E> {
        Ok(Loose::Number(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Loose, E> {
        Ok(i64::try_from(number).map_or(Loose::Other, Loose::Number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Loose, E> {
        Ok(Loose::Number(number as i64)) // `as` saturates
    }

    fn visit_bool<E>(self, _: bool) -> Result<Loose, E> {
        Ok(Loose::Other)
    }

    fn visit_unit<E>(self) -> Result<Loose, E> {
        Ok(Loose::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Loose, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Loose::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Loose, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Loose::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_types_are_no_error() {
        let rows = [
            ("\"463\"", Loose::Text("463".to_owned())),
            ("463", Loose::Number(463)),
            ("463.9", Loose::Number(463)),
            ("1e300", Loose::Number(i64::MAX)),
            ("-1", Loose::Number(-1)),
            ("18446744073709551615", Loose::Other),
            ("true", Loose::Other),
            ("null", Loose::Other),
            ("[1, {\"a\": []}]", Loose::Other),
            ("{\"a\": [1]}", Loose::Other),
        ];
        for (text, expected) in rows {
            assert_eq!(serde_json::from_str::<Loose>(text).ok(), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_text_is_a_number_however_it_is_written() {
        let rows = [
            (" 463 ", Some(463)),
            ("463.0", Some(463)),
            ("463.9", Some(463)),
            ("-1.5", Some(-1)),
            ("4.63e2", Some(463)),
            ("463s", Some(463)),
            ("1e300", Some(i64::MAX)),
            ("", None),
            ("s", None),
            ("inf", None),
            ("NaN", None),
            ("0x1f", None),
            ("1 h", None),
        ];
        for (text, expected) in rows {
            assert_eq!(Loose::Text(text.to_owned()).number(), expected, "{text}");
        }
    }
}
