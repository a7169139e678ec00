//! End to end on the nodes of this machine: CometBFT, four applications, and clients that hand over transactions.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use io_bridge::SettlementSigner;
use io_bridge::reader::Bound;
use io_node::chain::Chain;
use io_node::comet::Binary;
use io_node::validator::{BeaconChain, Identity, Report};
use io_state_machine::tables;
use io_types::action::{
    AddStake, DeviceSpec, PlaceOrder, RegisterDevice, Spread, Transfer, consent,
};
use io_types::catalogue::{ClassId, CountryCode, ModelId};
use io_types::extension::PricesPart;
use io_types::genesis::{GenesisBalance, GenesisSpec};
use io_types::row::DeviceState;
use io_types::{
    Action, Amount, Asset, BlockTime, ChainTime, DeviceId, Hash, MicroUsd, ValidatorAddress,
};

use crate::chains::{self, Founding, IO, account, key};
use crate::counted::{Tally, counted};
use crate::line::{Bar, Line, figure};
use crate::network::{Network, Spent};
use crate::noop;
use crate::setup::{Setup, once, rate};

/// Actions of one transaction.
const BATCH: usize = 256;

/// A burst ends with a block, and the next block may be a second away: so many count together.
const BURSTS: usize = 5;

/// Why the lines of this file can not run, if they can not.
fn engine(names: &[&str]) -> Result<Binary, Vec<Line>> {
    Binary::find(None).map_err(|error| {
        let skipped = |name: &&str| Line::skipped(*name, error.to_string());
        names.iter().map(skipped).collect()
    })
}

/// One transfer per transaction, against the same nodes with an application that does nothing.
pub fn transfers(setup: &Setup) -> anyhow::Result<Vec<Line>> {
    const NAME: &str = "network/transfers";
    let binary = match engine(&[NAME]) {
        Ok(binary) => binary,
        Err(skipped) => return Ok(skipped),
    };
    let (nodes, count, bursts) = setup.pick((4, 12_000, BURSTS), (1, 50, 2));
    let payers = (0..count).map(|number| account(&key("payer", number)));
    let balances = payers.map(|payer| chains::balance(payer, Asset::Io, 1_000 * IO));
    let payee = account(&key("payee", 0));
    let burst = |sequence: u64| -> Vec<Vec<u8>> {
        let transfer = |number| {
            let transfer = Action::Transfer(Transfer {
                to: payee,
                asset: Asset::Io,
                amount: Amount::new(1),
                client_id: sequence,
            });
            chains::signed(&key("payer", number), sequence, vec![transfer])
        };
        (0..count).map(transfer).collect()
    };
    let bursts: Vec<Vec<Vec<u8>>> = (1..=bursts as u64).map(burst).collect();
    let folder = tempfile::tempdir()?;
    let bare = bare(setup, &binary, folder.path(), nodes, &bursts)?;
    let stage = Stage::new(
        setup,
        &binary,
        &folder.path().join("real"),
        nodes,
        balances.collect(),
    )?;
    stage.found(|_founding| Ok(()), |_state| Ok(()))?;
    let chains = stage.open()?;
    let took = average(&stage.run(setup, &chains, &bursts, |_chain, tally, burst| {
        tally.committed() >= burst * count
    })?)?;
    // The kernel counts in hundredths of a second: less than one is not seen.
    let seen = |spent: Spent| spent.processor.max(Duration::from_millis(10));
    let each = |spent: Spent| seen(spent).as_secs_f64() * 1e3 / count as f64;
    Ok(vec![
        Line::measured(
            NAME,
            format!(
                "{count} transactions of one transfer from the first handed over to the last committed on every one of {nodes} nodes, against the same CometBFT nodes with an application that does nothing; the average of {} bursts each",
                bursts.len()
            ),
            figure(rate(count, took.time), "tx/s"),
            figure(rate(count, bare.time), "tx/s"),
            Bar::RatioAtLeast(0.6),
        ),
        Line::measured(
            format!("{NAME}/processor"),
            "processor time of the same runs for each transaction, over all nodes and clients: what other programs on the machine can not distort",
            figure(each(took), "ms"),
            figure(each(bare), "ms"),
            Bar::None,
        ),
    ])
}

