//! The fixed order of work in a block.

use io_storage::Fault;
use io_types::consensus::Block;
use io_types::row::LaneRow;
use io_types::{Asset, Event, Hash, Slot, SystemAccount};

use crate::admission;
use crate::context::{BlockContext, Clock};
use crate::derived::Derived;
use crate::error::{ActionError, must};
use crate::extension::Attested;
use crate::opened::Opened;
use crate::state::State;
use crate::tables::{CLOCK, LANES};
use crate::{dispatch, ledger, market, price, reward, settlement, uptime, verification};

/// What became of one transaction. `code` is consensus; the text is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionOutcome {
    /// SHA-256 of its bytes.
    pub hash: Hash,
    /// 0, or the number of the rule that was broken.
    pub code: u32,
    /// Text of the rejection.
    pub log: String,
    /// What happened.
    pub events: Vec<Event>,
    /// Whether it failed in admission: an honest proposer never puts such a transaction into a block.
    pub inadmissible: bool,
}

/// Executes one transaction: sequence and fee are kept even if an action is rejected; actions are all or nothing.
pub fn run_transaction(
    opened: &Opened,
    block: &BlockContext,
    state: &mut State<'_>,
) -> Result<TransactionOutcome, Fault> {
    let hash = opened.hash;
    let outcome = |code, log, events, inadmissible| TransactionOutcome {
        hash,
        code,
        log,
        events,
        inadmissible,
    };
    let signed = match &opened.signed {
        Ok(signed) => signed,
        Err(rejection) => {
            return Ok(outcome(
                rejection.code(),
                rejection.to_string(),
                Vec::new(),
                true,
            ));
        }
    };
    let fee = match admission::check(signed, block, state, None) {
        Ok(fee) => fee,
        Err(ActionError::Rejected(rejection)) => {
            return Ok(outcome(
                rejection.code(),
                rejection.to_string(),
                Vec::new(),
                true,
            ));
        }
        Err(ActionError::Faulted(fault)) => return Err(fault),
    };
    let body = &signed.body;
    // Kept whatever the actions do.
    LANES.put(
        state,
        &(body.signer, body.lane),
        &LaneRow {
            sequence: body.sequence,
        },
    );
    if !fee.is_zero() {
        must(
            "block: fee",
            ledger::transfer(state, body.signer, SystemAccount::Revenue, Asset::Io, fee),
        )?;
        reward::count_fee(state, block, Asset::Io, fee)?;
        state.emit(Event::FeePaid {
            payer: body.signer,
            amount: fee,
        });
    }
    let mark = state.mark();
    for (place, action) in body.actions.iter().enumerate() {
        match dispatch::action(action).execute(body.signer, block, state) {
            Ok(()) => {}
            Err(ActionError::Faulted(fault)) => return Err(fault),
            Err(ActionError::Rejected(rejection)) => {
                state.revert(mark);
                let log = format!("action {place} ({}): {rejection}", action.name());
                return Ok(outcome(rejection.code(), log, state.take_events(), false));
            }
        }
    }
    Ok(outcome(0, String::new(), state.take_events(), false))
}

/// The end of a block, in this order: prices, deposits and signatures, beacon and challenges, expiries, matching, metering
/// and epochs, settlement. Says whether a batch was frozen.
pub fn end(
    engine: &Block,
    attested: &Attested,
    block: &BlockContext,
    derived: &Derived,
    state: &mut State<'_>,
) -> Result<Option<settlement::Frozen>, Fault> {
    price::update(state, block, attested)?;
    settlement::attest(state, block, attested)?;
    verification::end_block(state, block, derived, attested)?;
    market::expire(state, block, derived)?;
    let mut clock = CLOCK.expect(state, &(), "genesis writes it")?;
    note_slot(&mut clock, block);
    let closed = work_off(&mut clock, block, derived, state)?;
    let behind = due_slots(&clock, block) > 0;
    if !behind {
        market::match_orders(state, block, derived, &mut clock.matched_through)?;
    }
    let frozen = match closed {
        Some(epoch) if !behind => Some(settlement::freeze(state, block, epoch)?),
        _other => None,
    };
    clock.block_time = block.time;
    clock.chain_time = block.now;
    CLOCK.put(state, &(), &clock);
    debug_assert_eq!(engine.height, block.height, "the context is this block's");
    Ok(frozen)
}

/// Notes the slot of this block's time: a slot without any block in it or in its late window is neutral.
fn note_slot(clock: &mut Clock, block: &BlockContext) {
    if clock.seen_slots.last() != Some(&block.slot()) {
        clock.seen_slots.push(block.slot());
    }
    let needed_from = clock.next_slot;
    clock.seen_slots.retain(|slot| *slot >= needed_from);
}

/// Slots whose late window is over and that are not metered yet.
fn due_slots(clock: &Clock, block: &BlockContext) -> u64 {
    let late = block.params.uptime.late_slots;
    block
        .slot()
        .0
        .saturating_sub(late)
        .saturating_sub(clock.next_slot.0)
}

/// Whether a slot is neutral: no block has its time in it or in the late slots after it.
fn is_neutral(clock: &Clock, slot: Slot, late: u64) -> bool {
    !clock
        .seen_slots
        .iter()
        .any(|seen| *seen >= slot && *seen <= slot.plus(late))
}

/// Goes on with the close of an epoch; meters every slot whose late window is over; begins to close every epoch that ends
/// with one, at most the parameter's number of epochs and devices in one block. An epoch ends only when the one before is
/// closed. Says the last epoch closed.
fn work_off(
    clock: &mut Clock,
    block: &BlockContext,
    derived: &Derived,
    state: &mut State<'_>,
) -> Result<Option<io_types::Epoch>, Fault> {
    let params = &block.params.reward;
    let mut boundaries = params.boundaries_per_block_max;
    let mut devices = u64::from(params.close_devices_max);
    let mut closed = reward::go_on_closing(state, block, &mut devices)?;
    while due_slots(clock, block) > 0 && boundaries > 0 {
        let slot = clock.next_slot;
        let ends = slot.next().epoch() != slot.epoch();
        if ends && reward::is_closing(state)? {
            break;
        }
        let neutral = is_neutral(clock, slot, block.params.uptime.late_slots);
        uptime::judge_slot(state, block, derived, slot, neutral)?;
        market::meter_slot(state, block, derived, slot, neutral)?;
        reward::note_slot(state, block, slot, neutral)?;
        clock.next_slot = slot.next();
        if ends {
            clock.open_epoch = clock.next_slot.epoch();
            // Whoever counts a fee in the slots that follow in this block must find the epoch that is open now.
            CLOCK.put(state, &(), clock);
            reward::begin_close(state, block, slot.epoch())?;
            closed = reward::go_on_closing(state, block, &mut devices)?.or(closed);
            boundaries = boundaries.saturating_sub(1);
        }
    }
    Ok(closed)
}
