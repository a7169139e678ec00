//! Who is who in a localnet: names, keys, ports, files. All of it follows from a seed, a folder and a block of ports.

use std::path::{Path, PathBuf};

use anyhow::Context;
use io_client::{
    Wallet,
    solana::{bridge_address, pubkey, token_address},
};
use sha2::{Digest, Sha256};
use solana_pubkey::Pubkey;

use crate::{
    ledger::genesis::{GenesisAccount, GenesisMint, GenesisProgram, GenesisToken, LedgerGenesis},
    ports::Ports,
};

/// Base units of a whole IO.
pub const IO: u64 = 100_000_000;
/// Base units of a whole USDC.
pub const USDC: u64 = 1_000_000;
/// Lamports of a whole SOL.
pub const SOL: u64 = 1_000_000_000;

/// Validators of a localnet; as many fit into a block of ports.
pub const VALIDATORS: u16 = 4;
/// Verifiers: as many as its quorum.
pub const VERIFIERS: u16 = 3;
/// Suppliers, each with one worker for each device.
pub const SUPPLIERS: u16 = 3;

/// Whole tokens that the genesis puts on the chain for each of: renter, supplier, verifier, validator, and the person who tries it out.
const GENESIS_IO: [(&str, u16, u64); 5] = [
    ("renter", 1, 200_000),
    ("supplier", SUPPLIERS, 200_000),
    ("verifier", VERIFIERS, 100_000),
    ("operator", VALIDATORS, 1_000),
    ("you", 1, 100_000),
];
const GENESIS_USDC: [(&str, u16, u64); 2] = [("renter", 1, 1_000_000), ("you", 1, 100_000)];
/// Part of a verifier's IO that is its stake, whole tokens.
pub const VERIFIER_STAKE_IO: u64 = 50_000;

/// A planned localnet.
#[derive(Debug)]
pub struct Plan {
    /// Its folder.
    pub home: PathBuf,
    /// What its keys follow from.
    pub seed: u64,
    /// First port of its block.
    pub ports: Ports,
}

/// Money that the genesis puts on the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endowment {
    /// Whose key.
    pub name: String,
    /// Whole IO.
    pub io: u64,
    /// Whole USDC.
    pub usdc: u64,
}

/// The addresses on Solana.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SolanaAddresses {
    /// The bridge program.
    pub program: Pubkey,
    /// The account that holds its state and owns the vaults.
    pub bridge: Pubkey,
    /// IO and USDC.
    pub mints: [Pubkey; 2],
    /// Where they lie: the bridge's canonical token accounts.
    pub vaults: [Pubkey; 2],
}

impl Plan {
    /// The key of a name. The same seed gives the same keys, so that addresses in a text stay true; they are worth nothing elsewhere.
    pub fn wallet(&self, name: &str) -> Wallet {
        let mut hash = Sha256::new();
        hash.update(b"io-localnet/key\0");
        hash.update(self.seed.to_le_bytes());
        hash.update(name.as_bytes());
        Wallet::from_seed(hash.finalize().into())
    }

    /// The public half of [`Plan::wallet`] as a Solana address.
    pub fn address(&self, name: &str) -> Pubkey {
        pubkey(&self.wallet(name).account())
    }

