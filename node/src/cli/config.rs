//! `io-node config`

use super::show::COMET;
use super::{Context, Failure, print_facts};
use crate::comet::CometHome;
use crate::config::FILE;

#[derive(Debug, clap::Subcommand)]
#[command(
    after_help = "Examples:\n  io-node config check\n  IO_NODE_LOG_LEVEL=debug io-node config show"
)]
pub(super) enum Verb {
    /// Says whether the settings can be used; if not, which line is wrong and what to do.
    Check,
    /// Every setting with its meaning, value and origin.
    Show,
}

pub(super) fn run(context: &Context, verb: &Verb) -> Result<(), Failure> {
    let settings = context.settings()?;
    match verb {
        Verb::Check => {
            let comet = CometHome::new(context.home.join(COMET));
            super::show::address(&settings.config, &comet)?;
            let path = context.home.join(FILE);
            print_facts(
                context,
                &[
                    ("file", path.display().to_string()),
                    ("settings", "good".to_owned()),
                ],
            );
        }
        Verb::Show if context.json => {
            println!(
                "{}",
                serde_json::to_string(&settings.config).map_err(Failure::broken)?
            );
        }
        Verb::Show => print!("{}", settings.show()),
    }
    Ok(())
}
