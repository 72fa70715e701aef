//! Logs to stderr, one line per event, as text or JSON. They never contain tokens or bodies.

mod line;

use std::io::IsTerminal;

use tracing::{Level, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Layer, filter,
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
};

pub use line::is_obeyed;

use line::Lines;

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line, for collectors.
    Json,
}

/// Creates a subscriber that writes what `directives` (in the syntax of `RUST_LOG`) allow.
///
/// Other crates are limited to `info`, whatever the directives say: below that, HTTP libraries print headers
/// and frames, including this service's secrets.
pub fn subscriber<W>(directives: &str, format: Format, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let wanted =
        EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).parse_lossy(directives);
    let ours = filter::filter_fn(|event| {
        *event.level() <= Level::INFO || event.target().starts_with(env!("CARGO_CRATE_NAME"))
    });
    let lines: Box<dyn Layer<_> + Send + Sync> = match format {
        Format::Text => {
            let colours = std::io::stderr().is_terminal();
            Box::new(fmt::layer().with_writer(Lines { writer, colours }).with_ansi(colours))
        }
        Format::Json => Box::new(
            fmt::layer()
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .with_span_list(false)
                .with_writer(writer),
        ),
    };
    tracing_subscriber::registry().with(lines.with_filter(ours)).with(wanted)
}

/// Installs a panic hook that logs panics in the log's format instead of printing them.
///
/// The message is quoted only if it is a literal of the program; one formatted at run time may hold a secret.
pub fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload().downcast_ref::<&str>().copied().unwrap_or("a message made at run time");
        tracing::error!(location, "Panicked: {message}");
    }));
}
