//! TLS files replaced under the real program while clients of two languages call: none of their calls may
//! fail.

mod load;

use std::{fs, os::unix::fs::symlink, path::Path};

use idp_token_testkit::{
    authority::{Authority, Certified},
    eventually,
    process::Running,
    tls::{self, certificate, speak},
};
use load::Load;

use crate::stage::{CALENDAR, Stage};

/// The service, and what its clients are to prove themselves with.
struct Scene {
    stage: Stage,
    service: Running,
    /// Of another authority than the first server's, which clients trust as well.
    next: Authority,
    own: Certified,
}

impl Scene {
    /// With the TLS files as `lay` puts them.
    async fn new(lay: impl FnOnce(&Stage)) -> Self {
        let stage = Stage::new().await;
        lay(&stage);
        let own = stage.pki.authority.client(&[CALENDAR]);
        let service = stage.serve(&stage.mutual()).await;
        Self { stage, service, next: Authority::new("the next one"), own }
    }

    fn authorities(&self) -> [&Authority; 2] {
        [&self.stage.pki.authority, &self.next]
    }

    async fn load(&self) -> Load {
        Load::start(self.service.grpc, &self.stage.pki, &self.authorities(), &self.own).await
    }

    /// Whether a new connection gets `server`.
    async fn shows(&self, server: &Certified) -> bool {
        let config = tls::client(&self.authorities(), Some(&self.own));
        speak(self.service.grpc, config).await.unwrap().certificate == certificate(&server.certificate)
    }

    async fn comes_to_show(&self, server: &Certified) {
        eventually("the new certificate", async || self.shows(server).await).await;
    }

    /// Whether a new connection with a certificate of `authority` is let in.
    async fn lets_in(&self, authority: &Authority) -> bool {
        let own = authority.client(&[CALENDAR]);
        speak(self.service.grpc, tls::client(&self.authorities(), Some(&own))).await.is_ok()
    }

    /// Signals, and waits for a word in the log.
    async fn says_at_hangup(&self, word: &str) {
        self.service.signal("HUP").await;
        eventually(word, async || self.service.log().contains(word)).await;
    }
}

const FILES: [&str; 3] = ["server.pem", "server.key", "ca.pem"];

/// Has the files be links into `..data`, itself a link to a folder, as Kubernetes lays out what it mounts.
fn lay_as_kubernetes_does(folder: &Path) {
    fs::create_dir(folder.join("..first")).unwrap();
    for file in FILES {
        fs::rename(folder.join(file), folder.join("..first").join(file)).unwrap();
        symlink(Path::new("..data").join(file), folder.join(file)).unwrap();
    }
    symlink("..first", folder.join("..data")).unwrap();
}

/// Puts another folder in the place of the first, by a link that takes the place of a link.
fn swap_as_kubernetes_does(folder: &Path, server: &Certified, ca: &str) {
    fs::create_dir(folder.join("..second")).unwrap();
    for (file, text) in FILES.iter().zip([&*server.certificate, &*server.key, ca]) {
        fs::write(folder.join("..second").join(file), text).unwrap();
    }
    symlink("..second", folder.join("..data_tmp")).unwrap();
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    fs::remove_dir_all(folder.join("..first")).unwrap();
}

#[tokio::test]
async fn a_folder_swapped_as_kubernetes_does_is_noticed_by_itself_and_costs_no_call() {
    let scene = Scene::new(|stage| lay_as_kubernetes_does(&stage.pki.path(""))).await;
    let load = scene.load().await;
    let server = scene.next.server(&["localhost"]);
    let both = format!("{}{}", scene.stage.pki.authority.pem, scene.next.pem);
    swap_as_kubernetes_does(&scene.stage.pki.path(""), &server, &both);
    scene.comes_to_show(&server).await;
    assert!(scene.lets_in(&scene.next).await, "the folder's authorities count too");
    load.end().await.was_flawless();
    assert!(!scene.service.log().contains("Keeping the old"), "{}", scene.service.log());
}

#[tokio::test]
async fn files_in_the_wrong_order_half_written_or_broken_cost_no_call_and_are_told_of() {
    let scene = Scene::new(|_| {}).await;
    let pki = &scene.stage.pki;
    let load = scene.load().await;

    let second = scene.next.server(&["localhost"]);
    pki.write("server.key", &second.key);
    scene.says_at_hangup("`tls.private_key_file` names the key of another certificate").await;
    assert!(!scene.shows(&second).await);
    pki.write("server.pem", &second.certificate);
    scene.service.signal("HUP").await;
    scene.comes_to_show(&second).await;

    let third = pki.authority.server(&["localhost"]);
    let half = &third.certificate[..third.certificate.len() / 2];
    fs::write(pki.path("server.pem"), half).unwrap();
    scene.says_at_hangup("`tls.certificate_file` names a file with a certificate that is cut off").await;
    fs::write(pki.path("server.pem"), "").unwrap();
    scene.says_at_hangup("`tls.certificate_file` names a file without a certificate").await;
    fs::write(pki.path("ca.pem"), "-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n")
        .unwrap();
    scene.says_at_hangup("`tls.client_ca_file` names").await;
    assert!(scene.shows(&second).await);

    pki.trust(&[&pki.authority]);
    pki.serve(&third);
    scene.service.signal("HUP").await;
    scene.comes_to_show(&third).await;
    load.end().await.was_flawless();
}

#[tokio::test]
async fn the_clients_authority_is_replaced_by_way_of_both_and_no_client_is_turned_away_on_the_way() {
    let scene = Scene::new(|_| {}).await;
    let pki = &scene.stage.pki;
    let mut load = scene.load().await;
    assert!(!scene.lets_in(&scene.next).await);

    pki.trust(&[&pki.authority, &scene.next]);
    scene.service.signal("HUP").await;
    eventually("the new authority's clients", async || scene.lets_in(&scene.next).await).await;
    assert!(scene.lets_in(&pki.authority).await);
    load.stop_opening().await.was_flawless();

    pki.trust(&[&scene.next]);
    scene.service.signal("HUP").await;
    eventually("an end of the old one's", async || !scene.lets_in(&pki.authority).await).await;
    assert!(scene.lets_in(&scene.next).await);
    load.end().await.was_flawless();
}
