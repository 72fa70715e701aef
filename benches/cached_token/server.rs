//! The servers that are compared, each in a process of its own.

use std::{
    env, fs,
    io::{self, BufRead, BufReader},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::{Child, Command, Stdio},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use idp_token_sandbox::{Sandbox, Seed};
use idp_token_service::{
    audit::{Destination, Level},
    cli,
    config::{Config, JwtIssuer},
    policy::{Pattern, Permission, ProviderName, Rule, Who},
    rpc::Rpc,
    server::Server as Service,
    service::pb::{GetIdentityTokenRequest, GetIdentityTokenResponse, IdentitySelector},
    telemetry::logging::{self, Format},
};
use prost::Message;
use serde_json::json;
use tonic::transport::server::TcpIncoming;

use crate::{Outcome, echo::Echo, load::Load};

const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The sandbox's user with all three identities.
const USER: &str = "google-oauth2|108204268033311374519";

/// What answers.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Bare tonic; request and answer are one string each.
    Echo,
    /// Bare tonic with the messages of GetIdentityToken: what reading and writing their fields costs.
    Messages,
    /// The real service with all its layers, as `serve` runs it.
    Token,
    /// The same, with callers that prove who they are with a JWT.
    Bearer,
    /// The same as `Token`, with an audit log.
    Audited,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Messages => "messages",
            Self::Token => "token",
            Self::Bearer => "bearer",
            Self::Audited => "audited",
        }
    }
}

/// The messages of one real call, encoded.
pub(crate) struct Exchange {
    request: Bytes,
    pub(crate) answer: Bytes,
}

impl Exchange {
    /// Asks a service for a token.
    pub(crate) async fn of_a_real_call() -> Outcome<Self> {
        let identity = IdentitySelector {
            user_id: USER.to_owned(),
            provider: "google-oauth2".to_owned(),
            ..Default::default()
        };
        let request = GetIdentityTokenRequest { identity: Some(identity), ..Default::default() };
        let request = Bytes::from(request.encode_to_vec());
        let server = Server::start(Kind::Token, &[], Command::new(env::current_exe()?))?;
        let answer = Load::connect(&server, &request).await?.call().await?;
        Ok(Self { request, answer })
    }

    /// The request for a server: the real one, or a string that is as long when it is encoded.
    pub(crate) fn request(&self, kind: Kind) -> Bytes {
        match kind {
            Kind::Echo => text_of(self.request.len()).encode_to_vec().into(),
            Kind::Messages | Kind::Token | Kind::Bearer | Kind::Audited => self.request.clone(),
        }
    }
}

/// A string that has `size` bytes when it is encoded: less a tag, and its length in one or two bytes.
fn text_of(size: usize) -> String {
    let header = if size - 2 < 128 { 2 } else { 3 };
    "x".repeat(size - header)
}

/// A server under way. Dropping it ends it.
pub(crate) struct Server {
    kind: Kind,
    process: Child,
    address: SocketAddr,
    /// What callers show; empty where nobody looks.
    authorization: String,
}

