//! The kinds of values, and how they are written.

use std::{borrow::Cow, fmt, net::SocketAddr, time::Duration};

use toml::de::DeValue;
use tracing::Level;

/// The TOML type of a value. The environment only has text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `"in quotes"`
    Text,
    /// `10`
    Number,
    /// `true`
    Boolean,
}

/// A kind of value. Errors complete a sentence after the key's name, and never quote the value, since any
/// value may be a misplaced secret.
pub(super) trait Setting: Sized {
    /// Accepted values, to complete a sentence after "must be", and for the documentation.
    const EXPECTED: &'static str;
    /// The TOML type.
    const SHAPE: Shape = Shape::Text;

    /// Returns the value, or what is wrong with it.
    fn parse(text: &str) -> Result<Self, String>;
}

/// Parses a value that this program itself wrote: a default, or the end of a range.
pub(super) fn constant<T: Setting>(text: &str) -> T {
    T::parse(text).unwrap_or_else(|what| panic!("a default or a limit {what}"))
}

/// A check that a value lies in a range, written like it, which includes both ends.
pub(super) fn range<T: Setting + PartialOrd>(from: &str, to: &str) -> impl Fn(&T) -> Result<(), String> {
    let (range, problem) = (constant::<T>(from)..=constant::<T>(to), format!("must be from {from} to {to}"));
    move |value| range.contains(value).then_some(()).ok_or_else(|| problem.clone())
}

/// Returns the text of a TOML value if it has the right type.
pub(super) fn text_of(value: DeValue<'_>, shape: Shape) -> Option<Cow<'_, str>> {
    match (shape, value) {
        (Shape::Text, DeValue::String(text)) => Some(text),
        (Shape::Boolean, DeValue::Boolean(value)) => Some(value.to_string().into()),
        (Shape::Number, DeValue::Integer(number)) => {
            Some(number.as_str().replace('_', "").into()).filter(|_| number.radix() == 10)
        }
        _ => None,
    }
}

/// Returns the type of a TOML value, with its article.
pub(super) fn kind(value: &DeValue<'_>) -> String {
    let kind = value.type_str();
    let article = if kind.starts_with(['a', 'i']) { "an" } else { "a" };
    format!("{article} {kind}")
}

/// Returns the usual error.
pub(super) fn must_be<T: Setting>() -> String {
    format!("must be {}", T::EXPECTED)
}

impl Setting for bool {
    const EXPECTED: &'static str = "`true` or `false`";
    const SHAPE: Shape = Shape::Boolean;

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| must_be::<Self>())
    }
}

impl Setting for u32 {
    const EXPECTED: &'static str = "a whole number, such as `10`";
    const SHAPE: Shape = Shape::Number;

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| must_be::<Self>())
    }
}

impl Setting for Duration {
    const EXPECTED: &'static str = "a duration with its unit, such as `60s`, `5m` or `1h30m`";

    fn parse(text: &str) -> Result<Self, String> {
        humantime::parse_duration(text).map_err(|_| must_be::<Self>())
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Size(pub(super) usize);

impl Setting for Size {
    const EXPECTED: &'static str = "a size with its unit, such as `512MiB` or `2GiB`";

    fn parse(text: &str) -> Result<Self, String> {
        let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
        let read = units.iter().find_map(|(unit, bytes)| {
            let digits = text.strip_suffix(unit)?.trim_end();
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse::<usize>().ok().filter(|_| is_number)?.checked_mul(*bytes)
        });
        read.map(Self).ok_or_else(must_be::<Self>)
    }
}

impl Setting for SocketAddr {
    const EXPECTED: &'static str = "an IP address and a port, such as `127.0.0.1:50051`";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| must_be::<Self>())
    }
}

/// The address of the admin endpoint.
pub(super) struct AdminAddress(pub(super) SocketAddr);

impl Setting for AdminAddress {
    const EXPECTED: &'static str = "an IP address and a port, such as `127.0.0.1:9464`";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| must_be::<Self>())
    }
}

impl Setting for Level {
    const EXPECTED: &'static str = "`error`, `warn`, `info`, `debug` or `trace`";

    fn parse(text: &str) -> Result<Self, String> {
        let levels = [Self::ERROR, Self::WARN, Self::INFO, Self::DEBUG, Self::TRACE];
        levels
            .into_iter()
            .find(|level| level.as_str().to_ascii_lowercase() == text)
            .ok_or_else(must_be::<Self>)
    }
}

/// The format of log events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of text per event, for people.
    #[default]
    Text,
    /// One JSON object per line and event, for log stores.
    Json,
}

impl Setting for LogFormat {
    const EXPECTED: &'static str = "`text` or `json`";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(must_be::<Self>()),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "string in quotes",
            Self::Number => "number without quotes",
            Self::Boolean => "word without quotes",
        })
    }
}
