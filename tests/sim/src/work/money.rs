//! Transfers, withdrawals, suspense, signatures over batches by plain transaction.

use ed25519_dalek::Signer as _;
use io_settlement::batch::{Kind, message};
use io_state_machine::tables;
use io_types::action::{ClaimSuspense, SignSettlement, Transfer, Withdraw};
use io_types::{AccountId, Action, Amount, Asset, Signature};

use super::{Intent, Memory, Scene};
use crate::rng::Rng;
use crate::world::{IO, account};

pub(super) fn intents(
    scene: &Scene<'_>,
    memory: &mut Memory,
    rng: &mut Rng,
    out: &mut Vec<Intent>,
) {
    for _ in 0..rng.below(4) {
        let key = someone(scene, rng);
        let mut actions = vec![transfer(scene, memory, rng)];
        while rng.one_in(4) {
            actions.push(transfer(scene, memory, rng));
        }
        out.push(Intent::new(&key, actions));
    }
    if rng.one_in(3) {
        let key = someone(scene, rng);
        let asset = *rng.pick(&[Asset::Io, Asset::Io, Asset::Usdc, Asset::Credit]);
        let action = Action::Withdraw(Withdraw {
            asset,
            amount: amount(rng),
            client_id: memory.next_client_id(rng),
        });
        out.push(Intent::new(&key, vec![action]));
    }
    for (number, row) in scene.rows.list(&tables::SUSPENSE) {
        if rng.one_in(4) {
            let key = scene.world.key_of(row.depositor);
            let key = key
                .filter(|_key| !rng.one_in(5))
                .unwrap_or_else(|| someone(scene, rng));
            let to = account(&someone(scene, rng));
            let action = Action::ClaimSuspense(ClaimSuspense {
                deposit: number,
                to,
            });
            out.push(Intent::new(&key, vec![action]));
        }
    }
    for (number, batch) in scene.rows.list(&tables::SETTLEMENTS) {
        if batch.settled || !rng.one_in(8) {
            continue;
        }
        let validator = rng.pick(&scene.world.validators);
        let signature = validator
            .settlement
            .sign(&message(Kind::Settle, &batch.hash.0));
        let action = Action::SignSettlement(SignSettlement {
            number,
            member: account(&validator.settlement),
            signature: Signature(signature.to_bytes()),
        });
        out.push(Intent::new(&someone(scene, rng), vec![action]));
    }
}

/// Anybody with money, mostly.
pub(super) fn someone(scene: &Scene<'_>, rng: &mut Rng) -> ed25519_dalek::SigningKey {
    let world = scene.world;
    match rng.below(10) {
        0..4 => rng.pick(&world.renters).clone(),
        4..8 => rng.pick(&world.suppliers).clone(),
        8 => rng.pick(&world.verifiers).clone(),
        _other => rng.pick(&world.strangers).clone(),
    }
}

fn amount(rng: &mut Rng) -> Amount {
    Amount::new(match rng.below(8) {
        0 => 0,
        1 => u64::MAX,
        2 => rng.next(),
        3 => rng.below(100),
        _other => rng.between(1, 500 * IO),
    })
}

fn transfer(scene: &Scene<'_>, memory: &mut Memory, rng: &mut Rng) -> Action {
    let to = if rng.one_in(15) {
        AccountId(rng.bytes32())
    } else {
        account(&someone(scene, rng))
    };
    Action::Transfer(Transfer {
        to,
        asset: *rng.pick(&[Asset::Io, Asset::Io, Asset::Io, Asset::Usdc, Asset::Credit]),
        amount: amount(rng),
        client_id: memory.next_client_id(rng),
    })
}
