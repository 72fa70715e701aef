//! The thread that writes. What it cannot write it keeps, and tries again.

use std::{
    io,
    sync::{Arc, PoisonError},
    thread::sleep,
    time::{Duration, Instant},
};

use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
};
use tokio_util::sync::CancellationToken;

use super::{
    State,
    file::Sink,
    line::{Format, Line},
    pseudonym::UserIdKey,
    scope::Shared,
};
use crate::telemetry::Metrics;

/// Records that are written at once.
const BATCH: usize = 256;

/// After a write, records gather for so long: to wake the writer for each of them would cost more than all else.
const GATHER: Duration = Duration::from_millis(2);

/// Between two attempts at what could not be written.
const RETRY: Duration = Duration::from_millis(100);

/// A log that cannot be written is told of this often.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// So long the last records are tried at the end.
const LAST_TRIES: Duration = Duration::from_secs(5);

/// See the module's documentation.
pub(super) struct Writer {
    pub(super) records: mpsc::Receiver<Shared>,
    pub(super) sink: Sink,
    pub(super) format: Format,
    pub(super) key: Option<Arc<UserIdKey>>,
    /// From now on nothing new is recorded.
    pub(super) stop: CancellationToken,
    pub(super) state: watch::Sender<State>,
    pub(super) metrics: Arc<Metrics>,
    /// Attempts that failed since the stop.
    pub(super) last_tries: u32,
}

impl Writer {
    /// Writes until it is stopped and every call that has a place has ended.
    pub(super) fn run(mut self, runtime: &Handle) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut text = Vec::new();
        while runtime.block_on(next(&mut self.records, &mut batch, &self.stop)) > 0 {
            text.clear();
            let count = batch.len();
            batch.drain(..).for_each(|call| self.format(&call, &mut text));
            if self.write(&text) {
                self.metrics.audit_records_written(count);
            }
            if !self.stop.is_cancelled() {
                sleep(GATHER);
            }
        }
        let _ = self.state.send(State::Done);
    }

    fn format(&self, call: &Shared, text: &mut Vec<u8>) {
        let call = call.lock().unwrap_or_else(PoisonError::into_inner);
        let mut line = Line::begin(self.format, text);
        call.record.write(&mut line, self.key.as_deref());
        line.end();
    }

    /// Writes whole lines, however long that takes; `false` if they had to be given up at the end.
    fn write(&mut self, text: &[u8]) -> bool {
        let mut written = 0;
        let mut told = None;
        while written < text.len() {
            match self.write_some(text, &mut written) {
                Ok(()) => continue,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => self.tell(&error, &mut told),
            }
            if self.is_hopeless() {
                let records = text[written..].iter().filter(|byte| **byte == b'\n').count();
                tracing::error!(
                    records,
                    "Audit records are lost: the log cannot be written, and the service stops"
                );
                return false;
            }
            sleep(RETRY);
        }
        if told.is_some() {
            tracing::info!("The audit log can be written again; no record was lost");
            let _ = self.state.send(State::Writing);
        }
        true
    }

    fn write_some(&mut self, text: &[u8], written: &mut usize) -> io::Result<()> {
        if self.sink.follow()? {
            // The rest of a line means nothing in another file.
            *written = start_of_line(text, *written);
        }
        *written += self.sink.write(&text[*written..])?;
        Ok(())
    }

    /// Tells that an attempt failed, if that was not `told` lately.
    fn tell(&self, error: &io::Error, told: &mut Option<Instant>) {
        self.metrics.audit_write_failed();
        if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            tracing::error!(%error, "The audit log cannot be written: calls are refused as soon as its queue is full");
            *told = Some(Instant::now());
            let _ = self.state.send(State::Failing);
        }
    }

    /// Whether what could not be written just now is not worth another attempt, since the service waits to end.
    fn is_hopeless(&mut self) -> bool {
        self.last_tries += u32::from(self.stop.is_cancelled());
        RETRY * self.last_tries >= LAST_TRIES
    }
}

/// Where the line begins that `text` has at `at`.
fn start_of_line(text: &[u8], at: usize) -> usize {
    text[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1)
}

/// Waits for records: how many there are. None where nobody can record anything any more.
async fn next(
    records: &mut mpsc::Receiver<Shared>,
    batch: &mut Vec<Shared>,
    stop: &CancellationToken,
) -> usize {
    if !records.is_closed() {
        tokio::select! {
            count = records.recv_many(batch, BATCH) => return count,
            // Calls that have their place already may still use it.
            () = stop.cancelled() => records.close(),
        }
    }
    records.recv_many(batch, BATCH).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_torn_is_written_whole_elsewhere() {
        for (written, expected) in [(0, 0), (2, 0), (4, 4), (5, 4), (8, 8)] {
            assert_eq!(start_of_line(b"one\ntwo\n", written), expected, "{written}");
        }
    }
}
