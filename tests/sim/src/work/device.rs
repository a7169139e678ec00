//! Devices, stake, hash chains, heartbeats, rewards.

use ed25519_dalek::SigningKey;
use io_state_machine::tables;
use io_types::action::{
    AddStake, Collect, DeviceSpec, Heartbeats, PauseDevice, RegisterDevice, RegisterUptimeChain,
    RequestChallenge, ResumeDevice, RetireDevice, UnstakeDevice, UpdateDevice, WithdrawStake,
    consent,
};
use io_types::catalogue::{CountryCode, ModelId};
use io_types::codec::sha256;
use io_types::row::{Device, DeviceState};
use io_types::{Action, Amount, Asset, DeviceId, Epoch, Hash, MicroUsd, Slot};

use super::{Intent, Memory, Scene};
use crate::rng::Rng;
use crate::world::{CHAIN, IO, account};

/// Devices of a run.
const DEVICES_MAX: u64 = 9;

pub(super) fn intents(
    scene: &Scene<'_>,
    memory: &mut Memory,
    rng: &mut Rng,
    out: &mut Vec<Intent>,
) {
    let devices = scene.rows.list(&tables::DEVICES);
    // Most come at the start: nothing happens before they have passed a challenge.
    for _ in 0..2 {
        if memory.devices < DEVICES_MAX && (rng.one_in(6) || scene.height < 4) {
            out.push(register(scene, memory, rng));
        }
    }
    for (_id, device) in &devices {
        let owner = scene.world.key_of(device.owner);
        let worker = scene.world.key_of(device.device_key);
        let (Some(owner), Some(worker)) = (owner, worker) else {
            continue;
        };
        worker_duties((scene, memory), device, &worker, rng, out);
        staking(scene, device, &owner, rng, out);
        if device.state == DeviceState::Paused && rng.one_in(6) {
            let action = Action::ResumeDevice(ResumeDevice { device: device.id });
            out.push(Intent::new(&owner, vec![action]));
        }
        if rng.one_in(if scene.world.calm { 80 } else { 12 }) {
            let action = owner_action(device, rng);
            out.push(Intent::new(&owner, vec![action]));
        }
    }
    carrier((scene, memory), &devices, rng, out);
    for supplier in &scene.world.suppliers {
        if rng.one_in(10) {
            let ago = rng.below(4);
            let through = Epoch(scene.now.epoch().0.saturating_sub(ago));
            out.push(Intent::new(
                supplier,
                vec![Action::Collect(Collect { through })],
            ));
        }
    }
}

fn register(scene: &Scene<'_>, memory: &mut Memory, rng: &mut Rng) -> Intent {
    memory.devices += 1;
    let calm = scene.world.calm;
    let worker = match rng.below(30) {
        0 => rng.pick(&scene.world.suppliers).clone(),
        1 => scene.world.workers[0].clone(),
        _other => scene.world.workers[usize::try_from(memory.devices - 1).unwrap()].clone(),
    };
    let owner = if rng.one_in(20) {
        rng.pick(&scene.world.workers[..5]).clone()
    } else {
        rng.pick(&scene.world.suppliers).clone()
    };
    let spec = DeviceSpec {
        model: ModelId(*rng.pick(&[1, 1, 1, 2, 2, 2, 3, 4, if calm { 2 } else { 9 }])),
        quantity: *rng.pick(&[1, 1, 1, 2, 4, 8]),
        vram_mib: 81_920,
        country: CountryCode(*rng.pick(&[
            *b"DE",
            *b"DE",
            *b"US",
            *b"US",
            if calm { *b"DE" } else { *b"d!" },
        ])),
        connectivity: if calm {
            4
        } else {
            u8::try_from(rng.below(5)).unwrap()
        },
        ask: ask(rng),
        payout_asset: *rng.pick(&[Asset::Io, Asset::Io, Asset::Usdc]),
    };
    // Now and then a consent for somebody else.
    let whom = account(if rng.one_in(25) { &worker } else { &owner });
    let action = Action::RegisterDevice(RegisterDevice {
        spec,
        device_key: account(&worker),
        consent: consent(&worker, CHAIN, &whom),
        client_id: memory.next_client_id(rng),
    });
    Intent::new(&owner, vec![action])
}

fn ask(rng: &mut Rng) -> MicroUsd {
    MicroUsd(match rng.below(6) {
        0 => rng.between(1, 30),
        1 => rng.below(11_000_000),
        _other => rng.between(10_000, 2_000_000),
    })
}

fn owner_action(device: &Device, rng: &mut Rng) -> Action {
    let id = device.id;
    match rng.below(12) {
        0..3 => Action::UpdateDevice(UpdateDevice {
            device: id,
            ask: ask(rng),
            payout_asset: *rng.pick(&[Asset::Io, Asset::Io, Asset::Usdc, Asset::Credit]),
        }),
        3 | 4 => Action::PauseDevice(PauseDevice { device: id }),
        5..9 => Action::ResumeDevice(ResumeDevice { device: id }),
        9 if rng.one_in(6) => Action::RetireDevice(RetireDevice { device: id }),
        _other => Action::RequestChallenge(RequestChallenge { device: id }),
    }
}

