//! The real program on the ledger: made once, a deposit that outlives `kill -9`.

use std::path::Path;

use io_client::solana::{BridgeProgram, Commitment, SolanaError, token_address};
use io_localnet::{
    plan::{IO, Plan},
    ports::Ports,
    setup::BridgePlan,
};
use io_settlement::{
    Asset, Error,
    batch::chain_id_hash,
    deposit::Queue,
    emission::{Schedule, TimeParams},
    instruction::Initialize,
    members::{Member, MemberSet},
};
use solana_signer::Signer;

use crate::support::Ledger;

/// 1 July 2024, the first instant of a month.
const MONTH: u64 = 1_719_792_000;

fn bridge_plan(plan: &Plan, cluster_genesis: [u8; 32]) -> BridgePlan {
    let addresses = plan.solana();
    let members = (1..=4).map(|number| Member {
        key: plan.address(&format!("validator-{number}")).to_bytes(),
        power: 10,
    });
    let schedule = Schedule::Table;
    BridgePlan {
        program: addresses.program,
        authority: plan.wallet("authority").keypair(),
        queue: plan.wallet("queue").keypair(),
        members: plan.wallet("members").keypair(),
        mints: addresses.mints,
        vaults: addresses.vaults,
        stake_vault: addresses.stake_vault,
        set: MemberSet::new(1, members.collect()).unwrap(),
        initialize: Initialize {
            cluster_genesis,
            chain_id: chain_id_hash("io-test"),
            deposit_min: [1_000, 1_000],
            on_chain: plan.on_chain(),
            flags: 0,
            time: TimeParams {
                genesis_time: MONTH,
                chain_start: MONTH,
                epoch_seconds: 60,
                schedule,
                schedule_start: MONTH,
                emitted_before: schedule.emitted_at(MONTH, MONTH),
            },
        },
    }
}

async fn start(folder: &Path, plan: &Plan) -> Ledger {
    let elf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bridge/program/settlement.so");
    let genesis = toml::to_string(&plan.ledger_genesis(&elf)).unwrap();
    std::fs::write(folder.join("genesis.toml"), genesis).unwrap();
    Ledger::start(folder, plan.ledger_ports()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_is_made_once_and_its_deposits_outlive_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan {
        home: folder.path().to_owned(),
        seed: 7,
        ports: Ports::claim(folder.path()).unwrap(),
    };
    let mut ledger = start(folder.path(), &plan).await;
    let setup = bridge_plan(&plan, ledger.rpc.genesis_hash().await.unwrap());

    // Only the upgrade authority that the ledger's genesis names may do it.
    let thief = BridgePlan {
        authority: plan.wallet("you").keypair(),
        members: plan.wallet("other").keypair(),
        ..bridge_plan(&plan, [0; 32])
    };
    let error = thief.carry_out(&ledger.rpc).await.unwrap_err();
    assert_eq!(
        error.downcast_ref::<SolanaError>().unwrap().program_error(),
        Some(Error::NotUpgradeAuthority)
    );

    assert!(setup.carry_out(&ledger.rpc).await.unwrap().is_some());
    assert_eq!(
        setup.carry_out(&ledger.rpc).await.unwrap(),
        None,
        "the second time there is nothing to do"
    );

    let you = plan.wallet("you").keypair();
    let account = plan.address("renter").to_bytes();
    let program = plan.solana().program;
    for number in 1..=2 {
        let bridge = BridgeProgram::read(&ledger.rpc, program, Commitment::Confirmed)
            .await
            .unwrap();
        let source = token_address(&you.pubkey(), &bridge.mint(Asset::Io));
        let deposit = bridge
            .deposit(&you.pubkey(), &source, Asset::Io, IO * number, account)
            .unwrap();
        ledger.send(&[deposit], &you).await.unwrap();
        ledger.kill();
        ledger = start(folder.path(), &plan).await;
    }
    let bridge = BridgeProgram::read(&ledger.rpc, program, Commitment::Confirmed)
        .await
        .unwrap()
        .bridge;
    assert_eq!(
        (
            bridge.state.deposit_number,
            bridge.state.counters.deposited[0]
        ),
        (2, 3 * IO)
    );
    let [on_chain, _] = plan.on_chain();
    let vault = ledger
        .rpc
        .token_balance(&plan.solana().vaults[0], Commitment::Confirmed)
        .await
        .unwrap();
    assert_eq!(vault.amount, on_chain + 3 * IO);
    let queue = ledger
        .rpc
        .account(&plan.address("queue"), Commitment::Confirmed)
        .await
        .unwrap()
        .unwrap();
    let slot = Queue::new(&queue.data).unwrap().slot(2).unwrap();
    assert_eq!(
        (slot.record.amount, slot.record.account, slot.rolling),
        (2 * IO, account, bridge.state.deposit_hash)
    );
}
