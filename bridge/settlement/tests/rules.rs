//! Payout proofs, member sets, the queue and signature layout.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::integer_division,
    reason = "numbers of a test are small"
)]

use io_settlement::account::{Roots, Signatures, TAG_QUEUE, VERSION};
use io_settlement::batch::Kind;
use io_settlement::codec::Fixed;
use io_settlement::codec::Writer;
use io_settlement::deposit::{
    DepositRecord, QUEUE_FEE, Queue, QueueHeader, Slot, queue_capacity, queue_fee, queue_len,
    slot_offset,
};
use io_settlement::members::{
    Member, MemberSet, MembersHeader, POWER_MAX, add_power, is_quorum, members_len,
};
use io_settlement::payout::{DEPTH_MAX, EMPTY, Tree, leaf, root_of, verify};
use io_settlement::precompile::{self, SIGNATURES_MAX, SignatureOffsets};
use io_settlement::{Asset, Error};
use proptest::prelude::*;

fn leaves(count: u8) -> Vec<[u8; 32]> {
    (0..count)
        .map(|account| leaf(&[9; 32], Asset::Io, &[account; 32], u64::from(account) + 1))
        .collect()
}

#[test]
fn every_leaf_of_every_small_tree_has_a_proof() {
    for count in 1..=17 {
        let leaves = leaves(count);
        let tree = Tree::new(leaves.clone());
        for (index, leaf) in (0..).zip(&leaves) {
            assert!(verify(
                &tree.root(),
                *leaf,
                index,
                &tree.proof(index).unwrap()
            ));
        }
        assert_eq!(tree.proof(u64::from(count)), None);
    }
}

#[test]
fn a_tree_of_one_leaf_is_that_leaf() {
    let tree = Tree::new(leaves(1));
    assert_eq!(tree.root(), leaves(1)[0]);
    assert_eq!(tree.proof(0), Some(vec![]));
}

#[test]
fn an_empty_tree_proves_nothing() {
    let tree = Tree::new(vec![]);
    assert_eq!(tree.root(), EMPTY);
    assert_eq!(tree.proof(0), None);
    assert!(!verify(&EMPTY, EMPTY, 0, &[]));
}

#[test]
fn another_asset_account_amount_or_chain_is_another_leaf() {
    let base = leaf(&[9; 32], Asset::Io, &[1; 32], 5);
    let others = [
        leaf(&[8; 32], Asset::Io, &[1; 32], 5),
        leaf(&[9; 32], Asset::Usdc, &[1; 32], 5),
        leaf(&[9; 32], Asset::Io, &[2; 32], 5),
        leaf(&[9; 32], Asset::Io, &[1; 32], 6),
    ];
    assert!(!others.contains(&base));
}

#[test]
fn a_proof_longer_than_any_tree_is_refused() {
    assert!(root_of([1; 32], 0, &[[2; 32]; DEPTH_MAX]).is_some());
    assert_eq!(root_of([1; 32], 0, &[[2; 32]; DEPTH_MAX + 1]), None);
}

proptest! {
    #[test]
    fn a_changed_proof_is_refused(count in 2..40_u8, at in any::<prop::sample::Index>(), bit in 0..256_usize, level in any::<prop::sample::Index>()) {
        let leaves = leaves(count);
        let tree = Tree::new(leaves.clone());
        let place = at.index(leaves.len());
        let index = u64::try_from(place).expect("a small index");
        let proof = tree.proof(index).unwrap();
        let root = tree.root();
        let leaf = leaves[place];
        let mut flipped = proof.clone();
        flipped[level.index(proof.len())][bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!verify(&root, leaf, index, &flipped));
        prop_assert!(!verify(&root, leaf, index, &proof[1..]));
        prop_assert!(!verify(&root, leaf, index ^ 1, &proof));
        prop_assert!(!verify(&root, leaf, index + (1 << proof.len()), &proof));
        prop_assert!(!verify(&root, leaves[(place + 1) % leaves.len()], index, &proof));
    }
}

fn member(key: u8, power: u64) -> Member {
    Member {
        key: [key; 32],
        power,
    }
}

