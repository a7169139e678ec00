#![expect(clippy::arithmetic_side_effects, reason = "a test's numbers are small")]

use ed25519_dalek::SigningKey;
use io_types::genesis::{GenesisBalance, GenesisBridge, GenesisValidator, GenesisVerifier};
use io_types::{AccountId, Amount, Asset, BasisPoints, BlockTime, ChainTime, Hash};

use super::*;
use crate::engine::consensus_address;
use crate::template::{Inputs, Network, Template};

type Change = fn(&mut io_types::catalogue::Class);

const HOUR: u64 = 495_000 * EPOCH_MS;

fn key(seed: u8) -> [u8; 32] {
    SigningKey::from_bytes(&[seed; 32])
        .verifying_key()
        .to_bytes()
}

fn inputs() -> Inputs {
    let validators = (1..=4).map(|number: u8| {
        let consensus_key = Hash(key(number));
        GenesisValidator {
            address: consensus_address(&consensus_key),
            consensus_key,
            power: 10,
            settlement_key: AccountId(key(number + 40)),
            operator: AccountId(key(number + 80)),
            beacon_anchor: Hash([number; 32]),
            moniker: format!("validator-{number}"),
        }
    });
    let verifiers = (1..=3).map(|number: u8| GenesisVerifier {
        account: AccountId(key(number + 120)),
        url: format!("ws://127.0.0.1:{number}"),
        stake: Amount::new(500),
    });
    let balances = (1..=3).flat_map(|number: u8| {
        [Asset::Io, Asset::Usdc].map(|asset| GenesisBalance {
            account: AccountId(key(number + 120)),
            asset,
            amount: Amount::new(1000),
        })
    });
    Inputs {
        chain_id: "io-test-1".to_owned(),
        genesis_time: BlockTime(1_795_253_400_250),
        chain_start: ChainTime(HOUR),
        validators: validators.collect(),
        verifiers: verifiers.collect(),
        balances: balances.collect(),
        bridge: GenesisBridge {
            cluster: Hash([1; 32]),
            program: AccountId([2; 32]),
            io_mint: AccountId([3; 32]),
            usdc_mint: AccountId([4; 32]),
        },
    }
}

fn sound() -> GenesisSpec {
    Template::builtin(Network::Localnet)
        .build(inputs())
        .expect("the inputs keep every rule")
}

/// The problems of a sound spec after one change.
fn after(change: impl FnOnce(&mut GenesisSpec)) -> Vec<Problem> {
    let mut spec = sound();
    change(&mut spec);
    check(&spec)
}

#[test]
fn both_templates_make_a_sound_genesis() {
    for network in [Network::Localnet, Network::MainnetDraft] {
        let mut inputs = inputs();
        for number in 4..=5 {
            let account = AccountId(key(number + 120));
            let (url, stake) = ("wss://verifier.example/io".to_owned(), Amount::new(7));
            inputs.verifiers.push(GenesisVerifier {
                account,
                url,
                stake,
            });
            let (asset, amount) = (Asset::Io, Amount::new(7));
            inputs.balances.push(GenesisBalance {
                account,
                asset,
                amount,
            });
        }
        let built = Template::builtin(network).build(inputs);
        let problems = built.err().unwrap_or_default();
        let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(texts, Vec::<String>::new(), "{network:?}");
    }
}

#[test]
fn the_order_of_the_inputs_does_not_change_a_byte() {
    let mut turned = inputs();
    turned.validators.reverse();
    turned.verifiers.reverse();
    turned.balances.reverse();
    let template = Template::builtin(Network::Localnet);
    let spec = template.build(turned).unwrap();
    assert_eq!(spec, sound());
    assert_eq!(crate::spec_json(&spec), crate::spec_json(&sound()));
    let engine = template.engine();
    assert_eq!(
        crate::engine_genesis(&spec, engine),
        crate::engine_genesis(&sound(), engine)
    );
}

