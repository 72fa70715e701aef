//! What all adapters send alike: the call, with the token in the `authorization` header only.

use bytes::Bytes;
use http::{
    HeaderValue, Request, Uri,
    header::AUTHORIZATION,
    uri::{PathAndQuery, Scheme},
};
use zeroize::Zeroizing;

use super::request::ApiRequest;
use crate::token::AccessToken;

/// Builds the request for `call`, with `target` as its path and query.
pub(super) fn request(call: &ApiRequest, target: PathAndQuery, token: &AccessToken) -> Request<Bytes> {
    let uri =
        Uri::builder().scheme(Scheme::HTTPS).authority(call.host.as_str()).path_and_query(target).build();
    let mut request = Request::new(call.body.clone());
    *request.method_mut() = call.method.clone();
    *request.uri_mut() = uri.expect("a checked host and path make a URI");
    *request.headers_mut() = call.headers.clone();
    request.headers_mut().insert(AUTHORIZATION, authorization(token));
    request
}

/// The `authorization` header (RFC 6750, section 2.1), marked as sensitive so that no log shows it. A token
/// that a header cannot hold is replaced by one that the provider is certain to refuse: without the header,
/// the request could succeed anonymously.
pub(super) fn authorization(token: &AccessToken) -> HeaderValue {
    let value = Zeroizing::new(format!("Bearer {}", token.expose()));
    let mut value = HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static("Bearer -"));
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_marked_sensitive_even_if_no_header_can_hold_it() {
        for (token, expected) in
            [("ya29.a", "Bearer ya29.a"), ("a\r\nhost: evil", "Bearer -"), ("a\0b", "Bearer -")]
        {
            let value = authorization(&AccessToken::new(token.to_owned()));
            assert_eq!(value, expected);
            assert!(value.is_sensitive());
        }
    }
}
