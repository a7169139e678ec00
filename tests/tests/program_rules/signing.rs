//! `post_signatures` and `close_signatures`.

use io_settlement::account::{SIGNATURES_SECONDS, Signatures};
use io_settlement::batch::SettleBody;
use io_settlement::precompile::{self, SignatureOffsets, data_len};
use io_settlement::{Bytes32, Error};
use solana_instruction::Instruction;
use solana_signer::Signer;

use crate::calls::{Call, close_signatures, ed25519};
use crate::tokens;
use crate::world::{GENESIS_TIME, Plan, World, member_set};

fn signatures(world: &World, body: &SettleBody) -> Option<Signatures> {
    let account = world
        .svm
        .get_account(&world.signatures_address(body.set_epoch, &body.hash()))?;
    Signatures::read(&account.data).ok()
}

#[test]
fn members_are_marked_in_any_order_over_several_transactions() {
    let mut world = World::with(&Plan {
        powers: vec![1, 2, 3, 4, 5],
        ..Plan::default()
    });
    let body = world.batch();
    let powers: Vec<u64> = world
        .set
        .members()
        .iter()
        .map(|member| member.power)
        .collect();
    let calls = [world.post(&body, &[4, 1]), world.post(&body, &[0])];
    world.done(&calls);
    let found = signatures(&world, &body).unwrap();
    assert_eq!(found.power, powers[4] + powers[1] + powers[0]);
    assert_eq!(
        (found.set_epoch, found.body_hash, found.settled),
        (1, body.hash(), 0)
    );
    assert_eq!(
        (found.payer, found.created),
        (world.authority.pubkey().to_bytes(), GENESIS_TIME)
    );
    assert!([0, 1, 4].iter().all(|index| found.is_marked(*index)));
    assert!([2, 3, 5].iter().all(|index| !found.is_marked(*index)));

    // The same again, also twice in one call, adds nothing.
    let calls = [world.post(&body, &[1]), world.post(&body, &[4, 4])];
    world.done(&calls);
    assert_eq!(signatures(&world, &body).unwrap().power, found.power);
}

#[test]
fn every_wrong_account_is_refused() {
    let mut world = World::started();
    let body = world.batch();
    let call = world.post(&body, &[0, 1]);
    world.refused_without_privileges(&call);
    let (other_set, _) = member_set(2, &[1, 1], 5);
    let other_members = world.staged(&other_set);
    let mut other_body = body;
    other_body.number += 1;
    let other_signatures = world.signatures_address(1, &other_body.hash());
    let stranger = world.key().pubkey();
    let (queue, members) = (world.queue, world.members);
    let wrong = [
        ("bridge", members, Error::WrongBridge),
        ("members", other_members, Error::WrongMembers),
        ("members", queue, Error::WrongMembers),
        ("members", stranger, Error::WrongMembers),
        ("signatures", other_signatures, Error::WrongSignatures),
        ("signatures", stranger, Error::WrongSignatures),
        ("signatures", queue, Error::WrongSignatures),
        (
            "instructions sysvar",
            stranger,
            Error::WrongInstructionsSysvar,
        ),
        ("system program", tokens::token(), Error::WrongSystemProgram),
    ];
    for (role, key, rule) in wrong {
        world.refused(&call.with(role, key), rule);
    }
    // The account of another body that exists already.
    let post = world.post(&other_body, &[0]);
    world.done(&[post]);
    world.refused(
        &call.with("signatures", other_signatures),
        Error::WrongSignatures,
    );
    world.done(&[call]);
}

#[test]
fn a_copy_of_the_instructions_sysvar_is_refused() {
    let mut world = World::started();
    let body = world.batch();
    // An account with the bytes of a sysvar that tells of a verified signature.
    let fake = world.key().pubkey();
    let mut account = world.svm.get_account(&world.queue).unwrap();
    account.data = vec![0; 200];
    world.svm.set_account(fake, account).unwrap();
    let call = world.post(&body, &[0]).with("instructions sysvar", fake);
    world.refused(&call, Error::WrongInstructionsSysvar);
}

#[test]
fn what_is_not_the_precompile_just_before_is_refused() {
    let mut world = World::started();
    let body = world.batch();
    let mut alone = world.post(&body, &[0]);
    let verified = alone.before.remove(0);
    world.refused(&alone, Error::NotEd25519);
    // Something between.
    let mut apart = alone.clone();
    apart.before = vec![
        verified.clone(),
        tokens::pay(world.payer.pubkey(), world.bridge, 1_000_000),
    ];
    world.refused(&apart, Error::NotEd25519);
    // The same data for another program that runs.
    let mut other = alone.clone();
    let payer = world.payer.pubkey();
    let mut memo = tokens::pay(payer, payer, 0);
    memo.data.extend_from_slice(&verified.data);
    other.before = vec![memo];
    world.refused(&other, Error::NotEd25519);
}

