//! The program that holds the bridge's tokens on Solana.
//!
//! A signed batch carries running totals since genesis. The program applies the difference between a total and what it has done already,
//! as far as its own limits allow, and writes down what it did. So nothing is paid twice, a lost batch is contained in the next one, and
//! no limit can block the sequence.
//!
//! Owns the rules only. Bytes, digests, addresses, error codes and the emission schedule are `io-settlement`'s, shared with the chain.
#![cfg_attr(any(target_os = "solana", target_arch = "bpf"), no_std)]

mod claim;
mod cpi;
mod deposit;
mod derive;
#[cfg(any(target_os = "solana", target_arch = "bpf"))]
pub mod entry;
mod guard;
mod initialize;
mod settle;
mod signatures;
mod stage;
mod store;
mod sysvar;
mod token;

use core::num::NonZeroU64;

use io_settlement::Error;
use io_settlement::instruction::Instruction;
use pinocchio::error::ProgramError;
use pinocchio::{AccountView, Address};

/// Why an instruction failed, as the number that the runtime takes: one of our rules, or the runtime's own error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Failure(NonZeroU64);

impl Failure {
    /// No error has number zero, which would say that all went well; it becomes one all the same.
    fn new(code: u64) -> Self {
        Self(NonZeroU64::new(code).unwrap_or(NonZeroU64::MAX))
    }

    /// The program's result.
    pub const fn code(self) -> u64 {
        self.0.get()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(error.code().into())
    }
}

impl From<ProgramError> for Failure {
    fn from(error: ProgramError) -> Self {
        Self::new(error.into())
    }
}

/// What an instruction was called with.
#[derive(Debug)]
pub struct Call<'a> {
    /// This program's address.
    pub program: &'a Address,
    /// In the order of the instruction's role list.
    pub accounts: &'a mut [AccountView],
}

/// Runs one instruction.
pub fn process(call: &mut Call<'_>, data: &[u8]) -> Result<(), Failure> {
    match &Instruction::decode(data)? {
        Instruction::StageSet { head, members } => stage::stage_set(call, head, members),
        Instruction::Initialize(initialize) => initialize::initialize(call, initialize),
        Instruction::Deposit {
            asset,
            amount,
            account,
        } => deposit::deposit(call, *asset, *amount, account),
        Instruction::PostSignatures {
            kind,
            body_hash,
            members,
        } => signatures::post(call, *kind, body_hash, members),
        Instruction::Settle(settle) => {
            settle::settle(call, settle, data.get(1..).unwrap_or_default())
        }
        Instruction::Claim {
            asset,
            cumulative,
            index,
            proof,
        } => claim::claim(
            call,
            *asset,
            *cumulative,
            &claim::Proof {
                index: *index,
                siblings: proof,
            },
        ),
        Instruction::CloseSignatures => signatures::close(call),
    }
}
