//! Devices, orders, bookings, challenges, epochs.

use axum::Json;
use axum::extract::State;
use io_state_machine::context::BlockContext;
use io_state_machine::paged::{PER_ROW, PagedKey, first_of_row};
use io_state_machine::stake;
use io_state_machine::state::State as Rows;
use io_state_machine::tables::{
    BOOKINGS, CHAIN, CHALLENGES, CLOCK, COUNTERS, DEVICE_RESULTS, DEVICES, EPOCHS, ORDERS, STAKES,
    UPTIME,
};
use io_storage::View;
use io_types::action::PlaceOrder;
use io_types::api::{DeviceResultView, DeviceView, Page, Quote};
use io_types::row::{Booking, BookingState, Challenge, Device, EpochRow, Order, OrderState};
use io_types::{AccountId, BookingId, ChallengeId, DeviceId, Epoch, Hash, Height, OrderId};
use serde::Deserialize;
use serde_json::Value;

use super::Api;
use super::failure::Failure;
use super::pages::{Asked, Named, PageQuery, ascending, descending, found, the_row};

/// Rows of 64 results that one request looks at: a commit waits for who reads.
const RESULT_ROWS_MAX: usize = 256;

/// Filters come as text: an empty or unknown one is answered in our words.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Filter {
    owner: Option<String>,
    renter: Option<String>,
    supplier: Option<String>,
    device: Option<String>,
    verifier: Option<String>,
    model: Option<String>,
    state: Option<String>,
    stage: Option<String>,
    after: Option<String>,
    limit: Option<String>,
}

impl Filter {
    fn page(&self) -> PageQuery {
        PageQuery {
            after: self.after.clone(),
            limit: self.limit.clone(),
        }
    }
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    name: &str,
    text: Option<&String>,
) -> Result<Option<T>, Failure> {
    let parse = |text: &String| {
        text.parse()
            .map_err(|error| Failure::bad(format!("{name} = {text}: {error}")))
    };
    text.map(parse).transpose()
}

/// The name of an enum's variant as JSON shows it, whether or not it carries something.
fn variant(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(name)) => name,
        Ok(Value::Object(fields)) => fields.keys().next().cloned().unwrap_or_default(),
        Ok(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_)) | Err(_) => {
            String::new()
        }
    }
}

/// Reads what a device has, in the context of the block that would come next.
struct DeviceViews<'v> {
    view: &'v View<'v>,
    context: BlockContext,
}

impl<'v> DeviceViews<'v> {
    fn new(view: &'v View<'v>) -> Result<Self, Failure> {
        let clock = the_row(view, &CLOCK)?;
        let next = Height(view.height().saturating_add(1));
        let context = BlockContext::load(
            &Rows::new(view),
            next,
            clock.block_time,
            Hash(view.app_hash()),
        )?;
        Ok(Self { view, context })
    }

    fn of(&self, device: Device) -> Result<DeviceView, Failure> {
        Ok(DeviceView {
            stake: STAKES.read(self.view, &device.id)?,
            stake_min: stake::minimum(&self.context, &device),
            uptime: UPTIME.read(self.view, &device.id)?,
            device,
        })
    }
}

pub(super) async fn devices(
    State(api): State<Api>,
    Asked(filter): Asked<Filter>,
) -> Result<Json<Page<DeviceView>>, Failure> {
    let owner: Option<AccountId> = parsed("owner", filter.owner.as_ref())?;
    let model: Option<u64> = parsed("model", filter.model.as_ref())?;
    let view = api.chain.machine.store().snapshot();
    let views = DeviceViews::new(&view)?;
    ascending(&view, &DEVICES, &filter.page(), |device: Device| {
        let fits = owner.is_none_or(|owner| owner == device.owner)
            && model.is_none_or(|model| {
                serde_json::to_value(device.spec.model).is_ok_and(|id| id == model)
            })
            && filter
                .state
                .as_ref()
                .is_none_or(|state| *state == variant(&device.state));
        if fits {
            views.of(device).map(Some)
        } else {
            Ok(None)
        }
    })
    .map(Json)
}

pub(super) async fn device(
    State(api): State<Api>,
    Named(id): Named<DeviceId>,
) -> Result<Json<DeviceView>, Failure> {
    let view = api.chain.machine.store().snapshot();
    let device = found(&view, &DEVICES, &id, || format!("device {id}"))?;
    DeviceViews::new(&view)?.of(device).map(Json)
}

pub(super) async fn orders(
    State(api): State<Api>,
    Asked(filter): Asked<Filter>,
) -> Result<Json<Page<Order>>, Failure> {
    let renter: Option<AccountId> = parsed("renter", filter.renter.as_ref())?;
    let view = api.chain.machine.store().snapshot();
    ascending(&view, &ORDERS, &filter.page(), |order: Order| {
        let name = match order.state {
            OrderState::Open => "open",
            OrderState::Matched(_) => "matched",
            OrderState::Cancelled => "cancelled",
            OrderState::Expired => "expired",
        };
        let fits = renter.is_none_or(|renter| renter == order.renter)
            && filter.state.as_ref().is_none_or(|state| state == name);
        Ok(fits.then_some(order))
    })
    .map(Json)
}

pub(super) async fn order(
    State(api): State<Api>,
    Named(id): Named<OrderId>,
) -> Result<Json<Order>, Failure> {
    let view = api.chain.machine.store().snapshot();
    found(&view, &ORDERS, &id, || format!("order {id}")).map(Json)
}

