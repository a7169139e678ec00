//! `io device`: a supplier's machines.

use clap::Subcommand;
use io_client::money::{parse_usd, show, show_usd};
use io_client::types::action::{
    Action, DeviceSpec, PauseDevice, RegisterDevice, RequestChallenge, ResumeDevice, RetireDevice,
    UpdateDevice, consent,
};
use io_client::types::amount::MicroUsd;
use io_client::types::api::DeviceView;
use io_client::types::asset::Asset;
use io_client::types::catalogue::{Catalogue, CountryCode};
use io_client::types::id::{AccountId, DeviceId, Signature};
use io_client::types::row::DeviceState;
use io_client::{DeviceFilter, Wallet};

use super::context::Context;
use super::failure::Failure;
use super::money::OnceArgument;
use super::output::{Table, facts};
use super::values::{PageArguments, find_model, instant, model_name, say_more, words};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Register a device of the wallet's account.
    #[command(
        after_help = "Example:\n  $ io device register --model \"H100 SXM\" --quantity 8 --country DE --ask 2.10 \
--device-key worker.json"
    )]
    Register(Box<RegisterArguments>),
    /// Change price or payout asset; what is not given stays.
    #[command(after_help = "Example:\n  $ io device update 7 --ask 1.95")]
    Update {
        /// Which device
        device: DeviceId,
        /// New price, USD for each processor and hour
        #[arg(long, value_parser = parse_usd, value_name = "USD")]
        ask: Option<MicroUsd>,
        /// New payout asset: io or usdc
        #[arg(long, value_name = "ASSET")]
        payout: Option<Asset>,
    },
    /// Take a device off the market.
    #[command(after_help = "Example:\n  $ io device pause 7")]
    Pause {
        /// Which device
        device: DeviceId,
    },
    /// Put a paused device back.
    #[command(after_help = "Example:\n  $ io device resume 7")]
    Resume {
        /// Which device
        device: DeviceId,
    },
    /// End a device for good. Its stake is not touched.
    #[command(after_help = "Example:\n  $ io device retire 7")]
    Retire {
        /// Which device
        device: DeviceId,
    },
    /// Ask for a new challenge of a device that failed its last one.
    #[command(after_help = "Example:\n  $ io device challenge 7")]
    Challenge {
        /// Which device
        device: DeviceId,
    },
    /// List devices.
    #[command(
        after_help = "Example:\n  $ io device list --mine\n  $ io device list --state ready --model \"H100 SXM\""
    )]
    List {
        /// Only of this owner
        #[arg(long, value_name = "ACCOUNT", conflicts_with = "mine")]
        owner: Option<AccountId>,
        /// Only the wallet's own
        #[arg(long)]
        mine: bool,
        /// Only in this state
        #[arg(long, value_parser = state)]
        state: Option<DeviceState>,
        /// Only of this model, by name or number
        #[arg(long)]
        model: Option<String>,
        #[command(flatten)]
        page: PageArguments,
    },
    /// Show one device.
    #[command(after_help = "Example:\n  $ io device show 7")]
    Show {
        /// Which device
        device: DeviceId,
    },
    /// List the models of the catalogue.
    #[command(after_help = "Example:\n  $ io device models")]
    Models,
}

#[derive(Debug, clap::Args)]
struct RegisterArguments {
    /// Model by name or number: see `io device models`
    #[arg(long)]
    model: String,
    /// Processors, all of that model
    #[arg(long, default_value_t = 1)]
    quantity: u16,
    /// Memory of one processor, MiB; else that of the model
    #[arg(long, value_name = "MIB")]
    vram: Option<u32>,
    /// Where it stands: two capital letters
    #[arg(long)]
    country: CountryCode,
    /// Connectivity tier: 0 not eligible, 1 low, 2 medium, 3 high, 4 ultra high
    #[arg(long, default_value_t = 2, value_name = "TIER", value_parser = clap::value_parser!(u8).range(0..=4))]
    connectivity: u8,
    /// Price, USD for each processor and hour
    #[arg(long, value_parser = parse_usd, value_name = "USD")]
    ask: MicroUsd,
    /// What to be paid in: io or usdc
    #[arg(long, default_value_t = Asset::Io, value_name = "ASSET")]
    payout: Asset,
    /// Key of the worker on the device: its key file, or its address with --consent
    #[arg(long, value_name = "ADDRESS|FILE")]
    device_key: String,
    /// Signature of the worker's key, as `io-worker consent` prints it
    #[arg(long, value_name = "SIGNATURE")]
    consent: Option<Signature>,
    #[command(flatten)]
    once: OnceArgument,
}

