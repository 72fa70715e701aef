//! `x-forwarded-client-cert`: what a proxy says about its client's certificate, in Envoy's format.
//!
//! The format:
//! <https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers#x-forwarded-client-cert>.
//! Commas separate elements, one for each proxy on the way; semicolons separate the pairs of an element. A
//! proxy appends its element at the end (`APPEND_FORWARD`) or sets the only one (`SANITIZE_SET`), so the last
//! element is what the proxy connected to us says about its own client. The others are only hearsay, and are
//! ignored.
//!
//! Envoy quotes only `Subject`, `Cert` and `Chain`, and writes URIs and DNS names as the certificate has
//! them: the mesh's CA must not sign names that contain a comma. Envoy writes `Hash` in every element; an
//! element without it is rejected.

use super::error::CredentialRejection;
use crate::caller::San;

/// Maximum bytes; an element with `Cert` has about 3 KiB.
const LONGEST: usize = 12 * 1024;

/// Maximum number of names in one certificate.
const MOST_SANS: usize = 32;

/// Returns the names in the client's certificate, from the last element of `header`.
///
/// # Errors
/// When any part of the header is malformed: if one element cannot be read, nobody can tell where the next
/// begins.
pub(super) fn client(header: &str) -> Result<Vec<San>, CredentialRejection> {
    if header.len() > LONGEST {
        return Err(CredentialRejection::Forwarded);
    }
    let mut rest = header;
    loop {
        let mut element = Element::default();
        let end = loop {
            let (key, value, end, after) = pair(rest)?;
            element.take(key, value)?;
            rest = after;
            if end != Some(';') {
                break end;
            }
        };
        if end.is_none() {
            return element.sans();
        }
    }
}

/// The pairs of an element that matter.
#[derive(Default)]
struct Element {
    hashes: usize,
    sans: Vec<San>,
}

impl Element {
    fn take(&mut self, key: &str, value: String) -> Result<(), CredentialRejection> {
        match key {
            "Hash" if is_sha256(&value) => self.hashes += 1,
            "Hash" => return Err(CredentialRejection::Forwarded),
            // Envoy writes `URI=` for a certificate without one.
            "URI" | "DNS" if value.is_empty() => {}
            "URI" => self.sans.push(San::Uri(value)),
            "DNS" => self.sans.push(San::Dns(value)),
            _ => {}
        }
        Ok(())
    }

    fn sans(self) -> Result<Vec<San>, CredentialRejection> {
        if self.hashes == 1 && self.sans.len() <= MOST_SANS {
            Ok(self.sans)
        } else {
            Err(CredentialRejection::Forwarded)
        }
    }
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Splits the first pair off `text`: key, value, the separator after it (`;`, `,` or none), and the rest.
fn pair(text: &str) -> Result<(&str, String, Option<char>, &str), CredentialRejection> {
    let (key, rest) = text.split_once('=').ok_or(CredentialRejection::Forwarded)?;
    // Some proxies put a space after the comma.
    let key = key.trim_start_matches(' ');
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(CredentialRejection::Forwarded);
    }
    let (value, rest) = match rest.strip_prefix('"') {
        Some(quoted) => unquoted(quoted)?,
        None => plain(rest)?,
    };
    let mut after = rest.chars();
    match after.next() {
        end @ (None | Some(';' | ',')) => Ok((key, value, end, after.as_str())),
        _ => Err(CredentialRejection::Forwarded),
    }
}

/// Splits off an unquoted value. A quote within it is rejected: where the value ends would be a matter of
/// opinion.
fn plain(text: &str) -> Result<(String, &str), CredentialRejection> {
    let (value, rest) = text.split_at(text.find([';', ',']).unwrap_or(text.len()));
    if value.contains('"') { Err(CredentialRejection::Forwarded) } else { Ok((value.to_owned(), rest)) }
}

