//! Inputs of the targets that need the node and its clients.

use io_fuzz::abci::{frame, stamp};
use io_fuzz::rpc::endpoint_answers;
use io_fuzz::scene::{genesis, scene};
use io_types::consensus::{Block, VoteFlag};
use serde_json::json;
use tendermint_proto::v0_38::abci::{
    CommitInfo, ExtendedCommitInfo, ExtendedVoteInfo, RequestApplySnapshotChunk, RequestCheckTx,
    RequestCommit, RequestEcho, RequestExtendVote, RequestFinalizeBlock, RequestFlush, RequestInfo,
    RequestListSnapshots, RequestLoadSnapshotChunk, RequestOfferSnapshot, RequestPrepareProposal,
    RequestProcessProposal, RequestQuery, RequestVerifyVoteExtension, Validator, VoteInfo,
    request::Value,
};

use super::Inputs;

fn commit(block: &Block) -> CommitInfo {
    let votes = block.last_commit.votes.iter().map(|vote| VoteInfo {
        validator: Some(Validator {
            address: vote.validator.0.to_vec().into(),
            power: i64::try_from(vote.power).unwrap(),
        }),
        block_id_flag: match vote.flag {
            VoteFlag::Absent => 1,
            VoteFlag::Commit => 2,
            VoteFlag::Nil => 3,
        },
    });
    CommitInfo {
        round: i32::try_from(block.last_commit.round).unwrap(),
        votes: votes.collect(),
    }
}

fn finalize(block: &Block) -> RequestFinalizeBlock {
    RequestFinalizeBlock {
        txs: block
            .transactions
            .iter()
            .map(|tx| tx.clone().into())
            .collect(),
        decided_last_commit: Some(commit(block)),
        hash: block.hash.0.to_vec().into(),
        height: i64::try_from(block.height.0).unwrap(),
        time: Some(stamp(block.time.0)),
        proposer_address: block.proposer.0.to_vec().into(),
        ..RequestFinalizeBlock::default()
    }
}

fn process(block: &Block) -> RequestProcessProposal {
    let RequestFinalizeBlock {
        txs,
        decided_last_commit,
        hash,
        height,
        time,
        proposer_address,
        ..
    } = finalize(block);
    RequestProcessProposal {
        txs,
        proposed_last_commit: decided_last_commit,
        hash,
        height,
        time,
        proposer_address,
        ..RequestProcessProposal::default()
    }
}

fn prepare(block: &Block) -> RequestPrepareProposal {
    let RequestFinalizeBlock {
        txs,
        height,
        time,
        proposer_address,
        ..
    } = finalize(block);
    let votes = commit(block)
        .votes
        .into_iter()
        .map(|vote| ExtendedVoteInfo {
            validator: vote.validator,
            vote_extension: vec![1, 0, 0, 0, 0, 0, 0, 0].into(),
            extension_signature: vec![7; 64].into(),
            block_id_flag: vote.block_id_flag,
        });
    RequestPrepareProposal {
        max_tx_bytes: 100_000,
        txs: txs.into_iter().skip(1).collect(),
        local_last_commit: Some(ExtendedCommitInfo {
            round: 0,
            votes: votes.collect(),
        }),
        height,
        time,
        proposer_address,
        ..RequestPrepareProposal::default()
    }
}

pub(super) fn abci() -> Inputs {
    let spec = genesis();
    let mut inputs = Inputs::new();
    let mut singles = vec![
        Value::Echo(RequestEcho {
            message: "hello".to_owned(),
        }),
        Value::Flush(RequestFlush {}),
        Value::Info(RequestInfo::default()),
        Value::Commit(RequestCommit {}),
        Value::ListSnapshots(RequestListSnapshots {}),
        Value::OfferSnapshot(RequestOfferSnapshot::default()),
        Value::LoadSnapshotChunk(RequestLoadSnapshotChunk::default()),
        Value::ApplySnapshotChunk(RequestApplySnapshotChunk {
            chunk: vec![1].into(),
            ..Default::default()
        }),
        Value::ExtendVote(RequestExtendVote {
            height: 1,
            ..Default::default()
        }),
    ];
    for extension in [vec![], vec![1, 0, 0, 0, 0, 0, 0, 0], vec![2, 0]] {
        singles.push(Value::VerifyVoteExtension(RequestVerifyVoteExtension {
            vote_extension: extension.into(),
            validator_address: spec.validators[0].address.0.to_vec().into(),
            height: 1,
            ..Default::default()
        }));
    }
    for (path, data, prove) in [
        ("/row/chain", vec![], false),
        ("/row/accounts", vec![0; 34], true),
        ("/row/params", vec![], true),
        ("/none", vec![], false),
    ] {
        singles.push(Value::Query(RequestQuery {
            path: path.to_owned(),
            data: data.into(),
            prove,
            ..Default::default()
        }));
    }
    let blocks = &scene().blocks;
    let mut road = Vec::new();
    for block in blocks.iter().take(4) {
        let mut steps = vec![
            Value::PrepareProposal(prepare(block)),
            Value::ProcessProposal(process(block)),
            Value::FinalizeBlock(finalize(block)),
            Value::Commit(RequestCommit {}),
        ];
        for tx in block.transactions.iter().skip(1) {
            steps.insert(
                0,
                Value::CheckTx(RequestCheckTx {
                    tx: tx.clone().into(),
                    ..Default::default()
                }),
            );
        }
        if block.height.0 == 1 {
            inputs.extend(
                steps
                    .iter()
                    .cloned()
                    .map(frame)
                    .filter(|bytes| bytes.len() < 4000),
            );
        }
        road.extend(steps.into_iter().flat_map(frame));
        inputs.push(road.clone());
    }
    // A block that is decided twice, and one that is left out.
    for heights in [[0, 0], [0, 2]] {
        let decided = heights.map(|place: usize| {
            [
                Value::FinalizeBlock(finalize(&blocks[place])),
                Value::Commit(RequestCommit {}),
            ]
        });
        inputs.push(decided.into_iter().flatten().flat_map(frame).collect());
    }
    inputs.push(singles.iter().cloned().flat_map(frame).collect());
    inputs.extend(singles.into_iter().map(frame));
    inputs.retain(|bytes| bytes.len() < 24_000);
    inputs
}

