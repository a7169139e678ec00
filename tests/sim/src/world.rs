//! Who lives on the chain of a seed, and its genesis.

use std::collections::BTreeMap;
use std::ops::Range;

use ed25519_dalek::SigningKey;
use io_types::catalogue::{Catalogue, Class, ClassId, Model, ModelId, Pool};
use io_types::codec::sha256;
use io_types::genesis::{
    GenesisBalance, GenesisBridge, GenesisSpec, GenesisValidator, GenesisVerifier,
};
use io_types::params::Params;
use io_types::{AccountId, Amount, Asset, BlockTime, ChainTime, Hash, MicroUsd, ValidatorAddress};

use crate::rng::Rng;

/// One whole IO.
pub const IO: u64 = 100_000_000;
/// Id of the chain.
pub const CHAIN: &str = "sim-1";
/// 2026-11-01T00:00:00Z, ms: first of a month and a full hour.
pub const GENESIS_MS: u64 = 1_793_491_200_000;
/// 2024-07-01T00:00:00Z, ms.
pub const SCHEDULE_MS: u64 = 1_719_792_000_000;
/// Links of a validator's beacon chain.
const LINKS: usize = 400;
/// Workers that there can be.
const WORKERS: u64 = 16;

/// A key by role and number.
pub fn key(role: u8, number: u64) -> SigningKey {
    let mut bytes = [role; 32];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    SigningKey::from_bytes(&sha256(&bytes).0)
}

/// Its account.
pub fn account(key: &SigningKey) -> AccountId {
    AccountId(key.verifying_key().to_bytes())
}

/// A validator of the engine.
#[derive(Clone, Debug)]
pub struct Validator {
    /// Signs votes.
    pub consensus: SigningKey,
    /// Signs batches.
    pub settlement: SigningKey,
    /// Its address.
    pub address: ValidatorAddress,
    /// Its power.
    pub power: u64,
    /// From each link of its beacon chain to the next one to reveal.
    pub links: BTreeMap<Hash, Hash>,
    anchor: Hash,
}

/// Everybody, and what the seed decides once for the whole run.
#[derive(Clone, Debug)]
pub struct World {
    /// The seed.
    pub seed: u64,
    /// Genesis.
    pub spec: GenesisSpec,
    /// Owners of devices.
    pub suppliers: Vec<SigningKey>,
    /// Those who place orders.
    pub renters: Vec<SigningKey>,
    /// Those who judge.
    pub verifiers: Vec<SigningKey>,
    /// Carries heartbeats of many devices.
    pub carrier: SigningKey,
    /// In the engine's order.
    pub validators: Vec<Validator>,
    /// Those who own nothing.
    pub strangers: Vec<SigningKey>,
    /// Keys of devices' workers, number 1 first.
    pub workers: Vec<SigningKey>,
    /// Every key by its account: making one costs more than anything else that the workload does.
    keys: BTreeMap<AccountId, SigningKey>,
    /// Chain time between most blocks, ms.
    pub step_ms: u64,
    /// Whether most people are reliable, so that things get to their end.
    pub calm: bool,
    /// How seldom chain time jumps: once in so many blocks.
    pub jump_one_in: u64,
    /// Heights in which nobody reports a price.
    pub halt: Range<u64>,
    /// Heights in which nothing is seen of Solana.
    pub solana_down: Range<u64>,
    /// Blocks of the chain until what happens on Solana is final.
    pub final_after: usize,
    /// The height from which on all validators report a `LastSettle` that cannot be true, if they do.
    pub lie_from: Option<u64>,
}

