//! A mock consensus: four validators with real keys, blocks made, judged, finalized and committed by one machine.

use std::collections::BTreeMap;

use ed25519_dalek::{Signer as _, SigningKey};
use io_state_machine::paged::{Paged, PagedKey};
use io_state_machine::table::{Key, Table};
use io_state_machine::{BlockOutcome, BridgeData, Machine, Options, tables};
use io_storage::Store;
use io_storage::backend::{Disk, MemoryBackend};
use io_types::action::{
    AddStake, DeviceSpec, Heartbeats, PlaceOrder, RegisterDevice, RegisterUptimeChain, Spread,
    consent,
};
use io_types::catalogue::{Catalogue, Class, ClassId, CountryCode, Model, ModelId, Pool};
use io_types::codec::sha256;
use io_types::consensus::{Block, CommitVote, ExtendedVote, LastCommit, ProposalRequest, VoteFlag};
use io_types::extension::{PricesPart, VoteExtension, extension_sign_bytes};
use io_types::genesis::{
    GenesisBalance, GenesisBridge, GenesisSpec, GenesisValidator, GenesisVerifier,
};
use io_types::params::Params;
use io_types::row::{AccountRow, Device, DeviceState};
use io_types::{
    AccountId, Action, Amount, Asset, BlockTime, ChainTime, DeviceId, Event, Hash, Height, Holder,
    MicroUsd, Slot, Transaction, TransactionBody, ValidatorAddress,
};

/// One whole IO.
pub(crate) const IO: u64 = 100_000_000;
/// Fee of a transaction.
pub(crate) const FEE: u64 = 10_000;
/// 2026-11-01T00:00:00Z, ms: first of a month and a full hour.
pub(crate) const GENESIS_MS: u64 = 1_793_491_200_000;
/// 2024-07-01T00:00:00Z, ms.
pub(crate) const SCHEDULE_MS: u64 = 1_719_792_000_000;
/// Id of the chain.
pub(crate) const CHAIN: &str = "test-1";

/// A key by number.
pub(crate) fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

/// Its account.
pub(crate) fn account(key: &SigningKey) -> AccountId {
    AccountId(key.verifying_key().to_bytes())
}

/// Validators, by number from 201.
pub(crate) fn validator_key(number: u8) -> SigningKey {
    key(200 + number)
}

/// Settlement key of a validator.
pub(crate) fn settlement_key(number: u8) -> SigningKey {
    key(220 + number)
}

/// Address of a validator.
pub(crate) fn address(number: u8) -> ValidatorAddress {
    let hash = sha256(&validator_key(number).verifying_key().to_bytes());
    ValidatorAddress(hash.0[..20].try_into().unwrap())
}

/// A link of a validator's beacon chain: 0 is the anchor.
pub(crate) fn beacon_link(number: u8, index: usize) -> Hash {
    let mut link = Hash([number; 32]);
    for _ in index..2000 {
        link = sha256(&link.0);
    }
    link
}

