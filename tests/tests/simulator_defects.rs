//! The simulator itself: a defect that is built in is found, named with its block, cut down, and seen again by one command.

use std::process::Command;

/// A seed in which one endpoint of some validator shows a deposit that nobody made.
const GULLIBLE: &str = "0";

fn sim(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_sim"))
        .args(arguments)
        .output()
        .expect("the simulator starts");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), told)
}

/// The last of the commands that the simulator says to type.
fn replay(told: &str) -> Vec<&str> {
    let line = told
        .lines()
        .rev()
        .find_map(|line| line.trim().strip_prefix("replay: ./dev sim "));
    line.expect("a command to type").split(' ').collect()
}

#[test]
fn an_auditor_who_forgets_withdrawals_is_told_by_one_transaction() {
    let (code, told) = sim(&["--seed", "0", "--plant", "books", "--shrink-seconds", "60"]);
    assert_eq!(code, Some(1), "{told}");
    let command = replay(&told);
    let only = command
        .iter()
        .position(|word| *word == "--only")
        .expect("the transactions that are left");
    assert!(told.contains("none can be left out"), "{told}");
    // A withdrawal needs what was deposited or given before; nothing more than a few transactions are left.
    assert!(command[only + 1].split(',').count() <= 2, "{told}");
    for fault in ["crash", "byzantine", "votes", "prices", "clock"] {
        assert!(
            told.contains(fault),
            "{fault} is not needed for it, and was not left out: {told}"
        );
    }
    let (code, again) = sim(&command);
    assert_eq!(code, Some(1), "{again}");
    let block = |told: &str| {
        let lines = told.lines();
        lines
            .filter_map(|line| line.strip_prefix("FAILED seed 0 block ")?.split_once(": "))
            .map(|(block, what)| (block.to_owned(), what.to_owned()))
            .next_back()
    };
    let (height, what) = block(&again).expect("a failure with its block");
    let blocks = command.iter().position(|word| *word == "--blocks");
    assert_eq!(command[blocks.expect("how many blocks") + 1], height);
    assert!(what.contains("balance of"), "{what}");
}

#[test]
fn a_balance_that_changes_on_the_disk_stops_the_node_and_needs_no_transaction() {
    let (code, told) = sim(&["--seed", "1", "--plant", "store", "--shrink-seconds", "60"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("FAILED seed 1 block 9: "), "{told}");
    let command = replay(&told);
    assert!(command.ends_with(&["--only", "none"]), "{told}");
    let (code, again) = sim(&command);
    assert_eq!(code, Some(1), "{again}");
    assert!(again.contains("FAILED seed 1 block 9: "), "{again}");
}

#[test]
fn a_base_unit_that_is_gone_from_a_token_account_of_solana_is_missed() {
    for ledger in ["program", "model"] {
        let begin = ["--seed", "4", "--ledger", ledger, "--plant", "vault"];
        let (code, told) = sim(&begin);
        assert_eq!(code, Some(1), "{told}");
        let wanted = "FAILED seed 4 block 10: what lies in the vaults of io on Solana: ";
        let line = told.lines().find_map(|line| line.strip_prefix(wanted));
        let numbers: Vec<i128> = line
            .expect("the vault is named with its block")
            .split([' ', ','])
            .filter_map(|word| word.parse().ok())
            .collect();
        assert_eq!(numbers[0] + 1, numbers[1], "{told}");
        let command = replay(&told);
        assert!(command.ends_with(&["--only", "none"]), "{told}");
        assert!(command.windows(2).any(|pair| pair == ["--ledger", ledger]));
        let (code, again) = sim(&command);
        assert_eq!(code, Some(1), "{again}");
        assert!(again.contains(wanted), "{again}");
    }
}

#[test]
fn validators_that_believe_one_endpoint_alone_are_told() {
    let (code, told) = sim(&["--seed", GULLIBLE, "--plant", "gullible"]);
    assert_eq!(code, Some(1), "{told}");
    let what = "one of a validator's endpoints shows the truth, yet it reports";
    assert!(told.contains(what), "{told}");
    let command = replay(&told);
    assert!(command.ends_with(&["--only", "none"]), "{told}");
    let (code, again) = sim(&command);
    assert_eq!(code, Some(1), "{again}");
    assert!(again.contains(what), "{again}");
    // With honest endpoints there is nothing to believe.
    let (code, told) = sim(&[&command[..], &["--without", "endpoint"]].concat());
    assert_eq!(code, Some(0), "{told}");
}

#[test]
fn a_run_of_many_seeds_ends_with_a_summary_that_names_the_failed_ones() {
    let arguments = [
        "--seeds",
        "0..3",
        "--plant",
        "store",
        "--shrink-seconds",
        "0",
    ];
    let (code, told) = sim(&arguments);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("3 seeds, 3 failed"), "{told}");
    for seed in 0..3 {
        let replay = format!("replay: ./dev sim --seed {seed} --ledger model ");
        assert!(told.contains(&replay), "{told}");
    }
    let (code, told) = sim(&["--seeds", "0..1000", "--minutes", "0"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("0 of 1000 seeds were run; go on with --seeds 0..1000"),
        "{told}"
    );
}
