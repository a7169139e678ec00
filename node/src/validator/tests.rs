//! The parts of a vote extension, each for itself.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use io_bridge::SettlementSigner;
use io_bridge::reader::Bound;
use io_settlement::batch::{Payout, SettleBody};
use io_state_machine::{BridgeData, ExtensionDuties};
use io_types::codec::sha256;
use io_types::extension::{EXTENSION_BYTES_MAX, PricesPart, VoteExtension};
use io_types::{AccountId, BatchNumber, Hash, ValidatorAddress};

use super::prices::now_ms;
use super::{BeaconChain, Identity, PriceReader, Report, parse_price};
use crate::config::{PriceUnit, Prices};

const BOUND: Bound = Bound {
    cluster: [1; 32],
    program: [2; 32],
    chain_id: [3; 32],
    mints: [[4; 32], [5; 32]],
};

fn identity(folder: &Path) -> Identity {
    let key = SigningKey::from_bytes(&[9; 32]);
    let signer = SettlementSigner::with_key(key, &folder.join("signed.log"), BOUND).unwrap();
    let beacon = Mutex::new(BeaconChain::new(Hash([8; 32]), 10));
    Identity {
        address: ValidatorAddress([7; 20]),
        signer,
        beacon,
    }
}

fn body(number: u64, height: u64) -> Vec<u8> {
    let none = Payout {
        root: [0; 32],
        total: 0,
    };
    let body = SettleBody {
        cluster_genesis: BOUND.cluster,
        program_id: BOUND.program,
        chain_id: BOUND.chain_id,
        set_epoch: 1,
        number,
        height,
        app_hash: [0; 32],
        epoch: 1,
        payouts: [none; 2],
        emitted: 0,
        reminted: 0,
        burned: 0,
        credit_burned: 0,
        stake_target: 0,
        deposit_number: 0,
        deposit_hash: [0; 32],
        market_hash: [0; 32],
        next_set: [0; 32],
    };
    body.to_bytes().to_vec()
}

fn duties(batches: Vec<(BatchNumber, Vec<u8>)>, beacon_link: Option<Hash>) -> ExtensionDuties {
    ExtensionDuties {
        deposit_first: 1,
        deposit_hash: Hash([0; 32]),
        batches,
        beacon_link,
        settled: BatchNumber(0),
    }
}

#[test]
fn a_beacon_chain_reveals_its_links_from_the_anchor_to_the_seed() {
    for links in [1, 5, 2_047, 2_048, 2_049, 5_000] {
        let seed = Hash([4; 32]);
        let mut chain = BeaconChain::new(seed, links);
        let anchor = (0..links).fold(seed, |link, _| sha256(&link.0));
        assert_eq!(chain.anchor(), anchor, "{links}");
        let mut last = anchor;
        for _ in 0..links {
            let next = chain
                .next(last)
                .unwrap_or_else(|| panic!("{links} links end early"));
            assert_eq!(sha256(&next.0), last);
            last = next;
        }
        assert_eq!(last, seed);
        assert_eq!(chain.next(seed), None, "after the seed there is nothing");
        // After a restart or a rollback the chain is found again anywhere.
        assert_eq!(chain.next(anchor).map(|link| sha256(&link.0)), Some(anchor));
        assert_eq!(chain.next(Hash([1; 32])), None);
    }
}

#[test]
fn prices_are_read_to_the_micro_dollar_and_cut() {
    for (text, micro) in [
        ("1", 1_000_000),
        ("0.4", 400_000),
        ("0.12345678", 123_456),
        ("12.000001", 12_000_001),
        (" 7.5 ", 7_500_000),
    ] {
        assert_eq!(parse_price(text, PriceUnit::Usd), Ok(micro), "{text}");
    }
    for text in [
        "",
        ".5",
        "-1",
        "1e3",
        "1,5",
        "one",
        "0x10",
        "99999999999999999999",
        "1.2.3",
        "NaN",
    ] {
        assert_eq!(
            parse_price(text, PriceUnit::Usd),
            Err(format!("{text:?} is no price"))
        );
    }
    assert_eq!(parse_price("400000", PriceUnit::MicroUsd), Ok(400_000));
    assert!(parse_price("0.4", PriceUnit::MicroUsd).is_err());
}

