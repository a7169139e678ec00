//! Instructions against the program's own role lists, and proofs made from a leaf set.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "numbers and text of tests are small and known"
)]

use io_settlement::account::Config;
use io_settlement::account::{Counters, LastSettle, ROOTS, Roots, State, TAG_BRIDGE, VERSION};
use io_settlement::emission::{Schedule, TimeParams};
use io_types::amount::Amount;
use io_types::api::PayoutLeafView;
use io_types::id::{AccountId, BatchNumber, Hash};
use serde_json::json;

use super::*;
use crate::test_server::{Answer, Server};

const PROGRAM: Pubkey = Pubkey::new_from_array([42; 32]);

fn bridge_account() -> Bridge {
    let time = TimeParams {
        genesis_time: 0,
        chain_start: 0,
        epoch_seconds: 3600,
        schedule: Schedule::Table,
        schedule_start: 0,
        emitted_before: 0,
    };
    Bridge {
        tag: TAG_BRIDGE,
        version: VERSION,
        bump: 255,
        config: Config {
            cluster_genesis: [1; 32],
            chain_id: [2; 32],
            mints: [[3; 32], [4; 32]],
            vaults: [[5; 32], [6; 32]],
            stake_vault: [7; 32],
            queue: [8; 32],
            deposit_min: [1, 1],
            time,
        },
        state: State {
            set_epoch: 1,
            set_hash: [0; 32],
            set_power: 3,
            deposit_number: 0,
            deposit_hash: [0; 32],
            freed_number: 0,
            freed_hash: [0; 32],
            counters: Counters::ZERO,
            root_next: 0,
        },
        roots: Roots {
            io: [[0; 32]; ROOTS],
            usdc: [[0; 32]; ROOTS],
        },
        last: LastSettle::NONE,
    }
}

fn bridge() -> BridgeProgram {
    BridgeProgram {
        program: PROGRAM,
        address: bridge_address(&PROGRAM),
        bridge: bridge_account(),
        slot: 0,
    }
}

fn flags(instruction: &Instruction) -> Vec<(bool, bool)> {
    let accounts = instruction.accounts.iter();
    accounts
        .map(|meta| (meta.is_signer, meta.is_writable))
        .collect()
}

fn roles_of(roles: &[Role]) -> Vec<(bool, bool)> {
    roles
        .iter()
        .map(|role| (role.signer, role.writable))
        .collect()
}

#[test]
fn a_deposit_names_the_accounts_of_its_role_list() {
    let bridge = bridge();
    let (payer, source) = (
        Pubkey::new_from_array([10; 32]),
        Pubkey::new_from_array([11; 32]),
    );
    let instruction = bridge
        .deposit(&payer, &source, Asset::Usdc, 77, [12; 32])
        .unwrap();
    assert_eq!(instruction.program_id, PROGRAM);
    assert_eq!(flags(&instruction), roles_of(&DEPOSIT));
    let keys: Vec<Pubkey> = instruction
        .accounts
        .iter()
        .map(|meta| meta.pubkey)
        .collect();
    let expected = [
        payer,
        source,
        address([6; 32]),
        bridge.address,
        address([8; 32]),
        address(TOKEN_PROGRAM),
        address(SYSTEM_PROGRAM),
    ];
    assert_eq!(keys, expected);
    let data = [&[3, 1, 77, 0, 0, 0, 0, 0, 0, 0][..], &[12; 32]].concat();
    assert_eq!(instruction.data, data);
}