/// The genesis of tests: fast challenges never fall due by themselves, one model of each pool.
pub(crate) fn genesis() -> GenesisSpec {
    let class = Class {
        id: ClassId(1),
        name: "test".to_owned(),
        rank: 1,
        n: 256,
        k: 6,
        m: 6,
        w: 64,
        r: 128,
        phase_a_ref_ms: 2000,
        phase_b_ref_ms: 2000,
        phase_a_min_ms: 0,
        answer_blocks: 20,
    };
    let model = |id: u16, multiplier_milli, pool| Model {
        id: ModelId(id),
        name: format!("model {id}"),
        class: ClassId(1),
        multiplier_milli,
        pool,
        price_floor: MicroUsd(10_000),
        price_ceiling: MicroUsd(10_000_000),
        vram_mib: 81_920,
        placeholder: Vec::new(),
    };
    let mut validators: Vec<GenesisValidator> = (1..=4)
        .map(|number| GenesisValidator {
            address: address(number),
            consensus_key: Hash(validator_key(number).verifying_key().to_bytes()),
            power: 10,
            settlement_key: account(&settlement_key(number)),
            operator: account(&key(240 + number)),
            beacon_anchor: beacon_link(number, 0),
            moniker: format!("validator {number}"),
        })
        .collect();
    validators.sort_by_key(|validator| validator.address);
    let rich = (1..=40).map(|number| (account(&key(number)), 1_000_000 * IO));
    let verifiers: Vec<AccountId> = (41..=45).map(|number| account(&key(number))).collect();
    let mut balances: Vec<GenesisBalance> = rich
        .chain(verifiers.iter().map(|account| (*account, 100_000 * IO)))
        .map(|(account, amount)| GenesisBalance {
            account,
            asset: Asset::Io,
            amount: Amount::new(amount),
        })
        .collect();
    balances.extend((1..=40).map(|number| GenesisBalance {
        account: account(&key(number)),
        asset: Asset::Usdc,
        amount: Amount::new(1_000_000_000_000),
    }));
    let mut verifiers: Vec<GenesisVerifier> = verifiers
        .into_iter()
        .map(|account| GenesisVerifier {
            account,
            url: "ws://127.0.0.1:1".to_owned(),
            stake: Amount::new(10_000 * IO),
        })
        .collect();
    verifiers.sort_by_key(|verifier| verifier.account);
    let mut params = Params::default();
    params.verification.interval_ms = u64::MAX;
    params.verification.interval_max_ms = u64::MAX;
    params.reward.nomination_epochs = 1;
    params.uptime.carriers = vec![account(&key(40))];
    GenesisSpec {
        chain_id: CHAIN.to_owned(),
        genesis_time: BlockTime(GENESIS_MS),
        chain_start: ChainTime(GENESIS_MS),
        epoch_seconds: 3600,
        schedule_start: ChainTime(SCHEDULE_MS),
        params,
        catalogue: Catalogue {
            classes: vec![class],
            models: vec![
                model(1, 10_000, Pool::Enterprise),
                model(2, 1_000, Pool::Community),
                model(3, 250, Pool::Community),
            ],
        },
        validators,
        verifiers,
        balances,
        bridge: GenesisBridge {
            cluster: Hash([7; 32]),
            program: AccountId([8; 32]),
            io_mint: AccountId([9; 32]),
            usdc_mint: AccountId([10; 32]),
        },
        accepted_pairs: Vec::new(),
    }
}

/// What a validator puts into its extension; tests change it between blocks.
pub(crate) type Extensions = BTreeMap<u8, VoteExtension>;

/// One machine and the engine that drives it.
pub(crate) struct Chain {
    /// The machine.
    pub(crate) machine: Machine,
    /// Time of the last block, ms.
    pub(crate) now: u64,
    /// Time between blocks, ms.
    pub(crate) step: u64,
    /// Extensions of the next commit.
    pub(crate) extensions: Extensions,
    /// What proposers have seen of Solana.
    pub(crate) bridge: BridgeData,
    /// The price that every validator reports, micro-USD; none: nobody reports.
    pub(crate) price: Option<u64>,
    /// Whether signatures over batches are added to the extensions.
    pub(crate) signs: bool,
    /// All blocks so far, to replay.
    pub(crate) blocks: Vec<Block>,
    /// Outcome of the last block.
    pub(crate) last: Option<BlockOutcome>,
    last_extensions: Extensions,
    genesis: GenesisSpec,
    disk: Disk,
}

/// A store in memory with the chain's tables.
pub(crate) fn memory_store(disk: &Disk) -> Store {
    Store::open(tables::SPECS, Box::new(MemoryBackend::new(disk))).unwrap()
}