fn state(text: &str) -> Result<DeviceState, String> {
    let name = serde_json::Value::String(text.to_lowercase());
    serde_json::from_value(name).map_err(|error| error.to_string())
}

pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let action = match &arguments.verb {
        Verb::Register(arguments) => register(context, arguments).await?,
        Verb::Update {
            device,
            ask,
            payout,
        } => {
            let spec = context.client()?.device(*device).await?.device.spec;
            Action::UpdateDevice(UpdateDevice {
                device: *device,
                ask: ask.unwrap_or(spec.ask),
                payout_asset: payout.unwrap_or(spec.payout_asset),
            })
        }
        Verb::Pause { device } => Action::PauseDevice(PauseDevice { device: *device }),
        Verb::Resume { device } => Action::ResumeDevice(ResumeDevice { device: *device }),
        Verb::Retire { device } => Action::RetireDevice(RetireDevice { device: *device }),
        Verb::Challenge { device } => {
            Action::RequestChallenge(RequestChallenge { device: *device })
        }
        Verb::List { .. } | Verb::Show { .. } | Verb::Models => {
            return look(context, &arguments.verb).await;
        }
    };
    context.send(action).await?;
    Ok(())
}

async fn register(context: &Context, arguments: &RegisterArguments) -> Result<Action, Failure> {
    let client = context.client()?;
    let catalogue = client.catalogue().await?;
    let model = find_model(&catalogue, &arguments.model)?;
    let (device_key, consent) = match (arguments.device_key.parse::<AccountId>(), arguments.consent)
    {
        (Ok(address), Some(consent)) => (address, consent),
        (Ok(address), None) => {
            return Err(Failure::Refused(format!(
                "device key {address}: its consent is missing; run `io-worker consent --owner {}` where that key is, and add what it prints",
                context.wallet()?.account()
            )));
        }
        (Err(_), given) => {
            let worker = Wallet::load(&arguments.device_key)?;
            let owner = context.wallet()?.account();
            let chain_id = client.status().await?.chain_id;
            let own = || consent(worker.key(), &chain_id, &owner);
            (worker.account(), given.unwrap_or_else(own))
        }
    };
    Ok(Action::RegisterDevice(RegisterDevice {
        spec: DeviceSpec {
            model: model.id,
            quantity: arguments.quantity,
            vram_mib: arguments.vram.unwrap_or(model.vram_mib),
            country: arguments.country,
            connectivity: arguments.connectivity,
            ask: arguments.ask,
            payout_asset: arguments.payout,
        },
        device_key,
        consent,
        client_id: arguments.once.get(),
    }))
}

async fn look(context: &Context, verb: &Verb) -> Result<(), Failure> {
    let client = context.client()?;
    let catalogue = client.catalogue().await?;
    match verb {
        Verb::List {
            owner,
            mine,
            state,
            model,
            page,
        } => {
            let owner = if *mine {
                Some(context.wallet()?.account())
            } else {
                *owner
            };
            let model = model
                .as_deref()
                .map(|text| find_model(&catalogue, text))
                .transpose()?;
            let filter = DeviceFilter {
                owner,
                state: *state,
                model: model.map(|model| model.id),
            };
            let page = client.devices(&filter, &page.request()).await?;
            context
                .out
                .show(&page, |page| list_text(&page.items, &catalogue))?;
            say_more(context.out, page.next.as_ref());
            Ok(())
        }
        Verb::Show { device } => {
            let view = client.device(*device).await?;
            context
                .out
                .show(&view, |view| device_text(view, &catalogue))
        }
        Verb::Models
        | Verb::Register(_)
        | Verb::Update { .. }
        | Verb::Pause { .. }
        | Verb::Resume { .. }
        | Verb::Retire { .. }
        | Verb::Challenge { .. } => context.out.show(&catalogue, models_text),
    }
}

