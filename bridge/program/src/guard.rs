//! Checks of accounts, shared by all instructions.

use io_settlement::address::{SYSTEM_PROGRAM, TOKEN_PROGRAM};
use io_settlement::instruction::Role;
use io_settlement::{Bytes32, Error};
use pinocchio::AccountView;

use crate::Failure;

/// Count, signers and writable accounts of an instruction's role list, in its order.
#[inline(never)]
pub(crate) fn roles(accounts: &[AccountView], roles: &[Role]) -> Result<(), Failure> {
    if accounts.len() < roles.len() {
        return Err(Error::MissingAccount.into());
    }
    for (account, role) in accounts.iter().zip(roles) {
        if role.signer && !account.is_signer() {
            return Err(Error::MissingSigner.into());
        }
        if role.writable && !account.is_writable() {
            return Err(Error::NotWritable.into());
        }
    }
    Ok(())
}

/// The rule `error` unless the account has this address.
#[inline(never)]
pub(crate) fn address(
    account: &AccountView,
    expected: &Bytes32,
    error: Error,
) -> Result<(), Failure> {
    if account.address().as_array() == expected {
        Ok(())
    } else {
        Err(error.into())
    }
}

/// [`Error::WrongTokenProgram`] unless the account is SPL Token.
pub(crate) fn token_program(account: &AccountView) -> Result<(), Failure> {
    address(account, &TOKEN_PROGRAM, Error::WrongTokenProgram)
}

/// [`Error::WrongSystemProgram`] unless the account is the system program.
pub(crate) fn system_program(account: &AccountView) -> Result<(), Failure> {
    address(account, &SYSTEM_PROGRAM, Error::WrongSystemProgram)
}
