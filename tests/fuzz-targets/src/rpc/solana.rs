//! A bridge's accounts as the program leaves them, and what an endpoint answers about them.

use std::sync::OnceLock;

use base64::Engine as _;
use io_bridge::reader::Bound;
use io_settlement::account::{
    Bridge, Config, Counters, LastSettle, ROOTS, Roots, State, TAG_BRIDGE, TAG_QUEUE, VERSION,
};
use io_settlement::address::{BRIDGE_SEED, UPGRADEABLE_LOADER};
use io_settlement::deposit::{
    DepositRecord, QueueHeader, Slot, first_hash, next_hash, queue_len, slot_offset,
};
use io_settlement::emission::{Schedule, TimeParams};
use serde_json::{Value, json};
use solana_pubkey::Pubkey;
use solana_signature::Signature;

use crate::bytes::Input;

const CAPACITY: u64 = 16;
const DEPOSITS: u64 = 12;

pub(super) fn bound() -> Bound {
    Bound {
        cluster: [11; 32],
        program: [12; 32],
        chain_id: io_settlement::batch::chain_id_hash("io-fuzz"),
        mints: [[13; 32], [14; 32]],
    }
}

/// The accounts that a reader asks for.
#[derive(Clone)]
pub(super) struct Accounts {
    bridge: Vec<u8>,
    queue: Vec<u8>,
    header: Vec<u8>,
    slot: u64,
}

/// Where the bridge is.
pub(super) fn bridge_address() -> Pubkey {
    static ADDRESS: OnceLock<Pubkey> = OnceLock::new();
    *ADDRESS.get_or_init(|| {
        Pubkey::find_program_address(&[BRIDGE_SEED], &Pubkey::new_from_array(bound().program)).0
    })
}

/// Some signature.
pub(super) fn signature() -> Signature {
    Signature::from([5; 64])
}

impl Accounts {
    pub(super) fn true_ones() -> Self {
        static TRUE: OnceLock<Accounts> = OnceLock::new();
        TRUE.get_or_init(Self::make).clone()
    }

    fn make() -> Self {
        let mut bridge = empty_bridge();
        let mut queue = vec![0; queue_len(CAPACITY).unwrap()];
        let header = QueueHeader {
            tag: TAG_QUEUE,
            version: VERSION,
            bridge: bridge_address().to_bytes(),
            capacity: CAPACITY,
        };
        queue[..QueueHeader::LEN].copy_from_slice(&header.to_bytes());
        for n in 1..=DEPOSITS {
            let record = DepositRecord {
                n,
                asset: u8::try_from(n % 2).unwrap(),
                amount: 1000 * n,
                account: [21; 32],
                depositor: [22; 32],
                slot: 1000 + n,
            };
            let rolling = next_hash(&bridge.state.deposit_hash, &record);
            bridge.state.deposit_number = n;
            bridge.state.deposit_hash = rolling;
            let at = slot_offset(n, CAPACITY).unwrap();
            queue[at..at + Slot::LEN].copy_from_slice(&Slot { record, rolling }.to_bytes());
            if n == 3 {
                bridge.state.freed_number = n;
                bridge.state.freed_hash = rolling;
                bridge.last = LastSettle {
                    number: 1,
                    batch_hash: [9; 32],
                    slot: 1003,
                    deposit_number: n,
                    counters: bridge.state.counters,
                    vaults: [10, 20],
                    stake_vault: 0,
                    set_epoch: 1,
                    relayer: [23; 32],
                };
            }
        }
        let mut header = vec![3, 0, 0, 0];
        header.extend_from_slice(&77_u64.to_le_bytes());
        header.push(1);
        header.extend_from_slice(&[20; 32]);
        Self {
            bridge: bridge.to_bytes().to_vec(),
            queue,
            header,
            slot: 2000,
        }
    }

    pub(super) fn bridge(&self) -> Bridge {
        Bridge::read(&self.bridge).unwrap()
    }

