//! `claim`: pays what a settled root allows and was not paid yet.

use io_settlement::account::{Bridge, Claim, Config, Counters, ROOTS, Roots, TAG_CLAIM, VERSION};
use io_settlement::address::{ASSOCIATED_TOKEN_PROGRAM, CLAIM_SEED, TOKEN_PROGRAM};
use io_settlement::instruction::CLAIM;
use io_settlement::payout::{EMPTY, leaf, root_of};
use io_settlement::{Asset, Bytes32, Error};
use pinocchio::cpi::Seed;
use pinocchio::{AccountView, Address};

use crate::cpi::{Derived, Token};
use crate::derive::derive;
use crate::store::{Store, config, counter, of};
use crate::token::TokenAccount;
use crate::{Call, Failure, cpi, guard, token};

/// Where a leaf lies.
pub(crate) struct Proof<'a> {
    pub(crate) index: u64,
    /// From the bottom up.
    pub(crate) siblings: &'a [Bytes32],
}

/// Order of checks: roles, programs, bridge, vault, destination, root, claim account, amount due, amount available.
#[inline(never)]
pub(crate) fn claim(
    call: &mut Call<'_>,
    asset: Asset,
    cumulative: u64,
    proof: &Proof<'_>,
) -> Result<(), Failure> {
    let Call { program, accounts } = call;
    guard::roles(accounts, &CLAIM)?;
    let [
        payer,
        account,
        bridge_account,
        claim,
        vault,
        destination,
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
    not_a_vault(&bridge, destination)?;
    may_receive(
        account,
        destination,
        &bridge.bytes(of(asset, config(Config::AT.mints), 32))?,
    )?;
    let owner = account.address().as_array();
    let leaf = leaf(
        &bridge.bytes(config(Config::AT.chain_id))?,
        asset,
        owner,
        cumulative,
    );
    settled_root(bridge_account, asset, leaf, proof)?;

    let id = Id {
        asset,
        account: owner,
    };
    let paid = id.paid(program, claim)?;
    let due = match paid {
        Paid::Before(sum) => cumulative.saturating_sub(sum),
        Paid::Never(_) => cumulative,
    };
    if due == 0 {
        return Err(Error::NothingDue.into());
    }
    let claimed_at = of(asset, counter(Counters::AT.claimed), 8);
    let total = bridge.number(of(asset, counter(Counters::AT.payout_total), 8))?;
    let allowed = total.saturating_sub(bridge.number(claimed_at)?);
    let amount = due.min(allowed).min(token::balance(vault)?);
    if amount == 0 {
        return Err(Error::NothingAvailable.into());
    }

    if let Paid::Never(bump) = paid {
        id.create(
            &Derived {
                program,
                payer,
                account: claim,
                length: Claim::LEN,
            },
            bump,
        )?;
    }
    Store::checked(claim).add(Claim::AT.paid, amount)?;
    bridge.add(claimed_at, amount)?;
    let bump = bridge.bump()?;
    cpi::token(
        Token::Transfer,
        amount,
        [vault, destination, bridge_account],
        Some(bump),
    )
}

/// [`Error::DestinationIsVault`] if the destination is one of the bridge's own token accounts: tokens sent there would be nobody's.
fn not_a_vault(bridge: &Store, destination: &AccountView) -> Result<(), Failure> {
    let vaults = config(Config::AT.vaults);
    for vault in [
        vaults,
        of(Asset::Usdc, vaults, 32),
        config(Config::AT.stake_vault),
    ] {
        if bridge.bytes(vault)? == *destination.address().as_array() {
            return Err(Error::DestinationIsVault.into());
        }
    }
    Ok(())
}

/// The destination is a token account of the mint, and either the account's associated one, still its own, or its key signed.
#[inline(never)]
fn may_receive(
    account: &AccountView,
    destination: &AccountView,
    mint: &Bytes32,
) -> Result<(), Failure> {
    let token = TokenAccount::read(destination, Error::WrongTokenAccount)?;
    if token.mint != *mint {
        return Err(Error::WrongTokenAccount.into());
    }
    if account.is_signer() {
        return Ok(());
    }
    let owner = account.address().as_array();
    let program = Address::new_from_array(ASSOCIATED_TOKEN_PROGRAM);
    let (associated, _bump) = derive(&program, &[owner, &TOKEN_PROGRAM, mint, &[]])?;
    if token.owner != *owner || destination.address() != &associated {
        return Err(Error::DestinationNotCanonical.into());
    }
    Ok(())
}

/// [`Error::UnknownRoot`] unless the proof leads to one of the last settled roots. A place without a root is zero and proves nothing.
#[inline(never)]
fn settled_root(
    bridge: &AccountView,
    asset: Asset,
    leaf: Bytes32,
    proof: &Proof<'_>,
) -> Result<(), Failure> {
    let root = root_of(leaf, proof.index, proof.siblings)
        .filter(|root| *root != EMPTY)
        .ok_or(Error::UnknownRoot)?;
    let data = bridge.try_borrow()?;
    let table = usize::from(asset.byte())
        .wrapping_mul(Roots::ASSET_LEN)
        .saturating_add(Bridge::AT.roots);
    let (roots, _others) = data
        .get(table..)
        .ok_or(Error::WrongBridge)?
        .as_chunks::<32>();
    if roots.iter().take(ROOTS).any(|settled| *settled == root) {
        Ok(())
    } else {
        Err(Error::UnknownRoot.into())
    }
}

/// Whose claim account.
struct Id<'a> {
    asset: Asset,
    account: &'a Bytes32,
}

/// What was paid before.
enum Paid {
    /// By the claim account.
    Before(u64),
    /// Nothing: the claim account is still to be made, with this bump.
    Never(u8),
}

impl Id<'_> {
    /// Reads the claim account, or checks that it is to be made at the address of its seeds.
    fn paid(&self, program: &Address, claim: &AccountView) -> Result<Paid, Failure> {
        if !claim.owned_by(program) {
            let (address, bump) = derive(
                program,
                &[CLAIM_SEED, &[self.asset.byte()], self.account, &[]],
            )?;
            guard::address(claim, address.as_array(), Error::WrongClaim)?;
            return Ok(Paid::Never(bump));
        }
        let found = Store::open(program, claim, TAG_CLAIM, Error::WrongClaim)?;
        found.has(Claim::AT.account, self.account, Error::WrongClaim)?;
        if found.get::<u8>(Claim::AT.asset)? != self.asset.byte() {
            return Err(Error::WrongClaim.into());
        }
        Ok(Paid::Before(found.number(Claim::AT.paid)?))
    }

    #[inline(never)]
    fn create(&self, new: &Derived<'_>, bump: u8) -> Result<(), Failure> {
        let (asset, bumps) = ([self.asset.byte()], [bump]);
        let seeds = [
            Seed::from(CLAIM_SEED),
            Seed::from(&asset),
            Seed::from(self.account),
            Seed::from(&bumps),
        ];
        cpi::create(new, &seeds)?;
        let first = Claim {
            tag: TAG_CLAIM,
            version: VERSION,
            bump,
            asset: self.asset.byte(),
            account: *self.account,
            paid: 0,
        };
        Store::checked(new.account).set(0, &first)
    }
}
