//! placeholder
use super::Failure;
#[derive(clap::Args)]
pub(super) struct Arguments {}
pub(super) async fn run(_a: Arguments) -> Result<(), Failure> {
    Ok(())
}
