//! Bytes that may change only together with the number in the file `CONSENSUS_VERSION`: one text for each kind.
//!
//! The fixed chain lies in the repository as it was once made: its blocks are executed again, so that neither a change of
//! the workload nor of anything else but the rules of the chain can change its hashes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use io_settlement::batch::{Kind, SettleBody, chain_id_hash, message};
use io_settlement::deposit::{DepositRecord, first_hash, next_hash};
use io_settlement::payout::{Tree, leaf};
use io_state_machine::tables;
use io_storage::{Leaf, Snapshot as _};
use io_types::codec::{decode, encode, sha256};
use io_types::consensus::{Block, CommitVote, LastCommit, VoteFlag};
use io_types::extension::{InjectedCommit, VoteExtension, extension_sign_bytes};
use io_types::genesis::GenesisSpec;
use io_types::stream::{VerifierFrame, WorkerFrame, hello_bytes, nonce_commitment};
use io_types::{
    AccountId, BlockTime, ChallengeId, DeviceId, Hash, Height, Rejection, Signature, Transaction,
    ValidatorAddress,
};

use crate::node::Node;
use crate::run::{Setup, run};
use crate::{Check, text};

/// Longest encoding that is written out; of longer ones length and hash.
const SHOWN_MAX: usize = 400;
/// Largest file of blocks, bytes.
const CHAIN_MAX: usize = 4_000_000;

type VoteParts = (ValidatorAddress, u64, u8);
type BlockParts = (
    (u64, u64, Hash, ValidatorAddress, u32),
    Vec<VoteParts>,
    Vec<Vec<u8>>,
);

/// A chain as it lies in the repository.
#[derive(Clone, Debug)]
pub struct FixedChain {
    /// Its genesis.
    pub genesis: GenesisSpec,
    /// Its blocks.
    pub blocks: Vec<Block>,
}

impl FixedChain {
    /// Makes the chain of a seed.
    pub fn record(seed: u64) -> Check<Self> {
        let mut setup = Setup::new(seed);
        setup.blocks = 170;
        setup.checks = false;
        let report = run(&setup);
        if let Some(failure) = report.failure {
            return Err(failure.to_string());
        }
        Ok(Self {
            genesis: crate::world::World::new(seed).spec,
            blocks: report.blocks,
        })
    }

    /// The bytes of its blocks.
    pub fn to_bytes(&self) -> Vec<u8> {
        let parts: Vec<BlockParts> = self.blocks.iter().map(parts).collect();
        encode(&parts)
    }

    /// Reads [`Self::to_bytes`].
    pub fn from_bytes(genesis: GenesisSpec, bytes: &[u8]) -> Check<Self> {
        let parts: Vec<BlockParts> = decode(bytes, CHAIN_MAX).map_err(text)?;
        let blocks = parts.into_iter().map(block).collect::<Check<_>>()?;
        Ok(Self { genesis, blocks })
    }

    /// Executes it.
    pub fn execute(&self) -> Check<Executed> {
        let node = Node::new(&self.genesis, true)?;
        let mut executed = Executed::default();
        for block in &self.blocks {
            let outcome = node.machine().finalize(block).map_err(text)?;
            node.machine().commit(|_patch| {}).map_err(text)?;
            executed.hashes.push((block.height, outcome.app_hash));
            for (bytes, outcome) in block.transactions.iter().zip(&outcome.transactions).skip(1) {
                *executed.codes.entry(outcome.code).or_default() += 1;
                if outcome.code == 0 {
                    let body = Transaction::decode(bytes).map_err(text)?.body;
                    for action in body.actions {
                        let name = action.name().to_owned();
                        executed
                            .actions
                            .entry(name)
                            .or_insert_with(|| encode(&action));
                    }
                }
            }
            let view = node.machine().store().snapshot();
            for spec in tables::SPECS {
                if executed.rows.contains_key(spec.name) {
                    continue;
                }
                view.scan(spec.id, &[], None, &mut |key, value| {
                    let row = (key.to_vec(), value.to_vec());
                    executed.rows.insert(spec.name, row);
                    std::ops::ControlFlow::Break(())
                })
                .map_err(text)?;
            }
        }
        Ok(executed)
    }
}