pub(super) async fn quote(
    State(api): State<Api>,
    body: axum::body::Bytes,
) -> Result<Json<Quote>, Failure> {
    let order: PlaceOrder = serde_json::from_slice(&body)
        .map_err(|error| Failure::bad(format!("no order: {error}")))?;
    let _no_commit = api.chain.between_commits();
    Ok(Json(api.chain.machine.quote(&order)??))
}

pub(super) async fn bookings(
    State(api): State<Api>,
    Asked(filter): Asked<Filter>,
) -> Result<Json<Page<Booking>>, Failure> {
    let renter: Option<AccountId> = parsed("renter", filter.renter.as_ref())?;
    let supplier: Option<AccountId> = parsed("supplier", filter.supplier.as_ref())?;
    let device: Option<DeviceId> = parsed("device", filter.device.as_ref())?;
    let view = api.chain.machine.store().snapshot();
    ascending(&view, &BOOKINGS, &filter.page(), |booking: Booking| {
        let name = match booking.state {
            BookingState::AwaitingDelivery => "awaiting_delivery",
            BookingState::Serving => "serving",
            BookingState::Ended => "ended",
        };
        let fits = renter.is_none_or(|renter| renter == booking.renter)
            && supplier
                .is_none_or(|supplier| booking.parts.iter().any(|part| part.supplier == supplier))
            && device.is_none_or(|device| booking.parts.iter().any(|part| part.device == device))
            && filter.state.as_ref().is_none_or(|state| state == name);
        Ok(fits.then_some(booking))
    })
    .map(Json)
}

pub(super) async fn booking(
    State(api): State<Api>,
    Named(id): Named<BookingId>,
) -> Result<Json<Booking>, Failure> {
    let view = api.chain.machine.store().snapshot();
    found(&view, &BOOKINGS, &id, || format!("booking {id}")).map(Json)
}

pub(super) async fn challenges(
    State(api): State<Api>,
    Asked(filter): Asked<Filter>,
) -> Result<Json<Page<Challenge>>, Failure> {
    let device: Option<DeviceId> = parsed("device", filter.device.as_ref())?;
    let verifier: Option<AccountId> = parsed("verifier", filter.verifier.as_ref())?;
    let view = api.chain.machine.store().snapshot();
    ascending(
        &view,
        &CHALLENGES,
        &filter.page(),
        |challenge: Challenge| {
            let fits = device.is_none_or(|device| device == challenge.device)
                && verifier.is_none_or(|verifier| {
                    challenge
                        .verifiers
                        .iter()
                        .any(|drawn| drawn.account == verifier)
                })
                && filter
                    .stage
                    .as_ref()
                    .is_none_or(|stage| *stage == variant(&challenge.stage));
            Ok(fits.then_some(challenge))
        },
    )
    .map(Json)
}

pub(super) async fn challenge(
    State(api): State<Api>,
    Named(id): Named<ChallengeId>,
) -> Result<Json<Challenge>, Failure> {
    let view = api.chain.machine.store().snapshot();
    found(&view, &CHALLENGES, &id, || format!("challenge {id}")).map(Json)
}

pub(super) async fn epochs(
    State(api): State<Api>,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<EpochRow>>, Failure> {
    let view = api.chain.machine.store().snapshot();
    let newest = the_row(&view, &CLOCK)?.chain_time.epoch();
    let oldest = the_row(&view, &CHAIN)?.scale.chain_start.epoch();
    descending(&view, &EPOCHS, &query, (newest.0, oldest.0), Epoch).map(Json)
}

pub(super) async fn epoch(
    State(api): State<Api>,
    Named(epoch): Named<Epoch>,
) -> Result<Json<EpochRow>, Failure> {
    let view = api.chain.machine.store().snapshot();
    found(&view, &EPOCHS, &epoch, || format!("row of epoch {epoch}")).map(Json)
}

pub(super) async fn epoch_devices(
    State(api): State<Api>,
    Named(epoch): Named<Epoch>,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<DeviceResultView>>, Failure> {
    let (limit, after) = (query.limit()?, query.after::<DeviceId>()?);
    let view = api.chain.machine.store().snapshot();
    let last = COUNTERS.read(&view, &())?.unwrap_or_default().device;
    // Before it is opened nothing is known of an epoch.
    let is_known = EPOCHS.read(&view, &epoch)?.is_some();
    let (mut items, mut looked) = (Vec::new(), after.map_or(0, |after| after.0));
    for _row in 0..RESULT_ROWS_MAX {
        if items.len() >= limit || looked >= last || !is_known {
            break;
        }
        let from = (DeviceId(looked.saturating_add(1)), epoch);
        let end = first_of_row(from.0).0.saturating_add(PER_ROW);
        let page = DEVICE_RESULTS.pages(&view, &from, &from)?.pop();
        for id in from.0.0..end {
            if items.len() >= limit {
                break;
            }
            looked = id;
            let device = DeviceId(id);
            let row = page.as_ref().map(|(_first, page)| page.get(device.place()));
            if let Some(row) = row.transpose()?.flatten() {
                let result = row.result;
                items.push(DeviceResultView { device, result });
            }
        }
    }
    let next = (is_known && looked < last).then(|| looked.to_string());
    Ok(Json(Page {
        items,
        next,
        height: Height(view.height()),
    }))
}
