//! `io-node rollback`

use std::process::Command;

use io_types::Height;

use super::{Context, Failure, print_facts, show};
use crate::chain::{JOURNAL, open_machine};
use crate::comet::{Binary, CometHome};
use crate::journal::Journal;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Also removes the block itself, so that it comes again from peers.
    #[arg(long)]
    hard: bool,
    /// Leaves CometBFT alone: for those who run it themselves.
    #[arg(long)]
    app_only: bool,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let settings = context.settings()?;
    let home = &context.home;
    let machine = open_machine(home).map_err(Failure::broken)?;
    let Height(before) = machine.info().0;
    if before == 0 {
        return Err(Failure::refused("there is no block to undo"));
    }
    if !arguments.app_only {
        // CometBFT first: it refuses where it can not, and then nothing has changed.
        comet(context, &settings.config.comet.binary, arguments.hard)?;
    }
    let height = machine.rollback().map_err(Failure::broken)?;
    Journal::open(
        &home.join(JOURNAL),
        height,
        settings.config.storage.journal_blocks,
    )
    .map_err(Failure::broken)?;
    print_facts(
        context,
        &[
            ("height", height.to_string()),
            ("app_hash", machine.info().1.to_string()),
        ],
    );
    Ok(())
}

fn comet(context: &Context, named: &str, hard: bool) -> Result<(), Failure> {
    let named = Some(std::path::Path::new(named)).filter(|path| !path.as_os_str().is_empty());
    let binary = Binary::find(named).map_err(Failure::refused)?;
    let comet = CometHome::new(context.home.join(show::COMET));
    let mut command = Command::new(&binary.path);
    command.arg("rollback").arg("--home").arg(comet.folder());
    if hard {
        command.arg("--hard");
    }
    let output = command.output().map_err(Failure::broken)?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Failure::refused(format!(
        "`cometbft rollback` did not succeed, and nothing was changed here: {words}"
    )))
}
