//! One account.

use std::ops::ControlFlow;

use axum::Json;
use axum::extract::State;
use io_state_machine::tables::{ACCOUNTS, LANES, PAYOUTS};
use io_types::api::{AccountView, BalanceView};
use io_types::{AccountId, Amount, Asset, Height, Holder};

use super::Api;
use super::failure::Failure;
use super::pages::Named;

/// Rewards shown at most; the rest comes into view as these are collected.
const ACCRUALS_MAX: usize = 1_000;

pub(super) async fn read(
    State(api): State<Api>,
    Named(account): Named<AccountId>,
) -> Result<Json<AccountView>, Failure> {
    let view = api.chain.machine.store().snapshot();
    let mut balances = Vec::new();
    for asset in Asset::ALL {
        let row = ACCOUNTS
            .read(&view, &(Holder::Account(account), asset))?
            .unwrap_or_default();
        let payout = PAYOUTS.read(&view, &(asset, account))?;
        if row.balance == 0 && payout.is_none() {
            continue;
        }
        let balance = u64::try_from(row.balance)
            .map_err(|_error| Failure::broken("an account's balance is negative"))?;
        let balance = Amount::new(balance);
        balances.push(BalanceView {
            asset,
            balance,
            held: row.held,
            available: balance.saturating_sub(row.held),
            payout,
        });
    }
    let mut lanes = Vec::new();
    LANES.visit(&view, Some(&(account, 0)), &mut |(owner, lane), row| {
        if owner != account {
            return ControlFlow::Break(());
        }
        lanes.push((lane, row.sequence));
        ControlFlow::Continue(())
    })?;
    let accruals = api.chain.machine.accruals(&view, account, ACCRUALS_MAX)?;
    Ok(Json(AccountView {
        account,
        balances,
        lanes,
        accruals,
        height: Height(view.height()),
    }))
}