fn models_text(catalogue: &Catalogue) -> String {
    let mut table = Table::new(&[
        "model",
        "name",
        "pool",
        "multiplier",
        "memory MiB",
        "floor usd",
        "ceiling usd",
    ]);
    for model in &catalogue.models {
        table.row(vec![
            model.id.0.to_string(),
            model.name.clone(),
            words(&model.pool),
            io_client::money::decimal_text(model.multiplier_milli.into(), 3),
            model.vram_mib.to_string(),
            show_usd(model.price_floor),
            show_usd(model.price_ceiling),
        ]);
    }
    table.text_or("the catalogue is empty")
}

fn list_text(devices: &[DeviceView], catalogue: &Catalogue) -> String {
    let mut table = Table::new(&[
        "device",
        "model",
        "processors",
        "state",
        "ask usd",
        "country",
        "reputation",
        "stake",
        "owner",
    ]);
    for view in devices {
        let device = &view.device;
        table.row(vec![
            device.id.to_string(),
            model_name(catalogue, device.spec.model),
            device.spec.quantity.to_string(),
            words(&device.state),
            show_usd(device.spec.ask),
            device.spec.country.to_string(),
            device.reputation.to_string(),
            view.stake
                .as_ref()
                .map_or_else(|| "-".to_owned(), |stake| show(stake.amount, Asset::Io)),
            device.owner.to_string(),
        ]);
    }
    table.text_or("there is no such device")
}

fn device_text(view: &DeviceView, catalogue: &Catalogue) -> String {
    let device = &view.device;
    let stake = view.stake.as_ref().map_or_else(
        || "none".to_owned(),
        |stake| {
            let exit = stake
                .exit
                .map(|exit| format!(", in cooldown until {}", instant(exit.ends.0)));
            format!(
                "{} by {}{}",
                show(stake.amount, Asset::Io),
                stake.staker,
                exit.unwrap_or_default()
            )
        },
    );
    let uptime = view.uptime.as_ref().map_or_else(
        || "no hash chain is registered".to_owned(),
        |uptime| {
            format!(
                "{} full epochs in a row, chain up to slot {}",
                uptime.full_epochs, uptime.last_slot
            )
        },
    );
    let last = match (device.last_failed, device.passed_at) {
        (true, _) => "failed".to_owned(),
        (false, Some(at)) => format!("passed at {}", instant(at.0)),
        (false, None) => "none decided yet".to_owned(),
    };
    facts(&[
        ("device", device.id.to_string()),
        ("owner", device.owner.to_string()),
        ("device key", device.device_key.to_string()),
        (
            "model",
            format!(
                "{} × {}",
                device.spec.quantity,
                model_name(catalogue, device.spec.model)
            ),
        ),
        (
            "state",
            format!(
                "{} since {} (reason {} {})",
                words(&device.state),
                instant(device.since.0),
                device.reason.code(),
                words(&device.reason)
            ),
        ),
        (
            "ask",
            format!(
                "{} usd for each processor and hour, paid in {}",
                show_usd(device.spec.ask),
                device.spec.payout_asset
            ),
        ),
        (
            "place",
            format!(
                "{}, connectivity {}, compliance {}",
                device.spec.country, device.spec.connectivity, device.compliance
            ),
        ),
        ("reputation", format!("{} of 10000", device.reputation)),
        ("class granted", words(&device.class)),
        ("last challenge", last),
        ("challenge running", words(&device.challenge)),
        ("booking", words(&device.booking)),
        ("stake", stake),
        ("least stake", show(view.stake_min, Asset::Io)),
        ("uptime", uptime),
    ])
}
