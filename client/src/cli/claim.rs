//! `io claim`: what was withdrawn, out of the bridge on Solana.

use std::path::PathBuf;

use io_client::ClientError;
use io_client::money::show;
use io_client::solana::program::create_token_account;
use io_client::solana::{
    BridgeProgram, ClaimProof, Commitment, SolanaRpc, bridge_asset, pubkey, token_address,
};
use io_client::types::amount::Amount;
use io_client::types::api::PayoutFile;
use io_client::types::asset::Asset;
use io_client::types::id::{AccountId, BatchNumber};
use serde::Serialize;
use solana_keypair::Keypair;
use solana_signer::Signer as _;

use super::context::Context;
use super::failure::Failure;
use super::output::say;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  $ io claim\n  $ io claim io --file batch-42.json\n\n\
A claim is paid to the account's own token account, whoever sends it. Repeating it is harmless.\n\
With --file and --program no node is needed."
)]
pub(crate) struct Arguments {
    /// io or usdc; else both
    asset: Option<Asset>,
    /// For whom; else the wallet's account
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<AccountId>,
    /// Take the proof from this saved leaf set (io settlement file) instead of a node
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// What came of one asset.
#[derive(Debug, Serialize)]
struct Claimed {
    asset: Asset,
    account: AccountId,
    /// Everything that was ever withdrawn and settled.
    cumulative: Amount,
    /// Paid before.
    paid_before: Amount,
    /// Paid now.
    paid: Amount,
    /// Solana transaction; none if there was nothing new.
    signature: Option<String>,
}

pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let wallet = context.wallet()?;
    let account = arguments.account.unwrap_or_else(|| wallet.account());
    let rpc = context.solana()?;
    let bridge = context.bridge(&rpc).await?;
    let assets = match arguments.asset {
        Some(asset) => vec![asset],
        None => Asset::BRIDGED.to_vec(),
    };
    let mut results = Vec::new();
    for asset in assets {
        let Some(proof) = find_proof(context, arguments, &bridge, asset, account).await? else {
            continue;
        };
        results.push(claim(&rpc, &bridge, &wallet.keypair(), asset, &proof).await?);
    }
    if results.is_empty() && !context.out.is_json() {
        say(
            "no settled batch holds a payout of this account; withdraw first, then wait for the settlement",
        );
    }
    context
        .out
        .show(&results, |results| results.iter().map(text).collect())
}

fn text(claimed: &Claimed) -> String {
    let Claimed {
        asset,
        account,
        cumulative,
        paid_before,
        paid,
        signature,
    } = claimed;
    let money = |amount: &Amount| show(*amount, *asset);
    let Some(signature) = signature else {
        return format!(
            "nothing new: {} of {account} are paid already\n",
            money(paid_before)
        );
    };
    let due = cumulative
        .saturating_sub(*paid_before)
        .saturating_sub(*paid);
    let rest = if due.is_zero() {
        String::new()
    } else {
        format!("; {} stay due, claim again later", money(&due))
    };
    format!(
        "paid {} to {account}{rest}\nsignature {signature}\n",
        money(paid)
    )
}

/// The newest proof that Solana accepts, from the file or from the node. None if the account has no payout.
async fn find_proof(
    context: &Context,
    arguments: &Arguments,
    bridge: &BridgeProgram,
    asset: Asset,
    account: AccountId,
) -> Result<Option<ClaimProof>, Failure> {
    let number = bridge.bridge.last.number;
    let proof = if let Some(path) = &arguments.file {
        let invalid =
            |why: String| ClientError::invalid(format!("leaf set {}", path.display()), why);
        let text = std::fs::read_to_string(path).map_err(|error| invalid(error.to_string()))?;
        let file: PayoutFile =
            serde_json::from_str(&text).map_err(|error| invalid(error.to_string()))?;
        ClaimProof::from_file(
            &file,
            &bridge.bridge.config.chain_id,
            bridge_asset(asset)?,
            &account.0,
        )?
    } else if number == 0 {
        return Err(Failure::Refused(
            "no batch is settled on Solana yet: wait for the next settlement".to_owned(),
        ));
    } else {
        match context
            .client()?
            .payout_proof(BatchNumber(number), asset, account)
            .await
        {
            Ok(proof) => Some(ClaimProof::from_api(&proof)?),
            Err(ClientError::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        }
    };
    match proof {
        Some(proof) if !bridge.accepts(&proof) => Err(Failure::Refused(format!(
            "the proof leads to none of the last {} roots settled on Solana, the newest of batch {number}: fetch that one",
            io_settlement::account::ROOTS
        ))),
        proof => Ok(proof),
    }
}

async fn claim(
    rpc: &SolanaRpc,
    bridge: &BridgeProgram,
    payer: &Keypair,
    asset: Asset,
    proof: &ClaimProof,
) -> Result<Claimed, Failure> {
    let account = AccountId(proof.account);
    let paid = || bridge.paid(rpc, proof.asset, &proof.account, Commitment::Confirmed);
    let paid_before = paid().await?;
    let mut claimed = Claimed {
        asset,
        account,
        cumulative: Amount::new(proof.cumulative),
        paid_before: Amount::new(paid_before),
        paid: Amount::ZERO,
        signature: None,
    };
    if proof.cumulative <= paid_before {
        return Ok(claimed);
    }
    let owner = pubkey(&account);
    let mint = bridge.mint(proof.asset);
    let mut instructions = Vec::new();
    let token_account = token_address(&owner, &mint);
    if rpc
        .account(&token_account, Commitment::Confirmed)
        .await?
        .is_none()
    {
        instructions.push(create_token_account(&payer.pubkey(), &owner, &mint));
    }
    instructions.push(bridge.claim(&payer.pubkey(), proof, None)?);
    let landed = rpc
        .send_and_confirm(&instructions, &[payer], Commitment::Confirmed)
        .await?;
    claimed.paid = Amount::new(paid().await?.saturating_sub(paid_before));
    claimed.signature = Some(landed.signature.to_string());
    Ok(claimed)
}
