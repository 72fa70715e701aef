//! The location of the store: `memory:`, `sqlite:///path` or `postgres://...`.

use std::{fmt, path::PathBuf, str::FromStr};

use percent_encoding::percent_decode_str;
use sqlx::{
    ConnectOptions,
    postgres::{PgConnectOptions, PgSslMode},
};
use url::Url;

use super::StoreError;

/// The location of the store. `Debug` shows no password.
#[derive(Clone)]
pub struct StoreUrl(pub(super) Target);

#[derive(Clone)]
pub(super) enum Target {
    Memory,
    Sqlite(PathBuf),
    Postgres(Box<PgConnectOptions>),
}

/// The allowed parameters after `?`. Others are refused: the driver would ignore them, and log their values.
const PARAMETERS: [&str; 18] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

const FORMS: &str =
    "must be `memory:`, `sqlite:///absolute/path/of/a/file` or `postgres://user@host/database`";

impl StoreUrl {
    /// The store that is lost with the process.
    pub const MEMORY: Self = Self(Target::Memory);

    /// The `sslmode` of a remote server that need not prove its identity; `None` if the connection is safe.
    pub fn unverified(&self) -> Option<&'static str> {
        let Target::Postgres(options) = &self.0 else { return None };
        if is_local(options) {
            return None;
        }
        match options.get_ssl_mode() {
            PgSslMode::Disable => Some("disable"),
            PgSslMode::Allow => Some("allow"),
            PgSslMode::Prefer => Some("prefer"),
            PgSslMode::Require => Some("require"),
            PgSslMode::VerifyCa | PgSslMode::VerifyFull => None,
        }
    }

    /// Returns whether encryption keys are needed.
    pub fn needs_keys(&self) -> bool {
        !matches!(self.0, Target::Memory)
    }
}

/// The error continues the key's name, and quotes nothing: "must be ...".
impl FromStr for StoreUrl {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("memory", "")) => Ok(Self::MEMORY),
            Some(("sqlite", path)) => sqlite(path),
            Some(("postgres" | "postgresql", _)) => postgres(text),
            _ => Err(StoreError::misconfigured(FORMS)),
        }
    }
}

fn sqlite(rest: &str) -> Result<StoreUrl, StoreError> {
    let path = rest.strip_prefix("//").filter(|path| path.starts_with('/') && !path.ends_with('/'));
    let path =
        path.filter(|path| !path.contains(['?', '#'])).ok_or_else(|| StoreError::misconfigured(FORMS))?;
    let path = percent_decode_str(path).decode_utf8().map_err(|_| StoreError::misconfigured(FORMS))?;
    Ok(StoreUrl(Target::Sqlite(PathBuf::from(path.as_ref()))))
}

fn postgres(text: &str) -> Result<StoreUrl, StoreError> {
    let url: Url = text.parse().map_err(|_| StoreError::misconfigured(NOT_POSTGRES))?;
    for (name, _) in url.query_pairs() {
        if !PARAMETERS.contains(&&*name) && !name.starts_with("options[") {
            return Err(StoreError::misconfigured("has a parameter after the `?` that is not known"));
        }
    }
    let options = PgConnectOptions::from_url(&url).map_err(|_| StoreError::misconfigured(NOT_POSTGRES))?;
    let says = url.query_pairs().any(|(name, _)| matches!(&*name, "sslmode" | "ssl-mode"));
    // The driver's own default falls back to plain text when an attacker on the way says "no TLS here".
    let options = if says || is_local(&options) { options } else { options.ssl_mode(PgSslMode::VerifyFull) };
    Ok(StoreUrl(Target::Postgres(Box::new(options))))
}

const NOT_POSTGRES: &str = "is no valid PostgreSQL URL: write postgres://user:password@host:5432/database, with \
    special characters percent-encoded";

fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host().trim_matches(['[', ']']);
    options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Target::Memory => f.write_str("memory:"),
            Target::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Target::Postgres(options) => {
                let database = options.get_database().unwrap_or_default();
                write!(f, "postgres://{}:{}/{database}", options.get_host(), options.get_port())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<StoreUrl, StoreError> {
        text.parse()
    }

    #[test]
    fn three_forms_are_understood_and_nothing_else() {
        assert!(matches!(parse("memory:").map(|url| url.0), Ok(Target::Memory)));
        let path = parse("sqlite:///var/lib/a%20b.db").map(|url| url.0);
        assert!(matches!(path, Ok(Target::Sqlite(path)) if path.as_os_str() == "/var/lib/a b.db"));
        assert!(matches!(parse("postgresql://db/tokens").map(|url| url.0), Ok(Target::Postgres(_))));
        let wrong = ["", "memory", "memory:x", "sqlite::memory:", "sqlite:tokens.db", "sqlite://tokens.db"];
        let also =
            ["sqlite:///", "sqlite:///a?mode=ro", "mysql://db/tokens", "postgres://db:x/y", "/var/lib/a.db"];
        for text in wrong.into_iter().chain(also) {
            let error = parse(text).expect_err(text).to_string();
            assert!(["must be ", "is no valid "].iter().any(|start| error.starts_with(start)), "{error}");
        }
    }

    #[test]
    fn neither_debug_nor_errors_show_a_password() {
        let url = parse("postgres://ada:canary@db.example:5433/tokens?password=canary").expect("a valid URL");
        assert_eq!(format!("{url:?}"), "postgres://db.example:5433/tokens");
        for wrong in
            ["postgres://ada:canary@db:x/y", "postgres://ada@db/y?passwort=canary", "mysql://a:canary@b"]
        {
            let error = parse(wrong).expect_err("the URL is wrong");
            assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        }
    }

    #[test]
    fn a_server_elsewhere_must_prove_who_it_is_unless_the_url_says_otherwise() {
        for (text, verified) in [
            ("postgres://db.example/tokens", true),
            ("postgres://10.0.0.1/tokens", true),
            ("postgres://db.example/tokens?sslmode=require", false),
            ("postgres://localhost/tokens", false),
            ("postgres://127.0.0.1/tokens", false),
            ("postgres://[::1]/tokens", false),
            ("postgres://%2Frun%2Fpostgresql/tokens", false),
            ("postgres:///tokens?host=/run/postgresql", false),
        ] {
            let Ok(StoreUrl(Target::Postgres(options))) = parse(text) else { panic!("{text} is valid") };
            assert_eq!(matches!(options.get_ssl_mode(), PgSslMode::VerifyFull), verified, "{text}");
        }
    }

    #[test]
    fn a_server_elsewhere_that_proves_nothing_is_told_from_one_that_is_safe() {
        for mode in ["disable", "allow", "prefer", "require"] {
            for (place, told) in [("db.example", Some(mode)), ("10.0.0.1", Some(mode)), ("[::1]", None)] {
                let url = parse(&format!("postgres://{place}/tokens?sslmode={mode}")).expect("a valid URL");
                assert_eq!(url.unverified(), told, "{place} {mode}");
            }
        }
        for safe in [
            "memory:",
            "sqlite:///a",
            "postgres://db/t",
            "postgres://db/t?sslmode=verify-ca",
            "postgres:///t?host=/run",
        ] {
            assert_eq!(parse(safe).expect("a valid URL").unverified(), None, "{safe}");
        }
    }
}
