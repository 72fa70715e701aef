//! What GetIdentityToken costs where the identity is cached, beside a bare tonic echo of the same sizes.
//!
//! `docs/performance.md` tells how to run it and what came out.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod callgrind;
mod echo;
mod load;
mod raw;
mod server;
mod throughput;

use std::{error::Error, path::PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::Parser;
use server::Kind;

// The program's own; the echo has it too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Compares GetIdentityToken for a cached identity with a bare tonic echo of the same sizes.
#[derive(Parser)]
struct Arguments {
    /// Count instructions with valgrind's callgrind instead of measuring time
    #[arg(long)]
    instructions: bool,
    /// Where to leave callgrind's files, for callgrind_annotate
    #[arg(long, value_name = "DIR", requires = "instructions")]
    keep: Option<PathBuf>,
    /// Be one of the servers that are compared
    #[arg(long, hide = true)]
    serve: Option<Kind>,
    /// What that server answers, in base64
    #[arg(long, hide = true, default_value = "", value_parser = |text: &str| STANDARD.decode(text).map(Answer))]
    answer: Answer,
    /// `cargo bench` says it to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// An encoded answer.
#[derive(Clone)]
struct Answer(Vec<u8>);

fn main() -> Outcome<()> {
    let arguments = Arguments::parse();
    if let Some(kind) = arguments.serve {
        return server::serve(kind, &arguments.answer.0);
    }
    // The load has this process, and the server another one.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if arguments.instructions {
        runtime.block_on(callgrind::compare(arguments.keep))
    } else {
        runtime.block_on(throughput::compare())
    }
}
