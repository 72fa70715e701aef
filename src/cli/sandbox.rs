//! `sandbox`: the service against a make-believe tenant, with a tour.

use std::{net::SocketAddr, path::PathBuf};

use super::{Failure, serve::stop_signal, start_logging};
use crate::{
    config::{Config, Environment, Strategy},
    sandbox::{Sandbox, Seed},
    server::Server,
    telemetry::logging::Format,
};

mod tour;

/// The application of the sample tenant that the service logs in as.
const CLIENT: (&str, &str) = ("sandbox-service", "sandbox-service-secret");

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Where the service takes gRPC calls; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:50051")]
    listen: SocketAddr,
    /// Where the service's /metrics, /healthz and /readyz are
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9464")]
    admin_listen: SocketAddr,
    /// Where the tenant and the providers are played
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9000")]
    tenant_listen: SocketAddr,
    /// Users, applications and limits of your own, instead of the sample (src/sandbox/sample.toml); no tour then
    #[arg(long, value_name = "FILE", conflicts_with = "once")]
    seed: Option<PathBuf>,
    /// End after the tour: with status 0 if all of it worked
    #[arg(long)]
    once: bool,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    start_logging("warn", Format::Text);
    let loopback = [arguments.listen, arguments.admin_listen, arguments.tenant_listen];
    if let Some(address) = loopback.iter().find(|address| !address.ip().is_loopback()) {
        let message =
            format!("the sandbox hands its tokens to everybody, so it stays on loopback; {address} is not");
        return Err(Failure::Usage(message));
    }
    let seed = arguments.seed.as_deref().map_or_else(|| Ok(Seed::sample()), read_seed)?;
    let sandbox = Sandbox::start(seed, arguments.tenant_listen)
        .await
        .map_err(|error| Failure::Other(format!("{error}; another --tenant-listen may do")))?;
    let config = config(&sandbox, arguments.listen, arguments.admin_listen);
    let server = Server::bind(&config)
        .await
        .map_err(|error| Failure::Other(format!("{error}; another --listen or --admin-listen may do")))?;
    let addresses = (server.address(), server.admin_address());
    let (Ok(grpc), Ok(admin)) = addresses else {
        return Err(Failure::Other("the system does not say which ports were taken".to_owned()));
    };

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let service = tokio::spawn(server.run(async move {
        let _ = stopped.await;
    }));
    let outcome = show(&arguments, &sandbox, grpc, admin).await;
    let _ = stop.send(());
    let _ = service.await;
    outcome
}

async fn show(
    arguments: &Arguments,
    sandbox: &Sandbox,
    grpc: SocketAddr,
    admin: SocketAddr,
) -> Result<(), Failure> {
    println!("A make-believe Auth0 tenant with Google, GitHub and Facebook: {}", sandbox.url());
    println!("The service:  gRPC on {grpc},  metrics on http://{admin}/metrics");
    if arguments.seed.is_none() {
        tour::take(sandbox, grpc).await?;
    }
    if arguments.once {
        return Ok(());
    }
    println!("{}", tour::hints(sandbox, grpc));
    stop_signal().await;
    Ok(())
}

fn read_seed(file: &std::path::Path) -> Result<Seed, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::Usage(format!("cannot read {}: {error}", file.display())))?;
    Seed::from_toml(&text).map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))
}

/// The configuration of a service whose tenant and providers are `sandbox`: the real one with other base URLs.
///
/// # Panics
/// Never for a sandbox that runs: its addresses make a valid configuration.
pub fn config(sandbox: &Sandbox, listen: SocketAddr, admin_listen: SocketAddr) -> Config {
    let environment = Environment::from_iter([
        ("AUTH0_DOMAIN", sandbox.domain()),
        ("AUTH0_BASE_URL", &sandbox.url()),
        ("AUTH0_AUDIENCE", &sandbox.audience()),
        ("AUTH0_CLIENT_ID", CLIENT.0),
        ("AUTH0_CLIENT_SECRET", CLIENT.1),
        ("IDP_TOKEN_LISTEN", &listen.to_string()),
        ("IDP_TOKEN_ADMIN_LISTEN", &admin_listen.to_string()),
    ]);
    let mut config =
        Config::load(None, &environment).expect("the sandbox's addresses make a valid configuration");
    let base = url::Url::parse(&sandbox.url()).expect("the sandbox's address makes a valid URL");
    // No health check routes calls to a sandbox: it need not wait for one before it stops.
    config.drain = std::time::Duration::from_secs(1);
    for provider in config.providers.values_mut() {
        let hosts = hosts(provider.strategy).iter();
        provider.detours = hosts.map(|host| ((*host).to_owned(), base.clone())).collect();
    }
    config
}

fn hosts(strategy: Strategy) -> &'static [&'static str] {
    match strategy.as_str() {
        "google-oauth2" | "google-apps" => &["*.googleapis.com"],
        "github" => &["api.github.com", "uploads.github.com"],
        "facebook" => &["graph.facebook.com"],
        "bitbucket" => &["api.bitbucket.org"],
        _ => &["graph.microsoft.com"],
    }
}
