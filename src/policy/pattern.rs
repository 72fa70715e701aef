//! Patterns for names and paths: `*` matches within a segment, `**` across segments.
//!
//! Slashes separate segments. `*` matches any letters within a segment; alone, it matches one non-empty
//! segment. `**` must stand alone between slashes and matches one or more segments of any kind: `/a/**`
//! matches everything that begins with `/a/`, but not `/a` itself. All other letters match themselves, byte
//! for byte.
//!
//! For `*`, an encoded slash or backslash, however often encoded, counts as a slash: a server that decodes it
//! early sees two segments. Only `**`, or the same letters in the pattern, match it.

use std::{fmt, str::Split};

use crate::provider::fully_decoded;

/// The longest pattern, in bytes. Matching costs at worst the text's length times this.
pub const PATTERN_LIMIT: usize = 512;

/// A pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    segments: Vec<Segment>,
}

/// The part of a pattern between two slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    /// `**`
    Any,
    /// `*`
    One,
    /// Letters, possibly with `*` among them.
    Of(String),
}

impl Pattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// When it is empty or too long, or a `**` does not stand alone. The text follows "must".
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() || text.len() > PATTERN_LIMIT {
            return Err("must be 1 to 512 bytes long");
        }
        let segments: Option<_> = text.split('/').map(Segment::parse).collect();
        let segments = segments
            .ok_or("must have `**` alone between slashes, as in `a/**`; within a segment write `*`")?;
        Ok(Self { text: text.to_owned(), segments })
    }

    /// Returns whether the pattern matches all of `text`.
    ///
    /// Costs one pass where there is no wildcard, and at worst the product of both lengths.
    pub fn matches(&self, text: &str) -> bool {
        let (mut segments, mut texts) = (self.segments.iter(), text.split('/'));
        // The position after the last `**`, and the text after the segments that it has matched so far.
        let mut resume: Option<(std::slice::Iter<'_, Segment>, Split<'_, char>)> = None;
        loop {
            match (segments.next(), texts.next()) {
                (None, None) => return true,
                (Some(Segment::Any), Some(_)) => resume = Some((segments.clone(), texts.clone())),
                (Some(segment), Some(text)) if segment.matches(text) => {}
                // Each segment after the `**` matches one of the text, so those must remain.
                (Some(_), None) => return false,
                _ => {
                    let Some((behind, left)) = &mut resume else { return false };
                    if left.next().is_none() {
                        return false;
                    }
                    (segments, texts) = (behind.clone(), left.clone());
                }
            }
        }
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Segment {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "**" => Some(Self::Any),
            "*" => Some(Self::One),
            _ => (!text.contains("**")).then(|| Self::Of(text.to_owned())),
        }
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::One => !text.is_empty() && encoded_slashes(text) == 0,
            // The pattern's own encoded slashes match the text's one by one; as many in the text leave none
            // for a `*`.
            Self::Of(pattern) => {
                matches(pattern.as_bytes(), text.as_bytes())
                    && encoded_slashes(pattern) == encoded_slashes(text)
            }
        }
    }
}

/// Returns whether `pattern`, in which `*` matches any letters, matches all of `text`. If the letters after a
/// `*` are found, the earliest place is as good as any later one, so only the last `*` is ever retried.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // The position after the last `*`, and the text after what it has matched so far.
    let mut resume: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(p), text.get(t)) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                p += 1;
                resume = Some((p, t));
            }
            (Some(wanted), Some(found)) if wanted == found => (p, t) = (p + 1, t + 1),
            (Some(_), None) => return false,
            _ => {
                let Some((behind, taken)) = resume else { return false };
                (p, t) = (behind, taken + 1);
                resume = Some((behind, taken + 1));
            }
        }
    }
}

/// Counts the encoded slashes and backslashes that appear when `text` is decoded until nothing is left to
/// decode: `%2F`, `%252F`, `%5C`, and also `%25%32%46`, any part of which may itself be encoded.
fn encoded_slashes(text: &str) -> usize {
    if !text.contains('%') {
        return 0;
    }
    let slashes = |text: &[u8]| text.iter().filter(|byte| b"/\\".contains(byte)).count();
    slashes(&fully_decoded(text)) - slashes(text.as_bytes())
}

#[cfg(test)]
mod tests;
