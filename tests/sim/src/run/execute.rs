//! Executing and committing a block on a node that crashes, and around proposals that are wrong.

use io_state_machine::{BlockOutcome, ProposalError};
use io_storage::backend;
use io_types::consensus::Block;

use super::{Crash, FaultKind, Plant, Run};
use crate::rng::Rng;
use crate::{Check, byzantine, same, text};

impl Run<'_> {
    /// Proposals with one thing wrong are refused; executed all the same they break nothing.
    pub(super) fn refuse(&mut self, block: &Block, rng: &mut Rng) -> Check {
        if !self.setup.has(FaultKind::Byzantine) || !rng.one_in(4) {
            return Ok(());
        }
        let Some((what, bad)) = byzantine::mutate(block, &self.old, rng) else {
            return Ok(());
        };
        self.count(&format!("fault proposal with {what}"));
        match self.main.machine().process(&bad) {
            Err(ProposalError::Refused(_why)) => {}
            Err(ProposalError::Faulted(fault)) => {
                return Err(format!("a proposal with {what} breaks the node: {fault}"));
            }
            Ok(()) => return Err(format!("a proposal with {what} is accepted")),
        }
        if rng.one_in(2) {
            self.main
                .machine()
                .finalize(&bad)
                .map_err(|fault| format!("a decided block with {what} breaks the node: {fault}"))?;
        }
        Ok(())
    }

    fn finalize(&self, block: &Block) -> Check<BlockOutcome> {
        self.main.machine().finalize(block).map_err(text)
    }

    fn commit(&self) -> Check {
        self.main
            .machine()
            .commit(|_patch| {})
            .map_err(text)
            .map(|_height| ())
    }

    /// Finalizes and commits on the node that leads, with crashes between the steps and at the writes.
    pub(super) fn execute(
        &mut self,
        block: &Block,
        crash: Option<Crash>,
        rng: &mut Rng,
    ) -> Check<BlockOutcome> {
        let outcome = self.finalize(block)?;
        if !self.setup.checks {
            self.commit()?;
            return Ok(outcome);
        }
        if crash == Some(Crash::AfterFinalize) {
            self.stop_at(crash, Crash::AfterFinalize)?;
            // The engine sends the block again after a crash between execution and commit.
            same("the same block again", &self.finalize(block)?, &outcome)?;
        }
        match crash {
            Some(Crash::WriteLost) => self.crash_in_commit(block, backend::Crash::Lost)?,
            Some(Crash::WriteUnacknowledged) => {
                self.crash_in_commit(block, backend::Crash::Unacknowledged)?;
            }
            _other => self.commit()?,
        }
        self.stop_at(crash, Crash::AfterCommit)?;
        self.undo(block, crash, &outcome, rng)?;
        self.replay(rng)?;
        self.damage(block)?;
        self.main_is(block, &outcome)?;
        Ok(outcome)
    }

    fn crash_in_commit(&mut self, block: &Block, how: backend::Crash) -> Check {
        self.count(&format!("fault crash in commit, batch {how:?}"));
        self.main.commit_with_crash(&self.world.spec, block, how)
    }

    /// Undone by an operator, then executed again; the node may stop in the middle of that.
    fn undo(
        &mut self,
        block: &Block,
        crash: Option<Crash>,
        outcome: &BlockOutcome,
        rng: &mut Rng,
    ) -> Check {
        let how = match crash {
            Some(Crash::RollbackLost) => Some(backend::Crash::Lost),
            Some(Crash::RollbackUnacknowledged) => Some(backend::Crash::Unacknowledged),
            _other => None,
        };
        let undone = if let Some(how) = how {
            self.count(&format!("fault crash in rollback, batch {how:?}"));
            self.main.rollback_with_crash(&self.world.spec, how)?
        } else if self.setup.has(FaultKind::Replay) && rng.one_in(16) && block.height.0 > 1 {
            self.count("fault rollback");
            self.main.machine().rollback().map_err(text)?;
            true
        } else {
            false
        };
        if undone {
            let again = self.finalize(block)?;
            same("the block again after a rollback", &again, outcome)?;
            self.commit()?;
        }
        Ok(())
    }

    /// A replayed block may be executed, but never becomes true a second time.
    fn replay(&mut self, rng: &mut Rng) -> Check {
        if !self.setup.has(FaultKind::Replay) || !rng.one_in(16) {
            return Ok(());
        }
        let Some(last) = self.last.clone() else {
            return Ok(());
        };
        self.count("fault replayed block");
        let replayed = self.main.machine().finalize(&last).is_ok();
        if replayed && self.main.machine().commit(|_patch| {}).is_ok() {
            return Err("a block was committed twice".to_owned());
        }
        self.main.restart(&self.world.spec, None)
    }

    /// The defect [`Plant::Store`].
    fn damage(&mut self, block: &Block) -> Check {
        if self.setup.plant == Some(Plant::Store) && self.at().0 == 9 && block.height.0 == 9 {
            return self.main.damage_a_balance(&self.world.spec);
        }
        Ok(())
    }
}
