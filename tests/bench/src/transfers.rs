//! A block of signed transfers through the whole application: `FinalizeBlock` and `Commit`, the journal and a synced database.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use ed25519_dalek::{Signature, VerifyingKey};
use io_node::abci::Consensus;
use io_node::validator::Report;
use io_types::action::Transfer;
use io_types::codec::sha256;
use io_types::{AccountId, Action, Amount, Asset, Hash, Transaction};
use rayon::prelude::{IntoParallelRefIterator as _, ParallelIterator as _};
use tendermint_proto::google::protobuf::Timestamp;
use tendermint_proto::v0_38::abci::RequestFinalizeBlock;

use crate::chains::{self, Founding, IO};
use crate::line::{Bar, Line, figure};
use crate::setup::{Setup, once, rate};

/// 2026-11-01T00:00:00Z, ms.
const GENESIS_MS: u64 = 1_793_491_200_000;

/// Signed transfers, and the signatures in them as the bare check takes them.
struct Round {
    transactions: Vec<Vec<u8>>,
    bare: Vec<([u8; 32], Vec<u8>, Signature)>,
}

/// Transfers over a million accounts, root and durable commit included, against verifying the same signatures alone.
pub fn lines(setup: &Setup) -> anyhow::Result<Vec<Line>> {
    let accounts = setup.pick(1_000_000, 2_000);
    let count = setup.pick(10_000, 100);
    let rounds = setup.pick(4, 1);
    let folder = tempfile::tempdir()?;
    setup.say("signing");
    let rounds: Vec<Round> = (1..=rounds).map(|number| round(number, count)).collect();
    setup.say("accounts");
    let spec = genesis(accounts, count);
    drop(Founding::new(folder.path(), &spec)?);
    let chain = chains::open(folder.path(), &spec, Report::new(None))?;
    let mut consensus = chain.application(0).consensus;
    let (mut verifying, mut executing) = (Duration::MAX, Duration::MAX);
    for (number, round) in rounds.into_iter().enumerate() {
        setup.say("a round of bare checks and a block");
        let (time, sound) = once(|| verify(&round));
        ensure!(sound, "a signature of this benchmark is not sound");
        verifying = verifying.min(time);
        executing = executing.min(execute(consensus.as_mut(), number, round.transactions)?);
    }
    Ok(vec![Line::measured(
        "transfers",
        format!(
            "a block of {count} signed transfers over {accounts} accounts, root and synced commit included, against strict verification of the same signatures alone on all cores"
        ),
        figure(rate(count, executing), "tx/s"),
        figure(rate(count, verifying), "tx/s"),
        Bar::RatioAtLeast(0.5),
    )])
}

fn genesis(accounts: usize, count: usize) -> io_types::genesis::GenesisSpec {
    let of = |account| chains::balance(account, Asset::Io, 1_000 * IO);
    let mut balances = Vec::with_capacity(accounts);
    for number in 0..count {
        balances.push(of(chains::account(&chains::key("payer", number))));
        balances.push(of(chains::account(&chains::key("payee", number))));
    }
    // Nobody signs for these, so they need not be keys.
    let strangers = (balances.len()..accounts).map(|n| AccountId(sha256(&n.to_be_bytes()).0));
    balances.extend(strangers.map(of));
    let validators = (1..=4).map(|number| {
        let key = chains::account(&chains::key("consensus", number));
        chains::validator(number, Hash(key.0), Hash([1; 32]))
    });
    chains::genesis(GENESIS_MS, validators.collect(), balances)
}

fn round(number: usize, count: usize) -> Round {
    let (mut transactions, mut bare) = (Vec::new(), Vec::new());
    for place in 0..count {
        let key = chains::key("payer", place);
        let transfer = Action::Transfer(Transfer {
            to: chains::account(&chains::key("payee", place)),
            asset: Asset::Io,
            amount: Amount::new(1),
            client_id: number as u64,
        });
        let bytes = chains::signed(&key, number as u64, vec![transfer]);
        let Transaction { body, signature } =
            Transaction::decode(&bytes).expect("it was encoded above");
        bare.push((
            body.signer.0,
            body.sign_bytes(),
            Signature::from_bytes(&signature.0),
        ));
        transactions.push(bytes);
    }
    Round { transactions, bare }
}

fn verify(round: &Round) -> bool {
    round.bare.par_iter().all(|(key, message, signature)| {
        VerifyingKey::from_bytes(key).is_ok_and(|key| key.verify_strict(message, signature).is_ok())
    })
}

/// One decided block, from its bytes to its durable commit.
fn execute(
    consensus: &mut dyn Consensus,
    number: usize,
    transactions: Vec<Vec<u8>>,
) -> anyhow::Result<Duration> {
    let height = i64::try_from(number + 2)?;
    let txs = chains::with_commit(transactions);
    let request = RequestFinalizeBlock {
        txs: txs.into_iter().map(Bytes::from).collect(),
        hash: Bytes::from(vec![1; 32]),
        height,
        time: Some(Timestamp {
            seconds: i64::try_from(GENESIS_MS / 1_000)? + height,
            nanos: 0,
        }),
        proposer_address: Bytes::from(vec![0; 20]),
        ..RequestFinalizeBlock::default()
    };
    let (took, answer) = once(|| {
        let answer = consensus.finalize_block(request)?;
        consensus.commit()?;
        Ok::<_, io_node::abci::Stop>(answer)
    });
    let answer = answer.context("the application")?;
    for result in answer.tx_results {
        ensure!(result.code == 0, "a transfer was rejected: {}", result.log);
    }
    Ok(took)
}
