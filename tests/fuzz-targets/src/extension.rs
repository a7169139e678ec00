//! Vote extensions and the injected commit: form, what an honest proposer makes of hostile votes, and what a block then credits.

use ed25519_dalek::Signer as _;
use io_settlement::batch::{Kind, message};
use io_settlement::deposit::{DepositRecord, next_hash};
use io_sim::rows::Rows;
use io_sim::world::{CHAIN, Validator, account};
use io_state_machine::{BridgeData, Machine, ProposalError, tables};
use io_types::codec::sha256;
use io_types::consensus::{Block, CommitVote, ExtendedVote, LastCommit, ProposalRequest, VoteFlag};
use io_types::extension::{
    DEPOSITS_MAX, EXTENSION_BYTES_MAX, INJECTED_BYTES_MAX, INJECTED_TAG, InjectedCommit,
    PricesPart, SIGNATURES_MAX, SolanaPart, VoteExtension, extension_sign_bytes,
};
use io_types::{BlockTime, Hash, Height, Signature};

use crate::bytes::Input;
use crate::scene::{Scene, scene};

/// Blocks of one input.
const BLOCKS_MAX: u64 = 3;

/// The target. The first byte says whether the rest is an extension, a commit, or a script of blocks.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 4 {
        0 => extension_form(input.rest()),
        1 => commit_form(input.rest()),
        _script => {
            blocks(&mut input);
        }
    }
}

fn extension_form(bytes: &[u8]) {
    let decoded = VoteExtension::decode(bytes);
    assert_eq!(scene().machine().verify_extension(bytes), decoded.is_ok());
    let Ok(extension) = decoded else {
        return;
    };
    assert!(bytes.len() <= EXTENSION_BYTES_MAX && extension.version == 1);
    assert!(extension.signatures.len() <= SIGNATURES_MAX);
    let rolling = extension.solana.iter().flat_map(|part| &part.rolling);
    assert!(rolling.count() <= DEPOSITS_MAX);
    if !bytes.is_empty() {
        assert_eq!(extension.encode(), bytes, "another encoding");
    }
    let json = serde_json::to_string(&extension).unwrap();
    assert_eq!(
        serde_json::from_str::<VoteExtension>(&json).unwrap(),
        extension
    );
}

fn commit_form(bytes: &[u8]) {
    let tagged = [INJECTED_TAG, bytes].concat();
    if let Ok(commit) = InjectedCommit::decode(&tagged) {
        assert_eq!(commit.encode(), tagged, "another encoding");
        assert!(commit.deposits.len() <= DEPOSITS_MAX && bytes.len() <= INJECTED_BYTES_MAX);
    }
    assert!(bytes.starts_with(INJECTED_TAG) || InjectedCommit::decode(bytes).is_err());
    let scene = scene();
    let mut block = empty_block(scene, 0, scene.now().0 + 1);
    block.last_commit.votes = votes_of(&scene.world.validators);
    block.transactions = vec![tagged];
    never_breaks(&scene.machine(), &block);
}

fn empty_block(scene: &Scene, place: u64, time: u64) -> Block {
    Block {
        height: Height(scene.next_height().0 + place),
        time: BlockTime(time),
        hash: Hash([8; 32]),
        proposer: scene.world.validators[0].address,
        last_commit: LastCommit::default(),
        transactions: Vec::new(),
    }
}

fn votes_of(validators: &[Validator]) -> Vec<CommitVote> {
    let vote = |validator: &Validator| CommitVote {
        validator: validator.address,
        power: validator.power,
        flag: VoteFlag::Commit,
    };
    validators.iter().map(vote).collect()
}

