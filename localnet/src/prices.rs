//! Two price sources: HTTP servers whose prices walk at random from a seed.
//!
//! `GET /prices` answers `{"io": "0.15012345", "usdc": "1.00000012", "published_ms": 1700000000000}`: USD for a whole token, and Unix
//! time. The walk is a function of the seed and the second, so all sources agree on the direction, and a restarted one goes
//! on where it would be. Each source adds its own small deviation, as real ones do.

use anyhow::Context;
use axum::{Json, Router, extract::State, routing::get};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::ledger::clock::unix_ms;

/// Prices are counted in units of 10⁻⁸ USD.
const UNITS_PER_USD: u64 = 100_000_000;
/// Seconds until the walk is back at its start. It goes out half of the time and the same way home, so it stays near.
const PERIOD: u64 = 1200;

/// A random walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walk {
    /// Where it starts, in 10⁻⁸ USD.
    pub start: u64,
    /// Largest step in a second, in parts per million.
    pub step_ppm: u64,
    /// What makes it this walk.
    pub seed: u64,
}

impl Walk {
    /// The price at a time (Unix seconds), in 10⁻⁸ USD.
    pub fn price_at(&self, unix: u64) -> u64 {
        let round = unix.checked_div(PERIOD).unwrap_or(0);
        let second = unix.checked_rem(PERIOD).unwrap_or(0);
        let mut steps = StdRng::seed_from_u64(self.seed ^ round);
        let mut price = self.start;
        for _ in 0..second.min(PERIOD.saturating_sub(second)) {
            price = deviate(price, self.step_ppm, &mut steps);
        }
        price
    }
}

fn deviate(price: u64, ppm: u64, random: &mut StdRng) -> u64 {
    let factor =
        random.gen_range(1_000_000_u64.saturating_sub(ppm)..=1_000_000_u64.saturating_add(ppm));
    price
        .saturating_mul(factor)
        .checked_div(1_000_000)
        .unwrap_or(price)
}

/// A source: the walks of both assets, and its number, from which its deviation follows.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    /// IO in USD.
    pub io: Walk,
    /// USDC in USD.
    pub usdc: Walk,
    /// Which source this is.
    pub number: u64,
}

impl Source {
    /// The source with this number of a localnet with this seed: IO from 0.15 USD, USDC close to 1 USD.
    pub fn new(seed: u64, number: u64) -> Self {
        Self {
            io: Walk {
                start: 15_000_000,
                step_ppm: 300,
                seed,
            },
            usdc: Walk {
                start: UNITS_PER_USD,
                step_ppm: 5,
                seed: !seed,
            },
            number,
        }
    }

    fn quote(&self, walk: &Walk, unix: u64) -> u64 {
        let mut own = StdRng::seed_from_u64(unix ^ self.number.rotate_left(32));
        deviate(walk.price_at(unix), 100, &mut own)
    }

    /// Starts to serve on a loopback port (0 takes a free one) until the handle is aborted. Returns the port.
    ///
    /// Errors: the port is taken.
    pub async fn serve(self, port: u16) -> anyhow::Result<(u16, JoinHandle<()>)> {
        let tcp = TcpListener::bind(("127.0.0.1", port))
            .await
            .with_context(|| format!("the price source cannot listen on 127.0.0.1:{port}"))?;
        let port = tcp.local_addr()?.port();
        let router = Router::new().route("/prices", get(quote)).with_state(self);
        let task = tokio::spawn(async move {
            // Ends only when it is aborted.
            drop(axum::serve(tcp, router).await);
        });
        Ok((port, task))
    }
}

async fn quote(State(source): State<Source>) -> Json<Value> {
    let published_ms = unix_ms();
    let unix = published_ms.checked_div(1000).unwrap_or(0);
    let [io, usdc] = [&source.io, &source.usdc].map(|walk| dollars(source.quote(walk, unix)));
    Json(json!({"io": io, "usdc": usdc, "published_ms": published_ms}))
}

fn dollars(units: u64) -> String {
    let whole = units.checked_div(UNITS_PER_USD).unwrap_or(0);
    let part = units.checked_rem(UNITS_PER_USD).unwrap_or(0);
    format!("{whole}.{part:08}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALK: Walk = Walk {
        start: 40_000_000,
        step_ppm: 300,
        seed: 7,
    };

    #[test]
    fn the_walk_moves_in_small_steps_and_never_jumps() {
        let mut last = WALK.price_at(1_700_000_000);
        let mut moved = 0_u32;
        for unix in 1_700_000_001..1_700_002_600 {
            let price = WALK.price_at(unix);
            assert!(
                price.abs_diff(last) * 1_000_000 <= last * 301 + 1_000_000,
                "{last} → {price} at {unix}"
            );
            moved += u32::from(price != last);
            last = price;
        }
        assert!(moved > 2_500);
    }

    #[test]
    fn the_same_seed_gives_the_same_prices_and_another_gives_others() {
        assert_eq!(WALK.price_at(1_700_000_300), WALK.price_at(1_700_000_300));
        assert_ne!(
            WALK.price_at(1_700_000_300),
            Walk { seed: 8, ..WALK }.price_at(1_700_000_300)
        );
        let [one, two] = [Source::new(7, 1), Source::new(7, 2)]
            .map(|source| source.quote(&source.io, 1_700_000_300));
        assert!(one != two && one.abs_diff(two) * 1_000 < one, "{one} {two}");
    }

    #[tokio::test]
    async fn a_price_is_served_with_its_time() {
        let (port, task) = Source::new(1, 1).serve(0).await.unwrap();
        let answer: Value = reqwest::get(format!("http://127.0.0.1:{port}/prices"))
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let (whole, part) = answer["io"].as_str().unwrap().split_once('.').unwrap();
        assert_eq!((whole, part.len()), ("0", 8));
        assert!(answer["usdc"].as_str().unwrap().starts_with(['0', '1']));
        let age = unix_ms().abs_diff(answer["published_ms"].as_u64().unwrap());
        assert!(age <= 2_000, "{age} ms");
        task.abort();
    }
}
