//! `io account`: balances and what belongs to them.

use io_client::money::{decimal_text, show};
use io_client::types::amount::Amount;
use io_client::types::api::AccountView;
use io_client::types::asset::Asset;
use io_client::types::id::AccountId;
use io_client::types::row::Payout;

use super::context::Context;
use super::failure::Failure;
use super::output::Table;
use super::values::instant;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  $ io account\n  $ io account 9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9PusVFin --json"
)]
pub(crate) struct Arguments {
    /// Whose; else the wallet's
    account: Option<AccountId>,
}

pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let account = context.account_or_own(arguments.account)?;
    let view = context.client()?.account(account).await?;
    context.out.show(&view, text)
}

fn text(view: &AccountView) -> String {
    let mut table = Table::new(&[
        "asset",
        "available",
        "held",
        "balance",
        "withdrawn",
        "in batches",
    ]);
    for row in &view.balances {
        let bare = |amount: Amount| decimal_text(amount.get(), row.asset.decimals());
        let payout = |part: fn(&Payout) -> Amount| {
            let payout = row.payout.as_ref();
            payout.map_or_else(|| "-".to_owned(), |payout| bare(part(payout)))
        };
        table.row(vec![
            row.asset.to_string(),
            bare(row.available),
            bare(row.held),
            bare(row.balance),
            payout(|payout| payout.pending),
            payout(|payout| payout.frozen),
        ]);
    }
    let mut text = format!("account {} at height {}\n", view.account, view.height);
    text.push_str(&table.text_or("it has no money on this chain"));
    if !view.accruals.is_empty() {
        let sum = view
            .accruals
            .iter()
            .try_fold(Amount::ZERO, |sum, (_, _, accrual)| {
                sum.checked_add(accrual.amount)
            });
        let last = view
            .accruals
            .iter()
            .map(|(_, _, accrual)| accrual.collectable_at.0)
            .max();
        text.push_str(&format!(
            "rewards not collected: {} in {} entries, all collectable by chain time {}\n",
            sum.map_or_else(|| "more than fits".to_owned(), |sum| show(sum, Asset::Io)),
            view.accruals.len(),
            instant(last.unwrap_or(0)),
        ));
    }
    text
}
