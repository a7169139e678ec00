//! ABCI's messages into the machine's words.

use bytes::Bytes;
use io_types::consensus::{Block, CommitVote, ExtendedVote, LastCommit, VoteFlag};
use io_types::{BlockTime, Hash, Height, ValidatorAddress};
use tendermint_proto::google::protobuf::Timestamp;
use tendermint_proto::v0_38::abci::{
    CommitInfo, ExtendedCommitInfo, RequestFinalizeBlock, RequestProcessProposal, Validator,
};
use tendermint_proto::v0_38::types::BlockIdFlag;

/// A message that CometBFT does not send.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("CometBFT sent {0}")]
pub(super) struct Malformed(String);

fn malformed(what: impl Into<String>) -> Malformed {
    Malformed(what.into())
}

pub(super) fn height(height: i64) -> Result<Height, Malformed> {
    u64::try_from(height)
        .map(Height)
        .map_err(|_error| malformed(format!("height {height}")))
}

/// A decided block must be the one after the last commit.
pub(super) fn follows(block: &Block, last: Height) -> Result<(), Malformed> {
    if last.0.checked_add(1) == Some(block.height.0) {
        return Ok(());
    }
    Err(malformed(format!(
        "block {} to a node whose last block is {}: the data folders of CometBFT and of the node are not of one time; restore both from one copy",
        block.height.0, last.0
    )))
}

/// Whole milliseconds, the rest cut off.
pub(super) fn time(time: Option<Timestamp>) -> Result<BlockTime, Malformed> {
    let time = time.ok_or_else(|| malformed("a block without a time"))?;
    let wrong = || malformed(format!("time {}.{:09}", time.seconds, time.nanos));
    let seconds = u64::try_from(time.seconds).map_err(|_error| wrong())?;
    let millis = u64::try_from(time.nanos)
        .map_err(|_error| wrong())?
        .checked_div(1_000_000)
        .unwrap_or(0);
    let seconds = seconds.checked_mul(1_000).ok_or_else(wrong)?;
    seconds.checked_add(millis).map(BlockTime).ok_or_else(wrong)
}

fn address(bytes: &[u8]) -> Result<ValidatorAddress, Malformed> {
    let bytes = <[u8; 20]>::try_from(bytes);
    bytes
        .map(ValidatorAddress)
        .map_err(|_error| malformed("a validator's address that has not 20 bytes"))
}

/// The hash of a block, which is absent while it is being made.
pub(super) fn hash(bytes: &[u8]) -> Result<Hash, Malformed> {
    match bytes {
        [] => Ok(Hash::ZERO),
        bytes => <[u8; 32]>::try_from(bytes)
            .map(Hash)
            .map_err(|_error| malformed("a block hash that has not 32 bytes")),
    }
}

fn vote(validator: Option<Validator>, flag: i32) -> Result<CommitVote, Malformed> {
    let validator = validator.ok_or_else(|| malformed("a vote without a validator"))?;
    let flag = match BlockIdFlag::try_from(flag) {
        Ok(BlockIdFlag::Absent) => VoteFlag::Absent,
        Ok(BlockIdFlag::Commit) => VoteFlag::Commit,
        Ok(BlockIdFlag::Nil) => VoteFlag::Nil,
        Ok(BlockIdFlag::Unknown) | Err(_) => {
            return Err(malformed(format!("a vote with flag {flag}")));
        }
    };
    let power = u64::try_from(validator.power).map_err(|_error| malformed("a negative power"))?;
    Ok(CommitVote {
        validator: address(&validator.address)?,
        power,
        flag,
    })
}

fn round(round: i32) -> Result<u32, Malformed> {
    u32::try_from(round).map_err(|_error| malformed(format!("round {round}")))
}

/// Absent at the first height.
pub(super) fn last_commit(commit: Option<CommitInfo>) -> Result<LastCommit, Malformed> {
    let Some(CommitInfo { round: at, votes }) = commit else {
        return Ok(LastCommit::default());
    };
    let votes = votes
        .into_iter()
        .map(|info| vote(info.validator, info.block_id_flag));
    Ok(LastCommit {
        round: round(at)?,
        votes: votes.collect::<Result<_, _>>()?,
    })
}

/// The last commit with its extensions, as only a proposer has it.
pub(super) fn extended_commit(
    commit: Option<ExtendedCommitInfo>,
) -> Result<(LastCommit, Vec<ExtendedVote>), Malformed> {
    let Some(ExtendedCommitInfo { round: at, votes }) = commit else {
        return Ok((LastCommit::default(), Vec::new()));
    };
    let mut extended = Vec::new();
    for info in votes {
        extended.push(ExtendedVote {
            vote: vote(info.validator, info.block_id_flag)?,
            extension: info.vote_extension.to_vec(),
            signature: info.extension_signature.to_vec(),
        });
    }
    let votes = extended.iter().map(|vote| vote.vote.clone()).collect();
    Ok((
        LastCommit {
            round: round(at)?,
            votes,
        },
        extended,
    ))
}

fn transactions(txs: Vec<Bytes>) -> Vec<Vec<u8>> {
    txs.into_iter().map(Into::into).collect()
}

pub(super) fn proposal(request: RequestProcessProposal) -> Result<Block, Malformed> {
    Ok(Block {
        height: height(request.height)?,
        time: time(request.time)?,
        hash: hash(&request.hash)?,
        proposer: address(&request.proposer_address)?,
        last_commit: last_commit(request.proposed_last_commit)?,
        transactions: transactions(request.txs),
    })
}

