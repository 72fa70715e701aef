//! What a certificate contains: its names, its expiry, and what clients may reject.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage};

use crate::caller::San;

/// The names of a client's certificate that rustls has verified, URIs first. Names that are not UTF-8 or not
/// DNS names are skipped: no rule could refer to them, and only an authority of the operator could have
/// signed them.
pub fn sans(certificate: &CertificateDer<'_>) -> Vec<San> {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else { return Vec::new() };
    let uris = certificate.valid_uri_names().map(|name| San::Uri(name.to_owned()));
    uris.chain(certificate.valid_dns_names().map(|name| San::Dns(name.to_owned()))).collect()
}

/// Returns when a server's certificate expires, and any doubt about it at `now`; `None` if it cannot
/// be parsed.
pub(super) fn judge(
    certificate: &CertificateDer<'_>,
    now: SystemTime,
) -> Option<(SystemTime, Option<String>)> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    // webpki offers no other way to learn when a certificate expires.
    let Error::CertExpired { not_after, .. } = flaw(&certificate, UnixTime::since_unix_epoch(END_OF_TIME))
    else {
        return None;
    };
    let now = UnixTime::since_unix_epoch(now.duration_since(UNIX_EPOCH).unwrap_or_default());
    let doubt = match flaw(&certificate, now) {
        Error::CertExpired { not_after, .. } => Some(format!(
            "names a certificate that EXPIRED at {}: clients refuse it; put a new one in its place, which is loaded while \
             the service runs",
            written(not_after)
        )),
        Error::CertNotValidYet { not_before, .. } => Some(format!(
            "names a certificate that is not valid before {}: until then clients refuse it; is this machine's clock right?",
            written(not_before)
        )),
        Error::CaUsedAsEndEntity => Some(
            "names a certificate that is marked as an authority (CA:TRUE), which rustls and other strict clients refuse \
             from a server; make one with `basicConstraints=CA:FALSE`"
                .to_owned(),
        ),
        Error::RequiredEkuNotFoundContext(_) => {
            Some("names a certificate that is not for servers: its extended key usage lacks `serverAuth`".to_owned())
        }
        _ => None,
    };
    Some((time(not_after), doubt))
}

/// One second after the end of year 9999, the last possible expiry of a certificate (RFC 5280, section
/// 4.1.2.5).
const END_OF_TIME: Duration = Duration::from_secs(253_402_300_800);

/// The first reason for a client to reject a server's certificate; at the least, that the test trusts no
/// authority.
fn flaw(certificate: &EndEntityCert<'_>, at: UnixTime) -> Error {
    let verified = certificate.verify_for_usage(&[], &[], &[], at, KeyUsage::server_auth(), None, None);
    verified.err().unwrap_or(Error::UnknownIssuer)
}

fn time(time: UnixTime) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(time.as_secs())
}

fn written(at: UnixTime) -> humantime::Rfc3339Timestamp {
    humantime::format_rfc3339_seconds(time(at))
}
