//! What validators of a simulated chain are shown of Solana: each has a real reader over two or three endpoints, some of which lie.
//!
//! The reader is the one of a node (`io_bridge::reader`): polling, checking and comparing are its own; only HTTP is left out. Lies come in
//! episodes. As long as those whose endpoints all lie have no more than two thirds of the power, the chain may not believe them.

mod lies;

use std::collections::VecDeque;
use std::future::Future;
use std::ops::Range;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use io_bridge::reader::{
    Account, Accounts as Read, Bound, EndpointFault, ReaderConfig, Source, SteppedReader,
};
use io_bridge::{Supply, Watermark as Credited};
use io_settlement::Bytes32;
use io_settlement::account::Bridge;
use io_settlement::address::{BRIDGE_SEED, UPGRADEABLE_LOADER};
use io_sim::rng::Rng;
use io_sim::run::{FaultKind, Plant, Setup};
use io_sim::solana::sight::{Look, Sight, Trust, Watermark};
use io_sim::solana::{Accounts, Solana};
use io_sim::world::{CHAIN, World};
use io_state_machine::BridgeData;
use io_types::Hash;
use solana_pubkey::Pubkey;

use lies::Lie;

/// States of Solana that are remembered, to be shown late.
const MEMORY: usize = 8;
/// An endpoint's last answer counts as long as the run lasts: nothing here depends on how fast this machine is.
const AGE_MAX_MS: u64 = 1 << 40;

/// The eyes of a world's validators.
pub fn eyes(world: &World) -> Box<dyn Sight> {
    Box::new(Eyes::new(world))
}

/// Solana at one time, as an endpoint may show it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Scene {
    slot: u64,
    cluster: Bytes32,
    /// Rolling hash before any deposit.
    first: Bytes32,
    accounts: Accounts,
}

/// Where the accounts of a bridge are.
#[derive(Clone, Copy, Debug)]
struct Places {
    program: Pubkey,
    bridge: Pubkey,
    program_data: Pubkey,
}

/// One endpoint: it shows what it is told to.
#[derive(Debug)]
struct Window {
    places: Places,
    shown: Mutex<Result<Arc<Scene>, EndpointFault>>,
}

impl Window {
    fn show(&self, what: Result<Arc<Scene>, EndpointFault>) {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    fn shown(&self) -> Result<Arc<Scene>, EndpointFault> {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.clone()
    }
}

impl Source for Window {
    fn genesis_hash(&self) -> Result<[u8; 32], EndpointFault> {
        Ok(self.shown()?.cluster)
    }

    fn accounts(&self, keys: &[Pubkey], first_bytes: Option<usize>) -> Result<Read, EndpointFault> {
        let scene = self.shown()?;
        let accounts = &scene.accounts;
        let queue = Bridge::read(&accounts.bridge).map(|bridge| Pubkey::from(bridge.config.queue));
        let read = |key: &Pubkey| {
            let (owner, data) = if *key == self.places.bridge {
                (self.places.program, &accounts.bridge)
            } else if *key == self.places.program_data {
                (Pubkey::from(UPGRADEABLE_LOADER), &accounts.program_data)
            } else if queue == Ok(*key) {
                (self.places.program, &accounts.queue)
            } else {
                return None;
            };
            let length = first_bytes.unwrap_or(data.len()).min(data.len());
            let data = data[..length].to_vec();
            Some(Account { owner, data })
        };
        Ok(Read {
            slot: scene.slot,
            accounts: keys.iter().map(read).collect(),
        })
    }
}

/// What the reader remembers of an endpoint: none, or whether it was true.
type Memory = Option<bool>;

/// One validator's endpoints and its reader.
#[derive(Debug)]
struct Watcher {
    windows: Vec<Arc<Window>>,
    memory: Vec<Memory>,
    /// All show what is final now.
    is_full: bool,
    reader: SteppedReader,
}

/// Some endpoints lie for a while.
#[derive(Clone, Debug)]
struct Episode {
    heights: Range<u64>,
    /// Who is shown what, by validator and endpoint.
    liars: Vec<((usize, usize), Lie)>,
    name: &'static str,
}

#[derive(Debug)]
struct Eyes {
    places: Places,
    cluster: Bytes32,
    final_after: usize,
    /// Newest last.
    past: VecDeque<Arc<Scene>>,
    watchers: Vec<Watcher>,
    episodes: Vec<Episode>,
}

/// Polls once what never waits.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("an endpoint inside this process waits"),
    }
}

