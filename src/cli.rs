//! The command line.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what a command has to say goes to its user")]

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{
    config::{self, Config, Environment, Problem},
    telemetry::logging,
};

mod call;
mod check;
mod sandbox;
mod serve;

pub use sandbox::config as sandbox_config;

/// Lends internal services the access tokens that identity providers issued to a user and that Auth0 keeps, and calls
/// the providers' APIs with them, so that a token need never leave.
///
/// New here? `idp-token-service sandbox` shows all of it on this machine, without any account.
#[derive(Parser)]
#[command(version, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 well, 64 bad usage or configuration, 69 a needed service is unreachable, \
                          1 anything else.";

#[derive(Subcommand)]
enum Command {
    /// Run a make-believe Auth0 tenant with Google, GitHub and Facebook on loopback, and the real service against it
    ///
    /// Takes a short tour through the service with a real client, prints commands to try, and keeps serving.
    Sandbox(sandbox::Arguments),
    /// Serve gRPC for a tenant
    ///
    /// Needs a configuration: AUTH0_DOMAIN, AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET are enough.
    Serve(ConfigFile),
    /// Say what is wrong with a configuration, and whether the tenant lets the service work
    Check(ConfigFile),
    /// Send one call and print the answer as JSON: for machines without grpcurl
    Call(call::Arguments),
}

#[derive(clap::Args)]
struct ConfigFile {
    /// A TOML file; the environment wins over it. See docs/configuration.md
    #[arg(long, value_name = "FILE", env = "IDP_TOKEN_CONFIG")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    fn load(&self) -> Result<Config, Failure> {
        Config::load(self.config.as_deref(), &Environment::of_process())
            .map_err(|problems| bad_config(&problems))
    }
}

fn bad_config(problems: &[Problem]) -> Failure {
    let list: Vec<_> = problems.iter().map(|problem| format!("  {problem}")).collect();
    let nothing_at_all = "\n\nTo see the service without an account: idp-token-service sandbox";
    Failure::Usage(format!(
        "the configuration has {} to mend:\n{}{nothing_at_all}",
        count(list.len()),
        list.join("\n")
    ))
}

fn count(problems: usize) -> String {
    if problems == 1 { "one problem".to_owned() } else { format!("{problems} problems") }
}

/// Why a command ended badly; decides the exit code.
#[derive(Debug)]
enum Failure {
    /// Bad usage or configuration.
    Usage(String),
    /// A needed service is unreachable.
    Unreachable(String),
    /// Anything else.
    Other(String),
}

impl Failure {
    /// The codes of BSD's `sysexits.h`: EX_USAGE and EX_UNAVAILABLE.
    fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) => 64,
            Self::Unreachable(_) => 69,
            Self::Other(_) => 1,
        })
    }

    fn message(&self) -> &str {
        match self {
            Self::Usage(message) | Self::Unreachable(message) | Self::Other(message) => message,
        }
    }
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no mistakes.
            let code = if error.use_stderr() { 64 } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(arguments.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {}", failure.message());
            failure.code()
        }
    }
}

async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Sandbox(arguments) => sandbox::run(arguments).await,
        Command::Serve(file) => serve::run(&file.load()?).await,
        Command::Check(file) => check::run(&file.load()?).await,
        Command::Call(arguments) => call::run(arguments).await,
    }
}

/// Sends log lines to stderr. `RUST_LOG` raises the level that `default` gives.
fn start_logging(default: &str, format: logging::Format) {
    let directives = config::log_directives();
    let directives = directives.as_deref().unwrap_or(default);
    let subscriber = logging::subscriber(directives, format, std::io::stderr);
    // Only a second call fails, and then there is a subscriber already.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