impl Chain {
    /// A chain of the test genesis, changed by `change`.
    pub(crate) fn with(change: impl FnOnce(&mut GenesisSpec)) -> Self {
        let mut genesis = genesis();
        change(&mut genesis);
        let disk = Disk::default();
        let machine = Machine::open(memory_store(&disk), Options::default()).unwrap();
        machine.init_chain(&genesis).unwrap();
        let mut chain = Self {
            machine,
            now: GENESIS_MS,
            step: 1000,
            extensions: Extensions::new(),
            bridge: BridgeData::default(),
            price: Some(150_000),
            signs: true,
            blocks: Vec::new(),
            last: None,
            last_extensions: Extensions::new(),
            genesis,
            disk,
        };
        chain.block(Vec::new());
        chain
    }

    /// A chain of the test genesis.
    pub(crate) fn new() -> Self {
        Self::with(|_genesis| {})
    }

    /// Opens the machine again from what is durable.
    pub(crate) fn reopen(&mut self) {
        self.machine = Machine::open(memory_store(&self.disk), Options::default()).unwrap();
    }

    /// The genesis it began from.
    pub(crate) fn genesis(&self) -> &GenesisSpec {
        &self.genesis
    }

    /// Height of the last block.
    pub(crate) fn height(&self) -> u64 {
        self.machine.info().0.0
    }

    /// Reads a committed row.
    pub(crate) fn row<K, V>(&self, table: &Table<K, V>, key: &K) -> Option<V>
    where
        K: Key,
        V: borsh::BorshSerialize + borsh::BorshDeserialize,
    {
        table.read(&self.machine.store().snapshot(), key).unwrap()
    }

    /// Reads a committed value of a table with 64 in a row.
    pub(crate) fn value<K, V>(&self, table: &Paged<K, V>, key: &K) -> Option<V>
    where
        K: PagedKey,
        V: borsh::BorshSerialize + borsh::BorshDeserialize,
    {
        table.read(&self.machine.store().snapshot(), key).unwrap()
    }

    /// A holder's money.
    pub(crate) fn money(&self, holder: impl Into<Holder>, asset: Asset) -> AccountRow {
        self.row(&tables::ACCOUNTS, &(holder.into(), asset))
            .unwrap_or_default()
    }

    /// IO that an account can spend, base units.
    pub(crate) fn free_io(&self, key: &SigningKey) -> u64 {
        let row = self.money(account(key), Asset::Io);
        u64::try_from(row.balance).unwrap() - row.held.get()
    }

    /// A device.
    pub(crate) fn device(&self, id: u64) -> Device {
        self.row(&tables::DEVICES, &DeviceId(id)).unwrap()
    }

    /// A signed transaction of one action on lane 0.
    pub(crate) fn sign(&self, key: &SigningKey, actions: Vec<Action>) -> Vec<u8> {
        self.sign_after(key, actions, 0)
    }

    /// The same, `after` that many others of this signer in one block.
    pub(crate) fn sign_after(&self, key: &SigningKey, actions: Vec<Action>, after: u64) -> Vec<u8> {
        let lane = self
            .row(&tables::LANES, &(account(key), 0))
            .unwrap_or_default();
        self.body(key, actions, lane.sequence + 1 + after)
            .sign(key)
            .encode()
    }

    /// A body that is right in everything.
    pub(crate) fn body(
        &self,
        key: &SigningKey,
        actions: Vec<Action>,
        sequence: u64,
    ) -> TransactionBody {
        TransactionBody {
            chain_id: CHAIN.to_owned(),
            signer: account(key),
            lane: 0,
            sequence,
            expires: Height(self.height() + 100),
            fee_max: Amount::new(FEE),
            actions,
        }
    }

    /// Sends one action that must succeed.
    pub(crate) fn must(&mut self, key: &SigningKey, action: Action) -> Vec<Event> {
        let transaction = self.sign(key, vec![action]);
        let outcome = self.block(vec![transaction]).transactions[1].clone();
        assert_eq!(outcome.code, 0, "{}", outcome.log);
        outcome.events
    }

