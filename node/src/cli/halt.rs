//! `io-node halt`

use std::fs;

use super::{Context, Failure, print_facts};
use crate::chain::HALT_FILE;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The height before which the node stops; by default the next one.
    #[arg(long, default_value_t = 0)]
    height: u64,
    /// Takes the wish back.
    #[arg(long, conflicts_with = "height")]
    cancel: bool,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let path = context.home.join(HALT_FILE);
    let failed = |error: std::io::Error| Failure::refused(format!("{}: {error}", path.display()));
    if arguments.cancel {
        return fs::remove_file(&path).map_err(failed);
    }
    fs::write(&path, format!("{}\n", arguments.height)).map_err(failed)?;
    print_facts(
        context,
        &[
            ("file", path.display().to_string()),
            ("height", arguments.height.to_string()),
        ],
    );
    eprintln!("the node stops before that height; `io-node halt --cancel` lets it go on");
    Ok(())
}
