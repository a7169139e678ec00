//! A small chain's tree and header, written out by hand, and every way of changing them.

use ed25519_dalek::{Signer as _, SigningKey};
use io_types::amount::Amount;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tendermint::account;
use tendermint::block::parts;
use tendermint::block::{CommitSig, Header, header::Version};
use tendermint::vote::{Power, Type, ValidatorIndex, Vote};
use tendermint::{AppHash, PublicKey, Signature, Time, block};

use super::*;

type Bytes32 = [u8; 32];

/// A field of a proof as it travels, to be changed.
type Change = fn(&mut ProvenRow);

fn h(parts: &[&[u8]]) -> Bytes32 {
    Sha256::digest(parts.concat()).into()
}

/// The leaf of a row, by the formula of the chain's tables; keys here are shorter than 128 bytes.
fn leaf(key: &[u8], value: &[u8]) -> Bytes32 {
    let len = u8::try_from(key.len()).unwrap();
    h(&[&[0, len], key, &[32], &h(&[value])])
}

fn inner(left: &Bytes32, right: &Bytes32) -> Bytes32 {
    h(&[&[1], left, right])
}

fn step(prefix: &[&[u8]], suffix: &[u8]) -> InnerOp {
    InnerOp {
        hash: HashOp::Sha256.into(),
        prefix: prefix.concat(),
        suffix: suffix.to_vec(),
    }
}

fn exist(key: &[u8], value: &[u8], path: Vec<InnerOp>) -> CommitmentProof {
    CommitmentProof {
        proof: Some(commitment_proof::Proof::Exist(ExistenceProof {
            key: key.to_vec(),
            value: value.to_vec(),
            leaf: Some(leaf_op()),
            path,
        })),
    }
}

fn account_value() -> Vec<u8> {
    io_types::codec::encode(&AccountRow {
        balance: 1_250_000_000,
        held: Amount::new(7),
    })
}

/// Row 1 of three in table 10, "accounts", the second of two tables; proven at height 4.
fn row_and_proofs() -> (ProvenRow, CommitmentProof, CommitmentProof) {
    let (key, value) = ([5; 34], account_value());
    let others = [leaf(b"x", b"1"), leaf(b"y", b"2")];
    let (first, top) = (leaf(&key, &value), inner(&others[1], &[0; 32]));
    let root = inner(&inner(&others[0], &first), &top);
    let table_root = h(&[&[3, 10, 2], &root]);
    let path = vec![
        step(&[&[1], &others[0]], &[]),
        step(&[&[1]], &top),
        step(&[&[3, 10, 2]], &[]),
    ];
    let lower = exist(&key, &value, path);
    let twin = leaf(b"params", &[9; 32]);
    let upper = exist(b"accounts", &table_root, vec![step(&[&[1], &twin], &[])]);
    let app_hash = inner(&twin, &leaf(b"accounts", &table_root));
    let row = ProvenRow {
        table: "accounts".to_owned(),
        key: hex::encode(key),
        value: hex::encode(value),
        height: Height(4),
        app_hash: Hash(app_hash),
        proof: encoded(vec![lower.clone(), upper.clone()]),
        signed_header: None,
        validators: None,
    };
    (row, lower, upper)
}

fn encoded(proofs: Vec<CommitmentProof>) -> String {
    let bytes = MerkleProof { proofs }.encode_to_vec();
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes)
}

fn keys() -> Vec<SigningKey> {
    (1..=4)
        .map(|seed| SigningKey::from_bytes(&[seed; 32]))
        .collect()
}

fn info(key: &SigningKey) -> validator::Info {
    let public = PublicKey::from_raw_ed25519(key.verifying_key().as_bytes()).unwrap();
    validator::Info::new(public, Power::from(10_u32))
}

