//! Values as people type and read them.

use std::fmt;

use clap::Args;
use io_client::money::{Money, decimal_text, show_usd};
use io_client::types::amount::MicroUsd;
use io_client::types::asset::Asset;
use io_client::types::catalogue::{Catalogue, Model, ModelId};
use io_client::types::event::Event;
use io_client::{ClientError, PageRequest};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::failure::Failure;
use super::output::{Output, say};

/// An amount with its asset, in one word or two.
#[derive(Clone, Debug, Args)]
pub(crate) struct AmountArgument {
    /// How much, with its asset: 12.5 io
    #[arg(required = true, num_args = 1..=2, value_names = ["NUMBER", "ASSET"])]
    amount: Vec<String>,
}

impl AmountArgument {
    pub(crate) fn money(&self) -> Result<Money, Failure> {
        let text = self.amount.join(" ");
        text.parse()
            .map_err(|why: String| ClientError::invalid("amount", why).into())
    }

    /// An amount that must be of IO.
    pub(crate) fn io(&self) -> Result<Money, Failure> {
        let money = self.money()?;
        if money.asset == Asset::Io {
            return Ok(money);
        }
        let why = format!("{money} is not of IO, the only asset taken here");
        Err(ClientError::invalid("amount", why).into())
    }
}

/// Which page of a list.
#[derive(Clone, Debug, Args)]
pub(crate) struct PageArguments {
    /// Most rows to show
    #[arg(long, default_value_t = 50, value_name = "NUMBER")]
    limit: usize,
    /// Show what follows: the cursor that the page before ended with
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
}

impl PageArguments {
    pub(crate) fn request(&self) -> PageRequest {
        PageRequest {
            after: self.after.clone(),
            limit: Some(self.limit.min(io_client::types::api::LIMIT_MAX)),
        }
    }
}

/// Says how to get the next page, if there is one.
pub(crate) fn say_more(out: Output, next: Option<&String>) {
    if let (false, Some(next)) = (out.is_json(), next) {
        say(&format!("there is more: --after {next}"));
    }
}

/// The model of a number or a name.
pub(crate) fn find_model<'c>(catalogue: &'c Catalogue, text: &str) -> Result<&'c Model, Failure> {
    let number = text.parse().map(ModelId).ok();
    let wanted = text.to_lowercase();
    let models = &catalogue.models;
    let found = models
        .iter()
        .find(|model| Some(model.id) == number || model.name.to_lowercase() == wanted);
    found.ok_or_else(|| {
        let near: Vec<String> = models
            .iter()
            .filter(|model| model.name.to_lowercase().contains(&wanted))
            .take(8)
            .map(|model| format!("{:?}", model.name))
            .collect();
        let advice = if near.is_empty() {
            "`io device models` lists all".to_owned()
        } else {
            format!("did you mean {}?", near.join(", "))
        };
        ClientError::invalid(
            format!("model {text:?}"),
            format!("it is not in the catalogue; {advice}"),
        )
        .into()
    })
}

/// The name of a model, or its number if it has none.
pub(crate) fn model_name(catalogue: &Catalogue, id: ModelId) -> String {
    let model = catalogue.models.iter().find(|model| model.id == id);
    model.map_or_else(|| format!("model {}", id.0), |model| model.name.clone())
}

/// A value's JSON as a few words: `"open"` is open, `{"matched": 5}` is matched 5.
pub(crate) fn words(value: &impl Serialize) -> String {
    fn text(value: &Value) -> String {
        match value {
            Value::Null => "-".to_owned(),
            Value::String(text) => text.replace('_', " "),
            Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
            Value::Object(fields) => {
                let parts = fields
                    .iter()
                    .map(|(name, value)| format!("{} {}", name.replace('_', " "), text(value)));
                parts.collect::<Vec<_>>().join(", ")
            }
            Value::Bool(_) | Value::Number(_) => value.to_string(),
        }
    }
    serde_json::to_value(value).map_or_else(|error| error.to_string(), |value| text(&value))
}

