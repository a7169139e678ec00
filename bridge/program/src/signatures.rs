//! `post_signatures` and `close_signatures`: collects members' signatures over several transactions.
//!
//! The runtime's ed25519 precompile verifies; this module binds what it verified. Nothing of the precompile instruction is left free:
//! program, place, length, count, and each of the seven numbers of each signature.

use io_settlement::account::{SIGNATURES_SECONDS, Signatures, State, TAG_SIGNATURES, VERSION};
use io_settlement::address::{ED25519_PROGRAM, INSTRUCTIONS_SYSVAR, SIGNATURES_SEED};
use io_settlement::batch::{Kind, MESSAGE_LEN, message};
use io_settlement::codec::Reader;
use io_settlement::instruction::{CLOSE_SIGNATURES, POST_SIGNATURES};
use io_settlement::members::{Member, MembersHeader};
use io_settlement::precompile::{SIGNATURES_MAX, SignatureOffsets, data_len};
use io_settlement::{Bytes32, Error};
use pinocchio::cpi::Seed;
use pinocchio::sysvars::instructions::Instructions;
use pinocchio::{AccountView, Address};

use crate::cpi::Derived;
use crate::derive::derive;
use crate::store::{Store, state};
use crate::{Call, Failure, cpi, guard, stage, sysvar};

/// Order of checks: roles, programs, bridge, members, kind, count, the precompile's instruction, signatures account.
#[inline(never)]
pub(crate) fn post(
    call: &mut Call<'_>,
    kind: u8,
    body_hash: &Bytes32,
    indexes: &[u8],
) -> Result<(), Failure> {
    let Call { program, accounts } = call;
    guard::roles(accounts, &POST_SIGNATURES)?;
    let [payer, bridge, members, signatures, instructions, system, ..] = accounts else {
        return Err(Error::MissingAccount.into());
    };
    guard::system_program(system)?;
    guard::address(
        instructions,
        &INSTRUCTIONS_SYSVAR,
        Error::WrongInstructionsSysvar,
    )?;
    let bridge = Store::bridge(program, bridge)?;
    stage::sealed(
        program,
        members,
        &bridge.bytes(state(State::AT.set_hash))?,
        Error::WrongMembers,
    )?;
    let kind = Kind::try_from(kind)?;
    if indexes.is_empty() || indexes.len() > SIGNATURES_MAX {
        return Err(Error::SignatureCount.into());
    }
    let signed = Signed {
        message: message(kind, body_hash),
        indexes,
    };
    let members = members.try_borrow()?;
    signed.check(instructions, &members)?;

    let id = Id {
        kind,
        set_epoch: bridge.number(state(State::AT.set_epoch))?,
        body_hash,
    };
    let mut found = if signatures.owned_by(program) {
        id.read(signatures)?
    } else {
        id.create(program, payer, signatures)?
    };
    for index in indexes {
        let member = member(&members, *index)?;
        if found.mark(*index) {
            found.power = found
                .power
                .checked_add(member.power)
                .ok_or(Error::Arithmetic)?;
        }
    }
    Store::checked(signatures).set(0, &found)
}

/// Order of checks: roles, owner, payer, settled or old enough.
#[inline(never)]
pub(crate) fn close(call: &mut Call<'_>) -> Result<(), Failure> {
    let Call { program, accounts } = call;
    guard::roles(accounts, &CLOSE_SIGNATURES)?;
    let [payer, account, ..] = accounts else {
        return Err(Error::MissingAccount.into());
    };
    let signatures = open(program, account)?;
    signatures.names(Signatures::AT.payer, payer, Error::NotPayer)?;
    let age = sysvar::clock()?
        .unix
        .saturating_sub(signatures.number(Signatures::AT.created)?);
    if signatures.get::<u8>(Signatures::AT.settled)? == 0 && age < SIGNATURES_SECONDS {
        return Err(Error::SignaturesInUse.into());
    }
    let lamports = payer
        .lamports()
        .checked_add(account.lamports())
        .ok_or(Error::Arithmetic)?;
    payer.set_lamports(lamports);
    account.set_lamports(0);
    Ok(account.close()?)
}

