//! The other ledger as a model: vaults, a queue of deposits, settlements and claims, by the rules of the program.

use std::collections::BTreeMap;

use io_settlement::account::{Counters, LastSettle};
use io_settlement::batch::{Kind, SettleBody, message};
use io_settlement::deposit::{DepositRecord, first_hash, next_hash};
use io_types::genesis::GenesisSpec;
use io_types::row::Batch;
use io_types::{AccountId, Asset};

use crate::rng::Rng;
use crate::{Check, text};

/// What lies on Solana.
#[derive(Clone, Debug)]
pub struct Solana {
    /// All deposits, number 1 first.
    pub records: Vec<DepositRecord>,
    /// Rolling hash after each; one more in front, before the first.
    pub rolling: Vec<[u8; 32]>,
    /// What the last settlement wrote down.
    pub last: Option<LastSettle>,
    /// What each settlement wrote down, by batch.
    pub history: BTreeMap<u64, LastSettle>,
    counters: Counters,
    vaults: [u64; 2],
    stake_vault: u64,
    slot: u64,
}

impl Solana {
    /// With the tokens of genesis in its vaults.
    pub fn new(spec: &GenesisSpec) -> Self {
        let vault = |asset| {
            let of = spec.balances.iter().filter(|row| row.asset == asset);
            of.map(|row| row.amount.get()).sum()
        };
        let chain = io_settlement::batch::chain_id_hash(&spec.chain_id);
        let mints = [spec.bridge.io_mint.0, spec.bridge.usdc_mint.0];
        Self {
            records: Vec::new(),
            rolling: vec![first_hash(
                &spec.bridge.cluster.0,
                &spec.bridge.program.0,
                &chain,
                &mints,
            )],
            last: None,
            history: BTreeMap::new(),
            counters: Counters::ZERO,
            vaults: [vault(Asset::Io), vault(Asset::Usdc)],
            stake_vault: 0,
            slot: 1000,
        }
    }

    /// Somebody deposits.
    pub fn deposit(&mut self, asset: u8, amount: u64, account: [u8; 32], depositor: AccountId) {
        self.slot += 1;
        let record = DepositRecord {
            n: u64::try_from(self.records.len()).unwrap() + 1,
            asset,
            amount,
            account,
            depositor: depositor.0,
            slot: self.slot,
        };
        let place = usize::from(asset);
        self.vaults[place] += amount;
        self.counters.deposited[place] += amount;
        let hash = next_hash(self.rolling.last().unwrap(), &record);
        self.rolling.push(hash);
        self.records.push(record);
    }

    /// A relayer brings a batch. Fails if the program's own rules would be broken by what the chain signed.
    pub fn settle(&mut self, batch: &Batch) -> Check {
        if self.last.is_some_and(|last| last.number >= batch.number.0) {
            return Ok(());
        }
        let body = SettleBody::from_bytes(&batch.body).map_err(|error| format!("{error:?}"))?;
        let text_to_sign = message(Kind::Settle, &body.hash());
        for (member, signature) in &batch.signatures {
            if !member.verify(&text_to_sign, signature) {
                return Err(format!("batch {}: {member} did not sign it", batch.number));
            }
        }
        self.slot += 1;
        let counters = &mut self.counters;
        let due = body.emitted + body.reminted;
        let minted = due
            .checked_sub(counters.minted)
            .ok_or("a newer batch has emitted less")?;
        let burned = body
            .burned
            .checked_sub(counters.burned)
            .ok_or("a newer batch has burned less")?;
        let vault = (self.vaults[0] + minted + self.stake_vault)
            .checked_sub(burned)
            .and_then(|sum| sum.checked_sub(body.stake_target))
            .ok_or("the IO vault cannot pay the burn and the stake target")?;
        for (place, payout) in body.payouts.iter().enumerate() {
            if payout.total < counters.payout_total[place] {
                return Err("a newer batch pays less".to_owned());
            }
            counters.payout_total[place] = payout.total;
        }
        self.vaults[0] = vault;
        self.stake_vault = body.stake_target;
        counters.minted = due;
        counters.burned = body.burned;
        counters.staked = body.stake_target;
        if body.deposit_hash != self.rolling[usize::try_from(body.deposit_number).map_err(text)?] {
            return Err("the batch names another deposit hash than the queue has".to_owned());
        }
        for place in 0..2 {
            let open = counters.payout_total[place] - counters.claimed[place];
            if self.vaults[place] < open {
                return Err(format!(
                    "vault {place} holds {} and owes {open} to claims",
                    self.vaults[place]
                ));
            }
        }
        let last = LastSettle {
            number: body.number,
            batch_hash: body.hash(),
            slot: self.slot,
            deposit_number: body.deposit_number,
            counters: *counters,
            vaults: self.vaults,
            stake_vault: self.stake_vault,
            set_epoch: 1,
            relayer: [0; 32],
        };
        self.last = Some(last);
        self.history.insert(last.number, last);
        Ok(())
    }

    /// Somebody claims a part of what settled batches allow.
    pub fn claim(&mut self, rng: &mut Rng) -> Check {
        let place = usize::try_from(rng.below(2)).map_err(text)?;
        let open = self.counters.payout_total[place] - self.counters.claimed[place];
        let amount = rng.below(open + 1);
        self.counters.claimed[place] += amount;
        self.vaults[place] = self.vaults[place]
            .checked_sub(amount)
            .ok_or("a vault cannot pay a claim")?;
        Ok(())
    }
}