    /// Sends one action that must be rejected with this code and change nothing but sequence and fee.
    pub(crate) fn refused(&mut self, key: &SigningKey, action: Action, code: u32) {
        let transaction = self.sign(key, vec![action.clone()]);
        let opened = Transaction::decode(&transaction).unwrap();
        let duty = opened.body.actions.iter().all(Action::is_duty);
        if duty {
            // A duty that is not due never enters a block: an honest proposer leaves it out.
            let answer = self.machine.check_tx(&transaction, false).unwrap();
            assert_eq!(answer.unwrap_err().code(), code);
            assert_eq!(
                self.propose(vec![transaction]).transactions.len(),
                1,
                "it was left out"
            );
            return;
        }
        let before = self.rows_without_money_paid(&opened.body.signer);
        // So short a block that nothing falls due by itself.
        let step = std::mem::replace(&mut self.step, 1);
        let outcome = self.block(vec![transaction]).transactions[1].clone();
        self.step = step;
        assert_eq!(outcome.code, code, "{action:?}: {}", outcome.log);
        let after = self.rows_without_money_paid(&opened.body.signer);
        let changed: Vec<_> = before
            .keys()
            .chain(after.keys())
            .filter(|key| before.get(*key) != after.get(*key))
            .collect();
        assert!(changed.is_empty(), "{action:?} changed rows {changed:?}");
    }

