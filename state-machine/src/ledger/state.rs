//! Typed reads and writes of the ledger's tables; the only code that touches them.

use io_storage::Fault;
use io_types::row::{AccountRow, AssetTotals, Hold, HoldPurpose};
use io_types::{AccountId, Amount, Asset, Hash, HoldId, Holder, Rejection, SystemAccount};

use crate::error::{ActionError, broken};
use crate::state::State;
use crate::tables::{ACCOUNTS, CLIENT_IDS, HOLDS, TOTALS};

/// How money comes to this chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Put here by genesis.
    Genesis,
    /// A credited deposit.
    Deposit,
}

/// How money leaves this chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Claimed on Solana, out of `payouts`.
    Claim,
}

/// How money is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supply {
    /// By the emission schedule.
    Emission,
}

/// One holder's money of one asset.
pub fn account(
    state: &State<'_>,
    holder: impl Into<Holder>,
    asset: Asset,
) -> Result<AccountRow, Fault> {
    Ok(ACCOUNTS
        .get(state, &(holder.into(), asset))?
        .unwrap_or_default())
}

/// What a holder can spend.
pub fn available(
    state: &State<'_>,
    holder: impl Into<Holder>,
    asset: Asset,
) -> Result<Amount, Fault> {
    let row = account(state, holder, asset)?;
    let free = row.balance.saturating_sub(i128::from(row.held.get()));
    Ok(Amount::new(u64::try_from(free.max(0)).unwrap_or(u64::MAX)))
}

/// Running totals of an asset.
pub fn totals(state: &State<'_>, asset: Asset) -> Result<AssetTotals, Fault> {
    Ok(TOTALS.get(state, &asset)?.unwrap_or_default())
}

/// Moves money that is not held.
///
/// Rejections: 201 without the money, 205 if the receiver's sum does not fit.
pub fn transfer(
    state: &mut State<'_>,
    from: impl Into<Holder>,
    to: impl Into<Holder>,
    asset: Asset,
    amount: Amount,
) -> Result<(), ActionError> {
    let (from, to) = (from.into(), to.into());
    require(state, from, asset, amount)?;
    move_money(state, from, to, asset, amount)
}

/// Reserves money of a holder; the row named by `purpose` must end it.
///
/// Rejections: 201 without the money.
pub fn hold(
    state: &mut State<'_>,
    owner: impl Into<Holder>,
    asset: Asset,
    amount: Amount,
    purpose: HoldPurpose,
) -> Result<HoldId, ActionError> {
    let owner = owner.into();
    require(state, owner, asset, amount)?;
    let id = state.next_hold()?;
    set_held(state, owner, asset, Amount::ZERO, amount)?;
    HOLDS.put(
        state,
        &id,
        &Hold {
            owner,
            asset,
            remaining: amount,
            purpose,
        },
    );
    Ok(id)
}

/// Adds money of its owner to a hold.
///
/// Rejections: 201 without the money.
pub fn top_up(state: &mut State<'_>, id: HoldId, amount: Amount) -> Result<(), ActionError> {
    let mut hold = read_hold(state, id)?;
    require(state, hold.owner, hold.asset, amount)?;
    let grown = hold
        .remaining
        .checked_add(amount)
        .ok_or(Rejection::AmountOverflow { asset: hold.asset })?;
    set_held(state, hold.owner, hold.asset, Amount::ZERO, amount)?;
    hold.remaining = grown;
    HOLDS.put(state, &id, &hold);
    Ok(())
}

/// What a hold still reserves; nothing if it has ended.
pub fn hold_remaining(state: &State<'_>, id: HoldId) -> Result<Amount, Fault> {
    Ok(HOLDS
        .get(state, &id)?
        .map_or(Amount::ZERO, |hold| hold.remaining))
}

