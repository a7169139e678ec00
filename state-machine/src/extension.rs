//! Vote extensions: which are sound, and what they attest together. Every part counts for itself.
//!
//! "More than two thirds" is of the whole set of the height that voted, the absent included; powers come from the engine's
//! last commit, never from the proposer.

use std::collections::BTreeMap;

use io_storage::Fault;
use io_types::consensus::{Block, ExtendedVote, LastCommit, VoteFlag};
use io_types::extension::{
    EXTENSION_BYTES_MAX, InjectedCommit, InjectedVote, PricesPart, SolanaPart, VoteExtension,
    extension_sign_bytes,
};
use io_types::{AccountId, BatchNumber, Hash, Signature, ValidatorAddress};

use crate::state::State;
use crate::tables::VALIDATORS;

/// Why an injected commit is refused: its proposer's doing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitRefusal {
    /// Transaction 0 is missing or does not decode.
    #[error("transaction 0 is no injected commit: {0}")]
    Undecodable(String),
    /// A vote of somebody who is not in the last commit, who did not vote for the block, or out of order.
    #[error("the vote of {0} is not in the last commit in this order")]
    NotInLastCommit(ValidatorAddress),
    /// Another round than the last commit's.
    #[error("the commit is of round {got}, the last commit of round {want}")]
    WrongRound {
        /// Of the injected commit.
        got: u32,
        /// Of the engine.
        want: u32,
    },
    /// The consensus key did not sign this extension.
    #[error("the extension of {0} is not signed by its consensus key")]
    BadSignature(ValidatorAddress),
    /// Larger than any honest node accepts.
    #[error("the extension of {0} is over {EXTENSION_BYTES_MAX} bytes")]
    TooLarge(ValidatorAddress),
}

/// One validator's extension with its power.
#[derive(Clone, Debug)]
pub struct CountedVote {
    /// Whose.
    pub validator: ValidatorAddress,
    /// Its power in the last commit.
    pub power: u64,
    /// Its settlement key.
    pub settlement_key: AccountId,
    /// Its extension; one that does not decode counts as empty.
    pub extension: VoteExtension,
}

/// What the last commit's extensions say, with what the proposer supplied.
#[derive(Clone, Debug, Default)]
pub struct Attested {
    /// Power of the whole set, the absent included.
    pub total_power: u64,
    /// Extensions in the order of the last commit.
    pub votes: Vec<CountedVote>,
    /// Deposit records that the proposer supplied.
    pub deposits: Vec<Vec<u8>>,
    /// Bytes of `LastSettle` that the proposer supplied.
    pub last_settle: Option<Vec<u8>>,
}

impl Attested {
    /// Whether that power is more than two thirds of the whole.
    pub fn is_quorum(&self, power: u64) -> bool {
        u128::from(power).saturating_mul(3) > u128::from(self.total_power).saturating_mul(2)
    }

    /// The prices parts with their power.
    pub fn prices(&self) -> impl Iterator<Item = (PricesPart, u64)> {
        self.votes
            .iter()
            .filter_map(|vote| vote.extension.prices.map(|part| (part, vote.power)))
    }

    /// The Solana parts with their power.
    pub fn solana(&self) -> impl Iterator<Item = (&SolanaPart, u64)> {
        self.votes.iter().filter_map(|vote| {
            vote.extension
                .solana
                .as_ref()
                .map(|part| (part, vote.power))
        })
    }

    /// Settlement signatures: batch, settlement key, signature.
    pub fn signatures(&self) -> impl Iterator<Item = (BatchNumber, AccountId, Signature)> {
        self.votes.iter().flat_map(|vote| {
            vote.extension
                .signatures
                .iter()
                .map(move |(number, signature)| (*number, vote.settlement_key, *signature))
        })
    }

    /// Beacon links: validator, link.
    pub fn beacon_links(&self) -> impl Iterator<Item = (ValidatorAddress, Hash)> {
        self.votes
            .iter()
            .filter_map(|vote| vote.extension.beacon.map(|link| (vote.validator, link)))
    }
}