#[test]
fn a_set_is_sorted_and_knows_its_power() {
    let set = MemberSet::new(1, vec![member(3, 30), member(1, 10)]).unwrap();
    assert_eq!((set.count(), set.power(), set.set_epoch()), (2, 40, 1));
    assert_eq!(
        (
            set.index_of(&[1; 32]),
            set.index_of(&[3; 32]),
            set.index_of(&[2; 32])
        ),
        (Some(0), Some(1), None)
    );
    assert_ne!(
        set.hash(),
        MemberSet::new(2, set.members().to_vec()).unwrap().hash()
    );
    let later = MemberSet::new(7, set.members().to_vec()).unwrap();
    assert_eq!((set.set_epoch(), later.set_epoch()), (1, 7));
}

#[test]
fn sets_that_break_a_rule_have_its_error() {
    assert_eq!(MemberSet::new(1, vec![]), Err(Error::MemberCount));
    assert_eq!(
        MemberSet::new(1, (0..129).map(|key| member(key, 1)).collect()),
        Err(Error::MemberCount)
    );
    assert_eq!(
        MemberSet::new(1, vec![member(1, 1), member(1, 2)]),
        Err(Error::MemberOrder)
    );
    assert_eq!(MemberSet::new(1, vec![member(1, 0)]), Err(Error::ZeroPower));
    assert_eq!(
        MemberSet::new(1, vec![member(1, POWER_MAX), member(2, 1)]),
        Err(Error::PowerOverflow)
    );
    assert_eq!(
        MemberSet::new(1, vec![member(1, POWER_MAX)]).map(|set| set.power()),
        Ok(POWER_MAX)
    );
    assert_eq!(
        add_power(&member(2, 1).to_bytes(), Some(&[2; 32]), 0),
        Err(Error::MemberOrder)
    );
    assert_eq!(add_power(&[0; 39], None, 0), Err(Error::Truncated));
}

#[test]
fn a_quorum_is_more_than_two_thirds() {
    for (marked, total, quorum) in [
        (2, 3, false),
        (3, 3, true),
        (3, 4, true),
        (66, 100, false),
        (67, 100, true),
        (0, 0, false),
        (1, 0, false),
    ] {
        assert_eq!(is_quorum(marked, total), quorum, "{marked} of {total}");
    }
    assert!(is_quorum(POWER_MAX, POWER_MAX));
}

#[test]
fn a_mark_is_made_once() {
    let bytes = [0; Signatures::LEN];
    let mut signatures = Signatures::from_bytes(&bytes).unwrap();
    for index in [0, 7, 8, 127] {
        assert!(!signatures.is_marked(index));
        assert!(signatures.mark(index));
        assert!(signatures.is_marked(index));
        assert!(!signatures.mark(index));
    }
    assert!(!signatures.mark(128));
    assert!(!signatures.is_marked(128));
}

#[test]
fn records_come_back_from_the_place_of_their_number() {
    let capacity = 3;
    let mut bytes = vec![0; queue_len(capacity).unwrap()];
    QueueHeader {
        tag: TAG_QUEUE,
        version: VERSION,
        bridge: [1; 32],
        capacity,
    }
    .put(&mut Writer::new(&mut bytes));
    for n in 1..=4 {
        let record = DepositRecord {
            n,
            asset: 0,
            amount: 10 * n,
            account: [0; 32],
            depositor: [0; 32],
            slot: n,
        };
        let at = slot_offset(n, capacity).unwrap();
        Slot {
            record,
            rolling: [7; 32],
        }
        .put(&mut Writer::new(&mut bytes[at..]));
    }
    let queue = Queue::new(&bytes).unwrap();
    assert_eq!(queue.slot(1), None, "overwritten by 4");
    for n in 2..=4 {
        assert_eq!(queue.slot(n).map(|slot| slot.record.amount), Some(10 * n));
    }
    assert_eq!((queue.slot(0), queue.slot(5)), (None, None));
    assert_eq!(queue_capacity(bytes.len()), capacity);
    assert!(matches!(Queue::new(&bytes[1..]), Err(Error::WrongQueue)));
    assert!(matches!(
        Queue::new(&bytes[..bytes.len() - 1]),
        Err(Error::WrongQueue)
    ));
    assert!(matches!(Queue::new(&[]), Err(Error::Truncated)));
    // A capacity that no account could have.
    let endless = QueueHeader {
        tag: TAG_QUEUE,
        version: VERSION,
        bridge: [1; 32],
        capacity: u64::MAX,
    };
    assert!(matches!(
        Queue::new(&endless.to_bytes()),
        Err(Error::WrongQueue)
    ));
}

