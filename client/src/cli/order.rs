//! `io order`: what a renter asks for.

use std::time::Duration;

use clap::Subcommand;
use io_client::money::{parse_usd, show, show_usd};
use io_client::types::action::{Action, CancelOrder, PlaceOrder, Spread};
use io_client::types::amount::MicroUsd;
use io_client::types::api::Quote;
use io_client::types::asset::Asset;
use io_client::types::catalogue::{Catalogue, CountryCode};
use io_client::types::event::Event;
use io_client::types::id::{AccountId, OrderId};
use io_client::types::row::{MatchReport, Order, OrderState};
use io_client::{ClientError, OrderFilter};

use super::context::Context;
use super::failure::Failure;
use super::money::OnceArgument;
use super::output::{Table, facts, say};
use super::values::{PageArguments, find_model, model_name, say_more, words};

/// How often an order is looked at while waiting for its match.
const LOOK_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Ask for processors. The highest cost is held until the order is filled, cancelled or expired.
    #[command(
        after_help = "Example:\n  $ io order place --model \"H100 SXM\" --quantity 8 --hours 2 --price-max 2.50 --pay io --wait"
    )]
    Place {
        #[command(flatten)]
        ask: Box<AskArguments>,
        /// Wait until it is filled or over, and show it
        #[arg(long)]
        wait: bool,
    },
    /// Show what an order would do if it were placed now. Nothing is sent.
    #[command(
        after_help = "Example:\n  $ io order quote --model \"H100 SXM\" --hours 2 --price-max 2.50 --pay usdc"
    )]
    Quote(Box<AskArguments>),
    /// Take back an open order.
    #[command(after_help = "Example:\n  $ io order cancel 12")]
    Cancel {
        /// Which order
        order: OrderId,
    },
    /// Show one order, and why it is not filled.
    #[command(after_help = "Example:\n  $ io order show 12")]
    Show {
        /// Which order
        order: OrderId,
    },
    /// List orders.
    #[command(after_help = "Example:\n  $ io order list --mine --open")]
    List {
        /// Only of this renter
        #[arg(long, value_name = "ACCOUNT", conflicts_with = "mine")]
        renter: Option<AccountId>,
        /// Only the wallet's own
        #[arg(long)]
        mine: bool,
        /// Only those that are open
        #[arg(long)]
        open: bool,
        #[command(flatten)]
        page: PageArguments,
    },
}

#[derive(Debug, clap::Args)]
struct AskArguments {
    /// Model by name or number; several are all accepted
    #[arg(long, required = true)]
    model: Vec<String>,
    /// Processors in all
    #[arg(long, default_value_t = 1)]
    quantity: u16,
    /// For how long
    #[arg(long)]
    hours: u16,
    /// Highest price, USD for each processor and hour
    #[arg(long, value_parser = parse_usd, value_name = "USD")]
    price_max: MicroUsd,
    /// What to pay with: io or usdc
    #[arg(long, value_name = "ASSET")]
    pay: Asset,
    /// Country accepted, two capital letters; several are all accepted; none means any
    #[arg(long)]
    country: Vec<CountryCode>,
    /// Least connectivity tier
    #[arg(long, default_value_t = 1, value_name = "TIER", value_parser = clap::value_parser!(u8).range(0..=4))]
    connectivity: u8,
    /// Least reputation, 0 to 10000
    #[arg(long, default_value_t = 0)]
    reputation: u16,
    /// Least compliance tier
    #[arg(long, default_value_t = 0, value_name = "TIER", value_parser = clap::value_parser!(u8).range(0..=3))]
    compliance: u8,
    /// any, one-supplier or one-country
    #[arg(long, default_value = "any", value_parser = spread)]
    spread: Spread,
    /// Blocks that it stays open
    #[arg(long, default_value_t = 100, value_name = "NUMBER")]
    open_blocks: u32,
    /// Devices may not be challenged while they serve
    #[arg(long)]
    no_pulse: bool,
    #[command(flatten)]
    once: OnceArgument,
}

fn spread(text: &str) -> Result<Spread, String> {
    let name = serde_json::Value::String(text.replace('-', "_"));
    serde_json::from_value(name)
        .map_err(|_error| format!("{text:?}: use any, one-supplier or one-country"))
}

impl AskArguments {
    fn order(&self, catalogue: &Catalogue) -> Result<PlaceOrder, Failure> {
        let models = self
            .model
            .iter()
            .map(|text| find_model(catalogue, text).map(|model| model.id));
        let mut models: Vec<_> = models.collect::<Result<_, _>>()?;
        models.sort_unstable();
        models.dedup();
        let mut countries = self.country.clone();
        countries.sort_unstable();
        countries.dedup();
        Ok(PlaceOrder {
            models,
            quantity: self.quantity,
            hours: self.hours,
            price_max: self.price_max,
            asset: self.pay,
            countries,
            connectivity_min: self.connectivity,
            reputation_min: self.reputation,
            compliance_min: self.compliance,
            spread: self.spread,
            open_blocks: self.open_blocks,
            pulse_ok: !self.no_pulse,
            client_id: self.once.get(),
        })
    }
}

pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.verb {
        Verb::Place { ask, wait } => place(context, ask, *wait).await,
        Verb::Quote(ask) => {
            let client = context.client()?;
            let order = ask.order(&client.catalogue().await?)?;
            let quote = client.quote(&order).await?;
            context
                .out
                .show(&quote, |quote| quote_text(quote, order.asset))
        }
        Verb::Cancel { order } => {
            let action = Action::CancelOrder(CancelOrder { order: *order });
            context.send(action).await?;
            Ok(())
        }
        Verb::Show { order } => {
            let client = context.client()?;
            let catalogue = client.catalogue().await?;
            let order = client.order(*order).await?;
            context
                .out
                .show(&order, |order| order_text(order, &catalogue))
        }
        Verb::List {
            renter,
            mine,
            open,
            page,
        } => {
            let client = context.client()?;
            let filter = OrderFilter {
                renter: if *mine {
                    Some(context.wallet()?.account())
                } else {
                    *renter
                },
                state: open.then(|| "open".to_owned()),
            };
            let catalogue = client.catalogue().await?;
            let page = client.orders(&filter, &page.request()).await?;
            context
                .out
                .show(&page, |page| list_text(&page.items, &catalogue))?;
            say_more(context.out, page.next.as_ref());
            Ok(())
        }
    }
}

async fn place(context: &Context, ask: &AskArguments, wait: bool) -> Result<(), Failure> {
    let client = context.client()?;
    let catalogue = client.catalogue().await?;
    let action = Action::PlaceOrder(ask.order(&catalogue)?);
    let result = context.send(action).await?;
    if !wait {
        return Ok(());
    }
    let placed = result.events.iter().find_map(|event| {
        if let Event::OrderPlaced { order, .. } = event {
            Some(*order)
        } else {
            None
        }
    });
    let id = placed.ok_or_else(|| ClientError::BadAnswer {
        url: client.url().to_owned(),
        why: "the order was taken, but no event names it".to_owned(),
    })?;
    say(&format!("waiting until order {id} is filled"));
    let order = loop {
        match client.order(id).await {
            Ok(order) if order.state != OrderState::Open => break order,
            // A node that is away for a moment is asked again.
            Err(error) if !error.is_passing() => return Err(error.into()),
            Ok(_) | Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    };
    context
        .out
        .show(&order, |order| order_text(order, &catalogue))?;
    match order.state {
        OrderState::Matched(_) => Ok(()),
        OrderState::Open | OrderState::Cancelled | OrderState::Expired => Err(Failure::Refused(
            format!("order {id} was not filled: it is {}", words(&order.state)),
        )),
    }
}

fn list_text(orders: &[Order], catalogue: &Catalogue) -> String {
    let mut table = Table::new(&[
        "order",
        "state",
        "models",
        "processors",
        "hours",
        "price max usd",
        "pay",
        "open through",
        "renter",
    ]);
    for order in orders {
        table.row(vec![
            order.id.to_string(),
            words(&order.state),
            models_text(order, catalogue),
            order.ask.quantity.to_string(),
            order.ask.hours.to_string(),
            show_usd(order.ask.price_max),
            order.ask.asset.to_string(),
            order.open_through.to_string(),
            order.renter.to_string(),
        ]);
    }
    table.text_or("there is no such order")
}

fn models_text(order: &Order, catalogue: &Catalogue) -> String {
    let names = order
        .ask
        .models
        .iter()
        .map(|model| model_name(catalogue, *model));
    names.collect::<Vec<_>>().join(", ")
}

fn order_text(order: &Order, catalogue: &Catalogue) -> String {
    let ask = &order.ask;
    let mut text = facts(&[
        ("order", order.id.to_string()),
        ("state", words(&order.state)),
        ("renter", order.renter.to_string()),
        (
            "asks for",
            format!(
                "{} × {} for {} hours",
                ask.quantity,
                models_text(order, catalogue),
                ask.hours
            ),
        ),
        (
            "price max",
            format!(
                "{} usd for each processor and hour, paid in {}",
                show_usd(ask.price_max),
                ask.asset
            ),
        ),
        (
            "open",
            format!(
                "from height {} through {}",
                order.entered, order.open_through
            ),
        ),
    ]);
    if let (OrderState::Open | OrderState::Expired, Some(report)) = (&order.state, &order.report) {
        text.push_str(&report_text(report));
    }
    text
}

fn quote_text(quote: &Quote, asset: Asset) -> String {
    if quote.devices.is_empty() {
        return format!("it would not fill now\n{}", report_text(&quote.report));
    }
    let money = |amount: Option<_>| {
        amount.map_or_else(|| "no fresh price".to_owned(), |amount| show(amount, asset))
    };
    facts(&[
        ("devices", words(&quote.devices)),
        ("cost without fees", format!("{} usd", show_usd(quote.cost))),
        ("cost with fees", money(quote.total)),
        ("held until the match", money(quote.hold)),
    ])
}

/// Why an order did not fill: how many devices each condition left out.
fn report_text(report: &MatchReport) -> String {
    let counts = [
        ("of another model", report.model),
        ("not ready", report.state),
        ("stake too low", report.stake),
        ("in another country", report.country),
        ("connectivity too low", report.connectivity),
        ("compliance too low", report.compliance),
        ("reputation too low", report.reputation),
        ("too dear", report.price),
        ("outside the best group", report.spread),
        ("too many or too few processors", report.quantity),
        ("not payable in that asset", report.desk),
    ];
    let mut text = format!(
        "at height {}, of {} devices:\n",
        report.height, report.devices
    );
    for (why, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        text.push_str(&format!("  {count} {why}\n"));
    }
    if report.no_price {
        text.push_str("  there is no fresh IO price: orders paid in IO wait\n");
    }
    if let Some(price) = report.fills_at {
        text.push_str(&format!(
            "  it would fill with --price-max {}\n",
            show_usd(price)
        ));
    }
    text
}
