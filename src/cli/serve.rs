//! `serve`: the service for a real tenant.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Failure, start_logging};
use crate::{
    config::{Config, LogFormat},
    server::{Server, StartError, raise_limit},
    telemetry::logging::Format,
};

pub(super) async fn run(config: &Config) -> Result<(), Failure> {
    log_as_configured(config);
    raise_limit();
    // Installed before anybody learns that there is a service to stop.
    let stop = stop_signal();
    outlive_hangups();
    let server = Server::bind(config).await.map_err(|error| not_started(&error))?;
    let told = |address: std::io::Result<std::net::SocketAddr>| {
        address.map_or_else(|error| error.to_string(), |address| address.to_string())
    };
    tracing::info!(
        grpc = told(server.address()),
        admin = told(server.admin_address()),
        auth0 = %config.auth0.base_url,
        "Listening"
    );
    server.run(stop).await;
    tracing::info!("Stopped");
    Ok(())
}

fn not_started(error: &StartError) -> Failure {
    match error {
        StartError::Store(error) => Failure::of_store(error),
        StartError::Tls(faults) => Failure::Usage(faults.to_string()),
        StartError::Audit(_) => Failure::Usage(error.to_string()),
        error => Failure::Other(error.to_string()),
    }
}

/// Starts logging, and logs the configuration's warnings.
fn log_as_configured(config: &Config) {
    let format = match config.log.format {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    };
    start_logging(config.log.level.as_str(), format);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
}

/// Ignores SIGHUP, which log rotation and a closed terminal send and which would end the process without a
/// drain. Files are loaded and opened anew without it. Needs a tokio runtime.
pub(super) fn outlive_hangups() {
    // The handler stays from here on.
    let _ = signal(SignalKind::hangup());
}

/// Resolves at the first SIGTERM or SIGINT; a second one ends the process at once, for users who do not want
/// to wait for calls to finish. Needs a tokio runtime.
pub(super) fn stop_signal() -> impl Future<Output = ()> {
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async {
        // Without handlers the default applies: the process just ends.
        let (Ok(mut terminate), Ok(mut interrupt)) = signals else { return std::future::pending().await };
        either(&mut terminate, &mut interrupt).await;
        tokio::spawn(async move { std::process::exit(either(&mut terminate, &mut interrupt).await) });
    }
}

/// Waits for a signal; returns the exit code that a shell reports for it.
async fn either(terminate: &mut Signal, interrupt: &mut Signal) -> i32 {
    let number = tokio::select! {
        _ = terminate.recv() => SignalKind::terminate(),
        _ = interrupt.recv() => SignalKind::interrupt(),
    };
    128 + number.as_raw_value()
}
