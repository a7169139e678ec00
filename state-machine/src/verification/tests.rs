//! The chain's side of the challenge, on a chain of one device and five verifiers without an engine below.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test is a failed test"
)]

mod beacons;
mod classes;
mod frauds;
mod life;
mod rejections;
mod triggers;

use io_storage::{Fault, Snapshot, TableId, Value, Visit};
use io_types::action::{
    CommitAnswer, CommitNonce, CommitVerdict, DeviceSpec, ProcessorAnswer, RevealNonce,
    RevealVerdict, Verdict, VerdictBody,
};
use io_types::amount::MicroUsd;
use io_types::catalogue::{Catalogue, Class, ClassId, CountryCode, Model, ModelId, Pool};
use io_types::genesis::{
    GenesisBalance, GenesisBridge, GenesisSpec, GenesisValidator, GenesisVerifier,
};
use io_types::params::{
    AdmissionParams, MarketParams, PriceParams, RewardParams, SettlementParams, StakeParams,
    UptimeParams, VerificationParams,
};
use io_types::row::{
    Challenge, ChallengeStage, ChallengeTrigger, Device, DeviceState, UptimeChain,
};
use io_types::{
    AccountId, Amount, Asset, BlockTime, ChainTime, ChallengeId, DeviceId, Event, Hash, Height,
    Params, Reason, Rejection, Slot, ValidatorAddress,
};

use crate::context::BlockContext;
use crate::derived::Derived;
use crate::dispatch::Execute;
use crate::error::ActionError;
use crate::extension::{Attested, CountedVote};
use crate::state::State;
use crate::tables::{CHALLENGES, CLOCK, DEVICES, UPTIME};

use super::*;

const OWNER: AccountId = AccountId([100; 32]);
const WORKER: AccountId = AccountId([101; 32]);
const REPORTER: AccountId = AccountId([102; 32]);
const DEVICE: DeviceId = DeviceId(1);
const CLASS: ClassId = ClassId(1);
const START: u64 = 1_800_000_000_000_u64.div_euclid(3_600_000) * 3_600_000;

/// A snapshot without rows.
struct Nothing;

impl Snapshot for Nothing {
    fn get(&self, _table: TableId, _key: &[u8]) -> Result<Option<Value>, Fault> {
        Ok(None)
    }

    fn scan(
        &self,
        _table: TableId,
        _from: &[u8],
        _to: Option<&[u8]>,
        _visit: &mut Visit<'_>,
    ) -> Result<(), Fault> {
        Ok(())
    }
}

fn verifier(number: u8) -> AccountId {
    AccountId([number; 32])
}

fn class(id: u16, rank: u16) -> Class {
    Class {
        id: ClassId(id),
        name: format!("class {id}"),
        rank,
        n: 256,
        k: 6,
        m: 6,
        w: 64,
        r: 128,
        phase_a_ref_ms: 2000,
        phase_b_ref_ms: 1000,
        phase_a_min_ms: 0,
        answer_blocks: 20,
    }
}

fn validator(number: u8) -> ValidatorAddress {
    ValidatorAddress([number; 20])
}

/// Link `index` of a validator's chain; 0 is the anchor.
fn link(number: u8, index: usize) -> Hash {
    let mut value = Hash([number; 32]);
    for _ in index..50 {
        value = io_types::codec::sha256(&value.0);
    }
    value
}

fn spec(verifiers: u8) -> GenesisSpec {
    let mut params = Params {
        admission: AdmissionParams::default(),
        market: MarketParams::default(),
        uptime: UptimeParams::default(),
        stake: StakeParams::default(),
        reward: RewardParams::default(),
        verification: VerificationParams::default(),
        price: PriceParams::default(),
        settlement: SettlementParams::default(),
    };
    // No picks at random: tests that want them say so.
    params.verification.interval_ms = u64::MAX;
    let balance = |account, io: u64| GenesisBalance {
        account,
        asset: Asset::Io,
        amount: Amount::new(io),
    };
    let validators = [1, 2, 3].map(|number| GenesisValidator {
        address: validator(number),
        consensus_key: Hash([number; 32]),
        power: 10,
        settlement_key: AccountId([200 + number; 32]),
        operator: AccountId([210 + number; 32]),
        beacon_anchor: link(number, 0),
        moniker: format!("v{number}"),
    });
    let mut balances = vec![balance(OWNER, 1 << 50), balance(REPORTER, 1 << 50)];
    balances.extend((1..=verifiers).map(|number| balance(verifier(number), 1 << 40)));
    GenesisSpec {
        chain_id: "verification-test".to_owned(),
        genesis_time: BlockTime(START),
        chain_start: ChainTime(START),
        epoch_seconds: 3600,
        schedule_start: ChainTime(START),
        params,
        catalogue: Catalogue {
            classes: vec![class(1, 1)],
            models: vec![Model {
                id: ModelId(1),
                name: "test card".to_owned(),
                class: CLASS,
                multiplier_milli: 1000,
                pool: Pool::Enterprise,
                price_floor: MicroUsd(1),
                price_ceiling: MicroUsd(1_000_000_000),
                vram_mib: 1,
                placeholder: Vec::new(),
            }],
        },
        validators: validators.to_vec(),
        verifiers: (1..=verifiers)
            .map(|number| GenesisVerifier {
                account: verifier(number),
                url: "ws://127.0.0.1:1".to_owned(),
                stake: Amount::new(1 << 39),
            })
            .collect(),
        balances,
        bridge: GenesisBridge {
            cluster: Hash([7; 32]),
            program: AccountId([7; 32]),
            io_mint: AccountId([8; 32]),
            usdc_mint: AccountId([9; 32]),
        },
        accepted_pairs: Vec::new(),
    }
}

