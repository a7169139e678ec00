//! Verifiers and workers under challenge: most do their part, some are late, absent, wrong, or lie.

use ed25519_dalek::SigningKey;
use io_challenge::{
    Draw, Element, Engine as _, FraudProof, HostEngine, Kernels, Nonce, Requantiser, Seed,
    SeedInput, SeedMatrix, multiply_rows,
};
use io_state_machine::tables;
use io_types::action::{
    CommitAnswer, CommitNonce, CommitVerdict, ProcessorAnswer, ReportFraud, RevealNonce,
    RevealVerdict, Verdict, VerdictBody,
};
use io_types::row::{Challenge, ChallengeStage, Device, DrawnVerifier};
use io_types::stream::nonce_commitment;
use io_types::{AccountId, Action, Hash};

use super::money::someone;
use super::{Intent, Memory, Scene};
use crate::rng::Rng;

/// Answers of a run that are worked out in full and wrong, in one seed of four: they cost as much as all else.
const FRAUDS_MAX: usize = 2;

pub(super) fn intents(
    scene: &Scene<'_>,
    memory: &mut Memory,
    rng: &mut Rng,
    out: &mut Vec<Intent>,
) {
    for (id, challenge) in scene.rows.list(&tables::CHALLENGES) {
        let part = Part {
            scene,
            challenge: &challenge,
        };
        for drawn in &challenge.verifiers {
            if let Some(key) = scene.world.key_of(drawn.account) {
                part.verifier(drawn, &key, rng, out);
            }
        }
        if challenge.stage == ChallengeStage::Answer && !rng.one_in(4) {
            part.answer(memory, out);
        }
        if let Some(proof) = memory.proofs.get(&id.0).filter(|_proof| rng.one_in(4)) {
            let action = Action::ReportFraud(ReportFraud {
                challenge: id,
                processor: 0,
                proof: proof.clone(),
            });
            out.push(Intent::new(&someone(scene, rng), vec![action]));
        }
    }
}

struct Part<'p> {
    scene: &'p Scene<'p>,
    challenge: &'p Challenge,
}

