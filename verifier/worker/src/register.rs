//! A device's first transaction: signed by its owner, naming the worker's key.

use std::path::Path;

use anyhow::Context as _;
use io_client::{Client, Signer, Wallet, client_id};
use io_types::action::{DeviceSpec, RegisterDevice, consent};
use io_types::catalogue::{Catalogue, Model};
use io_types::{AccountId, Action, DeviceId, Event};
use serde::{Deserialize, Serialize};

use crate::home::Home;

/// Name of the file in the data folder.
const FILE: &str = "device-id.json";

/// Which device this worker serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Noted {
    device: DeviceId,
    key: AccountId,
}

/// The device key: read, or made if it is missing.
///
/// # Errors
/// A file that is no key, or cannot be written.
pub fn device_key(path: &Path) -> anyhow::Result<Wallet> {
    if path.exists() {
        return Ok(Wallet::load(path)?);
    }
    let wallet = Wallet::generate();
    wallet.save(path)?;
    Ok(wallet)
}

/// A model by its name, as people write it, or by its number.
///
/// # Errors
/// No such model; the text lists those that there are.
pub fn model<'c>(catalogue: &'c Catalogue, text: &str) -> anyhow::Result<&'c Model> {
    let same =
        |model: &&Model| model.name.eq_ignore_ascii_case(text) || model.id.0.to_string() == text;
    catalogue.models.iter().find(same).with_context(|| {
        let names: Vec<&str> = catalogue
            .models
            .iter()
            .map(|model| model.name.as_str())
            .collect();
        format!(
            "{text:?} is no model of the catalogue; there are {}",
            names.join(", ")
        )
    })
}

/// Registers, and notes the device's number in the data folder.
///
/// # Errors
/// The chain's rejection, or a node out of reach.
pub async fn register(
    client: Client,
    owner: &Wallet,
    device_key: &Wallet,
    spec: DeviceSpec,
    home: &Home,
) -> anyhow::Result<DeviceId> {
    let chain_id = client.status().await?.chain_id;
    let action = RegisterDevice {
        spec,
        device_key: device_key.account(),
        consent: consent(device_key.key(), &chain_id, &owner.account()),
        client_id: client_id(),
    };
    let done = Signer::new(client, owner)
        .send(vec![Action::RegisterDevice(action)])
        .await?;
    let number = |event: &Event| {
        if let Event::DeviceRegistered { device, .. } = event {
            return Some(*device);
        }
        None
    };
    let device =
        done.events.iter().find_map(number).context(
            "the node did not say which number the device has; look with `io device list`",
        )?;
    home.write(
        FILE,
        &Noted {
            device,
            key: device_key.account(),
        },
    )?;
    Ok(device)
}

/// The device that was noted for this key.
///
/// # Errors
/// A file that is broken.
pub fn noted(home: &Home, key: AccountId) -> anyhow::Result<Option<DeviceId>> {
    let noted: Option<Noted> = home.read(FILE)?;
    Ok(noted
        .filter(|noted| noted.key == key)
        .map(|noted| noted.device))
}
