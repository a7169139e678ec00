//! The close of an epoch in which every device succeeded.

use anyhow::{Result, ensure};
use io_state_machine::tables;
use io_types::row::ResultRow;
use io_types::{BlockTime, ChainTime, DeviceId, Slot};

use crate::line::{Bar, Line, figure};
use crate::setup::{Setup, on_core};
use crate::world::{GENESIS_MS, Plan, World, hour};

/// No block may be delayed by more, ms.
const DELAY_BAR: f64 = 250.0;
/// Processor time of all of it, ms.
const TOTAL_BAR: f64 = 5_000.0;
/// Blocks after which a close that does not end is broken.
const BLOCKS_MAX: usize = 20_000;
const HOUR_MS: u64 = 3_600_000;

fn world(devices: u64) -> Result<World> {
    let slot = ChainTime(GENESIS_MS).slot();
    let epoch = ChainTime(GENESIS_MS).epoch();
    let plan = Plan {
        devices,
        // Nobody is behind while the epoch is closed; the record of the epoch is full.
        linked: Some(slot.plus(70)),
        ..Plan::default()
    };
    let mut world = World::new(&plan)?.write(|state| {
        let mut clock = tables::CLOCK.expect(state, &(), "genesis writes it")?;
        clock.next_slot = Slot(slot.0 + 59);
        clock.seen_slots = vec![Slot(slot.0 + 59)];
        clock.chain_time = ChainTime(GENESIS_MS + HOUR_MS);
        clock.block_time = BlockTime(GENESIS_MS + HOUR_MS);
        tables::CLOCK.put(state, &(), &clock);
        let mut row = tables::EPOCHS.expect(state, &epoch, "genesis writes it")?;
        row.counted_slots = 59;
        tables::EPOCHS.put(state, &epoch, &row);
        for id in 1..=devices {
            let mut chain = tables::UPTIME.expect(state, &DeviceId(id), "the plan has it")?;
            chain.epochs = hour(epoch);
            tables::UPTIME.put(state, &DeviceId(id), &chain)?;
            let mut result = ResultRow::default();
            result.result.nominated = true;
            tables::DEVICE_RESULTS.put(state, &(DeviceId(id), epoch), &result)?;
        }
        Ok(())
    })?;
    world.now = GENESIS_MS + HOUR_MS + 60_000;
    Ok(world)
}

/// The lines.
pub fn lines(setup: &Setup) -> Result<Vec<Line>> {
    let devices = setup.pick(1_000_000, 2_000);
    setup.say("the devices");
    let mut world = world(devices)?;
    setup.say("the close");
    let (mut worst, mut total, mut blocks) = (0.0_f64, 0.0, 0_usize);
    let epoch = ChainTime(GENESIS_MS).epoch();
    loop {
        let block = world.block(Vec::new(), 10);
        let (took, outcome) = on_core(|| {
            let outcome = world.machine.finalize(&block)?;
            world.machine.commit(|_patch| {})?;
            anyhow::Ok(outcome)
        });
        outcome?;
        let took = took.as_secs_f64() * 1000.0;
        (worst, total, blocks) = (worst.max(took), total + took, blocks + 1);
        let row = tables::EPOCHS.read(&world.machine.store().snapshot(), &epoch)?;
        if let Some(row) = row.filter(|row| row.closed) {
            ensure!(row.succeeded == devices, "{} succeeded", row.succeeded);
            break;
        }
        ensure!(
            blocks < BLOCKS_MAX,
            "the epoch is not closed after {blocks} blocks"
        );
    }
    let mut idle = f64::MAX;
    for _round in 0..3 {
        let block = world.block(Vec::new(), 10);
        let (took, outcome) = on_core(|| world.machine.finalize(&block));
        outcome?;
        world.machine.commit(|_patch| {})?;
        idle = idle.min(took.as_secs_f64() * 1000.0);
    }
    let what = |of: &str| {
        format!(
            "{of} while an epoch of {devices} devices is closed and the next one opened, in {blocks} blocks; execution, root and \
             commit in memory, processor time of one thread; beside a block without work"
        )
    };
    Ok(vec![
        Line::measured(
            "epoch/worst",
            what("the longest block"),
            figure(worst, "ms"),
            figure(idle, "ms"),
            Bar::AtMost(DELAY_BAR),
        ),
        Line::measured(
            "epoch/total",
            what("all blocks"),
            figure(total, "ms"),
            figure(idle * blocks as f64, "ms"),
            Bar::AtMost(TOTAL_BAR),
        ),
    ])
}
