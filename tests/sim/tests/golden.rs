//! Golden files: bytes that nodes, the program on Solana, relayers and clients have agreed on.
//!
//! `tests/golden/*.txt` begin with the consensus version that made them. If this test fails, something that others rely on
//! has changed. If it was meant: raise the number in `CONSENSUS_VERSION`, then run
//! `IO_GOLDEN=write cargo test -p io-sim --test golden`. Without a new number nothing is written.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use io_sim::golden::{Executed, FixedChain, bridge_bytes, rejection_list, table_list, wire_bytes};

/// Actions that a transaction can have.
const ACTIONS: usize = 27;
/// Seeds of which those chains are taken that together accept every action.
const SEEDS: std::ops::Range<u64> = 0..30;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn folder() -> PathBuf {
    root().join("tests/golden")
}

fn version() -> u64 {
    let text = std::fs::read_to_string(root().join("CONSENSUS_VERSION"))
        .expect("CONSENSUS_VERSION lies in the root of the repository");
    text.trim().parse().expect("CONSENSUS_VERSION is a number")
}

fn fixed_chains() -> Vec<FixedChain> {
    (0..)
        .map_while(|number| {
            let genesis = std::fs::read(folder().join(format!("genesis-{number}.json"))).ok()?;
            let blocks = std::fs::read(folder().join(format!("chain-{number}.bin"))).ok()?;
            let genesis = serde_json::from_slice(&genesis).expect("a genesis");
            Some(FixedChain::from_bytes(genesis, &blocks).expect("blocks"))
        })
        .collect()
}

fn execute(chains: &[FixedChain]) -> Executed {
    chains
        .iter()
        .map(|chain| chain.execute().expect("a fixed chain is executed"))
        .fold(Executed::default(), Executed::and)
}

fn texts(chains: &[FixedChain]) -> Vec<(&'static str, String)> {
    let executed = execute(chains);
    let first = chains.first().expect("tests/golden holds a chain");
    assert_eq!(
        executed.actions().len(),
        ACTIONS,
        "accepted actions: {:?}",
        executed.actions().keys()
    );
    vec![
        ("chain.txt", executed.chain()),
        ("encodings.txt", executed.encodings()),
        ("wire.txt", wire_bytes(first).expect("wire bytes")),
        ("tables.txt", table_list()),
        ("rejections.txt", rejection_list()),
        ("bridge.txt", bridge_bytes()),
    ]
}

fn head(version: u64) -> String {
    format!("consensus version {version}\n")
}

/// Makes the chain anew and writes what differs, if the version says that it may.
fn write() {
    let stored = std::fs::read_to_string(folder().join("chain.txt")).unwrap_or_default();
    let version = version();
    assert!(
        !stored.starts_with(&head(version)),
        "the golden files are of consensus version {version}: raise CONSENSUS_VERSION first"
    );
    let chains = record();
    std::fs::create_dir_all(folder()).expect("the folder");
    // There may have been more chains.
    for number in chains.len().. {
        let files = [
            format!("genesis-{number}.json"),
            format!("chain-{number}.bin"),
        ];
        if !files
            .map(|file| std::fs::remove_file(folder().join(file)).is_ok())
            .contains(&true)
        {
            break;
        }
    }
    for (number, chain) in chains.iter().enumerate() {
        let genesis = serde_json::to_string_pretty(&chain.genesis).expect("JSON");
        let (genesis_file, blocks_file) = (
            format!("genesis-{number}.json"),
            format!("chain-{number}.bin"),
        );
        std::fs::write(folder().join(genesis_file), genesis + "\n").expect("written");
        std::fs::write(folder().join(blocks_file), chain.to_bytes()).expect("written");
    }
    for (name, text) in texts(&chains) {
        std::fs::write(folder().join(name), head(version) + &text).expect("written");
    }
}

/// As few chains as a greedy choice needs for every action.
fn record() -> Vec<FixedChain> {
    let mut made: Vec<(FixedChain, BTreeSet<String>)> = SEEDS
        .map(|seed| {
            let chain = FixedChain::record(seed).expect("a seed runs clean");
            let executed = chain.execute().expect("it runs again");
            (chain, executed.actions().keys().cloned().collect())
        })
        .collect();
    let (mut chains, mut covered) = (Vec::new(), BTreeSet::new());
    while covered.len() < ACTIONS {
        let (best, _chain) = made
            .iter()
            .enumerate()
            .max_by_key(|(_place, (_chain, actions))| actions.difference(&covered).count())
            .expect("a chain is left");
        let (chain, actions) = made.swap_remove(best);
        covered.extend(actions);
        chains.push(chain);
    }
    chains
}

#[test]
fn golden_bytes_change_only_with_the_consensus_version() {
    if std::env::var("IO_GOLDEN").is_ok_and(|value| value == "write") {
        write();
    }
    for (name, text) in texts(&fixed_chains()) {
        let stored = std::fs::read_to_string(folder().join(name)).expect("a golden file");
        let now = head(version()) + &text;
        let differs = stored
            .lines()
            .zip(now.lines())
            .find(|(before, after)| before != after);
        assert!(
            stored == now,
            "tests/golden/{name} differs, first in {differs:?}. If that was meant: raise CONSENSUS_VERSION, then \
             IO_GOLDEN=write cargo test -p io-sim --test golden"
        );
    }
}

#[test]
fn a_damaged_chain_has_other_hashes() {
    let mut chain = fixed_chains().remove(0);
    let right = chain.execute().expect("it runs").chain();
    let block = chain
        .blocks
        .iter_mut()
        .find(|block| block.transactions.len() > 1)
        .expect("a block with transactions");
    block.transactions.pop();
    assert_ne!(chain.execute().expect("it runs").chain(), right);
}
