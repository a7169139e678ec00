//! Prices from HTTP, a file, or a fixed value: the median of those that answer with something fresh.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use io_types::extension::PricesPart;
use serde_json::Value;

use crate::config::{PriceUnit, Prices};

/// What was published longer ago is no price of now, ms.
const FRESH_MS: u64 = 60_000;

/// How long one source may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// The largest document that is read, bytes.
const DOCUMENT_BYTES_MAX: usize = 1 << 20;

/// Reads the configured sources.
#[derive(Debug)]
pub struct PriceReader {
    settings: Prices,
    http: reqwest::Client,
}

impl PriceReader {
    /// A reader of these sources.
    ///
    /// # Errors
    /// The HTTP client can not be made.
    pub fn new(settings: &Prices) -> Result<Self, String> {
        // What runs on this machine is asked directly, whatever proxy the environment names.
        let is_local = settings
            .sources
            .iter()
            .all(|source| source.contains("://127.") || source.contains("://localhost"));
        let builder = reqwest::Client::builder().timeout(ANSWER_WITHIN);
        let builder = if is_local {
            builder.no_proxy()
        } else {
            builder
        };
        let http = builder.build().map_err(|error| error.to_string())?;
        Ok(Self {
            settings: settings.clone(),
            http,
        })
    }

    /// One look at all sources.
    ///
    /// # Errors
    /// Why there is no price: which sources failed, and how.
    pub async fn read(&self) -> Result<PricesPart, String> {
        let asked = self.settings.sources.iter().map(|source| self.ask(source));
        let answers = futures_util::future::join_all(asked).await;
        let now = now_ms();
        let mut good = Vec::new();
        let mut faults = Vec::new();
        for (source, answer) in self.settings.sources.iter().zip(answers) {
            let fresh = answer.and_then(|part| {
                let age = now.saturating_sub(part.published_ms);
                if age > FRESH_MS {
                    Err(format!(
                        "published {} s ago",
                        Duration::from_millis(age).as_secs()
                    ))
                } else {
                    Ok(part)
                }
            });
            match fresh {
                Ok(part) => good.push(part),
                Err(why) => faults.push(format!("{source}: {why}")),
            }
        }
        let needed = self.settings.sources.len().min(2);
        if good.is_empty() || good.len() < needed {
            return Err(format!(
                "{} of {} sources answered, {needed} needed: {}",
                good.len(),
                self.settings.sources.len(),
                faults.join("; ")
            ));
        }
        Ok(median(&good))
    }

    async fn ask(&self, source: &str) -> Result<PricesPart, String> {
        if let Some(fixed) = source.strip_prefix("fixed:") {
            let (io, usdc) = fixed.split_once('/').ok_or("give fixed:IO/USDC")?;
            return part(
                (parse_price(io, PriceUnit::Usd)?, now_ms()),
                (parse_price(usdc, PriceUnit::Usd)?, now_ms()),
            );
        }
        let Prices {
            unit,
            io_path,
            usdc_path,
            io_pointer,
            usdc_pointer,
            published_pointer,
            sources: _,
            poll_ms: _,
        } = &self.settings;
        let first = self.document(source, io_path).await?;
        let second = if io_path == usdc_path {
            first.clone()
        } else {
            self.document(source, usdc_path).await?
        };
        let read = |document: &Value, pointer: &str| {
            let price = parse_price(&number(document, pointer)?, *unit)?;
            Ok::<_, String>((price, parse_time(&number(document, published_pointer)?)?))
        };
        part(read(&first, io_pointer)?, read(&second, usdc_pointer)?)
    }

    async fn document(&self, source: &str, path: &str) -> Result<Value, String> {
        let place = format!("{source}{path}");
        let bytes = match place.strip_prefix("file:") {
            Some(file) => tokio::fs::read(file)
                .await
                .map_err(|error| error.to_string())?,
            None => self.fetch(&place).await?,
        };
        if bytes.len() > DOCUMENT_BYTES_MAX {
            return Err(format!("the document has over {DOCUMENT_BYTES_MAX} bytes"));
        }
        serde_json::from_slice(&bytes).map_err(|error| format!("no JSON: {error}"))
    }

    async fn fetch(&self, url: &str) -> Result<Vec<u8>, String> {
        let failed = |error: reqwest::Error| error.without_url().to_string();
        let mut answer = self
            .http
            .get(url)
            .send()
            .await
            .and_then(reqwest::Response::error_for_status)
            .map_err(failed)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > DOCUMENT_BYTES_MAX {
                break;
            }
        }
        Ok(bytes)
    }
}

/// What stands at a place of a document, as written.
fn number(document: &Value, pointer: &str) -> Result<String, String> {
    let value = document
        .pointer(pointer)
        .ok_or_else(|| format!("nothing at {pointer}"))?;
    Ok(value
        .as_str()
        .map_or_else(|| value.to_string(), ToOwned::to_owned))
}

/// Milliseconds of a time in seconds or milliseconds: seconds have ten digits for centuries to come, milliseconds thirteen.
fn parse_time(text: &str) -> Result<u64, String> {
    let time: u64 = text
        .parse()
        .map_err(|_error| format!("{text:?} is no time"))?;
    Ok(if time < 100_000_000_000 {
        time.saturating_mul(1_000)
    } else {
        time
    })
}

/// Milliseconds since 1970 by this machine's clock.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Each given as price and time.
fn part((io, io_at): (u64, u64), (usdc, usdc_at): (u64, u64)) -> Result<PricesPart, String> {
    if io == 0 || usdc == 0 {
        return Err("a price of zero".to_owned());
    }
    Ok(PricesPart {
        io,
        usdc,
        published_ms: io_at.min(usdc_at),
    })
}

/// The lower median of each price, published when the oldest of them was.
fn median(parts: &[PricesPart]) -> PricesPart {
    let middle = |mut values: Vec<u64>| {
        values.sort_unstable();
        let index = values.len().saturating_sub(1) >> 1;
        values.get(index).copied().unwrap_or(0)
    };
    PricesPart {
        io: middle(parts.iter().map(|part| part.io).collect()),
        usdc: middle(parts.iter().map(|part| part.usdc).collect()),
        published_ms: parts
            .iter()
            .map(|part| part.published_ms)
            .min()
            .unwrap_or(0),
    }
}

/// Micro-dollars of a number as written; what is smaller is cut off.
///
/// # Errors
/// The text is no such number, or too large.
pub fn parse_price(text: &str, unit: PriceUnit) -> Result<u64, String> {
    let bad = || format!("{text:?} is no price");
    let text = text.trim();
    if unit == PriceUnit::MicroUsd {
        return text.parse().map_err(|_error| bad());
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) {
        return Err(bad());
    }
    let micro: String = fraction.chars().chain("000000".chars()).take(6).collect();
    let dollars: u64 = whole.parse().map_err(|_error| bad())?;
    let micro: u64 = micro.parse().map_err(|_error| bad())?;
    dollars
        .checked_mul(1_000_000)
        .and_then(|dollars| dollars.checked_add(micro))
        .ok_or_else(bad)
}
