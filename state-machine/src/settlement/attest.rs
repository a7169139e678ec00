//! What the extensions say of Solana: deposits to credit, `LastSettle`, signatures over batches.

use io_settlement::account::LastSettle;
use io_settlement::deposit::{DepositRecord, next_hash};
use io_storage::Fault;
use io_types::extension::InjectedCommit;
use io_types::row::{Batch, BridgeState, LastSettleRow, SuspendedDeposit};
use io_types::{AccountId, Amount, Asset, BatchNumber, Event, Hash, Signature, SystemAccount};

use crate::context::BlockContext;
use crate::error::must;
use crate::extension::{Attested, agreed};
use crate::ledger::{self, Entry, Exit};
use crate::machine::BridgeData;
use crate::state::State;
use crate::tables::{BRIDGE, SETTLEMENTS, SUSPENSE};

/// What a proposer supplies: the records after the last credited one, and `LastSettle` if it is newer.
pub fn supply(
    state: &State<'_>,
    seen: &BridgeData,
    commit: &mut InjectedCommit,
) -> Result<(), Fault> {
    let bridge = super::bridge(state)?;
    let mut want = bridge.deposit_number.saturating_add(1);
    for bytes in &seen.deposits {
        if commit.deposits.len() < io_types::extension::DEPOSITS_MAX
            && DepositRecord::from_bytes(bytes).is_ok_and(|record| record.n == want)
        {
            commit.deposits.push(bytes.clone());
            want = want.saturating_add(1);
        }
    }
    let known = bridge.last_settle.map_or(0, |last| last.number.0);
    commit.last_settle = seen
        .last_settle
        .clone()
        .filter(|bytes| LastSettle::from_bytes(bytes).is_ok_and(|last| last.number > known));
    Ok(())
}

/// Applies what more than two thirds attest. The order: deposits, `LastSettle`, signatures.
pub fn attest(
    state: &mut State<'_>,
    block: &BlockContext,
    attested: &Attested,
) -> Result<(), Fault> {
    credit_deposits(state, block, attested)?;
    apply_last_settle(state, block, attested)?;
    for (number, member, signature) in attested.signatures() {
        take_signature(state, number, member, signature)?;
    }
    Ok(())
}

fn credit_deposits(
    state: &mut State<'_>,
    block: &BlockContext,
    attested: &Attested,
) -> Result<(), Fault> {
    let mut bridge = super::bridge(state)?;
    let first = bridge.deposit_number.saturating_add(1);
    let limit = usize::from(block.params.settlement.deposits_per_block_max);
    for (place, bytes) in attested.deposits.iter().take(limit).enumerate() {
        let Ok(record) = DepositRecord::from_bytes(bytes) else {
            break;
        };
        let hash = Hash(next_hash(&bridge.deposit_hash.0, &record));
        let seen = attested
            .solana()
            .filter(|(part, _power)| part.first == first);
        let hashes =
            seen.filter_map(|(part, power)| part.rolling.get(place).map(|hash| (*hash, power)));
        if record.n != bridge.deposit_number.saturating_add(1)
            || agreed(attested, hashes) != Some(hash)
        {
            break;
        }
        credit(state, block, &record)?;
        bridge.deposit_number = record.n;
        bridge.deposit_hash = hash;
    }
    BRIDGE.put(state, &(), &bridge);
    Ok(())
}

/// Credits one deposit. An account that is no valid key goes to suspense; nothing can fail.
fn credit(
    state: &mut State<'_>,
    block: &BlockContext,
    record: &DepositRecord,
) -> Result<(), Fault> {
    let asset = match record.asset {
        0 => Asset::Io,
        _usdc => Asset::Usdc,
    };
    let (account, amount) = (AccountId(record.account), Amount::new(record.amount));
    let holder = if account.verifying_key().is_some() {
        account.into()
    } else {
        SystemAccount::Suspense.into()
    };
    must(
        "settlement: credit",
        ledger::enter(state, holder, asset, amount, Entry::Deposit),
    )?;
    if holder == SystemAccount::Suspense.into() {
        let row = SuspendedDeposit {
            number: record.n,
            asset,
            amount,
            account: Hash(record.account),
            depositor: AccountId(record.depositor),
            since: block.now,
        };
        SUSPENSE.put(state, &record.n, &row);
    }
    state.emit(Event::Deposited {
        number: record.n,
        holder,
        asset,
        amount,
    });
    Ok(())
}

fn apply_last_settle(
    state: &mut State<'_>,
    block: &BlockContext,
    attested: &Attested,
) -> Result<(), Fault> {
    let Some(bytes) = &attested.last_settle else {
        return Ok(());
    };
    let Ok(last) = LastSettle::from_bytes(bytes) else {
        return Ok(());
    };
    let hashes = attested
        .solana()
        .filter_map(|(part, power)| part.last_settle.map(|hash| (hash, power)));
    if agreed(attested, hashes) != Some(Hash(last.hash())) {
        return Ok(());
    }
    let mut bridge = super::bridge(state)?;
    if bridge
        .last_settle
        .as_ref()
        .is_some_and(|known| known.number.0 >= last.number)
    {
        return Ok(());
    }
    let number = BatchNumber(last.number);
    let Some(mut batch) = SETTLEMENTS.get(state, &number)? else {
        let what = format!("Solana settled batch {number}, which this chain never froze");
        close_withdrawals(state, bridge, what);
        return Ok(());
    };
    if let Some(what) = contradiction(state, &batch, &last)? {
        close_withdrawals(state, bridge, what);
        return Ok(());
    }
    for (asset, claimed) in Asset::BRIDGED.into_iter().zip(last.counters.claimed) {
        let before = ledger::totals(state, asset)?.claimed.get();
        let more = Amount::new(claimed.saturating_sub(before));
        must(
            "settlement: claimed",
            ledger::leave(state, asset, more, Exit::Claim),
        )?;
    }
    let surplus = [surplus(&batch, &last, 0), surplus(&batch, &last, 1)];
    batch.settled = true;
    SETTLEMENTS.put(state, &number, &batch);
    let row = LastSettleRow {
        bytes: bytes.clone(),
        number,
        height: block.height,
        slot: last.slot,
        surplus,
    };
    bridge.last_settle = Some(row);
    state.emit(Event::Settled {
        number,
        solana_slot: last.slot,
    });
    if surplus.contains(&None) {
        let what = format!("batch {number}: less in the vaults than the chain's totals need");
        close_withdrawals(state, bridge, what);
    } else {
        BRIDGE.put(state, &(), &bridge);
    }
    Ok(())
}

