//! A reader against endpoints that serve real account bytes, and that fail in every way that endpoints fail.

mod fake;
mod world;

use std::time::Duration;

use io_types::id::AccountId;

use super::*;
use fake::{Endpoint, Mode};
use world::World;

type Damage = fn(&mut World);

const PATIENCE: Duration = Duration::from_secs(10);

/// A reader of these endpoints that looks often and forgets soon.
fn reader(endpoints: &[&Endpoint]) -> Reader {
    reader_with(endpoints, |_config| {})
}

fn reader_with(endpoints: &[&Endpoint], change: impl FnOnce(&mut ReaderConfig)) -> Reader {
    let urls = endpoints.iter().map(|endpoint| endpoint.url()).collect();
    let mut config = ReaderConfig {
        poll_ms: 10,
        timeout_ms: 400,
        age_max_ms: 1500,
        ..ReaderConfig::new(urls)
    };
    change(&mut config);
    Reader::start(config, world::bound()).unwrap()
}

/// Waits until the reader's state is as described.
async fn until(reader: &Reader, what: &str, is_so: impl Fn(&ReaderStatus) -> bool) -> ReaderStatus {
    let started = Instant::now();
    loop {
        let status = reader.status(None);
        if is_so(&status) {
            return status;
        }
        assert!(started.elapsed() < PATIENCE, "never {what}: {status:#?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn until_reporting(reader: &Reader, deposits: u64) {
    until(reader, "reporting", |status| {
        status.deposit_number == Some(deposits)
    })
    .await;
}

async fn until_silent(reader: &Reader) -> ReaderStatus {
    let status = until(reader, "silent", |status| !status.reporting).await;
    assert_eq!(reader.part(genesis()), None);
    assert_eq!(reader.supply(genesis()), Supply::default());
    status
}

/// The fault of the endpoint at `index`, once it has one that holds `text`.
async fn until_fault(reader: &Reader, index: usize, text: &str) {
    let has = |status: &ReaderStatus| {
        let fault = status.endpoints[index].fault.as_deref();
        fault.is_some_and(|fault| fault.contains(text))
    };
    until(reader, text, has).await;
}

fn genesis() -> Watermark {
    watermark(&World::new(8), 0)
}

fn watermark(world: &World, number: u64) -> Watermark {
    Watermark {
        number,
        hash: Hash(world.hash_at(number)),
    }
}

async fn two(world: &World) -> (Endpoint, Endpoint) {
    (Endpoint::start(world).await, Endpoint::start(world).await)
}

#[tokio::test]
async fn deposits_are_reported_in_order_from_the_watermark_on() {
    let mut world = World::new(32);
    world.deposit(5);
    let (first, second) = two(&world).await;
    let reader = reader(&[&first, &second]);
    until_reporting(&reader, 1).await;
    let part = reader.part(genesis()).unwrap();
    assert_eq!(
        part,
        SolanaPart {
            first: 1,
            rolling: vec![Hash(world.hash_at(1))],
            last_settle: None,
        }
    );

    for _ in 0..19 {
        world.deposit(7);
    }
    world.settle(1, 3);
    first.show(&world);
    second.show(&world);
    until_reporting(&reader, 20).await;
    let part = reader.part(watermark(&world, 3)).unwrap();
    let hashes: Vec<Hash> = (4..=19).map(|number| Hash(world.hash_at(number))).collect();
    assert_eq!((part.first, part.rolling), (4, hashes));
    assert_eq!(part.last_settle, Some(Hash(world.bridge.last.hash())));
    let supply = reader.supply(watermark(&world, 3));
    let records: Vec<Vec<u8>> = (4..=19)
        .map(|number| world.record(number).to_bytes().to_vec())
        .collect();
    assert_eq!(supply.deposits, records);
    assert_eq!(
        supply.last_settle,
        Some(world.bridge.last.to_bytes().to_vec())
    );
    // All credited: the part is there and empty, which says that nothing waits.
    let part = reader.part(watermark(&world, 20)).unwrap();
    assert_eq!((part.first, part.rolling), (21, Vec::new()));
    // A chain ahead of this validator's endpoints is not contradicted.
    let ahead = Watermark {
        number: 21,
        hash: Hash([9; 32]),
    };
    assert_eq!(reader.part(ahead).unwrap().rolling, Vec::new());
}

#[tokio::test]
async fn a_ring_that_went_round_is_read_from_its_oldest_record() {
    let mut world = World::new(8);
    for number in 1..=21 {
        world.deposit(number);
        world.settle(number, number.saturating_sub(3));
    }
    let (first, second) = two(&world).await;
    let reader = reader(&[&first, &second]);
    until_reporting(&reader, 21).await;
    let part = reader.part(watermark(&world, 18)).unwrap();
    assert_eq!(
        part.rolling,
        [19, 20, 21].map(|number| Hash(world.hash_at(number)))
    );
    // What was overwritten cannot be compared any more.
    assert_eq!(reader.part(watermark(&world, 13)), None);
    let why = reader.status(Some(watermark(&world, 12))).why_not.unwrap();
    assert!(
        why.contains("deposit 12 is not in the queue any more"),
        "{why}"
    );
}

#[tokio::test]
async fn the_endpoint_with_fewer_deposits_is_reported() {
    let mut world = World::new(32);
    world.deposit(1);
    world.deposit(2);
    let (behind, ahead) = two(&world).await;
    world.deposit(3);
    world.settle(1, 2);
    ahead.show(&world);
    let reader = reader(&[&ahead, &behind]);
    until_reporting(&reader, 2).await;
    let part = reader.part(genesis()).unwrap();
    assert_eq!(
        part.rolling,
        [1, 2].map(|number| Hash(world.hash_at(number)))
    );
    // Only one of them has seen the settlement.
    assert_eq!(part.last_settle, None);
    behind.show(&world);
    until(&reader, "settled", |status| status.settled == Some(1)).await;
    assert_eq!(
        reader.part(genesis()).unwrap().last_settle,
        Some(Hash(world.bridge.last.hash()))
    );
}

#[tokio::test]
async fn an_endpoint_that_lies_about_deposits_silences_the_part_until_it_stops() {
    let mut world = World::new(32);
    world.deposit(1);
    let mut false_world = world.clone();
    world.deposit(2);
    false_world.deposit(2_000_000);
    let (honest, lying) = two(&world).await;
    let reader = reader(&[&honest, &lying]);
    until_reporting(&reader, 2).await;
    // The lie is consistent in itself, so only the comparison finds it; also when the liar is ahead, or behind.
    for more in 0..2 {
        if more == 1 {
            false_world.deposit(3);
        }
        lying.show(&false_world);
        let status = until_silent(&reader).await;
        let alarm = status.alarm.unwrap();
        assert!(
            alarm.contains("different histories of deposits at number 2"),
            "{alarm}"
        );
        lying.show(&world);
        until_reporting(&reader, 2).await;
    }
    world.deposit(3);
    honest.show(&world);
    let mut behind = World::new(32);
    behind.deposit(666);
    lying.show(&behind);
    let alarm = until_silent(&reader).await.alarm.unwrap();
    assert!(alarm.contains("at number 1"), "{alarm}");
    assert!(reader.notes(None)[0].starts_with("ALARM solana:"));
}

#[tokio::test]
async fn an_endpoint_that_lies_about_the_last_settlement_silences_the_part() {
    let mut world = World::new(32);
    world.deposit(1);
    world.settle(4, 1);
    let (honest, lying) = two(&world).await;
    let reader = reader(&[&honest, &lying]);
    until_reporting(&reader, 1).await;
    let mut false_world = world.clone();
    false_world.bridge.last.counters.claimed = [1, 1];
    lying.show(&false_world);
    let alarm = until_silent(&reader).await.alarm.unwrap();
    assert!(alarm.contains("different settlements number 4"), "{alarm}");
}

#[tokio::test]
async fn an_agreement_ends_when_the_only_one_left_of_those_who_agreed_shows_something_else() {
    let mut world = World::new(32);
    let mut lie = world.clone();
    world.deposit(1);
    lie.deposit(1_000_000);
    let mut ahead = world.clone();
    ahead.deposit(2);
    let mut settled = world.clone();
    settled.settle(4, 1);
    // What both said, what one says now, and whether that is a later state of the same.
    for (both, left, stands) in [
        (&lie, &world, false),
        (&ahead, &world, false),
        (&settled, &world, false),
        (&world, &ahead, true),
        (&world, &settled, true),
        (&world, &world, true),
    ] {
        let (first, second) = two(both).await;
        let reader = reader_with(&[&first, &second], |config| config.age_max_ms = 60_000);
        until_reporting(&reader, both.bridge.state.deposit_number).await;
        second.show(left);
        second.set(Mode::Down);
        until_fault(&reader, 1, "HTTP 503").await;
        first.set(Mode::Garbage);
        until_fault(&reader, 0, "not understood").await;
        let before = second.looks();
        second.set(Mode::Honest);
        until(&reader, "asked", |_status| second.looks() > before + 4).await;
        assert_eq!(reader.part(genesis()).is_some(), stands);
    }
}

#[tokio::test]
async fn an_endpoint_that_is_down_is_believed_a_while_and_a_third_one_takes_its_place() {
    let mut world = World::new(32);
    world.deposit(1);
    let (first, second) = two(&world).await;
    let third = Endpoint::start(&world).await;
    let pair = reader(&[&first, &second]);
    let three = reader(&[&first, &second, &third]);
    until_reporting(&pair, 1).await;
    until_reporting(&three, 1).await;
    second.set(Mode::Down);
    until_fault(&pair, 1, "HTTP 503").await;
    assert!(
        pair.part(genesis()).is_some(),
        "what was final a moment ago is final"
    );
    let status = until_silent(&pair).await;
    assert_eq!(status.alarm, None, "an endpoint out of reach is no alarm");
    assert!(
        status
            .why_not
            .unwrap()
            .contains("1 endpoint(s) answer, 2 needed")
    );
    assert!(three.part(genesis()).is_some());
    second.set(Mode::Honest);
    until_reporting(&pair, 1).await;
}

#[tokio::test]
async fn a_slow_endpoint_does_not_count_and_makes_nobody_wait() {
    let mut world = World::new(32);
    world.deposit(1);
    let (first, slow) = two(&world).await;
    slow.set(Mode::Slow(Duration::from_secs(5)));
    let reader = reader(&[&first, &slow]);
    until_fault(&reader, 1, "no answer in time").await;
    let asked = std::time::Instant::now();
    assert_eq!(reader.part(genesis()), None);
    assert!(asked.elapsed() < Duration::from_millis(50));
    slow.set(Mode::Honest);
    until_reporting(&reader, 1).await;
}

#[tokio::test]
async fn an_endpoint_far_behind_does_not_count() {
    let mut world = World::new(32);
    world.deposit(1);
    let (first, stale) = two(&world).await;
    let reader = reader(&[&first, &stale]);
    until_reporting(&reader, 1).await;
    world.slot += 151;
    first.show(&world);
    until_fault(&reader, 1, "151 slots behind").await;
    until_silent(&reader).await;
    stale.show(&world);
    until_reporting(&reader, 1).await;
}

#[tokio::test]
async fn what_is_not_final_is_not_reported() {
    let mut world = World::new(32);
    world.deposit(1);
    let (first, second) = two(&world).await;
    let reader = reader(&[&first, &second]);
    until_reporting(&reader, 1).await;
    let final_world = world.clone();
    world.deposit(2);
    first.show_unfinal(&final_world, &world);
    second.show_unfinal(&final_world, &world);
    let looks = first.looks();
    while first.looks() < looks + 5 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(reader.part(genesis()).unwrap().rolling.len(), 1);
    assert!(
        first
            .commitments()
            .iter()
            .all(|commitment| commitment == "finalized")
    );
    first.show(&world);
    second.show(&world);
    until_reporting(&reader, 2).await;
}

#[tokio::test]
async fn broken_accounts_do_not_count_and_are_named() {
    let mut world = World::new(32);
    for number in 1..=3 {
        world.deposit(number);
    }
    world.settle(1, 1);
    let (honest, broken) = two(&world).await;
    let cases: [(Damage, &str); 11] = [
        (
            |world| world.queue.truncate(world.queue.len() - 1),
            "deposit queue is broken",
        ),
        (|world| world.queue[0] = 9, "deposit queue is broken"),
        (
            |world| world.queue_owner = AccountId([7; 32]),
            "deposit queue belongs to",
        ),
        (|world| world.queue[2] ^= 1, "deposit queue is broken"),
        // The amount of record 2, without its hash.
        (|world| world.tamper(2), "record 2 of the deposit queue"),
        (
            |world| world.bridge.state.deposit_hash = [1; 32],
            "record 3 of the deposit queue",
        ),
        (
            |world| world.bridge.state.freed_hash = [1; 32],
            "record 1 of the deposit queue",
        ),
        (|world| world.bridge.tag = 2, "bridge account is broken"),
        (
            |world| world.bridge_owner = AccountId([7; 32]),
            "bridge account belongs to",
        ),
        (
            |world| world.bridge.config.chain_id = [1; 32],
            "another chain id",
        ),
        (|world| world.header.truncate(44), "header is broken"),
    ];
    for (damage, text) in cases {
        let mut damaged = world.clone();
        damage(&mut damaged);
        broken.show(&damaged);
        let reader = reader(&[&honest, &broken]);
        until_fault(&reader, 1, text).await;
        until(&reader, "sound", |status| {
            status.endpoints[0].fault.is_none()
        })
        .await;
        assert_eq!(reader.part(genesis()), None, "{text}");
        // It counts again as soon as it is sound.
        broken.show(&world);
        until_reporting(&reader, 3).await;
    }
}

#[tokio::test]
async fn answers_that_are_none_do_not_count() {
    let mut world = World::new(32);
    world.deposit(1);
    let (honest, other) = two(&world).await;
    for (mode, text) in [
        (Mode::Garbage, "not understood"),
        (
            Mode::Refusing,
            "it refuses: Node is behind by 42 slots (code -32005)",
        ),
        (Mode::OtherCluster, "serves the cluster"),
        (Mode::FewAccounts, "not understood"),
        (Mode::Empty, "does not exist at finalized"),
    ] {
        other.set(mode);
        let reader = reader(&[&honest, &other]);
        until_fault(&reader, 1, text).await;
        assert_eq!(reader.part(genesis()), None, "{text}");
    }
    let gone = Endpoint::start(&world).await;
    let url = gone.url();
    drop(gone);
    let reader = reader_with(&[&honest], |config| config.endpoints.push(url));
    until_fault(&reader, 1, "out of reach").await;
}

#[tokio::test]
async fn an_upgrade_of_the_program_stops_the_part_until_it_is_approved() {
    let folder = tempfile::tempdir().unwrap();
    let pin = folder.path().join("pins/program");
    let mut world = World::new(32);
    world.deposit(1);
    let (first, second) = two(&world).await;
    let with_pin = |config: &mut ReaderConfig| config.pin = Some(pin.clone());
    let reader = reader_with(&[&first, &second], with_pin);
    until_reporting(&reader, 1).await;
    let kept = std::fs::read_to_string(&pin).unwrap();

    world.upgrade();
    second.show(&world);
    let alarm = until_silent(&reader).await.alarm.unwrap();
    assert!(alarm.contains("is not approved"), "{alarm}");
    first.show(&world);
    until_silent(&reader).await;

    // A restart does not forget what was there before.
    let restarted = reader_with(&[&first, &second], with_pin);
    let alarm = until(&restarted, "alarmed", |status| status.alarm.is_some())
        .await
        .alarm
        .unwrap();
    assert!(alarm.contains("is not approved"), "{alarm}");
    assert_eq!(std::fs::read_to_string(&pin).unwrap(), kept);

    restarted.approve(Hash(world.header_hash()));
    until_reporting(&restarted, 1).await;
    let configured = reader_with(&[&first, &second], |config| {
        with_pin(config);
        config.approved = vec![Hash(world.header_hash())];
    });
    until_reporting(&configured, 1).await;

    std::fs::write(&pin, "what\n").unwrap();
    let config = ReaderConfig {
        pin: Some(pin),
        ..ReaderConfig::new(vec![first.url(), second.url()])
    };
    let error = Reader::start(config, world::bound()).unwrap_err();
    assert!(matches!(error, ReaderError::Pin { .. }), "{error}");
}

#[tokio::test]
async fn a_chain_that_credited_something_else_is_an_alarm() {
    let mut world = World::new(32);
    world.deposit(1);
    world.deposit(2);
    let (first, second) = two(&world).await;
    let reader = reader(&[&first, &second]);
    until_reporting(&reader, 2).await;
    let other = Watermark {
        number: 1,
        hash: Hash([5; 32]),
    };
    assert_eq!(reader.part(other), None);
    assert_eq!(reader.supply(other), Supply::default());
    let alarm = reader.status(Some(other)).alarm.unwrap();
    assert!(
        alarm.contains("credited deposit 1 with another rolling hash"),
        "{alarm}"
    );
    assert!(reader.part(watermark(&world, 1)).is_some());
    let snapshot = reader.snapshot(2).unwrap();
    let numbers: Vec<u64> = snapshot.records.iter().map(|slot| slot.record.n).collect();
    assert_eq!((numbers, snapshot.last_settle), (vec![1, 2], None));
}

#[tokio::test]
async fn a_configuration_that_trusts_one_endpoint_is_refused() {
    let one = ReaderConfig::new(vec!["http://127.0.0.1:1".to_owned()]);
    let error = Reader::start(one, world::bound()).unwrap_err();
    assert!(
        matches!(error, ReaderError::FewEndpoints { given: 1 }),
        "{error}"
    );
    for url in ["ws://127.0.0.1:1", "nonsense"] {
        let config = ReaderConfig::new(vec!["http://127.0.0.1:1".to_owned(), url.to_owned()]);
        let error = Reader::start(config, world::bound()).unwrap_err();
        assert!(matches!(error, ReaderError::Url { .. }), "{error}");
    }
}

#[tokio::test]
async fn secrets_in_urls_are_not_shown() {
    let world = World::new(8);
    let (first, second) = two(&world).await;
    let reader = reader_with(&[&first, &second], |config| {
        config.endpoints = config
            .endpoints
            .iter()
            .map(|url| format!("{url}/v2/secret?key=secret"))
            .collect();
    });
    until_reporting(&reader, 0).await;
    first.set(Mode::Down);
    until_fault(&reader, 0, "HTTP 503").await;
    let shown = format!("{:?} {:?}", reader.status(None), reader.notes(None));
    assert!(!shown.contains("secret"), "{shown}");
}
