//! An input as a sequence of instructions, each done by the program and by the model.

use std::collections::BTreeSet;
use std::rc::Rc;

use io_fuzz::bytes::Input;
use io_settlement::batch::SettleBody;
use io_settlement::deposit::{DepositRecord, next_hash};
use io_settlement::{Asset, Bytes32};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer as _;

use crate::calls::{Call, Payouts, close_signatures};
use crate::model::{Batch, DEPOSIT_MIN, Model, Outcome, PEOPLE};
use crate::tokens;
use crate::world::{GENESIS_TIME, World, keypair, time_params};

/// What each person has to begin with, of each asset.
const WALLET: u64 = 10_000_000;
/// Instructions of one input at most.
const STEPS_MAX: usize = 40;

thread_local! {
    /// The bridge before the first instruction; it takes longer to make than most inputs to run.
    static START: Scene = Scene::new();
}

#[derive(Clone)]
struct Scene {
    world: World,
    model: Model,
    depositors: Rc<[Vec<(Keypair, Pubkey)>; 2]>,
    payees: Rc<[Keypair]>,
    /// All that was ever promised to each person.
    promised: [[u64; PEOPLE]; 2],
    /// Every tree that was ever in a batch.
    trees: Vec<[Payouts; 2]>,
    bodies: Vec<(SettleBody, Batch)>,
    /// Rolling hash after each deposit, before the first too.
    rolling: Vec<Bytes32>,
}

fn place(asset: Asset) -> usize {
    usize::from(asset.byte())
}

impl Scene {
    fn new() -> Self {
        let mut world = World::started();
        let people =
            |world: &mut World, asset| (0..PEOPLE).map(|_one| world.user(asset, WALLET)).collect();
        let depositors = [
            people(&mut world, Asset::Io),
            people(&mut world, Asset::Usdc),
        ];
        let payees: Rc<[Keypair]> = (0..3).map(|number| keypair(5000 + number)).collect();
        for payee in payees.iter() {
            for asset in Asset::ALL {
                world.associated(asset, payee.pubkey());
            }
        }
        let rolling = vec![world.state().state.deposit_hash];
        let model = Model {
            now: GENESIS_TIME,
            number: 0,
            wallets: [[WALLET; PEOPLE]; 2],
            received: [[0; PEOPLE]; 2],
            vaults: [0; 2],
            stake_vault: 0,
            io_supply: world.io_supply(),
            deposits: 0,
            freed: 0,
            deposited: [0; 2],
            claimed: [0; 2],
            payout_total: [0; 2],
            minted: 0,
            burned: 0,
            credit_burned: 0,
            staked: 0,
            roots: [Vec::new(), Vec::new()],
            signed: std::collections::BTreeMap::new(),
        };
        Self {
            world,
            model,
            depositors: Rc::new(depositors),
            payees,
            promised: [[0; PEOPLE]; 2],
            trees: Vec::new(),
            bodies: Vec::new(),
            rolling,
        }
    }

    /// Runs a call that must end as the model says; the compute units it took.
    fn compare(&mut self, call: &Call, wanted: Outcome) -> u64 {
        let before = wanted.is_err().then(|| self.world.picture());
        let done = self.world.try_run(std::slice::from_ref(call));
        let wanted = wanted
            .map_err(|code| format!("InstructionError({}, Custom({code}))", call.before.len()));
        let units = done.as_ref().map_or(0, |done| done.compute_units_consumed);
        assert_eq!(done.map(|_done| ()), wanted);
        if let Some(before) = before {
            assert_eq!(
                self.world.picture(),
                before,
                "a refused call changed something"
            );
        }
        units
    }

    /// Every number that both sides have.
    fn is_as_modelled(&self) {
        let (state, model) = (self.world.state(), &self.model);
        let counters = &state.state.counters;
        assert_eq!(counters.deposited, model.deposited);
        assert_eq!(counters.claimed, model.claimed);
        assert_eq!(counters.payout_total, model.payout_total);
        let io = [
            counters.minted,
            counters.burned,
            counters.credit_burned,
            counters.staked,
        ];
        assert_eq!(
            io,
            [
                model.minted,
                model.burned,
                model.credit_burned,
                model.staked
            ]
        );
        assert_eq!(state.last.number, model.number);
        assert_eq!(
            (state.state.deposit_number, state.state.freed_number),
            (model.deposits, model.freed)
        );
        assert_eq!(
            state.state.deposit_hash,
            self.rolling[self.rolling.len() - 1]
        );
        assert_eq!(
            self.world.vaults.map(|vault| self.world.balance(vault)),
            model.vaults
        );
        assert_eq!(
            self.world.balance(self.world.stake_vault),
            model.stake_vault
        );
        assert_eq!(self.world.io_supply(), model.io_supply);
        for asset in Asset::ALL {
            let at = place(asset);
            for (who, (_key, wallet)) in self.depositors[at].iter().enumerate() {
                assert_eq!(self.world.balance(*wallet), model.wallets[at][who]);
            }
            for (who, payee) in self.payees.iter().enumerate() {
                let paid = tokens::associated(payee.pubkey(), self.world.mints[at]);
                assert_eq!(self.world.balance(paid), model.received[at][who]);
                assert!(
                    model.received[at][who] <= self.promised[at][who],
                    "paid more than was ever promised"
                );
            }
        }
    }

