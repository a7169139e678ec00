//! The simulator itself: a defect that is built in is found, named with its block, cut down, and seen again by one command.

use std::process::Command;

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
        assert!(told.contains(&format!("replay: ./dev sim --seed {seed} ")));
    }
    let (code, told) = sim(&["--seeds", "0..1000", "--minutes", "0"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("of 1000 seeds were run"), "{told}");
}
