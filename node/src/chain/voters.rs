//! What each validator adds to its votes, as this node saw it since its start. For people: the chain counts for itself.
//!
//! A validator whose extensions are empty and one whose settlement signatures do not fit cost nothing but their own voice, so the chain
//! never complains. Their operators must be able to see them all the same, by name.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use io_state_machine::tables::{BRIDGE, SETTLEMENTS, VALIDATORS};
use io_storage::{Fault, View};
use io_types::consensus::{Block, VoteFlag};
use io_types::extension::{InjectedCommit, VoteExtension};
use io_types::row::ValidatorRow;
use io_types::{BatchNumber, Signature, ValidatorAddress};

use crate::metrics::Labelled;

/// Votes in a row without an extension after which people are told: a start takes a few.
const SILENT_MAX: u64 = 20;

/// One validator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Voter {
    /// Its last votes in a row that came without an extension.
    silent: u64,
    /// Its settlement signatures that fit no batch.
    void: u64,
    /// The batch of the last such signature, until one fits.
    void_batch: Option<BatchNumber>,
}

/// Every validator that was seen voting.
#[derive(Debug, Default)]
pub struct Voters(Mutex<BTreeMap<ValidatorAddress, Voter>>);

impl Voters {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ValidatorAddress, Voter>> {
        // Counts that a panicking thread left half written are still counts.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the votes that a committed block carries. `view` is of its commit.
    ///
    /// # Errors
    /// The database cannot be read.
    pub(super) fn see(&self, block: &Block, view: &View<'_>) -> Result<(), Fault> {
        let injected = block
            .transactions
            .first()
            .map(|tx| InjectedCommit::decode(tx));
        let Some(Ok(commit)) = injected else {
            return Ok(());
        };
        let mut extended = BTreeMap::new();
        for vote in commit.votes {
            let extension = VoteExtension::decode(&vote.extension).unwrap_or_default();
            extended.insert(vote.validator, extension.signatures);
        }
        for vote in &block.last_commit.votes {
            if vote.flag != VoteFlag::Commit {
                continue;
            }
            let signatures = extended.remove(&vote.validator);
            self.count(vote.validator, signatures.is_some());
            for (number, signature) in signatures.unwrap_or_default() {
                self.judge(view, vote.validator, number, &signature)?;
            }
        }
        Ok(())
    }

    fn count(&self, validator: ValidatorAddress, is_extended: bool) {
        let mut voters = self.lock();
        let voter = voters.entry(validator).or_default();
        voter.silent = if is_extended {
            0
        } else {
            voter.silent.saturating_add(1)
        };
    }

    fn judge(
        &self,
        view: &View<'_>,
        validator: ValidatorAddress,
        number: BatchNumber,
        signature: &Signature,
    ) -> Result<(), Fault> {
        let batch = SETTLEMENTS.read(view, &number)?;
        let Some(row) = VALIDATORS.read(view, &validator)? else {
            return Ok(());
        };
        let fits = batch.is_some_and(|batch| {
            let kind = io_settlement::batch::Kind::Settle;
            let message = io_settlement::batch::message(kind, &batch.hash.0);
            row.settlement_key.verify(&message, signature)
        });
        let mut voters = self.lock();
        let voter = voters.entry(validator).or_default();
        if fits {
            voter.void_batch = None;
            return Ok(());
        }
        voter.void = voter.void.saturating_add(1);
        if voter.void_batch.replace(number) != Some(number) {
            let validator = row.moniker;
            tracing::warn!(validator, %number, "signed something else than this batch; its signature does not count");
        }
        Ok(())
    }

    /// One line for each validator that people should look at.
    pub fn notes(&self, rows: &[ValidatorRow]) -> Vec<String> {
        let voters = self.lock();
        let mut notes = Vec::new();
        for row in rows {
            let Some(voter) = voters.get(&row.address) else {
                continue;
            };
            let name = &row.moniker;
            if voter.silent > SILENT_MAX {
                notes.push(format!(
                    "{name}: its last {} votes came without an extension (no prices, no Solana, no signatures)",
                    voter.silent
                ));
            }
            if let Some(number) = voter.void_batch {
                notes.push(format!(
                    "{name}: its signature of batch {number} is of something else and does not count"
                ));
            }
        }
        notes
    }

    /// The same as numbers, with who has signed the newest batch.
    ///
    /// # Errors
    /// The database cannot be read.
    pub(crate) fn metrics(
        &self,
        rows: &[ValidatorRow],
        view: &View<'_>,
    ) -> Result<Vec<Labelled>, Fault> {
        let newest = BRIDGE.read(view, &())?.map(|bridge| bridge.newest_batch);
        let batch = match newest {
            Some(number) => SETTLEMENTS.read(view, &number)?,
            None => None,
        };
        let voters = self.lock();
        let each = |value: &dyn Fn(&ValidatorRow) -> u64| {
            let named = rows.iter().map(|row| (row.moniker.clone(), value(row)));
            named.collect::<Vec<_>>()
        };
        let voter = |row: &ValidatorRow| voters.get(&row.address).copied().unwrap_or_default();
        let has_signed = |row: &ValidatorRow| {
            let signatures = batch.iter().flat_map(|batch| &batch.signatures);
            let mut keys = signatures.map(|(key, _signature)| *key);
            u64::from(keys.any(|key| key == row.settlement_key))
        };
        Ok(vec![
            Labelled {
                name: "io_node_votes_without_extension",
                kind: "gauge",
                help: "Last votes in a row that came without an extension.",
                label: "validator",
                values: each(&|row| voter(row).silent),
            },
            Labelled {
                name: "io_node_signatures_void_total",
                kind: "counter",
                help: "Settlement signatures that fit no batch.",
                label: "validator",
                values: each(&|row| voter(row).void),
            },
            Labelled {
                name: "io_node_batch_signed",
                kind: "gauge",
                help: "1 if the newest batch has this validator's signature.",
                label: "validator",
                values: each(&has_signed),
            },
        ])
    }
}

#[cfg(test)]
mod tests {
    use io_types::{AccountId, Hash};

    use super::*;

    fn row(number: u8) -> ValidatorRow {
        ValidatorRow {
            address: ValidatorAddress([number; 20]),
            consensus_key: Hash([number; 32]),
            power: 10,
            settlement_key: AccountId([number; 32]),
            operator: AccountId([number; 32]),
            beacon_link: Hash([0; 32]),
            moniker: format!("v{number}"),
        }
    }

    #[test]
    fn a_validator_without_extensions_is_named_until_one_comes() {
        let (voters, rows) = (Voters::default(), [row(1), row(2)]);
        for _vote in 0..=SILENT_MAX {
            voters.count(rows[0].address, true);
            voters.count(rows[1].address, false);
        }
        assert_eq!(
            voters.notes(&rows),
            [
                "v2: its last 21 votes came without an extension (no prices, no Solana, no signatures)"
            ]
        );
        voters.count(rows[1].address, true);
        assert_eq!(voters.notes(&rows), Vec::<String>::new());
    }
}