/// Writes the document of a source, which is then a source.
fn source(folder: &Path, name: &str, io: &str, usdc: &str, published: u64) -> String {
    let file = folder.join(name);
    // One price as text, one as a number, as sources differ.
    let document = format!("{{\"io\": \"{io}\", \"usdc\": {usdc}, \"published_ms\": {published}}}");
    std::fs::write(&file, document).unwrap();
    format!("file:{}", file.display())
}

fn ask(settings: &Prices) -> Result<PricesPart, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(PriceReader::new(settings).unwrap().read())
}

fn read(sources: &[&str]) -> Result<PricesPart, String> {
    let sources = sources.iter().map(|source| (*source).to_owned()).collect();
    ask(&Prices {
        sources,
        ..Prices::default()
    })
}

#[test]
fn a_source_may_have_a_document_for_each_price() {
    let folder = tempfile::tempdir().unwrap();
    let now = now_ms().div_euclid(1_000);
    for (name, price, published) in [("io-usd", "0.5", now), ("usdc-usd", "1.25", now - 3)] {
        let document = format!("{{\"data\": {{\"price\": {price}}}, \"time\": {published}}}");
        std::fs::write(folder.path().join(name), document).unwrap();
    }
    let settings = Prices {
        sources: vec![format!("file:{}", folder.path().display())],
        io_path: "/io-usd".to_owned(),
        usdc_path: "/usdc-usd".to_owned(),
        io_pointer: "/data/price".to_owned(),
        usdc_pointer: "/data/price".to_owned(),
        published_pointer: "/time".to_owned(),
        ..Prices::default()
    };
    let part = PricesPart {
        io: 500_000,
        usdc: 1_250_000,
        published_ms: (now - 3) * 1_000,
    };
    assert_eq!(ask(&settings), Ok(part), "the older time counts");
    let error = ask(&Prices {
        io_pointer: "/price".to_owned(),
        ..settings
    })
    .unwrap_err();
    assert!(error.contains("nothing at /price"), "{error}");
}

#[test]
fn the_median_of_fresh_sources_counts_and_one_of_two_is_not_enough() {
    let folder = tempfile::tempdir().unwrap();
    let (now, ms) = (now_ms().div_euclid(1_000), now_ms());
    let low = source(folder.path(), "low", "0.40", "1", now);
    let high = source(folder.path(), "high", "0.50", "1.01", ms - 5_000);
    let wild = source(folder.path(), "wild", "9.99", "0.99", now);
    let old = source(folder.path(), "old", "0.45", "1", now - 3_600);
    let zero = source(folder.path(), "zero", "0.00", "1", now);
    let part = read(&[&low, &high, &wild]).unwrap();
    assert_eq!(
        (part.io, part.usdc, part.published_ms),
        (500_000, 1_000_000, ms - 5_000)
    );
    let part = read(&[&low, &old, &high]).unwrap();
    assert_eq!(
        (part.io, part.usdc),
        (400_000, 1_000_000),
        "the lower one of two"
    );
    assert_eq!(
        read(&[&low]).unwrap().io,
        400_000,
        "a single source is the operator's choice"
    );
    assert_eq!(read(&["fixed:0.25/1"]).unwrap().io, 250_000);
    for (sources, why) in [
        (vec![&low, &old], "1 of 2 sources answered, 2 needed"),
        (vec![&old], "0 of 1 sources answered"),
        (vec![&low, &zero], "a price of zero"),
    ] {
        let sources: Vec<&str> = sources.into_iter().map(String::as_str).collect();
        let error = read(&sources).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
    assert!(
        read(&["http://127.0.0.1:9", &low])
            .unwrap_err()
            .contains("http://127.0.0.1:9"),
        "the source is named"
    );
}

#[test]
fn parts_come_and_go_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let report = Report::new(Some(identity(folder.path())));
    let decoded = |report: &Report| VoteExtension::decode(&report.extension()).unwrap();
    let nothing = VoteExtension {
        version: 1,
        ..VoteExtension::default()
    };
    assert_eq!(decoded(&report), nothing);
    assert_eq!(report.bridge_data(), BridgeData::default());

    let fresh = PricesPart {
        io: 400_000,
        usdc: 1_000_000,
        published_ms: now_ms(),
    };
    report.set_prices(Ok(fresh));
    assert_eq!(
        decoded(&report),
        VoteExtension {
            prices: Some(fresh),
            ..nothing.clone()
        }
    );
    // A failed look leaves the price until it is too old.
    report.set_prices(Err("all sources are down".to_owned()));
    assert_eq!(decoded(&report).prices, Some(fresh));
    assert_eq!(report.notes(), ["prices: all sources are down"]);
    let stale = PricesPart {
        published_ms: now_ms() - 61_000,
        ..fresh
    };
    report.set_prices(Ok(stale));
    assert_eq!(decoded(&report), nothing);
    assert_eq!(report.notes(), Vec::<String>::new());

    let anchor = BeaconChain::new(Hash([8; 32]), 10).anchor();
    report.refresh(&duties(vec![(BatchNumber(1), body(1, 5))], Some(anchor)));
    let extension = decoded(&report);
    assert_eq!(sha256(&extension.beacon.unwrap().0), anchor);
    let [(BatchNumber(1), signature)] = extension.signatures[..] else {
        panic!("{extension:?}")
    };
    let key = AccountId(SigningKey::from_bytes(&[9; 32]).verifying_key().to_bytes());
    assert!(key.verify(
        &SettleBody::from_bytes(&body(1, 5)).unwrap().message(),
        &signature
    ));
}

