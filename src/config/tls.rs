//! TLS on the gRPC port, `[tls]`, and the conditions for listening off loopback.

use std::{net::SocketAddr, path::PathBuf};

use super::{network::is_loopback, raw::Raw, secrets::FILE, section::Section, value::Shape};
use crate::tls::{Faults, File, Files};

/// Reads and checks the files of `[tls]`. The outer `None` means a reported mistake, the inner one that there
/// is no TLS.
pub(super) fn read(section: &mut Section<'_, '_>) -> Option<Option<Files>> {
    let certificate = file(section, "certificate_file", "none");
    let private_key = file(section, "private_key_file", "none; required with a certificate");
    let client_ca = file(section, "client_ca_file", "none");
    let (certificate, private_key, client_ca) = (certificate?, private_key?, client_ca?);
    let (certificate, private_key) = match (certificate, private_key) {
        (Some(certificate), Some(private_key)) => (certificate, private_key),
        (None, None) if client_ca.is_none() => return Some(None),
        (certificate, private_key) => {
            let missing = [(&certificate, "certificate_file"), (&private_key, "private_key_file")];
            let missing = missing.iter().filter(|(raw, _)| raw.is_none());
            missing.for_each(|(_, name)| section.problem(is_missing(name)));
            return None;
        }
    };
    section.warn_if_open(&private_key);
    check(section, &certificate, &private_key, client_ca.as_ref()).map(Some)
}

fn is_missing(name: &str) -> String {
    format!(
        "`tls.{name}` is missing: TLS takes a certificate and its private key, with `tls.client_ca_file` as well; name \
         both files, or none of the three"
    )
}

/// Reads the key of one file. The outer `None` means a reported mistake, the inner one that it is not set.
fn file<'a>(section: &mut Section<'_, 'a>, name: &str, default: &str) -> Option<Option<Raw<'a>>> {
    section.register(name, default, FILE);
    section.raw(name, Shape::Text, FILE).ok()
}

fn check(
    section: &mut Section<'_, '_>,
    certificate: &Raw<'_>,
    private_key: &Raw<'_>,
    client_ca: Option<&Raw<'_>>,
) -> Option<Files> {
    let path = |raw: &Raw<'_>| PathBuf::from(raw.text.as_ref());
    let files = Files {
        certificate: path(certificate),
        private_key: path(private_key),
        client_ca: client_ca.map(path),
    };
    match files.load() {
        Ok(material) => {
            if let Some(doubt) = material.doubt {
                section.warn(format!("`{}` {doubt}", certificate.origin.name));
            }
            Some(files)
        }
        Err(Faults(faults)) => {
            for fault in faults {
                let raw = match fault.file {
                    File::Certificate => certificate,
                    File::PrivateKey => private_key,
                    File::ClientCa => client_ca.unwrap_or(certificate),
                };
                section.wrong(&raw.origin, &format!("names {}", fault.what));
            }
            None
        }
    }
}

/// How calls arrive. The best is assumed of wrong settings: their mistakes are reported already, and are
/// enough to fix at once.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    /// Whether nobody can eavesdrop.
    pub(super) encrypted: bool,
    /// Whether callers must authenticate.
    pub(super) authenticated: bool,
    /// Whether trusted peers say who calls. Unless `authenticated` is set, these are known only by their
    /// address.
    pub(super) by_address: bool,
}

/// Reads the gRPC address, and whether `insecure` is set.
///
/// Off loopback, anybody who reaches the port could get every user's tokens, and anybody on the way could
/// read them. So it takes encryption and callers that authenticate, or an explicit `insecure`.
pub(super) fn listen(root: &mut Section<'_, '_>, arrival: Arrival) -> (SocketAddr, bool) {
    let insecure: bool = root.or("insecure", "false");
    let lacks = lacking(arrival);
    let listen: SocketAddr = root.checked("listen", "127.0.0.1:50051", |address: &SocketAddr| match lacks {
        Some(lacks) if !insecure && !is_loopback(address.ip()) => {
            Err(format!("{REACHABLE} {lacks}: {REMEDY}"))
        }
        _ => Ok(()),
    });
    match (insecure, is_loopback(listen.ip()), lacks) {
        (true, false, Some(lacks)) => root.warn(format!("`insecure` is set: {lacks}")),
        (true, false, None) => root.warn(
            "`insecure` is set but has no effect, since calls are encrypted and callers prove who they are",
        ),
        (true, true, _) => root.warn("`insecure` is set but has no effect, since `listen` is on loopback"),
        (false, ..) => {}
    }
    (listen, insecure)
}

/// Returns what is missing for listening off loopback.
fn lacking(arrival: Arrival) -> Option<&'static str> {
    match (arrival.encrypted, arrival.authenticated) {
        (true, true) => None,
        (true, false) if arrival.by_address => Some(
            "a trusted peer is known by its address alone, so whoever gets a connection from such an address can call as anybody",
        ),
        (false, false) if arrival.by_address => Some(
            "calls arrive in plain text, and a trusted peer is known by its address alone, so whoever is on the way reads the \
             tokens, and whoever gets a connection from such an address can call as anybody",
        ),
        (true, false) => {
            Some("no caller proves who it is, so whoever reaches `listen` gets the tokens of every user")
        }
        (false, true) => Some("calls arrive in plain text, so whoever is on the way reads the tokens"),
        (false, false) => {
            Some("calls arrive in plain text, and whoever reaches `listen` gets the tokens of every user")
        }
    }
}

const REACHABLE: &str = "is reachable from other machines, where";

const REMEDY: &str = "name `tls.certificate_file` and `tls.private_key_file`, and let callers prove who they are by \
    `tls.client_ca_file`, `[[jwt_issuers]]` or `[end_users]`; or listen on loopback, such as 127.0.0.1:50051, behind a \
    sidecar; or write `insecure = true` to take the risk";
