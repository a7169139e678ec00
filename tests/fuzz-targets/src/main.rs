//! Writes inputs to begin from into `tests/fuzz/corpus`: real transactions, votes, frames and answers.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a tool may stop at the first surprise"
)]

use std::path::Path;

use io_fuzz::scene::scene;
use io_types::codec::sha256;
use io_types::extension::{INJECTED_TAG, InjectedCommit};
use io_types::stream::{VerifierFrame, WorkerFrame};
use io_types::{AccountId, Action, ChallengeId, DeviceId, Hash, Signature, Transaction};

#[cfg(feature = "network")]
mod network;

type Inputs = Vec<Vec<u8>>;

fn main() -> std::io::Result<()> {
    let write = |target: &str, inputs: Inputs| -> std::io::Result<()> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../fuzz/corpus")
            .join(target);
        std::fs::create_dir_all(&folder)?;
        for input in inputs {
            let name = hex::encode(&sha256(&input).0[..8]);
            std::fs::write(folder.join(name), &input)?;
        }
        Ok(())
    };
    write("transaction", transactions())?;
    write("extension", extensions())?;
    write("stream", streams())?;
    #[cfg(feature = "network")]
    {
        write("abci", network::abci())?;
        write("rpc", network::rpc())?;
    }
    Ok(())
}

/// Two small transactions for each kind of action, and what is wrong in every other way.
fn transactions() -> Inputs {
    let mut inputs = vec![InjectedCommit::default().encode(), Vec::new()];
    let mut seen = std::collections::BTreeMap::new();
    let all = scene()
        .blocks
        .iter()
        .flat_map(|block| &block.transactions[1..]);
    for bytes in all {
        let Ok(transaction) = Transaction::decode(bytes) else {
            continue;
        };
        let names: Vec<&str> = transaction.body.actions.iter().map(Action::name).collect();
        let count = seen.entry(names).or_insert(0);
        if *count < 2 && bytes.len() < 3000 {
            *count += 1;
            inputs.push(bytes.clone());
        }
    }
    inputs
}

fn extensions() -> Inputs {
    let mut inputs = Inputs::new();
    for block in scene().blocks.iter().step_by(6) {
        let bytes = &block.transactions[0];
        let Ok(commit) = InjectedCommit::decode(bytes) else {
            continue;
        };
        let body = &bytes[INJECTED_TAG.len()..];
        inputs.push([&[1], body].concat());
        inputs.extend(
            commit
                .votes
                .iter()
                .take(2)
                .map(|vote| [&[0], vote.extension.as_slice()].concat()),
        );
    }
    // Scripts: everybody honest, with every part; then with one fault.
    let honest = [9, 7, 0xd3, 0, 1, 0, 16, 0, 5, 6, 7, 8, 9, 9];
    for fault in 0..12_u8 {
        let mut script = vec![2, 40, 0, 1];
        for validator in 0..4 {
            let mut vote = honest;
            if validator == fault % 4 {
                vote[usize::from(fault)] = fault;
            }
            script.extend(vote);
        }
        script.extend([9, 9, 9, fault, 1, 2, 3, 4, 5]);
        let once = script[1..].to_vec();
        script.extend(once);
        inputs.push(script);
    }
    inputs
}

fn streams() -> Inputs {
    let challenge = ChallengeId(3);
    let worker = [
        WorkerFrame::Hello {
            version: 1,
            device: DeviceId(5),
            key: AccountId([4; 32]),
            signature: Signature([6; 64]),
        },
        WorkerFrame::PhaseA {
            challenge,
            roots: vec![Hash([1; 32])],
        },
        WorkerFrame::Committed {
            challenge,
            commits: vec![Hash([2; 32]); 2],
        },
        WorkerFrame::Openings {
            challenge,
            processor: 0,
            part: 1,
            parts: 2,
            bytes: vec![7; 40],
        },
        WorkerFrame::Unable {
            challenge,
            why: "busy".to_owned(),
        },
        WorkerFrame::Alive,
    ];
    let verifier = [
        VerifierFrame::Hello {
            version: 1,
            verifier: AccountId([4; 32]),
            nonce: Hash([5; 32]),
        },
        VerifierFrame::Welcome,
        VerifierFrame::Nonce {
            challenge,
            first: Hash([1; 32]),
        },
        VerifierFrame::Draw {
            challenge,
            second: Hash([2; 32]),
        },
        VerifierFrame::Closing {
            why: "why".to_owned(),
        },
        VerifierFrame::Alive,
    ];
    let mut inputs = Inputs::new();
    for frame in worker {
        let bytes = io_types::codec::encode(&frame);
        inputs.push([&[0], bytes.as_slice()].concat());
        // The same in a WebSocket frame with a mask of zeros, then a close.
        let length = u8::try_from(bytes.len().min(125)).unwrap();
        let head = [2, 0x82, 0x80 | length, 0, 0, 0, 0];
        inputs.push(
            [
                &head[..],
                &bytes[..usize::from(length)],
                &[0x88, 0x80, 0, 0, 0, 0],
            ]
            .concat(),
        );
    }
    for frame in verifier {
        let bytes = io_types::codec::encode(&frame);
        inputs.push([&[1], bytes.as_slice()].concat());
        let head = [3, 0x82, u8::try_from(bytes.len()).unwrap()];
        inputs.push([&head[..], &bytes, &[0x89, 0, 0x88, 0]].concat());
    }
    let (length, proof) = io_fuzz::stream::samples();
    if proof.len() < 8000 {
        inputs.push([&[4], proof.as_slice()].concat());
    }
    // A conversation in pieces of half a frame, one in one piece, one with an edit, one from the start again.
    let pieces = vec![2; (length >> 19) + 1];
    inputs.push([&[5, 0, 1], pieces.as_slice()].concat());
    inputs.push(vec![5, 1, 9, 0, 0, 0, 0, 0, 0, 0, 255, 1, 2, 2, 2, 2, 2, 2]);
    inputs.push(vec![5, 0, 1, 0, 50, 1, 9, 9, 18, 2, 2, 2, 2, 2]);
    inputs.push(vec![5, 0, 1, 32, 4, 64, 9, 9, 128, 3]);
    inputs
}
