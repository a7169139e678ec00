//! The road of a transaction into a block.

use io_state_machine::admission::{self, Pending};
use io_state_machine::context::BlockContext;
use io_state_machine::error::ActionError;
use io_state_machine::state::State;
use io_types::action::{Heartbeats, Transfer};
use io_types::{
    AccountId, Action, Amount, Asset, BlockTime, DeviceId, Hash, Height, Signature, Transaction,
    TransactionBody,
};

use crate::support::{CHAIN, Chain, FEE, IO, account, key};

fn pay() -> Action {
    Action::Transfer(Transfer {
        to: account(&key(2)),
        asset: Asset::Io,
        amount: Amount::new(1),
        client_id: 1,
    })
}

/// The mempool refuses it with this code, and an honest proposer leaves it out.
fn stays_out(chain: &mut Chain, bytes: Vec<u8>, code: u32) {
    let refusal = chain.machine.check_tx(&bytes, false).unwrap().unwrap_err();
    assert_eq!(refusal.code(), code, "{refusal}");
    let app_hash_alone = {
        let block = chain.propose(vec![bytes.clone()]);
        assert_eq!(
            block.transactions.len(),
            1,
            "an honest proposer put it into a block"
        );
        block
    };
    let mut forced = app_hash_alone.clone();
    forced.transactions.push(bytes);
    chain.machine.process(&forced).unwrap_err();
    chain.decide(app_hash_alone);
}

fn with(chain: &Chain, change: impl FnOnce(&mut TransactionBody)) -> Vec<u8> {
    let mut body = chain.body(&key(1), vec![pay()], 1);
    change(&mut body);
    body.sign(&key(1)).encode()
}

#[test]
fn bytes_that_are_no_canonical_transaction_stay_out() {
    let mut chain = Chain::new();
    let good = with(&chain, |_body| {});
    let mut trailing = good.clone();
    trailing.push(0);
    let cut = good[..good.len() - 1].to_vec();
    for bytes in [Vec::new(), vec![1, 2, 3], trailing, cut, vec![0; 70_000]] {
        stays_out(&mut chain, bytes, 101);
    }
    let injected = io_types::extension::InjectedCommit::default().encode();
    stays_out(&mut chain, injected, 113);
}

#[test]
fn a_transaction_over_64_kib_stays_out() {
    let mut chain = Chain::new();
    let entries = vec![(DeviceId(1), Hash::ZERO); 2000];
    let big = with(&chain, |body| {
        body.actions = vec![Action::Heartbeats(Heartbeats {
            slot: io_types::Slot(1),
            entries,
        })]
    });
    assert!(big.len() > 64 * 1024);
    stays_out(&mut chain, big, 101);
}

#[test]
fn a_transaction_that_breaks_a_rule_of_admission_stays_out() {
    let mut chain = Chain::new();
    let now = chain.height();
    let cases: Vec<(u32, Vec<u8>)> = vec![
        (
            102,
            with(&chain, |body| body.chain_id = "other-1".to_owned()),
        ),
        (105, with(&chain, |body| body.sequence = 2)),
        (105, with(&chain, |body| body.sequence = 0)),
        (106, with(&chain, |body| body.expires = Height(now))),
        (
            107,
            with(&chain, |body| body.expires = Height(now + 200_000)),
        ),
        (108, with(&chain, |body| body.actions.clear())),
        (109, with(&chain, |body| body.actions = vec![pay(); 257])),
        (
            110,
            with(&chain, |body| body.fee_max = Amount::new(FEE - 1)),
        ),
        (112, with(&chain, |body| body.lane = 16)),
    ];
    for (code, bytes) in cases {
        stays_out(&mut chain, bytes, code);
    }
}

#[test]
fn what_is_just_within_the_rules_of_admission_enters() {
    let chain = Chain::new();
    let next = chain.height() + 1;
    let ahead = chain.genesis().params.admission.expiry_blocks_max;
    for bytes in [
        with(&chain, |body| body.expires = Height(next)),
        with(&chain, |body| body.expires = Height(next + ahead)),
        with(&chain, |body| body.actions = vec![pay(); 256]),
        with(&chain, |body| body.lane = 15),
    ] {
        // Each on a mempool of its own: they have one sequence.
        let mut own = Chain::new();
        assert_eq!(own.machine.check_tx(&bytes, false).unwrap(), Ok(()));
        let block = own.propose(vec![bytes]);
        assert_eq!(block.transactions.len(), 2);
        assert!(!own.decide(block).transactions[1].inadmissible);
    }
    let mut chain = chain;
    let late = with(&chain, |body| body.expires = Height(next + ahead + 1));
    stays_out(&mut chain, late, 107);
}

