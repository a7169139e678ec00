//! A transaction's bytes: decoding, admission, and what a block makes of it.
//!
//! The bytes are read twice: as they are, and, where they decode, signed anew by somebody who lives on the scene's chain, with
//! a sequence and an expiry near the right ones, so that what lies behind the signature is reached.

use std::cell::Cell;

use ed25519_dalek::SigningKey;
use io_sim::rows::Rows;
use io_sim::world::{CHAIN, account};
use io_state_machine::{Machine, ProposalError, admission, tables};
use io_types::consensus::{Block, LastCommit};
use io_types::extension::InjectedCommit;
use io_types::transaction::{ACTIONS_MAX, FRAUD_TRANSACTION_BYTES_MAX, TRANSACTION_BYTES_MAX};
use io_types::{Action, BlockTime, Hash, Height, Rejection, Transaction, TransactionBody};

use crate::scene::{Scene, emptied, scene};

thread_local! {
    /// The machine of the last input, with nothing in its mempool: opening one rebuilds every tree, which takes longer than all else here.
    /// An input that breaks a claim leaves none.
    static MACHINE: Cell<Option<Machine>> = const { Cell::new(None) };
}

/// The target.
pub fn run(data: &[u8]) {
    let scene = scene();
    let decoded = decode(data);
    let opened = opening(data, decoded.as_ref());
    assert_eq!(
        admission::open(data)
            .as_ref()
            .map(|_signed| ())
            .map_err(Rejection::code),
        opened,
        "opening"
    );
    let mut machine = MACHINE.take().unwrap_or_else(|| scene.machine());
    let checked = check(&machine, data);
    if let Err(code) = opened {
        assert_eq!(checked, Err(code), "a transaction that cannot be opened");
    }
    execute(scene, &machine, data, checked, opened.is_err());
    if checked.is_ok() {
        machine = emptied(machine);
    }
    if let Some(transaction) = decoded {
        let (bytes, body) = signed_anew(scene, &machine, transaction);
        let expected = admission_by_hand(scene, &machine, &body);
        let checked = check(&machine, &bytes);
        match expected {
            Err(code) => assert_eq!(checked, Err(code), "{body:?}"),
            Ok(()) => assert!(
                !matches!(checked, Err(101..=109 | 112..=115)),
                "{checked:?} for {body:?}"
            ),
        }
        if checked.is_ok() {
            // It waits now: checked again it is fine, sent again it is too late.
            assert_eq!(machine.check_tx(&bytes, true).unwrap(), Ok(()));
            assert_eq!(check(&machine, &bytes), Err(105));
        }
        let is_duty = body.actions.iter().any(Action::is_duty);
        execute(scene, &machine, &bytes, checked, !is_duty);
        if checked.is_ok() {
            machine = emptied(machine);
        }
    }
    MACHINE.set(Some(machine));
}

/// Decodes; what decodes has one encoding and one JSON, and keeps the bounds.
fn decode(data: &[u8]) -> Option<Transaction> {
    let transaction = Transaction::decode(data).ok()?;
    assert_eq!(transaction.encode(), data, "another encoding");
    let fraud = |action: &Action| matches!(action, Action::ReportFraud(_));
    let most = if transaction.body.actions.iter().any(fraud) {
        FRAUD_TRANSACTION_BYTES_MAX
    } else {
        TRANSACTION_BYTES_MAX
    };
    assert!(data.len() <= most, "{} bytes, at most {most}", data.len());
    let json = serde_json::to_string(&transaction).unwrap();
    match serde_json::from_str::<Transaction>(&json) {
        Ok(read) => assert_eq!(read, transaction, "another value by way of JSON"),
        // The one thing that decodes and has no JSON: admission refuses it by a rule of its own.
        Err(why) => assert!(why.to_string().contains("is no country code"), "{why}"),
    }
    Some(transaction)
}

/// The code with which these bytes must be refused before any state is read.
fn opening(data: &[u8], decoded: Option<&Transaction>) -> Result<(), u32> {
    if InjectedCommit::is_tagged(data) {
        return Err(113);
    }
    let Some(Transaction { body, signature }) = decoded else {
        return Err(101);
    };
    let Ok(key) = ed25519_dalek::VerifyingKey::from_bytes(&body.signer.0) else {
        return Err(104);
    };
    if key.is_weak() {
        return Err(104);
    }
    let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
    let message = [&b"io-chain/tx/v1\0"[..], &borsh::to_vec(body).unwrap()].concat();
    key.verify_strict(&message, &signature)
        .map_err(|_error| 103)
}