#[test]
fn a_second_content_for_a_number_is_never_signed_and_leaves_out_that_part_only() {
    let folder = tempfile::tempdir().unwrap();
    let fresh = PricesPart {
        io: 400_000,
        usdc: 1_000_000,
        published_ms: now_ms(),
    };
    let report = Report::new(Some(identity(folder.path())));
    report.refresh(&duties(vec![(BatchNumber(1), body(1, 5))], None));
    assert_eq!(
        VoteExtension::decode(&report.extension())
            .unwrap()
            .signatures
            .len(),
        1
    );
    drop(report);
    // The chain's data was rolled back and took another way; the log was not.
    let report = Report::new(Some(identity(folder.path())));
    report.set_prices(Ok(fresh));
    report.refresh(&duties(
        vec![(BatchNumber(1), body(1, 6)), (BatchNumber(2), body(2, 9))],
        None,
    ));
    let extension = VoteExtension::decode(&report.extension()).unwrap();
    let numbers: Vec<BatchNumber> = extension
        .signatures
        .iter()
        .map(|(number, _)| *number)
        .collect();
    assert_eq!(
        (numbers, extension.prices),
        (vec![BatchNumber(2)], Some(fresh))
    );
    assert!(
        report.notes()[0].starts_with("batch 1 is not signed: batch 1 was signed before"),
        "{:?}",
        report.notes()
    );
}

#[test]
fn an_extension_is_made_from_memory_in_a_moment_and_fits() {
    let folder = tempfile::tempdir().unwrap();
    let report = Report::new(Some(identity(folder.path())));
    report.set_prices(Ok(PricesPart {
        io: 400_000,
        usdc: 1_000_000,
        published_ms: now_ms(),
    }));
    let batches = (1..=4)
        .map(|number| (BatchNumber(number), body(number, 5)))
        .collect();
    report.refresh(&duties(
        batches,
        Some(BeaconChain::new(Hash([8; 32]), 10).anchor()),
    ));
    let start = std::time::Instant::now();
    for _ in 0..100 {
        let extension = report.extension();
        assert!(
            extension.len() <= EXTENSION_BYTES_MAX && extension.len() > 4 * 64,
            "{}",
            extension.len()
        );
    }
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn a_node_that_is_no_validator_says_nothing() {
    let report = Report::new(None);
    report.set_prices(Ok(PricesPart {
        io: 400_000,
        usdc: 1_000_000,
        published_ms: now_ms(),
    }));
    assert_eq!((report.extension(), report.address()), (Vec::new(), None));
}
