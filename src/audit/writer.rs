//! The thread that writes records. It keeps what it cannot write and tries again.

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

/// Maximum number of records per write.
const BATCH: usize = 256;

/// Pause after each write, during which records gather: waking the writer for every record would cost more
/// than everything else.
const GATHER: Duration = Duration::from_millis(2);

/// Pause between two attempts to write.
const RETRY: Duration = Duration::from_millis(100);

/// Minimum time between two log messages about failed writes.
const REPORT_EVERY: Duration = Duration::from_secs(30);

/// How long the last records are tried at shutdown.
const LAST_TRIES: Duration = Duration::from_secs(5);

/// Writes the records of calls; see the module's documentation.
pub(super) struct Writer {
    pub(super) records: mpsc::Receiver<Shared>,
    pub(super) sink: Sink,
    pub(super) format: Format,
    pub(super) key: Option<Arc<UserIdKey>>,
    /// Cancelled when no further records are accepted.
    pub(super) stop: CancellationToken,
    pub(super) state: watch::Sender<State>,
    pub(super) metrics: Arc<Metrics>,
    /// Failed attempts since `stop`.
    pub(super) last_tries: u32,
}

impl Writer {
    /// Writes until it is stopped and every call that reserved a place has ended.
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

    /// Writes whole lines, however long that takes; `false` if they had to be given up at shutdown.
    fn write(&mut self, text: &[u8]) -> bool {
        let mut written = 0;
        let mut reported = None;
        while written < text.len() {
            match self.write_some(text, &mut written) {
                Ok(()) => continue,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => self.report(&error, &mut reported),
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
        if reported.is_some() {
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

    /// Logs that an attempt failed, unless that was `reported` recently.
    fn report(&self, error: &io::Error, reported: &mut Option<Instant>) {
        self.metrics.audit_write_failed();
        if reported.is_none_or(|reported| reported.elapsed() >= REPORT_EVERY) {
            tracing::error!(%error, "The audit log cannot be written: calls are refused as soon as its queue is full");
            *reported = Some(Instant::now());
            let _ = self.state.send(State::Failing);
        }
    }

    /// Returns whether to give up what could not be written, since the service is waiting to stop.
    fn is_hopeless(&mut self) -> bool {
        self.last_tries += u32::from(self.stop.is_cancelled());
        RETRY * self.last_tries >= LAST_TRIES
    }
}

/// Returns the start of the line of `text` that contains `at`.
fn start_of_line(text: &[u8], at: usize) -> usize {
    text[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1)
}

/// Waits for records and returns how many arrived; 0 when no more can.
async fn next(
    records: &mut mpsc::Receiver<Shared>,
    batch: &mut Vec<Shared>,
    stop: &CancellationToken,
) -> usize {
    if !records.is_closed() {
        tokio::select! {
            count = records.recv_many(batch, BATCH) => return count,
            // Calls that have reserved a place may still use it.
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
