//! Requests to the byte, answers of every kind, and the road of a transaction.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "numbers and text of tests are small and known"
)]

use solana_instruction::AccountMeta;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signer::Signer as _;

use super::*;
use crate::test_server::{Answer, Server, dead_url};

const URLS: [&str; 0] = [];

fn reply(id: &Value, result: &Value) -> Answer {
    Answer::Json(200, json!({"jsonrpc": "2.0", "id": id, "result": result}))
}

fn in_context(slot: u64, value: &Value) -> Value {
    json!({"context": {"slot": slot, "apiVersion": "4.2.0"}, "value": value})
}

/// A server that gives each method its result, or the whole `error`.
async fn rpc_of(
    mut answers: impl FnMut(&str) -> Result<Value, Value> + Send + 'static,
) -> (SolanaRpc, Server) {
    let server = Server::start(move |request| {
        let id = &request.body["id"];
        match answers(request.body["method"].as_str().unwrap()) {
            Ok(result) => reply(id, &result),
            Err(error) => Answer::Json(200, json!({"jsonrpc": "2.0", "id": id, "error": error})),
        }
    })
    .await;
    (SolanaRpc::new(&[&server.url]).unwrap(), server)
}

fn params_of(server: &Server, method: &str) -> Value {
    let requests = server.requests();
    let request = requests
        .iter()
        .find(|request| request.body["method"] == method);
    request.unwrap().body["params"].clone()
}

#[tokio::test]
async fn accounts_are_read_at_the_commitment_that_was_asked() {
    let owner = Pubkey::new_from_array([9; 32]);
    let account = json!({
        "lamports": 5, "owner": owner.to_string(), "data": ["AQID", "base64"], "executable": false, "rentEpoch": 0, "space": 3
    });
    let answer = in_context(77, &json!([account, null]));
    let (rpc, server) = rpc_of(move |_| Ok(answer.clone())).await;
    let keys = [
        Pubkey::new_from_array([1; 32]),
        Pubkey::new_from_array([2; 32]),
    ];
    let read = rpc
        .accounts(&keys, Commitment::Finalized, Some(70))
        .await
        .unwrap();
    let expected = SolanaAccount {
        lamports: 5,
        owner,
        data: vec![1, 2, 3],
        executable: false,
    };
    assert_eq!(
        read,
        AtSlot {
            slot: 77,
            value: vec![Some(expected), None]
        }
    );
    let config = json!({"commitment": "finalized", "encoding": "base64", "minContextSlot": 70});
    assert_eq!(
        params_of(&server, "getMultipleAccounts"),
        json!([[keys[0].to_string(), keys[1].to_string()], config])
    );
    // Too few accounts for the addresses asked.
    let error = rpc
        .accounts(&keys[..1], Commitment::Confirmed, None)
        .await
        .unwrap_err();
    assert!(matches!(error, SolanaError::BadAnswer { why, .. } if why == "2 accounts for 1"));
}

#[tokio::test]
async fn every_method_reads_what_solana_gives() {
    let hash = bs58_of(3);
    let given = hash.clone();
    let (rpc, server) = rpc_of(move |method| {
        Ok(match method {
            "getLatestBlockhash" => in_context(1, &json!({"blockhash": given, "lastValidBlockHeight": 150})),
            "getBlockHeight" => json!(10),
            "getSlot" => json!(11),
            "getGenesisHash" => json!(given),
            "getHealth" => json!("ok"),
            "getVersion" => json!({"solana-core": "4.2.0", "feature-set": 1}),
            "getBalance" => in_context(1, &json!(12)),
            "getTokenAccountBalance" => {
                in_context(1, &json!({"amount": "13", "decimals": 8, "uiAmount": null, "uiAmountString": "0"}))
            }
            "getMinimumBalanceForRentExemption" => json!(14),
            "getSignatureStatuses" => in_context(1, &json!([
                {"slot": 5, "confirmations": 3, "err": null, "confirmationStatus": "confirmed"},
                null,
                {"slot": 6, "confirmations": null, "err": {"InstructionError": [0, {"Custom": 601}]}, "confirmationStatus": "finalized"}
            ])),
            other => panic!("{other}"),
        })
    })
    .await;
    let key = Pubkey::new_from_array([1; 32]);
    let blockhash = rpc.latest_blockhash(Commitment::Confirmed).await.unwrap();
    assert_eq!(
        (blockhash.hash.to_bytes(), blockhash.last_valid_height),
        ([3; 32], 150)
    );
    assert_eq!(rpc.block_height(Commitment::Confirmed).await, Ok(10));
    assert_eq!(rpc.slot(Commitment::Finalized).await, Ok(11));
    assert_eq!(
        params_of(&server, "getSlot"),
        json!([{"commitment": "finalized"}])
    );
    assert_eq!(rpc.genesis_hash().await, Ok([3; 32]));
    assert_eq!(rpc.health().await, Ok(()));
    assert_eq!(rpc.version().await, Ok("4.2.0".to_owned()));
    assert_eq!(rpc.balance(&key, Commitment::Processed).await, Ok(12));
    let balance = TokenBalance {
        amount: 13,
        decimals: 8,
    };
    assert_eq!(
        rpc.token_balance(&key, Commitment::Finalized).await,
        Ok(balance)
    );
    assert_eq!(rpc.rent(165).await, Ok(14));
    let statuses = rpc
        .signature_statuses(&[Signature::from([1; 64]); 3])
        .await
        .unwrap();
    assert_eq!(
        statuses[0].as_ref().unwrap().commitment,
        Commitment::Confirmed
    );
    assert_eq!(statuses[1], None);
    assert!(statuses[2].as_ref().unwrap().err.is_some());
}