/// Whatever it holds, it is judged, and executed if it was decided all the same.
fn never_breaks(machine: &Machine, block: &Block) {
    let judged = machine.process(block);
    if let Err(ProposalError::Faulted(fault)) = &judged {
        panic!("a proposal breaks the node: {fault}");
    }
    let outcome = machine
        .finalize(block)
        .unwrap_or_else(|fault| panic!("a decided block breaks the node: {fault}"));
    assert_eq!(outcome.transactions.len(), block.transactions.len());
    if let Some(first) = outcome.transactions.first() {
        assert!(judged.is_err() || first.code == 0);
    }
}

/// Deposits that really lie on Solana after the credited ones, and the rolling hash after each.
struct Truth {
    records: Vec<DepositRecord>,
    rolling: Vec<Hash>,
}

fn truth(machine: &Machine) -> Truth {
    let bridge = Rows(machine)
        .one(&tables::BRIDGE)
        .expect("the chain has started");
    let (mut hash, mut truth) = (
        bridge.deposit_hash.0,
        Truth {
            records: Vec::new(),
            rolling: Vec::new(),
        },
    );
    for step in 1..=20_u64 {
        let record = DepositRecord {
            n: bridge.deposit_number + step,
            asset: u8::try_from(step % 2).unwrap(),
            amount: 1_000 * step,
            // Every third one names an account that nobody can own.
            account: if step % 3 == 0 {
                [0; 32]
            } else {
                account(&io_sim::world::key(2, 1)).0
            },
            depositor: [7; 32],
            slot: 5_000 + step,
        };
        hash = next_hash(&hash, &record);
        truth.records.push(record);
        truth.rolling.push(Hash(hash));
    }
    truth
}

/// How many deposits were credited.
fn blocks(input: &mut Input<'_>) -> u64 {
    let scene = scene();
    let machine = scene.own_machine();
    let (mut now, mut credited) = (scene.now().0, 0);
    for place in 0..BLOCKS_MAX {
        if input.is_over() {
            break;
        }
        now += 1 + u64::from(input.half()) * 16;
        credited += one_block(input, scene, &machine, empty_block(scene, place, now));
    }
    credited
}

fn one_block(input: &mut Input<'_>, scene: &Scene, machine: &Machine, mut block: Block) -> u64 {
    let truth = truth(machine);
    block.last_commit.round = u32::from(input.byte() % 3);
    let mut extended = Vec::new();
    let mut sound = Vec::new();
    for validator in &scene.world.validators {
        let (vote, is_sound) = vote(input, machine, validator, &block, &truth);
        block.last_commit.votes.push(vote.vote.clone());
        if is_sound {
            sound.push(vote.clone());
        }
        extended.push(vote);
    }
    let bridge = bridge_data(input, &truth);
    let request = ProposalRequest {
        block: block.clone(),
        extended,
        bytes_max: if input.byte() == 255 { 400 } else { 1 << 20 },
    };
    block.transactions = machine.prepare(&request, &bridge).unwrap();
    let made = InjectedCommit::decode(&block.transactions[0]).expect("an honest proposer's commit");
    let named: Vec<_> = made.votes.iter().map(|vote| vote.validator).collect();
    let wanted: Vec<_> = sound.iter().map(|vote| vote.vote.validator).collect();
    let is_cut = made.votes.is_empty() && made.deposits.is_empty();
    assert!(named == wanted || is_cut, "{named:?} instead of {wanted:?}");
    tamper(input, machine, &block, &made);
    if let Err(error) = machine.process(&block) {
        panic!("an honest proposal is refused: {error}");
    }
    let before = Rows(machine).one(&tables::BRIDGE).unwrap();
    let links = Rows(machine).list(&tables::VALIDATORS);
    machine.finalize(&block).unwrap();
    machine.commit(|_patch| {}).unwrap();
    let after = Rows(machine).one(&tables::BRIDGE).unwrap();
    let credited = if is_cut {
        0
    } else {
        credited_by_hand(scene, &made, &sound, &block, &truth)
    };
    assert_eq!(
        after.deposit_number,
        before.deposit_number + credited,
        "deposits credited"
    );
    for ((_key, old), (_same, new)) in links.iter().zip(Rows(machine).list(&tables::VALIDATORS)) {
        let is_next = sha256(&new.beacon_link.0) == old.beacon_link;
        assert!(
            is_next || new.beacon_link == old.beacon_link,
            "a link from nowhere"
        );
    }
    credited
}

