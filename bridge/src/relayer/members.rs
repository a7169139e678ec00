//! The account with the program's member set, which `post_signatures` needs.
//!
//! Any sealed account with the right hash serves, so a relayer needs nobody's: its own lies at an address that follows from its key, the program
//! and the set. A killed relayer finds it again, and nobody else can take the address.

use io_client::solana::{Commitment, SolanaError, program_instruction};
use io_settlement::instruction::{Instruction as ProgramInstruction, STAGE_SET, StageHead};
use io_settlement::members::{Member, MemberSet, MembersHeader, members_len};
use io_settlement::{Bytes32, codec};
use sha2::{Digest as _, Sha256};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer as _;

use super::instructions::create_account;
use super::send::{Points, Sender};

/// Members in one transaction: 40 bytes each, beside two signatures.
const PIECE: usize = 16;
const POINTS: Points = ["relayer:before_stage", "relayer:after_stage"];

/// A key that follows from a payer's key and a purpose.
pub(super) fn derived_key(
    payer: &Keypair,
    program: &Pubkey,
    purpose: &[u8],
    of: &Bytes32,
) -> Keypair {
    let mut digest = Sha256::new();
    digest.update(b"io-relayer/derived-key/v1\0");
    digest.update(payer.secret_bytes());
    digest.update(program.as_ref());
    digest.update(of);
    digest.update(purpose);
    Keypair::new_from_array(digest.finalize().into())
}

/// A sealed account of this set: `known` if it is one, else our own, made now if it is not there.
pub(super) async fn account_of(
    sender: &Sender<'_>,
    program: &Pubkey,
    set: &MemberSet,
    known: Option<Pubkey>,
) -> Result<Pubkey, SolanaError> {
    if let Some(known) = known
        && header(sender, program, &known)
            .await?
            .is_some_and(|head| is_sealed(&head, set))
    {
        return Ok(known);
    }
    let key = derived_key(&sender.payer, program, b"members", &set.hash());
    let address = key.pubkey();
    let found = header(sender, program, &address).await?;
    if found.as_ref().is_some_and(|head| is_sealed(head, set)) {
        return Ok(address);
    }
    // The first piece creates the account in the same transaction; later pieces go on where an earlier attempt was cut off.
    let written = found.as_ref().map_or(0, |head| usize::from(head.written));
    for (number, piece) in set.members().chunks(PIECE).enumerate() {
        let first = number.saturating_mul(PIECE);
        if first < written {
            continue;
        }
        let mut instructions = Vec::new();
        if found.is_none() && first == 0 {
            let length = members_len(set.count());
            let lamports = sender.rpc.rent(length).await?;
            let payer = sender.address();
            instructions.push(create_account(&payer, &address, lamports, length, program));
        }
        let head = StageHead {
            set_epoch: set.set_epoch(),
            count: set.count(),
            hash: set.hash(),
            first: u16::try_from(first).unwrap_or(u16::MAX),
        };
        let members: Vec<u8> = piece.iter().flat_map(Member::to_bytes).collect();
        let data = ProgramInstruction::StageSet {
            head,
            members: &members,
        };
        instructions.push(program_instruction(
            program,
            &STAGE_SET,
            &[address],
            data.encode(),
        )?);
        sender.send(&instructions, &[&key], POINTS).await?;
    }
    Ok(address)
}

fn is_sealed(head: &MembersHeader, set: &MemberSet) -> bool {
    head.sealed == 1 && head.hash == set.hash()
}

/// The head of a members account of this program; none if there is no such account.
async fn header(
    sender: &Sender<'_>,
    program: &Pubkey,
    address: &Pubkey,
) -> Result<Option<MembersHeader>, SolanaError> {
    let found = sender.rpc.account(address, Commitment::Confirmed).await?;
    let found = found.filter(|account| account.owner == *program);
    let read = |data: &[u8]| codec::Reader::new(data).value().ok();
    Ok(found.and_then(|account| read(&account.data)))
}
