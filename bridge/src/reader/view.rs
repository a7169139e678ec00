//! What one endpoint says, checked against itself and against the genesis.

use std::collections::BTreeMap;
use std::sync::Arc;

use io_settlement::account::Bridge;
use io_settlement::address::{BRIDGE_SEED, UPGRADEABLE_LOADER};
use io_settlement::codec::Reader as Bytes;
use io_settlement::deposit::{Queue, QueueHeader, Slot, first_hash, next_hash};
use io_settlement::{Bytes32, Error, sha256};
use solana_pubkey::Pubkey;

use super::Bound;
use super::endpoint::{Account, EndpointFault};

/// Bytes of a program data account before the program itself: kind, slot of the last deployment, upgrade authority.
const HEADER_LEN: usize = 45;
/// The loader's mark of a program data account.
const HEADER_MARK: [u8; 4] = [3, 0, 0, 0];
const HEADER_DOMAIN: &[u8] = b"io-bridge/v1/program-header\0";

/// How much of each account a look without records takes.
pub(super) const LOOK_BYTES: usize = Bridge::LEN;

/// The addresses that follow from the program's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addresses {
    pub(super) program: Pubkey,
    pub(super) bridge: Pubkey,
    pub(super) program_data: Pubkey,
}

impl Addresses {
    pub(super) fn of(program: &Bytes32) -> Self {
        let program = Pubkey::new_from_array(*program);
        let loader = Pubkey::new_from_array(UPGRADEABLE_LOADER);
        Self {
            program,
            bridge: Pubkey::find_program_address(&[BRIDGE_SEED], &program).0,
            program_data: Pubkey::find_program_address(&[program.as_ref()], &loader).0,
        }
    }
}

/// Records of the ring by number, the credited ones too as long as they are not overwritten.
pub(super) type Records = Arc<BTreeMap<u64, Slot>>;

/// What one endpoint says at one slot. It is consistent in itself.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) slot: u64,
    pub(super) bridge: Bridge,
    /// Digest of the program's data header: changes with every deployment.
    pub(super) header: Bytes32,
    pub(super) records: Records,
    /// The rolling hash before any deposit.
    pub(super) first: Bytes32,
}

impl View {
    /// The rolling hash after deposit `number`, if the endpoint still knows it.
    pub(super) fn hash_at(&self, number: u64) -> Option<Bytes32> {
        let state = &self.bridge.state;
        match number {
            0 => Some(self.first),
            number if number == state.deposit_number => Some(state.deposit_hash),
            number if number == state.freed_number => Some(state.freed_hash),
            number => self.records.get(&number).map(|slot| slot.rolling),
        }
    }
}

fn owned<'a>(
    account: Option<&'a Account>,
    owner: &Pubkey,
    what: &'static str,
    address: &Pubkey,
) -> Result<&'a [u8], EndpointFault> {
    let account = account.ok_or_else(|| EndpointFault::Missing {
        what,
        address: address.to_string(),
    })?;
    if account.owner != *owner {
        return Err(EndpointFault::WrongOwner {
            what,
            owner: account.owner.to_string(),
        });
    }
    Ok(&account.data)
}

/// The bridge, if it is the one of genesis.
pub(super) fn bridge(
    bound: &Bound,
    addresses: &Addresses,
    account: Option<&Account>,
) -> Result<Bridge, EndpointFault> {
    let what = "bridge account";
    let data = owned(account, &addresses.program, what, &addresses.bridge)?;
    let bridge = Bridge::read(data).map_err(|error| EndpointFault::Broken { what, error })?;
    let config = &bridge.config;
    let facts = [
        ("cluster", config.cluster_genesis == bound.cluster),
        ("chain id", config.chain_id == bound.chain_id),
        ("mint", config.mints == bound.mints),
    ];
    match facts.iter().find(|(_field, same)| !same) {
        Some((field, _same)) => Err(EndpointFault::OtherBridge { field }),
        None => Ok(bridge),
    }
}

/// Digest of the program's data header.
pub(super) fn header(
    addresses: &Addresses,
    account: Option<&Account>,
) -> Result<Bytes32, EndpointFault> {
    let loader = Pubkey::new_from_array(UPGRADEABLE_LOADER);
    let data = owned(
        account,
        &loader,
        "program data account",
        &addresses.program_data,
    )?;
    match data.get(..HEADER_LEN) {
        Some(header) if header.starts_with(&HEADER_MARK) => Ok(sha256(&[HEADER_DOMAIN, header])),
        _ => Err(EndpointFault::BrokenHeader),
    }
}

/// The queue's head, if it is the bridge's queue.
pub(super) fn queue_head(
    addresses: &Addresses,
    bridge: &Bridge,
    account: Option<&Account>,
) -> Result<(), EndpointFault> {
    let what = "deposit queue";
    let address = Pubkey::new_from_array(bridge.config.queue);
    let data = owned(account, &addresses.program, what, &address)?;
    let broken = |error| EndpointFault::Broken { what, error };
    let head: QueueHeader = Bytes::new(data).value().map_err(broken)?;
    let is_ours = head.tag == io_settlement::account::TAG_QUEUE
        && head.version == io_settlement::account::VERSION
        && head.bridge == addresses.bridge.to_bytes();
    if is_ours {
        Ok(())
    } else {
        Err(broken(Error::WrongQueue))
    }
}

/// Every record of the ring, each one following from the one before and the last one giving the bridge's rolling hash.
pub(super) fn records(
    addresses: &Addresses,
    bridge: &Bridge,
    account: Option<&Account>,
) -> Result<Records, EndpointFault> {
    queue_head(addresses, bridge, account)?;
    let data = account.map_or(&[][..], |account| &account.data);
    let broken = |error| EndpointFault::Broken {
        what: "deposit queue",
        error,
    };
    let queue = Queue::new(data).map_err(broken)?;
    let state = &bridge.state;
    let oldest = state
        .deposit_number
        .saturating_sub(queue.header().capacity)
        .saturating_add(1);
    let mut records = BTreeMap::new();
    let mut before = (oldest == 1).then(|| first(addresses, bridge));
    for number in oldest..=state.deposit_number {
        let fault = EndpointFault::BrokenQueue { number };
        let slot = queue.slot(number).ok_or_else(|| fault.clone())?;
        let follows = before.is_none_or(|hash| next_hash(&hash, &slot.record) == slot.rolling);
        let is_last = number == state.deposit_number;
        let is_freed = number == state.freed_number;
        if !follows
            || (is_last && slot.rolling != state.deposit_hash)
            || (is_freed && slot.rolling != state.freed_hash)
        {
            return Err(fault);
        }
        before = Some(slot.rolling);
        records.insert(number, slot);
    }
    Ok(Arc::new(records))
}

/// The rolling hash before any deposit of this bridge.
pub(super) fn first(addresses: &Addresses, bridge: &Bridge) -> Bytes32 {
    let config = &bridge.config;
    first_hash(
        &config.cluster_genesis,
        &addresses.program.to_bytes(),
        &config.chain_id,
        &config.mints,
    )
}
