//! Worlds to measure in: a chain with so many devices, accounts, bookings and orders, written as rows by the product's own
//! tables instead of by a million transactions.

use anyhow::{Result, anyhow};
use ed25519_dalek::SigningKey;
use io_state_machine::state::{Counters, State};
use io_state_machine::{BlockOutcome, Machine, Options, tables};
use io_storage::Store;
use io_storage::backend::{Backend, MemoryBackend};
use io_types::action::{DeviceSpec, PlaceOrder, Spread};
use io_types::catalogue::{Catalogue, Class, ClassId, CountryCode, Model, ModelId, Pool};
use io_types::codec::sha256;
use io_types::consensus::{Block, LastCommit};
use io_types::extension::InjectedCommit;
use io_types::genesis::{GenesisBalance, GenesisBridge, GenesisSpec, GenesisValidator};
use io_types::row::{
    AccountRow, Booking, BookingPart, BookingState, Device, DeviceState, Hold, HoldPurpose, Order,
    OrderState, Stake, UptimeChain,
};
use io_types::{
    AccountId, Amount, Asset, BlockTime, BookingId, ChainTime, DeviceId, Epoch, Hash, Height,
    HoldId, Holder, MicroUsd, OrderId, Reason, Slot, SystemAccount, ValidatorAddress,
};

/// 2026-11-01T00:00:00Z, ms: first of a month and a full hour.
pub const GENESIS_MS: u64 = 1_793_491_200_000;
/// 2024-07-01T00:00:00Z, ms.
const SCHEDULE_MS: u64 = 1_719_792_000_000;
/// Id of the chain.
pub const CHAIN: &str = "bench-1";
/// Models of the catalogue.
const MODELS: u64 = 24;
/// Rows are written in blocks of so many devices or accounts.
const CHUNK: u64 = 50_000;
/// Where devices stand.
const COUNTRIES: [&[u8; 2]; 16] = [
    b"AE", b"AT", b"AU", b"BR", b"CA", b"CH", b"DE", b"ES", b"FR", b"GB", b"IN", b"JP", b"KR",
    b"NL", b"SG", b"US",
];
/// One whole IO.
const IO: u64 = 100_000_000;

/// What to write. Every device is ready, with its stake; nothing else is there unless it is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plan {
    /// Devices, in 24 models.
    pub devices: u64,
    /// Whether they have hash chains, keys and the holds of their stakes as well.
    pub whole: bool,
    /// The slot of the last link of their hash chains; none: no hash chains.
    pub linked: Option<Slot>,
    /// Accounts with IO beside the devices' owners.
    pub accounts: u64,
    /// Devices of these that are hired, one booking each.
    pub bookings: u64,
}

/// A chain to run blocks on.
#[derive(Debug)]
pub struct World {
    /// The machine.
    pub machine: Machine,
    /// Time of the last block, ms.
    pub now: u64,
}

/// A number that looks random and follows from another.
pub fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn pick<const N: usize, T: Copy>(of: [T; N], number: u64) -> T {
    of[(number % N as u64) as usize]
}

/// The account of that number.
pub fn account(number: u64) -> AccountId {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&mix(number).to_be_bytes());
    bytes[8..16].copy_from_slice(&number.to_be_bytes());
    AccountId(bytes)
}

/// The key that carries heartbeats.
pub fn carrier() -> SigningKey {
    SigningKey::from_bytes(&[40; 32])
}

/// The last link of a device's hash chain, and the one before it.
pub fn links(device: u64) -> (Hash, Hash) {
    let mut seed = [3; 32];
    seed[..8].copy_from_slice(&device.to_be_bytes());
    (sha256(&seed), Hash(seed))
}

