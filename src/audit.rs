//! The audit log: one record of every call to the RPCs, whatever comes of it.
//!
//! A call takes its place in a bounded queue before it begins ([`Audit::begin`]), so that writing the record down at its
//! end cannot fail: what cannot be recorded is not done. Whoever works on the call notes in its [`Trail`] what it finds
//! out. One thread writes ([`writer`]); what it cannot write it tries again, and no record is left out in silence.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    runtime::Handle,
    sync::{
        mpsc::{self, error::TrySendError},
        watch,
    },
};
use tokio_util::sync::CancellationToken;

use crate::telemetry::Metrics;

mod file;
mod line;
mod mask;
mod pseudonym;
mod record;
#[cfg(test)]
mod tests;
mod trail;
mod writer;

pub use file::{Destination, try_out};
pub use line::Format;
pub use pseudonym::{MalformedKey, UserIdKey};
pub use record::Outcome;
pub use trail::{Entry, Trail};

use file::Sink;
use trail::Shared;
use writer::Writer;

/// Records that are under way or wait for the writer: many times the calls at once, so that a disk which halts for a
/// moment is not noticed. A record has 1 KiB as a rule and 16 KiB at most.
const QUEUE: usize = 8192;

/// How long a call waits for a place, at most.
const PATIENCE: Duration = Duration::from_secs(1);

/// So long the last records are waited for at the end: longer than the writer tries.
const FLUSH: Duration = Duration::from_secs(7);

/// What is recorded, where, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where records go. stdout.
    pub destination: Destination,
    /// How they are written. JSON.
    pub format: Format,
    /// Which calls are recorded. All.
    pub level: Level,
    /// Takes the place of user ids. None: they are recorded as they are.
    pub user_id_key: Option<Arc<UserIdKey>>,
}

/// Which calls are recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// All calls.
    #[default]
    All,
    /// Those that did not end with OK.
    Refusals,
    /// None.
    Off,
}

/// The audit log of one server. Cheap to clone; the default records nothing.
#[derive(Clone, Default)]
pub struct Audit(Option<Arc<Recorder>>);

struct Recorder {
    queue: mpsc::Sender<Shared>,
    level: Level,
    /// Ends the writer, when nobody is left to record anything at the latest.
    stop: CancellationToken,
    state: watch::Receiver<State>,
    metrics: Arc<Metrics>,
}

/// How the writer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Writing,
    /// The last attempt to write failed.
    Failing,
    /// All is written, or given up.
    Done,
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Audit {
    /// Opens the log and starts its writer. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the file cannot be opened, or no thread be started.
    pub fn start(settings: &Settings, metrics: &Arc<Metrics>) -> io::Result<Self> {
        if settings.level == Level::Off {
            return Ok(Self::default());
        }
        let (queue, records) = mpsc::channel(QUEUE);
        let (told, state) = watch::channel(State::Writing);
        let stop = CancellationToken::new();
        let writer = Writer {
            records,
            sink: Sink::open(&settings.destination)?,
            format: settings.format,
            key: settings.user_id_key.clone(),
            stop: stop.clone(),
            state: told,
            metrics: Arc::clone(metrics),
            last_tries: 0,
        };
        let runtime = Handle::current();
        std::thread::Builder::new().name("audit".to_owned()).spawn(move || writer.run(&runtime))?;
        let (level, metrics) = (settings.level, Arc::clone(metrics));
        Ok(Self(Some(Arc::new(Recorder { queue, level, stop, state, metrics }))))
    }

    /// A place for the record of one call; `None` if there is none at the moment. What is not recorded has one always.
    pub fn begin(&self) -> Option<Entry> {
        let Some(recorder) = &self.0 else { return Some(Entry::default()) };
        match recorder.queue.clone().try_reserve_owned() {
            Ok(place) => Some(Entry::new(place, recorder.level)),
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => None,
        }
    }

    /// The same, waiting for one: a second, or `longest` if that is shorter. `None` says that the call must not be worked
    /// on, and counts it.
    pub async fn wait(&self, longest: Duration) -> Option<Entry> {
        let Some(recorder) = &self.0 else { return Some(Entry::default()) };
        let place = recorder.queue.clone().reserve_owned();
        let place = tokio::time::timeout(longest.min(PATIENCE), place).await;
        let place = place.ok().and_then(Result::ok);
        if place.is_none() {
            recorder.metrics.audit_call_refused();
        }
        place.map(|place| Entry::new(place, recorder.level))
    }

    /// Whether records can be written, as far as is known.
    pub fn is_writing(&self) -> bool {
        self.0.as_ref().is_none_or(|recorder| *recorder.state.borrow() == State::Writing)
    }

    /// Writes what there is, after the last call has ended. Records nothing any more.
    pub async fn finish(self) {
        let Some(recorder) = &self.0 else { return };
        recorder.stop.cancel();
        let mut state = recorder.state.clone();
        let done = state.wait_for(|state| *state == State::Done);
        if tokio::time::timeout(FLUSH, done).await.is_err() {
            tracing::error!("The last audit records could not be written in time: they are lost");
        }
    }
}