fn staking(
    scene: &Scene<'_>,
    device: &Device,
    owner: &SigningKey,
    rng: &mut Rng,
    out: &mut Vec<Intent>,
) {
    let id = device.id;
    let stake = scene.rows.value(&tables::STAKES, &id);
    let action = match &stake {
        None if rng.one_in(2) => Action::AddStake(AddStake {
            device: id,
            amount: Amount::new(
                rng.pick(&[2500, 2500, 2500, 2500, 2000, 150])
                    * IO
                    * u64::from(device.spec.quantity),
            ),
        }),
        Some(_stake) if rng.one_in(15) => Action::AddStake(AddStake {
            device: id,
            amount: Amount::new(rng.below(300 * IO)),
        }),
        Some(_stake) if rng.one_in(if scene.world.calm { 600 } else { 60 }) => {
            Action::UnstakeDevice(UnstakeDevice { device: id })
        }
        Some(stake) if rng.one_in(if scene.world.calm { 90 } else { 12 }) => {
            Action::WithdrawStake(WithdrawStake {
                device: id,
                amount: Amount::new(if rng.one_in(2) {
                    stake.amount.get()
                } else {
                    rng.below(stake.amount.get() + 1)
                }),
            })
        }
        _other => return,
    };
    let key = if rng.one_in(10) {
        rng.pick(&scene.world.suppliers).clone()
    } else {
        owner.clone()
    };
    out.push(Intent::new(&key, vec![action]));
}

/// Most slots of a chain.
const SLOTS_MAX: u64 = 500;

/// The link of a slot of the chain that ends with `last`.
fn link(scene: &Scene<'_>, memory: &mut Memory, of: (DeviceId, Slot), slot: Slot) -> Hash {
    let (device, last) = of;
    let links = memory.links.entry((device.0, last.0)).or_insert_with(|| {
        let mut rng = Rng::new(&[scene.world.seed, device.0, last.0, 4]);
        let mut links = vec![Hash(rng.bytes32())];
        for place in 0..usize::try_from(SLOTS_MAX).unwrap() {
            links.push(sha256(&links[place].0));
        }
        links
    });
    links[usize::try_from(last.0 - slot.0).unwrap()]
}

fn worker_duties(
    (scene, memory): (&Scene<'_>, &mut Memory),
    device: &Device,
    worker: &SigningKey,
    rng: &mut Rng,
    out: &mut Vec<Intent>,
) {
    if device.state == DeviceState::Retired {
        return;
    }
    let (id, seed) = (device.id, scene.world.seed);
    let chain = scene.rows.value(&tables::UPTIME, &id);
    let slot = scene.now.slot();
    let renew = chain
        .as_ref()
        .is_none_or(|chain| chain.last_slot.0 < slot.0 + 40);
    if renew && !rng.one_in(6) {
        let slots = u16::try_from(rng.between(80, SLOTS_MAX)).unwrap();
        let first_slot = slot.plus(rng.below(2));
        let last = Slot(first_slot.0 + u64::from(slots) - 1);
        let action = Action::RegisterUptimeChain(RegisterUptimeChain {
            device: id,
            anchor: sha256(&link(scene, memory, (id, last), first_slot).0),
            first_slot,
            slots,
        });
        out.push(Intent::new(worker, vec![action]));
    }
    // Some are away for an hour.
    let away = Rng::new(&[seed, id.0, scene.now.epoch().0, 5]).one_in(8);
    if let Some(chain) = chain.filter(|_chain| !away) {
        for ago in (0..=scene.world.spec.params.uptime.late_slots).rev() {
            let slot = Slot(slot.0.saturating_sub(ago));
            let by_carrier = is_carried(scene, id);
            if slot > chain.link_slot && slot <= chain.last_slot && !by_carrier && !rng.one_in(60) {
                let entries = vec![(id, link(scene, memory, (id, chain.last_slot), slot))];
                let action = Action::Heartbeats(Heartbeats { slot, entries });
                out.push(Intent::new(worker, vec![action]));
            }
        }
    }
}

/// Whether the carrier brings this device's links in this hour.
fn is_carried(scene: &Scene<'_>, id: DeviceId) -> bool {
    !(id.0 + scene.now.epoch().0).is_multiple_of(6)
}

/// The carrier brings what is left, with entries that are wrong, old or doubled among them.
fn carrier(
    (scene, memory): (&Scene<'_>, &mut Memory),
    devices: &[(DeviceId, Device)],
    rng: &mut Rng,
    out: &mut Vec<Intent>,
) {
    for ago in (0..=scene.world.spec.params.uptime.late_slots).rev() {
        let slot = Slot(scene.now.slot().0.saturating_sub(ago));
        let mut entries = Vec::new();
        for (id, _device) in devices {
            let away = Rng::new(&[scene.world.seed, id.0, scene.now.epoch().0, 5]).one_in(8)
                || !(is_carried(scene, *id) || rng.one_in(40));
            let chain = scene.rows.value(&tables::UPTIME, id);
            if let Some(chain) =
                chain.filter(|chain| !away && slot <= chain.last_slot && slot > chain.link_slot)
            {
                let mut right = link(scene, memory, (*id, chain.last_slot), slot);
                if rng.one_in(150) {
                    right.0[0] ^= 1;
                }
                entries.push((*id, right));
                if rng.one_in(30) {
                    entries.push((*id, right));
                }
            }
        }
        if !entries.is_empty() {
            let action = Action::Heartbeats(Heartbeats { slot, entries });
            out.push(Intent::new(&scene.world.carrier, vec![action]));
        }
    }
}