fn header_of(app_hash: Hash, height: u32) -> Header {
    let set = validator::Set::without_proposer(keys().iter().map(info).collect());
    Header {
        version: Version { block: 11, app: 1 },
        chain_id: "test".parse().unwrap(),
        height: block::Height::from(height),
        time: Time::from_unix_timestamp(1_763_717_400, 0).unwrap(),
        last_block_id: None,
        last_commit_hash: None,
        data_hash: None,
        validators_hash: set.hash(),
        next_validators_hash: set.hash(),
        consensus_hash: tendermint::Hash::Sha256([1; 32]),
        app_hash: AppHash::try_from(app_hash.0.to_vec()).unwrap(),
        last_results_hash: None,
        evidence_hash: None,
        proposer_address: account::Id::new([2; 20]),
    }
}

/// The header signed by the first `signers` validators, and the set, as CometBFT's RPC gives them.
fn signed(header: &Header, signers: usize) -> (Value, Value) {
    let mut keys = keys();
    // Commits list validators in the order of the set.
    keys.sort_by_key(|key| info(key).address);
    let block_id = block::Id {
        hash: header.hash(),
        part_set_header: parts::Header::new(1, tendermint::Hash::Sha256([3; 32])).unwrap(),
    };
    let signature_of = |(index, key): (usize, &SigningKey)| {
        if index >= signers {
            return CommitSig::BlockIdFlagAbsent;
        }
        let vote = Vote {
            vote_type: Type::Precommit,
            height: header.height,
            round: block::Round::default(),
            block_id: Some(block_id),
            timestamp: Some(header.time),
            validator_address: info(key).address,
            validator_index: ValidatorIndex::try_from(index).unwrap(),
            signature: None,
            extension: Vec::new(),
            extension_signature: None,
        };
        let bytes = vote.into_signable_vec(header.chain_id.clone());
        CommitSig::BlockIdFlagCommit {
            validator_address: info(key).address,
            timestamp: header.time,
            signature: Signature::new(key.sign(&bytes).to_bytes()).unwrap(),
        }
    };
    let commit = block::Commit {
        height: header.height,
        round: block::Round::default(),
        block_id,
        signatures: keys.iter().enumerate().map(signature_of).collect(),
    };
    let header = SignedHeader::new(header.clone(), commit).unwrap();
    let list: Vec<Value> = keys
        .iter()
        .map(|key| {
            let info = serde_json::to_value(info(key)).unwrap();
            json!({"address": info["address"], "pub_key": info["pub_key"], "voting_power": "10", "proposer_priority": "-3"})
        })
        .collect();
    let validators = json!({"block_height": "5", "validators": list, "count": "4", "total": "4"});
    (serde_json::to_value(header).unwrap(), validators)
}

fn proven() -> ProvenRow {
    let (mut row, _, _) = row_and_proofs();
    let (header, validators) = signed(&header_of(row.app_hash, 5), 3);
    row.signed_header = Some(header);
    row.validators = Some(validators);
    row
}

fn validators_hash() -> Hash {
    let set = validator::Set::without_proposer(keys().iter().map(info).collect());
    Hash(set.hash().as_bytes().try_into().unwrap())
}

#[test]
fn a_row_leads_to_a_header_that_trusted_validators_signed() {
    let trust = Trust {
        chain_id: Some("test".to_owned()),
        validators_hash: Some(validators_hash()),
    };
    let (value, header) = check(&proven(), &trust).unwrap();
    assert_eq!(value, account_value());
    let shown = value_json("accounts", &value).unwrap();
    assert_eq!(shown, json!({"balance": "1250000000", "held": "7"}));
    let expected = CheckedHeader {
        chain_id: "test".to_owned(),
        height: Height(5),
        time: "2025-11-21T09:30:00Z".to_owned(),
        validators_hash: validators_hash(),
        validators: 4,
    };
    assert_eq!(header, expected);

    // A bare list of validators does as well.
    let mut bare = proven();
    bare.validators = bare.validators.map(|set| set["validators"].clone());
    assert_eq!(check(&bare, &trust), Ok((value, header)));
}

