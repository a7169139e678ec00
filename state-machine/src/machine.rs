//! The machine: what an engine drives. It holds the store, the derived indices, and nothing that a restart could lose.
//!
//! `finalize` yields a patch and changes nothing; `commit` makes it durable. A run made while a proposal was judged is
//! reused only if every field of the decided block is equal.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use io_storage::{Fault, Overlay, Patch, Snapshot, Store, View, WriteSet};
use io_types::action::PlaceOrder;
use io_types::api::{PayoutFile, Quote};
use io_types::consensus::{Block, EngineValidator, ProposalRequest};
use io_types::extension::{INJECTED_BYTES_MAX, VoteExtension};
use io_types::genesis::GenesisSpec;
use io_types::row::Accrual;
use io_types::{
    AccountId, BatchNumber, BlockTime, DeviceId, Epoch, Event, Hash, Height, Rejection,
    Transaction, ValidatorAddress,
};

use crate::admission::{self, Pending};
use crate::block::{self, TransactionOutcome};
use crate::context::BlockContext;
use crate::derived::Derived;
use crate::error::ActionError;
use crate::extension::{self, Attested, CommitRefusal};
use crate::ledger::conservation;
use crate::opened::{Opened, Opener};
use crate::settlement::Frozen;
use crate::state::State;
use crate::tables::{BEACON, BRIDGE, CHAIN, CLOCK, DEVICES, PARAMS, SETTLEMENTS, VALIDATORS};

/// What a machine is told beside the chain's own data. None of it changes a result.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether signatures are checked on all threads of the pool.
    pub parallel_signatures: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            parallel_signatures: true,
        }
    }
}

/// What a node's reader has seen of Solana: a proposer supplies it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BridgeData {
    /// Deposit records (io-settlement's encoding), in order, beginning at or before the next one to credit.
    pub deposits: Vec<Vec<u8>>,
    /// Bytes of `LastSettle`.
    pub last_settle: Option<Vec<u8>>,
}

/// What came of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockOutcome {
    /// Of each transaction, transaction 0 included.
    pub transactions: Vec<TransactionOutcome>,
    /// What the block did by itself.
    pub events: Vec<Event>,
    /// The app hash after it.
    pub app_hash: Hash,
    /// The leaf sets of a batch that this block froze; the node keeps them as files.
    pub frozen: Option<PayoutFile>,
}

/// Why a proposal is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposalRefusal {
    /// Transaction 0 is not what it must be.
    #[error("{0}")]
    Commit(#[from] CommitRefusal),
    /// A transaction that an honest proposer leaves out.
    #[error("transaction {place} cannot be admitted: {log}")]
    Inadmissible {
        /// Its place in the block.
        place: usize,
        /// Why.
        log: String,
    },
}

/// Why a proposal could not be accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposalError {
    /// The proposer's doing.
    #[error("{0}")]
    Refused(#[from] ProposalRefusal),
    /// This node is broken.
    #[error("{0}")]
    Faulted(#[from] Fault),
}

/// What one validator has to say in its next vote extension, as of the last commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtensionDuties {
    /// Number of the first deposit not credited.
    pub deposit_first: u64,
    /// Rolling hash before it.
    pub deposit_hash: Hash,
    /// Batches that still lack this settlement key's signature: number and body, ascending, at most four.
    pub batches: Vec<(BatchNumber, Vec<u8>)>,
    /// The last beacon link seen of this validator.
    pub beacon_link: Option<Hash>,
    /// Number of the last `LastSettle` attested.
    pub settled: BatchNumber,
}

struct Run {
    block: Block,
    changes: WriteSet,
    outcome: BlockOutcome,
    patch: Patch,
    refusal: Option<ProposalRefusal>,
}

/// A finalized block, as `Commit` needs it.
struct Staged {
    height: Height,
    hashes: Vec<Hash>,
    changes: WriteSet,
    patch: Patch,
}

