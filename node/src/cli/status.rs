//! `io-node status`

use std::time::Duration;

use io_types::api::Status;

use super::{Context, Failure, print_facts};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The node's API; by default that of this home.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let url = match &arguments.url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => format!("http://{}", context.settings()?.config.api.listen),
    };
    let text = fetch(&format!("{url}/v1/status"))?;
    if context.json {
        println!("{text}");
        return Ok(());
    }
    let status: Status = serde_json::from_str(&text)
        .map_err(|error| Failure::refused(format!("{url}: {error}: {text}")))?;
    let mut facts = vec![
        ("moniker", status.moniker),
        ("chain", status.chain_id),
        ("version", status.version),
        ("height", status.height.to_string()),
        ("app_hash", status.app_hash.to_string()),
        ("epoch", status.epoch.to_string()),
        ("slot", status.slot.to_string()),
        ("catching_up", status.catching_up.to_string()),
    ];
    facts.extend(status.notes.into_iter().map(|note| ("note", note)));
    print_facts(context, &facts);
    Ok(())
}

/// One answer of a running node.
pub(super) fn fetch(url: &str) -> Result<String, Failure> {
    let unreachable = |error: reqwest::Error| {
        Failure::refused(format!(
            "{url} does not answer ({}); is the node running?",
            error.without_url()
        ))
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::broken)?;
    runtime.block_on(async {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(10))
            .build()
            .map_err(unreachable)?;
        let answer = http.get(url).send().await.map_err(unreachable)?;
        let is_good = answer.status().is_success();
        let text = answer.text().await.map_err(unreachable)?;
        if is_good {
            Ok(text)
        } else {
            Err(Failure::refused(format!("{url}: {text}")))
        }
    })
}