#[test]
fn a_claim_pays_the_accounts_own_token_account() {
    let bridge = bridge();
    let payer = Pubkey::new_from_array([10; 32]);
    let proof = ClaimProof {
        asset: Asset::Io,
        account: [12; 32],
        cumulative: 5,
        index: 1,
        siblings: vec![[1; 32], [2; 32]],
    };
    let instruction = bridge.claim(&payer, &proof, None).unwrap();
    assert_eq!(flags(&instruction), roles_of(&CLAIM));
    let key = |at: usize| instruction.accounts[at].pubkey;
    assert_eq!(key(1), address([12; 32]));
    assert_eq!(key(3), claim_address(&PROGRAM, Asset::Io, &[12; 32]));
    assert_eq!(key(4), address([5; 32]));
    assert_eq!(key(5), token_address(&address([12; 32]), &address([3; 32])));
    let decoded = ProgramInstruction::decode(&instruction.data).unwrap();
    let expected = ProgramInstruction::Claim {
        asset: Asset::Io,
        cumulative: 5,
        index: 1,
        proof: &[[1; 32], [2; 32]],
    };
    assert_eq!(decoded, expected);

    let elsewhere = Pubkey::new_from_array([13; 32]);
    let instruction = bridge.claim(&payer, &proof, Some(elsewhere)).unwrap();
    assert_eq!(instruction.accounts[5].pubkey, elsewhere);
}

#[test]
fn a_missing_account_is_named_by_its_role() {
    let error = program_instruction(&PROGRAM, &DEPOSIT, &[PROGRAM; 3], Vec::new()).unwrap_err();
    assert!(error.to_string().contains("\"bridge\""), "{error}");
    let more = program_instruction(&PROGRAM, &DEPOSIT, &[PROGRAM; 8], Vec::new()).unwrap();
    assert_eq!(flags(&more)[7], (false, false));
}

#[test]
fn derived_addresses_are_those_of_their_seeds() {
    // None of them has a private key, each differs, and the bump found makes the address again.
    let io = claim_address(&PROGRAM, Asset::Io, &[12; 32]);
    let usdc = claim_address(&PROGRAM, Asset::Usdc, &[12; 32]);
    let token = token_address(&address([12; 32]), &address([3; 32]));
    let all = [bridge_address(&PROGRAM), io, usdc, token];
    assert!(all.iter().all(|key| !key.is_on_curve()));
    let distinct: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), 4);
    let bump = Pubkey::find_program_address(&[b"claim", &[1], &[12; 32]], &PROGRAM).1;
    let again = Pubkey::create_program_address(&[b"claim", &[1], &[12; 32], &[bump]], &PROGRAM);
    assert_eq!(again, Ok(usdc));
}

fn file(leaves: u64) -> PayoutFile {
    let leaf = |index: u64| PayoutLeafView {
        index,
        account: AccountId([u8::try_from(index).unwrap() + 20; 32]),
        cumulative: Amount::new(1000 + index),
    };
    PayoutFile {
        number: BatchNumber(4),
        assets: vec![(0..leaves).map(leaf).collect(), Vec::new()],
    }
}

#[test]
fn a_leaf_set_gives_every_account_a_proof_to_the_same_root() {
    for leaves in 1..12 {
        let file = file(leaves);
        let hashes = file.assets[0]
            .iter()
            .map(|leaf| payout::leaf(&[2; 32], Asset::Io, &leaf.account.0, leaf.cumulative.get()));
        let root = Tree::new(hashes.collect()).root();
        let mut bridge = bridge();
        bridge.bridge.roots.io[5] = root;
        for leaf in &file.assets[0] {
            let proof = ClaimProof::from_file(&file, &[2; 32], Asset::Io, &leaf.account.0);
            let proof = proof.unwrap().unwrap();
            assert_eq!(
                (proof.cumulative, proof.index),
                (leaf.cumulative.get(), leaf.index)
            );
            assert!(bridge.accepts(&proof));
            let refused = [
                ClaimProof {
                    cumulative: proof.cumulative + 1,
                    ..proof.clone()
                },
                ClaimProof {
                    account: [99; 32],
                    ..proof.clone()
                },
                ClaimProof {
                    asset: Asset::Usdc,
                    ..proof.clone()
                },
                ClaimProof {
                    siblings: [proof.siblings.clone(), vec![[0; 32]]].concat(),
                    ..proof.clone()
                },
                ClaimProof {
                    index: proof.index + leaves,
                    ..proof.clone()
                },
            ];
            for proof in refused {
                assert!(!bridge.accepts(&proof), "{leaves} leaves: {proof:?}");
            }
        }
        let absent = ClaimProof::from_file(&file, &[2; 32], Asset::Io, &[99; 32]);
        assert_eq!(absent, Ok(None));
        let absent = ClaimProof::from_file(&file, &[2; 32], Asset::Usdc, &[20; 32]);
        assert_eq!(absent, Ok(None));
    }
}

