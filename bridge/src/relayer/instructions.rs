//! Instructions of the bridge program that only a relayer sends, and of Solana's own programs.

use io_client::solana::{BridgeProgram, SolanaError, address, program_instruction};
use io_settlement::address::{
    ED25519_PROGRAM, INSTRUCTIONS_SYSVAR, SIGNATURES_SEED, SYSTEM_PROGRAM, TOKEN_PROGRAM,
};
use io_settlement::batch::{Kind, SettleBody};
use io_settlement::instruction::{
    CLOSE_SIGNATURES, Instruction as ProgramInstruction, POST_SIGNATURES, SETTLE, Settle,
};
use io_settlement::members::MemberSet;
use io_settlement::{Bytes32, precompile};
use solana_instruction::{AccountMeta, Instruction};
use solana_pubkey::Pubkey;

use super::batch::Ready;

/// `ComputeBudget111111111111111111111111111111`
const COMPUTE_BUDGET: Pubkey =
    Pubkey::from_str_const("ComputeBudget111111111111111111111111111111");
const SET_UNIT_LIMIT: u8 = 2;
const SET_UNIT_PRICE: u8 = 3;

const TOKEN_SET_AUTHORITY: u8 = 6;
const TOKEN_TRANSFER_CHECKED: u8 = 12;
const TOKEN_INITIALIZE_ACCOUNT: u8 = 18;
const AUTHORITY_MINT: u8 = 0;

/// Bytes of a token account.
pub(super) const TOKEN_ACCOUNT_LEN: usize = 165;

/// Limits the compute units of a transaction.
pub(super) fn unit_limit(units: u32) -> Instruction {
    let mut data = vec![SET_UNIT_LIMIT];
    data.extend_from_slice(&units.to_le_bytes());
    plain(COMPUTE_BUDGET, Vec::new(), data)
}

/// Offers a price per compute unit, micro-lamports.
pub(super) fn unit_price(micro_lamports: u64) -> Instruction {
    let mut data = vec![SET_UNIT_PRICE];
    data.extend_from_slice(&micro_lamports.to_le_bytes());
    plain(COMPUTE_BUDGET, Vec::new(), data)
}

/// The signatures account of a batch.
pub(super) fn signatures_address(program: &Pubkey, set_epoch: u64, hash: &Bytes32) -> Pubkey {
    let seeds: [&[u8]; 4] = [
        SIGNATURES_SEED,
        &[Kind::Settle.byte()],
        &set_epoch.to_le_bytes(),
        hash,
    ];
    Pubkey::find_program_address(&seeds, program).0
}

/// The precompile's instruction and the program's, in this order and next to each other.
pub(super) fn post_signatures(
    bridge: &BridgeProgram,
    payer: &Pubkey,
    members: (&Pubkey, &MemberSet),
    ready: &Ready,
    indexes: &[u8],
) -> Result<[Instruction; 2], SolanaError> {
    let mut signed = Vec::new();
    for index in indexes {
        let member = members.1.members().get(usize::from(*index));
        let found = ready
            .signed
            .iter()
            .find(|(known, _power, _signature)| known == index);
        if let (Some(member), Some((_index, _power, signature))) = (member, found) {
            signed.push((member.key, signature.0));
        }
    }
    let data =
        precompile::data(&ready.body.message(), &signed).ok_or_else(|| SolanaError::Invalid {
            what: "signatures".to_owned(),
            why: format!("{} do not fit one instruction", signed.len()),
        })?;
    let accounts = [
        *payer,
        bridge.address,
        *members.0,
        signatures_address(&bridge.program, ready.body.set_epoch, &ready.hash),
        address(INSTRUCTIONS_SYSVAR),
        address(SYSTEM_PROGRAM),
    ];
    let post = ProgramInstruction::PostSignatures {
        kind: Kind::Settle.byte(),
        body_hash: ready.hash,
        members: indexes,
    };
    Ok([
        plain(address(ED25519_PROGRAM), Vec::new(), data),
        program_instruction(&bridge.program, &POST_SIGNATURES, &accounts, post.encode())?,
    ])
}