impl Server {
    /// Starts a server by `command`, which ends with the path of this program. The echoes give `answer`.
    pub(crate) fn start(kind: Kind, answer: &[u8], mut command: Command) -> Outcome<Self> {
        command.args(["--serve", kind.name(), "--answer", &STANDARD.encode(answer)]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(stdout) = &mut process.stdout {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let (address, authorization) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        let authorization = authorization.to_owned();
        let address = address.parse().map_err(|_| format!("the {} server did not start", kind.name()))?;
        Ok(Self { kind, process, address, authorization })
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn authorization(&self) -> &str {
        &self.authorization
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// The processor time that the server has taken so far, as Linux tells it: in hundredths of a second.
    pub(crate) fn cpu_time(&self) -> Outcome<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process_id()))?;
        // The name, in brackets, may hold spaces; `utime` and `stime` are the 12th and 13th after it.
        let (_, after_name) = stat.rsplit_once(") ").ok_or("the process has no name")?;
        let times = after_name.split(' ').skip(11).take(2).map(str::parse::<u64>);
        let ticks: u64 = times.sum::<Result<_, _>>()?;
        Ok(Duration::from_millis(10 * ticks))
    }

    /// Lets it end in peace, while the load lets go of its connection.
    pub(crate) async fn stop(mut self) -> Outcome<()> {
        drop(self.process.stdin.take());
        let status = tokio::task::spawn_blocking(move || self.process.wait()).await??;
        if status.success() { Ok(()) } else { Err(format!("the server ended with {status}").into()) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Serves until standard input ends. One worker, so that the load has the other core of a small machine.
pub(crate) fn serve(kind: Kind, answer: &[u8]) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        match kind {
            Kind::Echo => bare(Echo::<String, String>::new(text_of(answer.len()))).await,
            Kind::Messages => {
                let answer = GetIdentityTokenResponse::decode(answer)?;
                bare(Echo::<GetIdentityTokenRequest, _>::new(answer)).await
            }
            Kind::Token | Kind::Bearer | Kind::Audited => token(kind).await,
        }
    })
}

async fn bare<Q, A>(echo: Echo<Q, A>) -> Outcome<()>
where
    Q: Message + Default + 'static,
    A: Message + Clone + 'static,
{
    let incoming = TcpIncoming::bind(ANYWHERE)?.with_nodelay(Some(true));
    println!("{}", incoming.local_addr()?);
    let server = tonic::transport::Server::builder().add_service(echo);
    Ok(server.serve_with_incoming_shutdown(incoming, end_of_input()).await?)
}

async fn token(kind: Kind) -> Outcome<()> {
    // The filters of `serve`, though there is nothing to say; lines would only be in the way of the figures.
    tracing::subscriber::set_global_default(logging::subscriber("info", Format::Text, io::sink))?;
    let sandbox = Sandbox::start(Seed::sample(), ANYWHERE).await?;
    let mut config = cli::sandbox_config(&sandbox, ANYWHERE, ANYWHERE);
    config.auth0.profile_ttl = Duration::from_secs(600);
    config.drain = Duration::ZERO;
    if kind == Kind::Audited {
        // What the file system takes is not ours.
        config.audit.destination = Destination::File("/dev/null".into());
        config.audit.level = Level::All;
    }
    let authorization = if kind == Kind::Bearer { admit(&mut config, &sandbox) } else { String::new() };
    let service = Service::bind(&config).await?;
    println!("{} {authorization}", service.address()?);
    service.run(end_of_input()).await;
    Ok(())
}

/// Lets the tenant's applications call, and makes a token of one, about as long as they are in reality.
fn admit(config: &mut Config, sandbox: &Sandbox) -> String {
    let (issuer, jwks_url) = (config.auth0.issuer(), config.auth0.jwks_url());
    let audience = "https://idp-token.acme.example".to_owned();
    let claims = json!({
        "iss": issuer, "aud": audience, "sub": "q8Zr3vJt5mXw7cLp2kBn9dHs4fGy6aQe@clients",
        "azp": "q8Zr3vJt5mXw7cLp2kBn9dHs4fGy6aQe", "gty": "client-credentials",
        "iat": 1_700_000_000, "exp": 4_000_000_000_u64, "scope": "read:identities call:providers",
    });
    config.jwt_issuers.push(JwtIssuer { issuer, jwks_url, audience });
    config.callers.push(Rule {
        who: Who::Services(Pattern::parse("*@clients").expect("a pattern")),
        allow: [Permission::Rpc(Rpc::GetIdentityToken)].into(),
        providers: vec![ProviderName::Strategy("google-oauth2".to_owned())],
        requests: Vec::new(),
        line: None,
    });
    format!("Bearer {}", sandbox.sign(&claims))
}

async fn end_of_input() {
    let read = || io::copy(&mut io::stdin(), &mut io::sink());
    // Whatever happens, it is the end.
    let _ = tokio::task::spawn_blocking(read).await;
}
