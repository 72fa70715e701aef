//! The real program as a process of its own.

use std::{
    net::{SocketAddr, TcpListener},
    process::{ExitStatus, Output, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use idp_token_sandbox::{PROVIDER_HOSTS, Sandbox};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    task::JoinHandle,
};

use super::eventually;

/// The program without anything of this process' environment.
pub fn command(arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO_BIN_EXE_idp-token-service");
    let mut command =
        Command::new(program.expect("cargo tells the service's own tests where the program is"));
    command.args(arguments).env_clear().stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// The same with so many open files at most.
pub fn command_with_files(files: usize, arguments: &[&str]) -> Command {
    let program = std::env::var("CARGO_BIN_EXE_idp-token-service").unwrap();
    let mut command = Command::new("sh");
    let script = format!("ulimit -n {files}; exec \"$0\" \"$@\"");
    command.args(["-c", &script, &program]).args(arguments);
    command.env_clear().stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// What a command that ends by itself said, and how it ended.
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs the program to its end, with these environment variables.
pub async fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
    let running = command(arguments).envs(environment.iter().copied()).output();
    let Output { status, stdout, stderr } =
        tokio::time::timeout(Duration::from_secs(60), running).await.expect("it ends by itself").unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: status.code().unwrap(), stdout: text(stdout), stderr: text(stderr) }
}

/// The environment variables of a service whose tenant is `sandbox`, on free ports.
pub fn environment(sandbox: &Sandbox) -> Vec<(&'static str, String)> {
    vec![
        ("AUTH0_DOMAIN", sandbox.domain().to_owned()),
        ("AUTH0_BASE_URL", sandbox.url()),
        ("AUTH0_CLIENT_ID", "sandbox-service".to_owned()),
        ("AUTH0_CLIENT_SECRET", "sandbox-service-secret".to_owned()),
        ("IDP_TOKEN_LISTEN", "127.0.0.1:0".to_owned()),
        ("IDP_TOKEN_ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
    ]
}

/// The `[providers]` part of a configuration file that finds every provider at `sandbox`, as the app that it
/// knows.
pub fn host_overrides(sandbox: &Sandbox) -> String {
    let table = |strategy: &str, suffix: &str| {
        let hosts = PROVIDER_HOSTS.iter().filter(|host| host.ends_with(suffix));
        let hosts: Vec<_> = hosts.map(|host| format!("{host:?} = {:?}", sandbox.url())).collect();
        let app = sandbox.oauth_app(strategy).expect("the sandbox plays this provider");
        let (id, secret) = (app.client_id, app.client_secret);
        let hosts = hosts.join(", ");
        format!(
            "[providers.{strategy}]\nclient_id = {id:?}\nclient_secret = {secret:?}\nhosts = {{ {hosts} }}\n"
        )
    };
    let google = table("google-oauth2", "googleapis.com");
    google + &table("github", "github.com") + &table("facebook", "facebook.com")
}

/// A port that nobody listens on, as far as one can know.
pub fn free_port() -> SocketAddr {
    TcpListener::bind(super::ANYWHERE).unwrap().local_addr().unwrap()
}

/// A `serve` that has said where it listens.
pub struct Running {
    pub grpc: SocketAddr,
    pub admin: SocketAddr,
    child: Child,
    log: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
}

impl Running {
    /// Starts it and waits for its addresses.
    pub async fn start(command: Command) -> Self {
        Self::saying(command, Stdio::null()).await
    }

    /// The same, with a `stdout` for its audit log.
    pub async fn saying(mut command: Command, stdout: Stdio) -> Self {
        let mut child = command.stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let reader = tokio::spawn(read(child.stderr.take().unwrap(), Arc::clone(&log)));
        eventually("the line that says where it listens", async || {
            log.lock().unwrap().lines().any(|line| line.contains("Listening"))
        })
        .await;
        let line = log.lock().unwrap().lines().find(|line| line.contains("Listening")).unwrap().to_owned();
        Self { grpc: address(&line, "grpc"), admin: address(&line, "admin"), child, log, reader }
    }

    /// Starts it and waits until it takes calls.
    pub async fn ready(command: Command) -> Self {
        let running = Self::start(command).await;
        eventually("readiness", async || running.page("/readyz").await.0 == 200).await;
        running
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Sends `TERM` or `INT`.
    pub async fn signal(&self, name: &str) {
        let id = self.child.id().expect("it still runs").to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().await.unwrap().success());
    }

    /// Waits for its end, and gives all that it logged.
    pub async fn ended(mut self) -> (ExitStatus, String) {
        let status = tokio::time::timeout(Duration::from_secs(60), self.child.wait()).await;
        let status = status.expect("it ends in time").unwrap();
        self.reader.await.unwrap();
        (status, self.log.lock().unwrap().clone())
    }

    /// The most memory that it has ever had, in bytes: `VmHWM` of proc(5).
    pub fn peak_memory(&self) -> usize {
        let id = self.child.id().expect("it still runs");
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
    }

    /// GETs a page of the admin endpoint: status and body.
    pub async fn page(&self, path: &str) -> (u16, String) {
        super::page(self.admin, path).await
    }
}

async fn read(pipe: impl AsyncRead + Unpin, log: Arc<Mutex<String>>) {
    let mut lines = BufReader::new(pipe).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        log.lock().unwrap().extend([&line, "\n"]);
    }
}

/// The address behind `key` in a line of either format: `grpc="127.0.0.1:1"` or `"grpc":"127.0.0.1:1"`.
fn address(line: &str, key: &str) -> SocketAddr {
    let (_, rest) = line.split_once(key).unwrap_or_else(|| panic!("no {key} in {line}"));
    let rest = rest.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':').unwrap_or(rest.len());
    rest[..end].parse().unwrap_or_else(|_| panic!("no address after {key} in {line}"))
}
