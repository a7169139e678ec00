//! `settle`: applies a batch that a quorum signed.

use io_settlement::account::{
    Bridge, Config, Counters, LastSettle, ROOTS, Roots, Signatures, State,
};
use io_settlement::batch::{Kind, SettleBody};
use io_settlement::deposit::{Slot, queue_capacity, slot_offset};
use io_settlement::emission::TimeParams;
use io_settlement::instruction::{SETTLE, Settle};
use io_settlement::members::is_quorum;
use io_settlement::{Asset, Bytes32, Error, sha256};
use pinocchio::AccountView;
use pinocchio::Address;

use crate::cpi::Token;
use crate::store::{Store, config, counter, of, state};
use crate::{Call, Failure, cpi, guard, signatures, stage, sysvar, token};

/// Order of checks: roles, token program, bridge, its accounts, cluster, program, chain, set epoch, number, signatures account, power,
/// deposits, next set. After them no rule stops the batch: what limits hold back stays due. `bytes` are the encoding of `data`.
#[inline(never)]
pub(crate) fn settle(call: &mut Call<'_>, data: &Settle, bytes: &[u8]) -> Result<(), Failure> {
    let Call { program, accounts } = call;
    guard::roles(accounts, &SETTLE)?;
    let [
        bridge_account,
        marks,
        queue,
        io_mint,
        io_vault,
        stake_vault,
        usdc_vault,
        token_program,
        rest @ ..,
    ] = accounts
    else {
        return Err(Error::MissingAccount.into());
    };
    guard::token_program(token_program)?;
    let mut bridge = Store::bridge(program, bridge_account)?;
    bound(&bridge, [queue, io_mint, io_vault, stake_vault, usdc_vault])?;
    let body = &data.body;
    addressed(program, &bridge, body)?;
    let batch_hash = sha256(&[bytes.get(..SettleBody::LEN).ok_or(Error::Truncated)?]);
    let set_epoch = body.set_epoch;
    quorum(program, &bridge, marks, set_epoch, &batch_hash)?;
    deposits(&bridge, queue, body)?;
    if let Some(staged) = rest.first() {
        next_set(program, &mut bridge, staged, body)?;
    }

    let clock = sysvar::clock()?;
    let time: TimeParams = bridge.get(config(Config::AT.time))?;
    let mut counters: Counters = bridge.get(counter(0))?;
    let moves = Moves {
        bridge: bridge_account,
        io_mint,
        io_vault,
        stake_vault,
        bump: bridge.bump()?,
    };
    moves.apply(&mut counters, body, time.ceiling(clock.unix))?;
    let [io, usdc] = &body.payouts;
    counters.payout_total = [io.total, usdc.total];
    bridge.set(counter(0), &counters)?;
    save_roots(&mut bridge, &io.root, &usdc.root)?;
    bridge.set_number(state(State::AT.freed_number), body.deposit_number)?;
    bridge.set_bytes(state(State::AT.freed_hash), &body.deposit_hash)?;
    let last = LastSettle {
        number: body.number,
        batch_hash,
        slot: clock.slot,
        deposit_number: body.deposit_number,
        counters,
        vaults: [token::balance(io_vault)?, token::balance(usdc_vault)?],
        stake_vault: token::balance(stake_vault)?,
        set_epoch: bridge.number(state(State::AT.set_epoch))?,
        relayer: data.relayer,
    };
    bridge.set(Bridge::AT.last, &last)?;
    // From now on the signatures account may be closed.
    Store::checked(marks).set(Signatures::AT.settled, &1_u8)
}

/// The accounts are those that the bridge names.
fn bound(bridge: &Store, accounts: [&AccountView; 5]) -> Result<(), Failure> {
    let [queue, io_mint, io_vault, stake_vault, usdc_vault] = accounts;
    bridge.names(config(Config::AT.queue), queue, Error::WrongQueue)?;
    bridge.names(config(Config::AT.mints), io_mint, Error::WrongMint)?;
    bridge.names(config(Config::AT.vaults), io_vault, Error::WrongVault)?;
    bridge.names(
        config(Config::AT.stake_vault),
        stake_vault,
        Error::WrongStakeVault,
    )?;
    bridge.names(
        of(Asset::Usdc, config(Config::AT.vaults), 32),
        usdc_vault,
        Error::WrongVault,
    )
}

/// The batch is meant for this bridge and its turn.
fn addressed(program: &Address, bridge: &Store, body: &SettleBody) -> Result<(), Failure> {
    bridge.has(
        config(Config::AT.cluster_genesis),
        &body.cluster_genesis,
        Error::OtherCluster,
    )?;
    if body.program_id != *program.as_array() {
        return Err(Error::OtherProgram.into());
    }
    bridge.has(
        config(Config::AT.chain_id),
        &body.chain_id,
        Error::OtherChain,
    )?;
    if body.set_epoch != bridge.number(state(State::AT.set_epoch))? {
        return Err(Error::OtherSetEpoch.into());
    }
    if body.number <= bridge.number(Bridge::AT.last.saturating_add(LastSettle::AT.number))? {
        return Err(Error::OldNumber.into());
    }
    Ok(())
}

