//! SPL Token's accounts, as far as the rules look at them.

use io_settlement::address::TOKEN_PROGRAM;
use io_settlement::codec::Reader;
use io_settlement::{Bytes32, Error};
use pinocchio::{AccountView, Address};

use crate::Failure;

const ACCOUNT_LEN: usize = 165;
const MINT_LEN: usize = 82;
const INITIALIZED: u8 = 1;

/// A token account.
pub(crate) struct TokenAccount {
    pub(crate) mint: Bytes32,
    pub(crate) owner: Bytes32,
    /// Base units.
    pub(crate) amount: u64,
    /// Somebody else may move tokens out, or close the account, or it is frozen.
    pub(crate) shared: bool,
}

impl TokenAccount {
    /// Reads a token account; the rule `error` if it is none.
    #[inline(never)]
    pub(crate) fn read(account: &AccountView, error: Error) -> Result<Self, Failure> {
        if !account.owned_by(&Address::new_from_array(TOKEN_PROGRAM))
            || account.data_len() != ACCOUNT_LEN
        {
            return Err(error.into());
        }
        let data = account.try_borrow()?;
        let mut from = Reader::new(&data);
        let (mint, owner, amount) = (from.value()?, from.value()?, from.value()?);
        let delegate: u8 = from.value()?;
        from.slice(35)?;
        let state: u8 = from.value()?;
        from.slice(20)?;
        let close_authority: u8 = from.value()?;
        if state == 0 {
            return Err(error.into());
        }
        Ok(Self {
            mint,
            owner,
            amount,
            shared: delegate != 0 || close_authority != 0 || state != INITIALIZED,
        })
    }
}

/// Balance of a token account whose address was checked before, base units.
pub(crate) fn balance(account: &AccountView) -> Result<u64, Failure> {
    Ok(TokenAccount::read(account, Error::WrongTokenAccount)?.amount)
}

/// A mint.
pub(crate) struct Mint {
    pub(crate) authority: Option<Bytes32>,
    pub(crate) decimals: u8,
    pub(crate) can_freeze: bool,
}

impl Mint {
    /// Reads a mint. [`Error::WrongMint`] if it is none.
    pub(crate) fn read(account: &AccountView) -> Result<Self, Failure> {
        if !account.owned_by(&Address::new_from_array(TOKEN_PROGRAM))
            || account.data_len() != MINT_LEN
        {
            return Err(Error::WrongMint.into());
        }
        let data = account.try_borrow()?;
        let mut from = Reader::new(&data);
        let has_authority: &[u8; 4] = from.array()?;
        let authority = from.value()?;
        from.slice(8)?;
        let (decimals, initialized): (u8, u8) = (from.value()?, from.value()?);
        let can_freeze: &[u8; 4] = from.array()?;
        if initialized == 0 {
            return Err(Error::WrongMint.into());
        }
        let authority = (*has_authority != [0; 4]).then_some(authority);
        Ok(Self {
            authority,
            decimals,
            can_freeze: *can_freeze != [0; 4],
        })
    }
}
