//! Twenty seeds through the simulator, each in two processes.

use std::process::Command;

#[test]
fn twenty_seeds_run_clean_in_two_processes_each() {
    let output = Command::new(env!("CARGO_BIN_EXE_sim"))
        .args(["--seeds", "0..20"])
        .output()
        .expect("the simulator starts");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("20 seeds, 0 failed"), "{told}");
    // The workload gets to where money moves.
    for what in [
        "Booked",
        "Rewarded",
        "Worked",
        "Settled",
        "FraudProven",
        "SuspenseClaimed",
    ] {
        assert!(
            told.contains(&format!("event {what}: ")),
            "no {what}: {told}"
        );
    }
}

#[test]
fn a_seed_can_be_cut_to_some_of_its_transactions() {
    let output = Command::new(env!("CARGO_BIN_EXE_sim"))
        .args(["--seed", "3", "--blocks", "12", "--only", "2:0,3:1,5:0"])
        .output()
        .expect("the simulator starts");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("1 seeds, 0 failed, 12 blocks"), "{told}");
}

#[test]
fn arguments_that_make_no_sense_are_refused_with_what_to_write() {
    for (arguments, wants) in [
        (["--seeds", "9..3"], "write 0..100"),
        (["--only", "7"], "write height:place"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_sim"))
            .args(arguments)
            .output()
            .expect("the simulator starts");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2));
        assert!(told.contains(wants), "{told}");
    }
}