/// Members with more than two thirds of the power have signed this very body.
fn quorum(
    program: &Address,
    bridge: &Store,
    marks: &AccountView,
    set_epoch: u64,
    body_hash: &Bytes32,
) -> Result<(), Failure> {
    let found = signatures::open(program, marks)?;
    let kind: u8 = found.get(Signatures::AT.kind)?;
    if kind != Kind::Settle.byte() || found.number(Signatures::AT.set_epoch)? != set_epoch {
        return Err(Error::WrongSignatures.into());
    }
    found.has(Signatures::AT.body_hash, body_hash, Error::WrongSignatures)?;
    let power = found.number(Signatures::AT.power)?;
    if !is_quorum(power, bridge.number(state(State::AT.set_power))?) {
        return Err(Error::TooLittlePower.into());
    }
    Ok(())
}

/// The batch credits a deposit that is still in the ring, or the last one freed, and knows its rolling hash. Else its signers saw another
/// Solana than this one.
fn deposits(bridge: &Store, queue: &AccountView, body: &SettleBody) -> Result<(), Failure> {
    let number = body.deposit_number;
    let freed = bridge.number(state(State::AT.freed_number))?;
    if number == freed {
        return bridge.has(
            state(State::AT.freed_hash),
            &body.deposit_hash,
            Error::DepositHash,
        );
    }
    if number < freed || number > bridge.number(state(State::AT.deposit_number))? {
        return Err(Error::DepositNumber.into());
    }
    let offset = slot_offset(number, queue_capacity(queue.data_len())).ok_or(Error::WrongQueue)?;
    Store::checked(queue).has(
        offset.saturating_add(Slot::AT.rolling),
        &body.deposit_hash,
        Error::DepositHash,
    )
}

/// Switches to the set that the batch names, which the sender brought.
fn next_set(
    program: &Address,
    bridge: &mut Store,
    staged: &AccountView,
    body: &SettleBody,
) -> Result<(), Failure> {
    let set = stage::sealed(program, staged, &body.next_set, Error::WrongNextSet)?;
    if Some(set.set_epoch) != body.set_epoch.checked_add(1) {
        return Err(Error::WrongNextSet.into());
    }
    bridge.set_number(state(State::AT.set_epoch), set.set_epoch)?;
    bridge.set_bytes(state(State::AT.set_hash), &set.hash)?;
    bridge.set_number(state(State::AT.set_power), set.power)
}

/// Accounts between which IO moves.
struct Moves<'a> {
    bridge: &'a AccountView,
    io_mint: &'a AccountView,
    io_vault: &'a AccountView,
    stake_vault: &'a AccountView,
    bump: u8,
}

impl Moves<'_> {
    /// Applies the differences of the totals in their order: mint, stake out, burn, stake in. Burning and taking stake never touch what
    /// payouts still need.
    #[inline(never)]
    fn apply(&self, done: &mut Counters, body: &SettleBody, ceiling: u64) -> Result<(), Failure> {
        let Self {
            bridge,
            io_mint,
            io_vault,
            stake_vault,
            bump,
        } = *self;

        let emitted = body.emitted.min(ceiling);
        // What is minted again was burned for credits before, so the supply never passes the schedule's.
        let allowed = emitted
            .checked_add(body.reminted.min(done.credit_burned))
            .ok_or(Error::Arithmetic)?;
        let mint = allowed.saturating_sub(done.minted);
        cpi::token(Token::Mint, mint, [io_mint, io_vault, bridge], Some(bump))?;
        done.minted = done.minted.saturating_add(mint);

        let stake_out = done
            .staked
            .saturating_sub(body.stake_target)
            .min(token::balance(stake_vault)?);
        cpi::token(
            Token::Transfer,
            stake_out,
            [stake_vault, io_vault, bridge],
            Some(bump),
        )?;
        done.staked = done.staked.saturating_sub(stake_out);

        let owed = Asset::Io
            .of(&body.payouts)
            .total
            .saturating_sub(*Asset::Io.of(&done.claimed));
        let free = token::balance(io_vault)?.saturating_sub(owed);
        let burn = body.burned.saturating_sub(done.burned).min(free);
        let free = free.saturating_sub(burn);
        let credit_burn = body
            .credit_burned
            .saturating_sub(done.credit_burned)
            .min(free);
        let free = free.saturating_sub(credit_burn);
        cpi::token(
            Token::Burn,
            burn.saturating_add(credit_burn),
            [io_vault, io_mint, bridge],
            Some(bump),
        )?;
        done.burned = done.burned.saturating_add(burn);
        done.credit_burned = done.credit_burned.saturating_add(credit_burn);

        let stake_in = body.stake_target.saturating_sub(done.staked).min(free);
        cpi::token(
            Token::Transfer,
            stake_in,
            [io_vault, stake_vault, bridge],
            Some(bump),
        )?;
        done.staked = done.staked.saturating_add(stake_in);
        Ok(())
    }
}

/// Puts both roots in place of the oldest ones.
fn save_roots(bridge: &mut Store, io: &Bytes32, usdc: &Bytes32) -> Result<(), Failure> {
    let next = state(State::AT.root_next);
    let place: u8 = bridge.get(next)?;
    let io_place = usize::from(place)
        .wrapping_mul(32)
        .saturating_add(Bridge::AT.roots);
    bridge.set_bytes(io_place, io)?;
    bridge.set_bytes(of(Asset::Usdc, io_place, Roots::AT.usdc), usdc)?;
    let following = place
        .checked_add(1)
        .filter(|following| usize::from(*following) < ROOTS);
    bridge.set(next, &following.unwrap_or(0))
}
