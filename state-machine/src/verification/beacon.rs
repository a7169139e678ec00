//! The beacon: what nobody could know before a window of blocks was over.
//!
//! In each window every validator reveals the next link of its hash chain in a vote extension, and any proposer of the
//! window may include it. The value of a window is H(value before ‖ window ‖ links in order of validator).

use std::ops::ControlFlow;

use io_storage::Fault;
use io_types::row::BeaconState;
use io_types::{Event, Hash, Height, ValidatorAddress};

use crate::context::BlockContext;
use crate::extension::Attested;
use crate::state::State;
use crate::tables::{BEACON, VALIDATORS};

const DOMAIN: &[u8] = b"io-chain/beacon/v1\0";

/// The beacon row.
pub fn current(state: &State<'_>) -> Result<BeaconState, Fault> {
    BEACON.expect(state, &(), "genesis writes it")
}

/// The window that holds a height.
pub fn window_of(height: Height, window_blocks: u64) -> u64 {
    height.0.checked_div(window_blocks.max(1)).unwrap_or(0)
}

/// The last height of the first window that begins after `height`.
pub fn first_close_after(height: Height, window_blocks: u64) -> Height {
    let next = window_of(height, window_blocks).saturating_add(1);
    Height(
        next.saturating_add(1)
            .saturating_mul(window_blocks.max(1))
            .saturating_sub(1),
    )
}

/// Takes the links of this block's commit; closes the window with its last block.
pub(super) fn update(
    state: &mut State<'_>,
    block: &BlockContext,
    attested: &Attested,
) -> Result<(), Fault> {
    let mut beacon = current(state)?;
    let before = beacon.clone();
    for (validator, link) in attested.beacon_links() {
        take_link(state, &mut beacon, validator, link)?;
    }
    let window_blocks = block.params.verification.window_blocks.max(1);
    let window = window_of(block.height, window_blocks);
    if window_of(Height(block.height.0.saturating_add(1)), window_blocks) != window {
        close(state, &mut beacon, window)?;
    }
    if beacon != before {
        BEACON.put(state, &(), &beacon);
    }
    Ok(())
}

/// A link counts once in a window, and only if it is the next one of its chain.
fn take_link(
    state: &mut State<'_>,
    beacon: &mut BeaconState,
    validator: ValidatorAddress,
    link: Hash,
) -> Result<(), Fault> {
    let Err(place) = beacon
        .links
        .binary_search_by_key(&validator, |(address, _link)| *address)
    else {
        return Ok(());
    };
    let Some(mut row) = VALIDATORS.get(state, &validator)? else {
        return Ok(());
    };
    if io_types::codec::sha256(&link.0) == row.beacon_link {
        beacon.links.insert(place, (validator, link));
        row.beacon_link = link;
        VALIDATORS.put(state, &validator, &row);
    }
    Ok(())
}

fn close(state: &mut State<'_>, beacon: &mut BeaconState, window: u64) -> Result<(), Fault> {
    let mut withheld = Vec::new();
    VALIDATORS.scan(
        state,
        &ValidatorAddress([0; 20]),
        None,
        &mut |address, _row| {
            if beacon
                .links
                .binary_search_by_key(&address, |(validator, _link)| *validator)
                .is_err()
            {
                withheld.push(address);
            }
            ControlFlow::Continue(())
        },
    )?;
    if !withheld.is_empty() {
        state.emit(Event::BeaconWithheld {
            window,
            validators: withheld.clone(),
        });
    }
    let value = io_types::codec::hash_of(DOMAIN, &(beacon.value, window, &beacon.links));
    *beacon = BeaconState {
        window,
        value,
        links: Vec::new(),
        withheld,
    };
    Ok(())
}
