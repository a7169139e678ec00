//! Five hundred seeds through the simulator, each in two processes, and what they must have done. Every fifth has the checked-in
//! program in place of the model of it.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use io_types::Action;

/// Longest encoding of an action whose fields are all zero.
const ZEROES: usize = 4096;

/// What must have happened: the workload gets to where money moves, and every fault has had its turn.
const HAPPENED: &[&str] = &[
    "event Booked",
    "event Rewarded",
    "event Worked",
    "event Settled",
    "event FraudProven",
    "event InvariantViolated",
    "event SuspenseClaimed",
    "event BookingEnded",
    "fault crash AfterPrepare",
    "fault crash AfterProcess",
    "fault crash AfterVote",
    "fault crash AfterFinalize",
    "fault crash AfterCommit",
    "fault crash in commit, batch Lost",
    "fault crash in commit, batch Unacknowledged",
    "fault crash in rollback, batch Lost",
    "fault crash in rollback, batch Unacknowledged",
    "fault replayed block",
    "fault rollback",
    "fault extension Late",
    "fault extension Forged",
    "fault extension Empty",
    "fault extension Garbage",
    "fault extension WrongPrice",
    "fault extension WrongSolana",
    "fault extension WrongSignature",
    "fault extension Withholds",
    "fault vote Absent",
    "fault vote Nil",
    "fault clock jump",
    "fault no price",
    "fault Solana out of sight",
    "fault the proposer lies about Solana",
    "fault all validators lie",
    "fault one endpoint",
    "fault one endpoint of everybody",
    "fault endpoints against each other",
    "fault every endpoint of two thirds",
    "fault endpoint invents a deposit",
    "fault endpoint hides a deposit",
    "fault endpoint raises a deposit",
    "fault endpoint redirects a deposit",
    "fault endpoint exchanges a deposit",
    "fault endpoint shows another settlement",
    "fault endpoint is behind",
    "fault endpoint shows what is not final",
    "fault endpoint contradicts itself",
    "fault endpoint claims to be ahead",
    "fault endpoint serves another cluster",
    "fault endpoint shows another program",
    "fault endpoint is out of reach",
    "fault endpoint refuses",
    "a validator may report untruths of Solana",
    "a validator whose endpoints lie reports nothing of Solana",
    "deposits were credited at once",
    "fault solana deposit lost",
    "fault solana deposit repeated",
    "fault solana settle lost",
    "fault solana settle repeated",
    "fault solana post repeated",
    "fault solana claim repeated",
    "fault solana wrong batch",
];
/// What the program and the model of it must each have done.
const ON_SOLANA: &[&str] = &[
    "deposit",
    "deposit refused, Rule(DepositBelowMinimum)",
    "post",
    "post refused, Runtime",
    "settle",
    "settle refused, Rule(OldNumber)",
    "settle refused, Rule(WrongSignatures)",
    "settle refused, Rule(TooLittlePower)",
    "settle refused, Rule(OtherChain)",
    "claim",
    "claim refused, Rule(NothingDue)",
    "claim refused, Rule(UnknownRoot)",
    "close",
    "close refused, Rule(NotPayer)",
];

fn sim(arguments: &[&str]) -> (Output, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_sim"))
        .args(arguments)
        .output()
        .expect("the simulator starts");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    (output, told)
}

/// The name of every action that the decoder knows: each tag, with zeroes for its fields.
fn every_action() -> BTreeSet<&'static str> {
    let known = (0..=u8::MAX).map_while(|tag| {
        let mut bytes = vec![tag];
        bytes.resize(ZEROES, 0);
        let action: Result<Action, _> = borsh::BorshDeserialize::deserialize(&mut bytes.as_slice());
        action.ok().map(|action| action.name())
    });
    known.collect()
}

#[test]
fn five_hundred_seeds_run_clean_and_do_everything_there_is() {
    let (output, told) = sim(&["--seeds", "0..500"]);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("500 seeds, 0 failed"), "{told}");
    let count = |what: &str| {
        let line = told
            .lines()
            .find_map(|line| line.trim().strip_prefix(what)?.strip_prefix(": "));
        line.and_then(|count| count.parse::<u64>().ok())
            .unwrap_or(0)
    };
    let actions = every_action();
    assert!(actions.len() >= 27, "{actions:?}");
    let done: BTreeSet<&str> = told
        .lines()
        .filter_map(|line| line.trim().strip_prefix("action ")?.split_once(':'))
        .map(|(name, _count)| name)
        .collect();
    assert_eq!(
        done, actions,
        "actions that were accepted, and all there are"
    );
    for what in HAPPENED {
        assert!(count(what) > 0, "no {what}: {told}");
    }
    for ledger in ["model", "program"] {
        for what in ON_SOLANA {
            let what = format!("{ledger} {what}");
            assert!(count(&what) > 0, "no {what}: {told}");
        }
    }
    assert_eq!(count("ledger program"), 100);
    assert_eq!(count("ledger model"), 400);
}

#[test]
fn a_seed_can_be_cut_to_some_of_its_transactions() {
    let (output, told) = sim(&["--seed", "3", "--blocks", "12", "--only", "2:0,3:1,5:0"]);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("1 seeds, 0 failed, 12 blocks"), "{told}");
}

#[test]
fn arguments_that_make_no_sense_are_refused_with_what_to_write() {
    for (arguments, wants) in [
        (["--seeds", "9..3"], "write 0..100"),
        (["--only", "7"], "write height:place"),
    ] {
        let (output, _told) = sim(&arguments);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2));
        assert!(told.contains(wants), "{told}");
    }
}
