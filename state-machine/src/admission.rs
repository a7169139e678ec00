//! Whether a transaction may enter: form, chain, key, signature, lane, sequence, expiry, duty, fee. In that order.

use std::collections::BTreeMap;

use io_types::transaction::ACTIONS_MAX;
use io_types::{AccountId, Amount, Asset, Rejection, Transaction, TransactionBody};
use rayon::prelude::{IntoParallelRefIterator, ParallelIterator};

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
    if body.signer.verifying_key().is_none() {
        return Err(Rejection::BadKey {
            account: body.signer,
        });
    }
    if !body.signer.verify(&body.sign_bytes(), &signature) {
        return Err(Rejection::BadSignature {
            signer: body.signer,
        });
    }
    Ok(Signed { body })
}

/// Opens many transactions, on all threads of the pool or on this one. The result is the same.
pub fn open_all(transactions: &[Vec<u8>], parallel: bool) -> Vec<Result<Signed, Rejection>> {
    if parallel {
        transactions.par_iter().map(|bytes| open(bytes)).collect()
    } else {
        transactions.iter().map(|bytes| open(bytes)).collect()
    }
}

/// Sequences of transactions that wait in the mempool, by signer and lane: the last one of each.
pub type Pending = BTreeMap<(AccountId, u16), u64>;

/// Checks the rest against the state.
///
/// Rejections in order: 102, 108, 109, 112, 105, 106, 107, 115, each action's stateless rules, duties (114, 116 and
/// the component's own), 110, 111. Says the fee.
pub fn check(
    signed: &Signed,
    block: &BlockContext,
    state: &State<'_>,
    pending: Option<&Pending>,
) -> Result<Amount, ActionError> {
    let TransactionBody {
        chain_id,
        signer,
        lane,
        sequence,
        expires,
        fee_max,
        actions,
    } = &signed.body;
    if *chain_id != block.facts.chain_id {
        return Err(Rejection::WrongChain {
            got: chain_id.clone(),
            want: block.facts.chain_id.clone(),
        }
        .into());
    }
    if actions.is_empty() {
        return Err(Rejection::NoActions { max: ACTIONS_MAX }.into());
    }
    if actions.len() > ACTIONS_MAX {
        return Err(Rejection::TooManyActions {
            count: actions.len(),
            max: ACTIONS_MAX,
        }
        .into());
    }
    let params = &block.params.admission;
    if *lane >= params.lanes {
        return Err(Rejection::NoSuchLane {
            lane: *lane,
            lanes: params.lanes,
        }
        .into());
    }
    let used = LANES
        .get(state, &(*signer, *lane))?
        .unwrap_or_default()
        .sequence;
    let used = pending
        .and_then(|pending| pending.get(&(*signer, *lane)))
        .copied()
        .map_or(used, |waiting| waiting.max(used));
    let want = used.saturating_add(1);
    if *sequence != want {
        return Err(Rejection::WrongSequence {
            lane: *lane,
            got: *sequence,
            want,
        }
        .into());
    }
    if expires.0 < block.height.0 {
        return Err(Rejection::Expired {
            expires: *expires,
            height: block.height,
        }
        .into());
    }
    let latest = io_types::Height(block.height.0.saturating_add(params.expiry_blocks_max));
    if *expires > latest {
        return Err(Rejection::ExpiresTooLate {
            expires: *expires,
            max: latest,
        }
        .into());
    }
    let duty = check_actions(signed, block, state)?;
    if duty {
        return Ok(Amount::ZERO);
    }
    if params.fee > *fee_max {
        return Err(Rejection::FeeAboveLimit {
            fee: params.fee,
            max: *fee_max,
        }
        .into());
    }
    let available = ledger::available(state, *signer, Asset::Io)?;
    if available < params.fee {
        return Err(Rejection::FeeUnpaid {
            fee: params.fee,
            available,
        }
        .into());
    }
    Ok(params.fee)
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
