//! `io prove`: a row with its proof, checked here.

use std::path::PathBuf;
use std::time::Duration;

use io_client::proof::{CheckedHeader, ProofError, TABLES, Trust, check, value_json};
use io_client::types::api::ProvenRow;
use io_client::types::asset::{Asset, SystemAccount};
use io_client::types::id::{AccountId, Hash, ValidatorAddress};
use io_client::{Client, ClientError};
use serde::Serialize;
use serde_json::Value;

use super::context::Context;
use super::failure::Failure;
use super::output::{facts, say};

/// How often a node is asked until the header of the next block is there.
const TRIES: u32 = 20;
/// How long between them.
const TRY_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  $ io prove devices 7 --trust 6B86B273FF34FCE19D6B804EFF5A3F5747ADA4EAA22F1D49C01E52DDB7875B4B\n  \
$ io prove accounts 9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9PusVFin/io --save proof.json\n  $ io prove --file proof.json\n\n\
What is checked: the row leads to the app hash, the next block's header carries it, and more than 2/3 of the\n\
validators of that header signed it. Whether those are the right validators is what --trust decides."
)]
pub(crate) struct Arguments {
    /// params, catalogue, chain, accounts, totals, devices, epochs, bookings, settlements, bridge or validators
    #[arg(required_unless_present = "file")]
    table: Option<String>,
    /// A number; for accounts ACCOUNT/ASSET, for totals ASSET, for validators ADDRESS; 0x and hexadecimal for any key
    key: Option<String>,
    /// Hash of the validator set that must have signed
    #[arg(long, value_name = "HASH")]
    trust: Option<String>,
    /// Id of the chain that it must be
    #[arg(long, value_name = "CHAIN")]
    chain: Option<String>,
    /// Save the proof
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Check a saved proof; no node is asked
    #[arg(long, value_name = "FILE", conflicts_with = "table")]
    file: Option<PathBuf>,
}

/// What a check has shown.
#[derive(Debug, Serialize)]
struct Proven {
    table: String,
    key: String,
    /// The row; as hexadecimal if this version does not know the table.
    value: Value,
    header: CheckedHeader,
    /// Whether the validators were compared with trusted ones.
    trusted: bool,
}

pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let trust = Trust {
        chain_id: arguments.chain.clone(),
        validators_hash: arguments.trust.as_deref().map(hash).transpose()?,
    };
    let row = match (&arguments.file, &arguments.table) {
        (Some(path), _) => read(path)?,
        (None, Some(table)) => {
            let key = key_of(table, arguments.key.as_deref())?;
            fetch(&context.client()?, table, &key).await?
        }
        (None, None) => return Err(ClientError::invalid("table", "name one, or a file").into()),
    };
    let (value, header) = check(&row, &trust)?;
    if let Some(path) = &arguments.save {
        let invalid = |why: String| ClientError::invalid(format!("proof {}", path.display()), why);
        let text =
            serde_json::to_string_pretty(&row).map_err(|error| invalid(error.to_string()))?;
        std::fs::write(path, text).map_err(|error| invalid(error.to_string()))?;
        say(&format!("saved to {}", path.display()));
    }
    let proven = Proven {
        value: value_json(&row.table, &value).unwrap_or(Value::String(row.value.clone())),
        table: row.table,
        key: row.key,
        header,
        trusted: trust.validators_hash.is_some(),
    };
    if !proven.trusted {
        say(
            "the proof holds, if its validators are the right ones: compare their hash with one that you trust and give it as --trust",
        );
    }
    context.out.show(&proven, text)
}

fn text(proven: &Proven) -> String {
    let Proven {
        table,
        key,
        value,
        header,
        trusted,
    } = proven;
    let mut text = facts(&[
        ("proven", format!("row {key} of table {table}")),
        ("chain", header.chain_id.clone()),
        (
            "header",
            format!("height {}, {}", header.height, header.time),
        ),
        (
            "validators",
            format!("{} with hash {}", header.validators, header.validators_hash),
        ),
        (
            "trusted",
            if *trusted {
                "yes".to_owned()
            } else {
                "not compared".to_owned()
            },
        ),
    ]);
    let value = serde_json::to_string_pretty(value).unwrap_or_else(|error| error.to_string());
    text.push_str(&value);
    text.push('\n');
    text
}

fn hash(text: &str) -> Result<Hash, Failure> {
    let invalid =
        |error: io_client::types::id::BadName| ClientError::invalid("--trust", error.to_string());
    Ok(text.parse().map_err(invalid)?)
}

fn read(path: &PathBuf) -> Result<ProvenRow, Failure> {
    let invalid = |why: String| ClientError::invalid(format!("proof {}", path.display()), why);
    let text = std::fs::read_to_string(path).map_err(|error| invalid(error.to_string()))?;
    Ok(serde_json::from_str(&text).map_err(|error| invalid(error.to_string()))?)
}