impl Part<'_> {
    /// Numbers that stay the same for this verifier in this draw.
    fn fixed(&self, account: &AccountId, what: u64) -> Rng {
        let name = u64::from_le_bytes(account.0[..8].try_into().unwrap());
        let (id, redraws) = (self.challenge.id.0, u64::from(self.challenge.redraws));
        Rng::new(&[self.scene.world.seed, id, redraws, name, what])
    }

    fn nonces(&self, account: &AccountId) -> (Hash, Hash) {
        let mut rng = self.fixed(account, 7);
        (Hash(rng.bytes32()), Hash(rng.bytes32()))
    }

    fn verdict(&self, account: &AccountId) -> (Hash, VerdictBody) {
        let mut mood = Rng::new(&[self.scene.world.seed, self.challenge.id.0, 8]);
        let calm = self.scene.world.calm && !mood.one_in(8);
        let common = if calm {
            Verdict::Pass
        } else {
            *mood.pick(&[
                Verdict::Pass,
                Verdict::Pass,
                Verdict::Pass,
                Verdict::Pass,
                Verdict::WrongAnswer,
                Verdict::NoOpenings,
                Verdict::Unreachable,
            ])
        };
        let mut rng = self.fixed(account, 9);
        let verdict = if rng.one_in(10) {
            *rng.pick(&[Verdict::TooSlow, Verdict::Busy, Verdict::VerifierFault])
        } else {
            common
        };
        let body = VerdictBody {
            verdict,
            phase_a_ms: u32::try_from(
                200 + mood.below(if calm { 1400 } else { 6000 }) + rng.below(50),
            )
            .unwrap(),
            phase_b_ms: u32::try_from(
                200 + mood.below(if calm { 1400 } else { 2500 }) + rng.below(50),
            )
            .unwrap(),
            transcript: Hash(rng.bytes32()),
            replayed: false,
            class: None,
        };
        (Hash(rng.bytes32()), body)
    }

    fn verifier(
        &self,
        drawn: &DrawnVerifier,
        key: &SigningKey,
        rng: &mut Rng,
        out: &mut Vec<Intent>,
    ) {
        let (challenge, account) = (self.challenge.id, drawn.account);
        // What this verifier never does in this draw.
        let misses = self
            .fixed(&account, 10)
            .below(if self.scene.world.calm { 90 } else { 30 });
        let (first, second) = self.nonces(&account);
        let (salt, mut body) = self.verdict(&account);
        let mut send = |action| {
            if !rng.one_in(4) {
                out.push(Intent::new(key, vec![action]));
            }
        };
        match self.challenge.stage {
            ChallengeStage::Nonces if drawn.nonce_commitment.is_none() && misses != 0 => {
                let commitment = nonce_commitment(challenge, &account, &first, &second);
                send(Action::CommitNonce(CommitNonce {
                    challenge,
                    commitment,
                }));
            }
            ChallengeStage::Verdicts | ChallengeStage::Reveals => {
                if drawn.nonces.is_none() && misses != 1 {
                    send(Action::RevealNonce(RevealNonce {
                        challenge,
                        first: if misses == 2 { second } else { first },
                        second,
                    }));
                }
                let stage = self.challenge.stage;
                if stage == ChallengeStage::Verdicts {
                    if drawn.verdict_commitment.is_none() && misses != 3 {
                        let device = self.challenge.device;
                        let commitment = body.commitment(&account, device, challenge, &salt);
                        send(Action::CommitVerdict(CommitVerdict {
                            challenge,
                            commitment,
                        }));
                    }
                } else if drawn.verdict.is_none() && misses != 4 {
                    if misses == 5 {
                        body.phase_a_ms += 1;
                    }
                    send(Action::RevealVerdict(RevealVerdict {
                        challenge,
                        salt,
                        body,
                    }));
                }
            }
            _other => {}
        }
    }

    fn answer(&self, memory: &mut Memory, out: &mut Vec<Intent>) {
        let Some(device) = self
            .scene
            .rows
            .get(&tables::DEVICES, &self.challenge.device)
        else {
            return;
        };
        let mut rng = Rng::new(&[self.scene.world.seed, self.challenge.id.0, 11]);
        if rng.one_in(12) {
            return;
        }
        let mut answer = CommitAnswer {
            challenge: self.challenge.id,
            nonces: Vec::new(),
            processors: Vec::new(),
        };
        let committed = self
            .challenge
            .verifiers
            .iter()
            .filter(|drawn| drawn.nonce_commitment.is_some());
        for drawn in committed {
            let (mut first, _second) = self.nonces(&drawn.account);
            if rng.one_in(20) {
                first.0[0] ^= 1;
            }
            answer.nonces.push((drawn.account, first));
        }
        if rng.one_in(15) {
            answer.nonces.reverse();
        }
        for _ in 0..device.spec.quantity {
            answer.processors.push(ProcessorAnswer {
                root_a: Hash(rng.bytes32()),
                root_b: Hash(rng.bytes32()),
            });
        }
        let cheats = self.scene.world.seed.is_multiple_of(4);
        if cheats && rng.one_in(10) && memory.proofs.len() < FRAUDS_MAX {
            self.cheat(&device, &mut answer, memory);
        }
        if let Some(key) = self.scene.world.key_of(device.device_key) {
            out.push(Intent::new(&key, vec![Action::CommitAnswer(answer)]));
        }
    }

    /// A run in full with one wrong element in each step, and the proof of it.
    fn cheat(&self, device: &Device, answer: &mut CommitAnswer, memory: &mut Memory) {
        let catalogue = &self.scene.world.spec.catalogue;
        let Some(class) = catalogue
            .classes
            .iter()
            .find(|class| class.id == self.challenge.class)
        else {
            return;
        };
        let params = io_challenge::Params {
            version: io_challenge::VERSION,
            class: class.id.0,
            size: class.n,
            kept: class.k,
            steps: class.m,
            walkers: class.w,
            reads: class.r,
        };
        let nonces: Vec<Nonce> = answer
            .nonces
            .iter()
            .map(|(verifier, value)| Nonce {
                verifier: verifier.0,
                value: value.0,
            })
            .collect();
        let seed = Seed::derive(&SeedInput {
            beacon: &self.challenge.beacon.0,
            nonces: &nonces,
            supplier: &device.owner.0,
            device: device.id.0,
            processor: 0,
            params: &params,
        });
        let Ok(seed) = seed else {
            return;
        };
        let mut engine = HostEngine::new(Faulty);
        let run = engine.run(&params, &seed).unwrap();
        answer.processors[0] = ProcessorAnswer {
            root_a: Hash(run.root_a),
            root_b: Hash(run.root_b),
        };
        let opened = engine
            .open(&Draw {
                elements: vec![WRONG],
                walks: Vec::new(),
            })
            .unwrap();
        let opening = opened.elements.into_iter().next().unwrap();
        let proof = FraudProof::of_element(&opened.lists, WRONG, opening);
        memory
            .proofs
            .insert(self.challenge.id.0, proof.encode(&params).unwrap());
    }
}

const WRONG: Element = Element {
    step: 4,
    row: 3,
    column: 7,
};

/// Kernels that get one element of each step wrong.
#[derive(Debug)]
struct Faulty;

impl Kernels for Faulty {
    fn name(&self) -> &'static str {
        "faulty"
    }

    fn expand(&self, seed: &Seed, matrix: SeedMatrix, out: &mut [u8]) {
        seed.expand(matrix, 0, out);
    }

    fn multiply(
        &self,
        size: usize,
        requantiser: &Requantiser,
        newer: &[u8],
        older: &[u8],
        out: &mut [u8],
    ) {
        multiply_rows(size, requantiser, newer, older, out);
        out[3 * size + 7] ^= 1;
    }
}
