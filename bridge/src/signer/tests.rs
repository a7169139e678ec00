use std::fs;
use std::path::PathBuf;

use io_settlement::batch::Payout;
use tempfile::TempDir;

use super::*;

const BOUND: Bound = Bound {
    cluster: [1; 32],
    program: [2; 32],
    chain_id: [3; 32],
    mints: [[4; 32], [5; 32]],
};

type Change = fn(&mut SettleBody);

fn key() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

fn body(number: u64, emitted: u64) -> SettleBody {
    let none = Payout {
        root: [0; 32],
        total: 0,
    };
    SettleBody {
        cluster_genesis: BOUND.cluster,
        program_id: BOUND.program,
        chain_id: BOUND.chain_id,
        set_epoch: 1,
        number,
        height: number,
        app_hash: [7; 32],
        epoch: number,
        payouts: [none, none],
        emitted,
        reminted: 0,
        burned: 0,
        credit_burned: 0,
        stake_target: 0,
        deposit_number: 0,
        deposit_hash: [8; 32],
        market_hash: [0; 32],
        next_set: [0; 32],
    }
}

fn newlines(bytes: &[u8]) -> usize {
    let lines = bytes.split(|byte| *byte == b'\n').count();
    lines.saturating_sub(1)
}

fn log_file() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signer/settlement.log");
    (folder, path)
}

fn open(path: &Path) -> Result<SettlementSigner, SignerError> {
    SettlementSigner::with_key(key(), path, BOUND)
}

#[test]
fn a_batch_is_signed_as_the_precompile_checks_it() {
    let (_folder, path) = log_file();
    let signer = open(&path).unwrap();
    let body = body(1, 5);
    let (number, signature) = signer.sign(&body.to_bytes()).unwrap();
    assert_eq!(number, BatchNumber(1));
    assert!(signer.account().verify(&body.message(), &signature));
    assert_eq!(signer.sign(&body.to_bytes()).unwrap(), (number, signature));
}

#[test]
fn a_second_hash_for_one_number_is_never_signed() {
    let (_folder, path) = log_file();
    {
        let signer = open(&path).unwrap();
        signer.sign(&body(7, 5).to_bytes()).unwrap();
    }
    let signer = open(&path).unwrap();
    let other = SettleBody {
        set_epoch: 2,
        ..body(7, 5)
    };
    for second in [body(7, 6), other] {
        let error = signer.sign(&second.to_bytes()).unwrap_err();
        let SignerError::Conflict {
            number,
            signed,
            asked,
        } = error
        else {
            panic!("{error}")
        };
        assert_eq!(
            (number, signed, asked),
            (7, Hash(body(7, 5).hash()), Hash(second.hash()))
        );
    }
    signer.sign(&body(7, 5).to_bytes()).unwrap();
    signer.sign(&body(6, 1).to_bytes()).unwrap();
}

#[test]
fn batches_of_other_networks_are_not_signed() {
    let (_folder, path) = log_file();
    let signer = open(&path).unwrap();
    let cases: [(Change, &str); 3] = [
        (|body| body.cluster_genesis = [0; 32], "cluster"),
        (|body| body.program_id = [0; 32], "program"),
        (|body| body.chain_id = [0; 32], "chain id"),
    ];
    for (change, name) in cases {
        let mut body = body(1, 5);
        change(&mut body);
        let error = signer.sign(&body.to_bytes()).unwrap_err();
        assert!(
            matches!(error, SignerError::OtherNetwork { number: 1, field } if field == name),
            "{error}"
        );
    }
    let error = signer.sign(&[1, 2, 3]).unwrap_err();
    assert!(matches!(
        error,
        SignerError::Body(io_settlement::Error::Truncated)
    ));
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
}

/// The process may die at any byte of a write. Whatever part of the file is left, a number whose entry is whole keeps its hash, and the
/// signer goes on.
#[test]
fn a_kill_at_any_byte_of_a_write_lets_no_second_hash_through() {
    let (_folder, path) = log_file();
    {
        let signer = open(&path).unwrap();
        for number in 1..=2 {
            signer.sign(&body(number, 5).to_bytes()).unwrap();
        }
    }
    let whole = fs::read(&path).unwrap();
    let (_other_folder, copy) = log_file();
    fs::create_dir_all(copy.parent().unwrap()).unwrap();
    for length in 0..=whole.len() {
        fs::write(&copy, &whole[..length]).unwrap();
        let lines = newlines(&whole[..length]);
        let kept = u64::try_from(lines.saturating_sub(1)).unwrap();
        let signer = open(&copy).unwrap();
        for number in 1..=2 {
            let second = signer.sign(&body(number, 6).to_bytes());
            if number <= kept {
                assert!(
                    matches!(second, Err(SignerError::Conflict { .. })),
                    "{length} bytes, batch {number}"
                );
            } else {
                second.unwrap();
            }
        }
        drop(signer);
        // What was signed after the kill is as lasting.
        let signer = open(&copy).unwrap();
        for number in 1..=2 {
            let emitted = if number <= kept { 5 } else { 6 };
            signer.sign(&body(number, emitted).to_bytes()).unwrap();
        }
    }
}

#[test]
fn every_damaged_byte_of_a_whole_line_is_found() {
    let (_folder, path) = log_file();
    {
        let signer = open(&path).unwrap();
        for number in 1..=3 {
            signer.sign(&body(number, 5).to_bytes()).unwrap();
        }
    }
    let whole = fs::read(&path).unwrap();
    let first_line = whole.iter().position(|byte| *byte == b'\n').unwrap();
    for at in 0..whole.len() - 1 {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x11;
        fs::write(&path, &bytes).unwrap();
        let error = open(&path).unwrap_err();
        let line = 1 + newlines(&whole[..at]);
        let SignerError::Log(LogError::Damaged { line: found, .. }) = error else {
            panic!("byte {at}: {error}")
        };
        assert_eq!(found, line, "byte {at} of {first_line}");
    }
    // A line taken out of the middle.
    let text = String::from_utf8(whole).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    fs::write(&path, format!("{}\n{}\n{}\n", lines[0], lines[1], lines[3])).unwrap();
    let error = open(&path).unwrap_err();
    assert!(
        matches!(error, SignerError::Log(LogError::Damaged { line: 3, .. })),
        "{error}"
    );
}

#[test]
fn a_log_serves_one_key_one_network_and_one_process() {
    let (_folder, path) = log_file();
    let signer = open(&path).unwrap();
    let error = open(&path).unwrap_err();
    assert!(
        matches!(error, SignerError::Log(LogError::InUse { .. })),
        "{error}"
    );
    drop(signer);
    let other_key = SettlementSigner::with_key(SigningKey::from_bytes(&[8; 32]), &path, BOUND);
    let other_chain = Bound {
        chain_id: [9; 32],
        ..BOUND
    };
    let other_network = SettlementSigner::with_key(key(), &path, other_chain);
    for error in [other_key.unwrap_err(), other_network.unwrap_err()] {
        assert!(
            matches!(error, SignerError::Log(LogError::Other { .. })),
            "{error}"
        );
    }
    open(&path).unwrap();
}

#[test]
fn a_wrong_key_file_is_refused_by_name() {
    let (folder, path) = log_file();
    let missing = folder.path().join("settlement.json");
    let error = SettlementSigner::open(&missing, &path, BOUND).unwrap_err();
    assert!(
        matches!(&error, SignerError::Key(why) if why.contains("settlement.json")),
        "{error}"
    );
    assert!(!path.exists());
}
