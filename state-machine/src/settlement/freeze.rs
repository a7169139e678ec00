//! Freezing a batch at the close of an epoch.

use std::ops::ControlFlow;

use io_settlement::batch::{Payout as BatchPayout, SettleBody, chain_id_hash};
use io_settlement::payout::{Tree, leaf};
use io_storage::Fault;
use io_types::api::{PayoutFile, PayoutLeafView};
use io_types::row::{Batch, BridgeState, Payout};
use io_types::{AccountId, Amount, Asset, BatchNumber, Epoch, Event, Hash, Holder, SystemAccount};

use crate::context::BlockContext;
use crate::error::broken;
use crate::ledger;
use crate::state::State;
use crate::tables::{ACCOUNTS, BRIDGE, PAYOUTS, SETTLEMENTS};

/// A batch that was frozen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frozen {
    /// Its number.
    pub number: BatchNumber,
    /// Its leaf sets.
    pub file: PayoutFile,
}

/// Freezes the running totals into the next batch.
pub fn freeze(state: &mut State<'_>, block: &BlockContext, epoch: Epoch) -> Result<Frozen, Fault> {
    let mut bridge = super::bridge(state)?;
    let number = BatchNumber(bridge.newest_batch.0.saturating_add(1));
    let chain_id = chain_id_hash(&block.facts.chain_id);
    let mut file = PayoutFile {
        number,
        assets: Vec::new(),
    };
    let mut payouts = [BatchPayout {
        root: [0; 32],
        total: 0,
    }; 2];
    for ((asset, wire), slot) in Asset::BRIDGED
        .into_iter()
        .zip(io_settlement::Asset::ALL)
        .zip(&mut payouts)
    {
        let (leaves, total) = freeze_payouts(state, asset)?;
        let hashes = leaves
            .iter()
            .map(|row| leaf(&chain_id, wire, &row.account.0, row.cumulative.get()))
            .collect();
        *slot = BatchPayout {
            root: Tree::new(hashes).root(),
            total,
        };
        file.assets.push(leaves);
    }
    bridge.newest_batch = number;
    let body = body(state, block, &bridge, epoch, payouts)?;
    bridge.payout_totals = payouts.map(|payout| Amount::new(payout.total));
    let batch = batch(state, block, &bridge, &body)?;
    state.emit(Event::BatchFrozen {
        number,
        epoch,
        hash: batch.hash,
    });
    SETTLEMENTS.put(state, &number, &batch);
    BRIDGE.put(state, &(), &bridge);
    Ok(Frozen { number, file })
}

/// Moves every pending payout of an asset into what the leaves commit to. Leaves in order of index, and their sum.
fn freeze_payouts(
    state: &mut State<'_>,
    asset: Asset,
) -> Result<(Vec<PayoutLeafView>, u64), Fault> {
    let mut rows = Vec::new();
    PAYOUTS.scan(
        state,
        &(asset, AccountId([0; 32])),
        None,
        &mut |(of, account), row| {
            if of != asset {
                return ControlFlow::Break(());
            }
            rows.push((account, row));
            ControlFlow::Continue(())
        },
    )?;
    let mut total = 0_u64;
    let mut leaves = Vec::with_capacity(rows.len());
    for (
        account,
        Payout {
            index,
            frozen,
            pending,
        },
    ) in rows
    {
        if frozen != pending {
            PAYOUTS.put(
                state,
                &(asset, account),
                &Payout {
                    index,
                    frozen: pending,
                    pending,
                },
            );
        }
        total = total
            .checked_add(pending.get())
            .ok_or_else(|| broken("settlement", "payouts do not fit"))?;
        leaves.push(PayoutLeafView {
            index,
            account,
            cumulative: pending,
        });
    }
    leaves.sort_unstable_by_key(|row| row.index);
    Ok((leaves, total))
}

fn body(
    state: &State<'_>,
    block: &BlockContext,
    bridge: &BridgeState,
    epoch: Epoch,
    payouts: [BatchPayout; 2],
) -> Result<SettleBody, Fault> {
    let io = ledger::totals(state, Asset::Io)?;
    Ok(SettleBody {
        cluster_genesis: bridge.cluster.0,
        program_id: bridge.program.0,
        chain_id: chain_id_hash(&block.facts.chain_id),
        set_epoch: bridge.set_epoch,
        number: bridge.newest_batch.0,
        height: block.height.0,
        app_hash: block.app_hash_before.0,
        epoch: epoch.0,
        payouts,
        emitted: io.emitted.get(),
        reminted: io.reminted.get(),
        burned: io.burned.get(),
        credit_burned: io.credit_burned.get(),
        stake_target: bridge.staked.get(),
        deposit_number: bridge.deposit_number,
        deposit_hash: bridge.deposit_hash.0,
        market_hash: [0; 32],
        next_set: [0; 32],
    })
}

fn batch(
    state: &State<'_>,
    block: &BlockContext,
    bridge: &BridgeState,
    body: &SettleBody,
) -> Result<Batch, Fault> {
    let io = ledger::totals(state, Asset::Io)?;
    let mut burned = [Amount::ZERO; 3];
    let mut balances = [Amount::ZERO; 3];
    let mut deposited = [Amount::ZERO; 3];
    for (((asset, burned), balance), deposited) in Asset::ALL
        .into_iter()
        .zip(&mut burned)
        .zip(&mut balances)
        .zip(&mut deposited)
    {
        let totals = ledger::totals(state, asset)?;
        *deposited = totals.deposited;
        *burned = totals
            .burned
            .checked_add(totals.credit_burned)
            .ok_or_else(|| broken("settlement", "burns do not fit"))?;
        *balance = on_chain(state, asset)?;
    }
    let total_power = bridge
        .members
        .iter()
        .fold(0_u64, |sum, (_key, power)| sum.saturating_add(*power));
    Ok(Batch {
        number: BatchNumber(body.number),
        body: body.to_bytes().to_vec(),
        hash: Hash(body.hash()),
        height: block.height,
        epoch: Epoch(body.epoch),
        set_epoch: body.set_epoch,
        signatures: Vec::new(),
        signed_power: 0,
        total_power,
        settled: false,
        balances,
        emitted: io.emitted,
        reminted: io.reminted,
        burned,
        payout_totals: [
            bridge.payout_totals[0],
            bridge.payout_totals[1],
            Amount::ZERO,
        ],
        deposited,
        deposit_number: body.deposit_number,
    })
}

/// Σ accounts of an asset without `outside` and `payouts`: by INV-01 that is what `outside` lacks, less `payouts`.
fn on_chain(state: &State<'_>, asset: Asset) -> Result<Amount, Fault> {
    let system = |account| -> Result<i128, Fault> {
        Ok(ACCOUNTS
            .get(state, &(Holder::System(account), asset))?
            .unwrap_or_default()
            .balance)
    };
    let sum = system(SystemAccount::Outside)?
        .checked_neg()
        .and_then(|all| all.checked_sub(system(SystemAccount::Payouts).ok()?))
        .and_then(|rest| u64::try_from(rest).ok());
    sum.map(Amount::new)
        .ok_or_else(|| broken("settlement", "balances on chain do not fit"))
}