    /// The key's file, which is written if it is not there. Errors: the disk refuses.
    pub fn key_file(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.home.join("keys").join(format!("{name}.json"));
        if !path.exists() {
            self.wallet(name)
                .save(&path)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(path)
    }

    /// The log of a process.
    pub fn log(&self, name: &str) -> PathBuf {
        self.home.join("logs").join(format!("{name}.log"))
    }

    /// The folder of a process.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    /// Port of the control service.
    pub fn control_port(&self) -> u16 {
        self.ports.get(0)
    }

    /// Ports of the ledger: JSON-RPC, websocket, the machine behind.
    pub fn ledger_ports(&self) -> [u16; 3] {
        [1, 2, 3].map(|offset| self.ports.get(offset))
    }

    /// URL of the ledger's JSON-RPC.
    pub fn ledger_url(&self) -> String {
        let [rpc, ..] = self.ledger_ports();
        local_url(rpc)
    }

    /// Ports of the price sources.
    pub fn price_ports(&self) -> [u16; 2] {
        [4, 5].map(|offset| self.ports.get(offset))
    }

    /// Ports of a validator.
    pub fn validator_ports(&self, index: u16) -> ValidatorPorts {
        let port = |offset: u16| {
            self.ports.get(
                10_u16
                    .saturating_add(index.saturating_mul(8))
                    .saturating_add(offset),
            )
        };
        ValidatorPorts {
            api: port(0),
            metrics: port(1),
            comet_rpc: port(2),
            comet_p2p: port(3),
            solana: [port(4), port(5)],
        }
    }

    /// Port of the forwarder through which validator `from` reaches validator `to`.
    pub fn link_port(&self, from: u16, to: u16) -> u16 {
        self.ports.get(
            50_u16
                .saturating_add(from.saturating_mul(VALIDATORS))
                .saturating_add(to),
        )
    }

    /// Port on which a verifier waits for workers.
    pub fn verifier_port(&self, index: u16) -> u16 {
        self.ports.get(70_u16.saturating_add(index))
    }

    /// URL of a validator's HTTP API.
    pub fn api_url(&self, index: u16) -> String {
        local_url(self.validator_ports(index).api)
    }

    /// Everyone who has money on the chain from the start.
    pub fn endowments(&self) -> Vec<Endowment> {
        let mut all = Vec::new();
        for (role, count, io) in GENESIS_IO {
            for name in names(role, count) {
                let usdc = GENESIS_USDC
                    .iter()
                    .find(|(other, ..)| *other == role)
                    .map_or(0, |(.., usdc)| *usdc);
                all.push(Endowment { name, io, usdc });
            }
        }
        all
    }

    /// What the vaults must hold: base units of IO and USDC.
    pub fn on_chain(&self) -> [u64; 2] {
        let all = self.endowments();
        let sum = |each: fn(&Endowment) -> u64, unit: u64| {
            all.iter()
                .map(each)
                .fold(0_u64, u64::saturating_add)
                .saturating_mul(unit)
        };
        [sum(|one| one.io, IO), sum(|one| one.usdc, USDC)]
    }

    /// The addresses on Solana.
    pub fn solana(&self) -> SolanaAddresses {
        let program = self.address("program");
        let bridge = bridge_address(&program);
        let mints = [self.address("io-mint"), self.address("usdc-mint")];
        let vaults = mints.map(|mint| token_address(&bridge, &mint));
        SolanaAddresses {
            program,
            bridge,
            mints,
            vaults,
        }
    }

    /// What the ledger holds at first. `elf` is the program's file.
    pub fn ledger_genesis(&self, elf: &Path) -> LedgerGenesis {
        let SolanaAddresses {
            program,
            bridge,
            mints: [io, usdc],
            vaults: _,
        } = self.solana();
        let [on_chain_io, on_chain_usdc] = self.on_chain();
        let mint = |address: Pubkey, decimals, authority: Pubkey| GenesisMint {
            address: address.to_string(),
            decimals,
            authority: Some(authority.to_string()),
            freeze_authority: None,
        };
        let token = |owner: Pubkey, mint: Pubkey, amount| GenesisToken {
            mint: mint.to_string(),
            owner: owner.to_string(),
            amount,
            address: None,
        };
        let mut tokens = vec![
            token(bridge, io, on_chain_io),
            token(bridge, usdc, on_chain_usdc),
        ];
        // Accounts to be paid into exist from the start: the program makes none.
        for name in names("supplier", SUPPLIERS) {
            tokens.push(token(self.address(&name), io, 0));
            tokens.push(token(self.address(&name), usdc, 0));
        }
        for name in ["you", "renter"] {
            tokens.push(token(self.address(name), io, IO.saturating_mul(50_000)));
            tokens.push(token(self.address(name), usdc, USDC.saturating_mul(50_000)));
        }
        let rich = ["authority", "relayer", "you", "renter", "faucet"].map(str::to_owned);
        let rich = rich.into_iter().chain(names("supplier", SUPPLIERS));
        LedgerGenesis {
            mints: vec![mint(io, 8, bridge), mint(usdc, 6, self.address("faucet"))],
            programs: vec![GenesisProgram {
                address: program.to_string(),
                elf: elf.to_owned(),
                upgrade_authority: Some(self.address("authority").to_string()),
            }],
            accounts: rich
                .map(|name| GenesisAccount {
                    address: self.address(&name).to_string(),
                    lamports: SOL.saturating_mul(1_000),
                })
                .collect(),
            tokens,
        }
    }
}

/// Ports of a validator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValidatorPorts {
    /// HTTP API.
    pub api: u16,
    /// Prometheus.
    pub metrics: u16,
    /// CometBFT's RPC.
    pub comet_rpc: u16,
    /// CometBFT's peer-to-peer port.
    pub comet_p2p: u16,
    /// Its two listeners of the fault layer.
    pub solana: [u16; 2],
}

/// The names of a role: itself if there is one, numbered if there are more.
pub fn names(role: &str, count: u16) -> impl Iterator<Item = String> {
    let role = role.to_owned();
    (0..count).map(move |index| {
        if count == 1 {
            role.clone()
        } else {
            format!("{role}-{index}")
        }
    })
}

/// A URL on this machine.
pub fn local_url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn plan(folder: &Path) -> Plan {
        Plan {
            home: folder.to_owned(),
            seed: 7,
            ports: Ports::claim(folder).unwrap(),
        }
    }

    #[test]
    fn no_port_is_given_twice() {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan(folder.path());
        let mut all = vec![plan.control_port()];
        all.extend(plan.ledger_ports());
        all.extend(plan.price_ports());
        for index in 0..VALIDATORS {
            let ValidatorPorts {
                api,
                metrics,
                comet_rpc,
                comet_p2p,
                solana,
            } = plan.validator_ports(index);
            all.extend([api, metrics, comet_rpc, comet_p2p]);
            all.extend(solana);
            all.extend((index + 1..VALIDATORS).map(|to| plan.link_port(index, to)));
        }
        all.extend((0..VERIFIERS).map(|index| plan.verifier_port(index)));
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        assert!(
            all.iter()
                .all(|port| (plan.ports.base()..plan.ports.base() + 100).contains(port))
        );
    }

    #[test]
    fn keys_follow_from_seed_and_name_and_files_are_written_once() {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan(folder.path());
        assert_ne!(plan.address("you"), plan.address("renter"));
        let file = plan.key_file("you").unwrap();
        assert_eq!(plan.key_file("you").unwrap(), file);
        assert_eq!(
            pubkey(&Wallet::load(&file).unwrap().account()),
            plan.address("you")
        );
    }

    #[test]
    fn the_vaults_hold_what_the_chain_begins_with() {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan(folder.path());
        let genesis = plan.ledger_genesis(Path::new("program.so"));
        let bridge = plan.solana().bridge.to_string();
        let [io, usdc] = plan.on_chain();
        let held: Vec<u64> = genesis
            .tokens
            .iter()
            .filter(|token| token.owner == bridge)
            .map(|token| token.amount)
            .collect();
        assert_eq!(held, [io, usdc]);
        assert_eq!(io, (200_000 * 4 + 100_000 * 3 + 1_000 * 4 + 100_000) * IO);
        assert_eq!(plan.endowments().len(), 12);
    }
}
