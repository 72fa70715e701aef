//! A PostgreSQL server of the tests' own, which ends with them.

use std::{
    io::Write,
    net::TcpListener,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// The user `nobody`: PostgreSQL refuses to run as root.
const NOBODY: u32 = 65534;

/// Ends the server when the test process does, however that ends, since then the pipe closes; and cleans up,
/// unless it is told that there is more to come.
const WATCHDOG: &str = r#"
    folder=$1; shift
    "$@" >"$folder/log" 2>&1 &
    read word
    kill -INT $!; wait $!
    [ "$word" = keep ] || rm -rf "$folder"
"#;

pub struct Server {
    folder: PathBuf,
    port: u16,
    watchdog: Option<Child>,
}

impl Server {
    /// The server that tests share, each with a database of its own.
    pub fn shared() -> &'static Self {
        static SERVER: OnceLock<Server> = OnceLock::new();
        SERVER.get_or_init(Self::start)
    }

    /// A server that a test may stop.
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("idp-token-postgres-").tempdir().unwrap().keep();
        if folder.metadata().unwrap().uid() == 0 {
            chown(&folder, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Self { folder, port, watchdog: None };
        let options =
            ["--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", "-D"];
        let made = server.command("initdb").args(options).arg(server.data()).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        server.resume();
        server
    }

    /// Starts it again after [`Self::stop`].
    pub fn resume(&mut self) {
        let postgres = self.command("postgres");
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(&self.folder)
            .arg(postgres.get_program())
            .args(postgres.get_args())
            .arg("-D")
            .arg(self.data())
            .args(["-c", "fsync=off", "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200"])
            .args(["-p", &self.port.to_string(), "-k"])
            .arg(&self.folder)
            .stdin(Stdio::piped())
            .spawn();
        self.watchdog = Some(watchdog.unwrap());
        self.wait();
    }

    /// Stops it and keeps its data.
    pub fn stop(&mut self) {
        let mut watchdog = self.watchdog.take().unwrap();
        watchdog.stdin.take().unwrap().write_all(b"keep\n").unwrap();
        watchdog.wait().unwrap();
    }

    /// Until it takes connections.
    fn wait(&self) {
        let limit = Instant::now() + Duration::from_secs(60);
        let ready = || {
            let mut command = self.command("pg_isready");
            command.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]).status().unwrap().success()
        };
        while !ready() {
            let log = || std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(Instant::now() < limit, "PostgreSQL does not start: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A new database; its URL.
    pub async fn database(&self) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("tokens_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut connection = PgConnection::connect(&self.url("postgres")).await.unwrap();
        connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
        self.url(&name)
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// One of PostgreSQL's programs, as a user that it accepts.
    fn command(&self, program: &str) -> Command {
        let program = find(program);
        let mut command = if self.folder.metadata().unwrap().uid() == NOBODY {
            let mut command = Command::new("setpriv");
            let (user, group) = (format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"));
            command.args([&user, &group, "--clear-groups", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir("/");
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut watchdog) = self.watchdog.take() {
            drop(watchdog.stdin.take());
            let _ = watchdog.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Debian keeps the server's programs out of the path.
fn find(program: &str) -> PathBuf {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<_> = debian.map(|version| version.path().join("bin")).collect();
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let found = folders.iter().map(|folder| folder.join(program)).find(|file| Path::is_file(file));
    found.unwrap_or_else(|| {
        panic!("no {program}: install postgresql, or run scripts/test as root, which does")
    })
}
