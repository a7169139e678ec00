//! `claim`.

use io_settlement::batch::{Payout, SettleBody};
use io_settlement::instruction::Instruction as Data;
use io_settlement::payout::leaf;
use io_settlement::{Asset, Error};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;

use crate::calls::{Call, Payouts};
use crate::tokens::{self, Authority};
use crate::world::World;

/// Tokens in the vault of the asset and a settled tree of these payouts; each account with its associated token account.
fn settled(asset: Asset, payouts: &[(Pubkey, u64)], in_vault: u64) -> (World, Payouts) {
    let mut world = World::started();
    world.fund(asset, *asset.of(&world.vaults), in_vault);
    let payouts = Payouts::new(asset, payouts.to_vec());
    for (account, _) in &payouts.leaves {
        world.associated(asset, *account);
    }
    let mut body = world.batch();
    payouts.put(&mut body);
    world.settled(&body);
    (world, payouts)
}

fn accounts(count: u64) -> Vec<Keypair> {
    (0..count)
        .map(|number| crate::world::keypair(5000 + number))
        .collect()
}

fn paid(world: &World, asset: Asset, account: Pubkey) -> u64 {
    world.balance(tokens::associated(account, *asset.of(&world.mints)))
}

#[test]
fn both_assets_are_paid_to_everybody_in_the_tree() {
    for asset in Asset::ALL {
        let leaves: Vec<_> = (10..)
            .zip(accounts(7))
            .map(|(amount, key)| (key.pubkey(), amount))
            .collect();
        let (mut world, payouts) = settled(asset, &leaves, 1000);
        for (index, (account, amount)) in leaves.iter().enumerate() {
            let call = world.claim(&payouts, index);
            world.done(&[call]);
            assert_eq!(paid(&world, asset, *account), *amount);
        }
        assert_eq!(*asset.of(&world.state().state.counters.claimed), 7 * 13);
        assert_eq!(world.balance(*asset.of(&world.vaults)), 1000 - 7 * 13);
    }
}

#[test]
fn every_wrong_account_is_refused() {
    let [user, other] = accounts(2).try_into().unwrap();
    let (mut world, payouts) = settled(
        Asset::Io,
        &[(user.pubkey(), 50), (other.pubkey(), 60)],
        1000,
    );
    let call = world.claim(&payouts, 0);
    world.refused_without_privileges(&call);
    let [io_mint, _] = world.mints;
    let [io_vault, usdc_vault] = world.vaults;
    let usdc_of_user = world.associated(Asset::Usdc, user.pubkey());
    let second_of_user = world.token_account(io_mint, user.pubkey());
    let of_other = tokens::associated(other.pubkey(), io_mint);
    let claim_of_other = world.claim_address(Asset::Io, other.pubkey());
    let claim_of_usdc = world.claim_address(Asset::Usdc, user.pubkey());
    let (stake_vault, members, queue) = (world.stake_vault, world.members, world.queue);
    let stranger = world.key().pubkey();
    let wrong = [
        ("account", other.pubkey(), Error::DestinationNotCanonical),
        ("bridge", members, Error::WrongBridge),
        ("bridge", stranger, Error::WrongBridge),
        ("claim", claim_of_other, Error::WrongClaim),
        ("claim", claim_of_usdc, Error::WrongClaim),
        ("claim", queue, Error::WrongClaim),
        ("claim", stranger, Error::WrongClaim),
        ("vault", usdc_vault, Error::WrongVault),
        ("vault", stake_vault, Error::WrongVault),
        ("vault", second_of_user, Error::WrongVault),
        ("destination", io_vault, Error::DestinationIsVault),
        ("destination", usdc_vault, Error::DestinationIsVault),
        ("destination", stake_vault, Error::DestinationIsVault),
        ("destination", stranger, Error::WrongTokenAccount),
        ("destination", io_mint, Error::WrongTokenAccount),
        ("destination", usdc_of_user, Error::WrongTokenAccount),
        ("destination", of_other, Error::DestinationNotCanonical),
        (
            "destination",
            second_of_user,
            Error::DestinationNotCanonical,
        ),
        ("token program", tokens::system(), Error::WrongTokenProgram),
        ("system program", tokens::token(), Error::WrongSystemProgram),
    ];
    for (role, key, rule) in wrong {
        world.refused(&call.with(role, key), rule);
    }
    // Another account's money, sent to that account's own place.
    let stolen = call
        .with("account", other.pubkey())
        .with("destination", of_other);
    world.refused(&stolen, Error::UnknownRoot);
    // The claim account of another asset or account, once it exists.
    let theirs = world.claim(&payouts, 1);
    world.done(&[theirs]);
    world.refused(&call.with("claim", claim_of_other), Error::WrongClaim);
    world.done(&[call]);
}

