//! The audit log: one record of every RPC call, whatever its outcome.
//!
//! A call reserves its place in a bounded queue before any work is done ([`AuditScope::reserve`]), so that
//! writing the record at the end cannot fail: what cannot be recorded is not done. A call that is rejected
//! earlier, or whose message never arrives, takes its place only when it ends, so that it holds nothing that
//! other calls need. The code that works on a call notes what it learns in the call's [`AuditScope`]. A
//! single thread writes (`writer`); it retries what it cannot write and never drops a record silently.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    runtime::Handle,
    sync::{
        mpsc::{
            self, OwnedPermit,
            error::{SendError, TrySendError},
        },
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
mod scope;
#[cfg(test)]
mod tests;
mod writer;

pub use file::{Destination, try_out};
pub use line::Format;
pub use pseudonym::{MalformedKey, UserIdKey};
pub use record::Outcome;
pub use scope::{AuditGuard, AuditScope};

use file::Sink;
use scope::Shared;
use writer::Writer;

/// Maximum number of records in progress or waiting for the writer: many times the number of concurrent
/// calls, so that a brief stall of the disk goes unnoticed. A record is usually 1 KiB and at most 16 KiB.
const QUEUE: usize = 8192;

/// The longest that a call waits for a place in the queue.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long [`Audit::finish`] waits for the last records: longer than the writer keeps trying.
const FLUSH: Duration = Duration::from_secs(7);

/// Settings of the audit log: what is recorded, where, and in which format.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where records go. Default: stdout.
    pub destination: Destination,
    /// The format of records. Default: JSON.
    pub format: Format,
    /// Which calls are recorded. Default: all.
    pub level: Level,
    /// The key that replaces user ids by pseudonyms. Default: none; ids are recorded as they are.
    pub user_id_key: Option<Arc<UserIdKey>>,
}

/// Selects which calls are recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// All calls.
    #[default]
    All,
    /// Calls that did not end with OK.
    Refusals,
    /// No calls.
    Off,
}

/// The audit log of one server. Cheap to clone; the default records nothing.
#[derive(Clone, Default)]
pub struct Audit(Option<Arc<Recorder>>);

struct Recorder {
    queue: mpsc::Sender<Shared>,
    level: Level,
    /// Stops the writer; cancelled at the latest when the last handle is dropped.
    stop: CancellationToken,
    state: watch::Receiver<State>,
    metrics: Arc<Metrics>,
}

/// The state of the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Writing,
    /// The last attempt to write failed.
    Failing,
    /// Everything has been written, or given up.
    Done,
}

impl Recorder {
    /// Reserves a place in the queue, waiting at most [`PATIENCE`].
    async fn place(&self) -> Result<OwnedPermit<Shared>, Unrecorded> {
        let place = match self.queue.clone().try_reserve_owned() {
            Err(TrySendError::Full(queue)) => tokio::time::timeout(PATIENCE, queue.reserve_owned()).await,
            place => Ok(place.map_err(|_| SendError(()))),
        };
        place.ok().and_then(Result::ok).ok_or(Unrecorded)
    }
}

/// The error for a call that has no place in the log, and so must not be worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the call cannot be recorded in the audit log")]
pub struct Unrecorded;

impl Drop for Recorder {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Audit {
    /// Opens the log and starts its writer. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the file cannot be opened or the thread cannot be started.
    pub fn start(settings: &Settings, metrics: &Arc<Metrics>) -> io::Result<Self> {
        if settings.level == Level::Off {
            return Ok(Self::default());
        }
        let (queue, records) = mpsc::channel(QUEUE);
        let (sender, state) = watch::channel(State::Writing);
        let stop = CancellationToken::new();
        let writer = Writer {
            records,
            sink: Sink::open(&settings.destination)?,
            format: settings.format,
            key: settings.user_id_key.clone(),
            stop: stop.clone(),
            state: sender,
            metrics: Arc::clone(metrics),
            last_tries: 0,
        };
        let runtime = Handle::current();
        std::thread::Builder::new().name("audit".to_owned()).spawn(move || writer.run(&runtime))?;
        let (level, metrics) = (settings.level, Arc::clone(metrics));
        Ok(Self(Some(Arc::new(Recorder { queue, level, stop, state, metrics }))))
    }

    /// Begins the record of one call, now.
    pub fn begin(&self) -> AuditGuard {
        self.0.as_ref().map_or_else(AuditGuard::default, |recorder| AuditGuard::new(Arc::clone(recorder)))
    }

    /// Returns whether records can be written, as far as is known, and another one has a place.
    pub fn is_writing(&self) -> bool {
        self.0.as_ref().is_none_or(|recorder| {
            // A closed queue means that the writer is dead.
            *recorder.state.borrow() == State::Writing
                && recorder.queue.capacity() > 0
                && !recorder.queue.is_closed()
        })
    }

    /// Writes the remaining records; nothing is recorded afterwards. To be called after the last call has
    /// ended.
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