#[test]
fn the_engine_s_genesis_carries_the_spec() {
    let spec = sound();
    let text = crate::engine_genesis(&spec, Template::builtin(Network::Localnet).engine());
    assert_eq!(crate::parse_spec(&text).unwrap(), spec);
    assert_eq!(crate::parse_spec(&crate::spec_json(&spec)).unwrap(), spec);
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let first = &spec.validators[0];
    let expected = [
        ("/chain_id", "io-test-1".to_owned()),
        ("/genesis_time", "2026-11-21T09:30:00.250Z".to_owned()),
        ("/initial_height", "1".to_owned()),
        ("/consensus_params/block/max_bytes", "4000000".to_owned()),
        (
            "/consensus_params/abci/vote_extensions_enable_height",
            "1".to_owned(),
        ),
        (
            "/consensus_params/evidence/max_age_duration",
            "172800000000000".to_owned(),
        ),
        (
            "/validators/0/address",
            first.address.to_string().to_uppercase(),
        ),
        ("/validators/0/power", "10".to_owned()),
        (
            "/validators/0/pub_key/type",
            "tendermint/PubKeyEd25519".to_owned(),
        ),
    ];
    for (pointer, value) in expected {
        assert_eq!(
            document.pointer(pointer).unwrap(),
            value.as_str(),
            "{pointer}"
        );
    }
}

#[test]
fn localnet_has_the_parameters_of_the_design() {
    let spec = sound();
    assert_eq!(spec.epoch_seconds, 60);
    assert_eq!(spec.params.reward.nomination_epochs, 1);
    assert_eq!(spec.params.reward.collect_after_ms, 0);
    assert_eq!(spec.params.uptime.late_slots, 10);
    assert_eq!(spec.params.verification.quorum, 3);
    let [class] = &spec.catalogue.classes[..] else {
        panic!("one class")
    };
    assert_eq!(
        (class.n, class.k, class.m, class.w, class.r),
        (256, 6, 6, 64, 128)
    );
    assert_eq!(
        (
            class.phase_a_ref_ms,
            class.phase_b_ref_ms,
            class.phase_a_min_ms
        ),
        (2000, 2000, 0)
    );
    assert!(
        spec.catalogue
            .models
            .iter()
            .all(|model| model.class == class.id)
    );
    // 10 blocks of a second are 10 slots of chain time.
    let ten_blocks = 600_000;
    let market = &spec.params.market;
    assert!(market.deliver_within_ms >= ten_blocks && market.down_ends_part_ms >= ten_blocks);
    assert!(
        market.not_delivered_within_ms >= ten_blocks && spec.params.uptime.down_after_slots >= 10
    );
    let verification = &spec.params.verification;
    assert!(verification.nonce_blocks >= 10 && verification.reveal_blocks >= 10);
    assert!(verification.verdict_blocks >= 10 && class.answer_blocks >= 10);
}

#[test]
fn the_network_s_facts_are_checked() {
    for id in ["io", "Io-main", "io_main", &"a".repeat(51)] {
        let id = id.to_owned();
        assert_eq!(
            after(|spec| spec.chain_id.clone_from(&id)),
            [Problem::ChainId { id }]
        );
    }
    assert_eq!(
        after(|spec| spec.chain_start = ChainTime(HOUR + 1000)),
        [Problem::ChainStart {
            text: clock::format(HOUR + 1000),
            hour: clock::format(HOUR)
        }]
    );
    for wrong in [1_719_792_000_001, 1_719_878_400_000] {
        assert_eq!(
            after(|spec| spec.schedule_start = ChainTime(wrong)),
            [Problem::ScheduleStart {
                text: clock::format(wrong)
            }]
        );
    }
    assert_eq!(
        after(|spec| spec.epoch_seconds = 0),
        [Problem::EpochSeconds { seconds: 0 }]
    );
    assert_eq!(
        after(|spec| spec.bridge.program = AccountId([0; 32])),
        [Problem::BridgeUnset { field: "program" }]
    );
    assert_eq!(
        after(|spec| spec.bridge.usdc_mint = spec.bridge.io_mint),
        [Problem::SameMint {
            mint: AccountId([3; 32])
        }]
    );
}

