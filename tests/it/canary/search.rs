//! The search for secrets, in every spelling that a program writes without thinking.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

/// So many characters of a secret are found, wherever it was cut.
const PIECE: usize = 16;

/// Secrets to look for.
#[derive(Default)]
pub(super) struct Secrets(Vec<(String, Vec<String>)>);

/// What was found, and a little of where: never the whole text, which may be a log of megabytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Find(Vec<String>);

impl Find {
    pub(super) const NOTHING: Self = Self(Vec::new());
}

impl Secrets {
    pub(super) fn new<'a>(secrets: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut all = Self::default();
        secrets.into_iter().for_each(|(name, secret)| all.add(name, secret));
        all
    }

    pub(super) fn add(&mut self, name: &str, secret: &str) {
        // What is shorter is no secret of this world, and would be found by accident.
        if secret.len() >= PIECE && !self.0.iter().any(|(_, known)| known[0] == secret) {
            self.0.push((name.to_owned(), spellings(secret)));
        }
    }

    pub(super) fn have(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    pub(super) fn find_in(&self, text: &str) -> Find {
        let finds = self.0.iter().filter_map(|(name, spellings)| {
            let at = spellings.iter().find_map(|spelling| text.find(spelling))?;
            let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
            let context: String = text[line..].chars().take(300).collect();
            Some(format!("{name}: {context}"))
        });
        Find(finds.collect())
    }
}

/// The secret itself first; then its halves, and encodings of them.
fn spellings(secret: &str) -> Vec<String> {
    let bytes = secret.as_bytes();
    let mut all = vec![secret.to_owned()];
    // Any part of twice the length of a piece contains one of these whole.
    for piece in bytes.chunks_exact(PIECE).map(|piece| String::from_utf8_lossy(piece).into_owned()) {
        all.extend(encodings(&piece));
        all.push(piece);
    }
    all.extend(encodings(secret));
    all
}

fn encodings(text: &str) -> Vec<String> {
    let bytes = text.as_bytes();
    let percent = |upper: bool| {
        let one = |byte: &u8| if upper { format!("%{byte:02X}") } else { format!("%{byte:02x}") };
        bytes.iter().map(one).collect::<String>()
    };
    let mut all = vec![
        percent(true),
        percent(false),
        bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        // As a slice of bytes is printed.
        bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(", "),
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string(),
        url::form_urlencoded::byte_serialize(bytes).collect(),
        text.escape_debug().to_string(),
        text.replace('/', "\\/"),
        text.chars().rev().collect(),
    ];
    // In base64 it looks different at each of three offsets; the characters at both ends depend on the
    // neighbours.
    for offset in 0..3 {
        let shifted = [&[0; 3][..offset], bytes].concat();
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let encoded = engine.encode(&shifted);
            let whole = shifted.len() / 3 * 4;
            all.push(encoded[if offset == 0 { 0 } else { 4 }..whole].to_owned());
        }
    }
    all
}

#[test]
fn a_planted_secret_is_found_in_every_spelling() {
    let secret = "ya29.Planted/Canary+7Hq2Zr9Wd4Kx1Tt8=";
    let secrets = Secrets::new([("it", secret)]);
    let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let percent: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let header = STANDARD_NO_PAD.encode(format!("Bearer {secret}, and more"));
    let cookie = URL_SAFE_NO_PAD.encode(format!("client:{secret}"));
    let json = serde_json::json!({ "a": format!("<{secret}>") }).to_string();
    for text in [
        secret,
        &secret[..20],
        &secret[3..],
        &form,
        &percent,
        &header,
        &cookie,
        &json,
        &format!("{json:?}"),
        &format!("{:?}", secret.as_bytes()),
        &format!("{:?}", bytes::Bytes::from(secret)),
        &secret.replace('/', "\\/"),
    ] {
        let line = format!("a line before\nWARN error: {text} and so on\n");
        assert_ne!(secrets.find_in(&line), Find::NOTHING, "{text}");
    }
    assert_eq!(secrets.find_in("nothing of the kind"), Find::NOTHING);
}

#[test]
fn each_of_two_secrets_is_found_and_named() {
    let secrets =
        Secrets::new([("first", "first-secret-0123456789"), ("second", "second-secret-0123456789")]);
    let Find(finds) = secrets.find_in("x second-secret-0123456789");
    assert_eq!(finds.len(), 1);
    assert!(finds[0].starts_with("second: x "), "{finds:?}");
}
