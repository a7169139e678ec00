//! The consensus connection.
//!
//! Places where a crash test may end the process ([`io_bridge::failpoint`]): `node:before_execute`, `node:after_execute`,
//! `node:before_journal`, `node:before_commit`, `node:after_commit`.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use io_bridge::failpoint;
use io_state_machine::block::TransactionOutcome;
use io_state_machine::{BlockOutcome, ExtensionDuties, ProposalError};
use io_storage::Fault;
use io_types::consensus::Block;
use io_types::{AccountId, BatchNumber, Event, Height, ValidatorAddress};
use tendermint_proto::v0_38::abci::response_offer_snapshot::Result as OfferResult;
use tendermint_proto::v0_38::abci::{
    ExecTxResult, RequestApplySnapshotChunk, RequestExtendVote, RequestFinalizeBlock,
    RequestInitChain, RequestOfferSnapshot, RequestPrepareProposal, RequestProcessProposal,
    RequestVerifyVoteExtension, ResponseApplySnapshotChunk, ResponseCommit, ResponseFinalizeBlock,
    ResponseInitChain, ResponseOfferSnapshot, ResponsePrepareProposal,
};
use tendermint_proto::v0_38::types::{AbciParams, ConsensusParams};

use super::{Chain, translate};
use crate::abci::{Consensus, Progress, Stop};
use crate::journal::{BlockRecord, TransactionRecord};

/// What the last `FinalizeBlock` leaves for `Commit`.
struct Finalized {
    block: Block,
    record: BlockRecord,
    frozen: Option<io_types::api::PayoutFile>,
}

pub(super) struct ChainConsensus {
    chain: Arc<Chain>,
    retain_blocks: u64,
    finalized: Option<Finalized>,
}

fn fault(error: impl std::fmt::Display) -> Stop {
    Stop::Fault(error.to_string())
}

impl ChainConsensus {
    pub(super) fn new(chain: Arc<Chain>, retain_blocks: u64) -> Self {
        let this = Self {
            chain,
            retain_blocks,
            finalized: None,
        };
        this.refresh();
        this
    }

    /// Prepares the next vote extension from the state of the last commit, beside the road of the next block.
    fn refresh(&self) {
        let Some((address, key)) = self.chain.report.address() else {
            return;
        };
        let chain = Arc::clone(&self.chain);
        let work = move || {
            let _alone = chain.duties.lock().unwrap_or_else(PoisonError::into_inner);
            match read_duties(&chain, address, key) {
                Ok(Some(duties)) => chain.report.refresh(&duties),
                // Before the first block there is nothing to say.
                Ok(None) => {}
                Err(fault) => {
                    tracing::error!(%fault, "the duties of this validator can not be read");
                }
            }
        };
        if let Err(error) = std::thread::Builder::new()
            .name("duties".to_owned())
            .spawn(work)
        {
            tracing::error!(%error, "the next vote extension stays as it was: no thread could be started");
        }
    }

    fn record(
        &self,
        block: &Block,
        transactions: Vec<TransactionOutcome>,
        events: Vec<Event>,
    ) -> BlockRecord {
        let chain_time = self.chain.scale.chain_time(block.time);
        let transactions = transactions.into_iter().map(|tx| TransactionRecord {
            hash: tx.hash,
            code: tx.code,
            log: tx.log,
            events: tx.events,
        });
        BlockRecord {
            height: block.height,
            time: block.time,
            chain_time,
            transactions: transactions.collect(),
            events,
        }
    }
}

fn read_duties(
    chain: &Chain,
    address: ValidatorAddress,
    key: AccountId,
) -> Result<Option<ExtensionDuties>, Fault> {
    let _no_commit = chain.between_commits();
    chain.machine.extension_duties(address, key)
}

impl Consensus for ChainConsensus {
    fn init_chain(&mut self, request: RequestInitChain) -> Result<ResponseInitChain, Stop> {
        let text = std::str::from_utf8(&request.app_state_bytes).map_err(fault)?;
        let spec = io_genesis::parse_spec(text)
            .map_err(|error| fault(format!("genesis: app_state: {error}")))?;
        if spec.chain_id != request.chain_id {
            return Err(fault(format!(
                "genesis: chain_id is {:?}, app_state says {:?}",
                request.chain_id, spec.chain_id
            )));
        }
        if request.initial_height > 1 {
            return Err(fault(format!(
                "genesis: initial_height is {}, but a chain of ours begins at 1",
                request.initial_height
            )));
        }
        let time = translate::time(request.time).map_err(fault)?;
        if spec.genesis_time != time {
            return Err(fault(format!(
                "genesis: genesis_time is {time:?}, app_state says {:?}",
                spec.genesis_time
            )));
        }
        let (app_hash, validators) = self.chain.machine.init_chain(&spec).map_err(fault)?;
        let mut named: Vec<(Vec<u8>, i64)> = Vec::new();
        for update in &request.validators {
            let key = update.pub_key.as_ref().and_then(|key| key.sum.as_ref());
            let Some(tendermint_proto::v0_38::crypto::public_key::Sum::Ed25519(key)) = key else {
                return Err(fault("genesis: a validator's key is not ed25519"));
            };
            named.push((key.clone(), update.power));
        }
        let mut wanted: Vec<(Vec<u8>, i64)> = Vec::new();
        for validator in validators {
            wanted.push((
                validator.key.0.to_vec(),
                i64::try_from(validator.power).map_err(fault)?,
            ));
        }
        named.sort();
        wanted.sort();
        if named != wanted {
            return Err(fault(
                "genesis: the validators are not those of app_state; make the file with `io-genesis collect`",
            ));
        }
        let abci = Some(AbciParams {
            vote_extensions_enable_height: 1,
        });
        let consensus_params = Some(ConsensusParams {
            abci,
            ..request.consensus_params.unwrap_or_default()
        });
        let app_hash = Bytes::copy_from_slice(&app_hash.0);
        Ok(ResponseInitChain {
            consensus_params,
            validators: Vec::new(),
            app_hash,
        })
    }

