//! A chain in memory for tests of worker and verifier: one device, one challenge, stages that move as the real ones do when
//! everybody has done his part. It checks nothing; the state machine's own tests do. Included by both crates' tests, which
//! bring `chain` into scope.

use std::sync::{Arc, Mutex};

use io_client::ClientError;
use io_types::action::{DeviceSpec, RevealNonce};
use io_types::api::{DeviceView, Status, TransactionResult};
use io_types::catalogue::{Catalogue, Class, ClassId, CountryCode, ModelId};
use io_types::params::{
    AdmissionParams, MarketParams, PriceParams, RewardParams, SettlementParams, StakeParams,
    UptimeParams, VerificationParams,
};
use io_types::row::{
    Booking, Challenge, ChallengeStage, ChallengeTrigger, Device, DeviceState, DrawnVerifier,
    VerifierRow,
};
use io_types::time::TimeScale;
use io_types::{
    AccountId, Action, Amount, Asset, BlockTime, BookingId, ChainTime, ChallengeId, DeviceId, Hash,
    Height, HoldId, MicroUsd, Params, Reason,
};

use super::chain::{Chain, Lane};

pub(crate) const CHAIN_ID: &str = "stream-test";
pub(crate) const DEVICE: DeviceId = DeviceId(1);
pub(crate) const CHALLENGE: ChallengeId = ChallengeId(7);

/// Everything that the chain holds.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) height: u64,
    pub(crate) device: Device,
    pub(crate) challenge: Challenge,
    pub(crate) verifiers: Vec<VerifierRow>,
    pub(crate) booking: Option<Booking>,
    /// Every action that came, with its signer.
    pub(crate) log: Vec<(AccountId, Action)>,
    /// Whether stages move on by themselves.
    pub(crate) moves: bool,
}

/// The chain as one key sees it.
#[derive(Clone, Debug)]
pub(crate) struct Fake {
    pub(crate) world: Arc<Mutex<World>>,
    pub(crate) account: AccountId,
}

pub(crate) fn class() -> Class {
    Class {
        id: ClassId(1),
        name: "test".to_owned(),
        rank: 1,
        n: 256,
        k: 6,
        m: 6,
        w: 64,
        r: 64,
        phase_a_ref_ms: 2000,
        phase_b_ref_ms: 2000,
        phase_a_min_ms: 0,
        answer_blocks: 100,
    }
}

impl World {
    /// A challenge of a device with that many processors, judged by these verifiers, in its first stage.
    pub(crate) fn new(
        device_key: AccountId,
        quantity: u16,
        verifiers: &[(AccountId, String)],
    ) -> Self {
        let drawn = |(account, _url): &(AccountId, String)| DrawnVerifier {
            account: *account,
            stake: Amount::new(1),
            nonce_commitment: None,
            nonces: None,
            verdict_commitment: None,
            verdict: None,
        };
        let mut sorted = verifiers.to_vec();
        sorted.sort();
        Self {
            height: 1,
            device: Device {
                id: DEVICE,
                owner: AccountId([9; 32]),
                device_key,
                spec: DeviceSpec {
                    model: ModelId(1),
                    quantity,
                    vram_mib: 1,
                    country: CountryCode(*b"DE"),
                    connectivity: 3,
                    ask: MicroUsd(1),
                    payout_asset: Asset::Io,
                },
                state: DeviceState::Onboarding,
                reason: Reason::Normal,
                since: ChainTime(0),
                compliance: 0,
                reputation: 5000,
                class: None,
                passed_at: None,
                last_failed: false,
                challenge: Some(CHALLENGE),
                booking: None,
                waiting_since: ChainTime(0),
                memory_failures: 0,
                memory_failed_at: ChainTime(0),
                challenge_due: ChainTime(0),
                registered_at: ChainTime(0),
            },
            challenge: Challenge {
                id: CHALLENGE,
                device: DEVICE,
                trigger: ChallengeTrigger::Onboarding,
                triggered: Height(1),
                class: ClassId(1),
                beacon: Hash([5; 32]),
                stage: ChallengeStage::Nonces,
                deadline: Height(1_000_000),
                verifiers: sorted.iter().map(drawn).collect(),
                answered: None,
                nonces_used: Vec::new(),
                answers: Vec::new(),
                outcome: None,
                decided_at: None,
                redraws: 0,
                earlier: Vec::new(),
                times_ms: None,
                fraud_reporter: None,
            },
            verifiers: sorted
                .iter()
                .map(|(account, url)| VerifierRow {
                    account: *account,
                    url: url.clone(),
                    stake: Amount::new(1),
                    hold: HoldId(1),
                    active: true,
                    lost: Amount::ZERO,
                    missed: 0,
                })
                .collect(),
            booking: None,
            log: Vec::new(),
            moves: true,
        }
    }

    fn drawn(&mut self, account: AccountId) -> Option<&mut DrawnVerifier> {
        self.challenge
            .verifiers
            .iter_mut()
            .find(|drawn| drawn.account == account)
    }

    fn take(&mut self, signer: AccountId, action: &Action) {
        if let Action::CommitNonce(action) = action {
            if let Some(drawn) = self.drawn(signer) {
                drawn.nonce_commitment = Some(action.commitment);
            }
        } else if let Action::CommitAnswer(action) = action {
            self.challenge.nonces_used.clone_from(&action.nonces);
            self.challenge.answers.clone_from(&action.processors);
            self.challenge.answered = Some(Height(self.height));
            self.challenge.stage = ChallengeStage::Verdicts;
        } else if let Action::CommitVerdict(action) = action {
            if let Some(drawn) = self.drawn(signer) {
                drawn.verdict_commitment = Some(action.commitment);
            }
        } else if let Action::RevealNonce(RevealNonce { first, second, .. }) = action {
            if let Some(drawn) = self.drawn(signer) {
                drawn.nonces = Some((*first, *second));
            }
        } else if let Action::RevealVerdict(action) = action {
            if let Some(drawn) = self.drawn(signer) {
                drawn.verdict = Some(action.body.clone());
            }
        } else if let (Action::Deliver(action), Some(booking)) = (action, &mut self.booking) {
            for part in &mut booking.parts {
                part.delivered_at = Some(ChainTime(1));
                part.sealed.clone_from(&action.sealed);
            }
        }
    }

