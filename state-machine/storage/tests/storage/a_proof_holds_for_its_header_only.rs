//! Rows are proven at the last four heights, by the `ics23` crate in both steps; what is changed by a hair is refused.

use ics23::{HostFunctionsManager, LeafOp};
use io_storage::{
    Leaf, Proof, ProofError, ProveError, Store, TableId, TableSpec,
    backend::{Disk, MemoryBackend},
    proof::{row_proof_spec, table_proof_spec},
};
use proptest::prelude::*;

use crate::model::{
    ACCOUNTS, Block, DEVICES, Model, ORDERS, PARAMS, SPECS, any_blocks, fixed_blocks, open, run,
};

/// Checks a proof by the `ics23` crate alone.
fn ics23_holds(proof: &Proof, key: &[u8], value: &[u8], app_hash: &[u8; 32]) -> bool {
    let [row, table] = proof.commitments();
    let root = proof.table.value.clone();
    let name = proof.table.key.clone();
    let row_spec = row_proof_spec();
    let table_spec = table_proof_spec(SPECS.len());
    ics23::verify_membership::<HostFunctionsManager>(&row, &row_spec, &root, key, value)
        && ics23::verify_membership::<HostFunctionsManager>(
            &table,
            &table_spec,
            &app_hash.to_vec(),
            &name,
            &root,
        )
}

