//! What a localnet is made of before it runs: keys, homes, the ledger's genesis and the chain's.
//!
//! All of it is made by the programs that operators use. It is made once; a localnet whose state is kept starts from what is there.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use serde_json::Value;

use crate::{
    plan::{
        Endowment, Plan, VALIDATORS, VERIFIER_STAKE_IO, VERIFIERS, ValidatorPorts, local_url, names,
    },
    tools::Tools,
};

/// The bridge program, built by `bridge/program/build`.
const PROGRAM: &[u8] = include_bytes!("../../bridge/program/settlement.so");
/// Name of the chain.
pub const CHAIN_ID: &str = "io-localnet";
/// Links of a validator's beacon chain: one in five blocks, so two months of blocks of a second. Fewer links, faster start.
const BEACON_LINKS: u32 = 1_000_000;
/// A validator's power.
const POWER: u32 = 10;

/// A plan with the programs that carry it out.
#[derive(Debug)]
pub struct Materials<'a> {
    /// Who is who.
    pub plan: &'a Plan,
    /// The programs.
    pub tools: &'a Tools,
}

/// What a validator's home says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidatorFacts {
    /// How peers name its node.
    pub node_id: String,
    /// Anchor of its beacon chain.
    pub beacon_anchor: String,
}

impl Materials<'_> {
    /// The chain's genesis, once it is made.
    pub fn genesis(&self) -> PathBuf {
        self.plan.folder("genesis").join("genesis.json")
    }

    /// Whether everything was made by an earlier start.
    pub fn are_made(&self) -> bool {
        self.genesis().exists()
    }

    /// Writes the ledger's genesis with the program, and returns its file.
    pub fn ledger_genesis(&self) -> anyhow::Result<PathBuf> {
        let folder = self.plan.folder("ledger");
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        std::fs::write(folder.join("settlement.so"), PROGRAM)?;
        let file = folder.join("genesis.toml");
        std::fs::write(
            &file,
            toml::to_string(&self.plan.ledger_genesis(Path::new("settlement.so")))?,
        )?;
        Ok(file)
    }

    /// Makes the home of a validator, or reads what it says of itself.
    pub fn validator(&self, index: u16) -> anyhow::Result<ValidatorFacts> {
        let name = validator_name(index);
        let home = self.plan.folder(&name);
        for (role, file) in [("settlement", "settlement"), ("operator", "operator")] {
            let path = home.join("keys").join(format!("{file}.json"));
            if !path.exists() {
                self.plan
                    .wallet(&format!("{role}-{index}"))
                    .save(&path)
                    .with_context(|| format!("cannot write {}", path.display()))?;
            }
        }
        let mut arguments = vec![
            "--home".to_owned(),
            home.display().to_string(),
            "--json".to_owned(),
        ];
        arguments.extend(
            self.node_settings(index, "")
                .into_iter()
                .flat_map(|setting| ["--set".to_owned(), setting]),
        );
        arguments.extend(["init", "--moniker", &name, "--beacon-links"].map(str::to_owned));
        arguments.push(BEACON_LINKS.to_string());
        let facts: Value = serde_json::from_str(&self.tools.run("io-node", &arguments)?)?;
        let fact = |key: &str| {
            facts
                .get(key)
                .and_then(Value::as_str)
                .map(str::to_owned)
                .ok_or_else(|| anyhow!("io-node init says nothing of {key}"))
        };
        no_peer_exchange(&home.join("cometbft/config/config.toml"))?;
        Ok(ValidatorFacts {
            node_id: fact("node_id")?,
            beacon_anchor: fact("beacon_anchor")?,
        })
    }

    /// Settings of a validator's node that follow from the plan, `section.field=value`.
    pub fn node_settings(&self, index: u16, peers: &str) -> Vec<String> {
        let ValidatorPorts {
            api,
            metrics,
            comet_rpc,
            comet_p2p,
            solana,
        } = self.plan.validator_ports(index);
        let prices = self
            .plan
            .price_ports()
            .map(|port| format!("{}/prices", local_url(port)))
            .join(",");
        let endpoints = solana.map(local_url).join(",");
        vec![
            format!("api.listen=127.0.0.1:{api}"),
            format!("metrics.listen=127.0.0.1:{metrics}"),
            format!("comet.rpc_listen=tcp://127.0.0.1:{comet_rpc}"),
            format!("comet.p2p_listen=tcp://127.0.0.1:{comet_p2p}"),
            "comet.private_network=true".to_owned(),
            format!("comet.persistent_peers={peers}"),
            format!("prices.sources={prices}"),
            format!("solana.endpoints={endpoints}"),
            "solana.poll_ms=500".to_owned(),
        ]
    }

    /// Makes the chain's genesis for a cluster (genesis hash in hex). Errors: what `io-genesis` says.
    pub fn chain_genesis(
        &self,
        cluster: &str,
        validators: &[ValidatorFacts],
    ) -> anyhow::Result<()> {
        // Made beside and moved into place, so that a start that was cut off begins anew.
        let folder = self.plan.folder("genesis.new");
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        let at = folder.display().to_string();
        self.tools.run(
            "io-genesis",
            ["new", &at, "--network", "localnet", "--chain-id", CHAIN_ID],
        )?;
        self.bind_bridge(&folder.join("network.toml"), cluster)?;
        for Endowment { name, io, usdc } in self.plan.endowments() {
            let mut arguments = vec![
                "add-account".to_owned(),
                at.clone(),
                self.plan.wallet(&name).account().to_string(),
            ];
            arguments.extend(["--io".to_owned(), io.to_string()]);
            if usdc > 0 {
                arguments.extend(["--usdc".to_owned(), usdc.to_string()]);
            }
            if let Some(index) = names("verifier", VERIFIERS).position(|verifier| verifier == name)
            {
                let port = self.plan.verifier_port(u16::try_from(index)?);
                arguments.extend([
                    "--verifier".to_owned(),
                    format!("ws://127.0.0.1:{port}"),
                    "--stake".to_owned(),
                    VERIFIER_STAKE_IO.to_string(),
                ]);
            }
            self.tools.run("io-genesis", &arguments)?;
        }
        for (index, facts) in (0..VALIDATORS).zip(validators) {
            self.declare(&at, index, facts)?;
        }
        self.tools.run("io-genesis", ["collect", &at])?;
        let place = self.plan.folder("genesis");
        std::fs::rename(&folder, &place)
            .with_context(|| format!("cannot move the genesis to {}", place.display()))
    }

    fn declare(&self, genesis: &str, index: u16, facts: &ValidatorFacts) -> anyhow::Result<()> {
        let name = validator_name(index);
        let home = self.plan.folder(&name);
        let file = |path: &str| home.join(path).display().to_string();
        let arguments = [
            "add-validator".to_owned(),
            genesis.to_owned(),
            "--moniker".to_owned(),
            name.clone(),
            "--power".to_owned(),
            POWER.to_string(),
            "--consensus-key".to_owned(),
            file("cometbft/config/priv_validator_key.json"),
            "--settlement-key".to_owned(),
            file("keys/settlement.json"),
            "--operator-key".to_owned(),
            file("keys/operator.json"),
            "--beacon-anchor".to_owned(),
            facts.beacon_anchor.clone(),
        ];
        self.tools.run("io-genesis", arguments).map(drop)
    }

    /// Writes where the chain settles into the network's file; everything else in it stays.
    fn bind_bridge(&self, file: &Path, cluster: &str) -> anyhow::Result<()> {
        let addresses = self.plan.solana();
        let [io, usdc] = addresses.mints;
        let values = [
            ("cluster", cluster.to_owned()),
            ("program", addresses.program.to_string()),
            ("io_mint", io.to_string()),
            ("usdc_mint", usdc.to_string()),
        ];
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        let lines = text.lines().map(|line| {
            let field = line.split_once(" = ").map(|(field, _)| field);
            match values.iter().find(|(name, _)| field == Some(*name)) {
                Some((name, value)) => format!("{name} = \"{value}\"\n"),
                None => format!("{line}\n"),
            }
        });
        std::fs::write(file, lines.collect::<String>())
            .with_context(|| format!("cannot write {}", file.display()))
    }

    /// Puts the chain's genesis into a validator's home.
    pub fn install_genesis(&self, index: u16) -> anyhow::Result<()> {
        let home = self
            .plan
            .folder(&validator_name(index))
            .display()
            .to_string();
        let genesis = self.genesis().display().to_string();
        self.tools
            .run("io-node", ["--home", &home, "init", "--genesis", &genesis])
            .map(drop)
    }
}

/// Name of a validator.
pub fn validator_name(index: u16) -> String {
    format!("validator-{index}")
}

/// Switches peer exchange off: peers must meet through the forwarders only.
fn no_peer_exchange(config: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(config)
        .with_context(|| format!("cannot read {}", config.display()))?;
    if text.contains("\npex = false\n") {
        return Ok(());
    }
    let text = text.replacen("\n[p2p]\n", "\n[p2p]\npex = false\n", 1);
    anyhow::ensure!(
        text.contains("\npex = false\n"),
        "{} has no section [p2p]",
        config.display()
    );
    std::fs::write(config, text).with_context(|| format!("cannot write {}", config.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peer_exchange_is_switched_off_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, "a = 1\n\n[p2p]\nladdr = \"x\"\n").unwrap();
        for _ in 0..2 {
            no_peer_exchange(&file).unwrap();
            assert_eq!(
                std::fs::read_to_string(&file).unwrap(),
                "a = 1\n\n[p2p]\npex = false\nladdr = \"x\"\n"
            );
        }
        std::fs::write(&file, "a = 1\n").unwrap();
        assert!(no_peer_exchange(&file).is_err());
    }
}