fn device(id: DeviceId, owner: AccountId, key: AccountId) -> Device {
    Device {
        id,
        owner,
        device_key: key,
        spec: DeviceSpec {
            model: ModelId(1),
            quantity: 1,
            vram_mib: 1,
            country: CountryCode(*b"DE"),
            connectivity: 3,
            ask: MicroUsd(1_000_000),
            payout_asset: Asset::Io,
        },
        state: DeviceState::Onboarding,
        reason: Reason::Normal,
        since: ChainTime(START),
        compliance: 0,
        reputation: 5000,
        class: None,
        passed_at: None,
        last_failed: false,
        challenge: None,
        booking: None,
        waiting_since: ChainTime(START),
        memory_failures: 0,
        memory_failed_at: ChainTime(0),
        challenge_due: ChainTime(START),
        registered_at: ChainTime(START),
    }
}

/// A chain with one device of one processor. Blocks are a second apart.
struct Chain {
    state: State<'static>,
    height: u64,
    index: Index,
}

impl Chain {
    fn new(spec: &GenesisSpec) -> Self {
        let mut state = State::new(&Nothing);
        crate::genesis::write(spec, &mut state).unwrap();
        DEVICES.put(&mut state, &DEVICE, &device(DEVICE, OWNER, WORKER));
        let index = Index::rebuild(state.overlay()).unwrap();
        let mut chain = Self {
            state,
            height: 1,
            index,
        };
        chain.register_uptime(DEVICE);
        chain
    }

    fn with_verifiers(count: u8) -> Self {
        Self::new(&spec(count))
    }

    fn register_uptime(&mut self, device: DeviceId) {
        let row = UptimeChain {
            link: Hash::ZERO,
            link_slot: Slot(0),
            last_slot: Slot(1),
            epochs: UptimeChain::NO_EPOCHS,
            full_epochs: 0,
            full_unraised: 0,
            expected_from: Slot(0),
            missed: 0,
            counted_down: false,
        };
        UPTIME.put(&mut self.state, &device, &row).unwrap();
        self.index = Index::rebuild(self.state.overlay()).unwrap();
    }

    fn block(&self) -> BlockContext {
        let time = BlockTime(START + self.height * 1000);
        BlockContext::load(&self.state, Height(self.height), time, Hash([3; 32])).unwrap()
    }

    /// Ends the block and begins the next.
    fn end(&mut self) {
        self.end_with(&Attested::default());
    }

    fn end_with(&mut self, attested: &Attested) {
        let block = self.block();
        let derived = Derived {
            verification: self.index.clone(),
            ..Derived::default()
        };
        end_block(&mut self.state, &block, &derived, attested).unwrap();
        let mut clock = CLOCK.expect(&self.state, &(), "genesis").unwrap();
        clock.chain_time = block.now;
        CLOCK.put(&mut self.state, &(), &clock);
        self.index = Index::rebuild(self.state.overlay()).unwrap();
        self.height += 1;
    }

    /// An action in this block; a rejection leaves no trace. A duty answers the same in `CheckTx`.
    fn act(&mut self, signer: AccountId, action: &dyn Execute) -> Result<(), Rejection> {
        action.check_stateless()?;
        let block = self.block();
        let before = self.rows();
        let early = action.check_duty(signer, &block, &self.state);
        assert_eq!(self.rows(), before, "CheckTx writes nothing");
        let mark = self.state.mark();
        match action.execute(signer, &block, &mut self.state) {
            Ok(()) => {
                assert_eq!(early, Ok(()), "what is executed was admitted");
                Ok(())
            }
            Err(ActionError::Rejected(rejection)) => {
                assert_eq!(self.rows(), before, "a rejected action has written nothing");
                self.state.revert(mark);
                Err(rejection)
            }
            Err(ActionError::Faulted(fault)) => panic!("{fault}"),
        }
    }

    fn rows(&self) -> Vec<(TableId, Vec<u8>, Vec<u8>)> {
        let writes = self.state.overlay().writes();
        writes
            .filter_map(|(table, key, value)| Some((table, key.to_vec(), value?.to_vec())))
            .collect()
    }

