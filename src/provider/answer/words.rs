//! Lists of words, such as scopes, in any notation.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::Loose;

/// The words of a text, separated by white space or commas, or the texts of an array; none for any other
/// type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::provider) struct Words(pub(in crate::provider) Vec<String>);

impl Words {
    /// Splits a text into words. No provider's scopes contain commas, and some providers separate them by
    /// commas.
    pub(in crate::provider) fn of(text: &str) -> Self {
        let words = text.split([',', ' ', '\t', '\n', '\r']).filter(|word| !word.is_empty());
        Self(words.map(str::to_owned).collect())
    }

    /// The words that are not among `others`; all of them if that leaves none, since something must be
    /// missing.
    pub(in crate::provider) fn without(self, others: &Self) -> Vec<String> {
        let lacking: Vec<_> = self.0.iter().filter(|word| !others.0.contains(word)).cloned().collect();
        if lacking.is_empty() { self.0 } else { lacking }
    }
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyType)
    }
}

struct AnyType;

impl<'de> Visitor<'de> for AnyType {
    type Value = Words;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_str<E>(self, text: &str) -> Result<Words, E> {
        Ok(Words::of(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Words, A::Error> {
        let mut words = Vec::new();
        while let Some(item) = items.next_element::<Loose>()? {
            words.extend(Words::of(item.text()).0);
        }
        Ok(Words(words))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Words, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Words::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Words, E> {
        Ok(Words::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Words, E> {
        Ok(Words::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Words, E> {
        Ok(Words::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Words, E> {
        Ok(Words::default())
    }

    fn visit_unit<E>(self) -> Result<Words, E> {
        Ok(Words::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_from_texts_and_arrays_and_nothing_else_is_an_error() {
        let rows: [(&str, &[&str]); 9] = [
            (r#""repo, user:email""#, &["repo", "user:email"]),
            (r#""https://a/b  openid\n""#, &["https://a/b", "openid"]),
            (r#"["a", "b c", 5, null, ["d"]]"#, &["a", "b", "c"]),
            (r#""""#, &[]),
            ("null", &[]),
            ("5", &[]),
            ("-1.5", &[]),
            ("true", &[]),
            (r#"{"a":["b"]}"#, &[]),
        ];
        for (text, expected) in rows {
            let words = serde_json::from_str::<Words>(text).ok();
            assert_eq!(
                words.map(|Words(words)| words),
                Some(expected.iter().map(ToString::to_string).collect())
            );
        }
    }

    #[test]
    fn something_is_always_missing() {
        let (a, ab) = (Words::of("a"), Words::of("a b"));
        assert_eq!(ab.clone().without(&a), ["b"]);
        assert_eq!(a.without(&ab), ["a"]);
    }
}
