//! A service that trusts a proxy and an issuer, as far as authentication goes.

use std::{
    io::{Read, Write},
    net::TcpListener,
    path::Path,
};

use idp_token_service::{
    authentication::Authentication,
    config::{Config, Environment},
    transport::Transport,
};

/// The end users' issuer is the tenant, whose keys are at `keys` on loopback, if there are any.
pub const TENANT: &str = "https://acme.eu.auth0.com/";
/// What end users' tokens are for.
pub const AUDIENCE: &str = "https://idp-token.acme.example";

/// Authentication as `more` says, a configuration in TOML.
pub fn authentication(base_url: &str, more: &str) -> Authentication {
    let text = format!(
        "{more}\n[auth0]\ndomain = 'acme.eu.auth0.com'\nclient_id = 'app'\nclient_secret = 'secret'\nbase_url = '{base_url}'\n"
    );
    let folder = tempfile::tempdir().expect("a folder for the configuration");
    let file = folder.path().join("idp.toml");
    std::fs::write(&file, text).expect("the file can be written");
    let config = load(&file).expect("a configuration");
    Authentication::new(&config, &Transport::new().expect("the machine has CA certificates"))
}

fn load(file: &Path) -> Result<Config, idp_token_service::config::ConfigError> {
    Config::load(Some(file), &Environment::default())
}

/// Answers every request with `json`, on a thread of its own, for as long as the process lives; and where.
pub fn publish(json: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = listener.local_addr().expect("a bound listener has an address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let length = json.len();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{json}"
            );
        }
    });
    format!("http://{address}")
}
