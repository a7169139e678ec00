//! Transactions that are wrong: garbage, old ones again, twisted ones, and actions about things that are not there.

use io_types::action::{
    AddStake, CancelOrder, CommitVerdict, Deliver, EndBooking, NotDelivered, PauseDevice,
    ReportFraud, RequestChallenge, ResumeDevice, RevealNonce, Transfer, UnstakeDevice,
    WithdrawStake,
};
use io_types::extension::InjectedCommit;
use io_types::{Action, Amount, Asset, BookingId, ChallengeId, DeviceId, Hash, OrderId};

use super::money::someone;
use super::{Intent, Memory, Scene, Twist};
use crate::rng::Rng;
use crate::world::account;

const TWISTS: &[Twist] = &[
    Twist::Chain,
    Twist::Signature,
    Twist::Old,
    Twist::Gap,
    Twist::Expired,
    Twist::TooLong,
    Twist::NoFee,
    Twist::Lane,
];

pub(super) fn intents(
    scene: &Scene<'_>,
    memory: &mut Memory,
    rng: &mut Rng,
    out: &mut Vec<Intent>,
) {
    for _ in 0..rng.below(3) {
        let key = someone(scene, rng);
        let action = stray(rng);
        out.push(Intent::new(&key, vec![action]));
    }
    if rng.one_in(2) {
        let key = someone(scene, rng);
        let mut intent = Intent::new(&key, vec![harmless(scene, memory, rng)]);
        intent.twist = *rng.pick(TWISTS);
        out.push(intent);
    }
    if rng.one_in(3) {
        let key = someone(scene, rng);
        let bytes = match rng.below(5) {
            0 if !memory.sent.is_empty() => rng.pick(&memory.sent).clone(),
            1 => InjectedCommit::default().encode(),
            2 => Vec::new(),
            _other => {
                let len = rng.below(200);
                (0..len).map(|_byte| rng.next().to_le_bytes()[0]).collect()
            }
        };
        let mut intent = Intent::new(&key, Vec::new());
        intent.raw = Some(bytes);
        out.push(intent);
    }
    if rng.one_in(12) {
        let key = someone(scene, rng);
        let actions = match rng.below(3) {
            0 => Vec::new(),
            1 => (0..257).map(|_place| stray(rng)).collect(),
            _other => vec![harmless(scene, memory, rng), duty(rng)],
        };
        out.push(Intent::new(&key, actions));
    }
}

fn harmless(scene: &Scene<'_>, memory: &mut Memory, rng: &mut Rng) -> Action {
    Action::Transfer(Transfer {
        to: account(rng.pick(&scene.world.suppliers)),
        asset: Asset::Io,
        amount: Amount::new(1),
        client_id: memory.next_client_id(rng),
    })
}

fn duty(rng: &mut Rng) -> Action {
    let challenge = ChallengeId(rng.below(20));
    if rng.one_in(2) {
        Action::RevealNonce(RevealNonce {
            challenge,
            first: Hash(rng.bytes32()),
            second: Hash(rng.bytes32()),
        })
    } else {
        Action::CommitVerdict(CommitVerdict {
            challenge,
            commitment: Hash(rng.bytes32()),
        })
    }
}

/// An action about a thing that may be somebody else's, or not there.
fn stray(rng: &mut Rng) -> Action {
    let device = DeviceId(rng.below(12));
    let booking = BookingId(rng.below(12));
    let amount = Amount::new(rng.next() >> rng.below(60));
    match rng.below(12) {
        0 if rng.one_in(5) => Action::PauseDevice(PauseDevice { device }),
        1 => Action::ResumeDevice(ResumeDevice { device }),
        2 => Action::AddStake(AddStake { device, amount }),
        3 => Action::UnstakeDevice(UnstakeDevice { device }),
        4 => Action::WithdrawStake(WithdrawStake { device, amount }),
        5 => Action::CancelOrder(CancelOrder {
            order: OrderId(rng.below(30)),
        }),
        6 => Action::Deliver(Deliver {
            booking,
            device,
            sealed: vec![0; usize::try_from(rng.below(1200)).unwrap()],
        }),
        7 => Action::NotDelivered(NotDelivered { booking }),
        8 => Action::EndBooking(EndBooking { booking }),
        9 => Action::RequestChallenge(RequestChallenge { device }),
        10 => Action::ReportFraud(ReportFraud {
            challenge: ChallengeId(rng.below(20)),
            processor: 0,
            proof: vec![7; usize::try_from(rng.below(100)).unwrap()],
        }),
        _other => duty(rng),
    }
}
