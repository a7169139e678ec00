//! Makes the bridge on a fresh ledger: member set, queue, `initialize`.
//!
//! The program itself, the mints and the vaults are part of the ledger's genesis; what is here are transactions, as on any cluster.

use anyhow::{Context, ensure};
use io_client::solana::{Commitment, SolanaRpc, address, bridge_address, program_instruction};
use io_settlement::{
    address::SYSTEM_PROGRAM,
    deposit::{CAPACITY_MIN, queue_len},
    instruction::{
        INITIALIZE, Initialize, Instruction as ProgramInstruction, STAGE_SET, StageHead,
    },
    members::{MemberSet, members_len},
};
use solana_instruction::{AccountMeta, Instruction};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_signer::Signer;

use crate::ledger::genesis::program_data_address;

/// Members in one transaction: 40 bytes each, beside two signatures and an account creation.
const MEMBERS_PER_PIECE: usize = 16;

/// Everything that `initialize` binds.
#[derive(Debug)]
pub struct BridgePlan {
    /// The program.
    pub program: Pubkey,
    /// Its upgrade authority; pays for the accounts.
    pub authority: Keypair,
    /// Address of the deposit queue.
    pub queue: Keypair,
    /// Address of the first member set.
    pub members: Keypair,
    /// IO and USDC.
    pub mints: [Pubkey; 2],
    /// Where IO and USDC lie.
    pub vaults: [Pubkey; 2],
    /// Where staked IO lies.
    pub stake_vault: Pubkey,
    /// The first member set.
    pub set: MemberSet,
    /// The data of `initialize`.
    pub initialize: Initialize,
}

impl BridgePlan {
    /// Makes the bridge unless it is there. Goes on where an earlier attempt was cut off. Returns the signature of `initialize`, or
    /// `None` if there was nothing to do.
    ///
    /// Errors: the ledger cannot be reached, or the program refuses; its reason is in the text.
    pub async fn carry_out(&self, rpc: &SolanaRpc) -> anyhow::Result<Option<Signature>> {
        let bridge = bridge_address(&self.program);
        let there = rpc.account(&bridge, Commitment::Confirmed).await?;
        if there.is_some_and(|account| account.owner == self.program) {
            return Ok(None);
        }
        let code = rpc.account(&self.program, Commitment::Confirmed).await?;
        ensure!(
            code.is_some_and(|account| account.executable),
            "the ledger has no program {}; start it with a genesis that holds one",
            self.program
        );
        self.stage_members(rpc)
            .await
            .context("cannot upload the member set")?;
        let length =
            queue_len(CAPACITY_MIN).context("the queue is larger than this machine's memory")?;
        self.create(rpc, &self.queue, length)
            .await
            .context("cannot make the deposit queue")?;
        let [io, usdc] = self.mints;
        let [io_vault, usdc_vault] = self.vaults;
        let accounts = [
            self.authority.pubkey(),
            bridge,
            self.members.pubkey(),
            self.queue.pubkey(),
            io,
            usdc,
            io_vault,
            usdc_vault,
            self.stake_vault,
            self.program,
            program_data_address(&self.program),
            address(SYSTEM_PROGRAM),
        ];
        let data = ProgramInstruction::Initialize(self.initialize).encode();
        let instruction = program_instruction(&self.program, &INITIALIZE, &accounts, data)?;
        let landed = rpc
            .send_and_confirm(&[instruction], &[&self.authority], Commitment::Confirmed)
            .await
            .context("cannot initialize the bridge")?;
        Ok(Some(landed.signature))
    }

    async fn stage_members(&self, rpc: &SolanaRpc) -> anyhow::Result<()> {
        // A set that was begun is not gone on with: its account is new for each plan.
        self.create(rpc, &self.members, members_len(self.set.count()))
            .await?;
        for (piece, members) in self.set.members().chunks(MEMBERS_PER_PIECE).enumerate() {
            let first = u16::try_from(piece.saturating_mul(MEMBERS_PER_PIECE))?;
            let head = StageHead {
                set_epoch: self.set.set_epoch(),
                count: self.set.count(),
                hash: self.set.hash(),
                first,
            };
            let bytes: Vec<u8> = members
                .iter()
                .flat_map(io_settlement::members::Member::to_bytes)
                .collect();
            let data = ProgramInstruction::StageSet {
                head,
                members: &bytes,
            }
            .encode();
            let instruction =
                program_instruction(&self.program, &STAGE_SET, &[self.members.pubkey()], data)?;
            rpc.send_and_confirm(
                &[instruction],
                &[&self.authority, &self.members],
                Commitment::Confirmed,
            )
            .await?;
        }
        Ok(())
    }

    /// Makes an account of the program with zero bytes, unless it is there.
    async fn create(&self, rpc: &SolanaRpc, key: &Keypair, length: usize) -> anyhow::Result<()> {
        if rpc
            .account(&key.pubkey(), Commitment::Confirmed)
            .await?
            .is_some()
        {
            return Ok(());
        }
        let lamports = rpc.rent(length).await?;
        let create = create_account(
            &self.authority.pubkey(),
            &key.pubkey(),
            lamports,
            length,
            &self.program,
        )?;
        rpc.send_and_confirm(&[create], &[&self.authority, key], Commitment::Confirmed)
            .await?;
        Ok(())
    }
}

/// The system program's instruction that makes an account.
fn create_account(
    payer: &Pubkey,
    new: &Pubkey,
    lamports: u64,
    length: usize,
    owner: &Pubkey,
) -> anyhow::Result<Instruction> {
    let mut data = 0_u32.to_le_bytes().to_vec();
    data.extend_from_slice(&lamports.to_le_bytes());
    data.extend_from_slice(&u64::try_from(length)?.to_le_bytes());
    data.extend_from_slice(owner.as_ref());
    let accounts = vec![AccountMeta::new(*payer, true), AccountMeta::new(*new, true)];
    Ok(Instruction {
        program_id: address(SYSTEM_PROGRAM),
        accounts,
        data,
    })
}
