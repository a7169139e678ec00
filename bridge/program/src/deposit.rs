//! `deposit`: moves tokens in, measures what arrived and appends a record for the chain to read.

use io_settlement::account::{Config, Counters, State};
use io_settlement::deposit::{
    DepositRecord, Slot, next_hash, queue_capacity, queue_fee, slot_offset,
};
use io_settlement::instruction::DEPOSIT;
use io_settlement::{Asset, Bytes32, Error};

use crate::cpi::Token;
use crate::store::{Store, config, counter, of, state};
use crate::{Call, Failure, cpi, guard, sysvar, token};

/// Order of checks: roles, programs, bridge, vault, queue, amount asked, room; then the tokens move, and what arrived is checked.
#[inline(never)]
pub(crate) fn deposit(
    call: &mut Call<'_>,
    asset: Asset,
    amount: u64,
    account: &Bytes32,
) -> Result<(), Failure> {
    let Call { program, accounts } = call;
    guard::roles(accounts, &DEPOSIT)?;
    let [
        depositor,
        source,
        vault,
        bridge_account,
        queue,
        token_program,
        system,
        ..,
    ] = accounts
    else {
        return Err(Error::MissingAccount.into());
    };
    guard::token_program(token_program)?;
    guard::system_program(system)?;
    let mut bridge = Store::bridge(program, bridge_account)?;
    bridge.names(
        of(asset, config(Config::AT.vaults), 32),
        vault,
        Error::WrongVault,
    )?;
    bridge.names(config(Config::AT.queue), queue, Error::WrongQueue)?;
    // A minimum of zero still takes no empty deposit: it would fill the queue for nothing.
    let minimum = bridge
        .number(of(asset, config(Config::AT.deposit_min), 8))?
        .max(1);
    if amount < minimum {
        return Err(Error::DepositBelowMinimum.into());
    }
    let capacity = queue_capacity(queue.data_len());
    let last = bridge.number(state(State::AT.deposit_number))?;
    let waiting = last.saturating_sub(bridge.number(state(State::AT.freed_number))?);
    if waiting >= capacity {
        return Err(Error::QueueFull.into());
    }

    cpi::pay(depositor, bridge_account, queue_fee(waiting, capacity))?;
    let before = token::balance(vault)?;
    cpi::token(Token::Transfer, amount, [source, vault, depositor], None)?;
    let arrived = token::balance(vault)?.saturating_sub(before);
    if arrived < minimum {
        return Err(Error::DepositBelowMinimum.into());
    }

    let n = last.checked_add(1).ok_or(Error::Arithmetic)?;
    let record = DepositRecord {
        n,
        asset: asset.byte(),
        amount: arrived,
        account: *account,
        depositor: *depositor.address().as_array(),
        slot: sysvar::clock()?.slot,
    };
    let rolling = next_hash(&bridge.bytes(state(State::AT.deposit_hash))?, &record);
    let offset = slot_offset(n, capacity).ok_or(Error::WrongQueue)?;
    Store::checked(queue).set(offset, &Slot { record, rolling })?;
    bridge.add(of(asset, counter(Counters::AT.deposited), 8), arrived)?;
    bridge.set_number(state(State::AT.deposit_number), n)?;
    bridge.set_bytes(state(State::AT.deposit_hash), &rolling)
}
