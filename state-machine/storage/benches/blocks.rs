//! What blocks cost with a million rows: `cargo bench -p io-storage --profile dev --features rocksdb`.
//!
//! Without `--bench` (as tests run it) it does the same with a thousand rows.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark measures time and prints"
)]

use std::{
    env, fs,
    time::{Duration, Instant},
};

use io_storage::{
    Leaf, Overlay, Snapshot, Store, TableId, TableSpec,
    backend::{Disk, MemoryBackend},
};

const ACCOUNTS: TableId = TableId(1);
const ORDERS: TableId = TableId(2);

static SPECS: [TableSpec; 2] = [
    TableSpec {
        id: ACCOUNTS,
        name: "accounts",
        leaf: Leaf::Row,
    },
    TableSpec {
        id: ORDERS,
        name: "orders",
        leaf: Leaf::Page,
    },
];

/// Bytes of a value, about an account or a device.
const VALUE: usize = 120;

/// A generator good enough to spread keys.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// A 32-byte key, spread as public keys are.
fn account(n: u64) -> Vec<u8> {
    let mut random = Random((n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    (0..4).flat_map(|_| random.next().to_be_bytes()).collect()
}

fn order(n: u64) -> Vec<u8> {
    n.to_be_bytes().to_vec()
}

fn value(seed: u64) -> Vec<u8> {
    let mut value = vec![7; VALUE];
    value.splice(..8, seed.to_be_bytes());
    value
}

fn timed<T>(what: &str, act: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let done = act();
    let took = start.elapsed();
    println!("{what:<64} {took:>9.1?}");
    (done, took)
}

fn resident_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|kib| kib.parse::<u64>().ok())
        .unwrap_or(0)
        >> 10
}

/// One block that writes these rows; prints what each part of it costs.
fn block(store: &Store, label: &str, height: u64, rows: Vec<(TableId, Vec<u8>, Vec<u8>)>) {
    println!("-- {label}");
    let patch = {
        let view = store.snapshot();
        let (write_set, _) = timed("   overlay: puts and write set", || {
            let mut overlay = Overlay::new(&view);
            for (table, key, value) in rows {
                overlay.put(table, &key, value);
            }
            overlay.into_write_set().unwrap()
        });
        timed("   stage: indices, leaves, nodes, app hash", || {
            view.stage(&write_set).unwrap()
        })
        .0
    };
    timed("   commit: durable, then published", || {
        store.commit(patch, height).unwrap();
    });
}

fn updates(
    table: TableId,
    key: fn(u64) -> Vec<u8>,
    rows: u64,
    count: u64,
    seed: u64,
) -> Vec<(TableId, Vec<u8>, Vec<u8>)> {
    let mut random = Random(seed);
    (0..count)
        .map(|_| (table, key(random.next() % rows), value(random.next())))
        .collect()
}

fn blocks(store: &Store, rows: u64, changes: u64) {
    let fill = (0..rows)
        .map(|n| (ACCOUNTS, account(n), value(n)))
        .collect();
    block(store, &format!("create {rows} rows, leaf per row"), 1, fill);
    let fill = (0..rows).map(|n| (ORDERS, order(n), value(n))).collect();
    block(
        store,
        &format!("create {rows} rows, leaf per page"),
        2,
        fill,
    );
    for (height, seed) in (3..).zip([11, 22, 33]) {
        let label = format!("update {changes} of {rows} rows, leaf per row");
        block(
            store,
            &label,
            height,
            updates(ACCOUNTS, account, rows, changes, seed),
        );
    }
    let label = format!("update {changes} of {rows} rows anywhere, leaf per page");
    block(store, &label, 6, updates(ORDERS, order, rows, changes, 44));
    let label = format!("update {changes} neighbours of {rows} rows, leaf per page");
    let neighbours = (0..changes)
        .map(|n| (ORDERS, order(n), value(n + 1)))
        .collect();
    block(store, &label, 7, neighbours);
}

fn reads(store: &Store, rows: u64) {
    println!("-- reads");
    let keys: Vec<Vec<u8>> = (0..rows.min(200_000))
        .map(|n| account(n * 7 % rows))
        .collect();
    let view = store.snapshot();
    timed(&format!("   {} random gets", keys.len()), || {
        for key in &keys {
            assert!(view.get(ACCOUNTS, key).unwrap().is_some());
        }
    });
    let lowest = store.height() - 3;
    for height in [store.height(), lowest] {
        timed(&format!("   1000 proofs at height {height}"), || {
            for key in keys.iter().take(1000) {
                view.prove(ACCOUNTS, key, height).unwrap();
            }
        });
    }
}

fn in_memory(rows: u64, changes: u64) {
    println!("== in memory");
    let before = resident_mib();
    let disk = Disk::default();
    let store = Store::open(&SPECS, Box::new(MemoryBackend::new(&disk))).unwrap();
    blocks(&store, rows, changes);
    reads(&store, rows);
    drop(store);
    let on_disk = resident_mib();
    let (store, _) = timed(&format!("open: load and rebuild {} rows", rows * 2), || {
        Store::open(&SPECS, Box::new(MemoryBackend::new(&disk))).unwrap()
    });
    println!(
        "resident: {before} MiB at first, {on_disk} MiB with the disk in memory, {} MiB opened",
        resident_mib()
    );
    drop(store);
}

#[cfg(feature = "rocksdb")]
fn on_disk(rows: u64, changes: u64, folder: &std::path::Path) {
    use io_storage::backend::RocksBackend;
    println!("== on RocksDB");
    let open = || {
        let backend = RocksBackend::open(folder, &SPECS).unwrap();
        Store::open(&SPECS, Box::new(backend)).unwrap()
    };
    if !folder.exists() {
        let store = open();
        blocks(&store, rows, changes);
        drop(store);
    }
    let label = format!("open: load and rebuild {} rows", rows * 2);
    let (store, _) = timed(&label, open);
    println!("resident: {} MiB", resident_mib());
    drop(store);
}

fn main() {
    let args: Vec<String> = env::args().collect();
    let (rows, changes) = if args.iter().any(|arg| arg == "--bench") {
        (1_000_000, 20_000)
    } else {
        (1_000, 100)
    };
    // With `--folder F` the database stays in F, and a second run only opens it: that shows what a node needs at rest.
    let folder = args.iter().skip_while(|arg| *arg != "--folder").nth(1);
    if folder.is_none() {
        in_memory(rows, changes);
    }
    #[cfg(feature = "rocksdb")]
    {
        let temporary = tempfile::TempDir::new().unwrap();
        let path = folder.map_or_else(|| temporary.path().join("bench"), Into::into);
        on_disk(rows, changes, &path);
    }
}
