//! A PostgreSQL server of the tests' own, which ends with them.

use std::{
    fs::Permissions,
    io::Write,
    net::TcpListener,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::authority::Certified;

/// The user `nobody`: PostgreSQL refuses to run as root.
const NOBODY: u32 = 65534;

/// Trusts everybody who is not in one of these groups. Roles come and go in them without the server's being
/// told.
const RULES: &str = "
host all +refused all reject
host all +with_password all scram-sha-256
local all all trust
host all all 127.0.0.1/32 trust
";

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
        std::fs::write(server.data().join("pg_hba.conf"), RULES).unwrap();
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

    /// A new database that belongs to a new role, whose password is `one`.
    pub async fn role(&self) -> Role {
        let admin = self.database().await;
        let name = admin.rsplit_once('/').unwrap().1.replace("tokens", "role");
        let role = Role { url: admin.replace("postgres@", &format!("{name}:one@")), name, admin };
        for group in ["refused", "with_password"] {
            // Of several tests that come at once only one makes it.
            let mut connection = PgConnection::connect(&role.admin).await.unwrap();
            let _ = connection.execute(AssertSqlSafe(format!("CREATE ROLE {group}"))).await;
        }
        let (name, database) = (&role.name, role.admin.rsplit_once('/').unwrap().1);
        role.sql(&format!("CREATE ROLE {name} LOGIN PASSWORD 'one' IN ROLE with_password")).await;
        role.sql(&format!("ALTER DATABASE {database} OWNER TO {name}")).await;
        role
    }

    /// Gives it a certificate, for TLS.
    pub async fn certify(&self, certified: &Certified) {
        for (name, pem) in [("server.crt", &certified.certificate), ("server.key", &certified.key)] {
            let file = self.data().join(name);
            std::fs::write(&file, pem).unwrap();
            std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
            let owner = self.data().metadata().unwrap();
            chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
        }
        execute(&self.url("postgres"), "ALTER SYSTEM SET ssl = on").await;
        execute(&self.url("postgres"), "SELECT pg_reload_conf()").await;
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

/// A role with a database of its own.
pub struct Role {
    pub name: String,
    /// The database, as this role.
    pub url: String,
    /// The same as the server's superuser.
    admin: String,
}

impl Role {
    /// Runs statements on its database, as the server's superuser.
    pub async fn sql(&self, sql: &str) {
        execute(&self.admin, sql).await;
    }

    pub async fn end_sessions(&self) {
        let its = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename =";
        self.sql(&format!("{its} '{}'", self.name)).await;
    }
}

/// Runs statements on the database at `url`, as whoever that says.
pub async fn execute(url: &str, sql: &str) {
    let sql = AssertSqlSafe(sql.to_owned());
    PgConnection::connect(url).await.unwrap().execute(sql).await.unwrap();
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