/// An average burst.
fn average(bursts: &[Spent]) -> anyhow::Result<Spent> {
    let count = u32::try_from(bursts.len())?;
    let average = |of: fn(&Spent) -> Duration| bursts.iter().map(of).sum::<Duration>() / count;
    Ok(Spent {
        time: average(|spent| spent.time),
        processor: average(|spent| spent.processor),
    })
}

/// The nodes alone.
fn bare(
    setup: &Setup,
    binary: &Binary,
    folder: &Path,
    nodes: usize,
    bursts: &[Vec<Vec<u8>>],
) -> anyhow::Result<Spent> {
    setup.say("nodes with an application that does nothing");
    let network = Network::new(&folder.join("bare"), binary, nodes, pause(setup))?;
    let validators = network.keys()?.into_iter().enumerate();
    let validators = validators.map(|(number, key)| chains::validator(number, key, Hash([1; 32])));
    let spec = chains::genesis(chains::now_ms(), validators.collect(), Vec::new());
    let (applications, tallies): (Vec<_>, Vec<Arc<Tally>>) = (0..nodes)
        .map(|_node| counted(noop::application(), None))
        .unzip();
    let mut running = network.start(applications, &spec, 1, || tallies[0].blocks())?;
    let mut handed_over = 0;
    let spent = bursts.iter().map(|burst| {
        handed_over += burst.len();
        running.burst(burst, || {
            tallies.iter().all(|tally| tally.committed() >= handed_over)
        })
    });
    average(&spent.collect::<anyhow::Result<Vec<_>>>()?)
}

/// Milliseconds between blocks: what `io-node` sets.
fn pause(setup: &Setup) -> u32 {
    setup.pick(900, 50)
}

/// Orders in batches of 256, accepted and matched, against one machine that executes the same block alone.
pub fn orders(setup: &Setup) -> anyhow::Result<Vec<Line>> {
    const NAME: &str = "network/orders";
    let binary = match engine(&[NAME]) {
        Ok(binary) => binary,
        Err(skipped) => return Ok(skipped),
    };
    let (nodes, batches) = setup.pick((4, 80), (1, 1));
    let count = batches * BATCH;
    let mut balances: Vec<GenesisBalance> = Vec::new();
    for number in 0..batches {
        for role in ["owner", "renter"] {
            let who = account(&key(role, number));
            balances.push(chains::balance(who, Asset::Io, 10_000_000 * IO));
        }
    }
    let folder = tempfile::tempdir()?;
    let stage = Stage::new(setup, &binary, &folder.path().join("real"), nodes, balances)?;
    setup.say("devices");
    stage.found(
        |founding| {
            founding.block((0..batches).map(register).collect())?;
            founding.block((0..batches).map(stake).collect())
        },
        |state| (1..=count as u64).try_for_each(|id| pass(state, DeviceId(id))),
    )?;
    let transactions: Vec<Vec<u8>> = (0..batches).map(place).collect();
    setup.say("the same orders on one machine, without consensus");
    let alone = stage.alone(&transactions)?;
    let chains = stage.open()?;
    let took = average(
        &stage.run(setup, &chains, &[transactions], |chain, _tally, _burst| {
            booked(chain) >= count as u64
        })?,
    )?;
    Ok(vec![Line::measured(
        NAME,
        format!(
            "{count} orders in batches of {BATCH} from the first handed over to the last matched and committed on every one of {nodes} nodes, against one machine that executes and commits them in one block"
        ),
        figure(rate(count, took.time), "orders/s"),
        figure(rate(count, alone), "orders/s"),
        Bar::AtLeast(20_000.0),
    )])
}

fn booked(chain: &Chain) -> u64 {
    let counters = tables::COUNTERS.read(&chain.machine.store().snapshot(), &());
    counters
        .ok()
        .flatten()
        .map_or(0, |counters| counters.booking)
}

