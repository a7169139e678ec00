//! What an endpoint may show instead of what is final.

use std::collections::VecDeque;
use std::sync::Arc;

use io_bridge::reader::EndpointFault;
use io_settlement::account::Bridge;
use io_settlement::deposit::{DepositRecord, Queue, Slot, next_hash, slot_offset};
use io_sim::rng::Rng;

use super::Scene;

/// A way to show something else. False histories follow from themselves: every hash in them is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lie {
    /// A deposit that nobody made, of so much.
    Invents(u64),
    /// One of the newest deposits was never made.
    Hides(u64),
    /// One of the newest deposits is larger by so much.
    Raises(u64),
    /// The newest deposit is for somebody else.
    Redirects(u64),
    /// The newest deposit has another asset.
    Exchanges,
    /// The last settlement paid other claims.
    Settles(u64),
    /// What was final so many blocks ago.
    Old(usize),
    /// What is not final yet.
    Early,
    /// A record is not the one of its hash.
    Torn,
    /// The truth, at a slot far ahead.
    Ahead,
    /// Another cluster.
    OtherCluster,
    /// Another program.
    Upgraded,
    /// It is out of reach.
    Silent,
    /// It says that it is behind.
    Refuses,
}

impl Lie {
    /// One that several endpoints can tell alike.
    pub(super) fn alike(rng: &mut Rng) -> Self {
        match rng.below(7) {
            0 => Self::Hides(rng.below(3)),
            1 => Self::Settles(rng.between(1, 1_000_000)),
            2 => Self::Early,
            3 => Self::Exchanges,
            _other => Self::untrue(rng),
        }
    }

    /// A deposit as it never was; two of these with other numbers contradict each other.
    pub(super) fn untrue(rng: &mut Rng) -> Self {
        let value = rng.between(2000, 1_000_000_000);
        match rng.below(3) {
            0 => Self::Invents(value),
            1 => Self::Raises(value),
            _other => Self::Redirects(value),
        }
    }

    /// Any.
    pub(super) fn any(rng: &mut Rng) -> Self {
        match rng.below(16) {
            0 | 1 => Self::Old(usize::try_from(rng.between(1, 4)).unwrap()),
            2 => Self::Torn,
            3 => Self::Ahead,
            4 => Self::OtherCluster,
            5 => Self::Upgraded,
            6 => Self::Silent,
            7 => Self::Refuses,
            _other => Self::alike(rng),
        }
    }

    /// Its name in the report.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Invents(_) => "invents a deposit",
            Self::Hides(_) => "hides a deposit",
            Self::Raises(_) => "raises a deposit",
            Self::Redirects(_) => "redirects a deposit",
            Self::Exchanges => "exchanges a deposit",
            Self::Settles(_) => "shows another settlement",
            Self::Old(_) => "is behind",
            Self::Early => "shows what is not final",
            Self::Torn => "contradicts itself",
            Self::Ahead => "claims to be ahead",
            Self::OtherCluster => "serves another cluster",
            Self::Upgraded => "shows another program",
            Self::Silent => "is out of reach",
            Self::Refuses => "refuses",
        }
    }

    /// What it shows while this is final; the newest of `past` is what happened last.
    pub(super) fn tell(
        &self,
        truth: &Arc<Scene>,
        past: &VecDeque<Arc<Scene>>,
    ) -> Result<Arc<Scene>, EndpointFault> {
        let mut scene = Scene::clone(truth);
        match self {
            Self::Old(blocks) => {
                let now = past.iter().position(|scene| scene == truth);
                let then = now.unwrap_or(0).saturating_sub(*blocks);
                return Ok(Arc::clone(&past[then]));
            }
            Self::Early => return Ok(Arc::clone(past.back().unwrap_or(truth))),
            Self::Silent => return Err(EndpointFault::Unreachable("no answer in time".to_owned())),
            Self::Refuses => {
                return Err(EndpointFault::Refused {
                    code: -32005,
                    message: "Node is behind by 42 slots".to_owned(),
                });
            }
            Self::Ahead => scene.slot += 1_000_000,
            Self::OtherCluster => scene.cluster[0] ^= 1,
            Self::Upgraded => scene.accounts.program_data[4] ^= 1,
            Self::Torn => tear(&mut scene),
            Self::Settles(more) => settle(&mut scene, *more),
            history => rewrite(&mut scene, |records| history.change(records)),
        }
        Ok(Arc::new(scene))
    }

    /// Another history.
    fn change(&self, records: &mut Vec<DepositRecord>) {
        if let Self::Invents(amount) = self {
            records.push(DepositRecord {
                n: 0,
                asset: 0,
                amount: *amount,
                account: io_sim::world::account(&io_sim::world::key(2, 1)).0,
                depositor: [0x66; 32],
                slot: 7,
            });
            return;
        }
        let Some(last) = records.len().checked_sub(1) else {
            return;
        };
        match self {
            Self::Hides(back) => {
                let back = usize::try_from(*back).unwrap();
                records.remove(last.saturating_sub(back));
            }
            Self::Raises(more) => records[last].amount += more,
            Self::Redirects(to) => records[last].account[..8].copy_from_slice(&to.to_le_bytes()),
            Self::Exchanges => records[last].asset ^= 1,
            _other => {}
        }
    }
}

/// Deposits that follow from each other by their hashes, and the numbers of the bridge with them.
fn rewrite(scene: &mut Scene, change: impl FnOnce(&mut Vec<DepositRecord>)) {
    let mut bridge = Bridge::read(&scene.accounts.bridge).unwrap();
    let queue = Queue::new(&scene.accounts.queue).unwrap();
    let capacity = queue.header().capacity;
    let numbers = 1..=bridge.state.deposit_number;
    let mut records: Vec<DepositRecord> = numbers
        .map(|number| queue.slot(number).unwrap().record)
        .collect();
    change(&mut records);
    let mut rolling = scene.first;
    let state = &mut bridge.state;
    (state.deposit_number, state.deposit_hash) = (0, rolling);
    for mut record in records {
        record.n = state.deposit_number + 1;
        rolling = next_hash(&rolling, &record);
        let at = slot_offset(record.n, capacity).unwrap();
        let slot = Slot { record, rolling }.to_bytes();
        scene.accounts.queue[at..at + Slot::LEN].copy_from_slice(&slot);
        (state.deposit_number, state.deposit_hash) = (record.n, rolling);
        if record.n == state.freed_number {
            state.freed_hash = rolling;
        }
    }
    scene.accounts.bridge = bridge.to_bytes().to_vec();
}

fn tear(scene: &mut Scene) {
    let bridge = Bridge::read(&scene.accounts.bridge).unwrap();
    let capacity = Queue::new(&scene.accounts.queue).unwrap().header().capacity;
    if let Some(at) = slot_offset(bridge.state.deposit_number, capacity) {
        scene.accounts.queue[at + 10] ^= 1;
    }
}

fn settle(scene: &mut Scene, more: u64) {
    let mut bridge = Bridge::read(&scene.accounts.bridge).unwrap();
    bridge.last.number = bridge.last.number.max(1);
    bridge.last.counters.claimed[0] += more;
    scene.accounts.bridge = bridge.to_bytes().to_vec();
}