    /// Every row that a rejected action of this signer may not change.
    fn rows_without_money_paid(&self, signer: &AccountId) -> BTreeMap<(u8, Vec<u8>), Vec<u8>> {
        let view = self.machine.store().snapshot();
        let of_signer = Key::to_bytes(&(Holder::Account(*signer), Asset::Io));
        let revenue = (Holder::System(io_types::SystemAccount::Revenue), Asset::Io);
        let skipped = [
            tables::LANES.id,
            tables::CLOCK.id,
            tables::EPOCHS.id,
            tables::PRICE.id,
            tables::BEACON.id,
            tables::VALIDATORS.id,
            tables::SETTLEMENTS.id,
        ];
        let mut rows = BTreeMap::new();
        for spec in tables::SPECS
            .iter()
            .filter(|spec| !skipped.contains(&spec.id))
        {
            io_storage::Snapshot::scan(&view, spec.id, &[], None, &mut |key, value| {
                let fee = spec.id == tables::ACCOUNTS.id
                    && (key == of_signer || key == Key::to_bytes(&revenue));
                if !fee {
                    rows.insert((spec.id.0, key.to_vec()), value.to_vec());
                }
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
        }
        rows
    }

    /// Makes the next block of these transactions as an honest proposer does; nothing is executed.
    pub(crate) fn propose(&self, transactions: Vec<Vec<u8>>) -> Block {
        let mut block = self.empty_block();
        block.transactions = transactions;
        let request = ProposalRequest {
            block: block.clone(),
            extended: self.extended(&block.last_commit),
            bytes_max: 4_000_000,
        };
        block.transactions = self.machine.prepare(&request, &self.bridge).unwrap();
        block
    }

    /// The votes of the last commit with their extensions.
    pub(crate) fn extended(&self, commit: &LastCommit) -> Vec<ExtendedVote> {
        let height = self.height();
        commit
            .votes
            .iter()
            .map(|vote| {
                let number = (1..=4)
                    .find(|number| address(*number) == vote.validator)
                    .unwrap();
                let extension = self
                    .last_extensions
                    .get(&number)
                    .map(VoteExtension::encode)
                    .unwrap_or_default();
                let message = extension_sign_bytes(CHAIN, height, commit.round, &extension);
                let signature = validator_key(number).sign(&message).to_bytes().to_vec();
                ExtendedVote {
                    vote: vote.clone(),
                    extension,
                    signature,
                }
            })
            .collect()
    }

    fn empty_block(&self) -> Block {
        let height = self.height() + 1;
        let votes = self.genesis.validators.iter().map(|validator| CommitVote {
            validator: validator.address,
            power: validator.power,
            flag: VoteFlag::Commit,
        });
        let last_commit = if height == 1 {
            LastCommit::default()
        } else {
            LastCommit {
                round: 0,
                votes: votes.collect(),
            }
        };
        Block {
            height: Height(height),
            time: BlockTime(self.now + self.step),
            hash: Hash(sha256(&height.to_be_bytes()).0),
            proposer: self.genesis.validators[0].address,
            last_commit,
            transactions: Vec::new(),
        }
    }

    /// One block of these transactions, from proposal to commit.
    pub(crate) fn block(&mut self, transactions: Vec<Vec<u8>>) -> BlockOutcome {
        let block = self.propose(transactions);
        self.decide(block)
    }

    /// Executes and commits a decided block.
    pub(crate) fn decide(&mut self, block: Block) -> BlockOutcome {
        self.machine.process(&block).unwrap();
        self.extend();
        let outcome = self.machine.finalize(&block).unwrap();
        self.machine.commit(|_patch| {}).unwrap();
        self.now = block.time.0;
        self.blocks.push(block);
        self.last = Some(outcome.clone());
        outcome
    }

    /// What every validator says of the block in the works.
    fn extend(&mut self) {
        let height = self.height() + 1;
        let mut all = std::mem::take(&mut self.extensions);
        for number in 1..=4_u8 {
            let extension = all.entry(number).or_insert_with(|| VoteExtension {
                version: 1,
                ..VoteExtension::default()
            });
            if let (Some(price), None) = (self.price, extension.prices) {
                extension.prices = Some(PricesPart {
                    io: price,
                    usdc: 1_000_000,
                    published_ms: self.now,
                });
            }
            if extension.beacon.is_none() {
                extension.beacon = Some(beacon_link(number, usize::try_from(height).unwrap()));
            }
            let key = settlement_key(number);
            let duties = self
                .machine
                .extension_duties(address(number), account(&key))
                .unwrap();
            for (batch, body) in duties.map(|duties| duties.batches).unwrap_or_default() {
                if self.signs {
                    let message = io_settlement::batch::message(
                        io_settlement::batch::Kind::Settle,
                        &sha256(&body).0,
                    );
                    let signature = io_types::Signature(key.sign(&message).to_bytes());
                    extension.signatures.push((batch, signature));
                }
            }
        }
        self.last_extensions = all;
    }

    /// Empty blocks until chain time reaches `time`.
    pub(crate) fn run_until(&mut self, time: u64) {
        while self.now < time {
            self.block(Vec::new());
        }
    }

    /// That many empty blocks.
    pub(crate) fn run(&mut self, blocks: u64) {
        for _ in 0..blocks {
            self.block(Vec::new());
        }
    }
}

/// The usual device.
pub(crate) fn device_spec(model: u16, quantity: u16, ask: u64) -> DeviceSpec {
    DeviceSpec {
        model: ModelId(model),
        quantity,
        vram_mib: 81_920,
        country: CountryCode(*b"DE"),
        connectivity: 4,
        ask: MicroUsd(ask),
        payout_asset: Asset::Io,
    }
}

/// The usual order.
pub(crate) fn order(model: u16, quantity: u16, client_id: u64) -> PlaceOrder {
    PlaceOrder {
        models: vec![ModelId(model)],
        quantity,
        hours: 2,
        price_max: MicroUsd(3_000_000),
        asset: Asset::Io,
        countries: Vec::new(),
        connectivity_min: 0,
        reputation_min: 0,
        compliance_min: 0,
        spread: Spread::Any,
        open_blocks: 100,
        pulse_ok: true,
        client_id,
    }
}

/// A device's hash chain: `link(slot)` for slots `first .. first + slots`.
#[derive(Clone, Debug)]
pub(crate) struct Links {
    /// Its first slot.
    pub(crate) first: Slot,
    by_slot: Vec<Hash>,
    /// SHA-256 of the first link.
    pub(crate) anchor: Hash,
}

impl Links {
    /// A chain from a seed.
    pub(crate) fn new(seed: u8, first: Slot, slots: u16) -> Self {
        let mut links = vec![Hash([seed; 32])];
        for _ in 1..slots {
            links.push(sha256(&links.last().unwrap().0));
        }
        links.reverse();
        let anchor = sha256(&links[0].0);
        Self {
            first,
            by_slot: links,
            anchor,
        }
    }

    /// The link of a slot.
    pub(crate) fn link(&self, slot: Slot) -> Hash {
        self.by_slot[usize::try_from(slot.0 - self.first.0).unwrap()]
    }
}

/// A device that is ready: registered by `owner`, staked, with a hash chain, its first challenge passed.
///
/// The pass is written into the state of the next block through a direct row, because challenges have tests of their own.
pub(crate) fn ready_device(
    chain: &mut Chain,
    owner: &SigningKey,
    device_key: &SigningKey,
    spec: DeviceSpec,
) -> (u64, Links) {
    let client_id = chain.height();
    let register = RegisterDevice {
        spec,
        device_key: account(device_key),
        consent: consent(device_key, CHAIN, &account(owner)),
        client_id,
    };
    let events = chain.must(owner, Action::RegisterDevice(register));
    let id = events
        .iter()
        .find_map(|event| match event {
            Event::DeviceRegistered { device, .. } => Some(*device),
            _other => None,
        })
        .unwrap();
    chain.must(
        owner,
        Action::AddStake(AddStake {
            device: id,
            amount: Amount::new(20_000 * IO),
        }),
    );
    let first = ChainTime(chain.now).slot().next();
    let links = Links::new(device_key.to_bytes()[0], first, 1440);
    let chain_action = RegisterUptimeChain {
        device: id,
        anchor: links.anchor,
        first_slot: first,
        slots: 1440,
    };
    chain.must(device_key, Action::RegisterUptimeChain(chain_action));
    pass(chain, id);
    (id.0, links)
}

/// Makes a device's challenge passed, as the tally would: by writing its row under the next block.
pub(crate) fn pass(chain: &mut Chain, id: DeviceId) {
    chain.edit(|state| {
        let mut row = tables::DEVICES.get(state, &id).unwrap().unwrap();
        if let Some(challenge) = row.challenge.take() {
            tables::CHALLENGES.delete(state, &challenge);
        }
        row.state = DeviceState::Ready;
        row.class = Some(ClassId(1));
        row.passed_at = Some(ChainTime(GENESIS_MS));
        row.last_failed = false;
        row.challenge_due = ChainTime(u64::MAX);
        tables::DEVICES.put(state, &id, &row);
    });
}

impl Chain {
    /// Changes rows between two blocks: the machine is opened again on the changed store.
    pub(crate) fn edit(&mut self, change: impl FnOnce(&mut io_state_machine::state::State<'_>)) {
        let store = self.machine.store();
        let changes = {
            let view = store.snapshot();
            let mut state = io_state_machine::state::State::new(&view);
            change(&mut state);
            state.into_write_set().unwrap()
        };
        let height = self.height() + 1;
        let patch = self.machine.store().stage(changes).unwrap();
        self.machine.store().commit(patch, height).unwrap();
        self.reopen();
        self.blocks.clear();
    }

    /// The next block, with the link of the present slot if it was not sent yet.
    pub(crate) fn beat_if_new(&mut self, device_key: &SigningKey, id: u64, links: &Links) {
        let slot = ChainTime(self.now).slot();
        let row = self.value(&tables::UPTIME, &DeviceId(id)).unwrap();
        if row.link_slot < slot {
            self.beat(device_key, id, links);
        } else {
            self.run(1);
        }
    }

    /// Sends the links of a device for every slot that has begun and was not sent, up to now, by its own key.
    pub(crate) fn beat(&mut self, device_key: &SigningKey, id: u64, links: &Links) {
        let slot = ChainTime(self.now).slot();
        let transaction = self.sign(
            device_key,
            vec![Action::Heartbeats(Heartbeats {
                slot,
                entries: vec![(DeviceId(id), links.link(slot))],
            })],
        );
        let outcome = self.block(vec![transaction]);
        assert_eq!(outcome.transactions.len(), 2, "the heartbeat was left out");
        assert_eq!(
            outcome.transactions[1].code, 0,
            "{}",
            outcome.transactions[1].log
        );
    }
}