#[derive(Default)]
struct Works {
    /// Rows of genesis, until the first commit makes them durable.
    genesis: Option<(WriteSet, Hash)>,
    proposal: Option<Run>,
    staged: Option<Staged>,
}

/// The chain as a function over a store.
pub struct Machine {
    store: Store,
    opener: Opener,
    derived: RwLock<Derived>,
    works: Mutex<Works>,
    pending: Mutex<Pending>,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine")
            .field("height", &self.store.height())
            .finish_non_exhaustive()
    }
}

/// A lock of ours is poisoned only by a panic while a block was judged, which left what it guards unchanged or dropped.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Machine {
    /// Opens the chain as of the last commit. The store's tables must be [`crate::tables::SPECS`].
    pub fn open(store: Store, options: Options) -> Result<Self, Fault> {
        let derived = Derived::rebuild(&store.snapshot())?;
        Ok(Self {
            store,
            opener: Opener::new(options.parallel_signatures),
            derived: RwLock::new(derived),
            works: Mutex::default(),
            pending: Mutex::default(),
        })
    }

    /// The store, to read.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Gives the store back, for who writes it without blocks.
    pub fn into_store(self) -> Store {
        self.store
    }

    /// Height and app hash of the last commit.
    pub fn info(&self) -> (Height, Hash) {
        let view = self.store.snapshot();
        (Height(view.height()), Hash(view.app_hash()))
    }

    /// Starts the chain. Nothing is written: block 1 makes the rows of genesis durable with its own.
    pub fn init_chain(&self, spec: &GenesisSpec) -> Result<(Hash, Vec<EngineValidator>), Fault> {
        let (changes, app_hash) = {
            let view = self.store.snapshot();
            if view.height() != 0 {
                return Err(Fault::bug(
                    "machine",
                    "InitChain on a chain that has blocks",
                ));
            }
            let mut state = State::new(&view);
            crate::genesis::write(spec, &mut state)?;
            let changes = state.into_write_set()?;
            let app_hash = Hash(view.stage(&changes)?.app_hash());
            (changes, app_hash)
        };
        conservation::check_full(&changes)?;
        let derived = {
            let view = self.store.snapshot();
            let mut rows = Overlay::new(&view);
            rows.apply(&changes);
            Derived::rebuild(&rows)?
        };
        *self.derived.write().unwrap_or_else(PoisonError::into_inner) = derived;
        locked(&self.works).genesis = Some((changes, app_hash));
        let validators = spec
            .validators
            .iter()
            .map(|row| EngineValidator {
                key: row.consensus_key,
                power: row.power,
            })
            .collect();
        Ok((app_hash, validators))
    }

    /// Opens transactions for [`Self::check_opened`], on all threads if the options say so. Needs no state, so it may run
    /// beside anything.
    pub fn open_all(&self, transactions: &[&[u8]]) -> Vec<Opened> {
        self.opener.open_all(transactions)
    }

    /// Checks a transaction for the mempool, on top of those that wait there.
    pub fn check_tx(&self, bytes: &[u8], recheck: bool) -> Result<Result<(), Rejection>, Fault> {
        let opened = self.opener.open(bytes);
        let mut answers = self.check_opened(&[(&opened, recheck)])?;
        answers
            .pop()
            .ok_or_else(|| Fault::bug("machine", "a check without an answer"))
    }

    /// Checks transactions for the mempool in order, on top of those that wait there, with one answer for each. The flag
    /// says whether it waits there already.
    pub fn check_opened(
        &self,
        batch: &[(&Opened, bool)],
    ) -> Result<Vec<Result<(), Rejection>>, Fault> {
        let view = self.store.snapshot();
        let state = self.state(&view);
        let Some(block) = self.next_context(&view, &state)? else {
            let why = "the chain has not started yet".to_owned();
            return Ok(vec![Err(Rejection::Undecodable { why }); batch.len()]);
        };
        let mut pending = locked(&self.pending);
        let check = |(opened, recheck): &(&Opened, bool)| -> Result<_, Fault> {
            let signed = match &opened.signed {
                Ok(signed) => signed,
                Err(rejection) => return Ok(Err(rejection.clone())),
            };
            let body = &signed.body;
            let key = (body.signer, body.lane);
            if *recheck && pending.get(&key).is_some_and(|last| *last >= body.sequence) {
                return Ok(Ok(()));
            }
            match admission::check(signed, &block, &state, Some(&pending)) {
                Ok(_fee) => {
                    pending.insert(key, body.sequence);
                    Ok(Ok(()))
                }
                Err(ActionError::Rejected(rejection)) => Ok(Err(rejection)),
                Err(ActionError::Faulted(fault)) => Err(fault),
            }
        };
        batch.iter().map(check).collect()
    }

    /// Makes a block: the injected commit, then every admissible transaction that fits.
    pub fn prepare(
        &self,
        request: &ProposalRequest,
        bridge: &BridgeData,
    ) -> Result<Vec<Vec<u8>>, Fault> {
        let view = self.store.snapshot();
        let mut state = self.state(&view);
        let block = self.context(&view, &state, (request.block.height, request.block.time))?;
        let height = request.block.height.0;
        let mut commit = extension::inject(
            &request.extended,
            &request.block.last_commit,
            height,
            &block.facts.chain_id,
            &state,
        )?;
        crate::settlement::supply(&state, bridge, &mut commit)?;
        let mut injected = commit.encode();
        if injected.len() > INJECTED_BYTES_MAX.min(request.bytes_max) {
            injected = io_types::extension::InjectedCommit::default().encode();
        }
        let mut room = request
            .bytes_max
            .saturating_sub(injected.len())
            .saturating_sub(16);
        let mut chosen = vec![injected];
        self.opener
            .each(&request.block.transactions, |bytes, opened| {
                // Bytes and a few for the engine's framing.
                let Some(left) = room.checked_sub(bytes.len().saturating_add(8)) else {
                    return Ok(());
                };
                let mark = state.mark();
                if block::run_transaction(opened, &block, &mut state)?.inadmissible {
                    state.revert(mark);
                    return Ok(());
                }
                room = left;
                chosen.push(bytes.to_vec());
                Ok(())
            })?;
        Ok(chosen)
    }

    /// Judges a proposal by the same run that would execute it. The run is kept for `finalize`.
    pub fn process(&self, block: &Block) -> Result<(), ProposalError> {
        let run = self.run(block)?;
        if let Some(refusal) = run.refusal {
            return Err(refusal.into());
        }
        locked(&self.works).proposal = Some(run);
        Ok(())
    }

    /// Executes a decided block. Nothing changes until `commit`.
    pub fn finalize(&self, block: &Block) -> Result<BlockOutcome, Fault> {
        let kept = locked(&self.works)
            .proposal
            .take()
            .filter(|run| run.block == *block);
        let run = match kept {
            Some(run) => run,
            None => self.run(block)?,
        };
        let Run {
            block,
            changes,
            outcome,
            patch,
            refusal: _,
        } = run;
        let hashes = outcome
            .transactions
            .iter()
            .map(|transaction| transaction.hash);
        locked(&self.works).staged = Some(Staged {
            height: block.height,
            hashes: hashes.collect(),
            changes,
            patch,
        });
        Ok(outcome)
    }

    /// Makes the finalized block durable, then true in memory. `note` may add meta rows to the same atomic write.
    ///
    /// No lock of ours is held while the store waits for its readers.
    pub fn commit(&self, note: impl FnOnce(&mut Patch)) -> Result<Height, Fault> {
        let staged = {
            let mut works = locked(&self.works);
            let staged = works.staged.take();
            if staged.is_some() {
                works.genesis = None;
                works.proposal = None;
            }
            staged
        };
        let Some(Staged {
            height,
            hashes,
            changes,
            mut patch,
        }) = staged
        else {
            return Err(Fault::bug("machine", "Commit without FinalizeBlock"));
        };
        note(&mut patch);
        self.store.commit(patch, height.0)?;
        if height.0 == 1 {
            // The rows of genesis were applied already; block 1's write set holds them again.
            let rebuilt = Derived::rebuild(&self.store.snapshot())?;
            *self.derived.write().unwrap_or_else(PoisonError::into_inner) = rebuilt;
        } else {
            let view = self.store.snapshot();
            let mut derived = self.derived.write().unwrap_or_else(PoisonError::into_inner);
            derived.apply(&changes, &view)?;
        }
        locked(&self.pending).clear();
        self.opener.forget(hashes.iter());
        Ok(height)
    }

    /// Whether a vote extension has the one form that every honest node accepts. Empty always has.
    pub fn verify_extension(&self, bytes: &[u8]) -> bool {
        VoteExtension::decode(bytes).is_ok()
    }

    /// What a validator has to say in its next extension.
    pub fn extension_duties(
        &self,
        validator: ValidatorAddress,
        key: AccountId,
    ) -> Result<Option<ExtensionDuties>, Fault> {
        let view = self.store.snapshot();
        let state = self.state(&view);
        let Some(bridge) = BRIDGE.get(&state, &())? else {
            return Ok(None);
        };
        let mut batches = Vec::new();
        for (number, batch) in
            SETTLEMENTS.list(&state, &crate::settlement::first_open(&state)?, None, 64)?
        {
            let signed = batch
                .signatures
                .iter()
                .any(|(member, _signature)| *member == key);
            if !signed
                && !batch.settled
                && bridge.members.iter().any(|(member, _power)| *member == key)
            {
                batches.push((number, batch.body));
            }
        }
        batches.truncate(io_types::extension::SIGNATURES_MAX);
        Ok(Some(ExtensionDuties {
            deposit_first: bridge.deposit_number.saturating_add(1),
            deposit_hash: bridge.deposit_hash,
            batches,
            beacon_link: VALIDATORS
                .get(&state, &validator)?
                .map(|row| row.beacon_link),
            settled: bridge
                .last_settle
                .map_or(BatchNumber(0), |last| last.number),
        }))
    }

    /// What an order would do if it were sent now.
    pub fn quote(&self, order: &PlaceOrder) -> Result<Result<Quote, Rejection>, Fault> {
        let view = self.store.snapshot();
        let mut state = self.state(&view);
        let Some(block) = self.next_context(&view, &state)? else {
            return Ok(Err(Rejection::Undecodable {
                why: "the chain has not started yet".to_owned(),
            }));
        };
        let derived = self.derived.read().unwrap_or_else(PoisonError::into_inner);
        match crate::market::quote(order, &block, &derived, &mut state) {
            Ok(quote) => Ok(Ok(quote)),
            Err(ActionError::Rejected(rejection)) => Ok(Err(rejection)),
            Err(ActionError::Faulted(fault)) => Err(fault),
        }
    }

    /// What an account has earned and not collected, by device, the oldest first: at most `limit`.
    pub fn accruals(
        &self,
        view: &View<'_>,
        account: AccountId,
        limit: usize,
    ) -> Result<Vec<(Epoch, DeviceId, Accrual)>, Fault> {
        let derived = self.derived.read().unwrap_or_else(PoisonError::into_inner);
        let owners = Arc::clone(&derived.owners);
        drop(derived);
        let Some(params) = PARAMS.read(view, &())? else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for id in owners.candidates(account) {
            if found.len() >= limit {
                break;
            }
            let row = DEVICES.read(view, &id)?;
            if row.is_some_and(|row| row.owner == account) {
                let of_device = crate::reward::accruals(view, &params.reward, id)?;
                found.extend(of_device.into_iter().map(|(epoch, row)| (epoch, id, row)));
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    /// Undoes the last block, for an operator while the node stands still.
    pub fn rollback(&self) -> Result<Height, Fault> {
        let height = self.store.rollback()?;
        *self.derived.write().unwrap_or_else(PoisonError::into_inner) =
            Derived::rebuild(&self.store.snapshot())?;
        Ok(Height(height))
    }

    /// A state on top of the last commit (of genesis, before the first).
    fn state<'v>(&self, view: &'v dyn Snapshot) -> State<'v> {
        let mut state = State::new(view);
        if let Some((genesis, _app_hash)) = &locked(&self.works).genesis {
            state.overlay_mut().apply(genesis);
        }
        state
    }

    /// The context of a block on top of the view.
    fn context(
        &self,
        view: &View<'_>,
        state: &State<'_>,
        (height, time): (Height, BlockTime),
    ) -> Result<BlockContext, Fault> {
        let before = locked(&self.works)
            .genesis
            .as_ref()
            .map(|(_changes, app_hash)| *app_hash);
        let before = before.unwrap_or_else(|| Hash(view.app_hash()));
        let mut context = BlockContext::load(state, height, time, before)?;
        let derived = self.derived.read().unwrap_or_else(PoisonError::into_inner);
        context.owners = Arc::clone(&derived.owners);
        Ok(context)
    }

    /// The context of the next block, as far as it is known; none before genesis.
    fn next_context(
        &self,
        view: &View<'_>,
        state: &State<'_>,
    ) -> Result<Option<BlockContext>, Fault> {
        if !CHAIN.contains(state, &())? {
            return Ok(None);
        }
        let clock = CLOCK.expect(state, &(), "genesis writes it")?;
        let height = Height(view.height().saturating_add(1));
        self.context(view, state, (height, clock.block_time))
            .map(Some)
    }

    fn run(&self, block: &Block) -> Result<Run, Fault> {
        let view = self.store.snapshot();
        let mut state = self.state(&view);
        let context = self.context(&view, &state, (block.height, block.time))?;
        let mut refusal = None;
        let attested = match extension::check_injected(block, &context.facts.chain_id, &state)? {
            Ok(attested) => attested,
            Err(why) => {
                // A decided block is executed all the same: blocksync never asked whether the proposal was sound.
                refusal = Some(ProposalRefusal::from(why));
                Attested {
                    total_power: extension::total_power(&block.last_commit),
                    ..Attested::default()
                }
            }
        };
        let mut transactions = vec![injected_outcome(block, refusal.as_ref())];
        let rest = block.transactions.get(1..).unwrap_or_default();
        self.opener.each(rest, |_bytes, opened| {
            let outcome = block::run_transaction(opened, &context, &mut state)?;
            if outcome.inadmissible && refusal.is_none() {
                refusal = Some(ProposalRefusal::Inadmissible {
                    place: transactions.len(),
                    log: outcome.log.clone(),
                });
            }
            transactions.push(outcome);
            Ok(())
        })?;
        transactions.truncate(block.transactions.len());
        let derived = self.derived.read().unwrap_or_else(PoisonError::into_inner);
        let frozen = block::end(block, &attested, &context, &derived, &mut state)?;
        drop(derived);
        let events = state.take_events();
        let changes = state.into_write_set()?;
        conservation::check_block(&view, &changes)?;
        if frozen.is_some() {
            conservation::check_snapshot(&view, &changes)?;
        }
        let patch = view.stage(&changes)?;
        let outcome = BlockOutcome {
            transactions,
            events,
            app_hash: Hash(patch.app_hash()),
            frozen: frozen.map(|Frozen { file, .. }| file),
        };
        Ok(Run {
            block: block.clone(),
            changes,
            outcome,
            patch,
            refusal,
        })
    }

    /// The present beacon, for people.
    pub fn beacon(&self) -> Result<Option<io_types::row::BeaconState>, Fault> {
        let view = self.store.snapshot();
        BEACON.read(&view, &())
    }
}

fn injected_outcome(block: &Block, refusal: Option<&ProposalRefusal>) -> TransactionOutcome {
    let bytes = block.transactions.first().map_or(&[][..], Vec::as_slice);
    TransactionOutcome {
        hash: Transaction::hash_of(bytes),
        code: if refusal.is_some() { 101 } else { 0 },
        log: refusal.map(ToString::to_string).unwrap_or_default(),
        events: Vec::new(),
        inadmissible: refusal.is_some(),
    }
}
