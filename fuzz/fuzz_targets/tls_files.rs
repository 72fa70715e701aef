//! TLS from an operator's files, whatever is in them: ready for handshakes, or faults that quote none of it.
//!
//! The input is a file that holds all: certificate, key and authorities. `GOOD_CERTIFICATE` and `GOOD_KEY`
//! stand for a pair that was made together, in PEM form, `OTHER_KEY` for another key.

#![no_main]

use std::{path::PathBuf, sync::LazyLock};

use idp_token_service::tls::{Files, authorities};
use idp_token_service_fuzz::CANARY;
use libfuzzer_sys::fuzz_target;
use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

static WORLD: LazyLock<World> = LazyLock::new(World::new);

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let world = &*WORLD;
    let content = text
        .replace("GOOD_CERTIFICATE", &world.certificate)
        .replace("GOOD_KEY", &world.key)
        .replace("OTHER_KEY", &world.other_key);
    let file = world.folder.path().join(CANARY);
    std::fs::write(&file, &content).expect("the file can be written");
    let files = Files { certificate: file.clone(), private_key: file.clone(), client_ca: Some(file.clone()) };
    match files.load() {
        Ok(material) => {
            assert!(content.contains("-----BEGIN CERTIFICATE-----") && content.contains("PRIVATE KEY-----"));
            assert_eq!(material.server.alpn_protocols, [&b"h2"[..], b"http/1.1"]);
            assert!(!format!("{material:?}").contains(&world.secret), "the key is shown");
            assert!(authorities(&file).is_ok());
        }
        Err(faults) => {
            let shown = format!("{faults} {faults:?}");
            assert!(
                !faults.0.is_empty() && !shown.contains(CANARY) && !shown.contains(&world.secret),
                "{shown}"
            );
            assert!(!is_plain(&text), "{faults}");
        }
    }
    assert_eq!(files.stamp(), files.stamp());
});

struct World {
    folder: TempDir,
    certificate: String,
    key: String,
    other_key: String,
    /// A line of the good key.
    secret: String,
}

impl World {
    fn new() -> Self {
        let memory = PathBuf::from("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let (key, other) = (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
        let params = CertificateParams::new(["idp-token.acme.example".to_owned()]).expect("a name");
        let certificate = params.self_signed(&key).expect("a certificate").pem();
        let (key, other_key) = (key.serialize_pem(), other.serialize_pem());
        let secret = key.lines().nth(1).expect("a line of the key").to_owned();
        Self { folder: folder.expect("a folder for files"), certificate, key, other_key, secret }
    }
}

/// Whether the good pair stands there first, and nothing else that begins like PEM.
fn is_plain(text: &str) -> bool {
    let rest = text.strip_prefix("GOOD_CERTIFICATE\nGOOD_KEY\n");
    rest.is_some_and(|rest| !rest.contains("---") && !rest.contains("_"))
}