/// Applies a batch.
pub(super) fn settle(
    bridge: &BridgeProgram,
    body: &SettleBody,
    hash: &Bytes32,
    relayer: Bytes32,
) -> Result<Instruction, SolanaError> {
    let config = &bridge.bridge.config;
    let [io_mint, _usdc_mint] = config.mints;
    let [io_vault, usdc_vault] = config.vaults;
    let accounts = [
        bridge.address,
        signatures_address(&bridge.program, body.set_epoch, hash),
        address(config.queue),
        address(io_mint),
        address(io_vault),
        address(config.stake_vault),
        address(usdc_vault),
        address(TOKEN_PROGRAM),
    ];
    let data = ProgramInstruction::Settle(Settle {
        body: *body,
        relayer,
    });
    program_instruction(&bridge.program, &SETTLE, &accounts, data.encode())
}

/// Closes a signatures account that `payer` paid for.
pub(super) fn close_signatures(
    program: &Pubkey,
    payer: &Pubkey,
    signatures: &Pubkey,
) -> Result<Instruction, SolanaError> {
    let accounts = [*payer, *signatures];
    let data = ProgramInstruction::CloseSignatures.encode();
    program_instruction(program, &CLOSE_SIGNATURES, &accounts, data)
}

/// Makes an account of `length` zero bytes that belongs to `owner`.
pub(super) fn create_account(
    payer: &Pubkey,
    new: &Pubkey,
    lamports: u64,
    length: usize,
    owner: &Pubkey,
) -> Instruction {
    let mut data = 0_u32.to_le_bytes().to_vec();
    data.extend_from_slice(&lamports.to_le_bytes());
    data.extend_from_slice(&u64::try_from(length).unwrap_or(u64::MAX).to_le_bytes());
    data.extend_from_slice(owner.as_ref());
    let accounts = vec![AccountMeta::new(*payer, true), AccountMeta::new(*new, true)];
    plain(address(SYSTEM_PROGRAM), accounts, data)
}

/// Makes a token account out of a fresh account of the token program.
pub(super) fn initialize_token_account(
    account: &Pubkey,
    mint: &Pubkey,
    owner: &Pubkey,
) -> Instruction {
    let mut data = vec![TOKEN_INITIALIZE_ACCOUNT];
    data.extend_from_slice(owner.as_ref());
    let accounts = vec![
        AccountMeta::new(*account, false),
        AccountMeta::new_readonly(*mint, false),
    ];
    plain(address(TOKEN_PROGRAM), accounts, data)
}

/// Hands over the right to mint.
pub(super) fn set_mint_authority(mint: &Pubkey, from: &Pubkey, to: &Pubkey) -> Instruction {
    let mut data = vec![TOKEN_SET_AUTHORITY, AUTHORITY_MINT, 1];
    data.extend_from_slice(to.as_ref());
    let accounts = vec![
        AccountMeta::new(*mint, false),
        AccountMeta::new_readonly(*from, true),
    ];
    plain(address(TOKEN_PROGRAM), accounts, data)
}

/// Moves tokens.
pub(super) fn transfer(
    route: [&Pubkey; 3],
    owner: &Pubkey,
    amount: u64,
    decimals: u8,
) -> Instruction {
    let [source, mint, destination] = route;
    let mut data = vec![TOKEN_TRANSFER_CHECKED];
    data.extend_from_slice(&amount.to_le_bytes());
    data.push(decimals);
    let accounts = vec![
        AccountMeta::new(*source, false),
        AccountMeta::new_readonly(*mint, false),
        AccountMeta::new(*destination, false),
        AccountMeta::new_readonly(*owner, true),
    ];
    plain(address(TOKEN_PROGRAM), accounts, data)
}

fn plain(program_id: Pubkey, accounts: Vec<AccountMeta>, data: Vec<u8>) -> Instruction {
    Instruction {
        program_id,
        accounts,
        data,
    }
}