#[test]
fn validators_are_checked() {
    let moniker = || sound().validators[1].moniker.clone();
    assert_eq!(
        after(|spec| spec.validators[1].power = 0),
        [Problem::ZeroPower { moniker: moniker() }]
    );
    assert_eq!(
        after(|spec| spec.validators[1].power = u64::MAX),
        [Problem::PowerSum {
            sum: u128::from(u64::MAX) + 30,
            max: (1 << 60) - 1
        }]
    );
    let first = sound().validators[0].address;
    assert_eq!(
        after(|spec| spec.validators.swap(0, 1)),
        [Problem::Order {
            list: "validators",
            by: "address",
            key: first.to_string()
        }]
    );
    let shared =
        after(|spec| spec.validators[1].settlement_key = spec.validators[0].settlement_key);
    assert!(
        matches!(&shared[..], [Problem::SharedKey { .. }]),
        "{shared:?}"
    );
    let shared = after(|spec| spec.validators[1].operator = spec.validators[1].settlement_key);
    assert!(
        matches!(&shared[..], [Problem::SharedKey { .. }]),
        "{shared:?}"
    );
    let weak = AccountId([0; 32]);
    assert_eq!(
        after(|spec| spec.validators[1].settlement_key = weak),
        [Problem::BadKey {
            what: "settlement key",
            key: weak.to_string(),
            who: moniker()
        }]
    );
    assert_eq!(
        after(|spec| spec.validators[1].beacon_anchor = Hash::ZERO),
        [Problem::BeaconAnchor { moniker: moniker() }]
    );
    let name = "two\nlines".to_owned();
    assert_eq!(
        after(|spec| spec.validators[1].moniker.clone_from(&name)),
        [Problem::Moniker { moniker: name }]
    );
    assert_eq!(
        after(|spec| spec.validators.clear()),
        [Problem::NoValidator {}]
    );
    let (address, right) = (first, sound().validators[1].address);
    let both = after(|spec| spec.validators[1].address = first);
    assert_eq!(
        both,
        [
            Problem::Order {
                list: "validators",
                by: "address",
                key: first.to_string()
            },
            Problem::Address {
                moniker: moniker(),
                address,
                right
            },
        ]
    );
    let double = after(|spec| spec.validators[1].moniker = spec.validators[0].moniker.clone());
    let name = sound().validators[0].moniker.clone();
    assert_eq!(
        double,
        [Problem::NameTwice {
            what: "moniker",
            name
        }]
    );
}

#[test]
fn money_is_checked() {
    let account = sound().balances[0].account;
    assert_eq!(
        after(|spec| spec.balances[1].amount = Amount::ZERO),
        [Problem::ZeroBalance {
            account,
            asset: Asset::Usdc
        }]
    );
    assert_eq!(
        after(|spec| spec.balances[1].asset = Asset::Credit),
        [Problem::CreditBalance { account }]
    );
    let spec = sound();
    let max = 500_000_000 * 100_000_000 + crate::time_params(&spec).emitted_before;
    assert_eq!(
        after(|spec| spec.balances[0].amount = Amount::new(max)),
        [Problem::BalanceSum {
            asset: Asset::Io,
            sum: u128::from(max) + 2000,
            max
        }]
    );
    let twice = after(|spec| spec.balances[1] = spec.balances[0].clone());
    assert_eq!(
        twice,
        [Problem::Order {
            list: "balances",
            by: "account and asset",
            key: account.to_string()
        }]
    );
    let account = spec.verifiers[0].account;
    assert_eq!(
        after(|spec| spec.verifiers[0].stake = Amount::new(1001)),
        [Problem::VerifierStake {
            account,
            stake: 1001,
            balance: 1000
        }]
    );
    for url in ["http://a", "ws://", "ws:// a"] {
        let url = url.to_owned();
        assert_eq!(
            after(|spec| spec.verifiers[0].url.clone_from(&url)),
            [Problem::VerifierUrl { account, url }]
        );
    }
    assert_eq!(
        after(|spec| spec.verifiers.truncate(2)),
        [Problem::Quorum {
            quorum: 3,
            verifiers: 2
        }]
    );
}