/// One validator's vote, and whether an honest proposer must carry its extension.
fn vote(
    input: &mut Input<'_>,
    machine: &Machine,
    validator: &Validator,
    block: &Block,
    truth: &Truth,
) -> (ExtendedVote, bool) {
    let flag = match input.byte() {
        0 => VoteFlag::Absent,
        1 => VoteFlag::Nil,
        _other => VoteFlag::Commit,
    };
    let extension = match input.byte() % 8 {
        0 => Vec::new(),
        1 => {
            let most = usize::from(input.half() % 2100);
            input.take(most).to_vec()
        }
        _other => spoken(input, machine, validator, truth).encode(),
    };
    let forged = input.byte();
    let height = block.height.0 - 1 - u64::from(forged == 1);
    let round = block.last_commit.round + u32::from(forged == 2);
    let bytes = extension_sign_bytes(CHAIN, height, round, &extension);
    let mut signature = validator.consensus.sign(&bytes).to_bytes().to_vec();
    match forged {
        3 => signature[usize::from(input.byte() % 64)] ^= 1 << (input.byte() % 8),
        4 => signature.truncate(usize::from(input.byte() % 64)),
        _right => {}
    }
    let is_sound = flag == VoteFlag::Commit
        && !extension.is_empty()
        && VoteExtension::decode(&extension).is_ok()
        && !(1..=4).contains(&forged);
    let vote = CommitVote {
        validator: validator.address,
        power: validator.power,
        flag,
    };
    let extended = ExtendedVote {
        vote,
        extension,
        signature,
    };
    (extended, is_sound)
}

/// An extension whose parts are true, wrong, or absent.
fn spoken(
    input: &mut Input<'_>,
    machine: &Machine,
    validator: &Validator,
    truth: &Truth,
) -> VoteExtension {
    let key = account(&validator.settlement);
    let duties = machine
        .extension_duties(validator.address, key)
        .unwrap()
        .unwrap();
    let parts = input.byte();
    let prices = (parts & 1 != 0).then(|| PricesPart {
        io: *input.pick(&[150_000, 151_000, 0, 1, u64::MAX, 3_000_000]),
        usdc: *input.pick(&[1_000_000, 0, u64::MAX]),
        published_ms: *input.pick(&[u64::MAX, 0, 1_793_491_200_000]),
    });
    let solana = (parts & 2 != 0).then(|| {
        let mut rolling: Vec<Hash> = truth.rolling.clone();
        rolling.truncate(usize::from(input.byte() % 19));
        if parts & 4 != 0 && !rolling.is_empty() {
            let place = usize::from(input.byte()) % rolling.len();
            rolling[place] = Hash(input.hash());
        }
        SolanaPart {
            first: duties
                .deposit_first
                .wrapping_add(u64::from(input.byte() % 8 == 7)),
            rolling,
            last_settle: (parts & 8 != 0).then(|| Hash(input.hash())),
        }
    });
    let mut signatures = Vec::new();
    for (number, body) in duties.batches.iter().filter(|_any| parts & 16 != 0) {
        let text = message(Kind::Settle, &sha256(body).0);
        let mut signature = validator.settlement.sign(&text).to_bytes();
        signature[usize::from(input.byte() % 64)] ^= u8::from(parts & 32 != 0);
        signatures.push((*number, Signature(signature)));
    }
    let beacon = match parts >> 6 {
        0 => None,
        1 => Some(Hash(input.hash())),
        _true => duties
            .beacon_link
            .and_then(|link| validator.links.get(&link).copied()),
    };
    VoteExtension {
        version: 1,
        prices,
        solana,
        signatures,
        beacon,
    }
}

