//! Matching: orders of 1 to 64 processors in 24 models, and books made to make it slow. Times are processor time of the one
//! thread that does it.

use anyhow::{Result, ensure};
use io_state_machine::context::BlockContext;
use io_state_machine::derived::Derived;
use io_state_machine::market;
use io_state_machine::state::State;
use io_types::row::OrderState;
use io_types::{Asset, Event, Hash, MicroUsd};

use crate::line::{Bar, Line, figure};
use crate::setup::{Setup, on_core};
use crate::world::{Plan, World, ask};

/// What makes every device miss an order.
type Change = fn(&mut io_types::action::PlaceOrder);

/// Orders of the two plain markets.
const ORDERS: u64 = 500;
/// Orders of a flood.
const FLOOD: u64 = 20_000;
/// Blocks of a flood.
const BLOCKS: usize = 8;
/// Processors placed per second on one core.
const PLACED_BAR: f64 = 200_000.0;
/// How much an order's time may grow from the small market to the large one.
const GROWTH_BAR: f64 = 1.5;
/// No block may be delayed by more, ms.
const DELAY_BAR: f64 = 250.0;

fn plan(devices: u64) -> Plan {
    Plan {
        devices,
        ..Plan::default()
    }
}

/// What matching a whole book took.
struct Matched {
    /// Matching alone, with all rows of the bookings written, seconds.
    alone: f64,
    /// The whole block, root included, less a block without orders, seconds.
    block: f64,
    /// Processors placed.
    placed: usize,
}

fn plain(devices: u64, orders: u64) -> Result<Matched> {
    let asks: Vec<_> = (1..=orders).map(|n| ask(n, Asset::Usdc)).collect();
    let mut world = World::new(&plan(devices))?;
    let (mut idle, mut busy, mut placed) = (f64::MAX, f64::MAX, 0);
    for _round in 0..3 {
        let block = world.block(Vec::new(), 1000);
        let (took, outcome) = on_core(|| world.machine.finalize(&block));
        outcome?;
        idle = idle.min(took.as_secs_f64());
    }
    let mut world = world.with_orders(&asks)?;
    let alone = alone(&mut world)?;
    for _round in 0..3 {
        let block = world.block(Vec::new(), 1000);
        let (took, outcome) = on_core(|| world.machine.finalize(&block));
        let events = outcome?.events.into_iter();
        let booked = events.filter_map(|event| {
            if let Event::Booked { order, .. } = event {
                Some(order)
            } else {
                None
            }
        });
        let sizes = booked.map(|order| usize::from(asks[(order.0 - 1) as usize].quantity));
        (placed, busy) = (sizes.sum(), busy.min(took.as_secs_f64()));
    }
    Ok(Matched {
        alone,
        block: busy - idle,
        placed,
    })
}

/// Matches the book three times over the same state; the least time, seconds.
fn alone(world: &mut World) -> Result<f64> {
    let block = world.block(Vec::new(), 1000);
    let view = world.machine.store().snapshot();
    let derived = Derived::rebuild(&view)?;
    let mut least = f64::MAX;
    for _round in 0..3 {
        let mut state = State::new(&view);
        let app_hash = Hash(view.app_hash());
        let context = BlockContext::load(&state, block.height, block.time, app_hash)?;
        let (took, matched) =
            on_core(|| market::match_orders(&mut state, &context, &derived, &mut None));
        matched?;
        least = least.min(took.as_secs_f64());
    }
    Ok(least)
}

