//! `io booking`: what an order became.

use std::time::Duration;

use clap::Subcommand;
use io_client::money::{show, show_usd};
use io_client::node::all_pages;
use io_client::types::action::{Action, EndBooking, NotDelivered};
use io_client::types::id::{AccountId, BookingId, DeviceId};
use io_client::types::row::{Booking, BookingState};
use io_client::{BookingFilter, unseal};
use serde::Serialize;

use super::context::Context;
use super::failure::Failure;
use super::output::{Table, facts};
use super::values::{PageArguments, instant, say_more, words};

/// How often a booking is looked at while waiting for its details.
const LOOK_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List bookings.
    #[command(after_help = "Example:\n  $ io booking list --mine\n  $ io booking list --device 7")]
    List {
        /// Only of this renter
        #[arg(long, value_name = "ACCOUNT", conflicts_with = "mine")]
        renter: Option<AccountId>,
        /// Only those that the wallet pays
        #[arg(long)]
        mine: bool,
        /// Only those that this supplier serves
        #[arg(long, value_name = "ACCOUNT")]
        supplier: Option<AccountId>,
        /// Only those of this device
        #[arg(long)]
        device: Option<DeviceId>,
        /// Only those that are not over: awaiting-delivery or serving
        #[arg(long, value_parser = state)]
        state: Option<BookingState>,
        #[command(flatten)]
        page: PageArguments,
    },
    /// Show one booking: devices, minutes, money.
    #[command(after_help = "Example:\n  $ io booking show 5\n  $ io booking show --newest")]
    Show(Which),
    /// Open the sealed connection details with the wallet that placed the order.
    #[command(after_help = "Example:\n  $ io booking open 5\n  $ io booking open --newest --wait")]
    Open {
        #[command(flatten)]
        which: Which,
        /// Wait until they are posted
        #[arg(long)]
        wait: bool,
    },
    /// End a booking early. Unserved minutes return; the first hour is paid.
    #[command(after_help = "Example:\n  $ io booking end 5\n  $ io booking end --newest")]
    End(Which),
    /// Say, once and soon after delivery, that nothing usable came.
    #[command(after_help = "Example:\n  $ io booking not-delivered 5")]
    NotDelivered(Which),
}

/// One booking.
#[derive(Debug, clap::Args)]
struct Which {
    /// Which booking
    #[arg(required_unless_present = "newest")]
    booking: Option<BookingId>,
    /// The newest that the wallet pays
    #[arg(long, conflicts_with = "booking")]
    newest: bool,
}

impl Which {
    async fn find(&self, context: &Context) -> Result<BookingId, Failure> {
        if let Some(booking) = self.booking {
            return Ok(booking);
        }
        let client = context.client()?;
        let filter = BookingFilter {
            renter: Some(context.wallet()?.account()),
            ..BookingFilter::default()
        };
        let all = all_pages(async |page| client.bookings(&filter, &page).await).await?;
        let newest = all.iter().map(|booking| booking.id).max();
        newest.ok_or_else(|| Failure::Refused("the wallet's account has no booking".to_owned()))
    }
}

fn state(text: &str) -> Result<BookingState, String> {
    let name = serde_json::Value::String(text.replace('-', "_"));
    serde_json::from_value(name).map_err(|error| error.to_string())
}

/// Connection details of one device.
#[derive(Debug, Serialize)]
struct Details {
    device: DeviceId,
    details: String,
}

pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let client = context.client()?;
    match &arguments.verb {
        Verb::List {
            renter,
            mine,
            supplier,
            device,
            state,
            page,
        } => {
            let filter = BookingFilter {
                renter: if *mine {
                    Some(context.wallet()?.account())
                } else {
                    *renter
                },
                supplier: *supplier,
                device: *device,
                state: *state,
            };
            let page = client.bookings(&filter, &page.request()).await?;
            context.out.show(&page, |page| list_text(&page.items))?;
            say_more(context.out, page.next.as_ref());
        }
        Verb::Show(which) => {
            let booking = client.booking(which.find(context).await?).await?;
            context.out.show(&booking, booking_text)?;
        }
        Verb::Open { which, wait } => open(context, which.find(context).await?, *wait).await?,
        Verb::End(which) => {
            let booking = which.find(context).await?;
            let action = Action::EndBooking(EndBooking { booking });
            context.send(action).await?;
        }
        Verb::NotDelivered(which) => {
            let booking = which.find(context).await?;
            let action = Action::NotDelivered(NotDelivered { booking });
            context.send(action).await?;
        }
    }
    Ok(())
}

async fn open(context: &Context, id: BookingId, wait: bool) -> Result<(), Failure> {
    let wallet = context.wallet()?;
    let client = context.client()?;
    let mut booking = client.booking(id).await?;
    while wait && booking.state == BookingState::AwaitingDelivery {
        tokio::time::sleep(LOOK_EVERY).await;
        booking = client.booking(id).await?;
    }
    let delivered = booking.parts.iter().filter(|part| !part.sealed.is_empty());
    let details = delivered.map(|part| {
        let plain = unseal(wallet.key(), &part.sealed)?;
        Ok(Details {
            device: part.device,
            details: String::from_utf8_lossy(&plain).into_owned(),
        })
    });
    let details: Vec<Details> = details.collect::<Result<_, Failure>>()?;
    if details.is_empty() {
        return Err(Failure::Refused(format!(
            "booking {id} has no connection details yet: delivery is due by chain time {}",
            instant(booking.deliver_by.0)
        )));
    }
    context.out.show(&details, |details| {
        let line = |one: &Details| format!("device {}: {}\n", one.device, one.details.trim_end());
        details.iter().map(line).collect()
    })
}

fn list_text(bookings: &[Booking]) -> String {
    let mut table = Table::new(&[
        "booking", "order", "state", "devices", "hours", "total", "matched", "renter",
    ]);
    for booking in bookings {
        let devices: Vec<String> = booking
            .parts
            .iter()
            .map(|part| part.device.to_string())
            .collect();
        table.row(vec![
            booking.id.to_string(),
            booking.order.to_string(),
            words(&booking.state),
            devices.join(" "),
            booking.hours.to_string(),
            show(booking.total, booking.asset),
            instant(booking.matched_at.0),
            booking.renter.to_string(),
        ]);
    }
    table.text_or("there is no such booking")
}

fn booking_text(booking: &Booking) -> String {
    let money = |amount| show(amount, booking.asset);
    let mut text = facts(&[
        ("booking", booking.id.to_string()),
        ("order", booking.order.to_string()),
        ("state", words(&booking.state)),
        ("renter", booking.renter.to_string()),
        ("hours", booking.hours.to_string()),
        ("taken in all", money(booking.total)),
        ("of it fees", money(booking.fees)),
        ("matched", instant(booking.matched_at.0)),
        ("delivery due", instant(booking.deliver_by.0)),
    ]);
    let mut table = Table::new(&[
        "device",
        "supplier",
        "ask usd",
        "processors",
        "part",
        "served min",
        "missed min",
        "paid",
        "state",
    ]);
    for part in &booking.parts {
        let state = match (&part.ended, part.delivered_at) {
            (Some((end, reason)), _) => {
                format!("{} ({} {})", words(end), reason.code(), words(reason))
            }
            (None, Some(since)) => format!("serving since {}", instant(since.0)),
            (None, None) => "awaiting delivery".to_owned(),
        };
        table.row(vec![
            part.device.to_string(),
            part.supplier.to_string(),
            show_usd(part.ask),
            part.quantity.to_string(),
            money(part.part),
            part.served.to_string(),
            part.slashed.to_string(),
            money(part.paid),
            state,
        ]);
    }
    text.push_str(&table.text_or("it has no device"));
    text
}
