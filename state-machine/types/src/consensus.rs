//! What the engine tells the machine, in plain types; the node translates.

use crate::id::{Hash, Height, ValidatorAddress};
use crate::time::BlockTime;

/// How a validator took part in the last commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoteFlag {
    /// No vote was seen.
    Absent,
    /// It voted for the block.
    Commit,
    /// It voted for nothing.
    Nil,
}

/// One validator in the last commit, in the engine's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitVote {
    /// Who.
    pub validator: ValidatorAddress,
    /// Its power at that height, as the engine says.
    pub power: u64,
    /// How it took part.
    pub flag: VoteFlag,
}

/// The last commit as every validator sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastCommit {
    /// Its round.
    pub round: u32,
    /// One for each validator of the set of the last height, the absent included.
    pub votes: Vec<CommitVote>,
}

/// One vote of the last commit with its extension: only a proposer has these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtendedVote {
    /// The vote.
    pub vote: CommitVote,
    /// Its extension.
    pub extension: Vec<u8>,
    /// The consensus key's signature over it.
    pub signature: Vec<u8>,
}

/// A block to judge or to execute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its height.
    pub height: Height,
    /// The header's time.
    pub time: BlockTime,
    /// Hash of the block; zero in a proposal that is still being made.
    pub hash: Hash,
    /// Who proposed it.
    pub proposer: ValidatorAddress,
    /// The commit of the block before.
    pub last_commit: LastCommit,
    /// Transactions; number 0 is the injected commit.
    pub transactions: Vec<Vec<u8>>,
}

/// What a proposer is given to make a block from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposalRequest {
    /// Height, time, proposer; the transactions are the mempool's.
    pub block: Block,
    /// The last commit with its extensions.
    pub extended: Vec<ExtendedVote>,
    /// Most bytes of all transactions together.
    pub bytes_max: usize,
}

/// A validator of the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineValidator {
    /// ed25519 consensus key.
    pub key: Hash,
    /// Its power.
    pub power: u64,
}