    fn device(&self) -> Device {
        DEVICES.expect(&self.state, &DEVICE, "test").unwrap()
    }

    fn edit(&mut self, change: impl FnOnce(&mut Device)) {
        let mut row = self.device();
        change(&mut row);
        DEVICES.put(&mut self.state, &DEVICE, &row);
        self.index = Index::rebuild(self.state.overlay()).unwrap();
    }

    fn challenge(&self) -> Challenge {
        CHALLENGES
            .expect(&self.state, &ChallengeId(1), "test")
            .unwrap()
    }

    fn drawn(&self) -> Vec<AccountId> {
        self.challenge()
            .verifiers
            .iter()
            .map(|drawn| drawn.account)
            .collect()
    }

    fn events(&mut self) -> Vec<Event> {
        self.state.take_events()
    }

    /// Triggers challenge 1 at onboarding and goes on until its verifiers are drawn.
    fn draw(&mut self) {
        self.end();
        while self.challenge().stage == ChallengeStage::AwaitingBeacon {
            self.end();
        }
    }

    fn commit_nonces(&mut self, who: &[AccountId]) {
        for account in who {
            let (first, second) = nonces(*account);
            let commitment =
                io_types::stream::nonce_commitment(ChallengeId(1), account, &first, &second);
            self.act(
                *account,
                &CommitNonce {
                    challenge: ChallengeId(1),
                    commitment,
                },
            )
            .unwrap();
        }
    }

    fn answer(&mut self, who: &[AccountId]) {
        self.act(WORKER, &answer(who)).unwrap();
    }

    fn commit_verdicts(&mut self, who: &[AccountId], body: &VerdictBody) {
        for account in who {
            let commitment = body.commitment(account, DEVICE, ChallengeId(1), &salt(*account));
            self.act(
                *account,
                &CommitVerdict {
                    challenge: ChallengeId(1),
                    commitment,
                },
            )
            .unwrap();
        }
    }

    fn reveal(&mut self, who: &[AccountId], body: &VerdictBody) {
        for account in who {
            self.act(*account, &reveal_nonce(*account)).unwrap();
            self.act(*account, &reveal_verdict(*account, body)).unwrap();
        }
    }

    /// Draw, nonces, answer and verdicts: all is well up to the reveals.
    fn until_reveals(&mut self, body: &VerdictBody) -> Vec<AccountId> {
        self.draw();
        let drawn = self.drawn();
        self.commit_nonces(&drawn);
        self.end();
        self.answer(&drawn);
        self.end();
        self.commit_verdicts(&drawn, body);
        assert_eq!(self.challenge().stage, ChallengeStage::Reveals);
        drawn
    }

    /// The whole challenge with one verdict of all.
    fn whole(&mut self, body: &VerdictBody) {
        let drawn = self.until_reveals(body);
        self.reveal(&drawn, body);
        assert_eq!(self.challenge().stage, ChallengeStage::Decided);
    }

    fn skip_to_deadline(&mut self) {
        let stage = self.challenge().stage;
        while self.challenge().stage == stage {
            self.end();
        }
    }
}

fn nonces(account: AccountId) -> (Hash, Hash) {
    (
        io_types::codec::sha256(&account.0),
        io_types::codec::sha256(&[account.0, account.0].concat()),
    )
}

fn salt(account: AccountId) -> Hash {
    Hash(account.0)
}

fn reveal_nonce(account: AccountId) -> RevealNonce {
    let (first, second) = nonces(account);
    RevealNonce {
        challenge: ChallengeId(1),
        first,
        second,
    }
}

fn reveal_verdict(account: AccountId, body: &VerdictBody) -> RevealVerdict {
    RevealVerdict {
        challenge: ChallengeId(1),
        salt: salt(account),
        body: body.clone(),
    }
}

fn answer(who: &[AccountId]) -> CommitAnswer {
    CommitAnswer {
        challenge: ChallengeId(1),
        nonces: who
            .iter()
            .map(|account| (*account, nonces(*account).0))
            .collect(),
        processors: vec![ProcessorAnswer {
            root_a: Hash([1; 32]),
            root_b: Hash([2; 32]),
        }],
    }
}

fn says(verdict: Verdict) -> VerdictBody {
    VerdictBody {
        verdict,
        phase_a_ms: 2000,
        phase_b_ms: 1000,
        transcript: Hash::ZERO,
        replayed: false,
        class: None,
    }
}

fn votes(links: &[(u8, Hash)]) -> Attested {
    let vote = |(number, link): &(u8, Hash)| CountedVote {
        validator: validator(*number),
        power: 10,
        settlement_key: AccountId([0; 32]),
        extension: io_types::extension::VoteExtension {
            version: 1,
            beacon: Some(*link),
            ..Default::default()
        },
    };
    Attested {
        total_power: 30,
        votes: links.iter().map(vote).collect(),
        ..Attested::default()
    }
}