/// What came of the fixed chain.
#[derive(Clone, Debug, Default)]
pub struct Executed {
    hashes: Vec<(Height, Hash)>,
    codes: BTreeMap<u32, u64>,
    actions: BTreeMap<String, Vec<u8>>,
    rows: BTreeMap<&'static str, (Vec<u8>, Vec<u8>)>,
}

impl Executed {
    /// Takes in another chain's.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.hashes.extend(other.hashes);
        for (code, count) in other.codes {
            *self.codes.entry(code).or_default() += count;
        }
        for (name, bytes) in other.actions {
            self.actions.entry(name).or_insert(bytes);
        }
        for (name, row) in other.rows {
            self.rows.entry(name).or_insert(row);
        }
        self
    }

    /// The actions that were accepted: name, bytes.
    pub fn actions(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.actions
    }

    /// App hashes and result codes.
    pub fn chain(&self) -> String {
        let mut out = String::new();
        for (height, hash) in &self.hashes {
            line(&mut out, format!("{height} {hash}"));
        }
        for (code, count) in &self.codes {
            line(&mut out, format!("code {code}: {count}"));
        }
        out
    }

    /// One encoding of each action and of a row of each table: the first of the chain.
    pub fn encodings(&self) -> String {
        let mut out = String::new();
        for (name, bytes) in &self.actions {
            line(&mut out, format!("action {name} {}", shown(bytes)));
        }
        for (name, (key, value)) in &self.rows {
            line(
                &mut out,
                format!("row {name} {} {}", hex::encode(key), shown(value)),
            );
        }
        out
    }
}

fn line(out: &mut String, text: impl std::fmt::Display) {
    // Writing to a string cannot fail.
    if writeln!(out, "{text}").is_err() {
        out.clear();
    }
}

fn shown(bytes: &[u8]) -> String {
    if bytes.len() <= SHOWN_MAX {
        return hex::encode(bytes);
    }
    format!("{} bytes, sha256 {}", bytes.len(), sha256(bytes))
}

/// The list of tables: number, name, kind of leaf, in the order of the app hash.
pub fn table_list() -> String {
    let mut out = String::new();
    for spec in tables::SPECS {
        let leaf = match spec.leaf {
            Leaf::Row => "row",
            Leaf::Page => "page",
        };
        line(&mut out, format!("{} {} {leaf}", spec.id, spec.name));
    }
    out
}

/// Every rejection: number and name.
pub fn rejection_list() -> String {
    let mut out = String::new();
    for (code, name, _text) in Rejection::ALL {
        line(&mut out, format!("{code} {name}"));
    }
    out
}

/// What chain, program and relayer agree on.
pub fn bridge_bytes() -> String {
    let chain = chain_id_hash("golden-1");
    let record = DepositRecord {
        n: 3,
        asset: 1,
        amount: 5_000_000,
        account: [4; 32],
        depositor: [5; 32],
        slot: 77,
    };
    let first = first_hash(&[1; 32], &[2; 32], &chain, &[[3; 32], [6; 32]]);
    let mut leaves = Vec::new();
    for (asset, number) in io_settlement::Asset::ALL.into_iter().zip([7_u8, 8]) {
        leaves.push(leaf(
            &chain,
            asset,
            &[number; 32],
            1_000 * u64::from(number),
        ));
    }
    leaves.push(leaf(&chain, io_settlement::Asset::Io, &[9; 32], 1));
    let payout = |root, total| io_settlement::batch::Payout { root, total };
    let body = SettleBody {
        cluster_genesis: [1; 32],
        program_id: [2; 32],
        chain_id: chain,
        set_epoch: 1,
        number: 2,
        height: 3,
        app_hash: [10; 32],
        epoch: 4,
        payouts: [payout([11; 32], 5), payout([12; 32], 6)],
        emitted: 7,
        reminted: 8,
        burned: 9,
        credit_burned: 10,
        stake_target: 11,
        deposit_number: 12,
        deposit_hash: [13; 32],
        market_hash: [14; 32],
        next_set: [15; 32],
    };
    let mut out = String::new();
    let mut put =
        |name: &str, bytes: &[u8]| line(&mut out, format!("{name} {}", hex::encode(bytes)));
    put("chain id hash", &chain);
    put("deposit record", &record.to_bytes());
    put("first deposit hash", &first);
    put("next deposit hash", &next_hash(&first, &record));
    for (place, leaf) in leaves.iter().enumerate() {
        put(&format!("payout leaf {place}"), leaf);
    }
    put("payout root", &Tree::new(leaves).root());
    put("batch body", &body.to_bytes());
    put("batch hash", &body.hash());
    put("batch message", &message(Kind::Settle, &body.hash()));
    out
}