/// The claim with other data.
fn with_data(call: &Call, asset: Asset, cumulative: u64, index: u64, proof: &[[u8; 32]]) -> Call {
    let mut call = call.clone();
    call.data = Data::Claim {
        asset,
        cumulative,
        index,
        proof,
    }
    .encode();
    call
}

#[test]
fn a_forged_proof_is_refused() {
    let keys = accounts(5);
    let leaves: Vec<_> = (50..)
        .zip(&keys)
        .map(|(amount, key)| (key.pubkey(), amount))
        .collect();
    let (mut world, payouts) = settled(Asset::Io, &leaves, 1000);
    let call = world.claim(&payouts, 2);
    let proof = payouts.tree.proof(2).unwrap();
    assert_eq!(proof.len(), 3);
    let mut flipped = proof.clone();
    flipped[1][0] ^= 1;
    let longer = [proof.clone(), vec![[0; 32]]].concat();
    let forged = [
        (53, 2, proof.clone()),
        (51, 2, proof.clone()),
        (u64::MAX, 2, proof.clone()),
        (52, 3, proof.clone()),
        (52, 2 + 8, proof.clone()),
        (52, 2, flipped),
        (52, 2, proof[1..].to_vec()),
        (52, 2, longer),
        (52, 0, vec![]),
    ];
    for (cumulative, index, proof) in forged {
        let call = with_data(&call, Asset::Io, cumulative, index, &proof);
        world.refused(&call, Error::UnknownRoot);
    }
    let mut cut = call.clone();
    cut.data.pop();
    world.refused(&cut, Error::Truncated);
    let mut unknown = call.clone();
    unknown.data[1] = 7;
    world.refused(&unknown, Error::UnknownAsset);
    // A proof of IO is worth nothing for USDC.
    let usdc = world.associated(Asset::Usdc, keys[2].pubkey());
    let (vault, claim) = (
        world.vaults[1],
        world.claim_address(Asset::Usdc, keys[2].pubkey()),
    );
    let as_usdc = with_data(&call, Asset::Usdc, 52, 2, &proof);
    let as_usdc = as_usdc
        .with("vault", vault)
        .with("destination", usdc)
        .with("claim", claim);
    world.refused(&as_usdc, Error::UnknownRoot);
    world.done(&[call]);
}

#[test]
fn an_inner_node_is_no_leaf_and_an_empty_place_no_root() {
    let user = accounts(1).remove(0);
    let mut world = World::started();
    world.fund(Asset::Io, world.vaults[0], 1000);
    world.associated(Asset::Io, user.pubkey());
    let chain = world.batch().chain_id;
    let payouts = Payouts::new(Asset::Io, vec![(user.pubkey(), 50)]);
    let call = world.claim(&payouts, 0);
    // No root was ever settled: all places are zero.
    world.refused(&call, Error::UnknownRoot);
    // A settled root of zero proves nothing either.
    let body = world.batch();
    assert_eq!(
        body.payouts[0],
        Payout {
            root: [0; 32],
            total: 0
        }
    );
    world.settled(&body);
    world.refused(&call, Error::UnknownRoot);
    assert_eq!(
        payouts.tree.root(),
        leaf(&chain, Asset::Io, user.pubkey().as_array(), 50)
    );
}

#[test]
fn a_repeat_pays_nothing_and_a_newer_proof_the_difference() {
    let user = accounts(1).remove(0);
    let (mut world, first) = settled(Asset::Io, &[(user.pubkey(), 300)], 1000);
    let call = world.claim(&first, 0);
    world.done(std::slice::from_ref(&call));
    world.refused(&call, Error::NothingDue);

    let second = Payouts::new(Asset::Io, vec![(user.pubkey(), 450)]);
    let mut body = world.batch();
    second.put(&mut body);
    world.settled(&body);
    // The old proof still stands, and still pays nothing.
    world.refused(&call, Error::NothingDue);
    let newer = world.claim(&second, 0);
    world.done(std::slice::from_ref(&newer));
    assert_eq!(paid(&world, Asset::Io, user.pubkey()), 450);
    world.refused(&newer, Error::NothingDue);
    world.refused(&call, Error::NothingDue);
    assert_eq!(world.balance(world.vaults[0]), 550);
}

#[test]
fn an_old_proof_pays_less_and_the_newer_one_the_rest() {
    let user = accounts(1).remove(0);
    let (mut world, first) = settled(Asset::Io, &[(user.pubkey(), 300)], 1000);
    let second = Payouts::new(Asset::Io, vec![(user.pubkey(), 450)]);
    let mut body = world.batch();
    second.put(&mut body);
    world.settled(&body);
    let calls = [world.claim(&first, 0), world.claim(&second, 0)];
    world.done(&calls[..1]);
    assert_eq!(paid(&world, Asset::Io, user.pubkey()), 300);
    world.done(&calls[1..]);
    assert_eq!(paid(&world, Asset::Io, user.pubkey()), 450);
}