fn bs58_of(byte: u8) -> String {
    Hash::new_from_array([byte; 32]).to_string()
}

#[tokio::test]
async fn errors_name_url_and_method() {
    let dead = dead_url().await;
    let error = SolanaRpc::new(&[&dead])
        .unwrap()
        .slot(Commitment::Confirmed)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, SolanaError::Unreachable { url, method, .. } if *url == dead && method == "getSlot")
    );
    assert!(error.is_passing() && !error.is_refusal());

    let (rpc, server) = rpc_of(|_| Err(json!({"code": -32602, "message": "Invalid param"}))).await;
    let error = rpc.slot(Commitment::Confirmed).await.unwrap_err();
    let expected = SolanaError::Rpc {
        url: server.url.clone(),
        method: "getSlot".to_owned(),
        code: -32602,
        message: "Invalid param".to_owned(),
    };
    assert_eq!(error, expected);
    assert!(error.is_refusal() && !error.is_passing());

    let (rpc, _) = rpc_of(|_| Ok(json!("x"))).await;
    let error = rpc.slot(Commitment::Confirmed).await.unwrap_err();
    assert!(matches!(error, SolanaError::BadAnswer { .. }));

    let server = Server::start(|_| reply(&json!(99), &json!(1))).await;
    let error = SolanaRpc::new(&[&server.url])
        .unwrap()
        .slot(Commitment::Confirmed)
        .await
        .unwrap_err();
    assert!(
        matches!(error, SolanaError::BadAnswer { why, .. } if why == "it answers another request")
    );

    assert!(matches!(
        SolanaRpc::new(&URLS),
        Err(SolanaError::Invalid { .. })
    ));
    assert!(matches!(
        SolanaRpc::new(&["nowhere"]),
        Err(SolanaError::Invalid { .. })
    ));
}

#[tokio::test]
async fn the_next_endpoint_serves_when_one_is_down_or_behind() {
    let (good, good_server) = rpc_of(|_| Ok(json!(7))).await;
    let (_, behind) = rpc_of(|_| Err(json!({"code": -32005, "message": "Node is behind"}))).await;
    let urls = [
        dead_url().await,
        behind.url.clone(),
        good_server.url.clone(),
    ];
    let rpc = SolanaRpc::new(&urls).unwrap();
    assert_eq!(rpc.slot(Commitment::Confirmed).await, Ok(7));
    assert_eq!(good.urls().collect::<Vec<_>>(), [good_server.url.as_str()]);

    // A refusal is an answer: the next endpoint is not asked.
    let (_, refuses) = rpc_of(|_| Err(json!({"code": -32602, "message": "no"}))).await;
    let rpc = SolanaRpc::new(&[refuses.url.clone(), good_server.url.clone()]).unwrap();
    let before = good_server.requests().len();
    assert!(matches!(
        rpc.slot(Commitment::Confirmed).await,
        Err(SolanaError::Rpc { .. })
    ));
    assert_eq!(good_server.requests().len(), before);
}

fn payment() -> (Keypair, Instruction) {
    let key = Keypair::new_from_array([4; 32]);
    let instruction = Instruction {
        program_id: Pubkey::new_from_array([5; 32]),
        accounts: vec![AccountMeta::new(key.pubkey(), true)],
        data: vec![1, 2],
    };
    (key, instruction)
}

