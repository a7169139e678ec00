//! The accounts of a bridge, made as the program makes them.
#![expect(clippy::arithmetic_side_effects, reason = "a test's numbers are small")]

use io_settlement::account::{
    Bridge, Config, Counters, LastSettle, ROOTS, Roots, State, TAG_BRIDGE, TAG_QUEUE, VERSION,
};
use io_settlement::address::UPGRADEABLE_LOADER;
use io_settlement::deposit::{
    DepositRecord, QueueHeader, Slot, first_hash, next_hash, queue_len, slot_offset,
};
use io_settlement::emission::{Schedule, TimeParams};
use io_settlement::{Bytes32, sha256};
use io_types::id::AccountId;
use solana_pubkey::Pubkey;

use crate::reader::Bound;
use crate::reader::view::Addresses;

pub(super) fn bound() -> Bound {
    Bound {
        cluster: [11; 32],
        program: [12; 32],
        chain_id: io_settlement::batch::chain_id_hash("io-test"),
        mints: [[13; 32], [14; 32]],
    }
}

#[derive(Clone)]
pub(super) struct World {
    pub(super) slot: u64,
    pub(super) bridge: Bridge,
    pub(super) bridge_owner: AccountId,
    pub(super) queue: Vec<u8>,
    pub(super) queue_owner: AccountId,
    pub(super) header: Vec<u8>,
    capacity: u64,
    slots: Vec<Slot>,
}

impl World {
    pub(super) fn new(capacity: u64) -> Self {
        let bound = bound();
        let first = first_hash(
            &bound.cluster,
            &bound.program,
            &bound.chain_id,
            &bound.mints,
        );
        let config = Config {
            cluster_genesis: bound.cluster,
            chain_id: bound.chain_id,
            mints: bound.mints,
            vaults: [[15; 32], [16; 32]],
            stake_vault: [17; 32],
            queue: [18; 32],
            deposit_min: [1, 1],
            time: TimeParams {
                genesis_time: 0,
                chain_start: 0,
                epoch_seconds: 60,
                schedule: Schedule::Table,
                schedule_start: 0,
                emitted_before: 0,
            },
        };
        let state = State {
            set_epoch: 1,
            set_hash: [19; 32],
            set_power: 40,
            deposit_number: 0,
            deposit_hash: first,
            freed_number: 0,
            freed_hash: first,
            counters: Counters::ZERO,
            root_next: 0,
        };
        let bridge = Bridge {
            tag: TAG_BRIDGE,
            version: VERSION,
            bump: 255,
            config,
            state,
            roots: Roots {
                io: [[0; 32]; ROOTS],
                usdc: [[0; 32]; ROOTS],
            },
            last: LastSettle {
                set_epoch: 1,
                ..LastSettle::NONE
            },
        };
        let mut queue = vec![0; queue_len(capacity).unwrap()];
        let header = QueueHeader {
            tag: TAG_QUEUE,
            version: VERSION,
            bridge: Addresses::of(&bound.program).bridge.to_bytes(),
            capacity,
        };
        queue[..QueueHeader::LEN].copy_from_slice(&header.to_bytes());
        let mut program_data = vec![3, 0, 0, 0];
        program_data.extend_from_slice(&77_u64.to_le_bytes());
        program_data.push(1);
        program_data.extend_from_slice(&[20; 32]);
        program_data.extend_from_slice(&[0x7f; 100]);
        Self {
            slot: 1000,
            bridge,
            bridge_owner: AccountId(bound.program),
            queue,
            queue_owner: AccountId(bound.program),
            header: program_data,
            capacity,
            slots: Vec::new(),
        }
    }

    pub(super) fn deposit(&mut self, amount: u64) {
        let state = &mut self.bridge.state;
        let record = DepositRecord {
            n: state.deposit_number + 1,
            asset: 0,
            amount,
            account: [21; 32],
            depositor: [22; 32],
            slot: self.slot,
        };
        let rolling = next_hash(&state.deposit_hash, &record);
        let slot = Slot { record, rolling };
        state.deposit_number = record.n;
        state.deposit_hash = rolling;
        state.counters.deposited[0] += amount;
        let at = slot_offset(record.n, self.capacity).unwrap();
        self.queue[at..at + Slot::LEN].copy_from_slice(&slot.to_bytes());
        self.slots.push(slot);
        self.slot += 1;
    }

    pub(super) fn settle(&mut self, number: u64, credited: u64) {
        let freed_hash = self.hash_at(credited);
        let state = &mut self.bridge.state;
        state.freed_number = credited;
        state.freed_hash = freed_hash;
        self.bridge.last = LastSettle {
            number,
            batch_hash: sha256(&[&number.to_le_bytes()]),
            slot: self.slot,
            deposit_number: credited,
            counters: state.counters,
            vaults: state.counters.deposited,
            stake_vault: 0,
            set_epoch: 1,
            relayer: [23; 32],
        };
        self.slot += 1;
    }

    pub(super) fn upgrade(&mut self) {
        self.header[4] += 1;
    }

    pub(super) fn header_hash(&self) -> Bytes32 {
        sha256(&[b"io-bridge/v1/program-header\0", &self.header[..45]])
    }

    /// Changes the amount of a record in the ring, not its hash.
    pub(super) fn tamper(&mut self, number: u64) {
        let at = slot_offset(number, self.capacity).unwrap();
        self.queue[at + 9] ^= 1;
    }

    pub(super) fn record(&self, number: u64) -> DepositRecord {
        self.slots[usize::try_from(number).unwrap() - 1].record
    }

    pub(super) fn hash_at(&self, number: u64) -> Bytes32 {
        let bound = bound();
        match number {
            0 => first_hash(
                &bound.cluster,
                &bound.program,
                &bound.chain_id,
                &bound.mints,
            ),
            number => self.slots[usize::try_from(number).unwrap() - 1].rolling,
        }
    }

    /// Owner and data of the account at an address.
    pub(super) fn account(&self, key: &Pubkey) -> Option<(Pubkey, Vec<u8>)> {
        let addresses = Addresses::of(&bound().program);
        let owner = |account: &AccountId| Pubkey::new_from_array(account.0);
        if *key == addresses.bridge {
            return Some((owner(&self.bridge_owner), self.bridge.to_bytes().to_vec()));
        }
        if *key == addresses.program_data {
            let loader = Pubkey::new_from_array(UPGRADEABLE_LOADER);
            return Some((loader, self.header.clone()));
        }
        let queue = Pubkey::new_from_array([18; 32]);
        (*key == queue).then(|| (owner(&self.queue_owner), self.queue.clone()))
    }
}
