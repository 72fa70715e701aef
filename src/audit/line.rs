//! Writes a record as one line, a JSON object or logfmt, in which no value can escape its quotes.

use std::io::Write;

use crate::telemetry::logging::is_obeyed;

/// The format of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line.
    #[default]
    Json,
    /// `key=value` pairs separated by spaces; quoted values are escaped as in JSON.
    Logfmt,
}

/// A line being written.
pub(super) struct Line<'a> {
    format: Format,
    out: &'a mut Vec<u8>,
    is_empty: bool,
}

impl<'a> Line<'a> {
    /// Begins a line at the end of `out`.
    pub(super) fn begin(format: Format, out: &'a mut Vec<u8>) -> Self {
        if format == Format::Json {
            out.push(b'{');
        }
        Self { format, out, is_empty: true }
    }

    /// Adds a text field. `name` must need no quotes.
    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        if self.format == Format::Logfmt && is_bare(value) {
            self.out.extend_from_slice(value.as_bytes());
            return;
        }
        self.out.push(b'"');
        escape(value, self.out);
        self.out.push(b'"');
    }

    /// Adds a text field if `value` is present.
    pub(super) fn some(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// Adds a number field.
    pub(super) fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        // Writing to memory does not fail.
        let _ = write!(self.out, "{value}");
    }

    /// Ends the line.
    pub(super) fn end(self) {
        let end: &[u8] = if self.format == Format::Json { b"}\n" } else { b"\n" };
        self.out.extend_from_slice(end);
    }

    fn name(&mut self, name: &str) {
        let (before, behind): (&[u8], &[u8]) = match self.format {
            Format::Json => (if self.is_empty { b"\"" } else { b",\"" }, b"\":"),
            Format::Logfmt => (if self.is_empty { b"" } else { b" " }, b"="),
        };
        self.is_empty = false;
        for part in [before, name.as_bytes(), behind] {
            self.out.extend_from_slice(part);
        }
    }
}

/// Returns whether `value` needs no quotes in logfmt.
fn is_bare(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic() && !b"=\"\\".contains(&byte))
}

/// Escapes `text` for a JSON string. Besides what RFC 8259 requires, it escapes characters that a terminal or
/// viewer obeys instead of showing.
fn escape(text: &str, out: &mut Vec<u8>) {
    // Almost every value is plain and is copied in one go.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~') && !b"\"\\".contains(&byte)) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend_from_slice(&[b'\\', letter as u8]),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            letter if is_hidden(letter) => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            letter => out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// Returns whether a reader cannot see `letter`: control characters, and those without a width.
fn is_hidden(letter: char) -> bool {
    is_obeyed(letter)
        || matches!(letter,
            '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(format: Format, fields: &[(&str, &str)]) -> String {
        let mut out = Vec::new();
        let mut line = Line::begin(format, &mut out);
        fields.iter().for_each(|(name, value)| line.text(name, value));
        line.end();
        String::from_utf8(out).expect("it is text")
    }

    #[test]
    fn a_value_stays_within_its_quotes() {
        for (value, json, logfmt) in [
            ("plain", "\"plain\"", "plain"),
            ("", "\"\"", "\"\""),
            ("a b", "\"a b\"", "\"a b\""),
            ("a=b", "\"a=b\"", "\"a=b\""),
            ("a\"b\\", r#""a\"b\\""#, r#""a\"b\\""#),
            ("a\r\n\tb", r#""a\r\n\tb""#, r#""a\r\n\tb""#),
            ("\u{1b}[31m", r#""\u001b[31m""#, r#""\u001b[31m""#),
            ("a\u{2028}b\u{202e}c", r#""a\u2028b\u202ec""#, r#""a\u2028b\u202ec""#),
            ("\u{85}\u{7f}\u{feff}", r#""\u0085\u007f\ufeff""#, r#""\u0085\u007f\ufeff""#),
            ("\u{e0041}", r#""\udb40\udc41""#, r#""\udb40\udc41""#),
            ("Zoë", "\"Zoë\"", "\"Zoë\""),
        ] {
            assert_eq!(line(Format::Json, &[("k", value)]), format!("{{\"k\":{json}}}\n"));
            assert_eq!(line(Format::Logfmt, &[("k", value)]), format!("k={logfmt}\n"));
        }
        assert_eq!(line(Format::Logfmt, &[("a", "1"), ("b", "2")]), "a=1 b=2\n");
        assert_eq!(line(Format::Json, &[("a", "1"), ("b", "2")]), "{\"a\":\"1\",\"b\":\"2\"}\n");
    }

    proptest! {
        #[test]
        fn json_reads_back_as_one_line(value in any::<String>()) {
            let text = line(Format::Json, &[("k", &value)]);
            prop_assert_eq!(text.trim_end_matches('\n').chars().filter(|letter| is_hidden(*letter)).count(), 0);
            prop_assert_eq!(text.matches('\n').count(), 1);
            let read: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
            prop_assert_eq!(read["k"].as_str(), Some(&*value));
        }

        #[test]
        fn logfmt_is_one_line_of_as_many_fields_as_were_written(value in any::<String>()) {
            let text = line(Format::Logfmt, &[("k", &value), ("end", "1")]);
            let quoted = text.strip_prefix("k=").and_then(|text| text.strip_suffix(" end=1\n")).expect("two fields");
            if quoted.starts_with('"') {
                prop_assert_eq!(serde_json::from_str::<String>(quoted).expect("as in JSON"), value);
            } else {
                prop_assert_eq!(quoted, &value);
                prop_assert!(!value.contains([' ', '"', '=']));
            }
        }
    }
}
