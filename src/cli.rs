//! The command line.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{
    config::{self, Config, ConfigError, Environment, Problem},
    store::StoreError,
    telemetry::logging,
};

mod call;
mod check;
mod output;
mod policy;
mod rekey;
#[cfg(feature = "sandbox")]
mod sandbox;
mod serve;

#[cfg(feature = "sandbox")]
pub use sandbox::config as sandbox_config;

use output::{complain, program};

/// Lends internal services the access tokens that identity providers issued to a user and that Auth0 keeps,
/// and calls the providers' APIs with them, so that a token need never leave.
#[cfg_attr(
    feature = "sandbox",
    doc = "\nNew here? `idp-token-service sandbox` shows all of it on this machine, without any account."
)]
#[derive(Parser)]
#[command(version, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 success, 64 bad usage or configuration, 69 a needed service is unreachable, \
                          1 anything else.";

#[derive(Subcommand)]
enum Command {
    /// Run a make-believe Auth0 tenant and its providers on loopback, and the real service against it
    ///
    /// Takes a short tour through the service with a real client, prints commands to try, and keeps serving.
    #[cfg(feature = "sandbox")]
    Sandbox(sandbox::Arguments),
    /// Not in this build
    #[cfg(not(feature = "sandbox"))]
    #[command(hide = true, disable_help_flag = true)]
    Sandbox {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Serve gRPC for a tenant
    ///
    /// Needs a configuration: AUTH0_DOMAIN, AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET are enough.
    Serve(ConfigFile),
    /// Say what is wrong with a configuration, and whether the tenant lets the service work
    Check(ConfigFile),
    /// Encrypt every row of the token store with the first encryption key, so that the old keys can be
    /// removed
    ///
    /// May run while the service does. docs/configuration.md says how to change keys.
    Rekey(ConfigFile),
    /// Say what the configuration's rules allow, and why
    #[command(subcommand)]
    Policy(policy::Command),
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
        let environment = Environment::of_process();
        let nothing_at_all = self.config.is_none() && environment.is_empty();
        Config::load(self.config.as_deref(), &environment).map_err(|error| bad_config(&error, nothing_at_all))
    }
}

fn bad_config(error: &ConfigError, nothing_at_all: bool) -> Failure {
    let list = |problems: &[Problem]| -> String {
        problems.iter().map(|problem| format!("\n  {problem}")).collect()
    };
    let mut text =
        format!("the configuration has {} to fix:{}", count(error.problems.len()), list(&error.problems));
    if !error.warnings.is_empty() {
        text.push_str(&format!("\nwarnings:{}", list(&error.warnings)));
    }
    if nothing_at_all && cfg!(feature = "sandbox") {
        text.push_str(&format!("\n\nTo see the service without an account: {} sandbox", program()));
    }
    Failure::Usage(text)
}

fn count(problems: usize) -> String {
    if problems == 1 { "one problem".to_owned() } else { format!("{problems} problems") }
}

/// Why a command failed; decides the exit code.
#[derive(Debug)]
enum Failure {
    /// Bad usage or configuration.
    Usage(String),
    /// A required service is unreachable.
    Unreachable(String),
    /// The policy denies it, and the output has said so.
    Denied,
    /// Nobody reads the output any more. Not worth a message.
    ReaderLeft,
    /// Anything else.
    Other(String),
}

impl Failure {
    /// Wraps the error of a store that does not open or does not work.
    fn of_store(error: &StoreError) -> Self {
        let text = error.to_string();
        match error {
            StoreError::Misconfigured { .. } | StoreError::UnknownKey { .. } => Self::Usage(text),
            StoreError::Unavailable { .. } => Self::Unreachable(text),
            StoreError::Corrupt { .. } | StoreError::Newer => Self::Other(text),
        }
    }

    /// Returns the exit code: BSD's `sysexits.h` has EX_USAGE and EX_UNAVAILABLE, and a shell reports a
    /// program that SIGPIPE ended as 141.
    fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) => 64,
            Self::Unreachable(_) => 69,
            Self::ReaderLeft => 128 + 13,
            Self::Denied | Self::Other(_) => 1,
        })
    }

    fn message(&self) -> Option<&str> {
        match self {
            Self::Usage(message) | Self::Unreachable(message) | Self::Other(message) => Some(message),
            Self::Denied | Self::ReaderLeft => None,
        }
    }
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are not errors.
            let code = if error.use_stderr() { 64 } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(format_args!("error: cannot start the runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(arguments.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(message) = failure.message() {
                complain(format_args!("error: {message}"));
            }
            failure.code()
        }
    }
}

async fn run(command: Command) -> Result<(), Failure> {
    match command {
        #[cfg(feature = "sandbox")]
        Command::Sandbox(arguments) => sandbox::run(arguments).await,
        #[cfg(not(feature = "sandbox"))]
        Command::Sandbox { .. } => Err(Failure::Usage(
            "this program was built without its sandbox: build it with the feature `sandbox`, as cargo does by default"
                .to_owned(),
        )),
        Command::Serve(file) => serve::run(&file.load()?).await,
        Command::Check(file) => check::run(&file.load()?).await,
        Command::Rekey(file) => rekey::run(&file.load()?).await,
        Command::Policy(command) => policy::run(&command),
        Command::Call(arguments) => call::run(arguments).await,
    }
}

/// Sends log lines to stderr. `RUST_LOG`, if set, replaces `default`.
fn start_logging(default: &str, format: logging::Format) {
    let directives = config::log_directives();
    let directives = directives.as_deref().unwrap_or(default);
    let subscriber = logging::subscriber(directives, format, std::io::stderr);
    // Only a second call fails, and then there is a subscriber already.
    let _ = tracing::subscriber::set_global_default(subscriber);
    logging::report_panics();
}
