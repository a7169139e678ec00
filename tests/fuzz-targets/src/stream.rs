//! Frames between worker and verifier: bytes, WebSocket, the pieces of openings, and what a verifier concludes.
//!
//! The prover behind the roots is honest, so that whatever a stranger sends in its name proves nothing against it.

use std::io::{self, Read, Write};
use std::sync::OnceLock;
use std::time::Instant;

use borsh::{BorshDeserialize, BorshSerialize};
use io_challenge::{
    Assembler, Draw, Engine as _, FraudProof, Params, Roots, ScalarEngine, Seed, check_fraud_proof,
};
use io_types::action::ProcessorAnswer;
use io_types::catalogue::{Class, ClassId};
use io_types::row::{Challenge, ChallengeStage, ChallengeTrigger};
use io_types::stream::{FRAME_BYTES_MAX, VerifierFrame, WorkerFrame};
use io_types::{AccountId, ChallengeId, DeviceId, Hash, Height};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::bytes::Input;
use crate::check::{Finding, check};
use crate::record::Record;
use crate::task::{Collected, Task};
use crate::terms::{Terms, params_of, roots_of};
use crate::wire::{self, Received};

/// The target. The first byte says what the rest is.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 6 {
        0 => frame::<WorkerFrame>(input.rest()),
        1 => frame::<VerifierFrame>(input.rest()),
        2 => socket(input.rest(), Role::Server),
        3 => socket(input.rest(), Role::Client),
        4 => proof(input.rest()),
        _conversation => {
            conversation(&mut input);
        }
    }
}

/// A message is a frame in its one encoding, or none.
fn frame<T: BorshSerialize + BorshDeserialize + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    match wire::read::<T>(Message::Binary(bytes.to_vec().into())) {
        Ok(Received::Frame(frame)) => {
            assert!(bytes.len() <= FRAME_BYTES_MAX);
            assert_eq!(
                wire::message(&frame),
                Message::Binary(bytes.to_vec().into())
            );
        }
        Ok(other) => panic!("binary bytes were read as {other:?}"),
        Err(why) => assert!(why.starts_with("a message is no frame: "), "{why}"),
    }
}

/// A peer of whom only bytes come.
struct Peer<'d>(&'d [u8]);

impl Read for Peer<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Peer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes of a connection after its handshake, with the limits that both sides set.
fn socket(bytes: &[u8], role: Role) {
    let mut socket = WebSocket::from_raw_socket(Peer(bytes), role, Some(wire::limits()));
    // Every message takes a byte at least.
    for _message in 0..=bytes.len() {
        match socket.read() {
            Ok(message) => {
                assert!(message.len() <= FRAME_BYTES_MAX);
                let is_binary = message.is_binary();
                match wire::read::<WorkerFrame>(message) {
                    Ok(Received::Frame(_frame)) => assert!(is_binary),
                    Ok(Received::Nothing | Received::Closed) => assert!(!is_binary),
                    Err(why) => assert!(why.starts_with("a message is "), "{why}"),
                }
            }
            Err(Error::WriteBufferFull(_message)) => panic!("nothing is written here"),
            Err(_ended) => return,
        }
    }
    panic!("a connection that never ends");
}

/// An honest prover's answer, and what a verifier asks it.
struct Honest {
    terms: Terms,
    row: Challenge,
    account: AccountId,
    record: Record,
    seed: Seed,
    roots: Roots,
    draw: Draw,
    openings: Vec<u8>,
}

fn honest() -> &'static Honest {
    static HONEST: OnceLock<Honest> = OnceLock::new();
    HONEST.get_or_init(make_honest)
}

fn make_honest() -> Honest {
    let account = AccountId([1; 32]);
    let class = class();
    let params = params_of(&class);
    let terms = Terms {
        challenge: ChallengeId(3),
        redraws: 0,
        device: DeviceId(5),
        supplier: AccountId([6; 32]),
        beacon: Hash([7; 32]),
        quantity: 1,
        params,
        drawn: vec![account],
        class,
    };
    let record = Record {
        challenge: terms.challenge,
        redraws: 0,
        device: terms.device,
        first: Hash([11; 32]),
        second: Hash([12; 32]),
        salt: Hash([13; 32]),
        measuring: true,
        times_ms: None,
        verdict: None,
    };
    let nonces = vec![(account, record.first)];
    let seed = terms.seed(&nonces, 0).unwrap();
    let mut engine = ScalarEngine::default();
    let run = engine.run(&params, &seed).unwrap();
    let answer = ProcessorAnswer {
        root_a: Hash(run.root_a),
        root_b: Hash(run.root_b),
    };
    let commit = terms.commit(&nonces, &answer).unwrap();
    let draw = terms.draw(&commit, &account, &record.second).unwrap();
    let openings = engine.open(&draw).unwrap().encode(&params, &draw).unwrap();
    Honest {
        row: row(&terms, nonces, &answer),
        account,
        record,
        seed,
        roots: roots_of(&answer),
        draw,
        openings,
        terms,
    }
}

fn class() -> Class {
    let Params {
        size,
        kept,
        steps,
        walkers,
        reads,
        ..
    } = Params::TEST;
    Class {
        id: ClassId(1),
        name: "fuzz".to_owned(),
        rank: 1,
        n: size,
        k: kept,
        m: steps,
        w: walkers,
        r: reads,
        phase_a_ref_ms: 1,
        phase_b_ref_ms: 1,
        phase_a_min_ms: 0,
        answer_blocks: 1,
    }
}

