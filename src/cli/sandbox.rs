//! `sandbox`: the service against a make-believe tenant, with a tour.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc};

use idp_token_sandbox::{ClientSeed, GenericSeed, Sandbox, SandboxError, Seed};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Failure,
    output::say,
    serve::{outlive_hangups, stop_signal},
    start_logging,
};
use crate::{
    auth0::NEEDED_SCOPES,
    config::{Config, ConfigError, Connect, Environment, Provider, Strategy},
    provider::Settings,
    secret::Secret,
    server::{Server, raise_limit},
    telemetry::logging::Format,
};

mod playground;
mod tour;

use playground::Playground;

/// The flag for the address of the page's service.
const PAGE_LISTEN: &str = "--page-listen";

/// The application of the sample tenant that the service uses.
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
    /// Where the page in the browser calls the service; the port after that of --listen if absent
    #[arg(long, value_name = "ADDR")]
    page_listen: Option<SocketAddr>,
    /// Users, applications and limits of your own, instead of the sample (crates/sandbox/src/sample.toml); no
    /// tour then
    #[arg(long, value_name = "FILE", conflicts_with = "once")]
    seed: Option<PathBuf>,
    /// Let other machines reach it, with an address off loopback: everybody who does gets every token, and
    /// may steer it
    #[arg(long)]
    off_loopback: bool,
    /// Record every call in a file, as `serve` does; `-` is stdout
    #[arg(long, value_name = "FILE", default_value = "", hide_default_value = true)]
    audit: String,
    /// End after the tour: with status 0 if all of it worked
    #[arg(long)]
    once: bool,
}

impl Arguments {
    /// Returns the address for the page's service. A port that the system chooses, or that has no successor,
    /// gives one that the system chooses.
    fn page_listen(&self) -> SocketAddr {
        let after = |port: u16| if port == 0 { 0 } else { port.wrapping_add(1) };
        self.page_listen.unwrap_or_else(|| SocketAddr::new(self.listen.ip(), after(self.listen.port())))
    }
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    start_logging("warn", Format::Text);
    raise_limit();
    outlive_hangups();
    check_addresses(&arguments)?;
    let seed = arguments.seed.as_deref().map_or_else(|| Ok(Seed::sample()), read_seed)?;
    let people = tour::People::of(&seed);
    let sandbox = Sandbox::start(seed, arguments.tenant_listen).await.map_err(not_started)?;
    let config = try_config(&sandbox, arguments.listen, arguments.admin_listen, &arguments.audit)
        .map_err(|error| Failure::Usage(format!("the service cannot work with this sandbox: {error}")))?;
    let server = Server::bind(&config)
        .await
        .map_err(|error| Failure::Other(format!("{error}; try another --listen or --admin-listen")))?;
    let addresses = (server.address(), server.admin_address());
    let (Ok(grpc), Ok(admin)) = addresses else {
        return Err(Failure::Other("the system does not say which ports were taken".to_owned()));
    };

    let services = Services::default();
    services.running.spawn(server.run(services.stop.clone().cancelled_owned()));
    let outcome = show(&arguments, &sandbox, &people, grpc, admin, &services).await;
    services.end().await;
    outcome
}

/// The running services, and the signal for them to stop.
#[derive(Default)]
struct Services {
    running: TaskTracker,
    stop: CancellationToken,
}

impl Services {
    async fn end(self) {
        self.stop.cancel();
        self.running.close();
        self.running.wait().await;
    }
}

fn check_addresses(arguments: &Arguments) -> Result<(), Failure> {
    let flags = [
        ("--listen", arguments.listen),
        ("--admin-listen", arguments.admin_listen),
        ("--tenant-listen", arguments.tenant_listen),
        (PAGE_LISTEN, arguments.page_listen()),
    ];
    for (index, (flag, address)) in flags.into_iter().enumerate() {
        if !address.ip().is_loopback() {
            check_openness(arguments, flag, address)?;
        }
        let same = flags[..index].iter().find(|(_, other)| address.port() != 0 && *other == address);
        if let Some((other, _)) = same {
            return Err(Failure::Usage(format!("{other} and {flag} must differ; both are {address}")));
        }
    }
    Ok(())
}

/// Requires an explicit flag to listen off loopback.
fn check_openness(arguments: &Arguments, flag: &str, address: SocketAddr) -> Result<(), Failure> {
    if !arguments.off_loopback {
        return Err(Failure::Usage(format!(
            "the sandbox hands its tokens to everybody, so it stays on loopback; {flag} {address} is not: if all who \
             reach it may have them, say so with --off-loopback"
        )));
    }
    // The page's service gives nobody a token.
    if flag != PAGE_LISTEN {
        tracing::warn!(
            "{flag} is reachable from other machines: whoever gets there has the tokens of every user"
        );
    }
    Ok(())
}

fn not_started(error: SandboxError) -> Failure {
    match error {
        SandboxError::Listen { .. } => Failure::Other(format!("{error}; try another --tenant-listen")),
        error => Failure::Usage(error.to_string()),
    }
}

