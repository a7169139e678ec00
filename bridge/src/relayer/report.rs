//! What `io-relayer status` shows.

use io_client::Client;
use io_client::node::PageRequest;
use io_client::solana::{BridgeProgram, Commitment};
use serde::Serialize;
use solana_pubkey::Pubkey;

use super::{BATCHES, Choice, RelayError, Relayer, choose};

/// State of both sides as the relayer sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The node that answered.
    pub node: String,
    /// Who pays.
    pub payer: String,
    /// What it has.
    pub lamports: u64,
    /// Number of the last settled batch on Solana.
    pub settled: u64,
    /// Solana's slot of that.
    pub settled_slot: u64,
    /// Number of the chain's newest batch.
    pub newest: u64,
    /// Set epoch of the program's members.
    pub set_epoch: u64,
    /// Deposits on Solana.
    pub deposits: u64,
    /// Deposits that settled batches credited.
    pub deposits_credited: u64,
    /// Batch that can be settled now.
    pub ready: Option<u64>,
    /// What the relayer would wait for.
    pub waits: Option<String>,
}

impl Relayer {
    /// Reads both sides.
    ///
    /// # Errors
    /// [`RelayError`].
    pub async fn report(&self) -> Result<Report, RelayError> {
        let node: Client = self.node().await?;
        let program = BridgeProgram::read(&self.rpc, self.program, Commitment::Confirmed).await?;
        let page = PageRequest {
            after: None,
            limit: Some(BATCHES),
        };
        let batches = node.settlements(&page).await?.items;
        let set = self.member_set(&node, &program).await?;
        let payer = Pubkey::new_from_array(self.wallet.account().0);
        let lamports = self.rpc.balance(&payer, Commitment::Confirmed).await?;
        let (ready, mut waits) = match choose(&batches, &program.bridge, &set) {
            Choice::Nothing => (None, None),
            Choice::Waits { why } => (None, Some(why)),
            Choice::Ready(ready) => (Some(ready.body.number), None),
        };
        if lamports < self.config.reserve_lamports {
            let error = RelayError::NoSol {
                payer,
                lamports,
                needed: self.config.reserve_lamports,
            };
            waits = Some(error.to_string());
        }
        let state = &program.bridge.state;
        Ok(Report {
            node: node.url().to_owned(),
            payer: payer.to_string(),
            lamports,
            settled: program.bridge.last.number,
            settled_slot: program.bridge.last.slot,
            newest: batches
                .iter()
                .map(|batch| batch.number.0)
                .max()
                .unwrap_or(0),
            set_epoch: state.set_epoch,
            deposits: state.deposit_number,
            deposits_credited: state.freed_number,
            ready,
            waits,
        })
    }
}
