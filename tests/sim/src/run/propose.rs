//! The proposal of a block: what everybody sent, and what the proposer saw of Solana.

use io_state_machine::BridgeData;
use io_types::codec::sha256;
use io_types::consensus::{Block, ProposalRequest};
use io_types::{BlockTime, ChainTime, Height};

use super::{Crash, FaultKind, Report, Run, Shadow};
use crate::rng::Rng;
use crate::rows::Rows;
use crate::solana::sight::Trust;
use crate::votes;
use crate::work;
use crate::world::GENESIS_MS;
use crate::{Check, same, text};

impl Run<'_> {
    pub(super) fn propose(
        &mut self,
        height: u64,
        crash: Option<Crash>,
        report: &mut Report,
    ) -> Check<Block> {
        let time = self.now + self.step_ms(height);
        let passed = time - GENESIS_MS;
        let stretched = passed * 3600 / u64::from(self.world.spec.epoch_seconds);
        let now = ChainTime(GENESIS_MS + stretched);
        let rows = Rows(self.main.machine());
        let only = &self.setup.only;
        let wanted = work::transactions(&self.world, rows, &mut self.memory, (height, now), only);
        let mut transactions = Vec::new();
        for (sent, bytes) in wanted {
            report.sent.push(sent);
            transactions.push(bytes);
        }
        let mut stream = self.stream(height, 16);
        let proposer = usize::try_from(stream.below(4)).unwrap();
        if self.setup.checks {
            self.check_all(height, &transactions)?;
        }
        let mut block = Block {
            height: Height(height),
            time: BlockTime(time),
            hash: sha256(&height.to_be_bytes()),
            proposer: self.world.validators[proposer].address,
            last_commit: self.votes.commit.clone(),
            transactions,
        };
        let request = ProposalRequest {
            block: block.clone(),
            extended: self.votes.extended.clone(),
            bytes_max: if stream.one_in(15) { 9000 } else { 4_000_000 },
        };
        self.proposal.is_roomy = request.bytes_max > 9000;
        let bridge = self.bridge_data(height, proposer, &mut stream)?;
        let made = self
            .main
            .machine()
            .prepare(&request, &bridge)
            .map_err(text)?;
        if height.is_multiple_of(4) {
            let judges = self.shadows.iter();
            for (kind, shadow) in judges.filter(|(kind, _)| *kind == Shadow::Judge) {
                let other = shadow.machine().prepare(&request, &bridge).map_err(text)?;
                same(&format!("the proposal of shadow {kind:?}"), &other, &made)?;
            }
        }
        self.stop_at(crash, Crash::AfterPrepare)?;
        block.transactions = made;
        Ok(block)
    }

    /// The mempool asks for each; in some blocks it asks again for those that wait.
    fn check_all(&self, height: u64, transactions: &[Vec<u8>]) -> Check {
        let machine = self.main.machine();
        for bytes in transactions {
            let first = machine.check_tx(bytes, false).map_err(text)?;
            if first.is_ok() && height.is_multiple_of(4) {
                let again = machine.check_tx(bytes, true).map_err(text)?;
                same("a recheck of what waits", &again.is_ok(), &true)?;
            }
        }
        Ok(())
    }

    /// What a proposer brings from Solana: what its endpoints agree on, or now and then something else.
    fn bridge_data(&mut self, height: u64, proposer: usize, rng: &mut Rng) -> Check<BridgeData> {
        let Some(watermark) = self.watermark() else {
            return Ok(BridgeData::default());
        };
        let look = self.look(proposer, watermark)?;
        self.proposal.is_honest = look.trust == Trust::Full;
        let mut data = look.supply;
        if self.setup.has(FaultKind::Lie)
            && let Some(lie) = votes::lie(&self.world, &self.solana, height)
        {
            data.last_settle = Some(lie.to_bytes().to_vec());
        }
        if self.setup.has(FaultKind::Rpc) && rng.one_in(10) {
            self.count("fault the proposer lies about Solana");
            self.proposal.is_honest = false;
            match rng.below(3) {
                0 => {
                    for mut record in self.solana.records.iter().copied() {
                        record.amount += 1_000_000;
                        data.deposits.push(record.to_bytes().to_vec());
                    }
                    data.deposits.reverse();
                }
                1 => data.deposits = vec![vec![1; 9], Vec::new()],
                _other => data.last_settle = Some(vec![3; 17]),
            }
        }
        Ok(data)
    }

    fn step_ms(&mut self, height: u64) -> u64 {
        let mut rng = self.stream(height, 15);
        let hour = 3_600_000;
        let jumps = rng.one_in(self.world.jump_one_in) && self.setup.has(FaultKind::Clock);
        let chain = if jumps {
            self.count("fault clock jump");
            *rng.pick(&[hour / 5, hour, 2 * hour + 300_000, 5 * hour, 30 * hour])
        } else if rng.one_in(12) {
            1000
        } else {
            rng.between(self.world.step_ms / 4 * 3, self.world.step_ms)
        };
        self.world.block_ms(chain)
    }
}
