//! Proposals that no honest node accepts, made from one that is right.

use io_types::ValidatorAddress;
use io_types::consensus::{Block, VoteFlag};
use io_types::extension::InjectedCommit;

use crate::rng::Rng;

/// A block with one thing wrong, and what that is. None if this block gives no occasion.
pub fn mutate(block: &Block, old: &[Vec<u8>], rng: &mut Rng) -> Option<(&'static str, Block)> {
    let mut bad = block.clone();
    let commit = InjectedCommit::decode(block.transactions.first()?).ok()?;
    let what = match rng.below(12) {
        0 => {
            bad.transactions.clear();
            "no transaction at all"
        }
        1 => {
            bad.transactions[0] = vec![0xff; 40];
            "no injected commit"
        }
        2 => {
            bad.transactions.remove(0);
            "the injected commit is left out"
        }
        3 => {
            bad.transactions.push(InjectedCommit::default().encode());
            "a second injected commit"
        }
        4 => {
            bad.transactions.push(vec![1, 2, 3]);
            "garbage"
        }
        5 => {
            bad.transactions.push(rng.pick(old_or(old)?).clone());
            "a transaction of an earlier block"
        }
        6 => {
            let last = block.transactions.get(1..)?.last()?.clone();
            bad.transactions.push(last);
            "a transaction twice"
        }
        _other => return votes(bad, commit, rng),
    };
    Some((what, bad))
}

fn old_or(old: &[Vec<u8>]) -> Option<&[Vec<u8>]> {
    (!old.is_empty()).then_some(old)
}

fn votes(
    mut bad: Block,
    mut commit: InjectedCommit,
    rng: &mut Rng,
) -> Option<(&'static str, Block)> {
    let first = commit.votes.first()?.clone();
    let what = match rng.below(6) {
        0 => {
            commit.round += 1;
            "the commit of another round"
        }
        1 => {
            commit.votes.push(first);
            "a vote twice"
        }
        2 => {
            let mut foreign = first;
            foreign.validator = ValidatorAddress([0xee; 20]);
            commit.votes.insert(0, foreign);
            "a vote of nobody"
        }
        3 => {
            commit.votes[0].extension.push(0);
            "an extension that was not signed"
        }
        4 => {
            commit.votes[0].extension = vec![0; 2049];
            "an extension that is too long"
        }
        _other => {
            let vote = bad
                .last_commit
                .votes
                .iter_mut()
                .find(|vote| vote.validator == first.validator)?;
            vote.flag = VoteFlag::Nil;
            "the vote of one who voted for nothing"
        }
    };
    bad.transactions[0] = commit.encode();
    Some((what, bad))
}