    fn deposit(&mut self, input: &mut Input<'_>) -> (Outcome, u64) {
        let asset = *input.pick(&Asset::ALL);
        let (at, who) = (place(asset), usize::from(input.byte()) % PEOPLE);
        let (least, wallet) = (DEPOSIT_MIN[at], self.model.wallets[at][who]);
        let amount = *input.pick(&[
            least,
            least - 1,
            0,
            5000,
            1_000_000,
            wallet,
            wallet + 1,
            u64::MAX,
        ]);
        let (key, source) = &self.depositors[at][who];
        let account = [input.byte(); 32];
        let depositor = key.pubkey().to_bytes();
        let call = self.world.deposit(asset, key, *source, amount, account);
        let wanted = self.model.deposit(at, who, amount);
        let units = self.compare(&call, wanted);
        if wanted.is_ok() {
            let record = DepositRecord {
                n: self.model.deposits,
                asset: asset.byte(),
                amount,
                account,
                depositor,
                slot: self.slot(),
            };
            self.rolling
                .push(next_hash(&self.rolling[self.rolling.len() - 1], &record));
        }
        (wanted, units)
    }

    fn slot(&self) -> u64 {
        let clock = Pubkey::from(io_settlement::address::CLOCK_SYSVAR);
        let clock = self.world.svm.get_account(&clock).unwrap();
        u64::from_le_bytes(clock.data[..8].try_into().unwrap())
    }

    /// New promises and a batch with them; wrong in some way if the input says so.
    fn batch(&mut self, input: &mut Input<'_>) -> (SettleBody, Batch) {
        let trees = Asset::ALL.map(|asset| {
            let sums = &mut self.promised[place(asset)];
            sums[usize::from(input.byte()) % PEOPLE] +=
                *input.pick(&[0, 1, 500, 40_000, 3_000_000]);
            let leaves = self
                .payees
                .iter()
                .zip(*sums)
                .map(|(payee, sum)| (payee.pubkey(), sum));
            Payouts::new(asset, leaves.collect())
        });
        let ceiling = time_params().ceiling(self.model.now);
        let model = &self.model;
        let mut body = self.world.batch();
        for tree in &trees {
            tree.put(&mut body);
        }
        body.number = model.number + *input.pick(&[1, 1, 1, 0, 7]);
        body.emitted = *input.pick(&[model.minted, model.minted + 5_000_000, ceiling, u64::MAX, 0]);
        body.reminted = *input.pick(&[0, model.credit_burned, u64::MAX, 7]);
        body.burned = *input.pick(&[model.burned, model.burned + 900, u64::MAX, 0]);
        body.credit_burned =
            *input.pick(&[model.credit_burned, model.credit_burned + 900, u64::MAX, 0]);
        body.stake_target = *input.pick(&[
            model.staked,
            0,
            model.staked + 2000,
            u64::MAX,
            model.staked >> 1,
        ]);
        body.deposit_number = *input.pick(&[
            model.deposits,
            model.freed,
            model.deposits + 1,
            model.freed.saturating_sub(1),
            model.deposits.saturating_sub(1),
        ]);
        let known = usize::try_from(body.deposit_number).unwrap();
        let is_true = input.byte() != 1 && known < self.rolling.len();
        body.deposit_hash = if is_true {
            self.rolling[known]
        } else {
            [0xee; 32]
        };
        match input.byte() {
            1 => body.chain_id = [3; 32],
            2 => body.set_epoch = 2,
            3 => body.payouts[0].total = body.payouts[0].total.saturating_sub(1),
            4 => body.payouts[1].total = u64::MAX,
            5 => body.payouts[0].total = u64::MAX,
            _right => {}
        }
        let batch = Batch {
            name: body.hash(),
            is_ours: body.chain_id != [3; 32],
            set_epoch: body.set_epoch,
            number: body.number,
            roots: body.payouts.map(|payout| payout.root),
            payouts: body.payouts.map(|payout| payout.total),
            emitted: body.emitted,
            reminted: body.reminted,
            burned: body.burned,
            credit_burned: body.credit_burned,
            stake_target: body.stake_target,
            deposit: body.deposit_number,
            deposit_is_true: is_true,
        };
        self.trees.push(trees);
        self.bodies.push((body, batch.clone()));
        (body, batch)
    }

