//! Percent-encoding as hostile callers use it.

/// Decodes `text` until nothing is left to decode: what a chain of servers may see if each decodes once. A
/// single pass over a stack is enough: no escape contains another, so the order of decoding does not matter.
pub(crate) fn fully_decoded(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        decoded.push(byte);
        while let Some(value) = last_escape(&decoded) {
            decoded.truncate(decoded.len() - 3);
            decoded.push(value);
        }
    }
    decoded
}

fn last_escape(bytes: &[u8]) -> Option<u8> {
    let [.., b'%', high, low] = bytes else { return None };
    Some(hex(*high)? << 4 | hex(*low)?)
}

fn hex(digit: u8) -> Option<u8> {
    u8::try_from(char::from(digit).to_digit(16)?).ok()
}

/// Returns whether two hexadecimal digits follow every `%`.
pub(super) fn is_whole(text: &str) -> bool {
    text.split('%').skip(1).all(|after| {
        let mut digits = after.bytes();
        digits.next().is_some_and(|byte| byte.is_ascii_hexdigit())
            && digits.next().is_some_and(|byte| byte.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_layer_is_decoded() {
        let rows: [(&str, &[u8]); 8] = [
            ("a", b"a"),
            ("%2e", b"."),
            ("%252E", b"."),
            ("%25252e", b"."),
            ("%25%32%65", b"."),
            ("100%25", b"100%"),
            ("%zz%2", b"%zz%2"),
            ("%FF", b"\xff"),
        ];
        for (text, decoded) in rows {
            assert_eq!(fully_decoded(text), decoded, "{text}");
        }
    }

    #[test]
    fn a_broken_escape_is_seen() {
        for (text, whole) in
            [("", true), ("a%2Fb", true), ("%", false), ("%2", false), ("%2g", false), ("%%41", false)]
        {
            assert_eq!(is_whole(text), whole, "{text}");
        }
    }

    proptest! {
        #[test]
        fn one_pass_does_what_repeated_decoding_does(text in "[%25ea./]{0,40}") {
            let mut expected = text.clone().into_bytes();
            for _ in 0..text.len() {
                expected = percent_decode(&expected).collect();
            }
            prop_assert_eq!(fully_decoded(&text), expected);
        }
    }
}