#[test]
fn the_fee_doubles_above_half_full() {
    let fees: Vec<u64> = [0, 7, 8, 9, 10, 15]
        .map(|sixteenths| queue_fee(256 * sixteenths, 4096))
        .to_vec();
    assert_eq!(
        fees,
        [
            0,
            0,
            QUEUE_FEE,
            2 * QUEUE_FEE,
            4 * QUEUE_FEE,
            128 * QUEUE_FEE
        ]
    );
    assert_eq!(queue_fee(2047, 4096), 0);
    // A ring is never more than full; if it were, the fee of a full one holds.
    assert_eq!(queue_fee(9000, 4096), 256 * QUEUE_FEE);
    assert_eq!(queue_fee(0, 0), 256 * QUEUE_FEE);
}

#[test]
fn accounts_have_the_length_of_what_they_hold() {
    for capacity in [0, 1, 7, 4096] {
        let bytes = queue_len(capacity).unwrap();
        assert_eq!(
            bytes,
            QueueHeader::LEN + Slot::LEN * usize::try_from(capacity).unwrap()
        );
        assert_eq!(queue_capacity(bytes), capacity);
        assert_eq!(queue_capacity(bytes + Slot::LEN - 1), capacity);
    }
    assert_eq!(queue_capacity(QueueHeader::LEN - 1), 0);
    assert_eq!(queue_len(u64::MAX), None);
    assert_eq!(slot_offset(0, 16), None);
    assert_eq!(slot_offset(1, 0), None);
    assert_eq!(Roots::LEN, 2 * Roots::ASSET_LEN);
    for count in [0, 1, 4, u16::MAX] {
        let whole = MembersHeader::LEN + Member::LEN * usize::from(count);
        assert_eq!(members_len(count), whole);
    }
}

#[test]
fn the_precompile_instruction_has_the_announced_layout() {
    let message = [7; 46];
    let signed = [([1; 32], [2; 64]), ([3; 32], [4; 64])];
    let data = precompile::data(&message, &signed).unwrap();
    assert_eq!(data.len(), precompile::data_len(2));
    assert_eq!(data[..2], [2, 0]);
    for (index, (key, signature)) in signed.iter().enumerate() {
        let offsets = SignatureOffsets::expected(2, index).unwrap();
        let at =
            |offset: u16, length: usize| &data[usize::from(offset)..usize::from(offset) + length];
        assert_eq!(at(offsets.key, 32), key);
        assert_eq!(at(offsets.signature, 64), signature);
        assert_eq!(
            at(offsets.message, usize::from(offsets.message_len)),
            message
        );
        assert_eq!(data[2 + 14 * index..16 + 14 * index], offsets.to_bytes());
    }
    assert!(SignatureOffsets::expected(SIGNATURES_MAX, SIGNATURES_MAX - 1).is_some());
    assert_eq!(SignatureOffsets::expected(SIGNATURES_MAX + 1, 0), None);
    assert_eq!(SignatureOffsets::expected(2, 2), None);
}

#[test]
fn each_asset_and_kind_has_its_byte() {
    for (asset, byte, decimals) in [(Asset::Io, 0, 8), (Asset::Usdc, 1, 6)] {
        assert_eq!((asset.byte(), asset.decimals()), (byte, decimals));
        assert_eq!(Asset::try_from(byte), Ok(asset));
    }
    assert_eq!(Asset::try_from(2), Err(Error::UnknownAsset));
    assert_eq!(Kind::try_from(1), Ok(Kind::Settle));
    for byte in [0, 2] {
        assert_eq!(Kind::try_from(byte), Err(Error::UnknownKind));
    }
}
