//! Bytes and digests against a vector file made by other code, and against borsh.

#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::string_slice,
    reason = "a test stops at the first surprise, and its numbers are small"
)]

use io_settlement::account::{
    Bridge, Claim, Config, Counters, LastSettle, Roots, Signatures, State, TAG_CLAIM,
    TAG_SIGNATURES, VERSION,
};
use io_settlement::batch::{Payout, SettleBody, chain_id_hash};
use io_settlement::codec::Reader;
use io_settlement::deposit::{DepositRecord, Slot, first_hash, next_hash};
use io_settlement::emission::{Schedule, TimeParams};
use io_settlement::instruction::{Initialize, Instruction, Settle, StageHead};
use io_settlement::members::{Member, MemberSet};
use io_settlement::payout::{Tree, leaf};
use io_settlement::precompile::SignatureOffsets;
use io_settlement::{Asset, Bytes32, Error};

fn vector(name: &str) -> Vec<u8> {
    let line = include_str!("vectors/bytes.txt")
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let hex = line.unwrap();
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

fn chain_id() -> Bytes32 {
    chain_id_hash("io-test-1")
}

fn record() -> DepositRecord {
    DepositRecord {
        n: 1,
        asset: 1,
        amount: 2_500_000,
        account: [5; 32],
        depositor: [6; 32],
        slot: 77,
    }
}

fn tree() -> Tree {
    let leaves = [(10, 1000), (11, 1001), (12, 1002)];
    Tree::new(
        leaves
            .map(|(account, paid)| leaf(&chain_id(), Asset::Io, &[account; 32], paid))
            .to_vec(),
    )
}

fn set() -> MemberSet {
    let member = |byte, power| Member {
        key: [byte; 32],
        power,
    };
    MemberSet::new(9, vec![member(22, 7), member(20, 5), member(21, 6)]).unwrap()
}

fn body() -> SettleBody {
    SettleBody {
        cluster_genesis: [1; 32],
        program_id: [2; 32],
        chain_id: chain_id(),
        set_epoch: 9,
        number: 12,
        height: 345,
        app_hash: [7; 32],
        epoch: 6,
        payouts: [
            Payout {
                root: tree().root(),
                total: 3003,
            },
            Payout {
                root: [0; 32],
                total: 0,
            },
        ],
        emitted: 1,
        reminted: 2,
        burned: 3,
        credit_burned: 4,
        stake_target: 5,
        deposit_number: 1,
        deposit_hash: next_hash(&first(), &record()),
        market_hash: [8; 32],
        next_set: set().hash(),
    }
}

fn first() -> Bytes32 {
    first_hash(&[1; 32], &[2; 32], &chain_id(), &[[3; 32], [4; 32]])
}

fn counters() -> Counters {
    Counters {
        deposited: [1, 2],
        payout_total: [3, 4],
        claimed: [5, 6],
        minted: 7,
        burned: 8,
        credit_burned: 9,
        staked: 10,
    }
}

fn last_settle() -> LastSettle {
    LastSettle {
        number: 12,
        batch_hash: body().hash(),
        slot: 99,
        deposit_number: 1,
        counters: counters(),
        vaults: [11, 12],
        stake_vault: 13,
        set_epoch: 9,
        relayer: [30; 32],
    }
}

fn time() -> TimeParams {
    TimeParams {
        genesis_time: 1,
        chain_start: 2,
        epoch_seconds: 3,
        schedule: Schedule::Halving {
            first_month: 4,
            period_months: 5,
            max: 6,
        },
        schedule_start: 7,
        emitted_before: 8,
    }
}

fn state() -> State {
    State {
        set_epoch: 9,
        set_hash: [20; 32],
        set_power: 18,
        deposit_number: 2,
        deposit_hash: [21; 32],
        freed_number: 1,
        freed_hash: [22; 32],
        counters: counters(),
        root_next: 3,
    }
}

fn bridge() -> Bridge {
    let config = Config {
        cluster_genesis: [1; 32],
        chain_id: chain_id(),
        mints: [[3; 32], [4; 32]],
        vaults: [[5; 32], [6; 32]],
        stake_vault: [7; 32],
        queue: [8; 32],
        deposit_min: [100, 200],
        time: time(),
    };
    let roots = Roots {
        io: core::array::from_fn(|at| [u8::try_from(at).unwrap(); 32]),
        usdc: [[40; 32]; 8],
    };
    Bridge {
        tag: 1,
        version: 1,
        bump: 254,
        config,
        state: state(),
        roots,
        last: last_settle(),
    }
}

#[test]
fn digests_are_those_of_the_vector_file() {
    assert_eq!(chain_id().to_vec(), vector("chain_id"));
    assert_eq!(first().to_vec(), vector("first_hash"));
    assert_eq!(next_hash(&first(), &record()).to_vec(), vector("next_hash"));
    assert_eq!(
        leaf(&chain_id(), Asset::Io, &[10; 32], 1000).to_vec(),
        vector("leaf")
    );
    assert_eq!(tree().root().to_vec(), vector("root"));
    assert_eq!(set().hash().to_vec(), vector("set_hash"));
    assert_eq!(body().to_bytes().to_vec(), vector("body"));
    assert_eq!(body().hash().to_vec(), vector("body_hash"));
    assert_eq!(body().message().to_vec(), vector("message"));
    assert_eq!(last_settle().hash().to_vec(), vector("last_settle"));
}

/// Encodes and decodes, with and without borsh, and refuses a byte more or less.
macro_rules! same_as_borsh {
    ($($type:ty: $value:expr),+ $(,)?) => {$(
        let value: $type = $value;
        let bytes = value.to_bytes();
        assert_eq!(bytes.to_vec(), borsh::to_vec(&value).unwrap(), stringify!($type));
        assert_eq!(<$type>::from_bytes(&bytes), Ok(value));
        assert_eq!(<$type>::from_bytes(&bytes[1..]), Err(Error::Truncated));
        assert_eq!(<$type>::from_bytes(&[&bytes[..], &[0]].concat()), Err(Error::TrailingBytes));
    )+};
}

#[test]
fn records_have_the_bytes_of_borsh() {
    same_as_borsh!(
        SettleBody: body(),
        DepositRecord: record(),
        Slot: Slot { record: record(), rolling: [1; 32] },
        Member: Member { key: [1; 32], power: 2 },
        Counters: counters(),
        State: state(),
        Roots: bridge().roots,
        LastSettle: last_settle(),
        Claim: Claim { tag: 4, version: 1, bump: 2, asset: 1, account: [3; 32], paid: 4 },
        Signatures: Signatures {
            tag: 5,
            version: 1,
            bump: 2,
            kind: 1,
            settled: 0,
            set_epoch: 3,
            body_hash: [4; 32],
            payer: [5; 32],
            created: 6,
            power: 7,
            marks: [8; 16],
        },
        StageHead: StageHead { set_epoch: 1, count: 2, hash: [3; 32], first: 4 },
        Settle: Settle { body: body(), relayer: [9; 32] },
        SignatureOffsets: SignatureOffsets::expected(7, 3).unwrap(),
    );
}

#[test]
fn fields_lie_where_the_offsets_say() {
    let bytes = bridge().to_bytes();
    assert_eq!(Bridge::read(&bytes), Ok(bridge()));
    let (config, state, roots, last) = (
        Bridge::AT.config,
        Bridge::AT.state,
        Bridge::AT.roots,
        Bridge::AT.last,
    );
    assert_eq!(&bytes[config..state], bridge().config.to_bytes());
    assert_eq!(&bytes[state..roots], bridge().state.to_bytes());
    assert_eq!(&bytes[roots..last], bridge().roots.to_bytes());
    assert_eq!(&bytes[last..], bridge().last.to_bytes());
    let vaults = config + Config::AT.vaults;
    assert_eq!(bytes[vaults..vaults + 64], [[5; 32], [6; 32]].concat());
    let staked = state + State::AT.counters + Counters::AT.staked;
    assert_eq!(bytes[staked..staked + 8], 10_u64.to_le_bytes());
}

#[test]
fn accounts_of_another_kind_or_version_are_refused() {
    for (at, byte) in [(0, 2), (1, 2)] {
        let mut bytes = bridge().to_bytes();
        bytes[at] = byte;
        assert_eq!(Bridge::read(&bytes), Err(Error::WrongBridge));
    }
    assert_eq!(Bridge::read(&[]), Err(Error::WrongBridge));
    let mut claim = [0; Claim::LEN];
    claim[..2].copy_from_slice(&[TAG_CLAIM, VERSION]);
    let mut signatures = [0; Signatures::LEN];
    signatures[..2].copy_from_slice(&[TAG_SIGNATURES, VERSION]);
    assert_eq!(Claim::read(&claim).map(|found| found.tag), Ok(TAG_CLAIM));
    let found = Signatures::read(&signatures).map(|found| found.tag);
    assert_eq!(found, Ok(TAG_SIGNATURES));
    for at in [0, 1] {
        let (mut claim, mut signatures) = (claim, signatures);
        claim[at] ^= 0x40;
        signatures[at] ^= 0x40;
        assert_eq!(Claim::read(&claim), Err(Error::WrongClaim));
        let found = Signatures::read(&signatures);
        assert_eq!(found, Err(Error::WrongSignatures));
    }
}

#[test]
fn a_schedule_has_one_width_and_no_unknown_kind() {
    let table = TimeParams {
        schedule: Schedule::Table,
        ..time()
    };
    assert_eq!(TimeParams::from_bytes(&table.to_bytes()), Ok(table));
    assert_eq!(TimeParams::from_bytes(&time().to_bytes()), Ok(time()));
    for (at, byte) in [(24, 0), (24, 3), (25, 1)] {
        let mut bytes = table.to_bytes();
        bytes[at] = byte;
        assert_eq!(TimeParams::from_bytes(&bytes), Err(Error::BadSchedule));
    }
}

fn instructions() -> Vec<Vec<u8>> {
    let initialize = Initialize {
        cluster_genesis: [1; 32],
        chain_id: chain_id(),
        deposit_min: [1, 2],
        on_chain: [3, 4],
        flags: 2,
        time: time(),
    };
    let head = StageHead {
        set_epoch: 9,
        count: 3,
        hash: set().hash(),
        first: 0,
    };
    let bytes = set().bytes();
    let proof = tree().proof(2).unwrap();
    let all = [
        Instruction::StageSet {
            head,
            members: &bytes,
        },
        Instruction::Initialize(initialize),
        Instruction::Deposit {
            asset: Asset::Usdc,
            amount: 7,
            account: [8; 32],
        },
        Instruction::PostSignatures {
            kind: 1,
            body_hash: [1; 32],
            members: &[0, 2],
        },
        Instruction::Settle(Settle {
            body: body(),
            relayer: [9; 32],
        }),
        Instruction::Claim {
            asset: Asset::Io,
            cumulative: 1002,
            index: 2,
            proof: &proof,
        },
        Instruction::CloseSignatures,
    ];
    for instruction in all {
        assert_eq!(Instruction::decode(&instruction.encode()), Ok(instruction));
    }
    all.iter().map(Instruction::encode).collect()
}

#[test]
fn instructions_decode_to_what_was_encoded() {
    let tags: Vec<u8> = instructions().iter().map(|data| data[0]).collect();
    assert_eq!(tags, [1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn undecodable_instructions_have_their_errors() {
    let all = instructions();
    assert_eq!(Instruction::decode(&[]), Err(Error::UnknownInstruction));
    assert_eq!(Instruction::decode(&[0]), Err(Error::UnknownInstruction));
    assert_eq!(Instruction::decode(&[8]), Err(Error::UnknownInstruction));
    for fixed in [1, 2, 4, 6] {
        let data = &all[fixed];
        assert_eq!(
            Instruction::decode(&[&data[..], &[0]].concat()),
            Err(Error::TrailingBytes)
        );
    }
    for short in [1, 2, 4] {
        let data = &all[short];
        assert_eq!(
            Instruction::decode(&data[..data.len() - 1]),
            Err(Error::Truncated)
        );
    }
    assert_eq!(
        Instruction::decode(&all[5][..all[5].len() - 1]),
        Err(Error::Truncated)
    );
    assert_eq!(Instruction::decode(&all[0][..20]), Err(Error::Truncated));
    assert_eq!(Instruction::decode(&all[3][..20]), Err(Error::Truncated));
    let mut other_asset = all[2].clone();
    other_asset[1] = 2;
    assert_eq!(Instruction::decode(&other_asset), Err(Error::UnknownAsset));
}

#[test]
fn error_codes_are_golden() {
    let listed: String = Error::ALL.iter().fold(String::new(), |list, error| {
        format!("{list}{} {error:?}\n", error.code())
    });
    assert_eq!(listed, include_str!("vectors/errors.txt"));
    for error in Error::ALL {
        assert_eq!(Error::from_code(error.code()), Some(*error));
        assert!(!error.text().is_empty() && !error.text().starts_with(' '));
    }
    assert!(Error::ALL.is_sorted_by(|first, second| first.code() < second.code()));
    assert_eq!(Error::from_code(1), None);
    assert_eq!(
        Error::QueueFull.to_string(),
        "the deposit queue is full; wait for the next settlement (code 301)"
    );
}

#[test]
fn a_reader_takes_what_it_is_asked_for_and_goes_on_behind_it() {
    let mut from = Reader::new(&[1, 2, 3, 4, 5]);
    assert_eq!(from.slice(2), Ok(&[1, 2][..]));
    assert_eq!(from.array::<1>(), Ok(&[3]));
    assert_eq!(from.clone().end(), Err(Error::TrailingBytes));
    assert_eq!(from.value::<u16>(), Ok(0x0504));
    assert_eq!(from.slice(1), Err(Error::Truncated));
    assert_eq!(from.end(), Ok(()));
}
