//! Pays accounts that asked for automatic payout.

use io_client::solana::program::{ClaimProof, bridge_asset, token_address};
use io_client::solana::{BridgeProgram, Commitment, address};
use io_client::{Client, ClientError};
use io_settlement::address::TOKEN_PROGRAM;
use io_types::id::BatchNumber;
use solana_pubkey::Pubkey;

use super::send::{Points, Sender};
use super::{ClaimFor, RelayError, Relayer, Step};

const POINTS: Points = ["relayer:before_claim", "relayer:after_claim"];

/// Claims for one account if enough is due and its token account exists.
pub(super) async fn pay(
    relayer: &Relayer,
    sender: &Sender<'_>,
    from: (&Client, &BridgeProgram),
    claim: &ClaimFor,
    steps: &mut Vec<Step>,
) -> Result<(), RelayError> {
    let (node, program) = from;
    let account = claim.account;
    let number = program.bridge.last.number;
    if number == 0 {
        return Ok(());
    }
    let asset = bridge_asset(claim.asset)?;
    let proof = match node
        .payout_proof(BatchNumber(number), claim.asset, account)
        .await
    {
        Ok(proof) => ClaimProof::from_api(&proof)?,
        // Nothing was ever withdrawn by the account, or the batch is not kept any more; the next one will be.
        Err(ClientError::NotFound { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if proof.account != account.0 || proof.asset != asset || !program.accepts(&proof) {
        steps.push(Step::Waiting(format!(
            "the payout proof of node {} for {account} leads to no settled root",
            node.url()
        )));
        return Ok(());
    }
    let paid = program
        .paid(&relayer.rpc, asset, &account.0, Commitment::Confirmed)
        .await?;
    let due = proof.cumulative.saturating_sub(paid);
    if due == 0 || due < claim.minimum {
        return Ok(());
    }
    let wallet = Pubkey::new_from_array(account.0);
    let destination = token_address(&wallet, &program.mint(asset));
    let found = relayer
        .rpc
        .account(&destination, Commitment::Confirmed)
        .await?;
    if found.is_none_or(|found| found.owner != address(TOKEN_PROGRAM)) {
        steps.push(Step::Waiting(format!(
            "{due} base units of {} wait for {account}, whose token account {destination} does not exist",
            claim.asset
        )));
        return Ok(());
    }
    let instruction = program.claim(&sender.address(), &proof, None)?;
    match sender
        .send(&[instruction], &[], POINTS)
        .await
        .map_err(RelayError::from)
    {
        Ok(landed) => steps.push(Step::Claimed {
            account,
            due,
            signature: landed.signature.to_string(),
        }),
        Err(error) if error.is_lost_race() => {}
        // One account's trouble must not keep the others waiting.
        Err(RelayError::Solana(error)) if error.is_refusal() => {
            steps.push(Step::Waiting(format!("claim for {account}: {error}")));
        }
        Err(error) => return Err(error),
    }
    Ok(())
}
