//! TLS on the gRPC port: reads and checks an operator's files for rustls.

use std::{fmt, path::PathBuf, sync::Arc, time::SystemTime};

use aws_lc_rs::digest::{self, SHA256};
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs::default_provider},
    pki_types::{CertificateDer, PrivateKeyDer},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};

mod certificate;
mod pem;

pub use certificate::sans;
pub use pem::authorities;

/// HTTP/2 for gRPC; HTTP/1.1 for browsers and `curl`.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Paths of the certificate, its key and the clients' authorities, all in PEM format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The server's certificate, followed by its issuers without the root.
    pub certificate: PathBuf,
    /// The key of the first certificate.
    pub private_key: PathBuf,
    /// The authorities of client certificates. If set, clients must present one.
    pub client_ca: Option<PathBuf>,
}

/// One of [`Files`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    /// [`Files::certificate`].
    Certificate,
    /// [`Files::private_key`].
    PrivateKey,
    /// [`Files::client_ca`].
    ClientCa,
}

impl File {
    /// The configuration key of the file.
    pub fn key(self) -> &'static str {
        match self {
            Self::Certificate => "tls.certificate_file",
            Self::PrivateKey => "tls.private_key_file",
            Self::ClientCa => "tls.client_ca_file",
        }
    }
}

/// Why a file is unusable. It quotes neither the path nor the content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` names {what}", .file.key())]
pub struct Fault {
    /// Which file.
    pub file: File,
    /// What the file is, and what it should be; the text follows "names".
    pub what: String,
}

/// Why files are unusable: one fault at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<_> = self.0.iter().map(Fault::to_string).collect();
        f.write_str(&faults.join("; "))
    }
}

impl std::error::Error for Faults {}

/// The files' content, ready for handshakes.
#[derive(Clone)]
pub struct Material {
    /// Supports TLS 1.2 and 1.3, with h2 and http/1.1.
    pub server: Arc<ServerConfig>,
    /// When the server's certificate expires.
    pub expires_at: SystemTime,
    /// What clients may reject in the server's certificate. It is served nevertheless: clocks differ.
    pub doubt: Option<String>,
}

impl Files {
    /// Reads and checks all files. Blocks.
    ///
    /// # Errors
    /// The faults of all files.
    pub fn load(&self) -> Result<Material, Faults> {
        let chain = fault(File::Certificate, pem::certificates(&self.certificate));
        let key = fault(File::PrivateKey, pem::private_key(&self.private_key));
        let authorities = self.client_ca.as_ref().map(|file| fault(File::ClientCa, authorities(file)));
        let faults =
            [chain.as_ref().err(), key.as_ref().err(), authorities.as_ref().and_then(|a| a.as_ref().err())];
        let faults: Vec<_> = faults.into_iter().flatten().cloned().collect();
        let (Ok(chain), Ok(key), Ok(authorities)) = (chain, key, authorities.transpose()) else {
            return Err(Faults(faults));
        };
        assemble(chain, key, authorities).map_err(|fault| Faults(vec![fault]))
    }

    /// A fingerprint of the files' current content, to detect changes. Blocks.
    pub fn stamp(&self) -> Stamp {
        let files = [Some(&self.certificate), Some(&self.private_key), self.client_ca.as_ref()];
        let contents = files.into_iter().flatten().map(|file| {
            let content = std::fs::read(file).map(zeroize::Zeroizing::new);
            content.map_or([0; 32], |content| sha256(&content))
        });
        Stamp(contents.collect())
    }
}

/// A fingerprint of the content of [`Files`], independent of links and timestamps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp(Vec<[u8; 32]>);

fn sha256(content: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&SHA256, content).as_ref());
    hash
}

fn fault<T>(file: File, outcome: Result<T, String>) -> Result<T, Fault> {
    outcome.map_err(|what| Fault { file, what })
}

fn assemble(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    authorities: Option<Vec<CertificateDer<'static>>>,
) -> Result<Material, Fault> {
    let provider = Arc::new(default_provider());
    let certified = certified(chain, key, &provider)?;
    let leaf = certified.end_entity_cert().map_err(|_| certificate_damaged())?;
    let (expires_at, doubt) = certificate::judge(leaf, SystemTime::now()).ok_or_else(certificate_damaged)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .expect("the provider has cipher suites for both versions");
    let must_prove = authorities.is_some();
    let builder = match authorities {
        None => builder.with_no_client_auth(),
        Some(authorities) => {
            let roots = Arc::new(pem::roots(&authorities).map_err(client_ca)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| client_ca(error.to_string()))?)
        }
    };
    let mut server = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    // All of rustls' cipher suites are strong, so their order matters little. But scanners, and people who
    // read their reports, expect a server-side order with 256-bit AES first.
    server.ignore_client_order = true;
    server.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    if must_prove {
        // The certificate of a resumed session would not be checked again, though it may have expired.
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
    }
    Ok(Material { server: Arc::new(server), expires_at, doubt })
}

fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, Fault> {
    CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => Fault { file: File::PrivateKey, what: KEY_MISMATCH.to_owned() },
        rustls::Error::InvalidCertificate(_) => certificate_damaged(),
        _ => Fault { file: File::PrivateKey, what: pem::UNUSABLE_KEY.to_owned() },
    })
}

const KEY_MISMATCH: &str = "the key of another certificate than the first in `tls.certificate_file`: name the two that \
    were made together, and put the server's own certificate before those that signed it";

fn certificate_damaged() -> Fault {
    Fault { file: File::Certificate, what: pem::DAMAGED.to_owned() }
}

fn client_ca(what: String) -> Fault {
    Fault { file: File::ClientCa, what }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Material").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}
