//! What validators add to their votes, honest and not.

use ed25519_dalek::Signer as _;
use io_settlement::batch::{Kind, message};
use io_state_machine::Machine;
use io_types::codec::sha256;
use io_types::consensus::{CommitVote, ExtendedVote, LastCommit, VoteFlag};
use io_types::extension::{PricesPart, SolanaPart, VoteExtension, extension_sign_bytes};
use io_types::{Hash, Signature};

use crate::rng::Rng;
use crate::run::{FaultKind, Setup};
use crate::solana::Solana;
use crate::solana::sight::{Look, Trust};
use crate::world::{CHAIN, Validator, World, account};
use crate::{Check, text};

/// The votes of one height with their extensions.
#[derive(Clone, Debug, Default)]
pub struct Votes {
    /// What every validator sees of them.
    pub commit: LastCommit,
    /// What the next proposer has.
    pub extended: Vec<ExtendedVote>,
    /// What went wrong with them, for the report.
    pub faults: Vec<String>,
    /// Power of those who see all that is final on Solana and say so.
    pub sure_power: u64,
}

/// How a validator behaves at one height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Honest,
    Empty,
    Garbage,
    Forged,
    Late,
    WrongPrice,
    WrongSolana,
    WrongSignature,
    Withholds,
    Absent,
    Nil,
}

const FAULTY: &[Manner] = &[
    Manner::Empty,
    Manner::Garbage,
    Manner::Forged,
    Manner::Late,
    Manner::WrongPrice,
    Manner::WrongSolana,
    Manner::WrongSignature,
    Manner::Withholds,
    Manner::Absent,
    Manner::Nil,
];

/// What a height is voted in.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The height that is voted for.
    pub height: u64,
    /// Block time of the one before, ms.
    pub now: u64,
}

/// Votes for a height, as of the last commit of `machine`.
pub fn votes(
    (world, setup): (&World, &Setup),
    machine: &Machine,
    (solana, looks): (&Solana, &[Look]),
    moment: Moment,
    rng: &mut Rng,
) -> Check<Votes> {
    let round = u32::from(rng.one_in(10));
    // Now and then a third or more misbehave at once: then nothing is attested, and nothing else may happen.
    let one_in = if rng.one_in(12) { 2 } else { 14 };
    let mut votes = Votes::default();
    votes.commit.round = round;
    if world.halt.contains(&moment.height) && setup.has(FaultKind::Prices) {
        votes.faults.push("fault no price".to_owned());
    }
    if is_down((world, setup), moment) {
        votes.faults.push("fault Solana out of sight".to_owned());
    }
    if setup.has(FaultKind::Lie) && lie(world, solana, moment.height).is_some() {
        votes.faults.push("fault all validators lie".to_owned());
    }
    for (validator, look) in world.validators.iter().zip(looks) {
        let manner = if rng.one_in(one_in) && setup.has(FaultKind::Votes) {
            *rng.pick(FAULTY)
        } else {
            Manner::Honest
        };
        match manner {
            Manner::Honest => {}
            Manner::Absent | Manner::Nil => votes.faults.push(format!("fault vote {manner:?}")),
            _other => votes.faults.push(format!("fault extension {manner:?}")),
        }
        let flag = match manner {
            Manner::Absent => VoteFlag::Absent,
            Manner::Nil => VoteFlag::Nil,
            _other => VoteFlag::Commit,
        };
        let vote = CommitVote {
            validator: validator.address,
            power: validator.power,
            flag,
        };
        votes.commit.votes.push(vote.clone());
        let (extension, signature) = signed(
            (world, setup),
            machine,
            (solana, look),
            (validator, manner, round),
            moment,
            rng,
        )?;
        let says_all = matches!(
            manner,
            Manner::Honest | Manner::WrongPrice | Manner::WrongSignature
        );
        if says_all && look.trust == Trust::Full && !is_down((world, setup), moment) {
            votes.sure_power += validator.power;
        }
        if manner != Manner::Absent {
            votes.extended.push(ExtendedVote {
                vote,
                extension,
                signature,
            });
        }
    }
    Ok(votes)
}

