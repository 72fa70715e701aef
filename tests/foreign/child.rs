//! Child processes that end, and whose output a failure shows.

use std::{
    ffi::OsStr,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{process::Command, time::timeout};

/// Far more than any child needs, a scan of some hundred handshakes too: it ends one that hangs.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a child left behind.
pub(crate) struct Ended {
    what: String,
    status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A command that stays in this process's hands: no input, no proxy, and dead when its test is over.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).kill_on_drop(true);
    for proxy in ["http_proxy", "https_proxy", "all_proxy", "grpc_proxy"] {
        command.env_remove(proxy).env_remove(proxy.to_uppercase());
    }
    command
}

/// Runs `command` to its end.
pub(crate) async fn run(command: &mut Command) -> Ended {
    let what = format!("{:?}", command.as_std());
    let output = timeout(PATIENCE, command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("no end after {PATIENCE:?}: {what}"));
    let output = output.unwrap_or_else(|error| panic!("cannot start {what}: {error}"));
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { what, status: output.status, stdout: text(output.stdout), stderr: text(output.stderr) }
}

impl Ended {
    /// Asserts the exit status.
    #[track_caller]
    pub(crate) fn with(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{self}");
        self
    }

    /// Whether it ended well.
    pub(crate) fn is_well(&self) -> bool {
        self.status.success()
    }

    /// Asserts that it ended well.
    #[track_caller]
    pub(crate) fn well(self) -> Self {
        self.with(0)
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {self}"))
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { what, status, stdout, stderr } = self;
        write!(formatter, "{what}\nended with {status}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}
