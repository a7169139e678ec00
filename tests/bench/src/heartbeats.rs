//! Heartbeats: every device of the chain shows up in one slot.

use anyhow::{Result, ensure};
use io_state_machine::tables;
use io_types::action::Heartbeats;
use io_types::codec::sha256;
use io_types::{
    AccountId, Action, Amount, ChainTime, DeviceId, Hash, Height, Slot, TransactionBody,
};

use crate::line::{Bar, Line, figure};
use crate::setup::{Setup, on_core, rate};
use crate::world::{CHAIN, GENESIS_MS, Plan, World, carrier, links};

/// Links of one transaction: what 64 KiB hold.
const LINKS: u64 = 1_600;
/// Transactions of one block.
const BATCHES: usize = 64;
/// Links per second on one core.
const LINKS_BAR: f64 = 1_500_000.0;

fn batches(devices: u64, slot: Slot) -> Vec<Vec<u8>> {
    let key = carrier();
    let signer = AccountId(key.verifying_key().to_bytes());
    let ids: Vec<u64> = (1..=devices).collect();
    (1..)
        .zip(ids.chunks(LINKS as usize))
        .map(|(sequence, ids)| {
            let entries = ids.iter().map(|id| (DeviceId(*id), links(*id).1)).collect();
            let body = TransactionBody {
                chain_id: CHAIN.to_owned(),
                signer,
                lane: 0,
                sequence,
                expires: Height(10_000),
                fee_max: Amount::ZERO,
                actions: vec![Action::Heartbeats(Heartbeats { slot, entries })],
            };
            body.sign(&key).encode()
        })
        .collect()
}

/// The lines.
pub fn lines(setup: &Setup) -> Result<Vec<Line>> {
    let devices = setup.pick(1_000_000, 2_000);
    let slot = ChainTime(GENESIS_MS).slot();
    let plan = Plan {
        devices,
        linked: Some(Slot(slot.0 - 1)),
        ..Plan::default()
    };
    setup.say("the devices");
    let mut world = World::new(&plan)?;
    let batches = batches(devices, slot);
    let mut all = std::time::Duration::ZERO;
    setup.say("the blocks");
    for block in batches.chunks(BATCHES) {
        let block = world.block(block.to_vec(), 100);
        let (took, outcome) = on_core(|| world.machine.finalize(&block));
        for transaction in &outcome?.transactions[1..] {
            ensure!(
                transaction.code == 0,
                "a batch was refused: {}",
                transaction.log
            );
        }
        world.machine.commit(|_patch| {})?;
        all += took;
    }
    let last = tables::UPTIME.read(&world.machine.store().snapshot(), &DeviceId(devices))?;
    ensure!(
        last.is_some_and(|chain| chain.link_slot == slot),
        "the last device did not show up"
    );
    let (bare, _link) =
        on_core(|| (0..devices).fold(Hash([1; 32]), |link, _number| sha256(&link.0)));
    let links = rate(devices as usize, all);
    Ok(vec![Line::measured(
        "heartbeats",
        format!(
            "links of {devices} devices for one slot, in batches of {LINKS}, root included, processor time of one thread; against \
             bare SHA-256 of 32 bytes"
        ),
        figure(links, "link/s"),
        figure(rate(devices as usize, bare), "link/s"),
        Bar::AtLeast(LINKS_BAR),
    )])
}