fn check(machine: &Machine, bytes: &[u8]) -> Result<(), u32> {
    machine
        .check_tx(bytes, false)
        .expect("bytes of a stranger are no fault of the node")
        .map_err(|rejection| rejection.code())
}

/// The same transaction by one who lives here, with sequence and expiry mostly right.
fn signed_anew(
    scene: &Scene,
    machine: &Machine,
    transaction: Transaction,
) -> (Vec<u8>, TransactionBody) {
    let world = &scene.world;
    let mut body = transaction.body;
    let keys: Vec<&SigningKey> = world
        .suppliers
        .iter()
        .chain(&world.renters)
        .chain(&world.verifiers)
        .chain([&world.carrier])
        .chain(
            world
                .validators
                .iter()
                .map(|validator| &validator.settlement),
        )
        .collect();
    let known = keys.iter().find(|key| account(key) == body.signer);
    let device = world.workers.iter().find(|key| account(key) == body.signer);
    let place = usize::from(body.signer.0[0]) % keys.len();
    let key = device.unwrap_or_else(|| known.copied().unwrap_or(keys[place]));
    body.signer = account(key);
    let last = sequence(machine, &body);
    body.sequence = match body.sequence % 16 {
        14 => last,
        15 => last + 2,
        _right => last + 1,
    };
    let next = scene.next_height().0;
    body.expires = Height(match body.expires.0 % 16 {
        14 => next - 1,
        15 => body.expires.0,
        soon => next + soon,
    });
    let transaction = body.clone().sign(key);
    (transaction.encode(), body)
}

fn sequence(machine: &Machine, body: &TransactionBody) -> u64 {
    let row = Rows(machine).get(&tables::LANES, &(body.signer, body.lane));
    row.unwrap_or_default().sequence
}

/// The rules of admission that come before any action's own, in their order, from the parameters alone.
fn admission_by_hand(scene: &Scene, machine: &Machine, body: &TransactionBody) -> Result<(), u32> {
    let params = &scene.world.spec.params.admission;
    let next = scene.next_height().0;
    let duties = body.actions.iter().filter(|action| action.is_duty());
    let duties = duties.count();
    let rules = [
        (body.chain_id == CHAIN, 102),
        (!body.actions.is_empty(), 108),
        (body.actions.len() <= ACTIONS_MAX, 109),
        (body.lane < params.lanes, 112),
        (body.sequence == sequence(machine, body) + 1, 105),
        (body.expires.0 >= next, 106),
        (body.expires.0 <= next + params.expiry_blocks_max, 107),
        (duties == 0 || duties == body.actions.len(), 115),
    ];
    let broken = rules.iter().find(|(holds, _code)| !holds);
    broken.map_or(Ok(()), |(_holds, code)| Err(*code))
}

/// A block with this transaction: it never breaks the node, whether it would be proposed or not. `same` says that the block
/// must see it as the mempool did.
fn execute(scene: &Scene, machine: &Machine, bytes: &[u8], checked: Result<(), u32>, same: bool) {
    let block = Block {
        height: scene.next_height(),
        time: BlockTime(scene.now().0 + 1),
        hash: Hash([9; 32]),
        proposer: scene.world.validators[0].address,
        last_commit: LastCommit::default(),
        transactions: vec![InjectedCommit::default().encode(), bytes.to_vec()],
    };
    let judged = machine.process(&block);
    let outcome = machine
        .finalize(&block)
        .expect("a decided block is no fault of the node");
    let [injected, done] = outcome.transactions.as_slice() else {
        panic!(
            "{} outcomes for two transactions",
            outcome.transactions.len()
        );
    };
    assert_eq!(injected.code, 0);
    match judged {
        Ok(()) => assert!(!done.inadmissible, "code {}", done.code),
        Err(ProposalError::Refused(why)) => assert!(done.inadmissible, "{why}"),
        Err(ProposalError::Faulted(fault)) => panic!("{fault}"),
    }
    if done.code != 0 {
        let known = Rejection::ALL.iter().any(|(code, ..)| *code == done.code);
        assert!(known, "code {} is no rule", done.code);
    }
    if !same {
        return;
    }
    match checked {
        Ok(()) => assert!(!done.inadmissible, "{}", done.log),
        Err(code) => assert_eq!((done.code, done.inadmissible), (code, true)),
    }
}
