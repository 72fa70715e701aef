//! Patterns of names and paths: `*` within a segment, `**` across.
//!
//! Slashes part segments. `*` stands for any letters within one, and alone for a whole segment that is not empty.
//! `**` stands alone between slashes, for one segment or more, whatever they are: `/a/**` means all that begins with
//! `/a/`, and not `/a` itself. All else stands for itself, byte for byte.
//!
//! An encoded slash or backslash, however often encoded, counts as a slash for `*`: a server that decodes it early sees
//! two segments. Only `**`, or the same letters in the pattern, mean it.

use std::{fmt, str::Split};

use crate::provider::fully_decoded;

/// The longest pattern, in bytes: what a text costs to match is its length times this at worst.
pub const PATTERN_LIMIT: usize = 512;

/// A pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    segments: Vec<Segment>,
}

/// What stands between two slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    /// `**`
    Any,
    /// `*`
    One,
    /// Letters, perhaps with `*` among them.
    Of(String),
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// When it is empty or too long, or a `**` does not stand alone; as words that follow "must".
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() || text.len() > PATTERN_LIMIT {
            return Err("must be 1 to 512 bytes long");
        }
        let segments: Option<_> = text.split('/').map(Segment::parse).collect();
        let segments = segments
            .ok_or("must have `**` alone between slashes, as in `a/**`; within a segment write `*`")?;
        Ok(Self { text: text.to_owned(), segments })
    }

    /// Whether all of `text` is meant.
    ///
    /// Costs one pass where there is no wildcard, and at worst the product of both lengths.
    pub fn matches(&self, text: &str) -> bool {
        let (mut segments, mut texts) = (self.segments.iter(), text.split('/'));
        // Behind the last `**`, and the text behind the segments that it has taken so far.
        let mut resume: Option<(std::slice::Iter<'_, Segment>, Split<'_, char>)> = None;
        loop {
            match (segments.next(), texts.next()) {
                (None, None) => return true,
                (Some(Segment::Any), Some(_)) => resume = Some((segments.clone(), texts.clone())),
                (Some(segment), Some(text)) if segment.matches(text) => {}
                // Each segment behind the `**` takes one of the text, so it must not take more.
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

    /// The pattern as it was written.
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
            // Each of the pattern's own stands for one of the text's, so that as many leave none for a `*`.
            Self::Of(pattern) => {
                matches(pattern.as_bytes(), text.as_bytes())
                    && encoded_slashes(pattern) == encoded_slashes(text)
            }
        }
    }
}

/// Whether `pattern`, in which `*` stands for any letters, means all of `text`. If the letters behind a `*` are found, the
/// earliest place is as good as any later one, so only the last `*` is ever tried again.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Behind the last `*`, and the text behind what it has taken so far.
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

/// How many slashes and backslashes come to light when `text` is decoded until nothing is left to decode: `%2F`, `%252F`,
/// `%5C`, and also `%25%32%46`, any part of which may be encoded by itself.
fn encoded_slashes(text: &str) -> usize {
    if !text.contains('%') {
        return 0;
    }
    let slashes = |text: &[u8]| text.iter().filter(|byte| b"/\\".contains(byte)).count();
    slashes(&fully_decoded(text)) - slashes(text.as_bytes())
}

#[cfg(test)]
mod tests;