/// Splits off a quoted value, without its escapes; `text` begins after the opening quote, the rest after the
/// closing one.
fn unquoted(text: &str) -> Result<(String, &str), CredentialRejection> {
    let mut value = String::new();
    let mut letters = text.chars();
    loop {
        match letters.next() {
            Some('"') => return Ok((value, letters.as_str())),
            Some('\\') => value.push(letters.next().ok_or(CredentialRejection::Forwarded)?),
            Some(letter) => value.push(letter),
            None => return Err(CredentialRejection::Forwarded),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HASH: &str = "Hash=468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688";

    fn uri(uri: &str) -> San {
        San::Uri(uri.to_owned())
    }

    fn dns(name: &str) -> San {
        San::Dns(name.to_owned())
    }

    #[test]
    fn the_last_element_tells_of_whoever_is_connected_to_the_proxy() {
        let sa = "spiffe://acme/ns/prod/sa/calendar";
        for (header, expected) in [
            (format!("By=spiffe://acme/envoy;{HASH};Subject=\"/C=US, CN=Test\";URI={sa}"), vec![uri(sa)]),
            (
                format!("{HASH};URI=;DNS=a.acme.example;DNS=b.acme.example"),
                vec![dns("a.acme.example"), dns("b.acme.example")],
            ),
            (format!("{HASH};URI=spiffe://acme/admin,{HASH};URI={sa}"), vec![uri(sa)]),
            (format!("{HASH};URI=spiffe://acme/admin, {HASH};URI={sa}"), vec![uri(sa)]),
            (format!("{HASH};Subject=\"CN=a\\\",{HASH};URI=spiffe://acme/admin\";URI={sa}"), vec![uri(sa)]),
            (format!("{HASH};URI=\"{sa}\";New=1"), vec![uri(sa)]),
            (format!("{HASH};URI=http://a.example/?b=c"), vec![uri("http://a.example/?b=c")]),
            (HASH.to_owned(), vec![]),
        ] {
            assert_eq!(client(&header), Ok(expected), "{header}");
        }
    }

    #[test]
    fn what_two_programs_could_read_in_two_ways_is_refused() {
        for header in [
            "",
            "URI=spiffe://acme/admin",
            "Hash=468ed3;URI=a",
            &format!("{HASH};{HASH};URI=a"),
            &format!("{HASH};URI=a,"),
            &format!("{HASH};URI=a;"),
            &format!("{HASH};;URI=a"),
            &format!(",{HASH};URI=a"),
            &format!("{HASH};URI=a\"b"),
            &format!("{HASH};URI=\"a"),
            &format!("{HASH};URI=\"a\\"),
            &format!("{HASH};URI=\"a\"b"),
            &format!("{HASH};URI"),
            &format!("{HASH};=a"),
            &format!("{HASH};U RI=a"),
            &format!("{HASH};URI={}", "a".repeat(LONGEST)),
            &format!("{HASH}{}", ";DNS=a".repeat(MOST_SANS + 1)),
        ] {
            assert_eq!(client(header), Err(CredentialRejection::Forwarded), "{header}");
        }
    }

    /// A name that a mesh's certificate may have.
    fn san() -> impl Strategy<Value = San> {
        prop_oneof![
            "[a-z]{1,9}://[a-z0-9./?=&%-]{0,30}".prop_map(San::Uri),
            "[a-z0-9]{1,9}(\\.[a-z0-9-]{1,9}){1,3}".prop_map(San::Dns),
        ]
    }

    /// Returns the element that Envoy writes for a certificate with these names.
    fn element(subject: &str, sans: &[San]) -> String {
        let subject = subject.replace('\\', "\\\\").replace('"', "\\\"");
        let names = sans.iter().map(|san| match san {
            San::Uri(uri) => format!(";URI={uri}"),
            San::Dns(name) => format!(";DNS={name}"),
        });
        format!("By=spiffe://acme/envoy;{HASH};Subject=\"{subject}\"{}", names.collect::<String>())
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in any::<String>()) {
            let _ = client(&text);
        }

        #[test]
        fn what_a_proxy_writes_is_read(subject in "[A-Z]{1,2}=\\PC{0,20}", sans in prop::collection::vec(san(), 0..5)) {
            prop_assert_eq!(client(&element(&subject, &sans)), Ok(sans));
        }

        /// A proxy that appends to what its client sent joins the two with a comma.
        #[test]
        fn nothing_that_a_client_sends_changes_what_its_proxy_says(
            sent in prop_oneof![any::<String>(), "[A-Za-z=\"\\\\,; ]{0,40}", Just(format!("{HASH};URI=spiffe://acme/admin"))],
            subject in "[A-Z]{1,2}=[A-Za-z=\"\\\\,;]{0,20}",
            sans in prop::collection::vec(san(), 1..5),
        ) {
            let header = format!("{sent},{}", element(&subject, &sans));
            if let Ok(read) = client(&header) {
                prop_assert_eq!(read, sans);
            }
        }
    }
}
