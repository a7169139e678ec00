//! Devices: registration, changes, states.

use ed25519_dalek::SigningKey;
use io_types::action::{
    DeviceSpec, PauseDevice, RegisterDevice, ResumeDevice, RetireDevice, UpdateDevice, consent,
    consent_bytes,
};
use io_types::catalogue::CountryCode;
use io_types::row::DeviceState;
use io_types::{AccountId, Action, Asset, DeviceId, MicroUsd};

use crate::support::{CHAIN, Chain, account, device_spec, key, order, ready_device};

fn register(spec: DeviceSpec, device_key: u8, client_id: u64) -> Action {
    register_for(&key(1), spec, device_key, client_id)
}

fn register_for(owner: &SigningKey, spec: DeviceSpec, device_key: u8, client_id: u64) -> Action {
    let device_key = key(device_key);
    Action::RegisterDevice(RegisterDevice {
        spec,
        device_key: account(&device_key),
        consent: consent(&device_key, CHAIN, &account(owner)),
        client_id,
    })
}

fn update(device: u64, ask: u64, payout_asset: Asset) -> Action {
    Action::UpdateDevice(UpdateDevice {
        device: DeviceId(device),
        ask: MicroUsd(ask),
        payout_asset,
    })
}

#[test]
fn a_description_out_of_range_stays_out() {
    let mut chain = Chain::new();
    let good = device_spec(1, 8, 2_000_000);
    let cases = [
        (
            403,
            DeviceSpec {
                quantity: 0,
                ..good.clone()
            },
        ),
        (
            403,
            DeviceSpec {
                quantity: 65,
                ..good.clone()
            },
        ),
        (
            403,
            DeviceSpec {
                vram_mib: 0,
                ..good.clone()
            },
        ),
        (
            403,
            DeviceSpec {
                country: CountryCode(*b"de"),
                ..good.clone()
            },
        ),
        (
            403,
            DeviceSpec {
                connectivity: 5,
                ..good.clone()
            },
        ),
        (
            403,
            DeviceSpec {
                ask: MicroUsd(0),
                ..good.clone()
            },
        ),
        (
            410,
            DeviceSpec {
                payout_asset: Asset::Credit,
                ..good.clone()
            },
        ),
    ];
    for (code, spec) in cases {
        let bytes = chain.sign(&key(1), vec![register(spec, 60, 1)]);
        assert_eq!(
            chain
                .machine
                .check_tx(&bytes, false)
                .unwrap()
                .unwrap_err()
                .code(),
            code
        );
    }
    assert_eq!(chain.block(Vec::new()).transactions.len(), 1);
}

#[test]
fn registration_is_refused_by_rule() {
    let mut chain = Chain::new();
    let owner = key(1);
    chain.refused(&owner, register(device_spec(9, 1, 100_000), 60, 1), 302);
    chain.refused(&owner, register(device_spec(1, 1, 9_999), 60, 1), 408);
    chain.refused(&owner, register(device_spec(1, 1, 10_000_001), 60, 1), 408);
    let mut keyless = RegisterDevice {
        spec: device_spec(1, 1, 100_000),
        device_key: AccountId([0; 32]),
        consent: consent(&key(60), CHAIN, &account(&owner)),
        client_id: 1,
    };
    chain.refused(&owner, Action::RegisterDevice(keyless.clone()), 104);
    keyless.device_key = account(&owner);
    chain.refused(&owner, Action::RegisterDevice(keyless), 404);
    chain.must(&owner, register(device_spec(1, 1, 100_000), 60, 1));
    chain.refused(&key(2), register(device_spec(1, 1, 100_000), 60, 1), 404);
    chain.refused(&owner, register(device_spec(1, 1, 100_000), 61, 1), 204);
    let device = chain.device(1);
    assert_eq!(device.state, DeviceState::Onboarding);
    assert_eq!(
        device.challenge, None,
        "the first challenge waits for a worker with a hash chain"
    );
}

#[test]
fn a_key_is_registered_only_with_its_own_consent() {
    let mut chain = Chain::new();
    let (owner, thief) = (key(1), key(2));
    let spec = device_spec(1, 1, 100_000);
    // What the worker signed for its owner is worth nothing to another, and a key of others signs for nobody.
    let consents = [
        consent(&key(60), CHAIN, &account(&owner)),
        consent(&key(60), "test-2", &account(&thief)),
        consent(&thief, CHAIN, &account(&thief)),
    ];
    for consent in consents {
        let stolen = RegisterDevice {
            spec: spec.clone(),
            device_key: account(&key(60)),
            consent,
            client_id: 1,
        };
        chain.refused(&thief, Action::RegisterDevice(stolen), 411);
    }
    chain.must(&owner, register(spec, 60, 1));
    assert_eq!(chain.device(1).owner, account(&owner));
    let text = consent_bytes(CHAIN, &account(&owner));
    assert!(text.starts_with(b"io-chain/device-consent/v1\0"));
}

#[test]
fn only_the_owner_changes_a_device_and_within_its_models_band() {
    let mut chain = Chain::new();
    let owner = key(1);
    chain.must(&owner, register(device_spec(1, 1, 100_000), 60, 1));
    chain.refused(&owner, update(2, 100_000, Asset::Io), 401);
    chain.refused(&key(2), update(1, 100_000, Asset::Io), 402);
    chain.refused(&owner, update(1, 10_000_001, Asset::Io), 408);
    chain.must(&owner, update(1, 200_000, Asset::Usdc));
    let spec = chain.device(1).spec;
    assert_eq!(
        (spec.ask, spec.payout_asset),
        (MicroUsd(200_000), Asset::Usdc)
    );
}

#[test]
fn pause_resume_and_retire_follow_the_states() {
    let mut chain = Chain::new();
    let owner = key(1);
    let (id, _links) = ready_device(&mut chain, &owner, &key(60), device_spec(1, 1, 100_000));
    let device = DeviceId(id);
    chain.refused(&owner, Action::ResumeDevice(ResumeDevice { device }), 407);
    chain.must(&owner, Action::PauseDevice(PauseDevice { device }));
    assert_eq!(chain.device(id).state, DeviceState::Paused);
    chain.refused(&owner, Action::PauseDevice(PauseDevice { device }), 409);
    chain.must(&owner, Action::ResumeDevice(ResumeDevice { device }));
    assert_eq!(chain.device(id).state, DeviceState::Ready);
    chain.must(&key(2), Action::PlaceOrder(order(1, 1, 1)));
    assert_eq!(chain.device(id).state, DeviceState::Hired);
    chain.refused(&owner, Action::PauseDevice(PauseDevice { device }), 405);
    chain.refused(&owner, Action::RetireDevice(RetireDevice { device }), 405);
}

#[test]
fn a_retired_device_is_over() {
    let mut chain = Chain::new();
    let owner = key(1);
    chain.must(&owner, register(device_spec(1, 1, 100_000), 60, 1));
    chain.must(
        &owner,
        Action::RetireDevice(RetireDevice {
            device: DeviceId(1),
        }),
    );
    chain.refused(&owner, update(1, 100_000, Asset::Io), 406);
    chain.refused(
        &owner,
        Action::ResumeDevice(ResumeDevice {
            device: DeviceId(1),
        }),
        406,
    );
}
