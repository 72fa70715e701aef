//! `[tls]`, `[upstream]`, and the conditions for listening off loopback.

use idp_token_testkit::authority::{Authority, Certified, early, expired};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose as Usage, IsCa};

use super::*;

/// A folder of files for `[tls]`.
struct Files {
    folder: TempDir,
    authority: Authority,
}

impl Files {
    /// Makes everything that mTLS needs.
    fn new() -> Self {
        let files = Self { folder: folder(), authority: Authority::new("acme") };
        files.serve(&files.authority.server(&["idp-token.acme.example"]));
        files.write("ca.pem", &files.authority.pem);
        files
    }

    fn serve(&self, server: &Certified) {
        self.write("server.pem", &server.certificate);
        self.write("server.key", &server.key);
    }

    fn write(&self, name: &str, text: &str) {
        file(&self.folder, name, text, 0o600);
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Returns the table with these keys, each naming the usual file.
    fn table(&self, keys: &[&str]) -> String {
        let line = |key: &&str| {
            let name = match *key {
                "certificate_file" => "server.pem",
                "private_key_file" => "server.key",
                _ => "ca.pem",
            };
            format!("{key} = '{}'\n", self.path(name))
        };
        format!("[tls]\n{}", keys.iter().map(line).collect::<String>())
    }
}

const PAIR: [&str; 2] = ["certificate_file", "private_key_file"];
const ALL: [&str; 3] = ["certificate_file", "private_key_file", "client_ca_file"];

fn warnings(text: &str) -> Vec<String> {
    config(text, &[]).warnings.iter().map(|warning| warning.text().to_owned()).collect()
}

#[test]
fn tls_is_read_from_the_file_and_from_the_environment() {
    let files = Files::new();
    let written = config(&format!("{LEAST}{}", files.table(&ALL)), &[]);
    let [warning] = &written.warnings[..] else { panic!("{:?}", written.warnings) };
    assert!(warning.text().contains("no rule allows them anything"), "{warning}");
    assert!(written.identifies_callers(), "whoever asks for certificates wants to know who calls");
    let tls = written.tls.expect("it is configured");
    assert_eq!(tls.client_ca.as_deref(), Some(files.folder.path().join("ca.pem").as_path()));
    let (certificate, key) = (files.path("server.pem"), files.path("server.key"));
    let variables =
        [("IDP_TOKEN_TLS_CERTIFICATE_FILE", &*certificate), ("IDP_TOKEN_TLS_PRIVATE_KEY_FILE", &*key)];
    let without = config(LEAST, &variables);
    assert!(!without.identifies_callers());
    assert_eq!(without.tls.expect("it is configured").client_ca, None);
    assert!(config(LEAST, &[]).tls.is_none());
}

#[test]
fn off_loopback_it_takes_tls_and_callers_that_prove_who_they_are_or_an_explicit_word() {
    let files = Files::new();
    let off = "listen = '0.0.0.0:50051'\n";
    let word = "insecure = true\n";
    let (none, pair, all) = (String::new(), files.table(&PAIR), files.table(&ALL));
    for (tls, refused, warned) in [
        (
            &none,
            "where calls arrive in plain text, and whoever reaches",
            "`insecure` is set: calls arrive in plain text",
        ),
        (&pair, "where no caller proves who it is", "`insecure` is set: no caller proves who it is"),
    ] {
        let problems = problems(&format!("{off}{LEAST}{tls}"), &[]);
        assert!(problems.len() == 1 && problems[0].contains(refused), "{problems:#?}");
        assert!(problems[0].contains("`tls.client_ca_file`") && problems[0].contains("`insecure = true`"));
        let warnings = warnings(&format!("{off}{word}{LEAST}{tls}"));
        assert!(warnings.len() == 1 && warnings[0].starts_with(warned), "{warnings:#?}");
    }
    let rule = "[[callers]]\nid = '**'\nallow = ['ListIdentities']\nproviders = ['**']\n";
    let issuer = "[[jwt_issuers]]\nissuer = 'a'\njwks_url = 'https://a.example/'\naudience = 'us'\n";
    let users = "[end_users]\naudience = 'us'\nallow = ['ListIdentities']\nproviders = ['**']\n";
    for proof in [&format!("{all}{rule}"), &format!("{pair}{issuer}{rule}"), &format!("{pair}{users}")] {
        assert!(warnings(&format!("{off}{LEAST}{proof}")).is_empty(), "{proof}");
    }
    let unproven = problems(&format!("{off}trusted_peers = []\n{LEAST}{pair}"), &[]);
    assert!(unproven.len() == 1 && unproven[0].contains("no caller proves who it is"), "{unproven:#?}");
    let peers = "trusted_peers = ['10.0.0.1']\n";
    for (tls, expected) in [
        (&pair, "`insecure` is set: a trusted peer is known by its address alone"),
        (&none, "`insecure` is set: calls arrive in plain text, and a trusted peer is known"),
    ] {
        let warnings = warnings(&format!("{off}{word}{peers}{LEAST}{tls}{rule}"));
        assert!(warnings.len() == 1 && warnings[0].starts_with(expected), "{warnings:#?}");
    }
    let plain = problems(&format!("{off}{LEAST}{users}"), &[]);
    assert!(plain.len() == 1 && plain[0].contains("where calls arrive in plain text, so"), "{plain:#?}");
    let needless = warnings(&format!("{off}{word}{LEAST}{all}{rule}"));
    assert!(needless[0].contains("has no effect, since calls are encrypted"), "{needless:#?}");
}

#[test]
fn a_wrong_file_gets_its_remedy() {
    let other = Authority::new("other").server(&["other.example"]);
    let short = |pem: &str| pem[..pem.len() / 2].to_owned();
    let garbage = pem("CERTIFICATE", b"canary-2f9d");
    let files = Files::new();
    let good = |name: &str| std::fs::read_to_string(files.path(name)).expect("it was written");
    let (certificate, key) = (good("server.pem"), good("server.key"));
    let cases = [
        ("server.pem", String::new(), "`tls.certificate_file` names a file without a certificate"),
        ("server.pem", key.clone(), "`tls.certificate_file` names a file without a certificate"),
        ("server.pem", short(&certificate), "a certificate that is cut off or damaged"),
        ("server.pem", garbage.clone(), "a certificate that is cut off or damaged"),
        (
            "server.pem",
            other.certificate.clone(),
            "`tls.private_key_file` names the key of another certificate",
        ),
        ("server.pem", files.authority.pem.clone() + &certificate, "put the server's own certificate before"),
        ("server.key", certificate.clone(), "`tls.private_key_file` names a file without a private key"),
        ("server.key", short(&key), "a private key that is cut off or damaged"),
        ("server.key", pem("PRIVATE KEY", b"canary-2f9d"), "a private key that TLS cannot use"),
        ("server.key", pem("ENCRYPTED PRIVATE KEY", b"x"), "encrypted with a passphrase"),
        ("server.key", other.key.clone(), "`tls.private_key_file` names the key of another certificate"),
        ("ca.pem", String::new(), "`tls.client_ca_file` names a file without a certificate"),
        ("ca.pem", files.authority.pem.clone() + &garbage, "a certificate that is cut off or damaged"),
    ];
    for (name, content, expected) in cases {
        let right = good(name);
        files.write(name, &content);
        let problems = problems(&format!("{LEAST}{}", files.table(&ALL)), &[]);
        assert!(problems.len() == 1 && problems[0].contains(expected), "{expected}: {problems:#?}");
        assert!(!problems[0].contains(CANARY) && problems[0].starts_with("idp.toml:"), "{problems:#?}");
        files.write(name, &right);
    }
}

#[test]
fn every_wrong_file_is_reported_and_nothing_besides() {
    let files = Files::new();
    for name in ["server.pem", "server.key", "ca.pem"] {
        std::fs::remove_file(files.path(name)).expect("it is there");
    }
    let problems = problems(&format!("listen = '0.0.0.0:50051'\n{LEAST}{}", files.table(&ALL)), &[]);
    assert_eq!(problems.len(), 3, "{problems:#?}");
    assert!(problems.iter().all(|problem| problem.contains("cannot be read: No such file")), "{problems:#?}");
}

#[test]
fn half_a_pair_is_refused() {
    let files = Files::new();
    for (keys, missing) in [
        (&["certificate_file"][..], &["`tls.private_key_file` is missing"][..]),
        (&["private_key_file"], &["`tls.certificate_file` is missing"]),
        (&["client_ca_file"], &["`tls.certificate_file` is missing", "`tls.private_key_file` is missing"]),
    ] {
        let problems = problems(&format!("{LEAST}{}", files.table(keys)), &[]);
        assert_eq!(problems.len(), missing.len(), "{problems:#?}");
        assert!(problems.iter().zip(missing).all(|(problem, part)| problem.contains(part)), "{problems:#?}");
    }
}

#[test]
fn what_clients_will_refuse_is_warned_of_and_so_is_an_open_key() {
    let files = Files::new();
    let server = |change: fn(&mut CertificateParams)| {
        files.authority.certify(Usage::ServerAuth, &["a.example"], change)
    };
    let authority = |params: &mut CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    for (server, expected) in [
        (server(expired), "names a certificate that EXPIRED at 2020-01-02T00:00:00Z"),
        (server(early), "is not valid before 3000-01-02T00:00:00Z"),
        (server(authority), "is marked as an authority (CA:TRUE)"),
        (files.authority.client(&["a.example"]), "is not for servers"),
    ] {
        files.serve(&server);
        let warnings = warnings(&format!("{LEAST}{}", files.table(&PAIR)));
        assert!(warnings.len() == 1 && warnings[0].contains(expected), "{expected}: {warnings:#?}");
    }
    let files = Files::new();
    let key = std::fs::read_to_string(files.path("server.key")).expect("it was written");
    file(&files.folder, "server.key", &key, 0o640);
    let warnings = warnings(&format!("{LEAST}{}", files.table(&PAIR)));
    assert!(warnings[0].starts_with("`tls.private_key_file` names a file that its group or others may read"));
}

#[test]
fn authorities_for_the_way_out_are_read_and_there_is_no_way_to_trust_everybody() {
    let files = Files::new();
    let upstream = format!("{LEAST}[upstream]\nca_file = '{}'\n", files.path("ca.pem"));
    assert_eq!(config(&upstream, &[]).upstream_authorities.len(), 1);
    assert!(config(LEAST, &[]).upstream_authorities.is_empty());
    files.write("ca.pem", "none");
    let wrong = problems(&upstream, &[]);
    assert!(
        wrong.len() == 1 && wrong[0].contains("`upstream.ca_file` names a file without a certificate"),
        "{wrong:?}"
    );
    for key in ["insecure = true", "verify = false", "skip_verify = true"] {
        let problems = problems(&format!("{LEAST}[upstream]\n{key}\n"), &[]);
        assert!(problems.len() == 1 && problems[0].contains("unknown key"), "{problems:?}");
    }
}
