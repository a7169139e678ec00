//! Member sets: who signs for the chain, with how much power.

use crate::codec::{Reader, record};
use crate::{Bytes32, Error, product, sha256};

const DOMAIN: &[u8] = b"io-bridge/v1/members\0";

/// The most members of a set.
pub const MEMBERS_MAX: u16 = 128;

/// The highest total power of a set, so that three times a sum of powers fits 64 bits.
#[expect(clippy::integer_division, reason = "a bound, rounded down")]
pub const POWER_MAX: u64 = u64::MAX / 3;

record! {
    /// One member.
    Member {
        /// Settlement key, ed25519.
        key: Bytes32,
        /// Power, above zero.
        power: u64,
    }
}

record! {
    /// Head of a members account; [`Member`]s follow it in ascending order of their keys.
    MembersHeader {
        /// [`crate::account::TAG_MEMBERS`].
        tag: u8,
        /// [`crate::account::VERSION`].
        version: u8,
        /// 1 once every member is there, the rules hold and the hash is the announced one.
        sealed: u8,
        /// Members written so far.
        written: u16,
        /// Members of the set.
        count: u16,
        /// Epoch of the set.
        set_epoch: u64,
        /// [`set_hash`] of the set.
        hash: Bytes32,
        /// Sum of the powers written so far.
        power: u64,
    }
}

/// Bytes of a members account.
pub fn members_len(count: u16) -> usize {
    // Cannot wrap: the count has 16 bits.
    MembersHeader::LEN.saturating_add(Member::LEN.wrapping_mul(usize::from(count)))
}

/// Digest of a set over the encodings of its members one after another. It binds the epoch, so no set can be switched to twice.
pub fn set_hash(set_epoch: u64, count: u16, members: &[u8]) -> Bytes32 {
    sha256(&[
        DOMAIN,
        &set_epoch.to_le_bytes(),
        &count.to_le_bytes(),
        members,
    ])
}

/// Reads members and adds their power, checking that keys ascend and no power is zero.
///
/// `after` is the key before the first one, `power` the sum before it. Returns the sum. Errors: [`Error::MemberOrder`],
/// [`Error::ZeroPower`], [`Error::PowerOverflow`].
pub fn add_power(bytes: &[u8], after: Option<&Bytes32>, power: u64) -> Result<u64, Error> {
    let mut last = after.copied();
    let mut sum = power;
    let (members, rest) = bytes.as_chunks::<{ Member::LEN }>();
    if !rest.is_empty() {
        return Err(Error::Truncated);
    }
    for member in members {
        let member: Member = Reader::new(member).value()?;
        if last.is_some_and(|last| last >= member.key) {
            return Err(Error::MemberOrder);
        }
        if member.power == 0 {
            return Err(Error::ZeroPower);
        }
        sum = sum
            .checked_add(member.power)
            .filter(|sum| *sum <= POWER_MAX)
            .ok_or(Error::PowerOverflow)?;
        last = Some(member.key);
    }
    Ok(sum)
}

/// Whether this much power is more than two thirds of the set's.
pub const fn is_quorum(marked: u64, total: u64) -> bool {
    // Both products fit: a set's power is at most a third of the type's range.
    total > 0 && product::saturating(marked, 3) > product::saturating(total, 2)
}

/// A member set, on the side that makes it.
#[cfg(feature = "alloc")]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MemberSet {
    set_epoch: u64,
    members: alloc::vec::Vec<Member>,
    power: u64,
}

#[cfg(feature = "alloc")]
impl MemberSet {
    /// Sorts and checks. Errors: [`Error::MemberCount`], [`Error::MemberOrder`] for a key that is there twice, [`Error::ZeroPower`],
    /// [`Error::PowerOverflow`].
    pub fn new(set_epoch: u64, mut members: alloc::vec::Vec<Member>) -> Result<Self, Error> {
        members.sort_unstable_by_key(|member| member.key);
        let count = u16::try_from(members.len()).unwrap_or(u16::MAX);
        if count == 0 || count > MEMBERS_MAX {
            return Err(Error::MemberCount);
        }
        let mut set = Self {
            set_epoch,
            members,
            power: 0,
        };
        set.power = add_power(&set.bytes(), None, 0)?;
        Ok(set)
    }

    /// Epoch of the set.
    pub const fn set_epoch(&self) -> u64 {
        self.set_epoch
    }

    /// Members in ascending order of their keys: a member's index is its place here.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// How many members there are.
    pub fn count(&self) -> u16 {
        u16::try_from(self.members.len()).unwrap_or(u16::MAX)
    }

    /// Sum of the powers.
    pub const fn power(&self) -> u64 {
        self.power
    }

    /// The place of a key.
    pub fn index_of(&self, key: &Bytes32) -> Option<u8> {
        let place = self
            .members
            .binary_search_by_key(key, |member| member.key)
            .ok()?;
        u8::try_from(place).ok()
    }

    /// Encodings of the members one after another.
    pub fn bytes(&self) -> alloc::vec::Vec<u8> {
        self.members.iter().flat_map(Member::to_bytes).collect()
    }

    /// [`set_hash`] of the set.
    pub fn hash(&self) -> Bytes32 {
        set_hash(self.set_epoch, self.count(), &self.bytes())
    }
}
