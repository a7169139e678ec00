//! `io-node version`

use std::path::Path;

use super::{Context, print_facts};
use crate::comet::{Binary, VERSION_MIN};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Also CometBFT's, and which of its versions fit.
    #[arg(long)]
    long: bool,
}

pub(super) fn run(context: &Context, arguments: &Arguments) {
    let mut facts = vec![("io-node", env!("CARGO_PKG_VERSION").to_owned())];
    if arguments.long {
        // Without a home the defaults tell.
        let named = context
            .settings()
            .map(|settings| settings.config.comet.binary)
            .unwrap_or_default();
        let named = Some(Path::new(&named)).filter(|path| !path.as_os_str().is_empty());
        let found = Binary::find(named);
        facts.push((
            "cometbft",
            match &found {
                Ok(binary) => format!("{} at {}", binary.version, binary.path.display()),
                Err(error) => error.to_string(),
            },
        ));
        facts.push((
            "cometbft_needed",
            format!("{VERSION_MIN} or later of the line 0.38"),
        ));
        facts.push(("abci", "2.0 over a unix socket".to_owned()));
        facts.push((
            "compiler",
            format!("rustc {}", env!("CARGO_PKG_RUST_VERSION")),
        ));
    }
    print_facts(context, &facts);
}
