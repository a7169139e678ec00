//! Who judges: drawn by stake from the beacon, never somebody with a share in the device.

use io_storage::Fault;
use io_types::row::{Challenge, Device, DrawnVerifier, VerifierRow};
use io_types::{AccountId, Hash};

use crate::context::BlockContext;
use crate::stake;
use crate::state::State;

const DOMAIN: &[u8] = b"io-chain/draw/v1\0";

/// Draws the quorum, ascending by key; fewer when there are not so many verifiers without a share in the device.
///
/// Verifiers of earlier draws come in only when the others do not suffice.
pub(super) fn quorum(
    state: &State<'_>,
    block: &BlockContext,
    challenge: &Challenge,
    device: &Device,
) -> Result<Vec<DrawnVerifier>, Fault> {
    let params = &block.params.verification;
    let staker = stake::read(state, device.id)?.map(|stake| stake.staker);
    let related = |account: AccountId| {
        account == device.owner || account == device.device_key || Some(account) == staker
    };
    let (mut earlier, mut fresh) = (Vec::new(), Vec::new());
    for row in super::verifiers(state)? {
        if !row.active
            || row.stake < params.task_bond
            || row.stake.is_zero()
            || related(row.account)
        {
            continue;
        }
        if challenge.earlier.contains(&row.account) {
            earlier.push(row);
        } else {
            fresh.push(row);
        }
    }
    let mut lot = Lot {
        challenge,
        number: 0,
    };
    let mut drawn = lot.take(&mut fresh, usize::from(params.quorum));
    let missing = usize::from(params.quorum).saturating_sub(drawn.len());
    drawn.extend(lot.take(&mut earlier, missing));
    drawn.sort_by_key(|row| row.account);
    Ok(drawn.iter().map(begin).collect())
}

fn begin(row: &VerifierRow) -> DrawnVerifier {
    DrawnVerifier {
        account: row.account,
        stake: row.stake,
        nonce_commitment: None,
        nonces: None,
        verdict_commitment: None,
        verdict: None,
    }
}

/// The numbers of one draw, in order.
struct Lot<'c> {
    challenge: &'c Challenge,
    number: u32,
}

impl Lot<'_> {
    /// Takes up to `count` of `from`, each with a chance in proportion to its stake among those that are left.
    fn take(&mut self, from: &mut Vec<VerifierRow>, count: usize) -> Vec<VerifierRow> {
        let mut taken = Vec::new();
        while taken.len() < count && !from.is_empty() {
            let total = from.iter().fold(0_u128, |sum, row| {
                sum.saturating_add(u128::from(row.stake.get()))
            });
            let mut point = self.next().checked_rem(total).unwrap_or(0);
            let place = from.iter().position(|row| {
                let stake = u128::from(row.stake.get());
                let here = point < stake;
                point = point.saturating_sub(stake);
                here
            });
            taken.push(from.remove(place.unwrap_or(0)));
        }
        taken
    }

    fn next(&mut self) -> u128 {
        let Challenge {
            id,
            beacon,
            redraws,
            ..
        } = self.challenge;
        let Hash(bytes) = io_types::codec::hash_of(DOMAIN, &(beacon, id, redraws, self.number));
        self.number = self.number.saturating_add(1);
        bytes
            .first_chunk::<16>()
            .map_or(0, |half| u128::from_le_bytes(*half))
    }
}
