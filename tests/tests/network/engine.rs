//! The four CometBFTs, by their own RPC.

use io_client::types::Height;
use serde_json::Value;

use crate::localnet::Localnet;

/// Blocks that CometBFT shows at once.
const PAGE: usize = 20;

/// The engines of a localnet.
#[derive(Debug)]
pub(crate) struct Engines {
    urls: [String; 4],
}

impl Engines {
    pub(crate) fn new(localnet: &Localnet) -> Self {
        let urls = [0, 1, 2, 3].map(|index| {
            let file = localnet.home().join(format!("validator-{index}/node.toml"));
            let text = std::fs::read_to_string(file).expect("a node's settings");
            let settings: toml::Table = text.parse().expect("TOML");
            let listen = settings["comet"]["rpc_listen"].as_str().expect("a URL");
            listen.replace("tcp://", "http://")
        });
        Self { urls }
    }

    async fn ask(&self, index: usize, path: &str) -> Result<Value, String> {
        let answer = reqwest::get(format!("{}/{path}", self.urls[index])).await;
        let answer = answer.map_err(|error| error.to_string())?;
        let mut answer: Value = answer.json().await.map_err(|error| error.to_string())?;
        Ok(answer["result"].take())
    }

    /// Whether a validator's own vote is in a commit above this height.
    pub(crate) async fn votes_above(&self, index: usize, above: u64) -> Result<(), String> {
        let own = self.ask(index, "status").await?["validator_info"]["address"].clone();
        let commit = self.ask(index, "commit").await?["signed_header"]["commit"].clone();
        let height = number(&commit["height"])?;
        let signatures = commit["signatures"].as_array().cloned().unwrap_or_default();
        // 2: for the block.
        let is_in = signatures
            .iter()
            .any(|vote| vote["validator_address"] == own && vote["block_id_flag"] == 2);
        if is_in && height > above {
            Ok(())
        } else {
            Err(format!("height {height}, its vote is in: {is_in}"))
        }
    }

    /// Panics unless all four have the same block and the same app hash at every height that all have.
    pub(crate) async fn never_forked(&self) {
        let mut last = u64::MAX;
        for index in 0..self.urls.len() {
            let status = self.ask(index, "status").await.expect("all engines answer");
            let height = number(&status["sync_info"]["latest_block_height"]);
            last = last.min(height.expect("a height"));
        }
        assert!(last > 1, "no blocks to compare");
        for first in (1..=last).step_by(PAGE) {
            let mut pages = Vec::new();
            for index in 0..self.urls.len() {
                pages.push(self.page(index, first, last).await);
            }
            assert!(
                pages.iter().all(|page| *page == pages[0]),
                "nodes differ from height {first} on: {pages:?}"
            );
        }
        eprintln!("          the same {last} blocks on all four nodes");
    }

    /// Height, block hash and app hash of a page of blocks.
    async fn page(&self, index: usize, first: u64, last: u64) -> Vec<(Height, String, String)> {
        let upto = last.min(first + u64::try_from(PAGE).expect("small") - 1);
        let path = format!("blockchain?minHeight={first}&maxHeight={upto}");
        let page = self.ask(index, &path).await.expect("blocks");
        let metas = page["block_metas"].as_array().expect("a list");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let read = |meta: &Value| {
            let height = number(&meta["header"]["height"]).expect("a height");
            let (block, app) = (&meta["block_id"]["hash"], &meta["header"]["app_hash"]);
            (Height(height), text(block), text(app))
        };
        let found: Vec<_> = metas.iter().map(read).collect();
        let wanted = usize::try_from(upto - first + 1).expect("small");
        assert_eq!(found.len(), wanted, "blocks {first} to {upto}: {path}");
        found
    }
}

fn number(value: &Value) -> Result<u64, String> {
    let text = value.as_str().ok_or("CometBFT has no commit yet")?;
    text.parse().map_err(|error| format!("{text}: {error}"))
}
