//! The service that the sandbox's page calls.
//!
//! It is a second service with the same tenant and providers. A service either accepts anybody's calls or
//! requires every caller to authenticate: the first does the former, so that the commands of the tour and of
//! the README need no token; this one does the latter, as a service whose port browsers reach must. Each has
//! its own caches and store.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use http::HeaderValue;
use idp_token_sandbox::{PLAYGROUND_CLIENT, Sandbox, local_url};
use tokio_util::sync::CancellationToken;

use super::{Failure, try_config};
use crate::{
    config::{Config, Connect, EndUsers},
    policy::{Permission, ProviderName, RequestPattern, Rule, Who},
    rpc::Rpc,
    server::Server,
};

/// Nobody uses its admin endpoint.
const ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// What users may do for themselves, over the page as over any program that has their token.
const ALLOW: [Permission; 3] = [
    Permission::Rpc(Rpc::ListIdentities),
    Permission::Rpc(Rpc::CallProvider),
    Permission::Rpc(Rpc::CreateConnectLink),
];
/// The identities for which they may do so.
const PROVIDERS: [&str; 3] = ["google-oauth2", "github", "facebook"];
/// The requests that they may send.
const REQUESTS: [&str; 3] =
    ["GET www.googleapis.com/**", "GET api.github.com/**", "GET graph.facebook.com/**"];

/// The page's service before it serves.
pub(super) struct Playground {
    server: Server,
}

impl Playground {
    /// Binds the port, and tells the tenant about the page. `None` if the tenant has no API that users could
    /// get tokens for. Its calls are recorded where those of the first service are.
    pub(super) async fn open(
        sandbox: &Sandbox,
        listen: SocketAddr,
        audit: &str,
    ) -> Result<Option<Self>, Failure> {
        let Some(audience) = sandbox.audiences().next() else { return Ok(None) };
        let server = Server::bind(&config(sandbox, audience, listen, audit)?)
            .await
            .map_err(|error| Failure::Other(format!("{error}; try another --page-listen")))?;
        let address = server.address().map_err(|error| Failure::Other(error.to_string()))?;
        sandbox.open_playground(&local_url(address), audience);
        Ok(Some(Self { server }))
    }

    /// Serves until told to stop.
    pub(super) async fn run(self, stop: CancellationToken) {
        self.server.run(stop.cancelled_owned()).await;
    }
}

fn config(sandbox: &Sandbox, audience: &str, listen: SocketAddr, audit: &str) -> Result<Config, Failure> {
    let mut config = try_config(sandbox, listen, ADMIN, audit)
        .map_err(|error| Failure::Usage(format!("the page's service cannot work: {error}")))?;
    let page = HeaderValue::try_from(sandbox.url()).expect("an origin is a valid header");
    config.web.allowed_origins = vec![page];
    config.end_users = Some(EndUsers { audience: audience.to_owned(), rule: rule() });
    config.connect = Some(Connect {
        client_id: PLAYGROUND_CLIENT.to_owned(),
        redirect_uris: vec![sandbox.playground_url()],
    });
    Ok(config)
}

fn rule() -> Rule {
    let request = |text| RequestPattern::parse(text).expect("the patterns above are right");
    Rule {
        who: Who::EndUsers,
        allow: ALLOW.into_iter().collect(),
        providers: PROVIDERS.map(|name| ProviderName::Strategy(name.to_owned())).into(),
        requests: REQUESTS.map(request).into(),
        line: None,
    }
}
