//! The only way out: sends every request to Auth0 and to a provider, with the same limits.

use std::{collections::BTreeMap, error::Error as _, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use rustls::pki_types::CertificateDer;
use tokio::time::Instant;
use url::Url;

use crate::memory::CallMemory;

mod coding;
mod gather;
mod guard;

use gather::Room;
pub use guard::SendGuard;

/// Time limit for name resolution, TCP and TLS together; a healthy connection takes well below a second.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Idle connections are closed before the other side does, which would break the next request: the shortest
/// idle limits of common load balancers are 60 s.
const POOL_IDLE: Duration = Duration::from_secs(50);

/// Maximum idle connections per host; a burst may use more while it lasts.
const POOL_PER_HOST: usize = 64;

/// Detects a dead HTTP/2 connection within 30 s, since requests would otherwise queue on it until they time
/// out.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TransportError {
    /// The connection failed: the request was never sent.
    #[error("cannot connect to {host}: {cause}")]
    Connect {
        /// The server that should have answered.
        host: String,
        /// The causes, outermost first.
        cause: String,
    },
    /// The caller's deadline passed; the request may have been carried out.
    #[error("{host} did not answer in time")]
    Timeout {
        /// The server that should have answered.
        host: String,
    },
    /// The connection broke during the exchange; the request may have been carried out.
    #[error("the connection to {host} broke: {cause}")]
    Broken {
        /// The server that should have answered.
        host: String,
        /// The causes, outermost first.
        cause: String,
    },
    /// The answer is not valid HTTP, or not valid in its content coding.
    #[error("{host} sent an answer that cannot be read: {cause}")]
    Malformed {
        /// The server that answered.
        host: String,
        /// The causes, outermost first.
        cause: String,
    },
    /// The body is larger than the limit; the request was carried out.
    #[error("{host} answered {status} with more than {limit} bytes")]
    TooLarge {
        /// The server that answered.
        host: String,
        /// The status before the body.
        status: StatusCode,
        /// The limit, in bytes.
        limit: usize,
    },
}

impl TransportError {
    /// Returns whether the connection failed, rather than the deadline or the size limit.
    pub fn is_broken_connection(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Broken { .. })
    }
}

/// Why the HTTP client cannot be built.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot set up TLS for outgoing requests: {0}; install the system's CA certificates (package ca-certificates)"
)]
pub struct TransportSetupError(reqwest::Error);

/// Sends requests over pooled connections. Cheap to clone.
///
/// It follows no redirects: the policy judged the path that the caller asked for, and a redirect would take
/// the token to another one. It accepts gzip and undoes it.
#[derive(Clone, Debug)]
pub struct Transport {
    client: reqwest::Client,
    host_overrides: Arc<BTreeMap<String, Url>>,
}

impl Transport {
    /// Creates a transport that connects to every host by its name.
    ///
    /// # Errors
    /// When the machine has no CA certificates.
    pub fn new() -> Result<Self, TransportSetupError> {
        Self::trusting(&[])
    }