impl World {
    /// The world of a seed.
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(&[seed, 1]);
        let keys = |role, count| (1..=count).map(|number| key(role, number)).collect();
        let (suppliers, renters): (Vec<_>, Vec<_>) = (keys(1, 4), keys(2, 4));
        let (verifiers, carrier): (Vec<_>, _) = (keys(3, 7), key(4, 1));
        let (strangers, workers): (Vec<_>, Vec<_>) = (keys(8, 5), keys(5, WORKERS));
        let all = [&suppliers, &renters, &verifiers, &strangers, &workers];
        let all = all.into_iter().flatten().chain([&carrier]);
        let by_account = all.map(|key| (account(key), key.clone())).collect();
        let powers = *rng.pick(&[[10, 10, 10, 10], [7, 20, 3, 10], [1, 1, 1, 1]]);
        let mut validators: Vec<Validator> = (1..=4)
            .zip(powers)
            .map(|(number, power)| validator(number, power))
            .collect();
        validators.sort_by_key(|validator| validator.address);
        let from = rng.between(5, 60);
        let down = rng.between(5, 60);
        let mut world = Self {
            seed,
            spec: empty_spec(&mut rng),
            suppliers,
            renters,
            verifiers,
            carrier,
            validators,
            strangers,
            workers,
            keys: by_account,
            step_ms: *rng.pick(&[120_000, 240_000, 240_000, 30_000]),
            calm: !rng.one_in(3),
            jump_one_in: *rng.pick(&[12, 50, 1000]),
            halt: from..from + rng.below(15),
            solana_down: down..down + rng.below(25),
            final_after: *Rng::new(&[seed, 2]).pick(&[0, 1, 2]),
            lie_from: rng.one_in(8).then(|| rng.between(40, 120)),
        };
        world.people(&mut rng);
        // Links of all slots of a step are still taken.
        world.spec.params.uptime.late_slots = (world.step_ms / 60_000).max(2) - 1;
        world
    }

    /// Block time of a span of chain time, ms.
    pub fn block_ms(&self, chain_ms: u64) -> u64 {
        (chain_ms * u64::from(self.spec.epoch_seconds) / 3600).max(1)
    }

    /// The key of an account, if somebody here has it.
    pub fn key_of(&self, wanted: AccountId) -> Option<SigningKey> {
        self.keys.get(&wanted).cloned()
    }

    fn people(&mut self, rng: &mut Rng) {
        let spec = &mut self.spec;
        for validator in &self.validators {
            spec.validators.push(GenesisValidator {
                address: validator.address,
                consensus_key: Hash(validator.consensus.verifying_key().to_bytes()),
                power: validator.power,
                settlement_key: account(&validator.settlement),
                operator: account(&validator.consensus),
                beacon_anchor: validator.anchor,
                moniker: "v".to_owned(),
            });
        }
        for verifier in &self.verifiers {
            spec.verifiers.push(GenesisVerifier {
                account: account(verifier),
                url: "ws://127.0.0.1:1".to_owned(),
                stake: Amount::new(rng.between(110, 5000) * IO),
            });
        }
        spec.verifiers.sort_by_key(|row| row.account);
        let rich = self
            .suppliers
            .iter()
            .chain(&self.renters)
            .chain(&self.verifiers);
        for key in rich {
            spec.balances.push(GenesisBalance {
                account: account(key),
                asset: Asset::Io,
                amount: Amount::new(rng.between(10_000, 200_000) * IO + rng.below(IO)),
            });
        }
        for key in &self.renters {
            spec.balances.push(GenesisBalance {
                account: account(key),
                asset: Asset::Usdc,
                amount: Amount::new(rng.between(1_000_000, 100_000_000_000)),
            });
        }
        spec.params.uptime.carriers = vec![account(&self.carrier)];
    }
}

fn validator(number: u64, power: u64) -> Validator {
    let consensus = key(6, number);
    let hash = sha256(&consensus.verifying_key().to_bytes());
    let mut links = BTreeMap::new();
    let mut link = sha256(&[b'b', u8::try_from(number).unwrap()]);
    for _ in 0..LINKS {
        let before = sha256(&link.0);
        links.insert(before, link);
        link = before;
    }
    Validator {
        consensus,
        settlement: key(7, number),
        address: ValidatorAddress(hash.0[..20].try_into().unwrap()),
        power,
        links,
        anchor: link,
    }
}