/// The example of `docs/proofs.md`.
#[test]
fn the_documented_example_holds() {
    let bytes = |text: &str| hex::decode(text).unwrap();
    let path = |steps: &[(&str, &str)]| -> Vec<InnerOp> {
        let op = |(prefix, suffix): &(&str, &str)| step(&[&bytes(prefix)], &bytes(suffix));
        steps.iter().map(op).collect()
    };
    let lower = path(&[
        (
            "01c2ad13cf4a0dccc614be7f18556d22592c36f7d6e65db7d45bd926c41b3b3468",
            "",
        ),
        (
            "01",
            "83b80f7cb0a7fb52f6d917fdf119daab0ea44c8a41b32f148588dfb704813fde",
        ),
        ("030102", ""),
    ]);
    let upper = path(&[
        (
            "01",
            "18fd2d4cd4e22b3a0deb57dab9cd7edde1cb3a7b3bc2ed88be3f782e864a43b5",
        ),
        (
            "01",
            "c35acaa15f69ede2905b1b6ce6ab5a4ed87cfc0dabbbd6018488a1d0f8f06646",
        ),
    ]);
    let table_root = bytes("9ee435acded21dbd332f80b0a43be8e5a21a0e7db032c57550ad58b0662ec769");
    let row = ProvenRow {
        table: "accounts".to_owned(),
        key: "626f62".to_owned(),
        value: "323530".to_owned(),
        height: Height(1),
        app_hash: "d179eeb55e56913ab29714862e648918249de4f706cc591512507b70a28c9ed3"
            .parse()
            .unwrap(),
        proof: encoded(vec![
            exist(b"bob", b"250", lower),
            exist(b"accounts", &table_root, upper),
        ]),
        signed_header: None,
        validators: None,
    };
    assert_eq!(check_row(&row), Ok(b"250".to_vec()));
}

#[test]
fn what_others_trust_is_compared() {
    let trust = |chain_id: &str, hash: Hash| Trust {
        chain_id: Some(chain_id.to_owned()),
        validators_hash: Some(hash),
    };
    let other = Hash([8; 32]);
    assert_eq!(
        check(&proven(), &trust("test", other)),
        Err(ProofError::OtherValidators {
            got: validators_hash(),
            want: other
        })
    );
    assert_eq!(
        check(&proven(), &trust("main", validators_hash())),
        Err(ProofError::OtherChain {
            got: "test".to_owned(),
            want: "main".to_owned()
        })
    );
}

#[test]
fn a_changed_row_is_refused() {
    let changes: [(Change, ProofError); 5] = [
        (|row| row.key.replace_range(0..2, "06"), ProofError::Row),
        (|row| row.value.replace_range(0..2, "06"), ProofError::Row),
        (|row| row.table = "params".to_owned(), ProofError::Table),
        (|row| row.app_hash.0[3] ^= 1, ProofError::Table),
        (
            |row| row.proof = encoded(Vec::new()),
            ProofError::Form {
                step: "row to header",
            },
        ),
    ];
    for (change, expected) in changes {
        let (mut row, _, _) = row_and_proofs();
        change(&mut row);
        assert_eq!(check_row(&row), Err(expected));
    }
    let (mut row, _, _) = row_and_proofs();
    row.proof = "%".to_owned();
    assert!(matches!(
        check_row(&row),
        Err(ProofError::Unreadable { what: "base64", .. })
    ));
}

#[test]
fn a_proof_changed_in_any_byte_is_refused() {
    let (row, lower, upper) = row_and_proofs();
    assert!(check_row(&row).is_ok());
    let bytes = MerkleProof {
        proofs: vec![lower, upper],
    }
    .encode_to_vec();
    let encode =
        |bytes: &[u8]| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let row = ProvenRow {
            proof: encode(&changed),
            ..row.clone()
        };
        assert!(check_row(&row).is_err(), "byte {at}");
    }
}

