//! The audit log: one record of every call to the RPCs, whatever comes of it.
//!
//! Before a call is worked on, it takes its place in a bounded queue ([`AuditScope::reserve`]), so that writing the record down at its
//! end cannot fail: what cannot be recorded is not done. A call that is refused before, or whose message never comes, takes it at
//! its end: while it lasts it costs nothing that others need. Whoever works on the call notes in its [`AuditScope`] what it finds
//! out. One thread writes (`writer`); what it cannot write it tries again, and no record is left out in silence.

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

impl Recorder {
    /// A place in the queue; waits for one a second at most.
    async fn place(&self) -> Result<OwnedPermit<Shared>, Unrecorded> {
        let place = match self.queue.clone().try_reserve_owned() {
            Err(TrySendError::Full(queue)) => tokio::time::timeout(PATIENCE, queue.reserve_owned()).await,
            place => Ok(place.map_err(|_| SendError(()))),
        };
        place.ok().and_then(Result::ok).ok_or(Unrecorded)
    }
}

/// There is no place in the log for a call, which must not be worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the call cannot be put on record")]
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

    /// The record of one call, which begins now.
    pub fn begin(&self) -> AuditGuard {
        self.0.as_ref().map_or_else(AuditGuard::default, |recorder| AuditGuard::new(Arc::clone(recorder)))
    }

    /// Whether records can be written, as far as is known, and there is a place for another one.
    pub fn is_writing(&self) -> bool {
        self.0.as_ref().is_none_or(|recorder| {
            // Without a receiver the writer is dead.
            *recorder.state.borrow() == State::Writing
                && recorder.queue.capacity() > 0
                && !recorder.queue.is_closed()
        })
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
