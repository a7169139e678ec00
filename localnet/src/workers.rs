//! The suppliers' devices: registered by their owners, each with a worker of its own.

use anyhow::{Context, anyhow};
use io_client::{
    Client, ClientError, DeviceFilter, Signer,
    node::all_pages,
    types::{
        Action, Asset, DeviceId, MicroUsd,
        action::{DeviceSpec, RegisterDevice, consent},
        catalogue::{Catalogue, CountryCode, ModelId},
    },
};
use serde_json::json;

use crate::{
    materials::Materials,
    plan::{Plan, SUPPLIERS, VALIDATORS, names},
    process::Spec,
};

/// What stands at the suppliers: model, country, and in what the supplier is paid. As many for each supplier.
const DEVICES: [(ModelId, CountryCode, Asset); 2] = [
    (ModelId(9), CountryCode(*b"DE"), Asset::Usdc),
    (ModelId(3), CountryCode(*b"US"), Asset::Io),
];
/// Connectivity that every device claims.
const CONNECTIVITY: u8 = 3;

/// One device of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedDevice {
    /// Name of its worker.
    pub worker: String,
    /// Name of its owner.
    pub owner: String,
    /// Its number among its owner's: also the owner's number for the registration, so a repeat registers nothing twice.
    pub number: u64,
    model: ModelId,
    country: CountryCode,
    payout_asset: Asset,
}

/// Every device of a localnet.
pub fn planned() -> Vec<PlannedDevice> {
    let mut all = Vec::new();
    for owner in names("supplier", SUPPLIERS) {
        for (number, (model, country, payout_asset)) in (1..).zip(DEVICES) {
            all.push(PlannedDevice {
                worker: format!("worker-{}", all.len()),
                owner: owner.clone(),
                number,
                model,
                country,
                payout_asset,
            });
        }
    }
    all
}

/// Registers a device unless it is registered, and returns its number on the chain.
///
/// Errors: the chain refuses, or no node answers.
pub async fn register(
    plan: &Plan,
    node: &Client,
    device: &PlannedDevice,
) -> anyhow::Result<DeviceId> {
    let owner = plan.wallet(&device.owner);
    let worker = plan.wallet(&device.worker);
    let device_key = worker.account();
    let filter = DeviceFilter {
        owner: Some(owner.account()),
        ..DeviceFilter::default()
    };
    let find = async || -> Result<Option<DeviceId>, ClientError> {
        let mine = all_pages(async |page| node.devices(&filter, &page).await).await?;
        Ok(mine
            .into_iter()
            .find(|view| view.device.device_key == device_key)
            .map(|view| view.device.id))
    };
    if let Some(there) = find().await? {
        return Ok(there);
    }
    let spec = spec(&node.catalogue().await?, device)?;
    let action = RegisterDevice {
        spec,
        device_key,
        consent: consent(
            worker.key(),
            &node.status().await?.chain_id,
            &owner.account(),
        ),
        client_id: device.number,
    };
    Signer::new(node.clone(), &owner)
        .send(vec![Action::RegisterDevice(action)])
        .await
        .with_context(|| format!("{} cannot register {}", device.owner, device.worker))?;
    find()
        .await?
        .ok_or_else(|| anyhow!("{} was registered and is not there", device.worker))
}

/// The terms of a device: a tenth above its model's lowest price.
fn spec(catalogue: &Catalogue, device: &PlannedDevice) -> anyhow::Result<DeviceSpec> {
    let model = catalogue
        .models
        .iter()
        .find(|model| model.id == device.model);
    let model = model.with_context(|| format!("the catalogue has no model {}", device.model.0))?;
    let tenth = model.price_floor.0.checked_div(10).unwrap_or(0);
    let ask = model
        .price_floor
        .0
        .saturating_add(tenth)
        .min(model.price_ceiling.0);
    Ok(DeviceSpec {
        model: model.id,
        quantity: 1,
        vram_mib: model.vram_mib,
        country: device.country,
        connectivity: CONNECTIVITY,
        ask: MicroUsd(ask),
        payout_asset: device.payout_asset,
    })
}

/// How to run the worker of a registered device.
pub fn process(
    materials: &Materials<'_>,
    device: &PlannedDevice,
    id: DeviceId,
) -> anyhow::Result<Spec> {
    let plan = materials.plan;
    let name = device.worker.clone();
    let index = u16::try_from(id.0.checked_rem(u64::from(VALIDATORS)).unwrap_or(0))?;
    let config = json!({
        "node": plan.api_url(index),
        "wallet": plan.key_file(&name)?,
        "device": id,
        "data": plan.folder(&name),
        "backend": "cpu",
        // No machine of a localnet has the cards that its devices claim.
        "declared": true,
    });
    let file = plan.home.join(format!("{name}.toml"));
    std::fs::write(&file, toml::to_string(&config)?)
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(Spec {
        program: materials.tools.path("io-worker"),
        args: vec![format!("--config={}", file.display()), "run".to_owned()],
        env: Vec::new(),
        log: plan.log(&name),
        name,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_device_has_a_worker_and_its_owner_numbers_it_once() {
        let all = planned();
        assert_eq!(all.len(), 6);
        assert_eq!(
            all.iter()
                .map(|device| &device.worker)
                .collect::<BTreeSet<_>>()
                .len(),
            6
        );
        assert_eq!(
            all.iter()
                .map(|device| (&device.owner, device.number))
                .collect::<BTreeSet<_>>()
                .len(),
            6
        );
    }
}