pub(super) fn decided(request: RequestFinalizeBlock) -> Result<Block, Malformed> {
    Ok(Block {
        height: height(request.height)?,
        time: time(request.time)?,
        hash: hash(&request.hash)?,
        proposer: address(&request.proposer_address)?,
        last_commit: last_commit(request.decided_last_commit)?,
        transactions: transactions(request.txs),
    })
}

pub(super) fn to_propose(
    request: tendermint_proto::v0_38::abci::RequestPrepareProposal,
) -> Result<io_types::consensus::ProposalRequest, Malformed> {
    let (last_commit, extended) = extended_commit(request.local_last_commit)?;
    let bytes_max = usize::try_from(request.max_tx_bytes)
        .map_err(|_error| malformed("a negative size limit"))?;
    let block = Block {
        height: height(request.height)?,
        time: time(request.time)?,
        hash: Hash::ZERO,
        proposer: address(&request.proposer_address)?,
        last_commit,
        transactions: transactions(request.txs),
    };
    Ok(io_types::consensus::ProposalRequest {
        block,
        extended,
        bytes_max,
    })
}

#[cfg(test)]
mod tests {
    use tendermint_proto::v0_38::abci::{ExtendedVoteInfo, VoteInfo};

    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "as the messages have it")]
    fn validator(power: i64) -> Option<Validator> {
        Some(Validator {
            address: vec![7; 20].into(),
            power,
        })
    }

    #[test]
    fn times_are_cut_to_milliseconds_and_never_wrap() {
        let at = |seconds, nanos| time(Some(Timestamp { seconds, nanos }));
        assert_eq!(
            at(1_700_000_000, 999_999_999),
            Ok(BlockTime(1_700_000_000_999))
        );
        assert_eq!(at(0, 0), Ok(BlockTime(0)));
        for (seconds, nanos) in [(-1, 0), (0, -1), (i64::MAX, 0)] {
            assert!(at(seconds, nanos).is_err(), "{seconds} {nanos}");
        }
        assert_eq!(time(None), Err(malformed("a block without a time")));
    }

    #[test]
    fn every_kind_of_vote_is_kept_and_none_is_invented() {
        let info = |flag, power| VoteInfo {
            validator: validator(power),
            block_id_flag: flag,
        };
        let commit = CommitInfo {
            round: 3,
            votes: vec![info(1, 5), info(2, 6), info(3, 7)],
        };
        let read = last_commit(Some(commit)).unwrap();
        assert_eq!(read.round, 3);
        let flags: Vec<(VoteFlag, u64)> = read
            .votes
            .iter()
            .map(|vote| (vote.flag, vote.power))
            .collect();
        assert_eq!(
            flags,
            [
                (VoteFlag::Absent, 5),
                (VoteFlag::Commit, 6),
                (VoteFlag::Nil, 7)
            ]
        );
        for broken in [
            info(0, 5),
            info(9, 5),
            info(2, -1),
            VoteInfo {
                validator: None,
                block_id_flag: 2,
            },
        ] {
            assert!(
                last_commit(Some(CommitInfo {
                    round: 0,
                    votes: vec![broken]
                }))
                .is_err()
            );
        }
        assert!(
            last_commit(Some(CommitInfo {
                round: -1,
                votes: Vec::new()
            }))
            .is_err()
        );
        assert_eq!(last_commit(None), Ok(LastCommit::default()));
    }

    #[test]
    fn a_proposer_sees_extensions_with_their_signatures() {
        let votes = vec![ExtendedVoteInfo {
            validator: validator(5),
            vote_extension: "ext".into(),
            extension_signature: "sig".into(),
            block_id_flag: 2,
        }];
        let (commit, extended) =
            extended_commit(Some(ExtendedCommitInfo { round: 0, votes })).unwrap();
        assert_eq!(commit.votes, [extended[0].vote.clone()]);
        assert_eq!(
            (
                extended[0].extension.as_slice(),
                extended[0].signature.as_slice()
            ),
            (&b"ext"[..], &b"sig"[..])
        );
    }

    #[test]
    fn a_decided_block_is_the_one_after_the_last_commit() {
        let block = |height| Block {
            height: Height(height),
            time: BlockTime(1),
            hash: Hash::ZERO,
            proposer: ValidatorAddress([7; 20]),
            last_commit: LastCommit::default(),
            transactions: Vec::new(),
        };
        for (height, last, follows_on) in [
            (1, 0, true),
            (3, 2, true),
            (0, 0, false),
            (2, 0, false),
            (2, 2, false),
            (2, 3, false),
            (4, 2, false),
            (0, u64::MAX, false),
        ] {
            let found = follows(&block(height), Height(last));
            assert_eq!(found.is_ok(), follows_on, "{height} after {last}");
        }
        let text = follows(&block(2), Height(2)).unwrap_err().to_string();
        assert!(
            text.starts_with("CometBFT sent block 2 to a node whose last block is 2"),
            "{text}"
        );
    }

    #[test]
    fn hashes_have_their_length() {
        assert_eq!(hash(&[]), Ok(Hash::ZERO));
        assert_eq!(hash(&[3; 32]), Ok(Hash([3; 32])));
        assert!(hash(&[3; 31]).is_err());
    }
}
