//! Deposits: the record, its rolling hash, and the ring account that holds the records not yet credited.

use crate::codec::{Reader, record};
use crate::{Bytes32, Error, PerAsset, product, sha256};

const FIRST_DOMAIN: &[u8] = b"io-bridge/v1/deposits\0";
const NEXT_DOMAIN: &[u8] = b"io-bridge/v1/deposit\0";

/// The fewest records that the queue may have room for.
pub const CAPACITY_MIN: u64 = 4096;

/// Lamports that a deposit costs when the queue is half full; doubles with every further sixteenth.
pub const QUEUE_FEE: u64 = 10_000;

record! {
    /// One deposit as the program measured it.
    DepositRecord {
        /// Number, from 1 on without gaps.
        n: u64,
        /// [`crate::Asset::byte`].
        asset: u8,
        /// Base units that arrived in the vault.
        amount: u64,
        /// Account of the chain that is to be credited; any 32 bytes.
        account: Bytes32,
        /// Solana key that paid.
        depositor: Bytes32,
        /// Solana slot.
        slot: u64,
    }
}

record! {
    /// A place of the ring.
    Slot {
        /// The deposit.
        record: DepositRecord,
        /// Rolling hash with this deposit as the last one.
        rolling: Bytes32,
    }
}

record! {
    /// Head of the queue account; [`Slot`]s follow it.
    QueueHeader {
        /// [`crate::account::TAG_QUEUE`].
        tag: u8,
        /// [`crate::account::VERSION`].
        version: u8,
        /// The bridge account that appends here.
        bridge: Bytes32,
        /// Places in the ring.
        capacity: u64,
    }
}

/// The rolling hash before any deposit, r0.
pub fn first_hash(
    cluster_genesis: &Bytes32,
    program_id: &Bytes32,
    chain_id: &Bytes32,
    mints: &PerAsset<Bytes32>,
) -> Bytes32 {
    let [io, usdc] = mints;
    sha256(&[
        FIRST_DOMAIN,
        cluster_genesis,
        program_id,
        chain_id,
        io,
        usdc,
    ])
}

/// The rolling hash after `record`, r_n, from the one before it.
pub fn next_hash(previous: &Bytes32, record: &DepositRecord) -> Bytes32 {
    sha256(&[NEXT_DOMAIN, previous, &record.to_bytes()])
}

/// Bytes of a queue account with this many places; none if that is beyond the address space.
pub fn queue_len(capacity: u64) -> Option<usize> {
    let slots = product::checked(capacity, u64::try_from(Slot::LEN).ok()?)?;
    usize::try_from(slots).ok()?.checked_add(QueueHeader::LEN)
}

/// Places in a queue account of this many bytes.
pub fn queue_capacity(bytes: usize) -> u64 {
    let places = bytes
        .saturating_sub(QueueHeader::LEN)
        .checked_div(Slot::LEN)
        .unwrap_or(0);
    u64::try_from(places).unwrap_or(u64::MAX)
}

/// Byte offset of the place of deposit `n` (from 1 on); none for 0 or an empty ring.
pub fn slot_offset(n: u64, capacity: u64) -> Option<usize> {
    queue_len(n.checked_sub(1)?.checked_rem(capacity)?)
}

/// Lamports that the next deposit pays on top: nothing below half full, then [`QUEUE_FEE`] doubling with every sixteenth.
pub fn queue_fee(waiting: u64, capacity: u64) -> u64 {
    let sixteenths = product::saturating(waiting, 16)
        .checked_div(capacity)
        .unwrap_or(16);
    match sixteenths
        .checked_sub(8)
        .and_then(|step| u32::try_from(step.min(8)).ok())
    {
        None => 0,
        Some(step) => QUEUE_FEE.wrapping_shl(step),
    }
}

/// A queue account as read from Solana.
#[derive(Clone, Copy, Debug)]
pub struct Queue<'a> {
    header: QueueHeader,
    bytes: &'a [u8],
}

impl<'a> Queue<'a> {
    /// Checks tag, version and length. [`Error::WrongQueue`] if it is no queue.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        let header: QueueHeader = Reader::new(bytes).value()?;
        let whole = queue_len(header.capacity).is_some_and(|length| length == bytes.len());
        if header.tag != crate::account::TAG_QUEUE
            || header.version != crate::account::VERSION
            || !whole
        {
            return Err(Error::WrongQueue);
        }
        Ok(Self { header, bytes })
    }

    /// The head.
    pub const fn header(&self) -> &QueueHeader {
        &self.header
    }

    /// What lies in the place of deposit `n`, if it is that deposit. Whether it is still in the ring is for the caller, who has the
    /// bridge's numbers, to say.
    pub fn slot(&self, n: u64) -> Option<Slot> {
        let offset = slot_offset(n, self.header.capacity)?;
        let slot: Slot = Reader::new(self.bytes.get(offset..)?).value().ok()?;
        (slot.record.n == n).then_some(slot)
    }
}
