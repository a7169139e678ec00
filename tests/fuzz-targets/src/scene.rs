//! One chain of the simulator, stopped in the middle of its life: what targets that need a state start from.

use std::sync::OnceLock;

use io_sim::run::{Setup, run};
use io_sim::world::World;
use io_state_machine::{Machine, Options, tables};
use io_storage::Store;
use io_storage::backend::{Backend as _, Disk, MemoryBackend};
use io_types::consensus::Block;
use io_types::genesis::GenesisSpec;
use io_types::{BlockTime, Height};

/// A seed in whose first blocks devices are booked, challenges run and a batch waits for signatures.
const SEED: u64 = 4;
const BLOCKS: u64 = 45;

/// The chain and how it came about.
#[derive(Debug)]
pub struct Scene {
    /// Who lives on it.
    pub world: World,
    /// Its decided blocks.
    pub blocks: Vec<Block>,
    disk: Disk,
}

impl Scene {
    /// The height of the next block.
    pub fn next_height(&self) -> Height {
        Height(BLOCKS + 1)
    }

    /// Block time of the last block.
    pub fn now(&self) -> BlockTime {
        self.blocks[self.blocks.len() - 1].time
    }

    /// A machine over the shared disk: it must not commit.
    pub fn machine(&self) -> Machine {
        machine(&self.disk)
    }

    /// A machine over a disk of its own.
    pub fn own_machine(&self) -> Machine {
        let (from, own) = (MemoryBackend::new(&self.disk), Disk::default());
        for family in from.families().unwrap() {
            for (key, value) in self.disk.rows(family).unwrap() {
                own.tamper(family, &key, Some(value)).unwrap();
            }
        }
        machine(&own)
    }
}

fn machine(disk: &Disk) -> Machine {
    over(Store::open(tables::SPECS, Box::new(MemoryBackend::new(disk))).unwrap())
}

fn over(store: Store) -> Machine {
    let options = Options {
        parallel_signatures: false,
    };
    Machine::open(store, options).unwrap()
}

/// The same machine without what waits in its mempool, what it keeps of a proposal and what it has opened.
pub fn emptied(machine: Machine) -> Machine {
    over(machine.into_store())
}

/// A machine of this genesis with nothing on its disk.
pub fn fresh_machine() -> Machine {
    machine(&Disk::default())
}

/// The genesis of the scene's chain.
pub fn genesis() -> GenesisSpec {
    World::new(SEED).spec
}

/// The scene, made once in a process.
pub fn scene() -> &'static Scene {
    static SCENE: OnceLock<Scene> = OnceLock::new();
    SCENE.get_or_init(|| {
        let setup = Setup {
            blocks: BLOCKS,
            checks: false,
            ..Setup::new(SEED)
        };
        let report = run(&setup);
        assert_eq!(report.failure, None, "the scene's chain fails by itself");
        let world = World::new(SEED);
        let disk = Disk::default();
        let chain = machine(&disk);
        chain.init_chain(&world.spec).unwrap();
        for block in &report.blocks {
            chain.finalize(block).unwrap();
            chain.commit(|_patch| {}).unwrap();
        }
        Scene {
            world,
            blocks: report.blocks,
            disk,
        }
    })
}