fn register(batch: usize) -> Vec<u8> {
    let devices = (0..BATCH).map(|place| {
        Action::RegisterDevice(RegisterDevice {
            spec: DeviceSpec {
                model: ModelId(1),
                quantity: 1,
                vram_mib: 81_920,
                country: CountryCode(*b"DE"),
                connectivity: 4,
                ask: MicroUsd(1_000_000 + place as u64),
                payout_asset: Asset::Io,
            },
            device_key: account(&key("device", batch * BATCH + place)),
            consent: consent(
                &key("device", batch * BATCH + place),
                chains::CHAIN,
                &account(&key("owner", batch)),
            ),
            client_id: place as u64,
        })
    });
    chains::signed(&key("owner", batch), 1, devices.collect())
}

fn stake(batch: usize) -> Vec<u8> {
    let stakes = (1..=BATCH).map(|place| {
        Action::AddStake(AddStake {
            device: DeviceId((batch * BATCH + place) as u64),
            amount: Amount::new(1_000 * IO),
        })
    });
    chains::signed(&key("owner", batch), 2, stakes.collect())
}

/// Makes a device's first challenge passed: challenges have tests of their own.
fn pass(state: &mut io_state_machine::state::State<'_>, id: DeviceId) -> anyhow::Result<()> {
    let mut row = tables::DEVICES
        .get(state, &id)?
        .context("a device that was registered")?;
    if let Some(challenge) = row.challenge.take() {
        tables::CHALLENGES.delete(state, &challenge);
    }
    row.state = DeviceState::Ready;
    row.class = Some(ClassId(1));
    row.passed_at = Some(row.registered_at);
    row.last_failed = false;
    row.challenge_due = ChainTime(u64::MAX);
    tables::DEVICES.put(state, &id, &row);
    Ok(())
}

fn place(batch: usize) -> Vec<u8> {
    let orders = (0..BATCH).map(|place| {
        Action::PlaceOrder(PlaceOrder {
            models: vec![ModelId(1)],
            quantity: 1,
            hours: 2,
            price_max: MicroUsd(2_000_000),
            asset: Asset::Io,
            countries: Vec::new(),
            connectivity_min: 0,
            reputation_min: 0,
            compliance_min: 0,
            spread: Spread::Any,
            open_blocks: 100,
            pulse_ok: true,
            client_id: place as u64,
        })
    });
    chains::signed(&key("renter", batch), 1, orders.collect())
}

/// A network whose chain is founded before its engines begin.
struct Stage {
    network: Network,
    folder: std::path::PathBuf,
    spec: GenesisSpec,
}

impl Stage {
    fn new(
        setup: &Setup,
        binary: &Binary,
        folder: &Path,
        nodes: usize,
        balances: Vec<GenesisBalance>,
    ) -> anyhow::Result<Self> {
        let network = Network::new(folder, binary, nodes, pause(setup))?;
        let keys = network.keys()?.into_iter().enumerate();
        let validators =
            keys.map(|(number, key)| chains::validator(number, key, beacon(number).anchor()));
        // A minute ago, so that the founding blocks lie before the engine's first.
        let spec = chains::genesis(chains::now_ms() - 60_000, validators.collect(), balances);
        Ok(Self {
            network,
            folder: folder.to_owned(),
            spec,
        })
    }

    fn home(&self, node: usize) -> std::path::PathBuf {
        self.folder.join(format!("n{node}"))
    }