#[test]
fn a_signer_with_the_fee_and_nothing_more_enters() {
    let mut chain = Chain::new();
    let poor = key(99);
    chain.must(
        &key(1),
        Action::Transfer(Transfer {
            to: account(&poor),
            asset: Asset::Io,
            amount: Amount::new(FEE),
            client_id: 1,
        }),
    );
    let bytes = chain.sign(&poor, vec![pay()]);
    assert_eq!(chain.machine.check_tx(&bytes, false).unwrap(), Ok(()));
    let outcome = chain.block(vec![bytes]).transactions[1].clone();
    // Admitted and paid for; the transfer itself has nothing left to move.
    assert_eq!((outcome.code, outcome.inadmissible), (201, false));
    assert_eq!(chain.free_io(&poor), 0);
}

#[test]
fn a_sequence_follows_the_later_of_state_and_mempool() {
    let mut chain = Chain::new();
    for client_id in 1..=3 {
        chain.must(
            &key(1),
            Action::Transfer(Transfer {
                to: account(&key(2)),
                asset: Asset::Io,
                amount: Amount::new(1),
                client_id,
            }),
        );
    }
    let view = chain.machine.store().snapshot();
    let state = State::new(&view);
    let (height, time) = (Height(chain.height() + 1), BlockTime(chain.now));
    let block = BlockContext::load(&state, height, time, Hash::ZERO).unwrap();
    for (waiting, sequence, enters) in [
        (None, 4, true),
        (Some(2), 4, true),
        (Some(2), 3, false),
        (Some(4), 5, true),
        (Some(4), 4, false),
    ] {
        let bytes = with(&chain, |body| body.sequence = sequence);
        let signed = admission::open(&bytes).unwrap();
        let pending = waiting.map(|last| Pending::from([((account(&key(1)), 0), last)]));
        let found = admission::check(&signed, &block, &state, pending.as_ref());
        match found {
            Ok(fee) => assert!(enters && fee == Amount::new(FEE), "{sequence}"),
            Err(ActionError::Rejected(why)) => {
                assert_eq!((why.code(), enters), (105, false), "{sequence}");
            }
            Err(ActionError::Faulted(fault)) => panic!("{fault}"),
        }
    }
}

#[test]
fn a_wrong_signature_or_key_stays_out() {
    let mut chain = Chain::new();
    let body = chain.body(&key(1), vec![pay()], 1);
    let other = body.clone().sign(&key(3));
    stays_out(&mut chain, other.encode(), 103);
    let mut changed = body.clone().sign(&key(1));
    changed.body.fee_max = Amount::new(FEE + 1);
    stays_out(&mut chain, changed.encode(), 103);
    let nobody = TransactionBody {
        signer: AccountId([0; 32]),
        ..body
    };
    let unsigned = Transaction {
        body: nobody,
        signature: Signature([0; 64]),
    };
    stays_out(&mut chain, unsigned.encode(), 104);
}

#[test]
fn a_signer_without_the_fee_stays_out() {
    let mut chain = Chain::new();
    let poor = key(99);
    let body = TransactionBody {
        signer: account(&poor),
        ..chain.body(&key(1), vec![pay()], 1)
    };
    stays_out(&mut chain, body.sign(&poor).encode(), 111);
}

#[test]
fn duties_and_other_actions_do_not_mix() {
    let mut chain = Chain::new();
    let duty = Action::Heartbeats(Heartbeats {
        slot: io_types::Slot(1),
        entries: vec![(DeviceId(1), Hash::ZERO)],
    });
    let mixed = with(&chain, |body| body.actions = vec![pay(), duty]);
    stays_out(&mut chain, mixed, 115);
}

#[test]
fn a_transaction_enters_once() {
    let mut chain = Chain::new();
    let bytes = with(&chain, |_body| {});
    assert_eq!(chain.block(vec![bytes.clone()]).transactions[1].code, 0);
    stays_out(&mut chain, bytes, 105);
}

#[test]
fn the_mempool_takes_a_row_of_sequences_and_each_lane_apart() {
    let chain = Chain::new();
    let mut body = chain.body(&key(1), vec![pay()], 1);
    for sequence in 1..=3 {
        body.sequence = sequence;
        let bytes = body.clone().sign(&key(1)).encode();
        assert_eq!(chain.machine.check_tx(&bytes, false).unwrap(), Ok(()));
    }
    body.sequence = 5;
    let gap = body.clone().sign(&key(1)).encode();
    assert_eq!(
        chain
            .machine
            .check_tx(&gap, false)
            .unwrap()
            .unwrap_err()
            .code(),
        105
    );
    body.sequence = 1;
    body.lane = 3;
    let other_lane = body.sign(&key(1)).encode();
    assert_eq!(chain.machine.check_tx(&other_lane, false).unwrap(), Ok(()));
}

#[test]
fn what_is_signed_begins_with_the_domain() {
    let chain = Chain::new();
    let body = chain.body(&key(1), vec![pay()], 1);
    assert!(body.sign_bytes().starts_with(b"io-chain/tx/v1\0"));
    assert_eq!(body.chain_id, CHAIN);
    assert_eq!(chain.free_io(&key(1)), 1_000_000 * IO);
}