fn row(terms: &Terms, nonces: Vec<(AccountId, Hash)>, answer: &ProcessorAnswer) -> Challenge {
    Challenge {
        id: terms.challenge,
        device: terms.device,
        trigger: ChallengeTrigger::Onboarding,
        triggered: Height(1),
        class: terms.class.id,
        beacon: terms.beacon,
        stage: ChallengeStage::Nonces,
        deadline: Height(9),
        verifiers: Vec::new(),
        answered: Some(Height(4)),
        nonces_used: nonces,
        answers: vec![answer.clone()],
        outcome: None,
        decided_at: None,
        redraws: 0,
        earlier: Vec::new(),
        times_ms: None,
        fraud_reporter: None,
    }
}

/// A fraud proof against somebody who did nothing wrong.
fn proof(bytes: &[u8]) {
    let honest = honest();
    let params = &honest.terms.params;
    let Ok(proof) = FraudProof::decode(params, bytes) else {
        return;
    };
    assert_eq!(
        proof.encode(params).as_deref(),
        Ok(bytes),
        "another encoding"
    );
    let judged = check_fraud_proof(params, &honest.seed, &honest.roots, &proof);
    assert!(judged.is_err(), "fraud of an honest prover: {judged:?}");
}

/// Pieces of openings as a worker may send them: edited, cut, out of order, of other processors, from the start again.
///
/// What the verifier concludes, once all bytes are there.
fn conversation(input: &mut Input<'_>) -> Option<Finding> {
    let honest = honest();
    let mut openings = honest.openings.clone();
    for _edit in 0..input.byte() % 4 {
        let place = usize::try_from(input.number() % openings.len() as u64).unwrap();
        openings[place] ^= input.byte();
    }
    let now = Instant::now();
    let mut task = Task::new(
        honest.row.clone(),
        honest.terms.clone(),
        honest.record.clone(),
    );
    task.sent_at = Some(now);
    task.see_answer(honest.account, now);
    task.drawn_at = (input.byte() != 0).then_some(now);
    let mut complete = None;
    let (mut next, mut part) = (0_usize, 0_u32);
    for _piece in 0..12 {
        if input.is_over() || complete.is_some() {
            break;
        }
        let kind = input.byte();
        let length = match kind % 4 {
            0 => usize::from(input.byte()),
            1 => usize::from(input.half()),
            2 => FRAME_BYTES_MAX / 2,
            _all => openings.len(),
        };
        if kind & 16 != 0 {
            (next, part) = (0, 0);
        }
        let end = next.saturating_add(length).min(openings.len());
        let processor = u16::from(kind & 32 != 0);
        let stated = if kind & 64 != 0 {
            input.half().into()
        } else {
            part
        };
        let parts = if kind & 128 != 0 { 0 } else { u32::MAX };
        match task.opening(processor, stated, parts, &openings[next..end]) {
            Collected::Complete(bytes) => complete = Some(bytes),
            Collected::More => {}
            Collected::Wrong(why) => assert!(!why.is_empty()),
        }
        (next, part) = (end, part.saturating_add(1));
    }
    complete.map(|bytes| judged(honest, &bytes))
}

/// Only the honest bytes are right; no others prove fraud.
fn judged(honest: &Honest, bytes: &[u8]) -> Finding {
    let Honest {
        terms,
        seed,
        roots,
        draw,
        openings,
        ..
    } = honest;
    let mut assembler = Assembler::new(&terms.params, draw).unwrap();
    for piece in bytes.chunks(FRAME_BYTES_MAX) {
        assembler
            .push(piece)
            .expect("as many bytes as the draw asks for");
    }
    let finding = check(terms, seed, roots, draw, bytes, None);
    match &finding {
        Finding::Right { .. } => assert!(bytes == *openings, "other bytes are right too"),
        Finding::Wrong(why) => assert!(bytes != *openings, "{why}"),
        Finding::Fraud { why, proof } => {
            let proof = FraudProof::decode(&terms.params, proof).expect("a proof of our own");
            let judged = check_fraud_proof(&terms.params, seed, roots, &proof);
            assert!(
                judged.is_err(),
                "fraud of an honest prover: {why}: {judged:?}"
            );
        }
    }
    finding
}

/// Encoded openings and a fraud proof that decodes, to begin from.
pub fn samples() -> (usize, Vec<u8>) {
    let honest = honest();
    let params = &honest.terms.params;
    let openings = io_challenge::Openings::decode(params, &honest.draw, &honest.openings).unwrap();
    let (element, opening) = (honest.draw.elements[0], openings.elements[0].clone());
    let proof = FraudProof::of_element(&openings.lists, element, opening);
    (honest.openings.len(), proof.encode(params).unwrap())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn honest_pieces_are_right_and_an_edited_one_is_not() {
        // Pieces of half a frame, more than are needed.
        let said = |head: &[u8]| conversation(&mut Input::new(&[head, &[2; 10]].concat()));
        assert_eq!(said(&[0, 1]), Some(Finding::Right { replayed: false }));
        let edited = said(&[1, 200, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert!(matches!(edited, Some(Finding::Wrong(_))), "{edited:?}");
        // Before the verifier has asked, nothing counts.
        assert_eq!(said(&[0, 0]), None);
    }
}
