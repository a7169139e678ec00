//! What validators see of the other ledger, and what may come of it.

use std::fmt::Debug;

use io_settlement::Bytes32;
use io_settlement::account::LastSettle;
use io_state_machine::BridgeData;
use io_types::Hash;
use io_types::extension::{DEPOSITS_MAX, SolanaPart};

use super::Solana;
use crate::Check;
use crate::rng::Rng;
use crate::run::Setup;
use crate::world::World;

/// The last deposit that the chain has credited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermark {
    /// Its number; 0 before the first.
    pub number: u64,
    /// Rolling hash after it.
    pub hash: Bytes32,
}

/// How far a validator's sources can be trusted at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// All of them show what is final, to the last deposit: it must report all of that.
    Full,
    /// One of them shows what was final at some time: nothing untrue may be reported.
    Some,
    /// All of them may lie with one voice.
    None,
}

/// What one validator sees at one time.
#[derive(Clone, Debug)]
pub struct Look {
    /// What it puts into its vote.
    pub part: Option<SolanaPart>,
    /// What it supplies as a proposer.
    pub supply: BridgeData,
    /// What its sources are worth.
    pub trust: Trust,
}

/// The eyes of all validators.
pub trait Sight: Debug {
    /// Solana has moved on and everybody looks again. What is wrong with what they are shown is for the report.
    fn moves(&mut self, setup: &Setup, solana: &Solana, height: u64) -> Vec<String>;

    /// What the validator at this place of the list sees.
    fn look(&self, validator: usize, solana: &Solana, watermark: Watermark) -> Look;
}

/// Sees what is final, without endpoints; sometimes the last deposit comes late.
#[derive(Debug)]
pub struct Straight {
    seed: u64,
    height: u64,
}

impl Straight {
    /// The eyes of this world's validators.
    pub fn new(world: &World) -> Self {
        Self {
            seed: world.seed,
            height: 0,
        }
    }
}

impl Sight for Straight {
    fn moves(&mut self, _setup: &Setup, _solana: &Solana, height: u64) -> Vec<String> {
        self.height = height;
        Vec::new()
    }

    fn look(&self, validator: usize, solana: &Solana, watermark: Watermark) -> Look {
        let (deposits, last) = solana.finals();
        let who = u64::try_from(validator).unwrap();
        let late = Rng::new(&[self.seed, self.height, 17, who]).one_in(8);
        let first = usize::try_from(watermark.number).unwrap() + 1;
        let until = (deposits + 1 - usize::from(late && deposits > 0)).max(first);
        let hashes = solana.rolling[first..until].iter().take(DEPOSITS_MAX);
        let records = solana.records[first - 1..until - 1].iter();
        Look {
            part: Some(SolanaPart {
                first: watermark.number + 1,
                rolling: hashes.map(|hash| Hash(*hash)).collect(),
                last_settle: last.map(|last| Hash(last.hash())),
            }),
            supply: BridgeData {
                deposits: records.map(|record| record.to_bytes().to_vec()).collect(),
                last_settle: last.map(|last| last.to_bytes().to_vec()),
            },
            trust: if late { Trust::Some } else { Trust::Full },
        }
    }
}

/// What a validator says is true and final unless all its sources lie, and it is all there is if none of them does.
pub fn is_sound(look: &Look, solana: &Solana, watermark: Watermark) -> Check {
    let (deposits, last) = solana.finals();
    let first = usize::try_from(watermark.number).unwrap() + 1;
    let known = &solana.rolling[first.min(deposits + 1)..=deposits];
    let known: Vec<Hash> = known.iter().take(DEPOSITS_MAX).map(|h| Hash(*h)).collect();
    if look.trust == Trust::Full {
        let whole = SolanaPart {
            first: watermark.number + 1,
            rolling: known,
            last_settle: last.map(|last| Hash(last.hash())),
        };
        if look.part.as_ref() != Some(&whole) {
            return Err(format!(
                "a validator whose endpoints show what is final reports {:?}, final is {whole:?}",
                look.part
            ));
        }
        return Ok(());
    }
    if look.trust == Trust::None {
        return Ok(());
    }
    if let Some(part) = &look.part {
        if part.first != watermark.number + 1 || !known.starts_with(&part.rolling) {
            return Err(format!(
                "one of a validator's endpoints shows the truth, yet it reports deposits {part:?}, final is {known:?}"
            ));
        }
        let told = part.last_settle;
        if told.is_some() && !finals(solana).any(|last| Some(Hash(last.hash())) == told) {
            return Err("one of a validator's endpoints shows the truth, yet it reports a settlement that is not final".to_owned());
        }
    }
    let records = &solana.records[..deposits];
    for bytes in &look.supply.deposits {
        if !records
            .iter()
            .any(|record| record.to_bytes()[..] == **bytes)
        {
            return Err("one of a validator's endpoints shows the truth, yet it supplies a deposit that is not final".to_owned());
        }
    }
    Ok(())
}

/// Every settlement that is final.
fn finals(solana: &Solana) -> impl Iterator<Item = &LastSettle> {
    let newest = solana.finals().1.map_or(0, |last| last.number);
    solana
        .history
        .range(..=newest)
        .map(|(_number, (last, _deposits))| last)
}
