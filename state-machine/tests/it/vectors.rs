//! Golden data of the economics: rewards and bookings.

use io_state_machine::market::terms::{Line, earned, supplier_fee, terms};
use io_state_machine::reward::{Share, SplitRule, base_score, split};
use io_types::catalogue::Pool;
use io_types::params::MarketParams;
use io_types::{Amount, Asset, BasisPoints};
use serde_json::Value;

fn file(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

fn numbers(value: &Value) -> Vec<u64> {
    value.as_array().unwrap().iter().map(number).collect()
}

#[test]
fn base_scores_are_those_of_the_vectors() {
    let vectors = file(include_str!("../vectors/rewards.json"));
    let scores = vectors["scores"].as_array().unwrap();
    assert_eq!(scores.len(), 8);
    for row in scores {
        let multiplier = u32::try_from(number(&row["multiplier_milli"])).unwrap();
        let quantity = u16::try_from(number(&row["quantity"])).unwrap();
        let tier = u8::try_from(number(&row["tier"])).unwrap();
        let base = base_score(multiplier, quantity, tier, number(&row["hired"]) == 1);
        assert_eq!(base, Some(number(&row["base_thousandths"])), "{row}");
    }
}

#[test]
fn splits_are_those_of_the_vectors() {
    let vectors = file(include_str!("../vectors/rewards.json"));
    let splits = vectors["splits"].as_array().unwrap();
    assert_eq!(splits.len(), 4);
    for row in splits {
        let rule = SplitRule {
            safety: BasisPoints(u16::try_from(number(&row["safety_module_bp"])).unwrap()),
            enterprise: BasisPoints(u16::try_from(number(&row["enterprise_bp"])).unwrap()),
            base_min_enterprise: 0,
            base_min_community: 0,
        };
        let devices: Vec<&Value> = row["devices"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|device| device["succeeded"] == true)
            .collect();
        let shares: Vec<Share> = devices
            .iter()
            .map(|device| Share {
                pool: if device["pool"] == "enterprise" {
                    Pool::Enterprise
                } else {
                    Pool::Community
                },
                base: number(&device["base"]),
            })
            .collect();
        let result = split(Amount::new(number(&row["pot"])), &rule, &shares).unwrap();
        let want = &row["result"];
        assert_eq!(result.safety.get(), number(&want["safety_module"]), "{row}");
        assert_eq!(result.to_vault.get(), number(&want["to_y1"]), "{row}");
        for (device, reward) in devices.iter().zip(result.rewards) {
            assert_eq!(
                reward.get(),
                number(&want["rewards"][device["id"].to_string()]),
                "{row}"
            );
        }
    }
}

#[test]
fn bookings_are_those_of_the_vectors() {
    let vectors = file(include_str!("../vectors/market.json"));
    let params = MarketParams::default();
    let bookings = vectors["bookings"].as_array().unwrap();
    assert_eq!(bookings.len(), 5);
    for row in bookings {
        let asset = match row["asset"].as_str().unwrap() {
            "IO" => Asset::Io,
            "USDC" => Asset::Usdc,
            _credit => Asset::Credit,
        };
        let lines: Vec<Line> = row["devices"]
            .as_array()
            .unwrap()
            .iter()
            .map(|device| Line {
                ask: number(&device["ask_microusd"]),
                quantity: u16::try_from(number(&device["gpus"])).unwrap(),
            })
            .collect();
        let hours = u16::try_from(number(&row["hours"])).unwrap();
        let found = terms(
            &params,
            asset,
            number(&row["price_microusd_per_io"]),
            hours,
            &lines,
        )
        .unwrap();
        assert_eq!(found.cost, number(&row["cost_microusd"]));
        assert_eq!(found.reservation, number(&row["reservation_microusd"]));
        assert_eq!(found.facilitation, number(&row["facilitation_microusd"]));
        assert_eq!(found.total, number(&row["total_microusd"]));
        assert_eq!(found.units.get(), number(&row["total_asset_units"]));
        assert_eq!(found.fee_units.get(), number(&row["fee_asset_units"]));
        let parts: Vec<u64> = found.parts.iter().map(|part| part.get()).collect();
        assert_eq!(parts, numbers(&row["device_units"]));
        let minutes = numbers(&row["minutes_served"]);
        for (place, (part, minutes)) in found.parts.iter().zip(minutes).enumerate() {
            let gross = earned(*part, u32::try_from(minutes).unwrap(), hours);
            assert_eq!(gross.get(), numbers(&row["gross_earned_units"])[place]);
            // The vectors give the reservation share alone.
            let fee = supplier_fee(&params, Asset::Io, gross);
            assert_eq!(
                fee.get(),
                numbers(&row["supplier_reservation_units"])[place]
            );
        }
    }
}