    fn prepare_proposal(
        &mut self,
        request: RequestPrepareProposal,
        _progress: &Progress,
    ) -> Result<ResponsePrepareProposal, Stop> {
        let request = translate::to_propose(request).map_err(fault)?;
        let txs = self
            .chain
            .machine
            .prepare(&request, &self.chain.report.bridge_data())
            .map_err(fault)?;
        Ok(ResponsePrepareProposal {
            txs: txs.into_iter().map(Bytes::from).collect(),
        })
    }

    fn process_proposal(
        &mut self,
        request: RequestProcessProposal,
    ) -> Result<Result<(), String>, Stop> {
        let block = translate::proposal(request).map_err(fault)?;
        match self.chain.machine.process(&block) {
            Ok(()) => Ok(Ok(())),
            Err(ProposalError::Refused(refusal)) => Ok(Err(refusal.to_string())),
            Err(ProposalError::Faulted(found)) => Err(fault(found)),
        }
    }

    fn extend_vote(&mut self, _request: RequestExtendVote) -> Result<Bytes, Stop> {
        let extension = self.chain.report.extension();
        let is_valid = self.chain.machine.verify_extension(&extension);
        self.chain.metrics.extended(&extension);
        Ok(if is_valid {
            extension.into()
        } else {
            Bytes::new()
        })
    }

    fn verify_vote_extension(
        &mut self,
        request: RequestVerifyVoteExtension,
    ) -> Result<Result<(), String>, Stop> {
        if self.chain.machine.verify_extension(&request.vote_extension) {
            return Ok(Ok(()));
        }
        Ok(Err(format!(
            "{} bytes that are not canonical or out of bounds",
            request.vote_extension.len()
        )))
    }

    fn finalize_block(
        &mut self,
        request: RequestFinalizeBlock,
    ) -> Result<ResponseFinalizeBlock, Stop> {
        let block = translate::decided(request).map_err(fault)?;
        translate::follows(&block, self.chain.machine.info().0).map_err(fault)?;
        if let Some(reason) = self.chain.halt_before(block.height.0) {
            return Err(Stop::Planned(reason));
        }
        let start = Instant::now();
        failpoint::hit("node:before_execute");
        let outcome = self.chain.machine.finalize(&block).map_err(fault)?;
        failpoint::hit("node:after_execute");
        self.chain.metrics.executed(start.elapsed(), &outcome);
        let results = outcome.transactions.iter();
        let tx_results = results.map(|tx| ExecTxResult {
            code: tx.code,
            log: tx.log.clone(),
            ..ExecTxResult::default()
        });
        let tx_results = tx_results.collect();
        let BlockOutcome {
            transactions,
            events,
            app_hash,
            frozen,
        } = outcome;
        let app_hash = Bytes::copy_from_slice(&app_hash.0);
        let record = self.record(&block, transactions, events);
        self.finalized = Some(Finalized {
            block,
            record,
            frozen,
        });
        Ok(ResponseFinalizeBlock {
            tx_results,
            app_hash,
            ..ResponseFinalizeBlock::default()
        })
    }

    fn commit(&mut self) -> Result<ResponseCommit, Stop> {
        let finalized = self
            .finalized
            .take()
            .ok_or_else(|| fault("Commit without FinalizeBlock"))?;
        let start = Instant::now();
        failpoint::hit("node:before_journal");
        // People's records first: what the state has, they must have. What is too much is cut off at the next start.
        if let Some(frozen) = &finalized.frozen {
            self.chain.payouts.write(frozen).map_err(fault)?;
        }
        self.chain
            .journal()
            .append(&finalized.record)
            .map_err(fault)?;
        failpoint::hit("node:before_commit");
        let guard = self.chain.committing();
        let Height(height) = self.chain.machine.commit(|_patch| {}).map_err(fault)?;
        drop(guard);
        failpoint::hit("node:after_commit");
        let view = self.chain.machine.store().snapshot();
        let seen = self.chain.voters.see(&finalized.block, &view);
        drop(view);
        seen.map_err(fault)?;
        self.chain
            .metrics
            .committed(start.elapsed(), &finalized.record);
        self.chain.height.send_replace(Height(height));
        if let Some(BatchNumber(number)) = finalized.frozen.map(|frozen| frozen.number) {
            tracing::info!(height, number, "a settlement batch was frozen");
        }
        self.refresh();
        let keep = self.retain_blocks;
        let retain = if keep == 0 {
            0
        } else {
            height.saturating_sub(keep)
        };
        Ok(ResponseCommit {
            retain_height: i64::try_from(retain).unwrap_or(0),
        })
    }

    fn forget_proposals(&mut self) {
        // The machine keeps a proposal's run only after it ended well.
    }

    fn offer_snapshot(
        &mut self,
        _request: RequestOfferSnapshot,
    ) -> Result<ResponseOfferSnapshot, Stop> {
        Ok(ResponseOfferSnapshot {
            result: OfferResult::Reject.into(),
        })
    }

    fn apply_snapshot_chunk(
        &mut self,
        _request: RequestApplySnapshotChunk,
    ) -> Result<ResponseApplySnapshotChunk, Stop> {
        Err(fault("a chunk of a snapshot that was not accepted"))
    }
}