/// Pays part of a hold to somebody. More than it has is a fault: the caller keeps count. Nothing can be paid out of a hold
/// that has ended with what was paid before.
pub fn post(
    state: &mut State<'_>,
    id: HoldId,
    to: impl Into<Holder>,
    amount: Amount,
) -> Result<(), Fault> {
    if amount.is_zero() {
        return Ok(());
    }
    let hold = read_hold(state, id)?;
    shrink(state, id, hold, amount)?;
    crate::error::must(
        "ledger: post",
        move_money(state, hold.owner, to.into(), hold.asset, amount),
    )
}

/// Gives part of a hold back to its owner. More than it has is a fault.
pub fn release(state: &mut State<'_>, id: HoldId, amount: Amount) -> Result<(), Fault> {
    let hold = read_hold(state, id)?;
    shrink(state, id, hold, amount)
}

/// Ends a hold: all that is left goes back to its owner. Says how much.
pub fn release_all(state: &mut State<'_>, id: HoldId) -> Result<Amount, Fault> {
    let Some(hold) = HOLDS.get(state, &id)? else {
        return Ok(Amount::ZERO);
    };
    set_held(state, hold.owner, hold.asset, hold.remaining, Amount::ZERO)?;
    HOLDS.delete(state, &id);
    Ok(hold.remaining)
}

/// Money comes to this chain from outside.
pub fn enter(
    state: &mut State<'_>,
    to: impl Into<Holder>,
    asset: Asset,
    amount: Amount,
    entry: Entry,
) -> Result<(), ActionError> {
    let mut totals = totals(state, asset)?;
    let total = match entry {
        Entry::Genesis => &mut totals.genesis,
        Entry::Deposit => &mut totals.deposited,
    };
    *total = total
        .checked_add(amount)
        .ok_or(Rejection::AmountOverflow { asset })?;
    move_money(
        state,
        SystemAccount::Outside.into(),
        to.into(),
        asset,
        amount,
    )?;
    TOTALS.put(state, &asset, &totals);
    Ok(())
}

/// Moves money of an account to `payouts`: it is on its way to Solana.
///
/// Rejections: 201 without the money.
pub fn withdraw(
    state: &mut State<'_>,
    from: AccountId,
    asset: Asset,
    amount: Amount,
) -> Result<(), ActionError> {
    let mut totals = totals(state, asset)?;
    totals.withdrawn = totals
        .withdrawn
        .checked_add(amount)
        .ok_or(Rejection::AmountOverflow { asset })?;
    transfer(state, from, SystemAccount::Payouts, asset, amount)?;
    TOTALS.put(state, &asset, &totals);
    Ok(())
}

/// Money leaves this chain.
pub fn leave(
    state: &mut State<'_>,
    asset: Asset,
    amount: Amount,
    exit: Exit,
) -> Result<(), ActionError> {
    let mut totals = totals(state, asset)?;
    let from = match exit {
        Exit::Claim => {
            totals.claimed = totals
                .claimed
                .checked_add(amount)
                .ok_or(Rejection::AmountOverflow { asset })?;
            SystemAccount::Payouts
        }
    };
    transfer(state, from, SystemAccount::Outside, asset, amount)?;
    TOTALS.put(state, &asset, &totals);
    Ok(())
}

/// Makes money.
pub fn mint(
    state: &mut State<'_>,
    to: impl Into<Holder>,
    asset: Asset,
    amount: Amount,
    supply: Supply,
) -> Result<(), ActionError> {
    let mut totals = totals(state, asset)?;
    let total = match supply {
        Supply::Emission => &mut totals.emitted,
    };
    *total = total
        .checked_add(amount)
        .ok_or(Rejection::AmountOverflow { asset })?;
    move_money(
        state,
        SystemAccount::Outside.into(),
        to.into(),
        asset,
        amount,
    )?;
    TOTALS.put(state, &asset, &totals);
    Ok(())
}