/// What the proposer's reader says: the truth, or anything.
fn bridge_data(input: &mut Input<'_>, truth: &Truth) -> BridgeData {
    let mut deposits: Vec<Vec<u8>> = truth
        .records
        .iter()
        .map(|record| record.to_bytes().to_vec())
        .collect();
    let last_settle = match input.byte() {
        0 => Some(input.take(300).to_vec()),
        _other => None,
    };
    match input.byte() {
        0 => deposits[usize::from(input.byte() % 20)] = input.take(100).to_vec(),
        1 => deposits.reverse(),
        2 => deposits[usize::from(input.byte() % 20)][20] ^= 1,
        _true => {}
    }
    BridgeData {
        deposits,
        last_settle,
    }
}

/// The same block with its commit changed: whatever comes of it, nothing breaks, and nothing of it stays.
fn tamper(input: &mut Input<'_>, machine: &Machine, block: &Block, made: &InjectedCommit) {
    let mut commit = made.clone();
    let mut bytes = block.transactions[0].clone();
    match input.byte() % 8 {
        0 => return,
        1 => commit.round = commit.round.wrapping_add(u32::from(input.byte())),
        2 => commit.votes.reverse(),
        3 => commit.deposits.push(input.take(90).to_vec()),
        4 => commit.last_settle = Some(input.take(300).to_vec()),
        5 => commit.votes.extend(made.votes.clone()),
        6 => {
            for _edit in 0..4 {
                let place = usize::from(input.half()) % bytes.len();
                bytes[place] ^= input.byte();
            }
        }
        _cut => bytes.truncate(usize::from(input.half())),
    }
    if commit != *made {
        bytes = commit.encode();
    }
    let mut bad = block.clone();
    bad.transactions[0] = bytes;
    never_breaks(machine, &bad);
}

/// How many deposits more than two thirds of the whole power attest, by the sound votes alone.
fn credited_by_hand(
    scene: &Scene,
    made: &InjectedCommit,
    sound: &[ExtendedVote],
    block: &Block,
    truth: &Truth,
) -> u64 {
    let total: u64 = block.last_commit.votes.iter().map(|vote| vote.power).sum();
    let limit = usize::from(scene.world.spec.params.settlement.deposits_per_block_max);
    let mut credited = 0;
    for (place, bytes) in made.deposits.iter().take(limit).enumerate() {
        let is_true = truth
            .records
            .get(place)
            .map(|record| record.to_bytes().to_vec());
        let attesting = sound.iter().filter(|vote| {
            let extension = VoteExtension::decode(&vote.extension).unwrap();
            extension.solana.is_some_and(|part| {
                part.first == truth.records[0].n
                    && part.rolling.get(place) == truth.rolling.get(place)
            })
        });
        let power: u64 = attesting.map(|vote| vote.vote.power).sum();
        if is_true.as_ref() != Some(bytes) || power * 3 <= total * 2 {
            break;
        }
        credited += 1;
    }
    credited
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block in which so many validators, the first ones, see deposits; the others say nothing.
    fn script(seeing: usize) -> Vec<u8> {
        let mut bytes = vec![40, 0, 0];
        for _seeing in 0..seeing {
            // A vote for the block, an extension with a part on Solana and a beacon link, five deposits, the right number.
            bytes.extend([9, 7, 0xc2, 5, 0, 9]);
        }
        for _silent in seeing..4 {
            bytes.extend([9, 0, 9]);
        }
        // The reader tells the truth, there is room, nothing is tampered with.
        bytes.extend([9, 9, 9, 0]);
        bytes
    }

    #[test]
    fn deposits_are_credited_when_enough_validators_see_them() {
        let limit = scene().world.spec.params.settlement.deposits_per_block_max;
        let credited = |seeing| blocks(&mut Input::new(&script(seeing)));
        assert_eq!(credited(4), u64::from(limit).min(5));
        assert_eq!(credited(1), 0);
        assert_eq!(credited(0), 0);
    }
}