#[test]
fn a_transaction_is_these_bytes() {
    let (key, instruction) = payment();
    let transaction =
        sign_transaction(&[instruction], &[&key], &Hash::new_from_array([6; 32])).unwrap();
    let bytes = transaction_bytes(&transaction).unwrap();
    let message = [
        // One signer, no read-only signer, one read-only account; two accounts.
        &[1, 0, 1, 2][..],
        key.pubkey().as_ref(),
        &[5; 32],
        &[6; 32],
        // One instruction: program 1, account 0, two bytes.
        &[1, 1, 1, 0, 2, 1, 2],
    ]
    .concat();
    assert_eq!(bytes[0], 1, "one signature");
    assert_eq!(bytes[65..], message);
    let signature = Signature::from(<[u8; 64]>::try_from(&bytes[1..65]).unwrap());
    assert!(signature.verify(key.pubkey().as_ref(), &message));

    let other = Keypair::new_from_array([8; 32]);
    let (_, instruction) = payment();
    let error = sign_transaction(&[instruction], &[&other], &Hash::default()).unwrap_err();
    assert!(
        matches!(error, SolanaError::Invalid { .. }),
        "a key is missing"
    );
}

/// A ledger on which a transaction lands with the given status after a few looks, or never.
async fn ledger(lands: Option<Value>, height: u64) -> (SolanaRpc, Server) {
    let mut looks = 0;
    rpc_of(move |method| {
        Ok(match method {
            "getLatestBlockhash" => in_context(
                1,
                &json!({"blockhash": bs58_of(3), "lastValidBlockHeight": 150}),
            ),
            "getBlockHeight" => json!(height),
            "sendTransaction" => json!(Signature::from([7; 64]).to_string()),
            "getSignatureStatuses" => {
                looks += 1;
                if looks == 2 {
                    return Err(json!({"code": -32005, "message": "Node is behind"}));
                }
                let seen = if looks < 3 {
                    &Value::Null
                } else {
                    lands.as_ref().unwrap_or(&Value::Null)
                };
                in_context(1, &json!([seen]))
            }
            other => panic!("{other}"),
        })
    })
    .await
}

#[tokio::test]
async fn a_transaction_is_followed_until_it_is_confirmed() {
    let status =
        json!({"slot": 9, "confirmations": 1, "err": null, "confirmationStatus": "confirmed"});
    let (rpc, server) = ledger(Some(status), 140).await;
    let (key, instruction) = payment();
    let landed = rpc
        .send_and_confirm(&[instruction], &[&key], Commitment::Confirmed)
        .await
        .unwrap();
    let signature = Signature::from([7; 64]);
    assert_eq!(landed, Landed { signature, slot: 9 });
    let sent = params_of(&server, "sendTransaction");
    assert_eq!(
        sent[1],
        json!({"encoding": "base64", "preflightCommitment": "confirmed", "maxRetries": 0})
    );
}

#[tokio::test]
async fn a_transaction_that_no_block_took_is_expired_and_one_that_failed_says_why() {
    let (rpc, _) = ledger(None, 151).await;
    let (key, instruction) = payment();
    let keys = [&key];
    let instructions = [instruction];
    let signature = Signature::from([7; 64]).to_string();
    let error = rpc
        .send_and_confirm(&instructions, &keys, Commitment::Confirmed)
        .await
        .unwrap_err();
    assert_eq!(
        error,
        SolanaError::Expired {
            signature: signature.clone()
        }
    );

    let err = json!({"InstructionError": [0, {"Custom": 600}]});
    let status =
        json!({"slot": 9, "confirmations": 1, "err": err, "confirmationStatus": "finalized"});
    let (rpc, _) = ledger(Some(status), 140).await;
    let error = rpc
        .send_and_confirm(&instructions, &keys, Commitment::Confirmed)
        .await
        .unwrap_err();
    let expected = SolanaError::Program {
        instruction: 0,
        error: io_settlement::Error::UnknownRoot,
        signature: Some(signature),
    };
    assert_eq!(error, expected);
}

#[tokio::test]
async fn a_check_that_fails_before_sending_names_the_programs_rule() {
    let err = json!({"InstructionError": [0, {"Custom": 300}]});
    let data = json!({"err": err, "logs": ["Program log: x"], "unitsConsumed": 5});
    let (rpc, _) = rpc_of(move |method| match method {
        "sendTransaction" => {
            Err(json!({"code": -32002, "message": "Transaction simulation failed", "data": data}))
        }
        "simulateTransaction" => Ok(in_context(
            1,
            &json!({"err": err, "logs": ["a"], "unitsConsumed": 5}),
        )),
        other => panic!("{other}"),
    })
    .await;
    let (key, instruction) = payment();
    let transaction = sign_transaction(&[instruction], &[&key], &Hash::default()).unwrap();
    let error = rpc
        .send(&transaction, Commitment::Confirmed)
        .await
        .unwrap_err();
    assert_eq!(
        error.program_error(),
        Some(io_settlement::Error::DepositBelowMinimum)
    );
    let simulation = rpc
        .simulate(&transaction, Commitment::Confirmed)
        .await
        .unwrap();
    assert_eq!((simulation.units, simulation.logs.len()), (5, 1));
    assert!(simulation.err.is_some());
}