/// Burns money of a holder that is not held.
pub fn burn(
    state: &mut State<'_>,
    from: impl Into<Holder>,
    asset: Asset,
    amount: Amount,
) -> Result<(), ActionError> {
    let mut totals = totals(state, asset)?;
    totals.burned = totals
        .burned
        .checked_add(amount)
        .ok_or(Rejection::AmountOverflow { asset })?;
    transfer(state, from, SystemAccount::Outside, asset, amount)?;
    TOTALS.put(state, &asset, &totals);
    Ok(())
}

/// Takes a client's id of an action; the same number again is refused (204).
pub fn issue_client_id(
    state: &mut State<'_>,
    signer: AccountId,
    client_id: u64,
    content: Hash,
) -> Result<(), ActionError> {
    let key = (signer, client_id);
    if CLIENT_IDS.contains(state, &key)? {
        return Err(Rejection::DuplicateClientId { client_id }.into());
    }
    CLIENT_IDS.put(state, &key, &content);
    Ok(())
}

fn require(
    state: &State<'_>,
    holder: Holder,
    asset: Asset,
    need: Amount,
) -> Result<(), ActionError> {
    let available = available(state, holder, asset)?;
    if available < need {
        return Err(Rejection::InsufficientFunds {
            asset,
            need,
            available,
        }
        .into());
    }
    Ok(())
}

fn read_hold(state: &State<'_>, id: HoldId) -> Result<Hold, Fault> {
    HOLDS.expect(state, &id, "whoever names a hold keeps it alive")
}

fn shrink(state: &mut State<'_>, id: HoldId, hold: Hold, by: Amount) -> Result<(), Fault> {
    let left = hold.remaining.checked_sub(by).ok_or_else(|| {
        broken(
            "ledger",
            format!("hold {id} has {} left, {by} asked", hold.remaining),
        )
    })?;
    set_held(state, hold.owner, hold.asset, by, Amount::ZERO)?;
    if left.is_zero() {
        HOLDS.delete(state, &id);
    } else {
        HOLDS.put(
            state,
            &id,
            &Hold {
                remaining: left,
                ..hold
            },
        );
    }
    Ok(())
}

fn set_held(
    state: &mut State<'_>,
    owner: Holder,
    asset: Asset,
    less: Amount,
    more: Amount,
) -> Result<(), Fault> {
    let mut row = account(state, owner, asset)?;
    row.held = row
        .held
        .checked_sub(less)
        .and_then(|held| held.checked_add(more))
        .ok_or_else(|| broken("ledger", "the held part of an account is out of range"))?;
    write(state, owner, asset, row);
    Ok(())
}

fn move_money(
    state: &mut State<'_>,
    from: Holder,
    to: Holder,
    asset: Asset,
    amount: Amount,
) -> Result<(), ActionError> {
    if amount.is_zero() || from == to {
        return Ok(());
    }
    let units = i128::from(amount.get());
    let (mut payer, mut payee) = (account(state, from, asset)?, account(state, to, asset)?);
    let overflow = || ActionError::from(Rejection::AmountOverflow { asset });
    payer.balance = payer.balance.checked_sub(units).ok_or_else(overflow)?;
    payee.balance = payee.balance.checked_add(units).ok_or_else(overflow)?;
    if payee.balance > i128::from(u64::MAX) {
        return Err(overflow());
    }
    if payer.balance < i128::from(payer.held.get())
        && from != Holder::System(SystemAccount::Outside)
    {
        return Err(broken(
            "ledger",
            "a payment would take money that is held or not there",
        )
        .into());
    }
    // From here on nothing can fail.
    write(state, from, asset, payer);
    write(state, to, asset, payee);
    Ok(())
}

fn write(state: &mut State<'_>, holder: Holder, asset: Asset, row: AccountRow) {
    if row == AccountRow::default() {
        ACCOUNTS.delete(state, &(holder, asset));
    } else {
        ACCOUNTS.put(state, &(holder, asset), &row);
    }
}
