//! The only way out: every request to Auth0 and to a provider is sent here, with the same limits.

use std::{collections::BTreeMap, error::Error as _, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, Response, StatusCode, header};
use tokio::time::Instant;
use url::Url;

/// For name resolution, TCP and TLS together; a healthy one takes well below a second.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Idle connections are dropped before the other side does it, which would break the next request:
/// the shortest idle limits of common load balancers are 60 s.
const POOL_IDLE: Duration = Duration::from_secs(50);

/// Idle connections kept for each host; a burst may use more for as long as it lasts.
const POOL_PER_HOST: usize = 64;

/// Finds a dead HTTP/2 connection within 30 s, since requests would otherwise queue on it until they time out.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TransportError {
    /// No connection: the request was never sent.
    #[error("cannot connect to {host}: {cause}")]
    Connect {
        /// Who should have answered.
        host: String,
        /// The causes, outermost first.
        cause: String,
    },
    /// The time allowed ran out; the request may have been carried out.
    #[error("{host} did not answer in time")]
    Timeout {
        /// Who should have answered.
        host: String,
    },
    /// The connection broke in the middle; the request may have been carried out.
    #[error("the connection to {host} broke: {cause}")]
    Broken {
        /// Who should have answered.
        host: String,
        /// The causes, outermost first.
        cause: String,
    },
    /// The body is larger than the caller may buffer; the request was carried out.
    #[error("{host} answered {status} with more than {limit} bytes")]
    TooLarge {
        /// Who answered.
        host: String,
        /// The status that came before the body.
        status: StatusCode,
        /// Bytes.
        limit: usize,
    },
}

impl TransportError {
    /// Whether there was no whole answer for want of a connection, rather than of time or room.
    pub fn is_broken_connection(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Broken { .. })
    }
}

/// The HTTP client cannot be built.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot set up TLS for outgoing requests: {0}; install the system's CA certificates (package ca-certificates)"
)]
pub struct TransportSetupError(reqwest::Error);

/// Sends requests over pooled connections. Cheap to clone.
///
/// Follows no redirect: the policy judged the path that the caller asked for, and a redirect would lead the token to
/// another one. Asks for gzip and undoes it.
#[derive(Clone, Debug)]
pub struct Transport {
    client: reqwest::Client,
    detours: BTreeMap<String, Url>,
}

impl Transport {
    /// A transport that reaches the hosts in `detours` elsewhere: for tests, where a provider is a fake on loopback.
    /// A key is a host, or `*.` and its parent.
    ///
    /// # Errors
    /// When the machine has no CA certificates.
    pub fn new(detours: BTreeMap<String, Url>) -> Result<Self, TransportSetupError> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            // Repeating is decided by who knows whether the request may be repeated.
            .retry(reqwest::retry::never())
            // The environment is read by the configuration alone.
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(POOL_PER_HOST)
            .http2_keep_alive_interval(PING_EVERY)
            .http2_keep_alive_timeout(PING_TIMEOUT)
            .build()
            .map_err(TransportSetupError)?;
        Ok(Self { client, detours })
    }

    /// Sends `request` as it is and gathers an answer of at most `limit` bytes, content codings undone, until
    /// `deadline`.
    ///
    /// # Errors
    /// When there is no answer, or one that is too large. An answer of any status is not an error.
    pub async fn send(
        &self,
        request: Request<Bytes>,
        limit: usize,
        deadline: Instant,
    ) -> Result<Response<Bytes>, TransportError> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let exchange = async {
            let request = self.prepare(request).map_err(|error| classify(&host, error))?;
            let answer = self.client.execute(request).await.map_err(|error| classify(&host, error))?;
            gather(answer, limit, &host).await
        };
        let outcome = tokio::time::timeout_at(deadline, exchange).await;
        outcome.unwrap_or(Err(TransportError::Timeout { host: host.clone() }))
    }

    fn prepare(&self, mut request: Request<Bytes>) -> Result<reqwest::Request, reqwest::Error> {
        let host = request.uri().host().unwrap_or_default();
        let detour = self.detours.get(host).or_else(|| {
            let (_, parent) = host.split_once('.')?;
            self.detours.get(&format!("*.{parent}"))
        });
        let Some(base) = detour else { return reqwest::Request::try_from(request) };

        // The other side still learns which host was meant.
        if let Ok(original) = HeaderValue::from_str(host) {
            request.headers_mut().insert(header::HOST, original);
        }
        let mut request = reqwest::Request::try_from(request)?;
        let url = request.url_mut();
        // Neither fails: both URLs are http or https, and `base` has a host.
        let _ = url.set_scheme(base.scheme());
        let _ = url.set_host(base.host_str());
        let _ = url.set_port(base.port());
        Ok(request)
    }
}

async fn gather(
    mut answer: reqwest::Response,
    limit: usize,
    host: &str,
) -> Result<Response<Bytes>, TransportError> {
    let too_large = |status| TransportError::TooLarge { host: host.to_owned(), status, limit };
    let mut head = Response::new(Bytes::new());
    *head.status_mut() = answer.status();
    *head.headers_mut() = std::mem::take(answer.headers_mut());

    if answer.content_length().is_some_and(|length| length > limit as u64) {
        return Err(too_large(answer.status()));
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| classify(host, error))? {
        if body.len() + chunk.len() > limit {
            return Err(too_large(answer.status()));
        }
        body.extend_from_slice(&chunk);
    }
    *head.body_mut() = body.freeze();
    Ok(head)
}

fn classify(host: &str, error: reqwest::Error) -> TransportError {
    let host = host.to_owned();
    if error.is_timeout() && !error.is_connect() {
        return TransportError::Timeout { host };
    }
    let connect = error.is_connect();
    // A URL may hold what is secret: Graph's `appsecret_proof`, a token in an inspection request.
    let cause = causes(&error.without_url());
    if connect { TransportError::Connect { host, cause } } else { TransportError::Broken { host, cause } }
}

fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
