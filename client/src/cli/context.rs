//! What every verb needs: settings, node, wallet, output.

use std::path::PathBuf;

use clap::Args;
use io_client::solana::{BridgeProgram, Commitment, SolanaRpc, pubkey};
use io_client::types::action::Action;
use io_client::types::api::TransactionResult;
use io_client::types::id::AccountId;
use io_client::{Client, Signer, Wallet};

use super::config::{Config, home};
use super::failure::Failure;
use super::output::Output;
use super::values::event_text;

/// Flags of every verb.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Settings")]
pub(crate) struct Global {
    /// URL of a node's API
    #[arg(long, global = true, env = "IO_NODE", value_name = "URL")]
    pub(crate) node: Option<String>,
    /// URL of a Solana endpoint
    #[arg(long, global = true, env = "IO_SOLANA", value_name = "URL")]
    pub(crate) solana: Option<String>,
    /// Key file that signs
    #[arg(long, global = true, env = "IO_WALLET", value_name = "FILE")]
    pub(crate) wallet: Option<PathBuf>,
    /// Address of the bridge program; else the node says it
    #[arg(long, global = true, env = "IO_PROGRAM", value_name = "ADDRESS")]
    pub(crate) program: Option<AccountId>,
    /// Configuration file
    #[arg(long, global = true, env = "IO_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Sequence to use, if several programs sign with this key
    #[arg(long, global = true, default_value_t = 0, value_name = "NUMBER")]
    pub(crate) lane: u16,
    /// Print the API's JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// Settings and what they lead to. Nothing is opened or reached before it is needed.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) config: Config,
    pub(crate) out: Output,
    lane: u16,
}

impl Context {
    pub(crate) fn new(global: &Global) -> Result<Self, Failure> {
        Ok(Self {
            config: Config::new(global, &home())?,
            out: Output::new(global.json),
            lane: global.lane,
        })
    }

    pub(crate) fn client(&self) -> Result<Client, Failure> {
        Ok(Client::new(&self.config.node)?)
    }

    pub(crate) fn wallet(&self) -> Result<Wallet, Failure> {
        Ok(Wallet::load(&self.config.wallet)?)
    }

    pub(crate) fn solana(&self) -> Result<SolanaRpc, Failure> {
        Ok(SolanaRpc::new(&[&self.config.solana])?)
    }

    /// The account that was named, else the wallet's.
    pub(crate) fn account_or_own(&self, named: Option<AccountId>) -> Result<AccountId, Failure> {
        match named {
            Some(account) => Ok(account),
            None => Ok(self.wallet()?.account()),
        }
    }

    /// The bridge as it stands on Solana. The node is asked only if no program is set.
    pub(crate) async fn bridge(&self, rpc: &SolanaRpc) -> Result<BridgeProgram, Failure> {
        let program = match self.config.program {
            Some(program) => program,
            None => self.client()?.bridge().await?.program,
        };
        Ok(BridgeProgram::read(rpc, pubkey(&program), Commitment::Confirmed).await?)
    }

    /// Sends one action with the wallet, waits for its block, and shows what happened.
    pub(crate) async fn send(&self, action: Action) -> Result<TransactionResult, Failure> {
        let signer = Signer::new(self.client()?, &self.wallet()?).on_lane(self.lane);
        let result = signer.send(vec![action]).await?;
        self.out.show(&result, |result| {
            let height = result.height.map_or(0, |height| height.0);
            let mut text = format!("done at height {height}, transaction {}\n", result.hash);
            for event in &result.events {
                text.push_str(&format!("  {}\n", event_text(event)));
            }
            text
        })?;
        Ok(result)
    }
}
