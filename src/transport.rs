//! The only way out: every request to Auth0 and to a provider is sent here, with the same limits.

use std::{collections::BTreeMap, error::Error as _, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use rustls::pki_types::CertificateDer;
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
    /// The caller's time ran out; the request may have been carried out.
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
    /// What came is not HTTP, or not in the content coding that it claims.
    #[error("{host} answered what cannot be read: {cause}")]
    Malformed {
        /// Who answered.
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
    host_overrides: Arc<BTreeMap<String, Url>>,
}

impl Transport {
    /// A transport that reaches every host where its name leads.
    ///
    /// # Errors
    /// When the machine has no CA certificates.
    pub fn new() -> Result<Self, TransportSetupError> {
        Self::trusting(&[])
    }

    /// The same, where a server may also be certified by one of `authorities`, beside those of the system. There is no way
    /// to have certificates not verified.
    ///
    /// # Errors
    /// When neither the machine nor `authorities` have a CA certificate, or one of `authorities` is none.
    pub fn trusting(authorities: &[CertificateDer<'static>]) -> Result<Self, TransportSetupError> {
        let authorities: Result<Vec<_>, _> =
            authorities.iter().map(|authority| reqwest::Certificate::from_der(authority)).collect();
        let client = reqwest::Client::builder()
            .tls_certs_merge(authorities.map_err(TransportSetupError)?)
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
        Ok(Self { client, host_overrides: Arc::default() })
    }

    /// The same connections, but with the hosts in `host_overrides` reached elsewhere: for tests, where a provider is a fake
    /// on loopback. A key is a host, or `*.` and its parent.
    #[must_use]
    pub fn with_host_overrides(&self, host_overrides: BTreeMap<String, Url>) -> Self {
        Self { client: self.client.clone(), host_overrides: Arc::new(host_overrides) }
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
        complete(&mut request);
        let host = request.uri().host().unwrap_or_default();
        let overridden = self.host_overrides.get(host).or_else(|| {
            let (_, parent) = host.split_once('.')?;
            self.host_overrides.get(&format!("*.{parent}"))
        });
        let Some(base) = overridden else { return reqwest::Request::try_from(request) };

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

/// Adds what hyper and reqwest leave out.
fn complete(request: &mut Request<Bytes>) {
    // RFC 9110, section 8.6. Front ends, Google's among them, answer 411 to a POST that tells no length.
    if request.body().is_empty() && [Method::POST, Method::PUT, Method::PATCH].contains(request.method()) {
        request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    // A range of a compressed answer is bytes that cannot be decoded.
    if request.headers().contains_key(header::RANGE) {
        request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
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
    // A URL may hold what is secret: Graph's `appsecret_proof`, a token in an inspection request.
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
    // An interrupted body is a decoding error to reqwest as well, and then it has hyper's error inside.
    match sources(error).find_map(|cause| cause.downcast_ref::<hyper::Error>()) {
        Some(error) => error.is_parse(),
        None => error.is_decode(),
    }
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

    /// What becomes of one exchange with a server that answers these bytes and hangs up.
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

    #[tokio::test]
    async fn a_body_at_the_limit_arrives_whole() {
        let answer = exchange(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n1234567890").await;
        assert_eq!(answer.expect("an answer").body(), "1234567890");
    }
}