/// ICS-23 allows a leaf prefix that is longer than the spec's. With keys that an attacker chooses, that proves rows that are not there.
#[test]
fn a_row_hidden_in_the_key_of_another_row_is_refused() {
    let real_key = [&[7; 5][..], &[3], b"abc"].concat();
    let twin = [0; 32];
    let table_root = h(&[&[3, 10, 1], &inner(&leaf(&real_key, b"value"), &twin)]);
    let path = vec![step(&[&[1]], &twin), step(&[&[3, 10, 1]], &[])];
    let mut lower = ExistenceProof {
        key: b"abc".to_vec(),
        value: b"value".to_vec(),
        leaf: Some(leaf_op()),
        path,
    };
    lower.leaf.as_mut().unwrap().prefix = [&[0, 9][..], &[7; 5]].concat();
    let lower = CommitmentProof {
        proof: Some(commitment_proof::Proof::Exist(lower)),
    };
    assert!(
        holds(&lower, 3, &table_root, b"abc", b"value"),
        "by ICS-23 alone it holds"
    );
    let upper = exist(b"accounts", &table_root, vec![step(&[&[1]], &[0; 32])]);
    let row = ProvenRow {
        key: hex::encode("abc"),
        value: hex::encode("value"),
        app_hash: Hash(inner(&leaf(b"accounts", &table_root), &[0; 32])),
        proof: encoded(vec![lower, upper]),
        ..row_and_proofs().0
    };
    assert_eq!(
        check_row(&row),
        Err(ProofError::Form {
            step: "row to table root"
        })
    );
}

#[test]
fn a_header_must_be_the_next_ones_carry_the_hash_and_be_signed_by_more_than_two_thirds() {
    let (row, _, _) = row_and_proofs();
    let with = |header: &Header, signers: usize| {
        let (header, validators) = signed(header, signers);
        let row = ProvenRow {
            signed_header: Some(header),
            validators: Some(validators),
            ..row.clone()
        };
        check_header(&row, &Trust::default())
    };
    let right = header_of(row.app_hash, 5);
    assert!(with(&right, 3).is_ok() && with(&right, 4).is_ok());
    assert_eq!(
        check_header(&row, &Trust::default()),
        Err(ProofError::NoHeader)
    );
    assert_eq!(
        with(&header_of(row.app_hash, 6), 4),
        Err(ProofError::HeaderHeight { got: 6, want: 5 })
    );
    assert!(matches!(
        with(&header_of(Hash([1; 32]), 5), 4),
        Err(ProofError::AppHash { .. })
    ));
    for signers in 0..3 {
        assert!(
            matches!(with(&right, signers), Err(ProofError::Header { .. })),
            "{signers} signers"
        );
    }
}

#[test]
fn signatures_of_others_or_over_other_headers_are_refused() {
    let changes: [(&str, Change); 4] = [
        ("another time", |row| {
            row.signed_header.as_mut().unwrap()["header"]["time"] = json!("2025-11-21T09:30:01Z");
        }),
        ("another signature", |row| {
            let signatures = &mut row.signed_header.as_mut().unwrap()["commit"]["signatures"];
            signatures[0]["signature"] = signatures[1]["signature"].clone();
        }),
        ("more power", |row| {
            row.validators.as_mut().unwrap()["validators"][0]["voting_power"] = json!("1000");
        }),
        ("one validator less", |row| {
            row.validators.as_mut().unwrap()["validators"]
                .as_array_mut()
                .unwrap()
                .pop();
        }),
    ];
    for (what, change) in changes {
        let mut row = proven();
        change(&mut row);
        let result = check_header(&row, &Trust::default());
        assert!(
            matches!(result, Err(ProofError::Header { .. })),
            "{what}: {result:?}"
        );
    }
    let mut row = proven();
    row.validators.as_mut().unwrap()["validators"][0]["voting_power"] =
        json!("9000000000000000000");
    let result = check_header(&row, &Trust::default());
    assert!(
        matches!(
            result,
            Err(ProofError::Unreadable {
                what: "validators",
                ..
            })
        ),
        "{result:?}"
    );
}
