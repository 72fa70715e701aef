//! An issuer of tokens on a socket of its own, with keys of its own, that misbehaves on request.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use axum::{Router, extract::State, response::IntoResponse, routing::get};
use idp_token_service::config::{Config, JwtIssuer};
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use super::{ANYWHERE, rules::everything_for_services};

/// The `aud` of its tokens, as the service expects it.
pub const AUDIENCE: &str = "idp-token-service";

/// What it answers when it is asked for its keys.
#[derive(Clone)]
pub enum Answer {
    Keys,
    Status(u16, &'static str),
    Text(String),
    Nothing,
}

/// See the module's documentation.
pub struct Issuer {
    url: String,
    inner: Arc<Inner>,
    serving: JoinHandle<()>,
}

struct Inner {
    key: Mutex<Key>,
    answer: Mutex<Answer>,
    fetches: AtomicUsize,
}

/// An ES256 key, which is made in no time.
#[derive(Clone)]
pub struct Key {
    pub id: String,
    pub private: EncodingKey,
    pub public: Value,
}

impl Key {
    pub fn new(id: &str) -> Self {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let private = EncodingKey::from_ec_der(pair.as_ref());
        let jwk = Jwk::from_encoding_key(&private, Algorithm::ES256).unwrap();
        let mut public = serde_json::to_value(jwk).unwrap();
        public["kid"] = json!(id);
        Self { id: id.to_owned(), private, public }
    }

    pub fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.id.clone()), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, claims, &self.private).unwrap()
    }
}

impl Issuer {
    pub async fn start() -> Self {
        let inner = Arc::new(Inner {
            key: Mutex::new(Key::new("first")),
            answer: Mutex::new(Answer::Keys),
            fetches: AtomicUsize::new(0),
        });
        let router = Router::new().route("/jwks", get(answer)).with_state(Arc::clone(&inner));
        let listener = TcpListener::bind(ANYWHERE).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, inner, serving }
    }

    /// The `iss` of its tokens; its keys are at `/jwks` below it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Makes the service believe it, and lets every service do everything.
    pub fn trust(&self, config: &mut Config) {
        config.callers.push(everything_for_services());
        config.jwt_issuers.push(JwtIssuer {
            issuer: self.url.clone(),
            jwks_url: format!("{}/jwks", self.url).parse().unwrap(),
            audience: AUDIENCE.to_owned(),
        });
    }

    /// The claims of a good token.
    pub fn claims(&self) -> Value {
        let now = now();
        json!({
            "iss": self.url, "sub": "calendar", "aud": AUDIENCE, "iat": now, "exp": now + 300,
            // So that no two are the same.
            "jti": format!("{:016x}", fastrand::u64(..)),
        })
    }

    pub fn sign(&self, claims: &Value) -> String {
        self.inner.key.lock().unwrap().sign(claims)
    }

    /// A good token, another one each time.
    pub fn token(&self) -> String {
        self.sign(&self.claims())
    }

    /// The key that it signs with.
    pub fn key(&self) -> Key {
        self.inner.key.lock().unwrap().clone()
    }

    /// Another key takes the place of the old one.
    pub fn rotate(&self, id: &str) {
        *self.inner.key.lock().unwrap() = Key::new(id);
    }

    pub fn answers(&self, answer: Answer) {
        *self.inner.answer.lock().unwrap() = answer;
    }

    /// How often it was asked for its keys.
    pub fn fetches(&self) -> usize {
        self.inner.fetches.load(Ordering::SeqCst)
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(State(inner): State<Arc<Inner>>) -> axum::response::Response {
    inner.fetches.fetch_add(1, Ordering::SeqCst);
    let answer = inner.answer.lock().unwrap().clone();
    match answer {
        Answer::Keys => {
            let keys = json!({ "keys": [inner.key.lock().unwrap().public] });
            axum::Json(keys).into_response()
        }
        Answer::Status(status, location) => {
            (http::StatusCode::from_u16(status).unwrap(), [("location", location)]).into_response()
        }
        Answer::Text(text) => text.into_response(),
        Answer::Nothing => std::future::pending().await,
    }
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}