/// Checks transaction 0 of a block against the engine's last commit.
///
/// The votes of the last commit are in the engine's order; any may be left out. Refused is only what is the proposer's doing.
pub fn check_injected(
    block: &Block,
    chain_id: &str,
    state: &State<'_>,
) -> Result<Result<Attested, CommitRefusal>, Fault> {
    let commit = match block
        .transactions
        .first()
        .map(|bytes| InjectedCommit::decode(bytes))
    {
        Some(Ok(commit)) => commit,
        Some(Err(error)) => return Ok(Err(CommitRefusal::Undecodable(error.to_string()))),
        None => {
            return Ok(Err(CommitRefusal::Undecodable(
                "the block is empty".to_owned(),
            )));
        }
    };
    if !commit.votes.is_empty() && commit.round != block.last_commit.round {
        return Ok(Err(CommitRefusal::WrongRound {
            got: commit.round,
            want: block.last_commit.round,
        }));
    }
    let mut attested = Attested {
        total_power: total_power(&block.last_commit),
        votes: Vec::new(),
        deposits: commit.deposits,
        last_settle: commit.last_settle,
    };
    let mut rest = block.last_commit.votes.iter();
    for InjectedVote {
        validator,
        extension,
        signature,
    } in commit.votes
    {
        let Some(vote) = rest
            .by_ref()
            .find(|vote| vote.validator == validator)
            .filter(|vote| vote.flag == VoteFlag::Commit)
        else {
            return Ok(Err(CommitRefusal::NotInLastCommit(validator)));
        };
        if extension.len() > EXTENSION_BYTES_MAX {
            return Ok(Err(CommitRefusal::TooLarge(validator)));
        }
        let Some(row) = VALIDATORS.get(state, &validator)? else {
            return Ok(Err(CommitRefusal::NotInLastCommit(validator)));
        };
        let height = block.height.0.saturating_sub(1);
        let message = extension_sign_bytes(chain_id, height, block.last_commit.round, &extension);
        if !AccountId(row.consensus_key.0).verify(&message, &signature) {
            return Ok(Err(CommitRefusal::BadSignature(validator)));
        }
        attested.votes.push(CountedVote {
            validator,
            power: vote.power,
            settlement_key: row.settlement_key,
            extension: VoteExtension::decode(&extension)
                .unwrap_or_else(|_malformed| VoteExtension::default()),
        });
    }
    Ok(Ok(attested))
}

/// What an honest proposer injects: every vote of the last commit whose extension is sound; nothing that others would refuse.
pub fn inject(
    extended: &[ExtendedVote],
    last_commit: &LastCommit,
    height: u64,
    chain_id: &str,
    state: &State<'_>,
) -> Result<InjectedCommit, Fault> {
    let mut votes = Vec::new();
    for ExtendedVote {
        vote,
        extension,
        signature,
    } in extended
    {
        let sound = vote.flag == VoteFlag::Commit
            && !extension.is_empty()
            && extension.len() <= EXTENSION_BYTES_MAX
            && VoteExtension::decode(extension).is_ok();
        let Ok(signature) = <[u8; 64]>::try_from(signature.as_slice()).map(Signature) else {
            continue;
        };
        let Some(row) = VALIDATORS.get(state, &vote.validator)?.filter(|_row| sound) else {
            continue;
        };
        let message = extension_sign_bytes(
            chain_id,
            height.saturating_sub(1),
            last_commit.round,
            extension,
        );
        if AccountId(row.consensus_key.0).verify(&message, &signature) {
            votes.push(InjectedVote {
                validator: vote.validator,
                extension: extension.clone(),
                signature,
            });
        }
    }
    Ok(InjectedCommit {
        round: last_commit.round,
        votes,
        deposits: Vec::new(),
        last_settle: None,
    })
}

/// Power of a whole set.
pub fn total_power(commit: &LastCommit) -> u64 {
    commit
        .votes
        .iter()
        .fold(0, |sum: u64, vote| sum.saturating_add(vote.power))
}

/// The value that more than two thirds of the power agree on, if there is one.
pub fn agreed<T: Ord>(attested: &Attested, values: impl Iterator<Item = (T, u64)>) -> Option<T> {
    let mut powers: BTreeMap<T, u64> = BTreeMap::new();
    for (value, power) in values {
        let sum = powers.entry(value).or_insert(0);
        *sum = sum.saturating_add(power);
    }
    powers
        .into_iter()
        .find(|(_value, power)| attested.is_quorum(*power))
        .map(|(value, _power)| value)
}