    fn sign(&mut self, input: &mut Input<'_>, body: &SettleBody) {
        let members = *input.pick(&[0b1111_u8, 0b0111, 0b0011, 0b1101, 0b1000, 0]);
        let indexes: Vec<u8> = (0..4).filter(|member| members >> member & 1 == 1).collect();
        if indexes.is_empty() {
            return;
        }
        let call = self.world.post(body, &indexes);
        self.compare(&call, Ok(()));
        // Signatures are kept for the present set, whatever set the batch names.
        self.model.sign(body.hash(), members);
    }

    fn settle(&mut self, body: &SettleBody, batch: &Batch) -> (Outcome, u64) {
        let ceiling = time_params().ceiling(self.model.now);
        let wanted = self.model.settle(batch, ceiling);
        let call = self.world.settle(body);
        let units = self.compare(&call, wanted);
        (wanted, units)
    }

    fn old_body(&self, input: &mut Input<'_>) -> Option<(SettleBody, Batch)> {
        let back = usize::from(input.byte()) % 4;
        let place = self.bodies.len().checked_sub(back + 1)?;
        Some(self.bodies[place].clone())
    }

    fn claim(&mut self, input: &mut Input<'_>) -> Option<(Outcome, u64)> {
        let (asset, back, who) = (
            *input.pick(&Asset::ALL),
            usize::from(input.byte()) % 10,
            usize::from(input.byte()) % PEOPLE,
        );
        let tree = self.trees.len().checked_sub(back + 1)?;
        let found = &self.trees[tree][place(asset)];
        let mut leaves = found.leaves.clone();
        // A leaf that nobody signed, unless it happens to be one of another tree.
        leaves[who].1 = leaves[who]
            .1
            .wrapping_add(*input.pick(&[0, 0, 0, 1, 1_000_000, u64::MAX]));
        let forged = Payouts::new(asset, leaves);
        let leaf = (forged.leaves[who].1, forged.tree.root());
        let wanted = self.model.claim(place(asset), who, leaf);
        let call = self.world.claim(&forged, who);
        let units = self.compare(&call, wanted);
        Some((wanted, units))
    }

    fn wait(&mut self, input: &mut Input<'_>) {
        self.model.now += *input.pick(&[1, 3600, 86_400, 86_400 * 30, 86_400 * 400]);
        self.world.set_time(self.model.now);
    }

    fn donate(&mut self, input: &mut Input<'_>) {
        let asset = *input.pick(&Asset::ALL);
        let amount = *input.pick(&[1, 10_000, 5_000_000]);
        let vault = *asset.of(&self.world.vaults);
        self.world.fund(asset, vault, amount);
        self.model.vaults[place(asset)] += amount;
    }

    fn close(&mut self, input: &mut Input<'_>) -> Option<(Outcome, u64)> {
        let (body, _batch) = self.old_body(input)?;
        let address = self.world.signatures_address(1, &body.hash());
        let authority = self.world.authority.insecure_clone();
        let wanted = self.model.close(body.hash());
        let units = self.compare(&close_signatures(address, &authority), wanted);
        Some((wanted, units))
    }

    fn step(&mut self, kind: u8, input: &mut Input<'_>) -> Option<(Outcome, u64)> {
        match kind {
            0 | 1 => Some(self.deposit(input)),
            2 | 3 => {
                let (body, batch) = self.batch(input);
                self.sign(input, &body);
                Some(self.settle(&body, &batch))
            }
            4..=6 => self.claim(input),
            7 => {
                self.wait(input);
                None
            }
            8 => {
                self.donate(input);
                None
            }
            9 => self.close(input),
            10 => {
                // Signed later, or settled again.
                let (body, batch) = self.old_body(input)?;
                self.sign(input, &body);
                Some(self.settle(&body, &batch))
            }
            _prepared => {
                let (body, _batch) = self.batch(input);
                self.sign(input, &body);
                None
            }
        }
    }
}

/// Runs an input. The marks say what it did: kind, code and size of each step, and the step before.
pub(crate) fn run(data: &[u8]) -> BTreeSet<u64> {
    let mut scene = START.with(Scene::clone);
    let mut input = Input::new(data);
    let (mut marks, mut last) = (BTreeSet::new(), 0_u64);
    for _step in 0..STEPS_MAX {
        if input.is_over() {
            break;
        }
        let kind = input.byte() % 12;
        let (outcome, units) = scene.step(kind, &mut input).unwrap_or((Ok(()), 0));
        scene.is_as_modelled();
        let code = u64::from(outcome.err().unwrap_or(0));
        let mark = (u64::from(kind) << 12) | code;
        // Steps of about a thousand compute units stand for the road that the program took.
        marks.insert(mark << 12 | units >> 10);
        marks.insert(1 << 60 | last << 24 | mark);
        last = mark;
    }
    marks
}
