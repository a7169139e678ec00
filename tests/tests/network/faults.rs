//! Kill, pause and partition of one validator and of two, a minute each, with money in flight.
//!
//! Without one of four the others go on. Without two no block can be decided: nothing may be, on either side, until they are back.

use std::time::{Duration, Instant};

use crate::chain::{Chain, SOON, more_than, until};
use crate::engine::Engines;
use crate::localnet::Localnet;
use crate::money::Money;

/// How long each fault lasts.
const A_MINUTE: Duration = Duration::from_mins(1);
/// The bar: heights go on within this after healing.
const GOES_ON_WITHIN: Duration = Duration::from_secs(10);
/// Blocks that three of four make at least in a minute, every fourth proposer being away; this machine may be busy.
const BLOCKS_A_MINUTE: u64 = 10;
/// A block that was decided before the fault becomes visible within this.
const SETTLES_WITHIN: Duration = Duration::from_secs(5);

/// Killed and kept down; standing still; cut off by closed connections, and by open ones on which nothing comes.
const FAULTS: [&str; 4] = ["stop", "pause", "partition", "silence"];

#[tokio::test(flavor = "multi_thread")]
async fn three_of_four_go_on_through_a_minute_of_each_fault() {
    suffers(&[3]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_four_halt_for_a_minute_of_each_fault_and_then_go_on() {
    suffers(&[2, 3]).await;
}

async fn suffers(victims: &[usize]) {
    let localnet = Localnet::start(&["--no-people"], &[]);
    let (chain, engines) = (Chain::new(&localnet), Engines::new(&localnet));
    let mut money = Money::before(&chain).await;
    for fault in FAULTS {
        money.deposit(&chain).await;
        money.withdraw(&chain).await;
        let started = Instant::now();
        strike(&localnet, fault, victims);
        money.deposit(&chain).await;
        if victims.len() == 1 {
            let height = chain.height().await;
            until("three of four go on", A_MINUTE, async || {
                more_than(height + BLOCKS_A_MINUTE, chain.height().await)
            })
            .await;
            rest(started).await;
        } else {
            tokio::time::sleep(SETTLES_WITHIN).await;
            let height = chain.height().await;
            rest(started).await;
            assert_eq!(chain.height().await, height, "two of four decided a block");
        }
        heals(&localnet, &chain, &engines, victims).await;
    }
    money.is_neither_lost_nor_doubled(&chain).await;
    engines.never_forked().await;
    localnet.end();
}

fn strike(localnet: &Localnet, fault: &str, victims: &[usize]) {
    let names: Vec<String> = victims
        .iter()
        .map(|index| format!("validator-{index}"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    if ["partition", "silence"].contains(&fault) {
        localnet.fault(&[&[fault][..], &names].concat());
    } else {
        for name in names {
            localnet.fault(&[fault, name]);
        }
    }
}

/// Waits until the minute is over.
async fn rest(started: Instant) {
    tokio::time::sleep(A_MINUTE.saturating_sub(started.elapsed())).await;
}

/// Ends the fault: the chain and each victim go on within the bar, and all agree and vote.
async fn heals(localnet: &Localnet, chain: &Chain, engines: &Engines, victims: &[usize]) {
    let before = chain.height().await;
    localnet.fault(&["heal"]);
    let healed = Instant::now();
    until("heights go on", GOES_ON_WITHIN, async || {
        more_than(before + 1, chain.height().await)
    })
    .await;
    for victim in victims {
        let left = SOON.saturating_sub(healed.elapsed());
        until(
            &format!("validator-{victim} has caught up"),
            left,
            async || more_than(before, chain.heights().await[*victim]),
        )
        .await;
        until(
            &format!("validator-{victim} votes again"),
            SOON,
            async || engines.votes_above(*victim, before).await,
        )
        .await;
    }
    chain.all_agree_above(before + 1, SOON).await;
}