#[test]
fn a_leaf_set_with_a_gap_is_refused() {
    let mut file = file(4);
    file.assets[0].remove(1);
    let error = ClaimProof::from_file(&file, &[2; 32], Asset::Io, &[20; 32]).unwrap_err();
    assert!(matches!(error, SolanaError::Invalid { what, .. } if what == "leaf set of batch 4"));
}

#[test]
fn a_proof_of_the_api_is_the_programs() {
    let proof = PayoutProof {
        number: BatchNumber(4),
        asset: io_types::Asset::Usdc,
        account: AccountId([20; 32]),
        cumulative: Amount::new(7),
        index: 2,
        leaves: 3,
        siblings: vec![Hash([1; 32])],
        root: Hash([2; 32]),
    };
    let expected = ClaimProof {
        asset: Asset::Usdc,
        account: [20; 32],
        cumulative: 7,
        index: 2,
        siblings: vec![[1; 32]],
    };
    assert_eq!(ClaimProof::from_api(&proof), Ok(expected));
    let credit = PayoutProof {
        asset: io_types::Asset::Credit,
        ..proof
    };
    assert!(matches!(
        ClaimProof::from_api(&credit),
        Err(SolanaError::Invalid { .. })
    ));
}

/// A ledger with one account at every address.
async fn ledger(owner: Pubkey, data: Vec<u8>) -> SolanaRpc {
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, data);
    let server = Server::start(move |request| {
        let account = json!({
            "lamports": 1, "owner": owner.to_string(), "data": [encoded, "base64"], "executable": false, "rentEpoch": 0
        });
        let result = json!({"context": {"slot": 3}, "value": [account]});
        Answer::Json(200, json!({"jsonrpc": "2.0", "id": request.body["id"], "result": result}))
    })
    .await;
    SolanaRpc::new(&[&server.url]).unwrap()
}

#[tokio::test]
async fn a_bridge_is_read_only_from_its_own_program() {
    let bytes = bridge_account().to_bytes().to_vec();
    let rpc = ledger(PROGRAM, bytes.clone()).await;
    let read = BridgeProgram::read(&rpc, PROGRAM, Commitment::Confirmed)
        .await
        .unwrap();
    assert_eq!((read.bridge, read.slot), (bridge_account(), 3));
    assert_eq!(read.mint(Asset::Usdc), address([4; 32]));

    let stranger = ledger(Pubkey::new_from_array([9; 32]), bytes.clone()).await;
    let error = BridgeProgram::read(&stranger, PROGRAM, Commitment::Confirmed)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("it belongs to"), "{error}");

    let broken = ledger(PROGRAM, bytes[1..].to_vec()).await;
    let error = BridgeProgram::read(&broken, PROGRAM, Commitment::Confirmed)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("code 110"), "{error}");
}

#[tokio::test]
async fn what_was_paid_stands_in_the_claim_account() {
    let claim = Claim {
        tag: io_settlement::account::TAG_CLAIM,
        version: VERSION,
        bump: 1,
        asset: 0,
        account: [12; 32],
        paid: 900,
    };
    let bridge = bridge();
    let paid = async |rpc: SolanaRpc| {
        bridge
            .paid(&rpc, Asset::Io, &[12; 32], Commitment::Confirmed)
            .await
    };
    assert_eq!(
        paid(ledger(PROGRAM, claim.to_bytes().to_vec()).await).await,
        Ok(900)
    );
    // Lamports sent ahead to the address are no claim.
    assert_eq!(
        paid(ledger(address(SYSTEM_PROGRAM), Vec::new()).await).await,
        Ok(0)
    );
    assert!(paid(ledger(PROGRAM, vec![1, 2]).await).await.is_err());
}
