//! A check of JSON before it is parsed: keys are unique, and there are no more values than a message can
//! need.
//!
//! The parser would take the last of two equal keys. A proxy before this service that judges by the first
//! would then judge another request than the one that is carried out.

use std::{borrow::Cow, collections::HashSet, fmt};

use serde::de::{Deserialize, DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

/// Maximum number of values in a message, nested ones included. A call has some dozens; each takes a hundred
/// times the memory of the two bytes that it can be written in.
const VALUES: usize = 16 * 1024;

/// Checks `json`, to a depth of 128 (serde_json's own limit).
///
/// # Errors
/// When it is not JSON, a key occurs twice in an object, or there are more than [`VALUES`].
pub(super) fn check(json: &[u8]) -> Result<(), serde_json::Error> {
    let mut left = VALUES;
    let mut json = serde_json::Deserializer::from_slice(json);
    Look { left: &mut left }.deserialize(&mut json)?;
    json.end()
}

/// Checks one value, and all values in it.
struct Look<'a> {
    /// How many more values are allowed.
    left: &'a mut usize,
}

impl Look<'_> {
    fn further(&mut self) -> Look<'_> {
        Look { left: self.left }
    }
}

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        *self.left =
            self.left.checked_sub(1).ok_or_else(|| Error::custom(format!("more than {VALUES} values")))?;
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self.further())?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
        let mut keys = HashSet::new();
        while let Some(Key(key)) = entries.next_key()? {
            if !keys.insert(spelling(&key)) {
                return Err(Error::custom(format!("duplicate field '{key}'")));
            }
            entries.next_value_seed(self.further())?;
        }
        Ok(())
    }
}

struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Borrowed;
        impl<'de> Visitor<'de> for Borrowed {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(key)))
            }

            fn visit_str<E>(self, key: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }
        json.deserialize_str(Borrowed)
    }
}

/// Unifies the two spellings of a field: `user_id` is `userId`.
fn spelling<'a>(key: &Cow<'a, str>) -> Cow<'a, str> {
    if !key.contains('_') {
        return key.clone();
    }
    let mut spelt = String::with_capacity(key.len());
    let mut capital = false;
    for letter in key.chars() {
        match letter {
            '_' => capital = true,
            letter if capital => {
                spelt.push(letter.to_ascii_uppercase());
                capital = false;
            }
            letter => spelt.push(letter),
        }
    }
    Cow::Owned(spelt)
}
