//! `io deposit`: tokens into the bridge on Solana, then the wait until this chain has credited them.

use std::time::Duration;

use io_client::ClientError;
use io_client::money::{Money, show};
use io_client::solana::{
    BridgeProgram, Commitment, Landed, SolanaRpc, bridge_asset, pubkey, token_address,
};
use io_client::types::amount::Amount;
use io_client::types::id::AccountId;
use io_settlement::deposit::Queue;
use serde::Serialize;
use solana_pubkey::Pubkey;
use solana_signer::Signer as _;

use super::context::Context;
use super::failure::Failure;
use super::output::say;
use super::values::AmountArgument;

/// How often Solana and the node are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Looks for the record after the transaction is in a block: endpoints may lag each other.
const RECORD_LOOKS: u32 = 20;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  $ io deposit 12.5 io\n  $ io deposit 100 usdc --to 9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9PusVFin --no-wait"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    amount: AmountArgument,
    /// Account to credit; else the wallet's
    #[arg(long, value_name = "ACCOUNT")]
    to: Option<AccountId>,
    /// Do not wait until it is credited
    #[arg(long)]
    no_wait: bool,
    /// Seconds to wait
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    timeout: u64,
}

/// What is printed at the end.
#[derive(Debug, Serialize)]
struct Done {
    /// Solana transaction.
    signature: String,
    /// Number of the deposit.
    number: u64,
    /// Account that is credited.
    account: AccountId,
    /// Whether this chain has credited it.
    credited: bool,
    /// What the account can spend of the asset now.
    available: Option<Amount>,
}

pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let money = arguments.amount.money()?;
    let wallet = context.wallet()?;
    let to = arguments.to.unwrap_or_else(|| wallet.account());
    if to.verifying_key().is_none() {
        let why = "it is no valid ed25519 key: what is sent to it would end in suspense";
        return Err(ClientError::invalid(format!("account {to}"), why).into());
    }
    let rpc = context.solana()?;
    let bridge = context.bridge(&rpc).await?;
    let landed = pay(&rpc, &bridge, &wallet.keypair(), money, to).await?;
    let signature = landed.signature.to_string();
    say(&format!("signature {signature}"));
    say(&format!("in a block of Solana, slot {}", landed.slot));

    let depositor = pubkey(&wallet.account());
    let number = record_number(&rpc, &bridge, &depositor, money, to, landed).await?;
    say(&format!("deposit number {number}"));
    let mut done = Done {
        signature,
        number,
        account: to,
        credited: false,
        available: None,
    };
    if !arguments.no_wait {
        let patience = Duration::from_secs(arguments.timeout);
        await_credit(context, &rpc, number, landed, patience).await?;
        let view = context.client()?.account(to).await?;
        let row = view.balances.iter().find(|row| row.asset == money.asset);
        done.credited = true;
        done.available = row.map(|row| row.available);
    }
    context.out.show(&done, |done| text(done, money))
}

fn text(done: &Done, money: Money) -> String {
    match done.available {
        Some(available) => format!(
            "credited {money} to {}, which can now spend {}\nsignature {}\n",
            done.account,
            show(available, money.asset),
            done.signature
        ),
        None => format!(
            "sent {money} as deposit {}\nsignature {}\n",
            done.number, done.signature
        ),
    }
}

/// Sends the deposit from the payer's associated token account.
async fn pay(
    rpc: &SolanaRpc,
    bridge: &BridgeProgram,
    payer: &solana_keypair::Keypair,
    money: Money,
    to: AccountId,
) -> Result<Landed, Failure> {
    let asset = bridge_asset(money.asset)?;
    let mint = bridge.mint(asset);
    let source = token_address(&payer.pubkey(), &mint);
    let refused = |why: String| Failure::Refused(format!("token account {source}: {why}"));
    if rpc.account(&source, Commitment::Confirmed).await?.is_none() {
        return Err(refused(format!(
            "wallet {} has no {} on Solana: its token account does not exist",
            payer.pubkey(),
            money.asset
        )));
    }
    let has = rpc
        .token_balance(&source, Commitment::Confirmed)
        .await?
        .amount;
    if has < money.amount.get() {
        return Err(refused(format!(
            "it has {}, {money} are to be deposited",
            show(Amount::new(has), money.asset)
        )));
    }
    let instruction = bridge.deposit(&payer.pubkey(), &source, asset, money.amount.get(), to.0)?;
    Ok(rpc
        .send_and_confirm(&[instruction], &[payer], Commitment::Confirmed)
        .await?)
}

/// Finds the record that the program made of it.
async fn record_number(
    rpc: &SolanaRpc,
    bridge: &BridgeProgram,
    depositor: &Pubkey,
    money: Money,
    to: AccountId,
    landed: Landed,
) -> Result<u64, Failure> {
    let asset = bridge_asset(money.asset)?.byte();
    let addresses = [
        bridge.address,
        Pubkey::new_from_array(bridge.bridge.config.queue),
    ];
    for _ in 0..RECORD_LOOKS {
        let read = rpc
            .accounts(&addresses, Commitment::Confirmed, None)
            .await?;
        if let [Some(account), Some(queue)] = read.value.as_slice() {
            let broken = |error: io_settlement::Error| {
                Failure::Broken(format!("bridge {}: {error}", bridge.address))
            };
            let state = io_settlement::account::Bridge::read(&account.data)
                .map_err(broken)?
                .state;
            let queue = Queue::new(&queue.data).map_err(broken)?;
            let found = (state.freed_number..=state.deposit_number)
                .rev()
                .find(|number| {
                    queue.slot(*number).is_some_and(|slot| {
                        let record = slot.record;
                        record.slot == landed.slot
                            && record.asset == asset
                            && record.account == to.0
                            && record.depositor == depositor.to_bytes()
                    })
                });
            if let Some(number) = found {
                return Ok(number);
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Err(Failure::Broken(format!(
        "the deposit {} is in Solana's slot {}, but its record was not found; it is not lost: look with `io account {to}`",
        landed.signature, landed.slot
    )))
}

/// Waits until the chain has credited the deposit, and tells what it waits for.
async fn await_credit(
    context: &Context,
    rpc: &SolanaRpc,
    number: u64,
    landed: Landed,
    patience: Duration,
) -> Result<(), Failure> {
    let client = context.client()?;
    let started = tokio::time::Instant::now();
    let mut is_final = false;
    say("waiting until it is final on Solana");
    loop {
        match client.bridge().await {
            Ok(bridge) if bridge.deposit_number >= number => return Ok(()),
            // A node that is away for a moment is asked again.
            Err(error) if !error.is_passing() => return Err(error.into()),
            Ok(_) | Err(_) => {}
        }
        if !is_final {
            // A pause of the endpoint delays the words, not the credit: the validators read their own.
            let slot = rpc.slot(Commitment::Finalized).await;
            is_final = slot.is_ok_and(|slot| slot >= landed.slot);
            if is_final {
                say(
                    "final on Solana; waiting until validators with more than 2/3 of the power have seen it",
                );
            }
        }
        if started.elapsed() > patience {
            let why = if is_final {
                "final on Solana"
            } else {
                "not yet final on Solana"
            };
            return Err(Failure::Broken(format!(
                "deposit {number} is {why} and not credited after {} s; it is not lost, and is credited once the validators see it",
                patience.as_secs()
            )));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
