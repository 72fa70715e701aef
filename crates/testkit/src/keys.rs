//! RSA keys, made anew in each run: none is ever checked in.

use std::sync::LazyLock;

use aws_lc_rs::{rsa::KeyPair, signature::KeyPair as _};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use idp_token_sandbox::Seed;

/// One key for all sandboxes, since making one takes a while.
pub static SIGNING_KEY: LazyLock<String> = LazyLock::new(|| Seed::new_signing_key().unwrap());

/// One key for all privileged workers.
pub static VAULT_KEY: LazyLock<ClientKey> = LazyLock::new(ClientKey::new);

/// An application's key.
pub struct ClientKey {
    pub private_pem: String,
    pub public_pem: String,
}

impl ClientKey {
    pub fn new() -> Self {
        let private_pem = Seed::new_signing_key().unwrap();
        let base64: String = private_pem.lines().filter(|line| !line.starts_with('-')).collect();
        let pair = KeyPair::from_pkcs8(&STANDARD.decode(base64).unwrap()).unwrap();
        let public = STANDARD.encode(pair.public_key().as_ref());
        let public_pem = format!("-----BEGIN RSA PUBLIC KEY-----\n{public}\n-----END RSA PUBLIC KEY-----\n");
        Self { private_pem, public_pem }
    }
}
