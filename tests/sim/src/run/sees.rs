//! What validators see of Solana, block by block: it moves, they look, they vote, and what more than two thirds see goes on.

use io_state_machine::tables;
use io_types::api::PayoutFile;
use io_types::extension::DEPOSITS_MAX;
use io_types::row::Batch;

use super::{FaultKind, Plant, Run};
use crate::Check;
use crate::rows::Rows;
use crate::solana::sight::{Look, Trust, Watermark, is_sound};
use crate::votes::{self, Moment, Votes};
use crate::world::account;

/// What the next block must bring if its proposer is honest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sure {
    /// The last deposit that was credited when the votes were given.
    credited: u64,
    /// The last one that was final then.
    last: u64,
}

/// What there is to say of the proposal of a block.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Proposal {
    /// Its proposer sees all that is final and says so.
    pub(super) is_honest: bool,
    /// There was room for everything.
    pub(super) is_roomy: bool,
}

impl Run<'_> {
    /// The last deposit that the last commit has credited; none before the chain has started.
    pub(super) fn watermark(&self) -> Option<Watermark> {
        let first = &self.world.validators[0];
        let machine = self.main.machine();
        let duties = machine.extension_duties(first.address, account(&first.settlement));
        let duties = duties.ok().flatten()?;
        Some(Watermark {
            number: duties.deposit_first - 1,
            hash: duties.deposit_hash.0,
        })
    }

    /// What a validator sees now. It is checked wherever it is used.
    pub(super) fn look(&self, validator: usize, watermark: Watermark) -> Check<Look> {
        let look = self.sight.look(validator, &self.solana, watermark);
        is_sound(&look, &self.solana, watermark)?;
        Ok(look)
    }

    pub(super) fn vote(&mut self, height: u64) -> Check<Votes> {
        let Some(watermark) = self.watermark() else {
            return match height {
                1 => Ok(Votes::default()),
                _later => Err("the chain has started and asks nothing of validators".to_owned()),
            };
        };
        let looks: Vec<Look> = (0..self.world.validators.len())
            .map(|validator| self.look(validator, watermark))
            .collect::<Check<_>>()?;
        let moment = Moment {
            height,
            now: self.now,
        };
        let mut stream = self.stream(height, 12);
        let votes = votes::votes(
            (&self.world, self.setup),
            self.main.machine(),
            (&self.solana, &looks),
            moment,
            &mut stream,
        )?;
        let all: u64 = self.world.validators.iter().map(|one| one.power).sum();
        let last = u64::try_from(self.solana.finals().0).unwrap();
        self.sure = (votes.sure_power * 3 > all * 2).then_some(Sure {
            credited: watermark.number,
            last,
        });
        for look in looks.iter().filter(|look| look.trust == Trust::None) {
            let what = match &look.part {
                Some(_part) => "a validator may report untruths of Solana",
                None => "a validator whose endpoints lie reports nothing of Solana",
            };
            self.count(what);
        }
        Ok(votes)
    }

    /// Deposits are credited when they are final and not before, and at once if more than two thirds of the power attest them and the
    /// proposer brings them.
    pub(super) fn goes_on(&mut self, before: Option<Watermark>, sure: Option<Sure>) -> Check {
        let Some((before, after)) = before.zip(self.watermark()) else {
            return Ok(());
        };
        let finals = u64::try_from(self.solana.finals().0).unwrap();
        if after.number > finals {
            return Err(format!(
                "deposit {} is credited, final are {finals}",
                after.number
            ));
        }
        let Some(sure) = sure.filter(|sure| sure.credited == before.number) else {
            return Ok(());
        };
        if !self.proposal.is_honest || !self.proposal.is_roomy {
            return Ok(());
        }
        let params = &self.world.spec.params.settlement;
        let most = usize::from(params.deposits_per_block_max).min(DEPOSITS_MAX);
        let most = before.number + u64::try_from(most).unwrap();
        let due = sure.last.min(most);
        if after.number < due {
            return Err(format!(
                "more than two thirds of the power attest deposits to {}, the block credits {} of {due}",
                sure.last, after.number
            ));
        }
        if due > before.number {
            self.count("deposits were credited at once");
        }
        Ok(())
    }

    /// Deposits, settlements and claims between two blocks; then everybody looks.
    pub(super) fn solana_moves(&mut self, height: u64, frozen: Option<&PayoutFile>) -> Check {
        if !self.setup.has(FaultKind::Solana) {
            return Ok(());
        }
        let mut rng = self.stream(height, 13);
        let batches: Vec<Batch> = Rows(self.main.machine())
            .list(&tables::SETTLEMENTS)
            .into_iter()
            .map(|(_number, batch)| batch)
            .collect();
        let moment = (height, self.now);
        self.solana
            .moves(&self.world, moment, &batches, frozen, &mut rng)?;
        if self.setup.plant == Some(Plant::Vault) && height == 9 {
            self.solana.leak();
        }
        for fault in self.sight.moves(self.setup, &self.solana, height) {
            self.count(&fault);
        }
        Ok(())
    }
}
