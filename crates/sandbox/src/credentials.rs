//! What an `Authorization` header carries.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use percent_encoding::percent_decode_str;

use super::form::Form;
use super::secrets;

/// The token of a `Bearer` header (GitHub's `token` is the same), in whatever case the scheme is written.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    let known = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token");
    known.then(|| token.trim())
}

/// Id and secret of a `Basic` header, each form-encoded inside it (RFC 6749, 2.3.1).
pub(crate) fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let header = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let pair = String::from_utf8(STANDARD.decode(header.strip_prefix("Basic ")?).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    Some((decoded(id), decoded(secret)))
}

/// Whether a request proves to be that app, by `Basic` or by `client_id` and `client_secret` in the form.
pub(crate) fn is_app(headers: &HeaderMap, form: &Form, id: &str, secret: &str) -> bool {
    let basic = basic(headers);
    let (claimed, shown) = match &basic {
        Some((claimed, shown)) => (claimed.as_str(), shown.as_str()),
        None => (form.get("client_id").unwrap_or_default(), form.get("client_secret").unwrap_or_default()),
    };
    claimed == id && secrets::same(shown, secret)
}