#[test]
fn the_last_eight_roots_count_and_the_ninth_does_not() {
    let user = accounts(1).remove(0);
    let (mut world, first) = settled(Asset::Io, &[(user.pubkey(), 100)], 10_000);
    let old = world.claim(&first, 0);
    for number in 2..=8 {
        let newer = Payouts::new(Asset::Io, vec![(user.pubkey(), 100 * number)]);
        let mut body = world.batch();
        newer.put(&mut body);
        world.settled(&body);
    }
    // Eight roots, and the first is the oldest of them.
    world.done(std::slice::from_ref(&old));
    assert_eq!(paid(&world, Asset::Io, user.pubkey()), 100);
    let ninth = Payouts::new(Asset::Io, vec![(user.pubkey(), 900)]);
    let mut body = world.batch();
    ninth.put(&mut body);
    world.settled(&body);
    world.refused(&old, Error::UnknownRoot);
    let call = world.claim(&ninth, 0);
    world.done(&[call]);
    assert_eq!(paid(&world, Asset::Io, user.pubkey()), 900);
}

#[test]
fn an_account_that_signs_is_paid_elsewhere() {
    let user = accounts(1).remove(0);
    let (mut world, payouts) = settled(Asset::Io, &[(user.pubkey(), 300)], 1000);
    let (friend, elsewhere) = world.user(Asset::Io, 0);
    let unsigned = world.claim(&payouts, 0).with("destination", elsewhere);
    world.refused(&unsigned, Error::DestinationNotCanonical);
    let mut signed = unsigned.clone();
    let place = signed.place("account");
    signed.roles[place].signer = true;
    signed.signers.push(user.insecure_clone());
    // A vault is refused even then, and so is another mint's account.
    let stake_vault = world.stake_vault;
    world.refused(
        &signed.with("destination", stake_vault),
        Error::DestinationIsVault,
    );
    let usdc = world.token_account(world.mints[1], friend.pubkey());
    world.refused(&signed.with("destination", usdc), Error::WrongTokenAccount);
    world.done(&[signed]);
    assert_eq!(
        (
            world.balance(elsewhere),
            paid(&world, Asset::Io, user.pubkey())
        ),
        (300, 0)
    );
}

#[test]
fn an_associated_account_that_was_given_away_is_refused() {
    let user = accounts(1).remove(0);
    let (mut world, payouts) = settled(Asset::Io, &[(user.pubkey(), 300)], 1000);
    let account = tokens::associated(user.pubkey(), world.mints[0]);
    let buyer = world.key().pubkey();
    let step = tokens::set_authority(account, user.pubkey(), Authority::AccountOwner, buyer);
    world.send(&[step], &[&user]).unwrap();
    let call = world.claim(&payouts, 0);
    world.refused(&call, Error::DestinationNotCanonical);
}

#[test]
fn a_short_vault_pays_what_it_has_and_the_rest_later() {
    let [user, other] = accounts(2).try_into().unwrap();
    let (mut world, payouts) = settled(
        Asset::Usdc,
        &[(user.pubkey(), 300), (other.pubkey(), 50)],
        120,
    );
    let calls = [world.claim(&payouts, 0), world.claim(&payouts, 1)];
    world.done(&calls[..1]);
    assert_eq!(paid(&world, Asset::Usdc, user.pubkey()), 120);
    world.refused(&calls[0], Error::NothingAvailable);
    world.refused(&calls[1], Error::NothingAvailable);
    world.fund(Asset::Usdc, world.vaults[1], 230);
    world.done(&calls);
    assert_eq!(paid(&world, Asset::Usdc, user.pubkey()), 300);
    assert_eq!(paid(&world, Asset::Usdc, other.pubkey()), 50);
    assert_eq!(world.state().state.counters.claimed, [0, 350]);
}

#[test]
fn claims_never_pass_the_payout_total() {
    let [user, other] = accounts(2).try_into().unwrap();
    let mut world = World::started();
    world.fund(Asset::Io, world.vaults[0], 10_000);
    let payouts = Payouts::new(Asset::Io, vec![(user.pubkey(), 300), (other.pubkey(), 300)]);
    for account in [user.pubkey(), other.pubkey()] {
        world.associated(Asset::Io, account);
    }
    // A tree whose leaves add up to more than the batch's total.
    let mut body: SettleBody = world.batch();
    body.payouts[0] = Payout {
        root: payouts.tree.root(),
        total: 400,
    };
    world.settled(&body);
    let calls = [world.claim(&payouts, 0), world.claim(&payouts, 1)];
    world.done(&calls);
    assert_eq!(
        (
            paid(&world, Asset::Io, user.pubkey()),
            paid(&world, Asset::Io, other.pubkey())
        ),
        (300, 100)
    );
    world.refused(&calls[1], Error::NothingAvailable);
    assert_eq!(world.state().state.counters.claimed, [400, 0]);
}
