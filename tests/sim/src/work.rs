//! The transactions of a block: what everybody wants, given the rows of the last commit.
//!
//! Every intent is drawn from (seed, height) alone, so a run is the same every time it is made.

mod challenge;
mod device;
mod market;
mod money;
mod wild;

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::SigningKey;
use io_state_machine::tables;
use io_types::{AccountId, Action, Amount, ChainTime, Hash, Height, TransactionBody};

use crate::rng::Rng;
use crate::rows::Rows;
use crate::world::{CHAIN, World, account};

/// Fee of a transaction, IO base units.
pub const FEE: u64 = 10_000;
/// Lanes that the workload uses.
const LANES: u64 = 3;

/// What is wrong with a transaction on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Twist {
    /// Nothing.
    None,
    /// For another chain.
    Chain,
    /// One bit of the signature is another.
    Signature,
    /// The sequence of the last one again.
    Old,
    /// A sequence is left out.
    Gap,
    /// Its time is over.
    Expired,
    /// It wants to live too long.
    TooLong,
    /// It allows no fee.
    NoFee,
    /// A lane that does not exist.
    Lane,
}

/// One transaction that somebody wants.
#[derive(Clone, Debug)]
pub struct Intent {
    /// Who signs.
    pub key: SigningKey,
    /// What it asks for.
    pub actions: Vec<Action>,
    /// What is wrong with it.
    pub twist: Twist,
    /// Bytes in place of all of that.
    pub raw: Option<Vec<u8>>,
}

impl Intent {
    pub(crate) fn new(key: &SigningKey, actions: Vec<Action>) -> Self {
        Self {
            key: key.clone(),
            actions,
            twist: Twist::None,
            raw: None,
        }
    }
}

/// What people keep for themselves between blocks. It never decides whether a run is sound.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Fraud proofs by challenge.
    pub proofs: BTreeMap<u64, Vec<u8>>,
    /// Transactions of earlier blocks, to send again.
    pub sent: Vec<Vec<u8>>,
    /// Devices that somebody tried to register.
    pub devices: u64,
    /// Hash chains by device and last slot, the last link first.
    pub links: BTreeMap<(u64, u64), Vec<Hash>>,
    /// The next client id.
    pub client_id: u64,
}

impl Memory {
    pub(crate) fn next_client_id(&mut self, rng: &mut Rng) -> u64 {
        if !rng.one_in(25) {
            self.client_id += 1;
        }
        self.client_id
    }
}

/// What a block's workload is made from.
#[derive(Debug)]
pub(crate) struct Scene<'s> {
    pub(crate) world: &'s World,
    pub(crate) rows: Rows<'s>,
    pub(crate) now: ChainTime,
    pub(crate) height: u64,
}

/// Which transactions of a run are sent: all, or only these (height, place).
pub type Only = Option<BTreeSet<(u64, u32)>>;

/// A transaction that was sent, for a shorter run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// In which block, and its place among all that were wanted there.
    pub at: (u64, u32),
    /// Who signed.
    pub signer: AccountId,
    /// Its first action, or what else it is.
    pub what: &'static str,
}

/// The transactions of a block, signed.
pub fn transactions(
    world: &World,
    rows: Rows<'_>,
    memory: &mut Memory,
    (height, now): (u64, ChainTime),
    only: &Only,
) -> Vec<(Sent, Vec<u8>)> {
    let scene = Scene {
        world,
        rows,
        now,
        height,
    };
    let mut rng = Rng::new(&[world.seed, height, 2]);
    let mut intents = Vec::new();
    money::intents(&scene, memory, &mut rng, &mut intents);
    device::intents(&scene, memory, &mut rng, &mut intents);
    market::intents(&scene, memory, &mut rng, &mut intents);
    challenge::intents(&scene, memory, &mut rng, &mut intents);
    wild::intents(&scene, memory, &mut rng, &mut intents);
    let intents = joined(intents, &mut rng);
    sign(&scene, memory, intents, only)
}

/// Most duties that one has at once go into one transaction.
fn joined(intents: Vec<Intent>, rng: &mut Rng) -> Vec<Intent> {
    let mut out: Vec<Intent> = Vec::with_capacity(intents.len());
    let mut open: BTreeMap<[u8; 32], usize> = BTreeMap::new();
    for intent in intents {
        let signer = account(&intent.key).0;
        let is_duty = intent.raw.is_none()
            && intent.twist == Twist::None
            && !intent.actions.is_empty()
            && intent.actions.iter().all(Action::is_duty);
        if !is_duty {
            out.push(intent);
            continue;
        }
        match open.get(&signer) {
            Some(place) if !rng.one_in(4) => out[*place].actions.extend(intent.actions),
            _other => {
                open.insert(signer, out.len());
                out.push(intent);
            }
        }
    }
    out
}

fn sign(
    scene: &Scene<'_>,
    memory: &mut Memory,
    intents: Vec<Intent>,
    only: &Only,
) -> Vec<(Sent, Vec<u8>)> {
    let mut used: BTreeMap<([u8; 32], u16), u64> = BTreeMap::new();
    let mut signed = Vec::new();
    for (place, intent) in (0_u32..).zip(intents) {
        if only
            .as_ref()
            .is_some_and(|only| !only.contains(&(scene.height, place)))
        {
            continue;
        }
        let Intent {
            key,
            actions,
            twist,
            raw,
        } = intent;
        let sent = Sent {
            at: (scene.height, place),
            signer: account(&key),
            what: actions.first().map_or("bytes", Action::name),
        };
        if let Some(bytes) = raw {
            signed.push((sent, bytes));
            continue;
        }
        let mut rng = Rng::new(&[scene.world.seed, scene.height, 3, u64::from(place)]);
        let signer = account(&key);
        let mut lane = u16::try_from(rng.below(LANES)).unwrap();
        let last = used.entry((signer.0, lane)).or_insert_with(|| {
            let row = scene.rows.get(&tables::LANES, &(signer, lane));
            row.unwrap_or_default().sequence
        });
        let mut sequence = *last + 1;
        match twist {
            Twist::Old => sequence -= 1,
            Twist::Gap => sequence += 1,
            Twist::Lane => lane = 99,
            Twist::None => *last += 1,
            _other => {}
        }
        let body = TransactionBody {
            chain_id: if twist == Twist::Chain {
                "sim-2"
            } else {
                CHAIN
            }
            .to_owned(),
            signer,
            lane,
            sequence,
            expires: Height(match twist {
                Twist::Expired => scene.height - 1,
                Twist::TooLong => scene.height + 1_000_000,
                _other => scene.height + rng.below(3),
            }),
            fee_max: Amount::new(if twist == Twist::NoFee { 0 } else { FEE }),
            actions,
        };
        let mut bytes = body.sign(&key).encode();
        if twist == Twist::Signature {
            *bytes.last_mut().unwrap() ^= 1;
        }
        if rng.one_in(10) && memory.sent.len() < 50 {
            memory.sent.push(bytes.clone());
        }
        signed.push((sent, bytes));
    }
    signed
}