/// Every row of every kept height is provable against the header of that height.
fn check_all(store: &Store, models: &[Model]) {
    let highest = models.len();
    for (model, height) in models.iter().zip(1usize..) {
        let at = u64::try_from(height).unwrap();
        for (table, key, value) in [ACCOUNTS, DEVICES, PARAMS].into_iter().flat_map(|table| {
            model.tables[&table]
                .iter()
                .map(move |(key, (_, value))| (table, key, value))
        }) {
            let proof = match store.prove(table, key, at) {
                Ok(proof) => proof,
                Err(error) => {
                    let lowest = highest.saturating_sub(3).max(1);
                    assert!(height < lowest, "{error}");
                    let (lowest, highest) = (lowest as u64, highest as u64);
                    assert_eq!(
                        error,
                        ProveError::Height {
                            asked: at,
                            lowest,
                            highest
                        }
                    );
                    continue;
                }
            };
            assert!(height + 4 > highest);
            let app_hash = model.app_hash();
            assert_eq!(
                proof.verify(&SPECS, table, key, &app_hash),
                Ok(value.as_slice())
            );
            assert!(ics23_holds(&proof, key, value, &app_hash));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_row_is_proven_at_the_last_four_heights_also_after_a_restart(
        blocks in any_blocks(5..8, 120),
    ) {
        let disk = Disk::default();
        let store = open(&disk).unwrap();
        let mut models = vec![];
        let mut model = Model::default();
        for (height, block) in (1..).zip(&blocks) {
            model.apply(block);
            models.push(model.clone());
            run(&store, block, height).unwrap();
        }
        check_all(&store, &models);
        let reopened = open(&disk).unwrap();
        check_all(&reopened, &models);
        // One more block on the reopened store: what it rebuilt and what it now records work together.
        let block = &blocks[0];
        model.apply(block);
        models.push(model);
        run(&reopened, block, models.len() as u64).unwrap();
        check_all(&reopened, &models);
    }
}

fn proven() -> (Store, Proof, [u8; 32], Vec<u8>) {
    let store = open(&Disk::default()).unwrap();
    for (height, block) in (1..).zip(fixed_blocks(3)) {
        run(&store, &block, height).unwrap();
    }
    // A row that the third block did not create.
    let key = vec![16];
    let proof = store.prove(DEVICES, &key, 3).unwrap();
    let app_hash = store.app_hash();
    (store, proof, app_hash, key)
}

#[test]
fn a_proof_for_another_header_key_or_table_is_refused() {
    let (store, proof, app_hash, key) = proven();
    assert!(proof.verify(&SPECS, DEVICES, &key, &app_hash).is_ok());
    let verify = |id, key: &[u8], app_hash| proof.verify(&SPECS, id, key, app_hash);
    assert_eq!(verify(DEVICES, &key, &[1; 32]), Err(ProofError::AppHash));
    assert_eq!(verify(DEVICES, &[8], &app_hash), Err(ProofError::Row));
    assert_eq!(verify(ACCOUNTS, &key, &app_hash), Err(ProofError::RowShape));
    assert_eq!(
        verify(ORDERS, &key, &app_hash),
        Err(ProofError::Table(ORDERS))
    );
    let earlier = store.prove(DEVICES, &key, 2).unwrap();
    assert_eq!(
        earlier.verify(&SPECS, DEVICES, &key, &app_hash),
        Err(ProofError::AppHash)
    );
}

#[test]
fn a_proof_changed_in_any_byte_is_refused() {
    let (_, proof, app_hash, key) = proven();
    let mut refused = 0;
    let mut check = |changed: Proof| {
        assert!(changed.verify(&SPECS, DEVICES, &key, &app_hash).is_err());
        refused += 1;
    };
    for at in 0..proof.row.value.len() {
        let mut changed = proof.clone();
        changed.row.value[at] ^= 1;
        check(changed);
    }
    for at in 0..32 {
        let mut changed = proof.clone();
        changed.table.value[at] ^= 1;
        check(changed);
    }
    for step in 0..proof.row.path.len() {
        for at in 0..proof.row.path[step].prefix.len() {
            let mut changed = proof.clone();
            changed.row.path[step].prefix[at] ^= 1;
            check(changed);
        }
        for at in 0..proof.row.path[step].suffix.len() {
            let mut changed = proof.clone();
            changed.row.path[step].suffix[at] ^= 1;
            check(changed);
        }
        let mut changed = proof.clone();
        changed.row.path.remove(step);
        check(changed);
    }
    for step in 0..proof.table.path.len() {
        let mut changed = proof.clone();
        changed.table.path[step].prefix.push(0);
        check(changed);
        let mut changed = proof.clone();
        changed.table.path.remove(step);
        check(changed);
    }
    assert!(refused > 200);
}

/// ICS-23 lets a leaf prefix be longer than the spec's. With rows whose keys an attacker chooses, that alone proves rows
/// that are not there; the exact form that we check refuses it.
#[test]
fn a_row_hidden_in_the_key_of_another_row_is_refused() {
    let value_hash = <[u8; 32]>::from(<sha2::Sha256 as sha2::Digest>::digest(b"value"));
    // The real key ends with what looks like a length and a key: 3, "abc".
    let real_key = [&[7u8; 5][..], &[3], b"abc"].concat();
    let store = open(&Disk::default()).unwrap();
    let block: Block = vec![(ACCOUNTS, real_key.clone(), Some(b"value".to_vec()))];
    let app_hash = run(&store, &block, 1).unwrap();
    let mut forged = store.prove(ACCOUNTS, &real_key, 1).unwrap();
    let prefix = [&[0, 9][..], &[7; 5]].concat();
    let leaf = forged.row.leaf.clone().unwrap();
    forged.row.leaf = Some(LeafOp { prefix, ..leaf });
    forged.row.key = b"abc".to_vec();
    assert_eq!(value_hash.len(), 32);
    assert!(ics23_holds(&forged, b"abc", b"value", &app_hash));
    assert_eq!(
        forged.verify(&SPECS, ACCOUNTS, b"abc", &app_hash),
        Err(ProofError::RowShape)
    );
}

#[test]
fn what_cannot_be_proven_is_said() {
    let (store, _, _, _) = proven();
    assert_eq!(
        store.prove(TableId(3), &[1], 3),
        Err(ProveError::UnknownTable(TableId(3)))
    );
    assert_eq!(
        store.prove(ORDERS, &[1], 3),
        Err(ProveError::NotProvable("orders"))
    );
    assert_eq!(
        store.prove(DEVICES, &[0xee, 1], 3).unwrap_err().to_string(),
        "table devices has no row ee01 at height 3, and absence cannot be proven"
    );
    let error = store.prove(DEVICES, &[16], 4).unwrap_err();
    assert_eq!(error.to_string(), "height 4 cannot be proven, only 1 to 3");
}

#[test]
fn a_chain_of_one_table_proves_too() {
    static ONE: [TableSpec; 1] = [TableSpec {
        id: TableId(0),
        name: "only",
        leaf: Leaf::Row,
    }];
    let store = Store::open(&ONE, Box::new(MemoryBackend::default())).unwrap();
    let view = store.snapshot();
    let mut overlay = io_storage::Overlay::new(&view);
    overlay.put(TableId(0), b"k", b"v".to_vec());
    let patch = view.stage(&overlay.into_write_set().unwrap()).unwrap();
    drop(view);
    store.commit(patch, 1).unwrap();
    let proof = store.prove(TableId(0), b"k", 1).unwrap();
    assert_eq!(
        proof.verify(&ONE, TableId(0), b"k", &store.app_hash()),
        Ok(&b"v"[..])
    );
}
