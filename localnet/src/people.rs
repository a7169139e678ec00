//! The people of a localnet: a renter who keeps asking for processors, and suppliers who stake, collect and withdraw.
//!
//! They use the chain as anyone would, through [`io_client`]. What goes wrong for them is logged and tried again.

use std::{collections::BTreeSet, time::Duration};

use io_client::{
    Client, ClientError, DeviceFilter, OrderFilter, PageRequest, Signer, client_id,
    types::{
        Action, Amount, Asset, MicroUsd,
        action::{AddStake, Collect, PlaceOrder, Spread, Withdraw},
        api::DeviceView,
        catalogue::ModelId,
        row::DeviceState,
    },
};
use tokio::task::JoinHandle;

use crate::{
    network::Network,
    plan::{SUPPLIERS, names},
};

/// Between two looks of a renter at the market.
const ORDER_EVERY: Duration = Duration::from_secs(3);
/// Orders that wait at one time.
const OPEN_ORDERS_MAX: usize = 3;
/// Blocks that an order waits.
const OPEN_BLOCKS: u32 = 60;
/// Between two looks of a supplier at his devices.
const CARE_EVERY: Duration = Duration::from_secs(2);

/// Starts everyone. They live until the handles are aborted.
///
/// Errors: none of a running network; a client cannot be made.
pub fn start(network: &Network) -> Result<Vec<JoinHandle<()>>, ClientError> {
    let plan = &network.plan;
    let mut tasks = Vec::new();
    let renter = Signer::new(Client::new(&plan.api_url(0))?, &plan.wallet("renter"));
    tasks.push(tokio::spawn(rent(renter)));
    for (index, name) in (1..).zip(names("supplier", SUPPLIERS)) {
        let supplier = Signer::new(Client::new(&plan.api_url(index))?, &plan.wallet(&name));
        tasks.push(tokio::spawn(supply(supplier)));
    }
    Ok(tasks)
}

async fn rent(signer: Signer) {
    let mut asset = Asset::Usdc;
    loop {
        match ask(&signer, asset).await {
            // The next one is paid in the other asset.
            Ok(true) => {
                asset = if asset == Asset::Usdc {
                    Asset::Io
                } else {
                    Asset::Usdc
                }
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "the renter's order was not taken"),
        }
        tokio::time::sleep(ORDER_EVERY).await;
    }
}

/// Places an order for one processor and one hour, if something is on offer and few orders wait.
async fn ask(signer: &Signer, asset: Asset) -> Result<bool, ClientError> {
    let client = signer.client();
    let mine = OrderFilter {
        renter: Some(signer.account()),
        state: Some("open".to_owned()),
    };
    let waiting = client
        .orders(&mine, &PageRequest::default())
        .await?
        .items
        .len();
    let offers = on_offer(client).await?;
    let models: BTreeSet<ModelId> = offers.iter().map(|view| view.device.spec.model).collect();
    let Some(MicroUsd(dearest)) = offers.iter().map(|view| view.device.spec.ask).max() else {
        return Ok(false);
    };
    if waiting >= OPEN_ORDERS_MAX {
        return Ok(false);
    }
    let order = PlaceOrder {
        models: models.into_iter().take(16).collect(),
        quantity: 1,
        hours: 1,
        price_max: MicroUsd(dearest),
        asset,
        countries: Vec::new(),
        connectivity_min: 0,
        reputation_min: 0,
        compliance_min: 0,
        spread: Spread::Any,
        open_blocks: OPEN_BLOCKS,
        pulse_ok: true,
        client_id: client_id(),
    };
    signer.send(vec![Action::PlaceOrder(order)]).await?;
    Ok(true)
}

/// Devices that may be hired, now or when their present booking ends.
async fn on_offer(client: &Client) -> Result<Vec<DeviceView>, ClientError> {
    let all = devices(client, &DeviceFilter::default()).await?;
    let offered = |state| matches!(state, DeviceState::Ready | DeviceState::Hired);
    Ok(all
        .into_iter()
        .filter(|view| offered(view.device.state))
        .collect())
}

/// All devices that a filter finds, page by page.
async fn devices(client: &Client, filter: &DeviceFilter) -> Result<Vec<DeviceView>, ClientError> {
    let mut request = PageRequest::default();
    let mut all = Vec::new();
    loop {
        let page = client.devices(filter, &request).await?;
        all.extend(page.items);
        if page.next.is_none() || page.next == request.after {
            return Ok(all);
        }
        request.after = page.next;
    }
}

async fn supply(signer: Signer) {
    loop {
        if let Err(error) = care(&signer).await {
            tracing::warn!(%error, supplier = %signer.account(), "a supplier's wish was not granted");
        }
        tokio::time::sleep(CARE_EVERY).await;
    }
}

/// Stakes what devices lack, and sends collected rewards to Solana.
async fn care(signer: &Signer) -> Result<(), ClientError> {
    let client = signer.client();
    let filter = DeviceFilter {
        owner: Some(signer.account()),
        ..DeviceFilter::default()
    };
    for view in devices(client, &filter).await? {
        let staked = view
            .stake
            .as_ref()
            .map_or(Amount::ZERO, |stake| stake.amount);
        let missing = view.stake_min.saturating_sub(staked);
        let leaves = view.device.state == DeviceState::Retired
            || view.stake.is_some_and(|stake| stake.exit.is_some());
        if !missing.is_zero() && !leaves {
            let device = view.device.id;
            signer
                .send(vec![Action::AddStake(AddStake {
                    device,
                    amount: missing,
                })])
                .await?;
        }
    }
    let now = client.status().await?.chain_time;
    let account = client.account(signer.account()).await?;
    let due = account
        .accruals
        .iter()
        .filter(|(_, _, accrual)| accrual.collectable_at <= now);
    let through = due.clone().map(|(epoch, ..)| *epoch).max();
    let sum = due.fold(0_u64, |sum, (_, _, accrual)| {
        sum.saturating_add(accrual.amount.get())
    });
    if let (Some(through), true) = (through, sum > 0) {
        let withdraw = Withdraw {
            asset: Asset::Io,
            amount: Amount::new(sum),
            client_id: client_id(),
        };
        // Both or none: what is withdrawn is what was collected.
        signer
            .send(vec![
                Action::Collect(Collect { through }),
                Action::Withdraw(withdraw),
            ])
            .await?;
    }
    Ok(())
}
