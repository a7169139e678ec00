//! One machine over one disk. It can be dropped at any moment and opened again.

use io_state_machine::{Machine, Options, tables};
use io_storage::Store;
use io_storage::backend::{Backend, Crash, Disk, Family, FaultyBackend, MemoryBackend};
use io_types::consensus::Block;
use io_types::genesis::GenesisSpec;
use io_types::{Hash, Height};

use crate::{Check, same, text};

/// A node without a network.
#[derive(Debug)]
pub struct Node {
    disk: Disk,
    machine: Machine,
    options: Options,
}

impl Node {
    /// A node that starts the chain.
    pub fn new(spec: &GenesisSpec, parallel_signatures: bool) -> Check<Self> {
        let disk = Disk::default();
        let options = Options {
            parallel_signatures,
        };
        let machine = open(&disk, options, None, spec)?;
        Ok(Self {
            disk,
            machine,
            options,
        })
    }

    /// The machine.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Forgets all that is not durable and starts again; with `crash`, the next commit crashes in this way.
    pub fn restart(&mut self, spec: &GenesisSpec, crash: Option<Crash>) -> Check {
        self.machine = open(&self.disk, self.options, crash, spec)?;
        Ok(())
    }

    /// Commits what was finalized, on a disk that crashes. The node is up again afterwards, with or without the block.
    pub fn commit_with_crash(&mut self, spec: &GenesisSpec, block: &Block, crash: Crash) -> Check {
        let before = self.machine.info();
        self.restart(spec, Some(crash))?;
        let hash = self.machine.finalize(block).map_err(text)?.app_hash;
        if self.machine.commit(|_patch| {}).is_ok() {
            return Err("a commit on a crashing disk said that it was done".to_owned());
        }
        // What is on disk is not known: this machine must not go on.
        if self.machine.finalize(block).is_ok() && self.machine.commit(|_patch| {}).is_ok() {
            return Err("a machine went on after a commit that failed".to_owned());
        }
        self.restart(spec, None)?;
        let (height, now) = self.machine.info();
        match crash {
            Crash::Lost => {
                same("height after a lost commit", &height, &before.0)?;
                if height.0 > 0 {
                    same("app hash after a lost commit", &now, &before.1)?;
                }
                self.machine.finalize(block).map_err(text)?;
                self.machine.commit(|_patch| {}).map_err(text)?;
            }
            Crash::Unacknowledged => {
                same(
                    "height after a commit nobody heard of",
                    &height,
                    &block.height,
                )?;
                same("app hash after a commit nobody heard of", &now, &hash)?;
            }
        }
        Ok(())
    }

    /// Undoes the last block on a disk that crashes. The node is up again afterwards; says whether the block is undone.
    pub fn rollback_with_crash(&mut self, spec: &GenesisSpec, crash: Crash) -> Check<bool> {
        let before = self.machine.info();
        self.restart(spec, Some(crash))?;
        if self.machine.rollback().is_ok() {
            return Err("a rollback on a crashing disk said that it was done".to_owned());
        }
        self.restart(spec, None)?;
        let (height, hash) = self.machine.info();
        match crash {
            Crash::Lost => {
                same("after a lost rollback", &(height, hash), &before)?;
                Ok(false)
            }
            Crash::Unacknowledged => {
                let below = before.0.0.saturating_sub(1);
                same("height after a rollback nobody heard of", &height.0, &below)?;
                Ok(true)
            }
        }
    }

    /// Adds one base unit to the first balance on the disk, behind the node's back, and starts it again.
    pub fn damage_a_balance(&mut self, spec: &GenesisSpec) -> Check {
        let family = Family::Table(tables::ACCOUNTS.id);
        let rows = self.disk.rows(family).map_err(text)?;
        let (key, mut value) = rows.into_iter().next().ok_or("no account on the disk")?;
        if let Some(byte) = value.last_mut() {
            *byte ^= 1;
        }
        self.disk.tamper(family, &key, Some(value)).map_err(text)?;
        self.restart(spec, None)
    }

    /// Height and app hash of the last commit.
    pub fn info(&self) -> (Height, Hash) {
        self.machine.info()
    }
}

fn open(disk: &Disk, options: Options, crash: Option<Crash>, spec: &GenesisSpec) -> Check<Machine> {
    let backend: Box<dyn Backend> = match crash {
        Some(crash) => Box::new(FaultyBackend::new(disk, 0, crash)),
        None => Box::new(MemoryBackend::new(disk)),
    };
    let store = Store::open(tables::SPECS, backend).map_err(text)?;
    let machine = Machine::open(store, options).map_err(text)?;
    if machine.info().0 == Height(0) {
        machine.init_chain(spec).map_err(text)?;
    }
    Ok(machine)
}
