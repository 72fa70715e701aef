//! Instructions a request, counted by valgrind's callgrind: what a noisy machine hardly changes.
//!
//! Only the server runs under valgrind, and only its warm part is counted: what starts it is random work too,
//! such as the search for the prime numbers of the sandbox's key.

use std::{
    env, fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    Outcome,
    load::{Load, STREAMS},
    server::{Exchange, Kind, Server},
};

const WARM_UP: usize = 1_000;
const CALLS: usize = 10_000;

pub(crate) async fn compare(keep: Option<PathBuf>) -> Outcome<()> {
    // Both come with valgrind.
    run(Command::new("valgrind").arg("--version"))?;
    run(Command::new("callgrind_control").arg("--version"))?;
    keep.as_deref().map(fs::create_dir_all).transpose()?;
    let scratch = tempfile::tempdir()?;
    let directory = keep.as_deref().unwrap_or(scratch.path());
    let exchange = Exchange::of_a_real_call().await?;
    println!("{STREAMS} calls at once on one connection, answers of {} bytes\n", exchange.answer.len());

    println!("{:10} {:>22} {:>8}", "", "instructions/request", "ratio");
    let mut echo = None;
    for kind in [Kind::Echo, Kind::Messages, Kind::Token, Kind::Bearer, Kind::Audited] {
        let each = count(kind, &exchange, directory).await?;
        let ratio = each / *echo.get_or_insert(each);
        println!("{:10} {each:>22.0} {ratio:>8.3}", kind.name());
    }
    Ok(())
}

/// The instructions that a warm server takes for a call.
async fn count(kind: Kind, exchange: &Exchange, directory: &Path) -> Outcome<f64> {
    let file = directory.join(format!("callgrind.out.{}", kind.name()));
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--tool=callgrind", "--instr-atstart=no"]);
    command.arg(format!("--callgrind-out-file={}", file.display())).arg(env::current_exe()?);
    let server = Server::start(kind, &exchange.answer, command)?;
    let control =
        |what| run(Command::new("callgrind_control").arg(what).arg(server.process_id().to_string()));

    let load = Load::connect(&server, &exchange.request(kind)).await?;
    load.calls(WARM_UP).await?;
    control("--instr=on")?;
    load.calls(CALLS).await?;
    control("--instr=off")?;
    drop(load);
    server.stop().await?;
    Ok(total(&fs::read_to_string(file)?)? / CALLS as f64)
}

/// Runs one of valgrind's tools, quietly.
fn run(command: &mut Command) -> Outcome<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    match command.stdout(Stdio::null()).stderr(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{name} ended with {status}").into()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(format!("instructions are counted with valgrind, and {name} is not installed here").into())
        }
        Err(error) => Err(format!("cannot run {name}: {error}").into()),
    }
}

/// The `totals:` of a file that callgrind wrote.
fn total(profile: &str) -> Outcome<f64> {
    let totals = profile.lines().find_map(|line| line.strip_prefix("totals:"));
    Ok(totals.ok_or("callgrind has written no totals")?.trim().parse()?)
}
