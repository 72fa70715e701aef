//! Compiles `proto/` with protox, so that `protoc` is not needed.

use std::{env, error::Error, fs, path::PathBuf};

/// Fields whose bytes are passed on without a copy.
const BODIES: [&str; 4] = [
    ".idptoken.v1.HttpRequest.body",
    ".idptoken.v1.CallProviderResponse.body",
    ".idptoken.v1.StreamProviderRequest.part.chunk",
    ".idptoken.v1.StreamProviderResponse.part.chunk",
];

/// Messages that carry a secret: their `Debug` is written by hand in `service/redact.rs`.
const SECRETS: [&str; 1] = [".idptoken.v1.GetIdentityTokenResponse"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(["idptoken/v1/idp_token_service.proto"])?;
    let files = compiler.file_descriptor_set();

    // For reflection: the typed set above loses options, and comments are not needed on the wire.
    compiler.include_source_info(false);
    fs::write(out.join("descriptor.bin"), compiler.encode_file_descriptor_set())?;

    BODIES
        .into_iter()
        .fold(tonic_prost_build::configure(), tonic_prost_build::Builder::bytes)
        .skip_debug(SECRETS)
        .compile_fds(files)?;
    Ok(())
}