    /// Creates a transport that trusts `authorities` as well as the system's certificates. Verification
    /// cannot be turned off.
    ///
    /// # Errors
    /// When neither the machine nor `authorities` have a CA certificate, or one of `authorities` is not
    /// valid.
    pub fn trusting(authorities: &[CertificateDer<'static>]) -> Result<Self, TransportSetupError> {
        let authorities: Result<Vec<_>, _> =
            authorities.iter().map(|authority| reqwest::Certificate::from_der(authority)).collect();
        let client = reqwest::Client::builder()
            .tls_certs_merge(authorities.map_err(TransportSetupError)?)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            // Callers decide on retries: they know whether a request may be repeated.
            .retry(reqwest::retry::never())
            // Only the configuration reads the environment.
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(POOL_PER_HOST)
            .http2_keep_alive_interval(PING_EVERY)
            .http2_keep_alive_timeout(PING_TIMEOUT)
            .build()
            .map_err(TransportSetupError)?;
        Ok(Self { client, host_overrides: Arc::default() })
    }

    /// A transport with the same connections that reaches the hosts in `host_overrides` elsewhere: for tests,
    /// where a provider is a fake on loopback. A key is a host, or `*.` and its parent.
    #[must_use]
    pub fn with_host_overrides(&self, host_overrides: BTreeMap<String, Url>) -> Self {
        Self { client: self.client.clone(), host_overrides: Arc::new(host_overrides) }
    }

    /// Sends `request` unchanged, and gathers a decoded answer of at most `limit` bytes until `deadline`. Its
    /// bytes do not count for any call: such answers are small, or few at a time.
    ///
    /// # Errors
    /// When there is no answer, or it is too large. An answer with any status is not an error.
    pub async fn send(
        &self,
        request: Request<Bytes>,
        limit: usize,
        deadline: Instant,
    ) -> Result<Response<Bytes>, TransportError> {
        self.exchange(request, Room::uncounted(limit), deadline).await
    }

    /// Sends `request` like [`Self::send`]. The answer counts for the call that `memory` belongs to, for as
    /// long as it is held, and waits its turn where there is no room.
    ///
    /// # Errors
    /// The same.
    pub async fn send_for(
        &self,
        memory: &CallMemory,
        request: Request<Bytes>,
        limit: usize,
        deadline: Instant,
    ) -> Result<Response<Bytes>, TransportError> {
        self.exchange(request, Room::of(memory, limit), deadline).await
    }

    async fn exchange(
        &self,
        request: Request<Bytes>,
        room: Room<'_>,
        deadline: Instant,
    ) -> Result<Response<Bytes>, TransportError> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let exchange = async {
            let request = self.prepare(request).map_err(|error| classify(&host, error))?;
            let answer = self.client.execute(request).await.map_err(|error| classify(&host, error))?;
            gather::whole(answer, room, &host).await
        };
        let outcome = tokio::time::timeout_at(deadline, exchange).await;
        outcome.unwrap_or(Err(TransportError::Timeout { host: host.clone() }))
    }

    fn prepare(&self, mut request: Request<Bytes>) -> Result<reqwest::Request, reqwest::Error> {
        complete(&mut request);
        let guard = request.extensions_mut().remove::<SendGuard>();
        let guarded = guard.map(|guard| guard.over(request.body().clone()));
        let host = request.uri().host().unwrap_or_default();
        let overridden = self.host_overrides.get(host).or_else(|| {
            let (_, parent) = host.split_once('.')?;
            self.host_overrides.get(&format!("*.{parent}"))
        });
        let Some(base) = overridden else { return with_body(reqwest::Request::try_from(request)?, guarded) };

        // The `host` header still names the original host.
        if let Ok(original) = HeaderValue::from_str(host) {
            request.headers_mut().insert(header::HOST, original);
        }
        let mut request = reqwest::Request::try_from(request)?;
        let url = request.url_mut();
        // Neither fails: both URLs are http or https, and `base` has a host.
        let _ = url.set_scheme(base.scheme());
        let _ = url.set_host(base.host_str());
        let _ = url.set_port(base.port());
        with_body(request, guarded)
    }
}

fn with_body(
    mut request: reqwest::Request,
    body: Option<reqwest::Body>,
) -> Result<reqwest::Request, reqwest::Error> {
    if body.is_some() {
        *request.body_mut() = body;
    }
    Ok(request)
}

