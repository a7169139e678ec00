//! Duties of uptime: hash chains and links.

use io_storage::Fault;
use io_types::action::{Heartbeats, RegisterUptimeChain};
use io_types::codec::sha256;
use io_types::row::{DeviceState, UptimeChain};
use io_types::{AccountId, DeviceId, Event, Hash, Reason, Rejection, Slot};

use crate::context::BlockContext;
use crate::device;
use crate::dispatch::Execute;
use crate::error::ActionError;
use crate::paged::{Page, PagedKey, first_of_row};
use crate::state::State;
use crate::tables::UPTIME;
use crate::uptime::bit;

/// Most entries of one batch.
const ENTRIES_MAX: usize = 10_000;

/// A device and its link.
type Entry = (DeviceId, Hash);

impl Execute for RegisterUptimeChain {
    /// Rules in order: 502.
    fn check_stateless(&self) -> Result<(), Rejection> {
        if self.slots == 0 {
            return Err(Rejection::BadChain {
                what: "it covers no slot",
            });
        }
        Ok(())
    }

    /// Rules in order: 401, 503, 406, 502 (length, first slot), 116.
    fn check_duty(
        &self,
        signer: AccountId,
        block: &BlockContext,
        state: &State<'_>,
    ) -> Result<(), ActionError> {
        let Self {
            device,
            anchor: _,
            first_slot,
            slots,
        } = *self;
        let row = device::keyed(state, device, signer)?;
        let params = &block.params.uptime;
        if row.state == DeviceState::Retired {
            return Err(Rejection::DeviceRetired { device }.into());
        }
        if slots > params.chain_slots_max {
            return Err(Rejection::BadChain {
                what: "it is longer than the parameter allows",
            }
            .into());
        }
        let now = block.slot();
        if first_slot.plus(params.late_slots) < now
            || first_slot > now.plus(u64::from(params.chain_slots_max))
        {
            return Err(Rejection::BadChain {
                what: "its first slot is over, or too far ahead",
            }
            .into());
        }
        let Some(old) = UPTIME.get(state, &device)? else {
            return Ok(());
        };
        if first_slot <= old.link_slot {
            return Err(Rejection::BadChain {
                what: "its first slot has a link already",
            }
            .into());
        }
        let quarter = u64::from(params.chain_slots_max).div_euclid(4);
        let ends_soon = old.last_slot <= now.plus(quarter);
        let is_lost = now
            > old
                .link_slot
                .plus(params.late_slots)
                .plus(params.down_after_slots);
        if !ends_soon && !is_lost {
            return Err(Rejection::StaleDuty {
                what: "the present chain is in use and far from its end".to_owned(),
            }
            .into());
        }
        Ok(())
    }

    fn execute(
        &self,
        signer: AccountId,
        block: &BlockContext,
        state: &mut State<'_>,
    ) -> Result<(), ActionError> {
        self.check_duty(signer, block, state)?;
        let Self {
            device,
            anchor,
            first_slot,
            slots,
        } = *self;
        let old = UPTIME.get(state, &device)?;
        let chain = UptimeChain {
            link: anchor,
            link_slot: Slot(first_slot.0.saturating_sub(1)),
            last_slot: Slot(
                first_slot
                    .0
                    .saturating_add(u64::from(slots))
                    .saturating_sub(1),
            ),
            expected_from: first_slot,
            ..old.unwrap_or_else(empty)
        };
        UPTIME.put(state, &device, &chain)?;
        state.emit(Event::UptimeChainRegistered {
            device,
            first_slot,
            last_slot: chain.last_slot,
        });
        Ok(())
    }
}

impl Execute for Heartbeats {
    /// Rules in order: 507.
    fn check_stateless(&self) -> Result<(), Rejection> {
        if self.entries.is_empty() || self.entries.len() > ENTRIES_MAX {
            return Err(Rejection::EmptyBatch);
        }
        Ok(())
    }

    /// Rules in order: 505, then 501 and 503 for a batch of one by a device key, else 506; 504 unless at least half of the
    /// entries do something new.
    fn check_duty(
        &self,
        signer: AccountId,
        block: &BlockContext,
        state: &State<'_>,
    ) -> Result<(), ActionError> {
        let Self { slot, entries } = self;
        require_open(block, *slot)?;
        if !block.params.uptime.carriers.contains(&signer) {
            let [(device, _link)] = entries.as_slice() else {
                return Err(Rejection::NotACarrier.into());
            };
            device::keyed(state, *device, signer)?;
            if !UPTIME.contains(state, device)? {
                return Err(Rejection::NoUptimeChain { device: *device }.into());
            }
        }
        let mut new = 0_usize;
        for entries_of_row in by_row(entries) {
            let page = row_of(state, &entries_of_row)?;
            for (device, link) in &entries_of_row {
                let chain = page.get(device.place())?;
                if chain.is_some_and(|chain| next(chain, block, *slot, link).is_some()) {
                    new = new.saturating_add(1);
                }
                if new.saturating_mul(2) >= entries.len() {
                    return Ok(());
                }
            }
        }
        Err(Rejection::NoNewLinks.into())
    }

