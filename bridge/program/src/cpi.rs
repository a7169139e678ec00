//! Calls to the system program and to SPL Token.

use io_settlement::Error;
use io_settlement::address::{BRIDGE_SEED, SYSTEM_PROGRAM, TOKEN_PROGRAM};
use io_settlement::codec::Writer;
use pinocchio::cpi::{Seed, Signer, invoke_signed};
use pinocchio::instruction::{InstructionAccount, InstructionView};
use pinocchio::{AccountView, Address};

use crate::{Failure, sysvar};

const SYSTEM_ASSIGN: u32 = 1;
const SYSTEM_TRANSFER: u32 = 2;
const SYSTEM_ALLOCATE: u32 = 8;

/// An operation of SPL Token on two accounts and an authority.
#[derive(Clone, Copy)]
pub(crate) enum Token {
    /// From the first account to the second.
    Transfer,
    /// From the first account, a mint, to the second.
    Mint,
    /// Out of the first account; the second is the mint.
    Burn,
}

impl Token {
    const fn tag(self) -> u8 {
        match self {
            Self::Transfer => 3,
            Self::Mint => 7,
            Self::Burn => 8,
        }
    }
}

/// Moves tokens. `bump` is the bridge's when the bridge account is the authority, none when the authority signed the transaction.
/// Amount zero does nothing.
#[inline(never)]
pub(crate) fn token(
    operation: Token,
    amount: u64,
    [first, second, authority]: [&AccountView; 3],
    bump: Option<u8>,
) -> Result<(), Failure> {
    if amount == 0 {
        return Ok(());
    }
    let mut data = [operation.tag(); 9];
    if let Some(place) = data.get_mut(1..) {
        place.copy_from_slice(&amount.to_le_bytes());
    }
    let metas = [
        InstructionAccount::writable(first.address()),
        InstructionAccount::writable(second.address()),
        InstructionAccount::readonly_signer(authority.address()),
    ];
    let instruction = InstructionView {
        program_id: &Address::new_from_array(TOKEN_PROGRAM),
        accounts: &metas,
        data: &data,
    };
    let bumps = [bump.unwrap_or(0)];
    let seeds = [Seed::from(BRIDGE_SEED), Seed::from(&bumps)];
    let signers = [Signer::from(&seeds)];
    let signers = if bump.is_some() {
        signers.as_slice()
    } else {
        &[]
    };
    Ok(invoke_signed(
        &instruction,
        &[first, second, authority],
        signers,
    )?)
}

/// Moves lamports out of an account that signed the transaction. Zero does nothing.
#[inline(never)]
pub(crate) fn pay(from: &AccountView, to: &AccountView, lamports: u64) -> Result<(), Failure> {
    if lamports == 0 {
        return Ok(());
    }
    let mut data = [0; 12];
    let mut bytes = Writer::new(&mut data);
    bytes.bytes(&SYSTEM_TRANSFER.to_le_bytes());
    bytes.bytes(&lamports.to_le_bytes());
    system([from, to], &data, &[])
}

/// An account of this program to be made at a derived address.
pub(crate) struct Derived<'a> {
    pub(crate) program: &'a Address,
    pub(crate) payer: &'a AccountView,
    pub(crate) account: &'a AccountView,
    /// Bytes.
    pub(crate) length: usize,
}

/// Makes the account: transfer, allocate, assign, so that lamports sent ahead do not block it. `seeds` end with the bump.
#[inline(never)]
pub(crate) fn create(new: &Derived<'_>, seeds: &[Seed<'_>]) -> Result<(), Failure> {
    let Derived {
        program,
        payer,
        account,
        length,
    } = *new;
    pay(
        payer,
        account,
        sysvar::rent(length)?.saturating_sub(account.lamports()),
    )?;
    let signer = [Signer::from(seeds)];

    let mut allocate = [0; 12];
    let mut bytes = Writer::new(&mut allocate);
    bytes.bytes(&SYSTEM_ALLOCATE.to_le_bytes());
    bytes.bytes(
        &u64::try_from(length)
            .map_err(|_too_long| Error::Arithmetic)?
            .to_le_bytes(),
    );
    system([account, account], &allocate, &signer)?;

    let mut assign = [0; 36];
    let mut bytes = Writer::new(&mut assign);
    bytes.bytes(&SYSTEM_ASSIGN.to_le_bytes());
    bytes.bytes(program.as_array());
    system([account, account], &assign, &signer)
}

/// Calls the system program with a signing account and another one, which may be the same where the operation takes only one.
#[inline(never)]
fn system(
    [signing, other]: [&AccountView; 2],
    data: &[u8],
    signers: &[Signer<'_, '_>],
) -> Result<(), Failure> {
    let metas = [
        InstructionAccount::writable_signer(signing.address()),
        InstructionAccount::writable(other.address()),
    ];
    let instruction = InstructionView {
        program_id: &Address::new_from_array(SYSTEM_PROGRAM),
        accounts: &metas,
        data,
    };
    Ok(invoke_signed(&instruction, &[signing, other], signers)?)
}
