//! Keeps the ledger's clock at real time.
//!
//! `surfpool` computes the time as start plus slots times slot length. A slot is never shorter than that and under load longer, so its
//! clock falls behind by minutes in an hour. Here the base of that sum is lifted to the machine's time several times a slot, and the
//! clock with it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use solana_clock::Clock;
use surfpool_core::{
    surfnet::{BlockIdentifier, locker::SurfnetSvmLocker, svm::SurfnetSvm},
    types::SyntheticBlockhash,
};

use super::store::Accounts;

/// Slots in an epoch of the ledger, as on the main cluster.
const SLOTS_PER_EPOCH: u64 = surfpool_core::surfnet::SLOTS_PER_EPOCH;

/// More than the number of recent blockhashes that a transaction may name.
const BLOCKHASH_GAP: u64 = 200;

/// Milliseconds since 1970 on the machine's clock.
pub fn unix_ms() -> u64 {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

/// Where the clock's base belongs: at the machine's time, and never back.
pub fn anchored(base_ms: u64, now_ms: u64) -> u64 {
    base_ms.max(now_ms)
}

/// Sets the base of the clock, and the clock itself: slots may come late, time must not.
fn anchor(svm: &mut SurfnetSvm, now_ms: u64) {
    svm.updated_at = anchored(svm.updated_at, now_ms);
    let seconds = svm
        .updated_at
        .checked_div(1_000)
        .and_then(|seconds| i64::try_from(seconds).ok());
    let mut clock = svm.inner.get_sysvar::<Clock>();
    if let Some(seconds) = seconds.filter(|seconds| *seconds > clock.unix_timestamp) {
        clock.unix_timestamp = seconds;
        svm.inner.set_sysvar(&clock);
    }
}

/// The slot and the index of the blockhash with which a ledger goes on that has state from an earlier start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resumed {
    /// First slot of this start: what the slot would be had the ledger never stopped.
    pub slot: u64,
    /// Index of its first blockhash.
    pub blockhash_index: u64,
}

/// Computes where a ledger goes on.
///
/// `genesis` is the slot and the time (ms) of the first start, `persisted_slot` the newest slot on disk, `starts` how often the ledger
/// was started before. A slot takes at least `slot_ms`, so slots counted from the machine's clock are ahead of all earlier ones.
/// Blockhashes jump by more than a transaction's life at each start: what was signed before the stop cannot be executed again after it,
/// although the memory of executed signatures is gone.
pub fn resume(
    genesis: (u64, u64),
    persisted_slot: u64,
    starts: u64,
    slot_ms: u64,
    now_ms: u64,
) -> Resumed {
    let (genesis_slot, genesis_ms) = genesis;
    let elapsed = now_ms
        .saturating_sub(genesis_ms)
        .checked_div(slot_ms)
        .unwrap_or(0);
    let slot = genesis_slot
        .saturating_add(elapsed)
        .max(persisted_slot.saturating_add(1));
    Resumed {
        slot,
        blockhash_index: slot.saturating_add(starts.saturating_mul(BLOCKHASH_GAP)),
    }
}

/// Sets slot, blockhash and clock of a machine that does not run yet.
pub fn set(svm: &mut SurfnetSvm, resumed: Resumed, now_ms: u64) {
    let Resumed {
        slot,
        blockhash_index,
    } = resumed;
    let info = &mut svm.latest_epoch_info;
    info.absolute_slot = slot;
    info.block_height = blockhash_index;
    info.slots_in_epoch = SLOTS_PER_EPOCH;
    info.epoch = slot.checked_div(SLOTS_PER_EPOCH).unwrap_or(0);
    info.slot_index = slot.checked_rem(SLOTS_PER_EPOCH).unwrap_or(0);
    svm.chain_tip = BlockIdentifier::new(
        blockhash_index,
        &SyntheticBlockhash::new(blockhash_index.saturating_sub(1)).to_string(),
    );
    svm.genesis_slot = slot;
    svm.genesis_updated_at = now_ms;
    svm.updated_at = now_ms;
    svm.reconstruct_sysvars();
}

/// Starts the thread that anchors the clock, makes stray writes durable and announces slots to `accounts`, until `stop`.
pub fn spawn(
    locker: SurfnetSvmLocker,
    accounts: Accounts,
    slot_ms: u64,
    stop: Arc<AtomicBool>,
) -> std::io::Result<JoinHandle<()>> {
    let pause = Duration::from_millis((slot_ms >> 1).max(1));
    std::thread::Builder::new()
        .name("anchor".to_owned())
        .spawn(move || {
            while !stop.load(Ordering::Relaxed) && accounts.broken().is_none() {
                {
                    let mut svm = locker.0.blocking_write();
                    anchor(&mut svm, unix_ms());
                    // A refused write is kept in `accounts.broken()`, which ends this loop and the process.
                    drop(accounts.commit(Some(svm.get_latest_absolute_slot())));
                }
                std::thread::sleep(pause);
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_follows_the_machine_and_never_goes_back() {
        assert_eq!(anchored(1_000, 1_500), 1_500);
        assert_eq!(anchored(1_700, 1_500), 1_700);
    }

    #[test]
    fn a_restarted_ledger_is_where_it_would_be_had_it_never_stopped() {
        let resumed = resume((31, 1_000_000), 40, 1, 200, 1_100_000);
        assert_eq!(
            resumed,
            Resumed {
                slot: 531,
                blockhash_index: 731
            }
        );
    }

    #[test]
    fn a_machine_clock_set_back_does_not_turn_slots_back() {
        assert_eq!(resume((31, 1_000_000), 900, 1, 200, 500_000).slot, 901);
    }

    #[test]
    fn no_blockhash_of_an_earlier_start_is_recent_after_the_next() {
        for starts in 1..5 {
            let stopped_at = resume((31, 0), 0, starts, 200, 60_000);
            // The next start comes at once.
            let next = resume((31, 0), stopped_at.slot, starts + 1, 200, 60_000);
            assert!(next.blockhash_index - 150 > stopped_at.blockhash_index + 1);
        }
    }
}
