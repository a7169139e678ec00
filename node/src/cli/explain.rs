//! `io-node explain-app-hash`

use super::{Context, Failure, status};
use crate::api::AppHashView;
use crate::chain::open_machine;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Reads the database of a node that does not run, not the API of one that does.
    #[arg(long)]
    offline: bool,
    /// The node's API; by default that of this home.
    #[arg(long, value_name = "URL", conflicts_with = "offline")]
    url: Option<String>,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let shown = if arguments.offline {
        let machine = open_machine(&context.home).map_err(Failure::broken)?;
        let view = machine.store().snapshot();
        AppHashView::of(&view).map_err(Failure::broken)?
    } else {
        let url = match &arguments.url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("http://{}", context.settings()?.config.api.listen),
        };
        let text = status::fetch(&format!("{url}/v1/app-hash"))?;
        serde_json::from_str(&text).map_err(|error| Failure::refused(format!("{url}: {error}")))?
    };
    if context.json {
        println!(
            "{}",
            serde_json::to_string(&shown).map_err(Failure::broken)?
        );
        return Ok(());
    }
    println!("height {} app hash {}", shown.height, shown.app_hash);
    println!(
        "{:>3} {:<16} {:>10} {:>5} root",
        "id", "table", "rows", "depth"
    );
    for table in shown.tables {
        println!(
            "{:>3} {:<16} {:>10} {:>5} {}",
            table.id, table.name, table.rows, table.depth, table.root
        );
    }
    Ok(())
}