    /// Entries that are stale, repeated or wrong are skipped; they never reject the rest.
    fn execute(
        &self,
        _signer: AccountId,
        block: &BlockContext,
        state: &mut State<'_>,
    ) -> Result<(), ActionError> {
        let Self { slot, entries } = self;
        require_open(block, *slot)?;
        for entries_of_row in by_row(entries) {
            let mut page = row_of(state, &entries_of_row)?;
            let mut changed = None;
            for (device, link) in &entries_of_row {
                let chain = page.get(device.place())?;
                let Some((chain, was_down)) =
                    chain.and_then(|chain| next(chain, block, *slot, link))
                else {
                    continue;
                };
                page.put(device.place(), &chain)?;
                changed = Some(device);
                // Only a device whose chain counts as down can be `Down`.
                if was_down {
                    come_back(state, block, *device)?;
                }
            }
            if let Some(device) = changed {
                UPTIME.put_page(state, device, &page);
            }
        }
        Ok(())
    }
}

/// Whether links of a slot are taken at the block's time: from the slot's beginning until the late window is over.
fn require_open(block: &BlockContext, slot: Slot) -> Result<(), Rejection> {
    let now = block.slot();
    if slot > now || slot.plus(block.params.uptime.late_slots) < now {
        return Err(Rejection::SlotNotOpen { slot });
    }
    Ok(())
}

/// Entries by row of the table; those of one row in the order in which they came.
fn by_row(entries: &[Entry]) -> Vec<Vec<&Entry>> {
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    sorted.sort_by_key(|(device, _link)| first_of_row(*device));
    sorted
        .chunk_by(|(one, _link), (other, _other)| first_of_row(*one) == first_of_row(*other))
        .map(<[&Entry]>::to_vec)
        .collect()
}

/// The row in which these entries' devices stand.
fn row_of(state: &State<'_>, entries: &[&Entry]) -> Result<Page<UptimeChain>, Fault> {
    let device = entries
        .first()
        .map_or(DeviceId(0), |(device, _link)| *device);
    UPTIME.page(state, &device)
}

/// What a device has before its first chain.
fn empty() -> UptimeChain {
    UptimeChain {
        link: Hash::ZERO,
        link_slot: Slot(0),
        last_slot: Slot(0),
        epochs: UptimeChain::NO_EPOCHS,
        full_epochs: 0,
        full_unraised: 0,
        expected_from: Slot(0),
        missed: 0,
        counted_down: false,
    }
}

/// The chain after a link and whether it counted as down before, or none if the link does nothing new or is wrong.
fn next(
    mut chain: UptimeChain,
    block: &BlockContext,
    slot: Slot,
    link: &Hash,
) -> Option<(UptimeChain, bool)> {
    let steps = slot.0.saturating_sub(chain.link_slot.0);
    if steps == 0
        || slot > chain.last_slot
        || steps > block.params.uptime.skip_slots_max.saturating_add(1)
    {
        return None;
    }
    let mut walked = *link;
    for _step in 0..steps {
        walked = sha256(&walked.0);
    }
    if walked != chain.link {
        return None;
    }
    chain.link = *link;
    chain.link_slot = slot;
    chain.missed = 0;
    let was_down = std::mem::replace(&mut chain.counted_down, false);
    let mut epochs = chain.epochs.iter_mut();
    if let Some((_epoch, bits)) = epochs.find(|(epoch, _bits)| *epoch == slot.epoch()) {
        *bits |= bit(slot);
    } else {
        // The oldest makes room.
        let [_oldest, middle, newest] = chain.epochs;
        chain.epochs = [middle, newest, (slot.epoch(), bit(slot))];
    }
    Some((chain, was_down))
}

/// A device that shows up again is no longer `Down`.
fn come_back(state: &mut State<'_>, block: &BlockContext, id: DeviceId) -> Result<(), Fault> {
    let mut row = device::read(state, id)?;
    if row.state == DeviceState::Down {
        let to = if row.booking.is_some() {
            DeviceState::Hired
        } else {
            device::idle_state(&row)
        };
        device::change_state(state, block, &mut row, to, Reason::Normal);
        device::write(state, &row);
    }
    Ok(())
}
