//! Batches, payouts with their proofs, supply.

use axum::Json;
use axum::extract::State;
use io_settlement::batch::SettleBody;
use io_settlement::payout::{Tree, leaf};
use io_state_machine::genesis::{SCHEDULE, seconds};
use io_state_machine::tables::{ACCOUNTS, BRIDGE, CHAIN, CLOCK, SETTLEMENTS, TOTALS};
use io_types::api::{Page, PayoutFile, PayoutProof, Supply};
use io_types::row::Batch;
use io_types::{AccountId, Amount, Asset, BatchNumber, Hash, Holder, SystemAccount};

use super::Api;
use super::failure::Failure;
use super::pages::{Asked, Named, PageQuery, descending, found, the_row};

/// IO that exists at genesis, base units; the schedule gives the rest up to the maximum.
const GENESIS_SUPPLY: u64 = 50_000_000_000_000_000;

pub(super) async fn list(
    State(api): State<Api>,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<Batch>>, Failure> {
    let view = api.chain.machine.store().snapshot();
    let newest = the_row(&view, &BRIDGE)?.newest_batch;
    descending(&view, &SETTLEMENTS, &query, (newest.0, 1), BatchNumber).map(Json)
}

pub(super) async fn read(
    State(api): State<Api>,
    Named(number): Named<BatchNumber>,
) -> Result<Json<Batch>, Failure> {
    let view = api.chain.machine.store().snapshot();
    found(&view, &SETTLEMENTS, &number, || format!("batch {number}")).map(Json)
}

fn file(api: &Api, number: BatchNumber) -> Result<PayoutFile, Failure> {
    let file = api.chain.payouts.read(number)?;
    file.ok_or_else(|| {
        Failure::absent(format!(
            "this node has no leaf set of batch {number}; take a newer batch, or ask another node"
        ))
    })
}

pub(super) async fn payouts(
    State(api): State<Api>,
    Named(number): Named<BatchNumber>,
) -> Result<Json<PayoutFile>, Failure> {
    file(&api, number).map(Json)
}

pub(super) async fn payout(
    State(api): State<Api>,
    Named((number, asset, account)): Named<(BatchNumber, String, AccountId)>,
) -> Result<Json<PayoutProof>, Failure> {
    let asset: Asset = asset.parse().map_err(Failure::bad)?;
    let bridged = match asset {
        Asset::Io => io_settlement::Asset::Io,
        Asset::Usdc => io_settlement::Asset::Usdc,
        Asset::Credit => return Err(Failure::bad("credits never leave the chain")),
    };
    let view = api.chain.machine.store().snapshot();
    let batch = found(&view, &SETTLEMENTS, &number, || format!("batch {number}"))?;
    drop(view);
    let body = SettleBody::from_bytes(&batch.body).map_err(Failure::broken)?;
    let file = file(&api, number)?;
    let leaves = file
        .assets
        .get(usize::from(asset.number()))
        .map(Vec::as_slice)
        .unwrap_or_default();
    let own = leaves.iter().find(|leaf| leaf.account == account);
    let own =
        own.ok_or_else(|| Failure::absent(format!("batch {number} pays {account} no {asset}")))?;
    let hashes = leaves.iter().map(|one| {
        leaf(
            &body.chain_id,
            bridged,
            &one.account.0,
            one.cumulative.get(),
        )
    });
    let tree = Tree::new(hashes.collect());
    let siblings = tree
        .proof(own.index)
        .ok_or_else(|| Failure::broken("a leaf's index is not in its tree"))?;
    let promised = body
        .payouts
        .get(usize::from(asset.number()))
        .map(|payout| payout.root);
    if promised != Some(tree.root()) {
        return Err(Failure::broken(format!(
            "the leaf set of batch {number} has another root than the batch"
        )));
    }
    let leaves = u64::try_from(leaves.len()).map_err(Failure::broken)?;
    Ok(Json(PayoutProof {
        number,
        asset,
        account,
        cumulative: own.cumulative,
        index: own.index,
        leaves,
        siblings: siblings.into_iter().map(Hash).collect(),
        root: Hash(tree.root()),
    }))
}

fn read_supply(api: &Api) -> Result<Supply, Failure> {
    let view = api.chain.machine.store().snapshot();
    let facts = the_row(&view, &CHAIN)?;
    let clock = the_row(&view, &CLOCK)?;
    let totals = TOTALS.read(&view, &Asset::Io)?.unwrap_or_default();
    let mut system = Vec::new();
    let mut outside = 0_i128;
    for account in SystemAccount::ALL {
        let balance = ACCOUNTS
            .read(&view, &(Holder::System(account), Asset::Io))?
            .unwrap_or_default()
            .balance;
        if account == SystemAccount::Outside {
            outside = balance;
        } else if balance != 0 {
            system.push((
                account,
                Amount::new(u64::try_from(balance).map_err(Failure::broken)?),
            ));
        }
    }
    let bridge = the_row(&view, &BRIDGE)?;
    let burned = totals
        .burned
        .checked_add(totals.credit_burned)
        .ok_or_else(|| Failure::broken("burned overflows"))?;
    let on_chain = outside
        .checked_neg()
        .and_then(|units| u64::try_from(units).ok());
    Ok(Supply {
        max: Amount::new(GENESIS_SUPPLY.saturating_add(SCHEDULE.max())),
        emitted: Amount::new(
            SCHEDULE.emitted_at(seconds(facts.schedule_start.0), seconds(clock.chain_time.0)),
        ),
        emitted_here: totals.emitted,
        burned,
        on_chain: Amount::new(on_chain.ok_or_else(|| Failure::broken("the outside owes nothing"))?),
        system,
        staked: bridge.staked,
    })
}

pub(super) async fn supply(State(api): State<Api>) -> Result<Json<Supply>, Failure> {
    read_supply(&api).map(Json)
}

/// Whole IO with its decimals as a plain number, as price sites read it.
pub(super) async fn supply_number(
    State(api): State<Api>,
    Named(which): Named<String>,
) -> Result<String, Failure> {
    let supply = read_supply(&api)?;
    let total = Amount::new(
        GENESIS_SUPPLY
            .saturating_add(supply.emitted.get())
            .saturating_sub(supply.burned.get()),
    );
    // What the chain itself holds and what is staked does not circulate; payouts belong to their accounts.
    let own = supply
        .system
        .iter()
        .filter(|(account, _)| *account != SystemAccount::Payouts);
    let locked = own
        .map(|(_, amount)| amount.get())
        .fold(supply.staked.get(), u64::saturating_add);
    let amount = match which.as_str() {
        "max" => supply.max,
        "total" => total,
        "circulating" => Amount::new(total.get().saturating_sub(locked)),
        _other => {
            return Err(Failure::absent(format!(
                "there is no supply {which:?}: use max, total or circulating"
            )));
        }
    };
    let whole = amount.get().checked_div(100_000_000).unwrap_or(0);
    let rest = amount.get().checked_rem(100_000_000).unwrap_or(0);
    Ok(format!("{whole}.{rest:08}"))
}