/// A signatures account of this program. [`Error::WrongSignatures`] if it is none.
pub(crate) fn open(program: &Address, account: &AccountView) -> Result<Store, Failure> {
    Store::open(program, account, TAG_SIGNATURES, Error::WrongSignatures)
}

/// The member at an index of the members account.
fn member(members: &[u8], index: u8) -> Result<Member, Failure> {
    let offset = Member::LEN
        .wrapping_mul(usize::from(index))
        .saturating_add(MembersHeader::LEN);
    let place = members.get(offset..).ok_or(Error::UnknownMember)?;
    Reader::new(place)
        .value()
        .map_err(|_beyond_the_last| Error::UnknownMember.into())
}

/// What the members are said to have signed.
struct Signed<'a> {
    message: [u8; MESSAGE_LEN],
    indexes: &'a [u8],
}

impl Signed<'_> {
    /// Whether the instruction before this one made the precompile verify exactly this.
    #[inline(never)]
    fn check(&self, instructions: &AccountView, members: &[u8]) -> Result<(), Failure> {
        let instructions = Instructions::try_from(instructions)?;
        let before = instructions
            .load_current_index()
            .checked_sub(1)
            .ok_or(Error::NotEd25519)?;
        let instruction = instructions.load_instruction_at(usize::from(before))?;
        if *instruction.get_program_id().as_array() != ED25519_PROGRAM {
            return Err(Error::NotEd25519.into());
        }
        let data = instruction.get_instruction_data();
        let count = self.indexes.len();
        let mut from = Reader::new(data);
        let announced: &[u8; 2] = from.array().map_err(|_too_short| Error::SignatureLayout)?;
        if data.len() != data_len(count) || announced.map(usize::from) != [count, 0] {
            return Err(Error::SignatureLayout.into());
        }
        for index in 0..count {
            if Some(from.value()?) != SignatureOffsets::expected(count, index) {
                return Err(Error::SignatureLayout.into());
            }
        }
        if from.array()? != &self.message {
            return Err(Error::SignatureMessage.into());
        }
        for index in self.indexes {
            let key: &Bytes32 = from.array()?;
            from.slice(64)?;
            if member(members, *index)?.key != *key {
                return Err(Error::SignatureKey.into());
            }
        }
        Ok(())
    }
}

/// What a signatures account is for.
struct Id<'a> {
    kind: Kind,
    set_epoch: u64,
    body_hash: &'a Bytes32,
}

impl Id<'_> {
    fn read(&self, account: &AccountView) -> Result<Signatures, Failure> {
        let found = Signatures::read(&account.try_borrow()?)?;
        if found.kind != self.kind.byte()
            || found.set_epoch != self.set_epoch
            || found.body_hash != *self.body_hash
        {
            return Err(Error::WrongSignatures.into());
        }
        Ok(found)
    }

    #[inline(never)]
    fn create(
        &self,
        program: &Address,
        payer: &AccountView,
        account: &AccountView,
    ) -> Result<Signatures, Failure> {
        let kind = [self.kind.byte()];
        let epoch = self.set_epoch.to_le_bytes();
        let (address, bump) = derive(program, &[SIGNATURES_SEED, &kind, &epoch, self.body_hash])?;
        guard::address(account, address.as_array(), Error::WrongSignatures)?;
        let bumps = [bump];
        let seeds = [
            Seed::from(SIGNATURES_SEED),
            Seed::from(&kind),
            Seed::from(&epoch),
            Seed::from(self.body_hash),
            Seed::from(&bumps),
        ];
        cpi::create(
            &Derived {
                program,
                payer,
                account,
                length: Signatures::LEN,
            },
            &seeds,
        )?;
        Ok(Signatures {
            tag: TAG_SIGNATURES,
            version: VERSION,
            bump,
            kind: self.kind.byte(),
            settled: 0,
            set_epoch: self.set_epoch,
            body_hash: *self.body_hash,
            payer: *payer.address().as_array(),
            created: sysvar::clock()?.unix,
            power: 0,
            marks: [0; 16],
        })
    }
}