#[test]
fn counts_kinds_and_members_that_are_not_are_refused() {
    let mut world = World::started();
    let body = world.batch();
    let none = world.post_after(&body, &[], world.post(&body, &[0]).before.remove(0));
    world.refused(&none, Error::SignatureCount);
    let many = world.post_after(&body, &[0; 65], world.post(&body, &[0]).before.remove(0));
    world.refused(&many, Error::SignatureCount);
    let mut kind = world.post(&body, &[0]);
    kind.data[1] = 2;
    world.refused(&kind, Error::UnknownKind);
    let beyond = world.post_after(&body, &[4], world.post(&body, &[0]).before.remove(0));
    world.refused(&beyond, Error::UnknownMember);
    // One signature given as two, and the other way round.
    let two = world.post_after(&body, &[0, 1], world.post(&body, &[0]).before.remove(0));
    world.refused(&two, Error::SignatureLayout);
    let one = world.post_after(&body, &[0], world.post(&body, &[0, 1]).before.remove(0));
    world.refused(&one, Error::SignatureLayout);
    // Each signature is for its own member.
    let swapped = world.post_after(&body, &[1, 0], world.post(&body, &[0, 1]).before.remove(0));
    world.refused(&swapped, Error::SignatureKey);
}

#[test]
fn another_key_or_message_is_refused() {
    let mut world = World::started();
    let body = world.batch();
    let (_, strangers) = member_set(1, &[1], 9);
    let own = std::mem::replace(&mut world.keys, strangers);
    let forged = world.post(&body, &[0]);
    world.keys = own;
    world.refused(&forged, Error::SignatureKey);

    let mut other = body;
    other.emitted += 1;
    let call = world.post_after(&body, &[0], world.post(&other, &[0]).before.remove(0));
    world.refused(&call, Error::SignatureMessage);
}

#[test]
fn a_bad_signature_stops_the_transaction_at_the_precompile() {
    let mut world = World::started();
    let body = world.batch();
    let mut call = world.post(&body, &[0, 1]);
    *call.before[0].data.last_mut().unwrap() ^= 1;
    let before = world.picture();
    let error = world.try_run(&[call]).unwrap_err();
    assert!(error.starts_with("InstructionError(0, "), "{error}");
    assert_eq!(world.picture(), before);
}

/// The precompile's instruction with the numbers of the last signature changed. The data stay as long as they should be.
fn changed(
    world: &World,
    body: &SettleBody,
    indexes: &[u8],
    change: impl Fn(&mut SignatureOffsets),
) -> Instruction {
    let message = body.message();
    let signed: Vec<(Bytes32, [u8; 64])> = indexes
        .iter()
        .map(|index| world.signed(*index, &message))
        .collect();
    let mut data = precompile::data(&message, &signed).unwrap();
    let place = 2 + SignatureOffsets::LEN * (indexes.len() - 1);
    let mut offsets =
        SignatureOffsets::from_bytes(&data[place..place + SignatureOffsets::LEN]).unwrap();
    change(&mut offsets);
    data[place..place + SignatureOffsets::LEN].copy_from_slice(&offsets.to_bytes());
    ed25519(data)
}

/// A post whose precompile instruction is valid, so that only our own check can refuse it.
fn refused_though_verified(world: &mut World, call: &Call) {
    let steps = call.before.clone();
    world
        .send(&steps, &[])
        .expect("the precompile itself accepts");
    world.refused(call, Error::SignatureLayout);
}

#[test]
fn every_offset_field_is_bound() {
    let mut world = World::started();
    let body = world.batch();
    let first = SignatureOffsets::expected(2, 0).unwrap();
    // The second signature is the first one's, so that each place holds valid bytes.
    let places: [fn(&mut SignatureOffsets, SignatureOffsets); 2] = [
        |second, first| second.signature = first.signature,
        |second, first| second.key = first.key,
    ];
    for change in places {
        let before = changed(&world, &body, &[0, 0], |second| change(second, first));
        let call = world.post_after(&body, &[0, 0], before);
        refused_though_verified(&mut world, &call);
    }
    // An instruction's own number instead of "this one": the same bytes, another way to say so.
    let instructions: [fn(&mut SignatureOffsets); 3] = [
        |offsets| offsets.signature_instruction = 0,
        |offsets| offsets.key_instruction = 0,
        |offsets| offsets.message_instruction = 0,
    ];
    for change in instructions {
        let before = changed(&world, &body, &[0], change);
        let call = world.post_after(&body, &[0], before);
        refused_though_verified(&mut world, &call);
    }
    // Another instruction of the transaction that holds the same bytes.
    for change in instructions {
        let plain = changed(&world, &body, &[0], |_| ());
        let before = changed(&world, &body, &[0], change);
        let mut call = world.post_after(&body, &[0], before);
        call.before.insert(0, plain);
        refused_though_verified(&mut world, &call);
    }
}