fn catalogue() -> Catalogue {
    let class = Class {
        id: ClassId(1),
        name: "any".to_owned(),
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
    let model = |id: u64| Model {
        id: ModelId(id as u16),
        name: format!("model {id}"),
        class: ClassId(1),
        multiplier_milli: 1000,
        pool: if id.is_multiple_of(2) {
            Pool::Enterprise
        } else {
            Pool::Community
        },
        price_floor: MicroUsd(10_000),
        price_ceiling: MicroUsd(10_000_000),
        vram_mib: 81_920,
        placeholder: Vec::new(),
    };
    Catalogue {
        classes: vec![class],
        models: (1..=MODELS).map(model).collect(),
    }
}

fn spec() -> GenesisSpec {
    let key = SigningKey::from_bytes(&[1; 32]).verifying_key().to_bytes();
    let mut genesis = GenesisSpec {
        chain_id: CHAIN.to_owned(),
        genesis_time: BlockTime(GENESIS_MS),
        chain_start: ChainTime(GENESIS_MS),
        epoch_seconds: 3600,
        schedule_start: ChainTime(SCHEDULE_MS),
        params: io_types::Params::default(),
        catalogue: catalogue(),
        validators: vec![GenesisValidator {
            address: ValidatorAddress([1; 20]),
            consensus_key: Hash(key),
            power: 10,
            settlement_key: AccountId(key),
            operator: AccountId(key),
            beacon_anchor: Hash([2; 32]),
            moniker: "one".to_owned(),
        }],
        verifiers: Vec::new(),
        balances: vec![
            balance(Asset::Io, 400_000_000 * IO),
            balance(Asset::Usdc, 1_000_000_000_000_000),
        ],
        bridge: GenesisBridge {
            cluster: Hash([7; 32]),
            program: AccountId([8; 32]),
            io_mint: AccountId([9; 32]),
            usdc_mint: AccountId([10; 32]),
        },
        accepted_pairs: Vec::new(),
    };
    let params = &mut genesis.params;
    params.uptime.carriers = vec![AccountId(carrier().verifying_key().to_bytes())];
    // Stakes of a million devices must fit the IO that there is.
    params.stake.per_processor = Amount::new(IO);
    // Challenges are measured elsewhere: none falls due.
    params.verification.interval_ms = u64::MAX;
    params.verification.interval_max_ms = u64::MAX;
    params.verification.running_max = 0;
    genesis
}

/// Everything that the world has belongs to one account at first.
fn rich() -> AccountId {
    account(0)
}

fn balance(asset: Asset, amount: u64) -> GenesisBalance {
    GenesisBalance {
        account: rich(),
        asset,
        amount: Amount::new(amount),
    }
}

fn device(id: u64, hired: bool) -> Device {
    let roll = mix(id);
    let now = ChainTime(GENESIS_MS);
    Device {
        id: DeviceId(id),
        owner: account(id),
        device_key: account(id + (1 << 40)),
        spec: DeviceSpec {
            model: ModelId((roll % MODELS + 1) as u16),
            quantity: pick([1, 2, 4, 8], roll >> 8),
            vram_mib: 81_920,
            country: CountryCode(*pick(COUNTRIES, roll >> 16)),
            connectivity: pick([1, 2, 3, 4], roll >> 24),
            ask: MicroUsd(1_000_000 + (roll >> 32) % 500_000),
            payout_asset: Asset::Usdc,
        },
        state: if hired {
            DeviceState::Hired
        } else {
            DeviceState::Ready
        },
        reason: Reason::Normal,
        since: now,
        compliance: pick([0, 1, 2, 3], roll >> 28),
        reputation: 5000 + (roll % 4000) as u16,
        class: Some(ClassId(1)),
        passed_at: Some(now),
        last_failed: false,
        challenge: None,
        booking: hired.then_some(BookingId(id)),
        waiting_since: ChainTime(GENESIS_MS - (roll >> 48)),
        memory_failures: 0,
        memory_failed_at: ChainTime(0),
        challenge_due: ChainTime(u64::MAX),
        registered_at: now,
    }
}

/// The bits of an hour without a gap.
pub fn hour(epoch: Epoch) -> [(Epoch, u64); 3] {
    let mut epochs = UptimeChain::NO_EPOCHS;
    epochs[2] = (epoch, (1 << 60) - 1);
    epochs
}

fn hash_chain(id: u64, linked: Slot) -> UptimeChain {
    UptimeChain {
        link: links(id).0,
        link_slot: linked,
        last_slot: linked.plus(1440),
        epochs: hour(linked.epoch()),
        full_epochs: 10,
        full_unraised: 0,
        expected_from: linked,
        missed: 0,
        counted_down: false,
    }
}

/// An order of 1 to 64 processors of one model.
pub fn ask(number: u64, asset: Asset) -> PlaceOrder {
    let roll = mix(number ^ 0x0dde);
    PlaceOrder {
        models: vec![ModelId((roll % MODELS + 1) as u16)],
        quantity: ((roll >> 8) % 64 + 1) as u16,
        hours: 1,
        price_max: MicroUsd(2_000_000),
        asset,
        countries: Vec::new(),
        connectivity_min: pick([0, 0, 1, 2], roll >> 16),
        reputation_min: pick([0, 0, 5000, 6000], roll >> 24),
        compliance_min: pick([0, 0, 0, 1], roll >> 28),
        spread: Spread::Any,
        open_blocks: 80_000,
        pulse_ok: true,
        client_id: number,
    }
}

impl World {
    /// A world in memory.
    pub fn new(plan: &Plan) -> Result<Self> {
        Self::on(Box::new(MemoryBackend::default()), plan)
    }

    /// A world on a backend without rows.
    pub fn on(backend: Box<dyn Backend>, plan: &Plan) -> Result<Self> {
        let store = Store::open(tables::SPECS, backend)?;
        commit(&store, |state| {
            io_state_machine::genesis::write(&spec(), state)
        })?;
        let mut from = 1;
        while from <= plan.devices.max(plan.accounts) {
            let numbers = from..from + CHUNK;
            commit(&store, |state| {
                for number in numbers {
                    write_device(state, plan, number)?;
                    if number <= plan.accounts {
                        move_money(state, account(number + (1 << 41)), Asset::Io, IO, 0);
                    }
                }
                Ok(())
            })?;
            from += CHUNK;
        }
        commit(&store, |state| {
            let counters = Counters {
                device: plan.devices,
                booking: plan.devices,
                hold: plan.devices * 4,
                ..Counters::default()
            };
            tables::COUNTERS.put(state, &(), &counters);
            pay_out(state, plan)
        })?;
        Self::open(store)
    }

    /// A world on a store that has one.
    pub fn open(store: Store) -> Result<Self> {
        let options = Options {
            parallel_signatures: false,
        };
        let machine = Machine::open(store, options)?;
        Ok(Self {
            machine,
            now: GENESIS_MS,
        })
    }

    /// A world around a machine that was opened elsewhere, whose last block was at `now`.
    pub fn around(machine: Machine, now: u64) -> Self {
        Self { machine, now }
    }

    /// Writes rows outside of any block.
    pub fn write(
        self,
        write: impl FnOnce(&mut State<'_>) -> Result<(), io_storage::Fault>,
    ) -> Result<Self> {
        let (store, now) = (self.machine.into_store(), self.now);
        commit(&store, write)?;
        let world = Self::open(store)?;
        Ok(Self { now, ..world })
    }

    /// Puts open orders into the book, each with its hold.
    pub fn with_orders(self, orders: &[PlaceOrder]) -> Result<Self> {
        let height = self.machine.info().0;
        self.write(|state| {
            let mut counters = tables::COUNTERS.get(state, &())?.unwrap_or_default();
            let mut held = 0;
            for ask in orders {
                (counters.order, counters.hold) = (counters.order + 1, counters.hold + 1);
                let (id, hold) = (OrderId(counters.order), HoldId(counters.hold));
                let order = Order {
                    id,
                    renter: rich(),
                    ask: ask.clone(),
                    state: OrderState::Open,
                    entered: height,
                    open_through: Height(height.0 + 80_000),
                    hold,
                    report: None,
                };
                tables::ORDERS.put(state, &id, &order);
                let amount = 3_000_000 * u64::from(ask.quantity);
                held += amount;
                put_hold(
                    state,
                    (hold, rich()),
                    Asset::Usdc,
                    amount,
                    HoldPurpose::Order(id),
                );
            }
            tables::OPEN_ORDERS.put(state, &rich(), &(orders.len() as u32));
            tables::COUNTERS.put(state, &(), &counters);
            let key = (Holder::Account(rich()), Asset::Usdc);
            let mut row = tables::ACCOUNTS.get(state, &key)?.unwrap_or_default();
            row.held = Amount::new(row.held.get() + held);
            tables::ACCOUNTS.put(state, &key, &row);
            Ok(())
        })
    }

    /// A block of these transactions, `later` ms after the last.
    pub fn block(&mut self, transactions: Vec<Vec<u8>>, later: u64) -> Block {
        self.now += later;
        let mut all = vec![InjectedCommit::default().encode()];
        all.extend(transactions);
        Block {
            height: Height(self.machine.info().0.0 + 1),
            time: BlockTime(self.now),
            hash: Hash([1; 32]),
            proposer: ValidatorAddress([1; 20]),
            last_commit: LastCommit::default(),
            transactions: all,
        }
    }

    /// Executes a block, root included, and commits it.
    pub fn run(&mut self, transactions: Vec<Vec<u8>>, later: u64) -> Result<BlockOutcome> {
        let block = self.block(transactions, later);
        let outcome = self.machine.finalize(&block)?;
        self.machine.commit(|_patch| {})?;
        Ok(outcome)
    }
}

fn commit(
    store: &Store,
    write: impl FnOnce(&mut State<'_>) -> Result<(), io_storage::Fault>,
) -> Result<()> {
    let (patch, height) = {
        let view = store.snapshot();
        let mut state = State::new(&view);
        write(&mut state)?;
        (view.stage(&state.into_write_set()?)?, view.height() + 1)
    };
    store.commit(patch, height).map_err(|fault| anyhow!(fault))
}

fn put_hold(
    state: &mut State<'_>,
    (id, owner): (HoldId, AccountId),
    asset: Asset,
    amount: u64,
    purpose: HoldPurpose,
) {
    let hold = Hold {
        owner: owner.into(),
        asset,
        remaining: Amount::new(amount),
        purpose,
    };
    tables::HOLDS.put(state, &id, &hold);
}

fn move_money(state: &mut State<'_>, to: AccountId, asset: Asset, amount: u64, held: u64) {
    let row = AccountRow {
        balance: i128::from(amount),
        held: Amount::new(held),
    };
    tables::ACCOUNTS.put(state, &(to.into(), asset), &row);
}

fn write_device(state: &mut State<'_>, plan: &Plan, id: u64) -> Result<(), io_storage::Fault> {
    if id > plan.devices {
        return Ok(());
    }
    let hired = id <= plan.bookings;
    let row = device(id, hired);
    tables::DEVICES.put(state, &row.id, &row);
    let staked = IO * u64::from(row.spec.quantity);
    let stake = Stake {
        staker: row.owner,
        amount: Amount::new(staked),
        hold: HoldId(id),
        exit: None,
    };
    tables::STAKES.put(state, &row.id, &stake)?;
    if let Some(linked) = plan.linked {
        tables::UPTIME.put(state, &row.id, &hash_chain(id, linked))?;
    }
    if plan.whole {
        tables::DEVICE_KEYS.put(state, &row.device_key, &row.id);
        move_money(state, row.owner, Asset::Io, staked, staked);
        let purpose = HoldPurpose::Stake(row.id);
        put_hold(state, (HoldId(id), row.owner), Asset::Io, staked, purpose);
    }
    if hired {
        write_booking(state, &row, plan.devices);
    }
    Ok(())
}

/// A booking of one device, paid by the rich account.
fn write_booking(state: &mut State<'_>, device: &Device, devices: u64) {
    let id = BookingId(device.id.0);
    let (part_hold, fee_hold) = (HoldId(devices + id.0), HoldId(devices * 2 + id.0));
    let (part, fees) = (part_of(device), part_of(device) / 400);
    let (owner, asset) = (rich(), Asset::Usdc);
    put_hold(
        state,
        (part_hold, owner),
        asset,
        part,
        HoldPurpose::Part(id, device.id),
    );
    put_hold(
        state,
        (fee_hold, owner),
        asset,
        fees,
        HoldPurpose::BookingFees(id),
    );
    let booking = Booking {
        id,
        order: OrderId(1),
        renter: owner,
        asset,
        hours: 24,
        price: 0,
        total: Amount::new(part + fees),
        fees: Amount::new(fees),
        fee_hold,
        reservation: Amount::new(fees),
        fees_earned: Amount::ZERO,
        state: BookingState::Serving,
        parts: vec![BookingPart {
            device: device.id,
            supplier: device.owner,
            ask: device.spec.ask,
            quantity: device.spec.quantity,
            part: Amount::new(part),
            hold: part_hold,
            payout_asset: asset,
            delivered_at: Some(ChainTime(GENESIS_MS)),
            served: 0,
            slashed: 0,
            paid: Amount::ZERO,
            pay_due: ChainTime(GENESIS_MS + 86_400_000),
            ended: None,
            sealed: vec![5; 120],
        }],
        matched_at: ChainTime(GENESIS_MS),
        deliver_by: ChainTime(GENESIS_MS),
        height: Height(1),
        pulse_ok: true,
    };
    tables::BOOKINGS.put(state, &id, &booking);
}

/// A day of a device, micro-USDC.
fn part_of(device: &Device) -> u64 {
    device.spec.ask.0 * u64::from(device.spec.quantity) * 24
}

/// Takes what the world's rows gave away from the account that had it all, so that money is conserved.
fn pay_out(state: &mut State<'_>, plan: &Plan) -> Result<(), io_storage::Fault> {
    let mut io = plan.accounts * IO;
    let (mut held, mut staked) = (0, 0);
    for id in 1..=plan.devices {
        let row = device(id, false);
        staked += IO * u64::from(row.spec.quantity);
        if id <= plan.bookings {
            held += part_of(&row) + part_of(&row) / 400;
        }
    }
    if plan.whole {
        io += staked;
    }
    for (asset, less, held) in [(Asset::Io, io, 0), (Asset::Usdc, 0, held)] {
        let key = (Holder::Account(rich()), asset);
        let mut row = tables::ACCOUNTS.get(state, &key)?.unwrap_or_default();
        row.balance -= i128::from(less);
        row.held = Amount::new(row.held.get() + held);
        tables::ACCOUNTS.put(state, &key, &row);
    }
    debug_assert!(
        tables::ACCOUNTS.contains(state, &(Holder::System(SystemAccount::Outside), Asset::Io))?,
        "genesis made the counterpart"
    );
    Ok(())
}