pub(super) fn rpc() -> Inputs {
    let said = |result: serde_json::Value| {
        let text = json!({"jsonrpc": "2.0", "id": "@ID@", "result": result}).to_string();
        text.replace("\"@ID@\"", "@ID@").into_bytes()
    };
    let at = |value: serde_json::Value| said(json!({"context": {"slot": 9}, "value": value}));
    let key = "11111111111111111111111111111111";
    let account =
        json!({"lamports": 5, "owner": key, "data": ["AAEC", "base64"], "executable": false});
    let solana = [
        at(json!([account, null])),
        at(json!({"blockhash": key, "lastValidBlockHeight": 300})),
        said(json!(7)),
        said(json!(key)),
        said(json!("ok")),
        said(json!({"solana-core": "3.0.0"})),
        at(json!(17)),
        at(json!({"amount": "12", "decimals": 6, "uiAmount": null})),
        said(json!(890_880)),
        at(json!([{"slot": 3, "err": null, "confirmationStatus": "finalized"}, null])),
        at(json!([account])),
        said(json!(8)),
    ];
    let mut inputs: Inputs = (0_u8..)
        .zip(solana)
        .map(|(what, body)| [&[6, what], body.as_slice()].concat())
        .collect();
    let refused = json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32005, "message": "behind", "data": {"err": {"InstructionError": [1, {"Custom": 6003}]}, "logs": ["a"]}}});
    inputs.push([&[6, 2], refused.to_string().as_bytes()].concat());
    inputs.push([&[6, 2, 1], "no".as_bytes()].concat());
    for (what, result) in [
        (0_u8, json!({"code": 0, "log": "", "hash": "00"})),
        (0, json!({"code": 105, "log": "lane 0"})),
        (0, json!({})),
        (1, json!({"signed_header": {"header": {}, "commit": {}}})),
        (2, json!({"validators": [{"address": "00"}], "total": "1"})),
        (2, json!({"validators": [{}], "total": "9"})),
        (3, json!({"sync_info": {"catching_up": false}})),
    ] {
        inputs.push([&[4, what], said(result).as_slice()].concat());
    }
    let params = io_types::Params::default();
    let spec = genesis();
    for (what, body) in [
        (2_u8, serde_json::to_string(&params).unwrap()),
        (3, serde_json::to_string(&spec.catalogue).unwrap()),
        (
            1,
            r#"{"code":206,"error":"sender and receiver are the same account"}"#.to_owned(),
        ),
        (8, r#"{"items":[],"next":null}"#.to_owned()),
        (
            17,
            r#"{"hash":"00","height":3,"code":0,"log":"","events":[]}"#.to_owned(),
        ),
    ] {
        inputs.push([&[5, what], body.as_bytes()].concat());
        inputs.push([&[5, what, 3], body.as_bytes()].concat());
    }
    inputs.push(
        b"\x00\x02id: 7\nevent: tx\ndata: {\"a\":1}\ndata: more\n\n: alive\r\n\r\ndata:x\r\r"
            .to_vec(),
    );
    let row = json!({"table": "accounts", "key": "00", "value": "01", "height": 4, "app_hash": "00".repeat(32), "proof": "CgQKAhIACgQKAhIA", "signed_header": null, "validators": null});
    inputs.push([&[1], row.to_string().as_bytes()].concat());
    for script in [
        [2, 0, 0, 0, 0, 0, 0, 0],
        [2, 1, 3, 0, 0, 0, 0, 0],
        [2, 0, 0, 1, 0x80, 90, 1, 1],
        [2, 1, 0, 1, 0x81, 130, 0, 4],
        [2, 0, 2, 2, 0x82, 5, 0, 1],
    ] {
        inputs.push(script.to_vec());
    }
    let answers = endpoint_answers();
    inputs.push([&[3], answers[..2].join(&0).as_slice()].concat());
    inputs.push([&[3], answers.join(&0).as_slice()].concat());
    inputs
}
