//! One event, one line: whatever a provider, a caller or an operating system has put into it.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

/// Bytes; of a longer line the rest is left out. No line of ours has a tenth of that.
const LONGEST: usize = 8 * 1024;

/// Writes lines to what another makes. `tracing_subscriber` hands over each event whole; of what its text format leaves
/// as it is, line breaks would begin a line that nobody wrote, and marks of direction would turn one around.
pub(super) struct Lines<M>(pub(super) M);

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for Lines<M> {
    type Writer = Line<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Line(self.0.make_writer())
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> Self::Writer {
        Line(self.0.make_writer_for(event))
    }
}

/// The writer of one line.
pub(super) struct Line<W>(W);

impl<W: Write> Write for Line<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.0.write_all(one_line(&String::from_utf8_lossy(event)).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn one_line(event: &str) -> String {
    let text = event.strip_suffix('\n').unwrap_or(event);
    let mut line = String::with_capacity(text.len() + 1);
    for letter in text.chars() {
        if line.len() >= LONGEST {
            line.push_str(" [...]");
            break;
        }
        if is_harmful(letter) {
            let _ = write!(line, "{}", letter.escape_default());
        } else {
            line.push(letter);
        }
    }
    line.push('\n');
    line
}

/// Escape sequences stand where the format puts colours; in what is quoted, it has escaped them itself.
fn is_harmful(letter: char) -> bool {
    const ESCAPE: char = '\u{1b}';
    let turns = matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}');
    letter.is_control() && letter != ESCAPE || turns
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
            assert_eq!(one_line(event), expected, "{event:?}");
        }
        let long = one_line(&format!("{}\n", "\n".repeat(100_000)));
        assert!(long.len() < LONGEST + 16 && long.ends_with(" [...]\n"), "{}", long.len());
    }
}