/// The worst block of a flood of orders, ms, and how many had their turn.
fn flood(world: World, change: impl Fn(&mut io_types::action::PlaceOrder)) -> Result<(f64, usize)> {
    let asks: Vec<_> = (1..=FLOOD)
        .map(|number| {
            let mut ask = ask(number, Asset::Usdc);
            change(&mut ask);
            ask
        })
        .collect();
    let mut world = world.with_orders(&asks)?;
    let mut worst: f64 = 0.0;
    for _block in 0..BLOCKS {
        let block = world.block(Vec::new(), 1000);
        let (took, outcome) = on_core(|| world.machine.finalize(&block));
        outcome?;
        world.machine.commit(|_patch| {})?;
        worst = worst.max(took.as_secs_f64() * 1000.0);
    }
    let view = world.machine.store().snapshot();
    let mut tried = 0;
    io_state_machine::tables::ORDERS.visit(&view, None, &mut |_id, order| {
        tried += usize::from(order.report.is_some() || order.state != OrderState::Open);
        std::ops::ControlFlow::Continue(())
    })?;
    Ok((worst, tried))
}

/// The lines.
pub fn lines(setup: &Setup) -> Result<Vec<Line>> {
    let (small, large) = (setup.pick(10_000, 1_000), setup.pick(1_000_000, 2_000));
    let orders = setup.pick(ORDERS, 10);
    setup.say("the small market");
    let few = plain(small, orders)?;
    setup.say("the large market");
    let many = plain(large, orders)?;
    ensure!(
        few.placed > 0 && many.placed > 0,
        "{} and {} processors were placed",
        few.placed,
        many.placed
    );
    let per_order = |took: f64| figure(took * 1_000_000.0 / orders as f64, "us");
    let per_second = |placed: usize, took: f64| figure(placed as f64 / took, "gpu/s");
    let beside = format!("with {large} devices, beside {small}");
    let mut lines = vec![
        Line::measured(
            "matching/placed",
            format!("{orders} orders of 1 to 64 processors matched and booked, {beside}"),
            per_second(many.placed, many.alone),
            per_second(few.placed, few.alone),
            Bar::AtLeast(PLACED_BAR),
        ),
        Line::measured(
            "matching/growth",
            format!("time of an order, matched and booked, {beside}"),
            per_order(many.alone),
            per_order(few.alone),
            Bar::RatioAtMost(GROWTH_BAR),
        ),
        Line::measured(
            "matching/block",
            format!("the same orders in a whole block, root over all rows included, {beside}"),
            per_second(many.placed, many.block),
            per_second(few.placed, few.block),
            Bar::None,
        ),
    ];
    lines.extend(floods(setup, large)?);
    Ok(lines)
}

fn floods(setup: &Setup, devices: u64) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    let books: [(&str, &str, Change); 3] = [
        ("desk", "take another asset", |ask| ask.asset = Asset::Io),
        ("reputation", "lack the last point of reputation", |ask| {
            ask.reputation_min = 10_000;
        }),
        ("price", "ask more", |ask| ask.price_max = MicroUsd(20_000)),
    ];
    let mut scan = None;
    for (name, why, change) in books {
        setup.say(name);
        let world = World::new(&plan(devices))?;
        let limit = match scan {
            Some(limit) => limit,
            None => *scan.insert(scan_ms(&world)?),
        };
        let (worst, tried) = flood(world, change)?;
        lines.push(Line::measured(
            format!("matching/miss-{name}"),
            format!(
                "the worst of {BLOCKS} blocks with {FLOOD} open orders and {devices} devices that all {why} ({tried} orders had \
                 their turn), beside one look at every device"
            ),
            figure(worst, "ms"),
            figure(limit, "ms"),
            Bar::AtMost(DELAY_BAR),
        ));
    }
    Ok(lines)
}

/// The time of reading every device once, ms.
fn scan_ms(world: &World) -> Result<f64> {
    let view = world.machine.store().snapshot();
    let mut count = 0_u64;
    let (took, read) = on_core(|| {
        io_state_machine::tables::DEVICES.visit(&view, None, &mut |_id, _device| {
            count += 1;
            std::ops::ControlFlow::Continue(())
        })
    });
    read?;
    ensure!(count > 0, "no device was read");
    Ok(took.as_secs_f64() * 1000.0)
}
