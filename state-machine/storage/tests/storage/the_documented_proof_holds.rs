//! The example of `docs/proofs.md` is what the store gives, and it can be checked by that page alone.

use io_storage::{
    Leaf, Overlay, Proof, Store, TableId, TableSpec, backend::MemoryBackend, hash::Hash,
};
use sha2::{Digest, Sha256};

const PAGE: &str = include_str!("../../../../docs/proofs.md");

static TABLES: [TableSpec; 3] = [
    TableSpec {
        id: TableId(1),
        name: "accounts",
        leaf: Leaf::Row,
    },
    TableSpec {
        id: TableId(2),
        name: "orders",
        leaf: Leaf::Page,
    },
    TableSpec {
        id: TableId(3),
        name: "params",
        leaf: Leaf::Row,
    },
];

fn proof_of_bob() -> (Proof, Hash) {
    let store = Store::open(&TABLES, Box::new(MemoryBackend::default())).unwrap();
    let view = store.snapshot();
    let mut overlay = Overlay::new(&view);
    for (name, amount) in [("carol", "7"), ("alice", "100"), ("bob", "250")] {
        overlay.put(TableId(1), name.as_bytes(), amount.as_bytes().to_vec());
    }
    let patch = view.stage(&overlay.into_write_set().unwrap()).unwrap();
    drop(view);
    store.commit(patch, 1).unwrap();
    (
        store.prove(TableId(1), b"bob", 1).unwrap(),
        store.app_hash(),
    )
}

#[test]
fn the_example_is_what_the_store_gives() {
    let (proof, app_hash) = proof_of_bob();
    let mut lines = Vec::new();
    for (name, step) in [("row  ", &proof.row), ("table", &proof.table)] {
        lines.push(format!("{name} key     {}", hex::encode(&step.key)));
        lines.push(format!("{name} value   {}", hex::encode(&step.value)));
        for step in &step.path {
            let (prefix, suffix) = (hex::encode(&step.prefix), hex::encode(&step.suffix));
            lines.push(format!("{name} prefix  {prefix}"));
            lines.push(format!("{name} suffix  {suffix}").trim_end().to_owned());
        }
    }
    lines.push(format!("app hash      {}", hex::encode(app_hash)));
    let example = format!("```text\n{}\n```", lines.join("\n"));
    assert!(PAGE.contains(&example), "{example}");
}

#[test]
fn the_example_leads_to_the_app_hash_by_hashing_alone() {
    let (proof, app_hash) = proof_of_bob();
    let sha = |bytes: &[u8]| -> Vec<u8> { Sha256::digest(bytes).to_vec() };
    let lead = |key: &[u8], value: &[u8], path: &[ics23::InnerOp]| {
        let len = u8::try_from(key.len()).unwrap();
        let leaf = [&[0, len], key, &[32], &sha(value)].concat();
        path.iter().fold(sha(&leaf), |hash, step| {
            sha(&[&step.prefix[..], &hash, &step.suffix].concat())
        })
    };
    let root = lead(b"bob", b"250", &proof.row.path);
    assert_eq!(root, proof.table.value);
    assert_eq!(lead(b"accounts", &root, &proof.table.path), app_hash);
}