fn signed(
    (world, setup): (&World, &Setup),
    machine: &Machine,
    (solana, look): (&Solana, &Look),
    (validator, manner, round): (&Validator, Manner, u32),
    moment: Moment,
    rng: &mut Rng,
) -> Check<(Vec<u8>, Vec<u8>)> {
    let extension = match manner {
        Manner::Empty => Vec::new(),
        Manner::Garbage => {
            let len = rng.below(3000);
            (0..len).map(|_byte| rng.next().to_le_bytes()[0]).collect()
        }
        _other => {
            let who = (validator, manner);
            extension((world, setup), machine, (solana, look), who, moment, rng)?.encode()
        }
    };
    let height = match manner {
        Manner::Late => moment.height.saturating_sub(1),
        _other => moment.height,
    };
    let bytes = extension_sign_bytes(CHAIN, height, round, &extension);
    let mut signature = validator.consensus.sign(&bytes).to_bytes().to_vec();
    if manner == Manner::Forged {
        signature[7] ^= 1;
        if rng.one_in(3) {
            signature.truncate(63);
        }
    }
    Ok((extension, signature))
}

fn extension(
    (world, setup): (&World, &Setup),
    machine: &Machine,
    (solana, look): (&Solana, &Look),
    (validator, manner): (&Validator, Manner),
    moment: Moment,
    rng: &mut Rng,
) -> Check<VoteExtension> {
    let key = account(&validator.settlement);
    let duties = machine
        .extension_duties(validator.address, key)
        .map_err(text)?
        .ok_or("no duties though the chain has started")?;
    let mut signatures = Vec::new();
    for (number, body) in duties.batches {
        let mut hash = sha256(&body).0;
        if manner == Manner::WrongSignature {
            hash[0] ^= 1;
        }
        let signature = validator.settlement.sign(&message(Kind::Settle, &hash));
        // Many sign late; the rest comes by plain transaction.
        if !rng.one_in(3) {
            signatures.push((number, Signature(signature.to_bytes())));
        }
    }
    if manner == Manner::Withholds {
        signatures.clear();
    }
    Ok(VoteExtension {
        version: 1,
        prices: prices((world, setup), manner, moment, rng),
        solana: seen((world, setup), (solana, look), (manner, moment), rng),
        signatures,
        beacon: match manner {
            Manner::Withholds => None,
            Manner::WrongSignature => Some(Hash(rng.bytes32())),
            _other => duties
                .beacon_link
                .and_then(|link| validator.links.get(&link).copied()),
        },
    })
}

fn prices(
    (world, setup): (&World, &Setup),
    manner: Manner,
    moment: Moment,
    rng: &mut Rng,
) -> Option<PricesPart> {
    if world.halt.contains(&moment.height) && setup.has(FaultKind::Prices) {
        return None;
    }
    let genesis = world.spec.params.price.genesis_price;
    // A slow walk that is the same for all validators, with a little noise.
    let walk = 100 + (moment.height / 7 * 13) % 60;
    let mut io = (genesis / 100 * walk + rng.below(genesis / 100 + 1)).max(1);
    if manner == Manner::WrongPrice {
        io = *rng.pick(&[0, 1, u64::MAX]);
    }
    Some(PricesPart {
        io,
        usdc: if rng.one_in(40) { 900_000 } else { 1_000_000 },
        published_ms: if rng.one_in(20) { 0 } else { moment.now },
    })
}

/// Whether nothing is seen of Solana at this height.
fn is_down((world, setup): (&World, &Setup), moment: Moment) -> bool {
    world.solana_down.contains(&moment.height) && setup.has(FaultKind::Rpc)
}

fn seen(
    (world, setup): (&World, &Setup),
    (solana, look): (&Solana, &Look),
    (manner, moment): (Manner, Moment),
    rng: &mut Rng,
) -> Option<SolanaPart> {
    if is_down((world, setup), moment) || manner == Manner::Withholds {
        return None;
    }
    let mut part = look.part.clone()?;
    if manner == Manner::WrongSolana {
        for hash in &mut part.rolling {
            hash.0[0] ^= 1;
        }
        part.last_settle = Some(Hash(rng.bytes32()));
    }
    if setup.has(FaultKind::Lie)
        && let Some(lie) = lie(world, solana, moment.height)
    {
        part.last_settle = Some(Hash(lie.hash()));
    }
    Some(part)
}

/// What all validators say of Solana from the seed's height on: more claimed than any batch allows.
pub fn lie(
    world: &World,
    solana: &Solana,
    height: u64,
) -> Option<io_settlement::account::LastSettle> {
    world.lie_from.filter(|from| height >= *from)?;
    let mut last = solana.last?;
    last.number += u64::from(world.seed.is_multiple_of(2));
    last.counters.claimed[0] = last.counters.payout_total[0] + 1;
    Some(last)
}