/// A precompile instruction over other bytes of its own data than the message: one byte later, or one byte fewer.
fn over_other_bytes(world: &World, body: &SettleBody, later: u16, fewer: u16) -> Instruction {
    let offsets = SignatureOffsets::expected(1, 0).unwrap();
    let offsets = SignatureOffsets {
        message: offsets.message + later,
        message_len: offsets.message_len - fewer,
        ..offsets
    };
    let message = body.message();
    let (key, _) = world.signed(0, &message);
    let mut data = precompile::data(&message, &[(key, [0; 64])]).unwrap();
    data[2..2 + SignatureOffsets::LEN].copy_from_slice(&offsets.to_bytes());
    let from = usize::from(offsets.message);
    let (_, signature) = world.signed(0, &data[from..from + usize::from(offsets.message_len)]);
    let place = usize::from(offsets.signature);
    data[place..place + 64].copy_from_slice(&signature);
    ed25519(data)
}

#[test]
fn the_place_and_the_length_of_the_message_are_bound() {
    let mut world = World::started();
    let body = world.batch();
    for (later, fewer) in [(1, 0), (0, 1), (2, 3)] {
        let before = over_other_bytes(&world, &body, later, fewer);
        let call = world.post_after(&body, &[0], before);
        refused_though_verified(&mut world, &call);
    }
}

#[test]
fn the_count_its_padding_and_the_length_are_bound() {
    let mut world = World::started();
    let body = world.batch();
    let plain = world.post(&body, &[0, 0]).before.remove(0);
    let mut fewer = plain.clone();
    fewer.data[0] = 1;
    let call = world.post_after(&body, &[0, 0], fewer);
    refused_though_verified(&mut world, &call);
    let mut padding = plain.clone();
    padding.data[1] = 1;
    let call = world.post_after(&body, &[0, 0], padding);
    refused_though_verified(&mut world, &call);
    let mut longer = plain.clone();
    longer.data.push(0);
    let call = world.post_after(&body, &[0, 0], longer);
    refused_though_verified(&mut world, &call);
    assert_eq!(plain.data.len(), data_len(2));
    let call = world.post_after(&body, &[0, 0], plain);
    world.done(&[call]);
}

#[test]
fn an_empty_precompile_instruction_is_refused() {
    let mut world = World::started();
    let body = world.batch();
    let call = world.post_after(&body, &[0], ed25519(vec![0, 0]));
    refused_though_verified(&mut world, &call);
}

#[test]
fn signatures_are_closed_by_their_payer_once_settled_or_old() {
    let mut world = World::started();
    let body = world.batch();
    world.signed_by_all(&body);
    let address = world.signatures_address(1, &body.hash());
    let payer = world.authority.insecure_clone();
    let call = close_signatures(address, &payer);
    world.refused_without_privileges(&call);
    world.refused(&call, Error::SignaturesInUse);
    world.set_time(GENESIS_TIME + SIGNATURES_SECONDS - 1);
    world.refused(&call, Error::SignaturesInUse);
    let (stranger, _) = world.user(io_settlement::Asset::Io, 0);
    let by_stranger = close_signatures(address, &stranger);
    world.refused(&by_stranger, Error::NotPayer);
    for other in [world.queue, world.bridge, world.members] {
        world.refused(&close_signatures(other, &payer), Error::WrongSignatures);
    }

    let settle = world.settle(&body);
    world.done(&[settle]);
    let rent = world.svm.get_balance(&address).unwrap();
    let before = world.svm.get_balance(&payer.pubkey()).unwrap();
    world.done(&[call]);
    assert_eq!(
        world.svm.get_balance(&payer.pubkey()).unwrap(),
        before + rent
    );
    assert!(
        world
            .svm
            .get_account(&address)
            .is_none_or(|account| account.data.is_empty())
    );

    // One that never settles, a day later.
    let mut body = world.batch();
    body.number += 5;
    world.signed_by_all(&body);
    let address = world.signatures_address(1, &body.hash());
    let call = close_signatures(address, &payer);
    world.refused(&call, Error::SignaturesInUse);
    world.set_time(GENESIS_TIME + 3 * SIGNATURES_SECONDS);
    world.done(&[call]);
}