/// Extensions, the injected commit, frames between worker and verifier, and what is signed in them.
pub fn wire_bytes(chain: &FixedChain) -> Check<String> {
    let mut out = String::new();
    let longest = chain
        .blocks
        .iter()
        .filter_map(|block| InjectedCommit::decode(block.transactions.first()?).ok())
        .flat_map(|commit| commit.votes)
        .max_by_key(|vote| vote.extension.len())
        .ok_or("no block has an extension")?;
    let again = VoteExtension::decode(&longest.extension).map_err(text)?;
    let mut put =
        |name: &str, bytes: &[u8]| line(&mut out, format!("{name} {}", hex::encode(bytes)));
    put("extension", &again.encode());
    put(
        "extension sign bytes",
        &extension_sign_bytes("golden-1", 5, 1, &[1, 2, 3]),
    );
    put(
        "injected commit",
        &InjectedCommit {
            round: 1,
            votes: vec![longest],
            deposits: vec![vec![1, 2]],
            last_settle: Some(vec![3]),
        }
        .encode(),
    );
    let (challenge, device) = (ChallengeId(3), DeviceId(4));
    let (key, hash) = (AccountId([5; 32]), Hash([6; 32]));
    let frames = [
        WorkerFrame::Hello {
            version: 1,
            device,
            key,
            signature: Signature([7; 64]),
        },
        WorkerFrame::PhaseA {
            challenge,
            roots: vec![hash],
        },
        WorkerFrame::Committed {
            challenge,
            commits: vec![hash],
        },
        WorkerFrame::Openings {
            challenge,
            processor: 1,
            part: 2,
            parts: 3,
            bytes: vec![8, 9],
        },
        WorkerFrame::Unable {
            challenge,
            why: "busy".to_owned(),
        },
        WorkerFrame::Alive,
    ];
    for (number, frame) in frames.iter().enumerate() {
        put(&format!("worker frame {number}"), &encode(frame));
    }
    let why = "late".to_owned();
    let frames = [
        VerifierFrame::Hello {
            version: 1,
            verifier: key,
            nonce: hash,
        },
        VerifierFrame::Welcome,
        VerifierFrame::Nonce {
            challenge,
            first: hash,
        },
        VerifierFrame::Draw {
            challenge,
            second: hash,
        },
        VerifierFrame::Closing { why },
        VerifierFrame::Alive,
    ];
    for (number, frame) in frames.iter().enumerate() {
        put(&format!("verifier frame {number}"), &encode(frame));
    }
    put("hello bytes", &hello_bytes("golden-1", &key, &hash));
    put(
        "nonce commitment",
        &nonce_commitment(challenge, &key, &hash, &hash).0,
    );
    Ok(out)
}

fn parts(block: &Block) -> BlockParts {
    let votes = block.last_commit.votes.iter().map(|vote| {
        let flag = match vote.flag {
            VoteFlag::Absent => 1,
            VoteFlag::Commit => 2,
            VoteFlag::Nil => 3,
        };
        (vote.validator, vote.power, flag)
    });
    let head = (
        block.height.0,
        block.time.0,
        block.hash,
        block.proposer,
        block.last_commit.round,
    );
    (head, votes.collect(), block.transactions.clone())
}

fn block(parts: BlockParts) -> Check<Block> {
    let ((height, time, hash, proposer, round), votes, transactions) = parts;
    let votes = votes.into_iter().map(|(validator, power, flag)| {
        let flag = match flag {
            1 => VoteFlag::Absent,
            2 => VoteFlag::Commit,
            3 => VoteFlag::Nil,
            other => return Err(format!("{other} is no vote flag")),
        };
        Ok(CommitVote {
            validator,
            power,
            flag,
        })
    });
    Ok(Block {
        height: Height(height),
        time: BlockTime(time),
        hash,
        proposer,
        last_commit: LastCommit {
            round,
            votes: votes.collect::<Check<_>>()?,
        },
        transactions,
    })
}
