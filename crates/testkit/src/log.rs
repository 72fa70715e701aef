//! What the service logs, where it runs in the thread of the test.

use std::{
    io,
    sync::{Arc, Mutex},
};

use idp_token_service::telemetry::logging::{Format, subscriber};
use tracing::subscriber::DefaultGuard;

/// The log of this thread, from [`Log::start`] on.
pub struct Log {
    written: Arc<Mutex<Vec<u8>>>,
    _listening: DefaultGuard,
}

#[derive(Clone)]
struct Writer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    pub fn start(format: Format) -> Self {
        let written = Arc::default();
        let writer = Writer(Arc::clone(&written));
        let _listening =
            tracing::subscriber::set_default(subscriber("debug", format, move || writer.clone()));
        Self { written, _listening }
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.written.lock().unwrap().clone()).unwrap()
    }
}