/// Adds headers that hyper and reqwest leave out.
fn complete(request: &mut Request<Bytes>) {
    // RFC 9110, section 8.6. Front ends, Google's among them, answer 411 to a POST without a length.
    if request.body().is_empty() && [Method::POST, Method::PUT, Method::PATCH].contains(request.method()) {
        request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    // A range of a compressed answer cannot be decoded.
    let has_range = request.headers().contains_key(header::RANGE);
    let codings = if has_range { HeaderValue::from_static("identity") } else { coding::ACCEPTED };
    request.headers_mut().insert(header::ACCEPT_ENCODING, codings);
}

fn classify(host: &str, error: reqwest::Error) -> TransportError {
    let host = host.to_owned();
    // A URL may hold a secret: Graph's `appsecret_proof`, or a token in an inspection request.
    let error = error.without_url();
    let cause = causes(&error);
    if error.is_connect() {
        return TransportError::Connect { host, cause };
    }
    if is_malformed(&error) {
        return TransportError::Malformed { host, cause };
    }
    TransportError::Broken { host, cause }
}

fn is_malformed(error: &reqwest::Error) -> bool {
    let cause = sources(error).find_map(|cause| cause.downcast_ref::<hyper::Error>());
    cause.is_some_and(hyper::Error::is_parse)
}

fn sources(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |cause: &&(dyn std::error::Error + 'static)| (*cause).source())
}

fn causes(error: &reqwest::Error) -> String {
    sources(error).fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    /// Sends a request to a server that answers with these bytes and closes the connection.
    async fn exchange(answer: &'static [u8]) -> Result<Response<Bytes>, TransportError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("the client connects");
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer).await;
        });
        let request = Request::get(format!("http://{address}/")).body(Bytes::new()).expect("a valid request");
        let transport = Transport::new().expect("the machine has CA certificates");
        transport.send(request, 10, Instant::now() + Duration::from_secs(10)).await
    }

    fn kind(error: &TransportError) -> &'static str {
        match error {
            TransportError::Connect { .. } => "connect",
            TransportError::Timeout { .. } => "timeout",
            TransportError::Broken { .. } => "broken",
            TransportError::Malformed { .. } => "malformed",
            TransportError::TooLarge { .. } => "too large",
        }
    }

    #[tokio::test]
    async fn each_way_of_not_answering_has_an_error_of_its_own() {
        let rows: [(&[u8], &str); 6] = [
            (b"", "broken"),
            (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "malformed"),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", "broken"),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n12345678901", "too large"),
            (
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nb\r\n12345678901\r\n0\r\n\r\n",
                "too large",
            ),
            (b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc", "malformed"),
        ];
        for (answer, expected) in rows {
            let error = exchange(answer).await.expect_err("this is no usable answer");
            assert_eq!(kind(&error), expected, "{} became {error:?}", String::from_utf8_lossy(answer));
        }
    }

    #[tokio::test]
    async fn nobody_there_is_a_connection_error_that_names_the_host_and_no_path() {
        let transport = Transport::new().expect("the machine has CA certificates");
        let request =
            Request::get("http://127.0.0.1:1/?token=canary").body(Bytes::new()).expect("a valid request");
        let outcome = transport.send(request, 10, Instant::now() + Duration::from_secs(10)).await;
        let error = outcome.expect_err("nobody listens on port 1");
        assert!(matches!(&error, TransportError::Connect { host, .. } if host == "127.0.0.1"), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("canary"));
    }

    /// What a server on loopback reads of a POST whose guard says `may_send`.
    async fn posted(may_send: bool) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("the client connects");
            let mut request = Vec::new();
            let mut chunk = [0; 1024];
            while !request.ends_with(b"refresh_token=r") {
                match stream.read(&mut chunk).await {
                    Ok(0) | Err(_) => return request,
                    Ok(read) => request.extend_from_slice(&chunk[..read]),
                }
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            request
        });
        let request = Request::post(format!("http://{address}/token"))
            .extension(SendGuard::new(move || may_send))
            .body(Bytes::from_static(b"refresh_token=r"))
            .expect("a valid request");
        let transport = Transport::new().expect("the machine has CA certificates");
        let outcome = transport.send(request, 10, Instant::now() + Duration::from_secs(10)).await;
        assert_eq!(outcome.is_ok(), may_send);
        drop(transport);
        String::from_utf8(served.await.expect("the server is done")).expect("it is text")
    }

    #[tokio::test]
    async fn a_guard_keeps_a_body_back_until_the_moment_it_is_written() {
        let sent = posted(true).await;
        assert!(sent.contains("content-length: 15") && sent.ends_with("refresh_token=r"), "{sent}");
        assert!(!posted(false).await.contains("refresh_token"));
    }

    #[tokio::test]
    async fn a_body_at_the_limit_arrives_whole() {
        let answer = exchange(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n1234567890").await;
        assert_eq!(answer.expect("an answer").body(), "1234567890");
    }
}
