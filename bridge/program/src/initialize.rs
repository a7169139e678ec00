//! `initialize`: binds everything for good and refuses a bridge that could not be safe.

use io_settlement::account::{
    Bridge, Config, LastSettle, State, TAG_BRIDGE, TAG_MEMBERS, TAG_QUEUE, VERSION,
};
use io_settlement::address::{BRIDGE_SEED, UPGRADEABLE_LOADER};
use io_settlement::codec::Reader;
use io_settlement::deposit::{CAPACITY_MIN, QueueHeader, first_hash, queue_capacity, queue_len};
use io_settlement::instruction::{FLAG_IO_FREEZE, FLAG_USDC_FREEZE, INITIALIZE, Initialize};
use io_settlement::members::MembersHeader;
use io_settlement::{Asset, Bytes32, Error};
use pinocchio::cpi::Seed;
use pinocchio::{AccountView, Address};

use crate::cpi::Derived;
use crate::derive::derive;
use crate::store::{Store, config, of, state};
use crate::token::{Mint, TokenAccount};
use crate::{Call, Failure, cpi, guard};

/// The loader's mark of a program account, and of a program data account.
const LOADER_PROGRAM: [u8; 4] = [2, 0, 0, 0];
const LOADER_DATA: [u8; 4] = [3, 0, 0, 0];

/// Order of checks: roles, programs, upgrade authority, bridge account, flags, times, members, mints, vaults, queue.
#[inline(never)]
pub(crate) fn initialize(call: &mut Call<'_>, data: &Initialize) -> Result<(), Failure> {
    let Call { program, accounts } = call;
    guard::roles(accounts, &INITIALIZE)?;
    let [
        authority,
        bridge,
        members,
        queue,
        io_mint,
        usdc_mint,
        io_vault,
        usdc_vault,
        stake_vault,
        own,
        own_data,
        system,
        ..,
    ] = accounts
    else {
        return Err(Error::MissingAccount.into());
    };
    guard::system_program(system)?;
    upgrade_authority(program, authority, own, own_data)?;
    if bridge.owned_by(program) {
        return Err(Error::AlreadyInitialized.into());
    }
    let (address, bump) = derive(program, &[BRIDGE_SEED, &[], &[], &[]])?;
    guard::address(bridge, address.as_array(), Error::WrongBridge)?;
    if data.flags & !(FLAG_IO_FREEZE | FLAG_USDC_FREEZE) != 0 {
        return Err(Error::UnknownFlag.into());
    }
    data.time.check()?;
    let set = complete_set(program, members)?;
    mint(
        io_mint,
        Asset::Io,
        data.flags & FLAG_IO_FREEZE != 0,
        Some(address.as_array()),
    )?;
    mint(
        usdc_mint,
        Asset::Usdc,
        data.flags & FLAG_USDC_FREEZE != 0,
        None,
    )?;
    vaults(
        [io_vault, usdc_vault, stake_vault],
        &address,
        [io_mint, usdc_mint],
        &data.on_chain,
    )?;
    let capacity = fresh_queue(program, queue)?;

    let bumps = [bump];
    let new = Derived {
        program,
        payer: authority,
        account: bridge,
        length: Bridge::LEN,
    };
    cpi::create(&new, &[Seed::from(BRIDGE_SEED), Seed::from(&bumps)])?;
    let bound = Bound {
        mints: [io_mint, usdc_mint],
        vaults: [io_vault, usdc_vault, stake_vault],
        queue,
    };
    let mut store = Store::checked(bridge);
    let first = bound.write(program, &mut store, data)?;
    first_state(&mut store, bump, data, &set, &first)?;
    let header = QueueHeader {
        tag: TAG_QUEUE,
        version: VERSION,
        bridge: *address.as_array(),
        capacity,
    };
    Store::checked(queue).set(0, &header)
}

/// The accounts that the bridge is bound to.
struct Bound<'a> {
    mints: [&'a AccountView; 2],
    vaults: [&'a AccountView; 3],
    queue: &'a AccountView,
}

impl Bound<'_> {
    /// Writes their addresses; returns the rolling hash before any deposit.
    #[inline(never)]
    fn write(
        &self,
        program: &Address,
        store: &mut Store,
        data: &Initialize,
    ) -> Result<Bytes32, Failure> {
        let [io_vault, usdc_vault, stake_vault] =
            self.vaults.map(|vault| vault.address().as_array());
        let mints = self.mints.map(|mint| *mint.address().as_array());
        let (vaults_at, mints_at) = (config(Config::AT.vaults), config(Config::AT.mints));
        store.set_bytes(mints_at, Asset::Io.of(&mints))?;
        store.set_bytes(of(Asset::Usdc, mints_at, 32), Asset::Usdc.of(&mints))?;
        store.set_bytes(vaults_at, io_vault)?;
        store.set_bytes(of(Asset::Usdc, vaults_at, 32), usdc_vault)?;
        store.set_bytes(config(Config::AT.stake_vault), stake_vault)?;
        store.set_bytes(config(Config::AT.queue), self.queue.address().as_array())?;
        Ok(first_hash(
            &data.cluster_genesis,
            program.as_array(),
            &data.chain_id,
            &mints,
        ))
    }
}

