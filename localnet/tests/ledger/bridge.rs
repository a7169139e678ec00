//! The real program on the ledger: made once, a deposit that outlives `kill -9`.

use std::path::Path;

use io_bridge::relayer::{InitError, InitPlan, init::Made};
use io_client::{
    solana::{BridgeProgram, Commitment, account_id, token_address},
    types::{
        Amount, Asset as ChainAsset, BlockTime, ChainTime, Hash, Params, ValidatorAddress,
        catalogue::Catalogue,
        genesis::{GenesisBalance, GenesisBridge, GenesisSpec, GenesisValidator},
        params,
    },
};
use io_localnet::{
    plan::{IO, Plan},
    ports::Ports,
};
use io_settlement::{Asset, Error, deposit::Queue};
use solana_keypair::Keypair;
use solana_signer::Signer;

use crate::support::Ledger;

/// 1 July 2024, the first instant of a month, ms.
const MONTH: u64 = 1_719_792_000_000;

fn spec(plan: &Plan, cluster: [u8; 32]) -> GenesisSpec {
    let addresses = plan.solana();
    let [io_mint, usdc_mint] = addresses.mints.map(|mint| account_id(&mint));
    let validators = (1..=4_u8).map(|number| GenesisValidator {
        address: ValidatorAddress([number; 20]),
        consensus_key: Hash([number; 32]),
        power: 10,
        settlement_key: plan.wallet(&format!("settlement-{number}")).account(),
        operator: plan.wallet(&format!("operator-{number}")).account(),
        beacon_anchor: Hash([number; 32]),
        moniker: format!("validator-{number}"),
    });
    let [io, usdc] = plan.on_chain();
    let balance = |asset, amount| GenesisBalance {
        account: plan.wallet("renter").account(),
        asset,
        amount: Amount::new(amount),
    };
    GenesisSpec {
        chain_id: "io-test".to_owned(),
        genesis_time: BlockTime(MONTH),
        chain_start: ChainTime(MONTH),
        epoch_seconds: 60,
        schedule_start: ChainTime(MONTH),
        params: default_params(),
        catalogue: Catalogue::default(),
        validators: validators.collect(),
        verifiers: Vec::new(),
        balances: vec![balance(ChainAsset::Io, io), balance(ChainAsset::Usdc, usdc)],
        bridge: GenesisBridge {
            cluster: Hash(cluster),
            program: account_id(&addresses.program),
            io_mint,
            usdc_mint,
        },
        accepted_pairs: Vec::new(),
    }
}

fn default_params() -> Params {
    Params {
        admission: params::AdmissionParams::default(),
        market: params::MarketParams::default(),
        uptime: params::UptimeParams::default(),
        stake: params::StakeParams::default(),
        reward: params::RewardParams::default(),
        verification: params::VerificationParams::default(),
        price: params::PriceParams::default(),
        settlement: params::SettlementParams::default(),
    }
}

fn init(plan: &Plan, authority: Keypair, cluster: [u8; 32]) -> InitPlan {
    InitPlan {
        spec: spec(plan, cluster),
        authority,
        deposit_min: [1_000, 1_000],
        flags: 0,
        vaults: [None, None],
        stake_vault: None,
        fund: false,
        price: 0,
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
    let cluster = ledger.rpc.genesis_hash().await.unwrap();

    // Only the upgrade authority that the ledger's genesis names may do it.
    let thief = init(&plan, plan.wallet("you").keypair(), cluster);
    let error = thief.carry_out(&ledger.rpc).await.unwrap_err();
    let InitError::Solana(error) = error else {
        panic!("{error}");
    };
    assert_eq!(error.program_error(), Some(Error::NotUpgradeAuthority));

    let owner = init(&plan, plan.wallet("authority").keypair(), cluster);
    let made = owner.carry_out(&ledger.rpc).await.unwrap();
    assert!(made.signature.is_some());
    let again = owner.carry_out(&ledger.rpc).await.unwrap();
    assert_eq!(
        again,
        Made {
            signature: None,
            ..made.clone()
        },
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
        .account(&made.queue.parse().unwrap(), Commitment::Confirmed)
        .await
        .unwrap()
        .unwrap();
    let slot = Queue::new(&queue.data).unwrap().slot(2).unwrap();
    assert_eq!(
        (slot.record.amount, slot.record.account, slot.rolling),
        (2 * IO, account, bridge.state.deposit_hash)
    );
}
