//! What an engine sends: frames, requests of every kind, blocks that nobody proposed. The node behind is the real one over a store in memory.
//!
//! The chain has been started by a good `InitChain` before the input's first frame. A panic anywhere is a failure, those included that the
//! node catches at its boundary: whoever runs this target must see them (libFuzzer's hook aborts, the test `replay` counts).

use std::path::Path;
use std::sync::OnceLock;

use bytes::{Buf as _, Bytes};
use io_node::abci::{MESSAGE_BYTES_MAX, Stop, serve_stream};
use io_node::chain::{Chain, Opening};
use io_node::validator::Report;
use io_types::TimeScale;
use io_types::genesis::GenesisSpec;
use prost::Message as _;
use tempfile::TempDir;
use tendermint_proto::google::protobuf::Timestamp;
use tendermint_proto::v0_38::abci::{
    Request, RequestInitChain, Response, ValidatorUpdate, request, response,
};
use tendermint_proto::v0_38::crypto::{PublicKey, public_key::Sum};

use crate::scene::{fresh_machine, genesis};

/// Faults that only an engine that breaks ABCI's own rules can bring about.
const ENGINES_FAULT: &[&str] = &[
    // A field that CometBFT never sends like this.
    "fault: CometBFT sent ",
    // Another genesis than the one that the operators made.
    "fault: genesis: ",
    // Calls out of their order.
    "fault: Commit without FinalizeBlock",
    "Commit without FinalizeBlock",
    "InitChain on a chain that has blocks",
];

/// Kinds by their field's number; a request and its answer have the same here.
const EXCEPTION: u32 = 1;
const INIT_CHAIN: u32 = 6;
const CHECK_TX: u32 = 9;

/// The target.
pub fn run(data: &[u8]) {
    let expected = read(data);
    if expected.starts_anew {
        return;
    }
    let stream = [initial(), data].concat();
    let mut out = Vec::new();
    let ended = serve_stream(stream.as_slice(), &mut out, application());
    if let Err(stop) = &ended {
        let text = stop.to_string();
        let known = ENGINES_FAULT.iter().any(|known| text.contains(known));
        assert!(
            matches!(stop, Stop::Fault(_)) && known,
            "the node stops: {text}"
        );
    }
    compare(&out, &expected, ended.is_err());
}

/// What the engine sent, read by a decoder of its own.
#[derive(Default)]
struct Sent {
    kinds: Vec<u32>,
    /// Whether something that is no request follows them.
    is_broken: bool,
    /// Whether the input would start another chain.
    starts_anew: bool,
}

fn read(data: &[u8]) -> Sent {
    let mut sent = Sent::default();
    let mut rest = data;
    while !rest.is_empty() {
        let length = prost::decode_length_delimiter(&mut rest);
        let length = length
            .ok()
            .filter(|length| *length <= MESSAGE_BYTES_MAX.min(rest.len()));
        let request = length.and_then(|length| Request::decode(rest.copy_to_bytes(length)).ok());
        let Some(value) = request.and_then(|request| request.value) else {
            sent.is_broken = true;
            return sent;
        };
        if let request::Value::InitChain(init) = &value {
            let spec = std::str::from_utf8(&init.app_state_bytes).ok();
            let spec = spec.and_then(|text| io_genesis::parse_spec(text).ok());
            sent.starts_anew |= spec.is_some_and(|spec| spec != genesis());
        }
        sent.kinds.push(kind_of_request(&value));
    }
    sent
}

/// Every request has its answer in its place. Checks that waited behind each other when the stream broke may have none.
fn compare(out: &[u8], sent: &Sent, is_stopped: bool) {
    let mut rest = out;
    let mut answers = Vec::new();
    while !rest.is_empty() {
        let response = Response::decode_length_delimited(&mut rest).expect("answers are frames");
        answers.push(kind_of_response(
            &response.value.expect("an answer has a kind"),
        ));
    }
    assert_eq!(
        answers.first(),
        Some(&INIT_CHAIN),
        "the chain has not started"
    );
    let is_last = answers.last() == Some(&EXCEPTION);
    assert_eq!(
        is_last,
        is_stopped || sent.is_broken,
        "an exception where none is due, or none where one is"
    );
    let answered = &answers[1..answers.len() - usize::from(is_last)];
    assert!(
        sent.kinds.starts_with(answered),
        "{answered:?} to {:?}",
        sent.kinds
    );
    let unanswered = &sent.kinds[answered.len()..];
    if !is_stopped {
        assert!(
            unanswered.iter().all(|kind| *kind == CHECK_TX),
            "no answer to {unanswered:?}"
        );
        assert!(
            sent.is_broken || unanswered.is_empty(),
            "no answer to {unanswered:?}"
        );
    }
}

