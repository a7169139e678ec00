//! Instructions of the system program, SPL Token and the associated token program.

use io_settlement::address::{ASSOCIATED_TOKEN_PROGRAM, SYSTEM_PROGRAM, TOKEN_PROGRAM};
use solana_instruction::{AccountMeta, Instruction};
use solana_pubkey::Pubkey;

/// Bytes of a token account.
pub const TOKEN_ACCOUNT_LEN: usize = 165;
/// Where in a token account its balance stands.
pub const AMOUNT: std::ops::Range<usize> = 64..72;
/// Bytes of a mint.
pub const MINT_LEN: usize = 82;

/// The system program.
pub fn system() -> Pubkey {
    Pubkey::from(SYSTEM_PROGRAM)
}

/// SPL Token.
pub fn token() -> Pubkey {
    Pubkey::from(TOKEN_PROGRAM)
}

fn instruction(program: [u8; 32], accounts: Vec<AccountMeta>, parts: &[&[u8]]) -> Instruction {
    Instruction {
        program_id: Pubkey::from(program),
        accounts,
        data: parts.concat(),
    }
}

/// Makes an account of `length` zero bytes.
pub fn create_account(
    payer: Pubkey,
    new: Pubkey,
    lamports: u64,
    length: usize,
    owner: Pubkey,
) -> Instruction {
    let accounts = vec![AccountMeta::new(payer, true), AccountMeta::new(new, true)];
    let length = u64::try_from(length).unwrap();
    let data: [&[u8]; 4] = [
        &0_u32.to_le_bytes(),
        &lamports.to_le_bytes(),
        &length.to_le_bytes(),
        owner.as_ref(),
    ];
    instruction(SYSTEM_PROGRAM, accounts, &data)
}

/// Sends lamports.
pub fn pay(from: Pubkey, to: Pubkey, lamports: u64) -> Instruction {
    let accounts = vec![AccountMeta::new(from, true), AccountMeta::new(to, false)];
    instruction(
        SYSTEM_PROGRAM,
        accounts,
        &[&2_u32.to_le_bytes(), &lamports.to_le_bytes()],
    )
}

/// Makes a mint out of a fresh account.
pub fn init_mint(
    mint: Pubkey,
    decimals: u8,
    authority: Pubkey,
    freeze: Option<Pubkey>,
) -> Instruction {
    let freeze = freeze.map_or_else(|| vec![0], |key| [&[1], key.as_ref()].concat());
    let accounts = vec![AccountMeta::new(mint, false)];
    instruction(
        TOKEN_PROGRAM,
        accounts,
        &[&[20, decimals], authority.as_ref(), &freeze],
    )
}

/// Makes a token account out of a fresh account.
pub fn init_account(account: Pubkey, mint: Pubkey, owner: Pubkey) -> Instruction {
    let accounts = vec![
        AccountMeta::new(account, false),
        AccountMeta::new_readonly(mint, false),
    ];
    instruction(TOKEN_PROGRAM, accounts, &[&[18], owner.as_ref()])
}

/// Makes tokens.
pub fn mint_to(mint: Pubkey, to: Pubkey, authority: Pubkey, amount: u64) -> Instruction {
    let accounts = vec![
        AccountMeta::new(mint, false),
        AccountMeta::new(to, false),
        AccountMeta::new_readonly(authority, true),
    ];
    instruction(TOKEN_PROGRAM, accounts, &[&[7], &amount.to_le_bytes()])
}

/// Moves tokens.
pub fn transfer(from: Pubkey, to: Pubkey, owner: Pubkey, amount: u64) -> Instruction {
    let accounts = vec![
        AccountMeta::new(from, false),
        AccountMeta::new(to, false),
        AccountMeta::new_readonly(owner, true),
    ];
    instruction(TOKEN_PROGRAM, accounts, &[&[3], &amount.to_le_bytes()])
}

/// What `SetAuthority` changes.
#[derive(Clone, Copy, Debug)]
pub enum Authority {
    /// Who may make tokens.
    MintTokens,
    /// Whose tokens they are.
    AccountOwner,
    /// Who may close the account.
    CloseAccount,
}

/// Gives an authority to somebody else.
pub fn set_authority(
    account: Pubkey,
    current: Pubkey,
    kind: Authority,
    new: Pubkey,
) -> Instruction {
    let kind = match kind {
        Authority::MintTokens => 0,
        Authority::AccountOwner => 2,
        Authority::CloseAccount => 3,
    };
    let accounts = vec![
        AccountMeta::new(account, false),
        AccountMeta::new_readonly(current, true),
    ];
    instruction(TOKEN_PROGRAM, accounts, &[&[6, kind, 1], new.as_ref()])
}

/// Lets a delegate move tokens.
pub fn approve(account: Pubkey, delegate: Pubkey, owner: Pubkey, amount: u64) -> Instruction {
    let accounts = vec![
        AccountMeta::new(account, false),
        AccountMeta::new_readonly(delegate, false),
        AccountMeta::new_readonly(owner, true),
    ];
    instruction(TOKEN_PROGRAM, accounts, &[&[4], &amount.to_le_bytes()])
}

/// The address of the owner's associated token account.
pub fn associated(owner: Pubkey, mint: Pubkey) -> Pubkey {
    let seeds = [owner.as_ref(), &TOKEN_PROGRAM, mint.as_ref()];
    Pubkey::find_program_address(&seeds, &Pubkey::from(ASSOCIATED_TOKEN_PROGRAM)).0
}

/// Makes the owner's associated token account, unless it is there.
pub fn create_associated(payer: Pubkey, owner: Pubkey, mint: Pubkey) -> Instruction {
    let accounts = vec![
        AccountMeta::new(payer, true),
        AccountMeta::new(associated(owner, mint), false),
        AccountMeta::new_readonly(owner, false),
        AccountMeta::new_readonly(mint, false),
        AccountMeta::new_readonly(system(), false),
        AccountMeta::new_readonly(token(), false),
    ];
    instruction(ASSOCIATED_TOKEN_PROGRAM, accounts, &[&[1]])
}
