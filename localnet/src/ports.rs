//! A block of ports that no other localnet has.

use std::{fs::File, net::TcpListener, path::Path};

use anyhow::{Context, bail};

/// Ports in a block.
pub const BLOCK: u16 = 100;
/// Blocks lie below the ports that systems give out on their own.
const FIRST: u16 = 21_000;
const LAST: u16 = 31_900;
/// Name of the file in a localnet's folder that remembers its block.
const MEMORY: &str = "ports";

/// A claimed block. It is free again when this value is dropped.
#[derive(Debug)]
pub struct Ports {
    base: u16,
    /// Held, not read: the claim lasts as long as the lock.
    _lock: File,
}

impl Ports {
    /// Claims a block: the one that `home` used last if it is free, else the first free one.
    ///
    /// A block is free when no other localnet has claimed it and all of its ports can be bound on the loopback address.
    /// Errors: every block is taken, or `home` is not writable.
    pub fn claim(home: &Path) -> anyhow::Result<Self> {
        Self::claim_in(home, &std::env::temp_dir())
    }

    fn claim_in(home: &Path, locks: &Path) -> anyhow::Result<Self> {
        let memory = home.join(MEMORY);
        let last = std::fs::read_to_string(&memory)
            .ok()
            .and_then(|text| text.trim().parse::<u16>().ok());
        let all = (FIRST..=LAST).step_by(usize::from(BLOCK));
        for base in last
            .into_iter()
            .filter(|base| all.clone().any(|one| one == *base))
            .chain(all.clone())
        {
            if let Some(lock) = try_claim(base, locks) {
                std::fs::write(&memory, base.to_string())
                    .with_context(|| format!("cannot write {}", memory.display()))?;
                return Ok(Self { base, _lock: lock });
            }
        }
        bail!(
            "no block of {BLOCK} free ports between {FIRST} and {LAST}; stop another localnet (`io-localnet down --home DIR`)"
        )
    }

    /// First port of the block.
    pub fn base(&self) -> u16 {
        self.base
    }

    /// The port at `offset`, which is below [`BLOCK`].
    pub fn get(&self, offset: u16) -> u16 {
        self.base
            .saturating_add(offset.min(BLOCK.saturating_sub(1)))
    }
}

fn try_claim(base: u16, locks: &Path) -> Option<File> {
    // Everybody may open the file: another user's localnet is to be seen, too.
    let lock = File::options()
        .create(true)
        .append(true)
        .open(locks.join(format!("io-localnet-{base}.lock")))
        .ok()?;
    lock.try_lock().ok()?;
    let end = base.saturating_add(BLOCK);
    // All are held until all are proven, so that none is counted twice.
    let bound: Result<Vec<TcpListener>, _> = (base..end)
        .map(|port| TcpListener::bind(("127.0.0.1", port)))
        .collect();
    bound.ok().map(|_| lock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_localnets_get_two_blocks_and_each_gets_its_own_again() {
        let locks = tempfile::tempdir().unwrap();
        let homes = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let [first, second] = homes
            .each_ref()
            .map(|home| Ports::claim_in(home.path(), locks.path()).unwrap());
        let bases = [first.base(), second.base()];
        assert!(bases[0].abs_diff(bases[1]) >= BLOCK, "{bases:?}");
        assert_eq!(second.get(7), second.base() + 7);
        drop((first, second));
        // In the other order, so that "first free" would swap them.
        let second = Ports::claim_in(homes[1].path(), locks.path()).unwrap();
        let first = Ports::claim_in(homes[0].path(), locks.path()).unwrap();
        assert_eq!([first.base(), second.base()], bases);
    }

    #[test]
    fn a_block_with_a_port_in_use_is_passed_over() {
        let locks = tempfile::tempdir().unwrap();
        let home = tempfile::tempdir().unwrap();
        // A network that runs beside this test has locks of its own and may take the same block in between.
        let (base, _busy) = std::iter::repeat_with(|| {
            let claimed = Ports::claim_in(home.path(), locks.path()).unwrap();
            let base = claimed.base();
            (base, TcpListener::bind(("127.0.0.1", base + 50)))
        })
        .take(100)
        .find_map(|(base, bound)| bound.ok().map(|busy| (base, busy)))
        .expect("a free port");
        assert_ne!(
            Ports::claim_in(home.path(), locks.path()).unwrap().base(),
            base
        );
    }
}
