//! The TLS certificate in use, replaced while the service runs.

use std::{sync::Arc, time::Duration};

use rustls::ServerConfig;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use crate::{
    telemetry::Metrics,
    tls::{Faults, File, Files, Material, Stamp},
};

/// How often the files are read: new ones are in use long before the old ones expire, and reading three small
/// files costs nothing. The file system is not watched, because Kubernetes swaps a link two folders up.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The TLS configuration for handshakes, and a fingerprint of the files it came from.
pub(super) struct Certificates {
    files: Files,
    stamp: Stamp,
    current: watch::Sender<Arc<ServerConfig>>,
    metrics: Arc<Metrics>,
}

impl Certificates {
    /// Reads the files for the first time. Doubts about them were reported when the configuration was read.
    pub(super) fn load(files: &Files, metrics: &Arc<Metrics>) -> Result<Self, Faults> {
        let stamp = files.stamp();
        let material = files.load()?;
        let (current, _) = watch::channel(Arc::clone(&material.server));
        metrics.tls_certificate(material.expires_at);
        Ok(Self { files: files.clone(), stamp, current, metrics: Arc::clone(metrics) })
    }

    /// The TLS configuration for the next handshake.
    pub(super) fn current(&self) -> watch::Receiver<Arc<ServerConfig>> {
        self.current.subscribe()
    }

    /// Reads the files periodically, and at SIGHUP.
    pub(super) async fn keep_current(mut self) {
        let mut every = tokio::time::interval(LOOK_EVERY);
        let mut hangups = signal(SignalKind::hangup()).ok();
        loop {
            tokio::select! {
                _ = every.tick() => {}
                () = hangup(&mut hangups) => {}
            }
            self.look().await;
        }
    }

    /// Keeps the old certificate if the files are unusable: an incomplete rotation must not make things
    /// worse.
    async fn look(&mut self) {
        let (files, known) = (self.files.clone(), self.stamp.clone());
        let look = move || {
            // In this order, a change in between is noticed the next time.
            let stamp = files.stamp();
            (stamp != known).then(|| (stamp, files.load()))
        };
        let Ok(Some((stamp, loaded))) = tokio::task::spawn_blocking(look).await else { return };
        self.stamp = stamp;
        match loaded {
            Ok(material) => self.replace(material),
            Err(faults) => tracing::error!("Keeping the old TLS certificate and authorities: {faults}"),
        }
    }

    fn replace(&self, material: Material) {
        let Material { server, expires_at, doubt } = material;
        self.metrics.tls_certificate(expires_at);
        self.current.send_replace(server);
        let expires_at = humantime::format_rfc3339_seconds(expires_at);
        tracing::info!(%expires_at, "New handshakes get the new TLS certificate and authorities");
        if let Some(doubt) = doubt {
            tracing::warn!("`{}` {doubt}", File::Certificate.key());
        }
    }
}

async fn hangup(hangups: &mut Option<Signal>) {
    let Some(hangups) = hangups else { return std::future::pending().await };
    if hangups.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}