    fn go_on(&mut self) {
        let verifiers = &self.challenge.verifiers;
        let all = |done: fn(&DrawnVerifier) -> bool| verifiers.iter().all(done);
        let next = match self.challenge.stage {
            ChallengeStage::Nonces if all(|drawn| drawn.nonce_commitment.is_some()) => {
                ChallengeStage::Answer
            }
            ChallengeStage::Verdicts if all(|drawn| drawn.verdict_commitment.is_some()) => {
                ChallengeStage::Reveals
            }
            ChallengeStage::Reveals
                if all(|drawn| drawn.nonces.is_some() && drawn.verdict.is_some()) =>
            {
                self.device.challenge = None;
                ChallengeStage::Decided
            }
            same @ (ChallengeStage::AwaitingBeacon
            | ChallengeStage::Nonces
            | ChallengeStage::Answer
            | ChallengeStage::Verdicts
            | ChallengeStage::Reveals
            | ChallengeStage::Decided) => same,
        };
        self.challenge.stage = next;
    }
}

impl Fake {
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        act(&mut self.world.lock().unwrap())
    }

    /// Waits until something holds; panics with `what` after a minute.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&World) -> bool) {
        for _try in 0..3000 {
            if self.with(|world| holds(world)) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!(
            "{what} did not come about: {:#?}",
            self.with(|world| world.challenge.clone())
        );
    }
}

impl Chain for Fake {
    fn account(&self) -> AccountId {
        self.account
    }

    async fn status(&self) -> Result<Status, ClientError> {
        Ok(self.with(|world| {
            // Each look sees a new block.
            world.height += 1;
            let chain_time = ChainTime(1_000_000_000 + world.height.div_euclid(50) * 60_000);
            Status {
                chain_id: CHAIN_ID.to_owned(),
                version: String::new(),
                min_client_version: String::new(),
                height: Height(world.height),
                app_hash: Hash::ZERO,
                block_time: BlockTime(0),
                chain_time,
                epoch: chain_time.epoch(),
                slot: chain_time.slot(),
                scale: TimeScale {
                    genesis_time: BlockTime(0),
                    chain_start: ChainTime(0),
                    epoch_seconds: 3600,
                },
                catching_up: false,
                moniker: String::new(),
                notes: Vec::new(),
            }
        }))
    }

    async fn params(&self) -> Result<Params, ClientError> {
        Ok(Params {
            admission: AdmissionParams::default(),
            market: MarketParams::default(),
            uptime: UptimeParams::default(),
            stake: StakeParams::default(),
            reward: RewardParams::default(),
            verification: VerificationParams::default(),
            price: PriceParams::default(),
            settlement: SettlementParams::default(),
        })
    }

    async fn catalogue(&self) -> Result<Catalogue, ClientError> {
        Ok(Catalogue {
            classes: vec![class()],
            models: Vec::new(),
        })
    }

    async fn device(&self, device: DeviceId) -> Result<DeviceView, ClientError> {
        if device != DEVICE {
            return Err(ClientError::NotFound {
                url: "test".to_owned(),
                text: format!("device {device}"),
            });
        }
        Ok(self.with(|world| DeviceView {
            device: world.device.clone(),
            stake: None,
            stake_min: Amount::ZERO,
            uptime: None,
        }))
    }

    async fn booking(&self, booking: BookingId) -> Result<Booking, ClientError> {
        let found = self.with(|world| world.booking.clone());
        found.ok_or_else(|| ClientError::NotFound {
            url: "test".to_owned(),
            text: format!("booking {booking}"),
        })
    }

    async fn bookings_of(&self, _device: DeviceId) -> Result<Vec<Booking>, ClientError> {
        Ok(self.with(|world| world.booking.clone().into_iter().collect()))
    }

    async fn challenge(&self, _challenge: ChallengeId) -> Result<Challenge, ClientError> {
        Ok(self.with(|world| world.challenge.clone()))
    }

    async fn assigned(&self) -> Result<Vec<Challenge>, ClientError> {
        Ok(self.with(|world| {
            let row = world.challenge.clone();
            let is_mine = row
                .verifiers
                .iter()
                .any(|drawn| drawn.account == self.account);
            let is_open =
                row.stage != ChallengeStage::Decided && row.stage != ChallengeStage::AwaitingBeacon;
            if is_mine && is_open {
                vec![row]
            } else {
                Vec::new()
            }
        }))
    }

    async fn verifiers(&self) -> Result<Vec<VerifierRow>, ClientError> {
        Ok(self.with(|world| world.verifiers.clone()))
    }

    async fn submit(
        &self,
        _lane: Lane,
        actions: Vec<Action>,
    ) -> Result<TransactionResult, ClientError> {
        let height = self.with(|world| {
            for action in actions {
                world.take(self.account, &action);
                world.log.push((self.account, action));
            }
            if world.moves {
                world.go_on();
            }
            Height(world.height)
        });
        Ok(TransactionResult {
            hash: Hash::ZERO,
            height: Some(height),
            code: 0,
            log: String::new(),
            events: Vec::new(),
        })
    }
}
