//! Certificates as an operator makes them: by the command line of OpenSSL.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::child::{command, run};

/// A folder with an authority, `ca.pem`, and what it has certified.
pub(crate) struct Authority {
    folder: TempDir,
}

impl Authority {
    pub(crate) async fn new() -> Self {
        let authority = Self { folder: tempfile::tempdir().unwrap() };
        let out = ["-keyout", "ca.key", "-out", "ca.pem"];
        let subject = ["-subj", "/O=Acme/CN=Acme mesh CA", "-addext", "basicConstraints=critical,CA:TRUE"];
        let usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign", "-days", "2"];
        authority.openssl(&[&["req", "-x509"][..], &KEY, &out, &subject, &usage].concat()).await;
        authority
    }

    /// A server's certificate and key in `name.pem` and `name.key`.
    pub(crate) async fn server(&self, name: &str) {
        let extensions = "extendedKeyUsage=serverAuth\nsubjectAltName=DNS:localhost,IP:127.0.0.1";
        self.certify(name, extensions, SERVER_DAYS).await;
    }

    /// A workload's certificate and key in `name.pem` and `name.key`, with a SPIFFE id.
    pub(crate) async fn workload(&self, name: &str, id: &str) {
        self.certify(name, &workload(id), "2").await;
    }

    /// The same, but it ended yesterday.
    pub(crate) async fn expired_workload(&self, name: &str, id: &str) {
        self.certify(name, &workload(id), "-1").await;
    }

    async fn certify(&self, name: &str, extensions: &str, days: &str) {
        let common = "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature";
        std::fs::write(self.path(&format!("{name}.ext")), format!("{common}\n{extensions}\n")).unwrap();
        let [request, certificate, extensions] =
            ["csr", "pem", "ext"].map(|suffix| format!("{name}.{suffix}"));
        let subject = ["-subj", "/CN=a workload"];
        let key = format!("{name}.key");
        let out = ["-keyout", &key, "-out", &request];
        self.openssl(&[&["req"][..], &KEY, &out, &subject].concat()).await;
        let by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", days];
        let out = ["-in", &request, "-out", &certificate, "-extfile", &extensions];
        self.openssl(&[&["x509", "-req"][..], &by, &out].concat()).await;
    }

    async fn openssl(&self, arguments: &[&str]) {
        run(command("openssl").current_dir(self.folder.path()).args(arguments)).await.well();
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }
}

/// A new key on P-256.
const KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

/// Long enough for scanners, which find fault with what ends within two months.
const SERVER_DAYS: &str = "90";

fn workload(id: &str) -> String {
    format!("extendedKeyUsage=clientAuth\nsubjectAltName=URI:{id}")
}