fn kind_of_request(value: &request::Value) -> u32 {
    use request::Value;
    match value {
        Value::Echo(_) => 2,
        Value::Flush(_) => 3,
        Value::Info(_) => 4,
        Value::InitChain(_) => 6,
        Value::Query(_) => 7,
        Value::CheckTx(_) => 9,
        Value::Commit(_) => 12,
        Value::ListSnapshots(_) => 13,
        Value::OfferSnapshot(_) => 14,
        Value::LoadSnapshotChunk(_) => 15,
        Value::ApplySnapshotChunk(_) => 16,
        Value::PrepareProposal(_) => 17,
        Value::ProcessProposal(_) => 18,
        Value::ExtendVote(_) => 19,
        Value::VerifyVoteExtension(_) => 20,
        Value::FinalizeBlock(_) => 21,
    }
}

fn kind_of_response(value: &response::Value) -> u32 {
    use response::Value;
    match value {
        Value::Exception(_) => 1,
        Value::Echo(_) => 2,
        Value::Flush(_) => 3,
        Value::Info(_) => 4,
        Value::InitChain(_) => 6,
        Value::Query(_) => 7,
        Value::CheckTx(_) => 9,
        Value::Commit(_) => 12,
        Value::ListSnapshots(_) => 13,
        Value::OfferSnapshot(_) => 14,
        Value::LoadSnapshotChunk(_) => 15,
        Value::ApplySnapshotChunk(_) => 16,
        Value::PrepareProposal(_) => 17,
        Value::ProcessProposal(_) => 18,
        Value::ExtendVote(_) => 19,
        Value::VerifyVoteExtension(_) => 20,
        Value::FinalizeBlock(_) => 21,
    }
}

/// A node that has never run, with its files in memory where the system has such a place.
fn application() -> io_node::abci::Application {
    static HOME: OnceLock<TempDir> = OnceLock::new();
    let home = HOME.get_or_init(|| {
        let memory = Path::new("/dev/shm");
        let made = if memory.is_dir() {
            tempfile::tempdir_in(memory)
        } else {
            tempfile::tempdir()
        };
        made.unwrap()
    });
    let spec = spec();
    let opening = Opening {
        halt_height: 0,
        journal_blocks: 10,
        scale: TimeScale {
            genesis_time: spec.genesis_time,
            chain_start: spec.chain_start,
            epoch_seconds: spec.epoch_seconds,
        },
    };
    let chain = Chain::over(fresh_machine(), home.path(), opening, Report::new(None)).unwrap();
    chain.application(0)
}

fn spec() -> &'static GenesisSpec {
    static SPEC: OnceLock<GenesisSpec> = OnceLock::new();
    SPEC.get_or_init(genesis)
}

/// The frame that starts the chain.
fn initial() -> &'static [u8] {
    static INITIAL: OnceLock<Vec<u8>> = OnceLock::new();
    INITIAL.get_or_init(|| frame(request::Value::InitChain(init_chain())))
}

fn init_chain() -> RequestInitChain {
    let spec = spec();
    let validators = spec.validators.iter().map(|row| ValidatorUpdate {
        pub_key: Some(PublicKey {
            sum: Some(Sum::Ed25519(row.consensus_key.0.to_vec())),
        }),
        power: i64::try_from(row.power).unwrap(),
    });
    RequestInitChain {
        time: Some(stamp(spec.genesis_time.0)),
        chain_id: spec.chain_id.clone(),
        validators: validators.collect(),
        app_state_bytes: Bytes::from(serde_json::to_vec(spec).unwrap()),
        initial_height: 1,
        ..RequestInitChain::default()
    }
}

/// A request as it goes over the socket.
pub fn frame(value: request::Value) -> Vec<u8> {
    Request { value: Some(value) }.encode_length_delimited_to_vec()
}

/// A time of the engine, from milliseconds.
pub fn stamp(millis: u64) -> Timestamp {
    Timestamp {
        seconds: i64::try_from(millis / 1000).unwrap(),
        nanos: i32::try_from(millis % 1000 * 1_000_000).unwrap(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the node says to a genesis of CometBFT that was changed like this.
    fn refused(change: impl FnOnce(&mut RequestInitChain)) -> String {
        let mut init = init_chain();
        change(&mut init);
        let sent = frame(request::Value::InitChain(init));
        let ended = serve_stream(sent.as_slice(), &mut Vec::new(), application());
        ended.unwrap_err().to_string()
    }

    #[test]
    fn a_genesis_that_contradicts_the_applications_is_refused_by_name() {
        let wrong = refused(|init| init.initial_height = 5);
        assert!(wrong.contains("initial_height is 5"), "{wrong}");
        let wrong = refused(|init| init.chain_id = "other-1".to_owned());
        assert!(wrong.contains("chain_id is \"other-1\""), "{wrong}");
        let wrong = refused(|init| init.time = Some(stamp(spec().genesis_time.0 + 1)));
        assert!(wrong.contains("genesis_time is"), "{wrong}");
        let wrong = refused(|init| init.validators.clear());
        assert!(wrong.contains("validator"), "{wrong}");
    }
}
