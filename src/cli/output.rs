//! What a command tells its user.

use std::{
    fmt::Display,
    io::{self, ErrorKind, Write},
};

use super::Failure;

/// Writes a line to standard output and flushes it.
///
/// # Errors
/// [`Failure::ReaderLeft`] if nobody reads any more, as in `check | head -1`.
pub(super) fn say(line: impl Display) -> Result<(), Failure> {
    write(&mut io::stdout().lock(), line)
}

/// Writes a line to standard error. If that is closed, there is nobody to tell.
pub(super) fn complain(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

fn write(out: &mut impl Write, line: impl Display) -> Result<(), Failure> {
    let written = writeln!(out, "{line}").and_then(|()| out.flush());
    written.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::ReaderLeft,
        _ => Failure::Other(format!("cannot write the output: {error}")),
    })
}

/// Returns the program as it was started, for commands to paste into a shell.
#[expect(clippy::disallowed_methods, reason = "clap does not tell by which path it was started")]
pub(super) fn program() -> String {
    let name = std::env::args().next().filter(|name| !name.is_empty());
    quoted(&name.unwrap_or_else(|| env!("CARGO_PKG_NAME").to_owned()))
}

/// Quotes `text` as one word of a POSIX shell.
pub(super) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_survives_the_shell() {
        for (text, word) in [
            ("target/debug/idp-token-service", "target/debug/idp-token-service"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("google-oauth2|1", "'google-oauth2|1'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(text), word);
        }
    }
}