fn params(rng: &mut Rng) -> Params {
    let mut params = Params::default();
    let hour = 3_600_000;
    params.reward.nomination_epochs = 1;
    params.reward.collect_after_ms = *rng.pick(&[0, hour, 3 * hour]);
    params.reward.results_keep_epochs = rng.between(1, 6);
    params.reward.safety = io_types::BasisPoints(*rng.pick(&[0, 137]));
    params.reward.boundaries_per_block_max = *rng.pick(&[1, 3, 24]);
    params.stake.cooldown_ms = rng.between(1, 4) * hour;
    params.market.pay_every_ms = *rng.pick(&[60_000, 600_000, 24 * hour]);
    params.market.open_orders_max = *rng.pick(&[2, 5, 4096]);
    params.market.match_orders_max = *rng.pick(&[1, 3, 100_000]);
    params.market.match_steps_max = *rng.pick(&[5, 200_000]);
    params.reward.close_devices_max = *rng.pick(&[1, 3, 4_000]);
    params.market.open_blocks_max = 40;
    params.price.publish_age_max_ms = 400_000;
    params.price.genesis_price = *rng.pick(&[150_000, 150_000, 3_000_000, 900_000_000_000, 7]);
    params.settlement.deposits_per_block_max = rng.between(1, 16).try_into().unwrap();
    let verification = &mut params.verification;
    verification.window_blocks = rng.between(1, 3);
    verification.nonce_blocks = rng.between(2, 3);
    verification.verdict_blocks = rng.between(2, 4);
    verification.reveal_blocks = rng.between(2, 3);
    verification.interval_ms = *rng.pick(&[hour, 6 * hour]);
    verification.interval_max_ms = *rng.pick(&[hour, 12 * hour]);
    verification.dispute_blocks = rng.between(3, 12);
    verification.redraws_max = rng.between(0, 2).try_into().unwrap();
    verification.running_max = *rng.pick(&[1, 3, 10_000, 10_000, 10_000]);
    params
}

fn empty_spec(rng: &mut Rng) -> GenesisSpec {
    let class = |id, rank, phase_a_ref_ms| Class {
        id: ClassId(id),
        name: format!("class {id}"),
        rank,
        n: 256,
        k: 6,
        m: 6,
        w: 64,
        r: 128,
        phase_a_ref_ms,
        phase_b_ref_ms: 2000,
        phase_a_min_ms: 0,
        answer_blocks: 4,
    };
    let model = |id, class, multiplier_milli, pool| Model {
        id: ModelId(id),
        name: format!("model {id}"),
        class: ClassId(class),
        multiplier_milli,
        pool,
        price_floor: MicroUsd(1),
        price_ceiling: MicroUsd(10_000_000),
        vram_mib: 81_920,
        placeholder: Vec::new(),
    };
    GenesisSpec {
        chain_id: CHAIN.to_owned(),
        genesis_time: BlockTime(GENESIS_MS),
        chain_start: ChainTime(GENESIS_MS),
        epoch_seconds: *rng.pick(&[3600, 3600, 60]),
        schedule_start: ChainTime(SCHEDULE_MS),
        params: params(rng),
        catalogue: Catalogue {
            classes: vec![class(1, 2, 1000), class(2, 1, 4000)],
            models: vec![
                model(1, 1, 10_000, Pool::Enterprise),
                model(2, 2, 1000, Pool::Community),
                model(3, 2, 250, Pool::Community),
                // No challenge exists for this one.
                model(4, 9, 500, Pool::Community),
            ],
        },
        validators: Vec::new(),
        verifiers: Vec::new(),
        balances: Vec::new(),
        bridge: GenesisBridge {
            cluster: Hash([7; 32]),
            program: AccountId([8; 32]),
            io_mint: AccountId([9; 32]),
            usdc_mint: AccountId([10; 32]),
        },
        accepted_pairs: Vec::new(),
    }
}