/// The row, as soon as the node has the header that carries it.
async fn fetch(client: &Client, table: &str, key: &[u8]) -> Result<ProvenRow, Failure> {
    for _ in 0..TRIES {
        let row = client.prove(table, key).await?;
        // A node that answers for another row would otherwise be shown as the one that was asked for.
        if row.table != table || row.key.to_lowercase() != hex::encode(key) {
            return Err(Failure::Refused(format!(
                "{} answered row {} of table {}, another was asked for",
                client.url(),
                row.key,
                row.table
            )));
        }
        if row.signed_header.is_some() {
            return Ok(row);
        }
        tokio::time::sleep(TRY_EVERY).await;
    }
    Err(ProofError::NoHeader.into())
}

/// The bytes of a key as it is typed: as the chain's tables order it.
fn key_of(table: &str, key: Option<&str>) -> Result<Vec<u8>, Failure> {
    let invalid =
        |why: String| Failure::from(ClientError::invalid(format!("key of table {table:?}"), why));
    if !TABLES.contains(&table) {
        let why = format!(
            "its rows cannot be proven; those of {} can",
            TABLES.join(", ")
        );
        return Err(invalid(why));
    }
    if let Some(digits) = key.and_then(|key| key.strip_prefix("0x")) {
        return hex::decode(digits).map_err(|error| invalid(error.to_string()));
    }
    let is_single = ["params", "catalogue", "chain", "bridge"].contains(&table);
    let key = match (is_single, key) {
        (true, None) => return Ok(vec![0]),
        (true, Some(_)) => return Err(invalid("the table has one row: give no key".to_owned())),
        (false, None) => return Err(invalid("name the row".to_owned())),
        (false, Some(key)) => key,
    };
    match table {
        "accounts" => {
            let (holder, asset) = key
                .split_once('/')
                .ok_or_else(|| invalid("write it as ACCOUNT/ASSET".to_owned()))?;
            let mut bytes = holder_bytes(holder).map_err(invalid)?;
            bytes.push(asset.parse::<Asset>().map_err(invalid)?.number());
            Ok(bytes)
        }
        "totals" => Ok(vec![key.parse::<Asset>().map_err(invalid)?.number()]),
        "validators" => {
            let address = key.parse::<ValidatorAddress>();
            Ok(address
                .map_err(|error| invalid(error.to_string()))?
                .0
                .to_vec())
        }
        _numbered => {
            let number = key.parse::<u64>();
            Ok(number
                .map_err(|error| invalid(error.to_string()))?
                .to_be_bytes()
                .to_vec())
        }
    }
}

/// 0 and the key, or 1 and the number of a system account, filled to 33 bytes.
fn holder_bytes(text: &str) -> Result<Vec<u8>, String> {
    let name = Value::String(text.to_owned());
    let mut bytes = Vec::with_capacity(34);
    if let Ok(system) = serde_json::from_value::<SystemAccount>(name) {
        bytes.push(1);
        bytes.extend(io_client::types::codec::encode(&system));
        bytes.resize(33, 0);
    } else {
        let account: AccountId = text.parse().map_err(|error| format!("{error}"))?;
        bytes.push(0);
        bytes.extend(account.0);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_typed_as_people_know_the_rows() {
        let account = AccountId([9; 32]);
        let mut expected = vec![0];
        expected.extend([9; 32]);
        expected.push(1);
        let typed = format!("{account}/usdc");
        assert_eq!(key_of("accounts", Some(&typed)).unwrap(), expected);

        let mut treasury = vec![1, 2];
        treasury.resize(33, 0);
        treasury.push(0);
        assert_eq!(key_of("accounts", Some("treasury/io")).unwrap(), treasury);
        assert_eq!(
            key_of("devices", Some("258")).unwrap(),
            [0, 0, 0, 0, 0, 0, 1, 2]
        );
        assert_eq!(key_of("params", None).unwrap(), [0]);
        assert_eq!(key_of("totals", Some("io")).unwrap(), [0]);
        assert_eq!(key_of("devices", Some("0xff01")).unwrap(), [255, 1]);
    }

    #[test]
    fn keys_that_name_no_row_are_refused() {
        for (table, key, why) in [
            ("orders", Some("1"), "cannot be proven"),
            ("devices", None, "name the row"),
            ("devices", Some("x"), "invalid digit"),
            ("params", Some("1"), "give no key"),
            ("accounts", Some("treasury"), "ACCOUNT/ASSET"),
            ("accounts", Some("treasury/sol"), "is no asset"),
            ("accounts", Some("xyz/io"), "is no account"),
            ("validators", Some("00"), "20 needed"),
        ] {
            let words = key_of(table, key).unwrap_err().words(false).unwrap();
            assert!(words.contains(why), "{table} {key:?}: {words}");
        }
    }
}
