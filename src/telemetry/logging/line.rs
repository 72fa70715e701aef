//! Keeps every event on one line, whatever a provider, a caller or an operating system has put into it.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

/// Maximum bytes of a line; the rest is cut. No line of this service has a tenth of that.
const LONGEST: usize = 8 * 1024;

/// A writer that cleans each event, which `tracing_subscriber` writes as a whole. Its text format leaves some
/// characters that could forge a line (line breaks) or reverse one (direction marks).
pub(super) struct Lines<M> {
    pub(super) writer: M,
    /// Whether the format uses colours.
    pub(super) colours: bool,
}

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for Lines<M> {
    type Writer = Line<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Line { writer: self.writer.make_writer(), colours: self.colours }
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> Self::Writer {
        Line { writer: self.writer.make_writer_for(event), colours: self.colours }
    }
}

/// The writer of one line.
pub(super) struct Line<W> {
    writer: W,
    colours: bool,
}

impl<W: Write> Write for Line<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let line = one_line(&String::from_utf8_lossy(event), self.colours);
        self.writer.write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

fn one_line(event: &str, colours: bool) -> String {
    let text = event.strip_suffix('\n').unwrap_or(event);
    let mut line = String::with_capacity(text.len() + 1);
    for (at, letter) in text.char_indices() {
        if line.len() >= LONGEST {
            line.push_str(" [...]");
            break;
        }
        let is_colour = colours && letter == ESCAPE && begins_colour(&text[at + 1..]);
        if is_obeyed(letter) && !is_colour {
            let _ = write!(line, "{}", letter.escape_default());
        } else {
            line.push(letter);
        }
    }
    line.push('\n');
    line
}

const ESCAPE: char = '\u{1b}';

/// Returns whether an escape character before `rest` only sets a colour, as in `[31m`.
fn begins_colour(rest: &str) -> bool {
    let code = rest.strip_prefix('[').and_then(|rest| rest.split_once('m'));
    code.is_some_and(|(code, _)| code.bytes().all(|byte| byte.is_ascii_digit() || byte == b';'))
}

/// Returns whether terminals or viewers interpret `letter` instead of showing it: control characters, line
/// separators, and direction marks.
pub fn is_obeyed(letter: char) -> bool {
    let turns = matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}');
    letter.is_control() || turns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        for (event, expected) in [
            ("INFO ready\n", "INFO ready\n"),
            ("INFO ready", "INFO ready\n"),
            ("a\nERROR b\r\nc\n", "a\\nERROR b\\r\\nc\n"),
            ("a\n\n", "a\\n\n"),
            ("\u{1b}[31mERROR\u{1b}[0m ü\t\0\n", "\u{1b}[31mERROR\u{1b}[0m ü\\t\\u{0}\n"),
            ("a\u{202e}b\u{2028}c\u{85}d\n", "a\\u{202e}b\\u{2028}c\\u{85}d\n"),
        ] {
            assert_eq!(one_line(event, true), expected, "{event:?}");
        }
        assert_eq!(one_line("a\u{1b}[31mb", false), "a\\u{1b}[31mb\n");
        assert_eq!(one_line("a\u{1b}[2Jb\u{1b}]0;m", true), "a\\u{1b}[2Jb\\u{1b}]0;m\n");
        let long = one_line(&"\n".repeat(100_000), true);
        assert!(long.len() < LONGEST + 16 && long.ends_with(" [...]\n"), "{}", long.len());
    }
}
