//! `stage_set`: uploads a member set in pieces, since a hundred members do not fit a transaction.

use io_settlement::account::{TAG_MEMBERS, VERSION};
use io_settlement::codec::{Fixed, Reader, Writer};
use io_settlement::instruction::{STAGE_SET, StageHead};
use io_settlement::members::{
    MEMBERS_MAX, Member, MembersHeader, add_power, members_len, set_hash,
};
use io_settlement::{Bytes32, Error};
use pinocchio::{AccountView, Address};

use crate::{Call, Failure, guard};

/// Order of checks: roles, owner, count and epoch, length, sealed, piece, members, and with the last piece the hash.
#[inline(never)]
pub(crate) fn stage_set(
    call: &mut Call<'_>,
    head: &StageHead,
    members: &[u8],
) -> Result<(), Failure> {
    let Call { program, accounts } = call;
    guard::roles(accounts, &STAGE_SET)?;
    let [account, ..] = accounts else {
        return Err(Error::MissingAccount.into());
    };
    if !account.owned_by(program) {
        return Err(Error::WrongMembers.into());
    }
    if head.count == 0 || head.count > MEMBERS_MAX || head.set_epoch == 0 {
        return Err(Error::MemberCount.into());
    }
    if account.data_len() != members_len(head.count) {
        return Err(Error::WrongMembers.into());
    }
    let mut data = account.try_borrow_mut()?;
    let (header_bytes, places) = data
        .split_at_mut_checked(MembersHeader::LEN)
        .ok_or(Error::WrongMembers)?;
    let before = header(header_bytes, head)?;

    let from = usize::from(head.first).wrapping_mul(Member::LEN);
    let last_key = from
        .checked_sub(Member::LEN)
        .and_then(|at| places.get(at..)?.first_chunk::<32>())
        .copied();
    let power = add_power(members, last_key.as_ref(), before.power)?;
    let until = from.saturating_add(members.len());
    places
        .get_mut(from..until)
        .ok_or(Error::MembersPiece)?
        .copy_from_slice(members);

    let complete = until == places.len();
    if complete && set_hash(head.set_epoch, head.count, places) != head.hash {
        return Err(Error::MembersHash.into());
    }
    let written = members
        .len()
        .checked_div(Member::LEN)
        .and_then(|more| u16::try_from(more).ok());
    let after = MembersHeader {
        sealed: u8::from(complete),
        written: written
            .and_then(|more| more.checked_add(head.first))
            .ok_or(Error::MembersPiece)?,
        power,
        ..before
    };
    after.put(&mut Writer::new(header_bytes));
    Ok(())
}

/// The head before this piece: a new one for an account never written to, else the one of the pieces before.
fn header(bytes: &[u8], head: &StageHead) -> Result<MembersHeader, Failure> {
    let StageHead {
        set_epoch,
        count,
        hash,
        first,
    } = *head;
    let found: MembersHeader = Reader::new(bytes).value()?;
    let before = match found.tag {
        0 => MembersHeader {
            tag: TAG_MEMBERS,
            version: VERSION,
            sealed: 0,
            written: 0,
            count,
            set_epoch,
            hash,
            power: 0,
        },
        TAG_MEMBERS => found,
        _ => return Err(Error::WrongMembers.into()),
    };
    if before.sealed != 0 {
        return Err(Error::MembersSealed.into());
    }
    let same = before.hash == hash && before.set_epoch == set_epoch && before.count == count;
    if same && before.written == first {
        Ok(before)
    } else {
        Err(Error::MembersPiece.into())
    }
}

/// The head of a complete member set with this hash; the rule `error` if the account is none.
#[inline(never)]
pub(crate) fn sealed(
    program: &Address,
    account: &AccountView,
    hash: &Bytes32,
    error: Error,
) -> Result<MembersHeader, Failure> {
    if !account.owned_by(program) {
        return Err(error.into());
    }
    let data = account.try_borrow()?;
    match Reader::new(&data).value::<MembersHeader>() {
        Ok(header) if header.tag == TAG_MEMBERS && header.sealed == 1 && header.hash == *hash => {
            Ok(header)
        }
        _ => Err(error.into()),
    }
}