/// The fields of a value in the order in which it declares them.
struct Fields(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// An event as one readable line: its kind, then its fields, amounts with their asset.
pub(crate) fn event_text(event: &Event) -> String {
    let json = serde_json::to_string(event).unwrap_or_default();
    let Ok(Fields(fields)) = serde_json::from_str(&json) else {
        return format!("{event:?}");
    };
    let text_of = |wanted: &str| {
        let field = fields.iter().find(|(name, _)| name == wanted);
        field.and_then(|(_, value)| value.as_str())
    };
    let asset = text_of("asset").and_then(|text| text.parse().ok());
    let asset = asset.unwrap_or(Asset::Io);
    let mut line = text_of("kind").unwrap_or("event").replace('_', " ");
    for (name, value) in &fields {
        let shown = match (name.as_str(), value) {
            ("kind" | "asset", _) => continue,
            ("ask" | "spot" | "t30" | "usdc", Value::Number(price)) => {
                format!("{} usd", show_usd(MicroUsd(price.as_u64().unwrap_or(0))))
            }
            // Amounts are the only numbers that JSON carries as text.
            (_, Value::String(text)) if is_number(text) => {
                let units = text.parse().unwrap_or(0);
                format!("{} {asset}", decimal_text(units, asset.decimals()))
            }
            (_, value) => words(value),
        };
        line.push_str(&format!(" · {} {shown}", name.replace('_', " ")));
    }
    line
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// An instant, milliseconds since 1970, as `2026-11-21 09:30:00`.
pub(crate) fn instant(ms: u64) -> String {
    let seconds = i64::try_from(ms.div_euclid(1000)).unwrap_or(i64::MAX);
    let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(day);
    let (hour, minute) = (
        second.div_euclid(3600),
        second.div_euclid(60).rem_euclid(60),
    );
    let second = second.rem_euclid(60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// Year, month and day of a day number since 1970-01-01, by the proleptic Gregorian calendar.
fn civil(days: i64) -> (i64, i64, i64) {
    // Eras of 400 years that begin on 1 March, so that the leap day is the last day of its year.
    let shifted = days.saturating_add(719_468);
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let leap_free = day_of_era
        .saturating_sub(day_of_era.div_euclid(1460))
        .saturating_add(day_of_era.div_euclid(36_524))
        .saturating_sub(day_of_era.div_euclid(146_096));
    let year_of_era = leap_free.div_euclid(365);
    let before = year_of_era
        .saturating_mul(365)
        .saturating_add(year_of_era.div_euclid(4))
        .saturating_sub(year_of_era.div_euclid(100));
    let day_of_year = day_of_era.saturating_sub(before);
    let from_march = day_of_year
        .saturating_mul(5)
        .saturating_add(2)
        .div_euclid(153);
    let day = day_of_year
        .saturating_sub(
            from_march
                .saturating_mul(153)
                .saturating_add(2)
                .div_euclid(5),
        )
        .saturating_add(1);
    let month = if from_march < 10 {
        from_march.saturating_add(3)
    } else {
        from_march.saturating_sub(9)
    };
    let year = era
        .saturating_mul(400)
        .saturating_add(year_of_era)
        .saturating_add(i64::from(month <= 2));
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use io_client::types::amount::Amount;
    use io_client::types::id::{AccountId, BatchNumber, DeviceId};
    use io_client::types::row::OrderState;

    use super::*;

    #[test]
    fn instants_are_those_of_the_calendar() {
        for (ms, text) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_399_999, "2000-02-28 23:59:59"),
            (951_782_400_000, "2000-02-29 00:00:00"),
            (1_078_099_200_000, "2004-03-01 00:00:00"),
            (1_763_717_400_000, "2025-11-21 09:30:00"),
            (4_107_542_400_000, "2100-03-01 00:00:00"),
        ] {
            assert_eq!(instant(ms), text);
        }
    }

    #[test]
    fn events_read_as_sentences_with_their_money() {
        let event = Event::Transferred {
            from: AccountId([1; 32]),
            to: AccountId([2; 32]),
            asset: Asset::Usdc,
            amount: Amount::new(2_500_000),
        };
        let (from, to) = (AccountId([1; 32]), AccountId([2; 32]));
        let expected = format!("transferred · from {from} · to {to} · amount 2.5 usdc");
        assert_eq!(event_text(&event), expected);

        let signed = Event::BatchSigned {
            number: BatchNumber(3),
            power: 30,
            total: 40,
        };
        let text = event_text(&signed);
        assert!(
            text.contains("power 30") && text.contains("total 40"),
            "{text}"
        );
        let updated = Event::DeviceUpdated {
            device: DeviceId(1),
            ask: MicroUsd(1_200_000),
            payout_asset: Asset::Io,
        };
        assert!(event_text(&updated).contains("ask 1.2 usd"));
    }

    #[test]
    fn states_are_words() {
        assert_eq!(words(&OrderState::Open), "open");
        assert_eq!(
            words(&OrderState::Matched(io_client::types::BookingId(5))),
            "matched 5"
        );
        assert_eq!(words(&None::<u8>), "-");
    }

    #[test]
    fn a_model_is_found_by_number_or_name_and_near_misses_are_named() {
        let json = serde_json::json!({"classes": [], "models": [{
            "id": 3, "name": "H100 SXM", "class": 1, "multiplier_milli": 1, "pool": "enterprise", "price_floor": 1,
            "price_ceiling": 2, "vram_mib": 3, "placeholder": []
        }]});
        let catalogue: Catalogue = serde_json::from_value(json).unwrap();
        assert_eq!(find_model(&catalogue, "3").unwrap().id, ModelId(3));
        assert_eq!(find_model(&catalogue, "h100 sxm").unwrap().id, ModelId(3));
        let words = find_model(&catalogue, "h100")
            .unwrap_err()
            .words(false)
            .unwrap();
        assert!(words.contains("did you mean \"H100 SXM\"?"), "{words}");
        assert_eq!(model_name(&catalogue, ModelId(9)), "model 9");
    }
}
