//! The same blocks give the same app hashes, whatever happened on the way.

use io_state_machine::{Machine, Options};
use io_storage::backend::Disk;
use io_types::action::{Transfer, Withdraw};
use io_types::consensus::Block;
use io_types::{Action, Amount, Asset, Hash};

use crate::support::{Chain, IO, account, key, memory_store, order};

/// Blocks of a chain that did a little of everything, with the app hash after each.
fn history() -> (Chain, Vec<(Block, Hash)>) {
    let mut chain = Chain::new();
    let mut client_id = 0;
    for round in 0..40_u8 {
        client_id += 1;
        let to = account(&key(2 + round % 5));
        let pay = Action::Transfer(Transfer {
            to,
            asset: Asset::Io,
            amount: Amount::new(u64::from(round) * IO + 1),
            client_id,
        });
        let take = Action::Withdraw(Withdraw {
            asset: Asset::Usdc,
            amount: Amount::new(20_000),
            client_id,
        });
        let transactions = vec![
            chain.sign(&key(1), vec![pay]),
            chain.sign(&key(8), vec![take]),
            chain.sign(&key(9), vec![Action::PlaceOrder(order(1, 1, client_id))]),
        ];
        chain.step = if round % 7 == 0 { 1_800_000 } else { 3000 };
        chain.block(transactions);
    }
    let machine = Machine::open(memory_store(&Disk::default()), Options::default()).unwrap();
    machine.init_chain(chain.genesis()).unwrap();
    let blocks = chain.blocks.clone();
    let hashes = blocks
        .into_iter()
        .map(|block| {
            let app_hash = machine.finalize(&block).unwrap().app_hash;
            machine.commit(|_patch| {}).unwrap();
            (block, app_hash)
        })
        .collect();
    (chain, hashes)
}

#[test]
fn blocks_that_were_never_proposed_here_give_the_same_hashes() {
    let (chain, history) = history();
    assert_eq!(chain.machine.info().1, history.last().unwrap().1);
    assert!(chain.height() > 40);
}

#[test]
fn a_machine_restarted_before_every_block_gives_the_same_hashes() {
    let (chain, history) = history();
    let disk = Disk::default();
    for (block, app_hash) in &history {
        let machine = Machine::open(
            memory_store(&disk),
            Options {
                parallel_signatures: false,
            },
        )
        .unwrap();
        if block.height.0 == 1 {
            machine.init_chain(chain.genesis()).unwrap();
        }
        assert_eq!(
            machine.finalize(block).unwrap().app_hash,
            *app_hash,
            "height {}",
            block.height
        );
        machine.commit(|_patch| {}).unwrap();
    }
}

#[test]
fn proposals_that_are_judged_and_not_decided_leave_no_trace() {
    let (chain, history) = history();
    let machine = Machine::open(memory_store(&Disk::default()), Options::default()).unwrap();
    machine.init_chain(chain.genesis()).unwrap();
    for (block, app_hash) in &history {
        let mut other = block.clone();
        other.transactions.truncate(1);
        other.time.0 += 500;
        machine.process(&other).unwrap();
        machine.process(block).unwrap();
        machine.process(&other).unwrap();
        assert_eq!(
            machine.finalize(block).unwrap().app_hash,
            *app_hash,
            "height {}",
            block.height
        );
        // Finalized twice, as after a crash before Commit.
        assert_eq!(
            machine.finalize(block).unwrap().app_hash,
            *app_hash,
            "height {}",
            block.height
        );
        machine.commit(|_patch| {}).unwrap();
    }
}

#[test]
fn rollback_undoes_one_block_and_it_can_be_executed_again() {
    let (chain, history) = history();
    let last = history.last().unwrap();
    let before = &history[history.len() - 2];
    assert_eq!(chain.machine.rollback().unwrap().0, before.0.height.0);
    assert_eq!(chain.machine.info().1, before.1);
    assert_eq!(chain.machine.finalize(&last.0).unwrap().app_hash, last.1);
}

#[test]
fn commit_without_finalize_is_a_fault_and_init_chain_runs_once() {
    let chain = Chain::new();
    chain.machine.commit(|_patch| {}).unwrap_err();
    chain.machine.init_chain(chain.genesis()).unwrap_err();
}