/// Why a `LastSettle` cannot be true: counters that fall, or exceed the batch's totals.
fn contradiction(
    state: &State<'_>,
    batch: &Batch,
    last: &LastSettle,
) -> Result<Option<String>, Fault> {
    if last.batch_hash != batch.hash.0 {
        return Ok(Some(format!(
            "Solana settled another batch {} than this chain froze",
            batch.number
        )));
    }
    for ((asset, claimed), total) in Asset::BRIDGED
        .into_iter()
        .zip(last.counters.claimed)
        .zip(batch.payout_totals)
    {
        if claimed < ledger::totals(state, asset)?.claimed.get() {
            return Ok(Some(format!(
                "claims of {asset} on Solana fell to {claimed}"
            )));
        }
        if claimed > total.get() {
            return Ok(Some(format!(
                "claims of {asset} on Solana are {claimed}, batch {} allows {total}",
                batch.number
            )));
        }
    }
    let minted_max = batch.emitted.get().saturating_add(batch.reminted.get());
    if last.counters.minted > minted_max {
        return Ok(Some(format!(
            "{} IO base units were minted on Solana, at most {minted_max} are due",
            last.counters.minted
        )));
    }
    Ok(None)
}

/// Invariant 5.7 of one asset: vaults less all that they must cover, or none if they do not.
fn surplus(batch: &Batch, last: &LastSettle, asset: usize) -> Option<Amount> {
    let is_io = asset == 0;
    let vaults = last
        .vaults
        .get(asset)?
        .checked_add(if is_io { last.stake_vault } else { 0 })?;
    let counters = &last.counters;
    let waiting = counters
        .deposited
        .get(asset)?
        .checked_sub(batch.deposited.get(asset)?.get())?;
    let unclaimed = counters
        .payout_total
        .get(asset)?
        .checked_sub(*counters.claimed.get(asset)?)?;
    let (unminted, unburned) = if is_io {
        let due = batch
            .emitted
            .get()
            .checked_add(batch.reminted.get())?
            .checked_sub(counters.minted)?;
        let burned = batch.burned.first()?.get();
        (
            due,
            burned.checked_sub(counters.burned.checked_add(counters.credit_burned)?)?,
        )
    } else {
        (0, 0)
    };
    // vaults = balances + unclaimed + waiting + surplus − unminted + unburned
    let have = u128::from(vaults).checked_add(u128::from(unminted))?;
    let need = [
        batch.balances.get(asset)?.get(),
        unclaimed,
        waiting,
        unburned,
    ]
    .iter()
    .fold(0_u128, |sum, part| sum.saturating_add(u128::from(*part)));
    u64::try_from(have.checked_sub(need)?).ok().map(Amount::new)
}

/// Withdrawals stop; a node never does for what Solana says.
fn close_withdrawals(state: &mut State<'_>, mut bridge: BridgeState, what: String) {
    state.emit(Event::InvariantViolated { what: what.clone() });
    bridge.withdrawals_closed.get_or_insert(what);
    BRIDGE.put(state, &(), &bridge);
}

/// Adds a member's signature to an open batch; anything that is not one is void. Says whether it was new and right.
pub(super) fn take_signature(
    state: &mut State<'_>,
    number: BatchNumber,
    member: AccountId,
    signature: Signature,
) -> Result<bool, Fault> {
    let bridge = super::bridge(state)?;
    if number < super::first_open(state)? {
        return Ok(false);
    }
    let Some(mut batch) = SETTLEMENTS.get(state, &number)? else {
        return Ok(false);
    };
    let power = bridge
        .members
        .iter()
        .find(|(key, _power)| *key == member)
        .map(|(_key, power)| *power);
    let place = batch
        .signatures
        .binary_search_by_key(&member, |(key, _signature)| *key);
    let (Some(power), Err(place), false) = (power, place, batch.settled) else {
        return Ok(false);
    };
    if !member.verify(&message(&batch), &signature) {
        return Ok(false);
    }
    let before = is_signed(&batch);
    batch.signatures.insert(place, (member, signature));
    batch.signed_power = batch.signed_power.saturating_add(power);
    if !before && is_signed(&batch) {
        state.emit(Event::BatchSigned {
            number,
            power: batch.signed_power,
            total: batch.total_power,
        });
    }
    SETTLEMENTS.put(state, &number, &batch);
    Ok(true)
}

/// The bytes that members sign for a batch.
pub(super) fn message(batch: &Batch) -> [u8; io_settlement::batch::MESSAGE_LEN] {
    io_settlement::batch::message(io_settlement::batch::Kind::Settle, &batch.hash.0)
}

fn is_signed(batch: &Batch) -> bool {
    io_settlement::members::is_quorum(batch.signed_power, batch.total_power)
}
