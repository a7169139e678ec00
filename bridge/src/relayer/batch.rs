//! Which batch to settle, and by whose signatures. Nothing that a node says is believed.

use io_settlement::account::Bridge;
use io_settlement::batch::SettleBody;
use io_settlement::members::{MemberSet, is_quorum};
use io_types::id::{AccountId, Signature};
use io_types::row::Batch;

/// A batch that the program will take once enough signatures are posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// The batch.
    pub body: SettleBody,
    /// Its digest.
    pub hash: [u8; 32],
    /// Valid signatures of members: index in the set, power, signature.
    pub signed: Vec<(u8, u64, Signature)>,
}

/// What there is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Everything is settled.
    Nothing,
    /// There is an unsettled batch, but it cannot be settled now.
    Waits {
        /// Why.
        why: String,
    },
    /// The newest batch that a quorum signed.
    Ready(Box<Ready>),
}

/// Looks for the newest batch that can be settled: it contains all older ones. `set` is the program's member set.
pub fn choose(batches: &[Batch], bridge: &Bridge, set: &MemberSet) -> Choice {
    let mut sorted: Vec<&Batch> = batches
        .iter()
        .filter(|batch| batch.number.0 > bridge.last.number)
        .collect();
    sorted.sort_by_key(|batch| std::cmp::Reverse(batch.number));
    let mut newest_why = None;
    for batch in sorted {
        match examine(batch, bridge, set) {
            Ok(ready) => return Choice::Ready(Box::new(ready)),
            Err(why) => newest_why = newest_why.or(Some(why)),
        }
    }
    newest_why.map_or(Choice::Nothing, |why| Choice::Waits { why })
}

/// The batch with its valid signatures, or why it cannot be settled.
fn examine(batch: &Batch, bridge: &Bridge, set: &MemberSet) -> Result<Ready, String> {
    let number = batch.number;
    let body = SettleBody::from_bytes(&batch.body)
        .map_err(|error| format!("batch {number} of the node is no batch: {error}"))?;
    let config = &bridge.config;
    if body.number != number.0
        || body.cluster_genesis != config.cluster_genesis
        || body.chain_id != config.chain_id
    {
        return Err(format!("batch {number} of the node is of another chain"));
    }
    if body.set_epoch != bridge.state.set_epoch {
        return Err(format!(
            "batch {number} is signed by set {}, the program's set is {}",
            body.set_epoch, bridge.state.set_epoch
        ));
    }
    if body.deposit_number > bridge.state.deposit_number {
        return Err(format!(
            "batch {number} credits deposit {}, this endpoint of Solana knows {} so far",
            body.deposit_number, bridge.state.deposit_number
        ));
    }
    let message = body.message();
    let mut signed: Vec<(u8, u64, Signature)> = Vec::new();
    let mut power = 0_u64;
    for (key, signature) in &batch.signatures {
        let Some(index) = set.index_of(&key.0) else {
            continue;
        };
        let is_new = signed
            .iter()
            .all(|(known, _power, _signature)| *known != index);
        if !is_new || !AccountId(key.0).verify(&message, signature) {
            continue;
        }
        let member = set.members().get(usize::from(index));
        let weight = member.map_or(0, |member| member.power);
        power = power.saturating_add(weight);
        signed.push((index, weight, *signature));
    }
    if !is_quorum(power, set.power()) {
        return Err(format!(
            "batch {number} is signed by {power} of {} power, more than two thirds are needed",
            set.power()
        ));
    }
    Ok(Ready {
        hash: body.hash(),
        body,
        signed,
    })
}