/// Writes what the data and the member set give. All else begins as zero, as the account was made.
#[inline(never)]
fn first_state(
    store: &mut Store,
    bump: u8,
    data: &Initialize,
    set: &MembersHeader,
    first: &Bytes32,
) -> Result<(), Failure> {
    store.set_bytes(config(Config::AT.cluster_genesis), &data.cluster_genesis)?;
    store.set_bytes(config(Config::AT.chain_id), &data.chain_id)?;
    let [io_min, usdc_min] = data.deposit_min;
    store.set_number(config(Config::AT.deposit_min), io_min)?;
    store.set_number(of(Asset::Usdc, config(Config::AT.deposit_min), 8), usdc_min)?;
    store.set(config(Config::AT.time), &data.time)?;
    store.set_number(state(State::AT.set_epoch), set.set_epoch)?;
    store.set_bytes(state(State::AT.set_hash), &set.hash)?;
    store.set_number(state(State::AT.set_power), set.power)?;
    store.set_bytes(state(State::AT.deposit_hash), first)?;
    store.set_bytes(state(State::AT.freed_hash), first)?;
    store.set_number(
        Bridge::AT.last.saturating_add(LastSettle::AT.set_epoch),
        set.set_epoch,
    )?;
    // The tag comes last: with it the account is a bridge.
    store.set(Bridge::AT.bump, &bump)?;
    store.set(Bridge::AT.version, &VERSION)?;
    store.set(Bridge::AT.tag, &TAG_BRIDGE)
}

/// [`Error::NotUpgradeAuthority`] unless `authority`, which signed, is the one in the program's data account.
#[inline(never)]
fn upgrade_authority(
    program: &Address,
    authority: &AccountView,
    own: &AccountView,
    own_data: &AccountView,
) -> Result<(), Failure> {
    let loader = Address::new_from_array(UPGRADEABLE_LOADER);
    guard::address(own, program.as_array(), Error::WrongProgram)?;
    if !own.owned_by(&loader) {
        return Err(Error::WrongProgram.into());
    }
    let data = own.try_borrow()?;
    let mut from = Reader::new(&data);
    let (mark, data_address): (&[u8; 4], Bytes32) = (from.array()?, from.value()?);
    if *mark != LOADER_PROGRAM {
        return Err(Error::WrongProgram.into());
    }
    guard::address(own_data, &data_address, Error::WrongProgramData)?;
    let data = own_data.try_borrow()?;
    let mut from = Reader::new(&data);
    let mark: &[u8; 4] = from.array()?;
    from.slice(8)?;
    let (present, key): (u8, Bytes32) = (from.value()?, from.value()?);
    if !own_data.owned_by(&loader) || *mark != LOADER_DATA {
        return Err(Error::WrongProgramData.into());
    }
    if present != 1 || *authority.address().as_array() != key {
        return Err(Error::NotUpgradeAuthority.into());
    }
    Ok(())
}

/// The head of a complete member set.
fn complete_set(program: &Address, account: &AccountView) -> Result<MembersHeader, Failure> {
    if !account.owned_by(program) {
        return Err(Error::WrongMembers.into());
    }
    let data = account.try_borrow()?;
    let header: MembersHeader = Reader::new(&data)
        .value()
        .map_err(|_too_short| Error::WrongMembers)?;
    if header.tag != TAG_MEMBERS {
        return Err(Error::WrongMembers.into());
    }
    if header.sealed != 1 {
        return Err(Error::MembersNotSealed.into());
    }
    Ok(header)
}

/// Decimals, freeze authority, and for IO the authority that must be the bridge.
fn mint(
    account: &AccountView,
    asset: Asset,
    may_freeze: bool,
    authority: Option<&Bytes32>,
) -> Result<(), Failure> {
    let mint = Mint::read(account)?;
    if mint.decimals != asset.decimals() {
        return Err(Error::Decimals.into());
    }
    if mint.can_freeze && !may_freeze {
        return Err(Error::FreezeAuthority.into());
    }
    if authority.is_some() && mint.authority.as_ref() != authority {
        return Err(Error::MintAuthority.into());
    }
    Ok(())
}

/// Vaults are the bridge's alone, three different accounts, and hold what the genesis puts on the chain.
#[inline(never)]
fn vaults(
    accounts: [&AccountView; 3],
    bridge: &Address,
    mints: [&AccountView; 2],
    on_chain: &[u64; 2],
) -> Result<(), Failure> {
    let [io_vault, usdc_vault, stake_vault] = accounts;
    let [io_mint, usdc_mint] = mints;
    let io = vault(io_vault, bridge, io_mint)?;
    let usdc = vault(usdc_vault, bridge, usdc_mint)?;
    let stake = vault(stake_vault, bridge, io_mint)?;
    if io_vault.address() == stake_vault.address() {
        return Err(Error::VaultNotClean.into());
    }
    if io.saturating_add(stake) < *Asset::Io.of(on_chain) || usdc < *Asset::Usdc.of(on_chain) {
        return Err(Error::VaultShort.into());
    }
    Ok(())
}

/// Balance of a token account that nobody but the bridge can move or close.
#[inline(never)]
fn vault(account: &AccountView, bridge: &Address, mint: &AccountView) -> Result<u64, Failure> {
    let token = TokenAccount::read(account, Error::VaultNotClean)?;
    if token.owner != *bridge.as_array() || token.shared {
        return Err(Error::VaultNotClean.into());
    }
    if token.mint != *mint.address().as_array() {
        return Err(Error::WrongMint.into());
    }
    Ok(token.amount)
}

/// Capacity of a queue account that was never used.
fn fresh_queue(program: &Address, account: &AccountView) -> Result<u64, Failure> {
    if !account.owned_by(program) {
        return Err(Error::WrongQueue.into());
    }
    let capacity = queue_capacity(account.data_len());
    if capacity < CAPACITY_MIN {
        return Err(Error::QueueTooSmall.into());
    }
    if queue_len(capacity) != Some(account.data_len()) {
        return Err(Error::WrongQueue.into());
    }
    match account.try_borrow()?.first() {
        Some(0) => Ok(capacity),
        _ => Err(Error::NotFresh.into()),
    }
}
