//! Bodies of `application/x-www-form-urlencoded`.

use bytes::Bytes;
use percent_encoding::utf8_percent_encode;
use zeroize::Zeroizing;

use crate::identity::RESERVED;

/// A form under construction.
#[derive(Default)]
pub(in crate::provider) struct Form(String);

impl Form {
    /// Adds a field.
    pub(in crate::provider) fn field(mut self, name: &str, value: &str) -> Self {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.extend(utf8_percent_encode(name, RESERVED));
        self.0.push('=');
        self.0.extend(utf8_percent_encode(value, RESERVED));
        self
    }

    /// The body.
    pub(in crate::provider) fn into_body(self) -> Bytes {
        Bytes::from(self.0)
    }
}

/// `user:password`, each form-encoded.
pub(in crate::provider) fn pair(user: &str, password: &str) -> Zeroizing<String> {
    let (user, password) = (utf8_percent_encode(user, RESERVED), utf8_percent_encode(password, RESERVED));
    Zeroizing::new(format!("{user}:{password}"))
}