    /// Makes the first blocks, and gives every node the same disk.
    fn found(
        &self,
        blocks: impl FnOnce(&mut Founding) -> anyhow::Result<()>,
        edit: impl FnOnce(&mut io_state_machine::state::State<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let first = self.home(0);
        let mut founding = Founding::new(&first, &self.spec)?;
        blocks(&mut founding)?;
        founding.edit(edit)?;
        (1..=self.spec.validators.len())
            .try_for_each(|node| chains::copy_folder(&first, &self.home(node)))
    }

    /// How long one block of the transactions takes on a disk of its own, root and commit included.
    fn alone(&self, transactions: &[Vec<u8>]) -> anyhow::Result<Duration> {
        let home = self.home(self.spec.validators.len());
        let mut founding = Founding::again(&home, chains::now_ms())?;
        let transactions = transactions.to_vec();
        let (took, executed) = once(|| founding.block(transactions));
        executed.map(|()| took)
    }

    /// The application of every validator.
    fn open(&self) -> anyhow::Result<Vec<Arc<Chain>>> {
        let bound = Bound::new(&self.spec.chain_id, &self.spec.bridge);
        let keys = self.network.keys()?;
        let open = |(number, consensus): (usize, Hash)| {
            let home = self.home(number);
            let log = home.join("sign.log");
            let signer = SettlementSigner::with_key(key("settlement", number), &log, bound)?;
            let identity = Identity {
                address: address(&self.spec, consensus)?,
                signer,
                beacon: Mutex::new(beacon(number)),
            };
            chains::open(&home, &self.spec, Report::new(Some(identity)))
        };
        keys.into_iter().enumerate().map(open).collect()
    }

    /// Starts the engines over the applications, hands over burst after burst and measures each until it is `done` on every
    /// node.
    fn run(
        &self,
        setup: &Setup,
        chains: &[Arc<Chain>],
        bursts: &[Vec<Vec<u8>>],
        done: impl Fn(&Chain, &Tally, usize) -> bool,
    ) -> anyhow::Result<Vec<Spent>> {
        setup.say("nodes with the real application");
        let (height, app_hash) = chains[0].machine.info();
        let founded = Bytes::copy_from_slice(&app_hash.0);
        let (applications, tallies): (Vec<_>, Vec<Arc<Tally>>) = chains
            .iter()
            .map(|chain| counted(chain.application(0), Some(founded.clone())))
            .unzip();
        let beginning = GenesisSpec {
            genesis_time: BlockTime(chains::now_ms()),
            balances: Vec::new(),
            ..self.spec.clone()
        };
        let prices = Prices::start(chains);
        let tally = &tallies[0];
        let mut running = self
            .network
            .start(applications, &beginning, height.0 + 1, || tally.blocks())?;
        let nodes = || chains.iter().zip(&tallies);
        let spent = bursts.iter().zip(1..).map(|(burst, number)| {
            running.burst(burst, || {
                nodes().all(|(chain, tally)| done(chain, tally, number))
            })
        });
        let took = spent.collect::<anyhow::Result<_>>()?;
        drop(running);
        drop(prices);
        ensure!(
            tally.refused() == 0,
            "{} transactions were rejected",
            tally.refused()
        );
        Ok(took)
    }
}

fn beacon(number: usize) -> BeaconChain {
    BeaconChain::new(Hash([number as u8 + 1; 32]), 4_096)
}

fn address(spec: &GenesisSpec, consensus: Hash) -> anyhow::Result<ValidatorAddress> {
    let row = spec.validators.iter();
    let mut row = row.filter(|validator| validator.consensus_key == consensus);
    Ok(row
        .next()
        .context("a key that genesis does not name")?
        .address)
}

/// A price in every validator's votes, as its reader would put it there.
struct Prices {
    ended: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Prices {
    fn start(chains: &[Arc<Chain>]) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let (chains, seen) = (chains.to_vec(), Arc::clone(&ended));
        let thread = std::thread::spawn(move || {
            let mut told: Option<Instant> = None;
            while !seen.load(Ordering::SeqCst) {
                if told.is_none_or(|at| at.elapsed() > Duration::from_secs(1)) {
                    told = Some(Instant::now());
                    let part = PricesPart {
                        io: 150_000,
                        usdc: 1_000_000,
                        published_ms: chains::now_ms(),
                    };
                    for chain in &chains {
                        chain.report.set_prices(Ok(part));
                    }
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        Self {
            ended,
            thread: Some(thread),
        }
    }
}

impl Drop for Prices {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread
                .join()
                .expect("the price thread holds nothing that could break");
        }
    }
}