impl Eyes {
    fn new(world: &World) -> Self {
        let bound = Bound::new(CHAIN, &world.spec.bridge);
        let program = Pubkey::from(bound.program);
        let loader = Pubkey::from(UPGRADEABLE_LOADER);
        let places = Places {
            program,
            bridge: Pubkey::find_program_address(&[BRIDGE_SEED], &program).0,
            program_data: Pubkey::find_program_address(&[program.as_ref()], &loader).0,
        };
        let mut rng = Rng::new(&[world.seed, 31]);
        let watchers: Vec<Watcher> = world
            .validators
            .iter()
            .map(|_validator| watcher(places, bound, if rng.one_in(3) { 3 } else { 2 }))
            .collect();
        let powers: Vec<u64> = world.validators.iter().map(|one| one.power).collect();
        let sizes: Vec<usize> = watchers.iter().map(|one| one.windows.len()).collect();
        Self {
            places,
            cluster: bound.cluster,
            final_after: world.final_after,
            past: VecDeque::new(),
            episodes: episodes(&powers, &sizes, &mut rng),
            watchers,
        }
    }

    /// The state that is final, once there is one.
    fn final_scene(&self) -> Option<Arc<Scene>> {
        self.past.iter().rev().nth(self.final_after).cloned()
    }

    fn show(&mut self, setup: &Setup, episode: Option<&Episode>) {
        let not_yet = EndpointFault::Missing {
            what: "bridge account",
            address: self.places.bridge.to_string(),
        };
        let truth = self.final_scene().ok_or(not_yet);
        for (validator, watcher) in self.watchers.iter_mut().enumerate() {
            watcher.is_full = truth.is_ok();
            for (endpoint, window) in watcher.windows.iter().enumerate() {
                let lie = episode.and_then(|episode| {
                    let of = |liar: &&((usize, usize), Lie)| liar.0 == (validator, endpoint);
                    episode.liars.iter().find(of)
                });
                let told = match (&truth, lie) {
                    (Ok(scene), Some((_who, lie))) => lie.tell(scene, &self.past),
                    (truth, _none) => truth.clone(),
                };
                watcher.is_full &= lie.is_none();
                remember(&mut watcher.memory[endpoint], &told, &truth, lie);
                window.show(told);
            }
            if setup.plant == Some(Plant::Gullible) {
                let first = watcher.windows[0].shown();
                for window in &watcher.windows[1..] {
                    window.show(first.clone());
                }
            }
            now(watcher.reader.poll());
        }
    }
}

/// What stays in the reader of an endpoint: it forgets one that shows something impossible, and believes one that is silent a while.
fn remember(
    memory: &mut Memory,
    told: &Result<Arc<Scene>, EndpointFault>,
    truth: &Result<Arc<Scene>, EndpointFault>,
    lie: Option<&((usize, usize), Lie)>,
) {
    match told {
        Ok(scene) => {
            let is_old = matches!(lie, Some((_who, Lie::Old(_))));
            let is_true = truth
                .as_ref()
                .is_ok_and(|truth| truth.accounts == scene.accounts);
            *memory = Some(is_old || is_true);
        }
        Err(EndpointFault::Unreachable(_) | EndpointFault::Refused { .. }) => {}
        Err(_false) => *memory = None,
    }
}

fn watcher(places: Places, bound: Bound, endpoints: usize) -> Watcher {
    let window = || {
        Arc::new(Window {
            places,
            shown: Mutex::new(Err(EndpointFault::Silent)),
        })
    };
    let windows: Vec<Arc<Window>> = (0..endpoints).map(|_endpoint| window()).collect();
    let sources = windows.iter().enumerate().map(|(number, window)| {
        let source: Arc<dyn Source> = Arc::<Window>::clone(window);
        (format!("endpoint {number}"), source)
    });
    let mut config = ReaderConfig::new(Vec::new());
    config.age_max_ms = AGE_MAX_MS;
    Watcher {
        memory: vec![None; windows.len()],
        is_full: false,
        reader: SteppedReader::new(config, bound, sources.collect()).unwrap(),
        windows,
    }
}

