//! What the runtime needs of a program without the standard library: the entrypoint, the panic handler and the memory functions.
#![expect(
    unsafe_code,
    reason = "the runtime's interface is raw memory and system calls"
)]

use core::mem::MaybeUninit;
use core::panic::PanicInfo;
use core::slice::{from_raw_parts, from_raw_parts_mut};

use io_settlement::Error;
use pinocchio::account::{MAX_PERMITTED_DATA_INCREASE, NOT_BORROWED, RuntimeAccount};
use pinocchio::{AccountView, Address};
use solana_define_syscall::definitions::abort;

use crate::{Call, process};

/// More accounts than any instruction takes; further ones are not read.
const ACCOUNTS_MAX: usize = 16;

/// The runtime's way in.
///
/// # Safety
///
/// `input` is the parameter buffer that the loader made.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn entrypoint(input: *mut u8) -> u64 {
    // SAFETY: the loader made the buffer, and it outlives the program's run.
    let mut parameters = unsafe { Parameters::read(input) };
    let Parameters { program, data, .. } = parameters;
    let Some(accounts) = parameters.accounts() else {
        return Error::Truncated.code().into();
    };
    match process(&mut Call { program, accounts }, data) {
        Ok(()) => pinocchio::SUCCESS,
        Err(failure) => failure.code(),
    }
}

/// What the loader's buffer holds.
struct Parameters {
    places: [MaybeUninit<AccountView>; ACCOUNTS_MAX],
    count: usize,
    program: &'static Address,
    data: &'static [u8],
}

impl Parameters {
    /// Walks over the buffer: a count, the accounts, the data, the program's address. An account met before is a byte with its index and
    /// seven of padding; any other is its head, its data, room to grow, padding to eight bytes, and eight bytes that mean nothing any more.
    /// This loop is a tenth of the size of pinocchio's own, which is laid out for speed.
    ///
    /// # Safety
    ///
    /// `input` is the parameter buffer that the loader made.
    #[expect(
        clippy::cast_ptr_alignment,
        reason = "the loader aligns accounts and numbers to eight bytes"
    )]
    #[expect(
        clippy::multiple_unsafe_ops_per_block,
        reason = "the walk is one operation: each step depends on the one before"
    )]
    unsafe fn read(input: *mut u8) -> Self {
        const EMPTY: MaybeUninit<AccountView> = MaybeUninit::uninit();
        let mut places = [EMPTY; ACCOUNTS_MAX];
        let mut count = 0;
        // SAFETY: every address is within the buffer by the loader's layout, which is described above.
        unsafe {
            let total = input.cast::<u64>().read();
            let mut at = input.add(8);
            for _account in 0..total {
                let marker = at.read();
                let view = if marker == NOT_BORROWED {
                    let raw = at.cast::<RuntimeAccount>();
                    let length = (&raw const (*raw).data_len).read();
                    let end = at
                        .add(ACCOUNT_FIXED)
                        .add(usize::try_from(length).unwrap_or(0));
                    at = end.add(end.align_offset(8)).add(8);
                    MaybeUninit::new(AccountView::new_unchecked(raw))
                } else {
                    at = at.add(8);
                    places
                        .get(usize::from(marker))
                        .map_or(EMPTY, |place| MaybeUninit::new(place.assume_init_read()))
                };
                if let Some(place) = places.get_mut(count) {
                    *place = view;
                    count = count.saturating_add(1);
                }
            }
            let length = usize::try_from(at.cast::<u64>().read()).unwrap_or(0);
            let data = from_raw_parts(at.add(8), length);
            let program = &*at.add(8).add(length).cast::<Address>();
            Self {
                places,
                count,
                program,
                data,
            }
        }
    }

    /// The accounts read.
    fn accounts(&mut self) -> Option<&mut [AccountView]> {
        let places = self.places.get_mut(..self.count)?;
        // SAFETY: the first `count` places were filled, and a filled place has the layout of what it holds.
        Some(unsafe { from_raw_parts_mut(places.as_mut_ptr().cast(), places.len()) })
    }
}

/// Bytes of an account in the buffer besides its data, before padding.
const ACCOUNT_FIXED: usize =
    size_of::<RuntimeAccount>().saturating_add(MAX_PERMITTED_DATA_INCREASE);

#[panic_handler]
fn panicked(_info: &PanicInfo<'_>) -> ! {
    // SAFETY: the call ends the run, and the runtime undoes what it did.
    unsafe { abort() }
}

/// The memory functions, which the platform tools bring along and other compilers do not.
#[cfg(not(target_os = "solana"))]
mod memory {
    use solana_define_syscall::definitions::{sol_memcmp_, sol_memcpy_, sol_memmove_, sol_memset_};

    fn count(length: usize) -> u64 {
        u64::try_from(length).unwrap_or(0)
    }

    /// C's `memcpy`, which the compiler calls.
    ///
    /// # Safety
    ///
    /// As in C.
    #[unsafe(no_mangle)]
    pub(super) unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
        // SAFETY: the caller's promise is the call's.
        unsafe { sol_memcpy_(to, from, count(length)) };
        to
    }

    /// C's `memmove`, which the compiler calls.
    ///
    /// # Safety
    ///
    /// As in C.
    #[unsafe(no_mangle)]
    pub(super) unsafe extern "C" fn memmove(
        to: *mut u8,
        from: *const u8,
        length: usize,
    ) -> *mut u8 {
        // SAFETY: the caller's promise is the call's.
        unsafe { sol_memmove_(to, from, count(length)) };
        to
    }

    /// C's `memset`, which the compiler calls.
    ///
    /// # Safety
    ///
    /// As in C.
    #[unsafe(no_mangle)]
    pub(super) unsafe extern "C" fn memset(to: *mut u8, byte: i32, length: usize) -> *mut u8 {
        let [low, ..] = byte.to_le_bytes();
        // SAFETY: the caller's promise is the call's.
        unsafe { sol_memset_(to, low, count(length)) };
        to
    }

    /// C's `memcmp`, which the compiler calls.
    ///
    /// # Safety
    ///
    /// As in C.
    #[unsafe(no_mangle)]
    pub(super) unsafe extern "C" fn memcmp(
        first: *const u8,
        second: *const u8,
        length: usize,
    ) -> i32 {
        let mut order = 0_i32;
        // SAFETY: the caller's promise is the call's.
        unsafe { sol_memcmp_(first, second, count(length), &raw mut order) };
        order
    }

    /// C's `bcmp`, which the compiler calls.
    ///
    /// # Safety
    ///
    /// As in C.
    #[unsafe(no_mangle)]
    pub(super) unsafe extern "C" fn bcmp(
        first: *const u8,
        second: *const u8,
        length: usize,
    ) -> i32 {
        // SAFETY: the caller's promise is the call's.
        unsafe { memcmp(first, second, length) }
    }
}