async fn show(
    arguments: &Arguments,
    sandbox: &Sandbox,
    people: &tour::People,
    grpc: SocketAddr,
    admin: SocketAddr,
    services: &Services,
) -> Result<(), Failure> {
    say(format_args!("A make-believe Auth0 tenant and its providers: {}", sandbox.url()))?;
    say(format_args!("The service:  gRPC on {grpc},  metrics on http://{admin}/metrics"))?;
    if arguments.once {
        return tour::take(sandbox, grpc).await;
    }
    let page = Playground::open(sandbox, arguments.page_listen(), &arguments.audit).await?;
    if arguments.seed.is_none() {
        tour::take(sandbox, grpc).await?;
    }
    say(tour::hints(people, sandbox, grpc, page.is_some()))?;
    // Started only now, since its requests to Auth0 are not part of the tour.
    if let Some(page) = page {
        services.running.spawn(page.run(services.stop.clone()));
    }
    stop_signal().await;
    Ok(())
}

fn read_seed(file: &std::path::Path) -> Result<Seed, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::Usage(format!("cannot read {}: {error}", file.display())))?;
    let wrong = |what: &dyn std::fmt::Display| Failure::Usage(format!("{}: {what}", file.display()));
    let seed = Seed::from_toml(&text).map_err(|error| wrong(&error))?;
    if !seed.clients.iter().any(is_service) {
        let (id, _) = CLIENT;
        return Err(wrong(&format_args!(
            "keep the client `{id}` with its secret and scopes: the service logs in as it"
        )));
    }
    Ok(seed)
}

/// Returns whether the service can authenticate as this application.
fn is_service(client: &ClientSeed) -> bool {
    let has = |list: &[String], needed: &str| list.iter().any(|one| one == needed);
    let scopes = client.scopes.as_deref().unwrap_or_default();
    (client.id.as_str(), client.secret.as_deref()) == (CLIENT.0, Some(CLIENT.1))
        && client.public_key.is_none()
        && has(&client.grant_types, "client_credentials")
        && NEEDED_SCOPES.iter().all(|scope| has(scopes, scope))
}

/// Returns the configuration of a service whose tenant and providers are `sandbox`: the real one with other
/// base URLs.
///
/// # Panics
/// When the two addresses are the same, or the sandbox's domain is not a host name.
pub fn config(sandbox: &Sandbox, listen: SocketAddr, admin_listen: SocketAddr) -> Config {
    try_config(sandbox, listen, admin_listen, "")
        .expect("the addresses differ, and the domain is a host name")
}

fn try_config(
    sandbox: &Sandbox,
    listen: SocketAddr,
    admin_listen: SocketAddr,
    audit: &str,
) -> Result<Config, ConfigError> {
    let environment = Environment::from_iter([
        ("AUTH0_DOMAIN", sandbox.domain()),
        ("AUTH0_BASE_URL", &sandbox.url()),
        ("AUTH0_AUDIENCE", &sandbox.audience()),
        ("AUTH0_CLIENT_ID", CLIENT.0),
        ("AUTH0_CLIENT_SECRET", CLIENT.1),
        ("IDP_TOKEN_LISTEN", &listen.to_string()),
        // The flags decide this.
        ("IDP_TOKEN_INSECURE", if listen.ip().is_loopback() { "" } else { "true" }),
        ("IDP_TOKEN_ADMIN_LISTEN", &admin_listen.to_string()),
        // stdout has the tour.
        ("IDP_TOKEN_AUDIT_LEVEL", if audit.is_empty() { "off" } else { "all" }),
        ("IDP_TOKEN_AUDIT_FILE", audit),
    ]);
    let mut config = Config::load(None, &environment)?;
    let base = url::Url::parse(&sandbox.url()).expect("the sandbox's address makes a valid URL");
    // No health check routes calls to a sandbox, so it need not wait for one before it stops.
    config.drain = std::time::Duration::from_secs(1);
    config.connect =
        sandbox.login_application().map(|(client_id, redirect_uris)| Connect { client_id, redirect_uris });
    config.providers.extend(sandbox.generic_providers().iter().map(generic));
    let hosts: Vec<String> = OTHER_HOSTS.into_iter().map(str::to_owned).chain(sandbox.hosts()).collect();
    for provider in config.providers.values_mut() {
        provider.host_overrides = hosts.iter().map(|host| (host.clone(), base.clone())).collect();
        if let Some(app) = sandbox.oauth_app(provider.strategy.as_str()) {
            provider.settings.client_id = Some(app.client_id.to_owned());
            provider.settings.client_secret = Some(Arc::new(Secret::fixed(app.client_secret)));
        }
    }
    Ok(config)
}

/// Returns a connection of the strategy `oauth2`, as an operator would describe it.
fn generic(seed: &GenericSeed) -> (String, Provider) {
    let url = |url: String| Some(url.parse().expect("the sandbox's endpoints have valid URLs"));
    let settings = Settings {
        hosts: vec![seed.api_host.clone()],
        client_id: Some(seed.client_id.clone()),
        client_secret: seed.client_secret.as_deref().map(|secret| Arc::new(Secret::fixed(secret))),
        token_url: url(seed.token_url()),
        inspect_url: url(seed.inspect_url()),
        revoke_url: url(seed.revoke_url()),
        rotates: Some(seed.rotates),
        ..Settings::default()
    };
    let strategy = Strategy::named("oauth2").expect("there is an adapter for it");
    (seed.connection.clone(), Provider { strategy, settings, host_overrides: BTreeMap::new() })
}

/// Hosts that an adapter reaches by default beyond those that the sandbox plays: nothing must leave the
/// machine.
const OTHER_HOSTS: [&str; 2] = ["*.googleapis.com", "login.live.com"];