    fn slots(&self) -> Vec<Slot> {
        let read = |n| {
            let at = slot_offset(n, CAPACITY).unwrap();
            Slot::from_bytes(&self.queue[at..at + Slot::LEN]).unwrap()
        };
        (1..=DEPOSITS).map(read).collect()
    }

    /// The records of the queue, oldest first.
    pub(super) fn records(&self) -> Vec<Slot> {
        self.slots()
    }

    /// The newest deposits have not come yet: the endpoint is behind, which is no lie.
    pub(super) fn forget(&mut self, count: u64) {
        let mut bridge = self.bridge();
        let number = DEPOSITS - count;
        bridge.state.deposit_number = number;
        bridge.state.deposit_hash = self.slots()[usize::try_from(number).unwrap() - 1].rolling;
        self.bridge = bridge.to_bytes().to_vec();
    }

    /// One byte of one account is another, or an account is shorter or longer.
    pub(super) fn edit(&mut self, input: &mut Input<'_>) {
        let which = input.byte();
        if which % 16 == 15 {
            self.slot = input.number();
            return;
        }
        let data = match which % 3 {
            0 => &mut self.bridge,
            1 => &mut self.queue,
            _header => &mut self.header,
        };
        let place = usize::from(input.half()) % data.len().max(1);
        match which >> 6 {
            0 => data.truncate(place),
            1 => data.extend_from_slice(input.take(64)),
            _flip => {
                if let Some(byte) = data.get_mut(place) {
                    *byte ^= input.byte();
                }
            }
        }
    }

    /// What an endpoint answers when it is asked twice: cluster, bridge, a short look and a whole one, and a short look again.
    pub(super) fn answers(&self) -> Vec<Vec<u8>> {
        let bound = bound();
        let (program, loader) = (
            Pubkey::new_from_array(bound.program),
            Pubkey::new_from_array(UPGRADEABLE_LOADER),
        );
        let bridge = account(&program, &self.bridge);
        let all = [
            bridge.clone(),
            account(&program, &self.queue),
            account(&loader, &self.header),
        ];
        let cluster = Pubkey::new_from_array(bound.cluster).to_string();
        let many = self.with_slot(&all);
        let answers = [
            json!(cluster),
            self.with_slot(&[bridge]),
            many.clone(),
            many.clone(),
            many,
        ];
        let body = |result: Value| {
            let text = json!({"jsonrpc": "2.0", "id": "@ID@", "result": result}).to_string();
            text.replace("\"@ID@\"", "@ID@").into_bytes()
        };
        answers.into_iter().map(body).collect()
    }

    fn with_slot(&self, accounts: &[Value]) -> Value {
        json!({"context": {"slot": self.slot}, "value": accounts})
    }
}

fn account(owner: &Pubkey, data: &[u8]) -> Value {
    json!({
        "owner": owner.to_string(),
        "data": [base64::engine::general_purpose::STANDARD.encode(data), "base64"],
        "lamports": 1_000_000,
        "executable": false,
    })
}

fn empty_bridge() -> Bridge {
    let bound = bound();
    let first = first_hash(
        &bound.cluster,
        &bound.program,
        &bound.chain_id,
        &bound.mints,
    );
    Bridge {
        tag: TAG_BRIDGE,
        version: VERSION,
        bump: 255,
        config: Config {
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
        },
        state: State {
            set_epoch: 1,
            set_hash: [19; 32],
            set_power: 40,
            deposit_number: 0,
            deposit_hash: first,
            freed_number: 0,
            freed_hash: first,
            counters: Counters::ZERO,
            root_next: 0,
        },
        roots: Roots {
            io: [[0; 32]; ROOTS],
            usdc: [[0; 32]; ROOTS],
        },
        last: LastSettle {
            set_epoch: 1,
            ..LastSettle::NONE
        },
    }
}