#[test]
fn the_catalogue_is_checked() {
    let name = |spec: &GenesisSpec| spec.catalogue.models[1].name.clone();
    let spec = sound();
    assert_eq!(
        after(|spec| spec.catalogue.models[1].class.0 = 9),
        [Problem::UnknownClass {
            model: name(&spec),
            class: "9".to_owned()
        }],
    );
    let model = name(&spec);
    let (floor, ceiling) = (
        spec.catalogue.models[1].price_ceiling.0 + 1,
        spec.catalogue.models[1].price_ceiling.0,
    );
    assert_eq!(
        after(|spec| spec.catalogue.models[1].price_floor.0 = floor),
        [Problem::PriceBounds {
            model: model.clone(),
            floor,
            ceiling
        }]
    );
    assert_eq!(
        after(|spec| spec.catalogue.models[1].placeholder = vec!["colour".to_owned()]),
        [Problem::ModelFigure {
            model,
            rule: "placeholder must name fields of a model"
        }]
    );
    let cases: [(Change, &str); 5] = [
        (
            |class| class.n = 300,
            "n must be a power of two from 64 to 65536",
        ),
        (|class| class.k = 7, "m must not be below k"),
        (|class| class.r = 100, "r must be a multiple of 64 above 0"),
        (
            |class| class.phase_a_min_ms = 2001,
            "phase_a_min_ms must not be above phase_a_ref_ms",
        ),
        (
            |class| class.answer_blocks = 4,
            "answer_blocks must be 5 or more",
        ),
    ];
    for (change, rule) in cases {
        assert_eq!(
            after(|spec| change(&mut spec.catalogue.classes[0])),
            [Problem::ClassSize {
                class: "small".to_owned(),
                rule
            }]
        );
    }
}

#[test]
fn parameters_are_checked() {
    assert_eq!(
        after(|spec| spec.params.reward.burn = BasisPoints(10_001)),
        [Problem::Param {
            field: "reward.burn",
            value: 10_001,
            rule: "a share is in basis points, 10 000 at most"
        }]
    );
    assert_eq!(
        after(|spec| spec.params.verification.nonce_blocks = 4),
        [Problem::Param {
            field: "verification.nonce_blocks",
            value: 4,
            rule: "it must be 5 or more, so that no single proposer can censor",
        }]
    );
}

#[test]
fn a_bigger_card_must_not_earn_less_than_the_smaller_ones_it_can_pretend_to_be() {
    let mut draft = Template::builtin(Network::MainnetDraft);
    draft.params.verification.quorum = 3;
    let spec = draft.build(inputs()).unwrap();
    let number = |name: &str| {
        let found = spec
            .catalogue
            .models
            .iter()
            .find(|model| model.name == name);
        found.unwrap().id
    };
    let unfair = unfair_pairs(&spec);
    // 40 GiB against 10, and 2.6 times the rate with 20 % and half a second in hand: M 2 against 3 times 1.5.
    let a100 = unfair
        .iter()
        .find(|pair| (pair.big, pair.small) == (number("A100 40G"), number("RTX 3080")));
    assert_eq!(a100.map(|pair| pair.copies), Some(3));
    // 10 against 5 holds: an H100 has less memory than an A100 80G, so it is not bigger.
    assert!(
        !unfair
            .iter()
            .any(|pair| pair.big == number("H100 SXM") && pair.small == number("A100 80G SXM4"))
    );
    // No card is unfair to itself or to a card of its class and memory.
    assert!(!unfair.iter().any(|pair| pair.big == pair.small));
    assert!(
        !unfair
            .iter()
            .any(|pair| (pair.big, pair.small) == (number("RTX 4090 D"), number("RTX 4090")))
    );

    let mut refused = spec.clone();
    let pair = (number("A100 40G").0, number("RTX 3080").0);
    refused.accepted_pairs.retain(|accepted| *accepted != pair);
    assert_eq!(
        check(&refused),
        [Problem::UnfairPair {
            big: "A100 40G".to_owned(),
            big_milli: 2000,
            small: "RTX 3080".to_owned(),
            small_milli: 1500,
            copies: 3,
        }]
    );
    let mut stale = spec.clone();
    stale
        .accepted_pairs
        .push((number("H200").0, number("L40S").0));
    stale.accepted_pairs.sort_unstable();
    assert_eq!(
        check(&stale),
        [Problem::FairPair {
            big: "H200".to_owned(),
            small: "L40S".to_owned()
        }]
    );
}

#[test]
fn the_solana_side_gets_the_facts_of_the_genesis() {
    let spec = sound();
    let initialize = crate::initialize(&spec, [5, 6], 0);
    assert_eq!(initialize.time.check(), Ok(()));
    assert_eq!(initialize.time.genesis_time, 1_795_253_400);
    assert_eq!(initialize.on_chain, [3000, 3000]);
    assert_eq!(initialize.chain_id, io_settlement::sha256(&[b"io-test-1"]));
    let set = crate::member_set(&spec).unwrap();
    assert_eq!((set.set_epoch(), set.count(), set.power()), (1, 4, 40));
}
