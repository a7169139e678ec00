//! Whether a transaction may enter: form, chain, key, signature, lane, sequence, expiry, duty, fee. In that order.

use std::collections::BTreeMap;

use io_types::transaction::ACTIONS_MAX;
use io_types::{AccountId, Amount, Asset, Rejection, Transaction, TransactionBody};

use crate::context::BlockContext;
use crate::dispatch;
use crate::error::ActionError;
use crate::ledger;
use crate::state::State;
use crate::tables::LANES;

/// A decoded transaction whose signature was checked.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The transaction.
    pub body: TransactionBody,
}

/// Decodes and checks the signature: all that needs no state and much time.
///
/// Rejections in order: 103-tag 113, 101, 104, 103.
pub fn open(bytes: &[u8]) -> Result<Signed, Rejection> {
    if io_types::extension::InjectedCommit::is_tagged(bytes) {
        return Err(Rejection::ReservedTag);
    }
    let Transaction { body, signature } =
        Transaction::decode(bytes).map_err(|error| Rejection::Undecodable {
            why: error.to_string(),
        })?;
    let Some(key) = body.signer.verifying_key() else {
        return Err(Rejection::BadKey {
            account: body.signer,
        });
    };
    if !AccountId::verify_with(&key, &body.sign_bytes(), &signature) {
        return Err(Rejection::BadSignature {
            signer: body.signer,
        });
    }
    Ok(Signed { body })
}

/// Sequences of transactions that wait in the mempool, by signer and lane: the last one of each.
pub type Pending = BTreeMap<(AccountId, u16), u64>;

/// Checks the rest against the state.
///
/// Rejections in order: 102, 108, 109, 112, 105, 106, 107, 115, each action's stateless rules, duties (116 and
/// the component's own), 110, 111. Says the fee.
pub fn check(
    signed: &Signed,
    block: &BlockContext,
    state: &State<'_>,
    pending: Option<&Pending>,
) -> Result<Amount, ActionError> {
    check_form(&signed.body, block)?;
    check_sequence(&signed.body, state, pending)?;
    check_expiry(&signed.body, block)?;
    if check_actions(signed, block, state)? {
        return Ok(Amount::ZERO);
    }
    let (fee, max) = (block.params.admission.fee, signed.body.fee_max);
    if fee > max {
        return Err(Rejection::FeeAboveLimit { fee, max }.into());
    }
    let available = ledger::available(state, signed.body.signer, Asset::Io)?;
    if available < fee {
        return Err(Rejection::FeeUnpaid { fee, available }.into());
    }
    Ok(fee)
}

/// Rejections in order: 102, 108, 109, 112.
fn check_form(body: &TransactionBody, block: &BlockContext) -> Result<(), Rejection> {
    let (got, want) = (&body.chain_id, &block.facts.chain_id);
    if got != want {
        let (got, want) = (got.clone(), want.clone());
        return Err(Rejection::WrongChain { got, want });
    }
    let (count, max) = (body.actions.len(), ACTIONS_MAX);
    if count == 0 {
        return Err(Rejection::NoActions { max });
    }
    if count > max {
        return Err(Rejection::TooManyActions { count, max });
    }
    let (lane, lanes) = (body.lane, block.params.admission.lanes);
    if lane >= lanes {
        return Err(Rejection::NoSuchLane { lane, lanes });
    }
    Ok(())
}

/// Rejections: 105.
fn check_sequence(
    body: &TransactionBody,
    state: &State<'_>,
    pending: Option<&Pending>,
) -> Result<(), ActionError> {
    let (lane, got) = (body.lane, body.sequence);
    let key = (body.signer, lane);
    let used = LANES.get(state, &key)?.unwrap_or_default().sequence;
    let waiting = pending.and_then(|pending| pending.get(&key)).copied();
    let want = waiting
        .map_or(used, |waiting| waiting.max(used))
        .saturating_add(1);
    if got != want {
        return Err(Rejection::WrongSequence { lane, got, want }.into());
    }
    Ok(())
}

/// Rejections in order: 106, 107.
fn check_expiry(body: &TransactionBody, block: &BlockContext) -> Result<(), Rejection> {
    let (expires, height) = (body.expires, block.height);
    if expires < height {
        return Err(Rejection::Expired { expires, height });
    }
    let ahead = block.params.admission.expiry_blocks_max;
    let max = io_types::Height(height.0.saturating_add(ahead));
    if expires > max {
        return Err(Rejection::ExpiresTooLate { expires, max });
    }
    Ok(())
}

/// Whether the transaction is a duty; checks the stateless rules of every action, and that duties are due.
fn check_actions(
    signed: &Signed,
    block: &BlockContext,
    state: &State<'_>,
) -> Result<bool, ActionError> {
    let TransactionBody {
        signer, actions, ..
    } = &signed.body;
    let duties = actions.iter().filter(|action| action.is_duty()).count();
    if duties != 0 && duties != actions.len() {
        return Err(Rejection::MixedDuty.into());
    }
    for action in actions {
        dispatch::action(action).check_stateless()?;
    }
    if duties == 0 {
        return Ok(false);
    }
    for action in actions {
        dispatch::action(action).check_duty(*signer, block, state)?;
    }
    Ok(true)
}