/// What goes wrong with endpoints in the life of a chain, one thing after the other.
fn episodes(powers: &[u64], sizes: &[usize], rng: &mut Rng) -> Vec<Episode> {
    let mut height = rng.between(6, 12);
    let mut episodes = Vec::new();
    for _episode in 0..rng.between(1, 5) {
        let heights = height..height + rng.between(2, 12);
        height = heights.end + rng.below(8);
        episodes.push(episode(heights, (powers, sizes), rng));
    }
    episodes
}

fn episode(heights: Range<u64>, (powers, sizes): (&[u64], &[usize]), rng: &mut Rng) -> Episode {
    let endpoints = |validator: usize| (0..sizes[validator]).map(move |one| (validator, one));
    let everybody = 0..powers.len();
    let (name, liars): (_, Vec<_>) = match rng.below(5) {
        0 => {
            let lie = Lie::any(rng);
            let validator = usize::try_from(rng.below(4)).unwrap();
            let liar = (validator, usize::from(rng.one_in(2)));
            ("fault one endpoint", vec![(liar, lie)])
        }
        1 => {
            let lie = Lie::any(rng);
            let liars = everybody.map(|validator| ((validator, 0), lie.clone()));
            ("fault one endpoint of everybody", liars.collect())
        }
        2 => {
            // They contradict each other: two ways to show what is not.
            let liars = everybody.flat_map(endpoints);
            let liars = liars.map(|liar| (liar, Lie::untrue(rng)));
            ("fault endpoints against each other", liars.collect())
        }
        _captured => {
            // Nobody who could be captured is missing: one more would be a quorum.
            let lie = Lie::alike(rng);
            let (all, mut power): (u64, u64) = (powers.iter().sum(), 0);
            let start = usize::try_from(rng.below(4)).unwrap();
            let mut captured = Vec::new();
            for validator in everybody.map(|place| (place + start) % powers.len()) {
                if (power + powers[validator]) * 3 <= all * 2 {
                    power += powers[validator];
                    captured.push(validator);
                }
            }
            let liars = captured.into_iter().flat_map(endpoints);
            let liars = liars.map(|liar| (liar, lie.clone())).collect();
            ("fault every endpoint of two thirds", liars)
        }
    };
    Episode {
        heights,
        liars,
        name,
    }
}

impl Sight for Eyes {
    fn moves(&mut self, setup: &Setup, solana: &Solana, height: u64) -> Vec<String> {
        self.past.push_back(Arc::new(Scene {
            slot: solana.slot(),
            cluster: self.cluster,
            first: solana.rolling[0],
            accounts: solana.ledger().accounts(&self.places.bridge.to_bytes()),
        }));
        if self.past.len() > MEMORY {
            self.past.pop_front();
        }
        let episode = self
            .episodes
            .iter()
            .find(|episode| episode.heights.contains(&height))
            .filter(|_episode| setup.has(FaultKind::Endpoint))
            .cloned();
        self.show(setup, episode.as_ref());
        let Some(Episode { liars, name, .. }) = episode else {
            return Vec::new();
        };
        let mut faults = vec![name.to_owned()];
        let lies = liars.iter().map(|(_who, lie)| lie.name());
        faults.extend(lies.take(1).map(|lie| format!("fault endpoint {lie}")));
        faults
    }

    fn look(&self, validator: usize, _solana: &Solana, watermark: Watermark) -> Look {
        let watcher = &self.watchers[validator];
        let credited = Credited {
            number: watermark.number,
            hash: Hash(watermark.hash),
        };
        let reader = watcher.reader.reader();
        let Supply {
            deposits,
            last_settle,
        } = reader.supply(credited);
        Look {
            part: reader.part(credited),
            supply: BridgeData {
                deposits,
                last_settle,
            },
            trust: if watcher.is_full {
                Trust::Full
            } else if watcher.memory.contains(&Some(true)) || !watcher.memory.contains(&Some(false))
            {
                Trust::Some
            } else {
                Trust::None
            },
        }
    }
}
