//! SHA-256 over parts: Solana's system call in the program, the `sha2` crate elsewhere.

#![expect(
    unexpected_cfgs,
    reason = "`solana` is an operating system only to the compiler of Solana's platform tools"
)]

use crate::Bytes32;

/// Digest of the parts put one after another.
#[cfg(not(any(target_os = "solana", target_arch = "bpf")))]
pub fn sha256(parts: &[&[u8]]) -> Bytes32 {
    use sha2::Digest;
    let mut hasher = sha2::Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// Digest of the parts put one after another.
#[cfg(any(target_os = "solana", target_arch = "bpf"))]
#[expect(unsafe_code, reason = "the runtime's hash is reached by a system call")]
pub fn sha256(parts: &[&[u8]]) -> Bytes32 {
    let mut digest = [0; 32];
    let count = u64::try_from(parts.len()).unwrap_or(0);
    // SAFETY: a slice of slices is an array of (address, length) pairs of 64 bits each on this target, which is what the call reads,
    // and `digest` has the 32 bytes that it writes.
    unsafe {
        solana_define_syscall::definitions::sol_sha256(
            parts.as_ptr().cast(),
            count,
            digest.as_mut_ptr(),
        );
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::sha256;

    #[test]
    fn the_digest_of_abc_is_the_one_of_the_standard() {
        let expected = [
            0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae,
            0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61,
            0xf2, 0x00, 0x15, 0xad,
        ];
        assert_eq!(sha256(&[b"a", b"", b"bc"]), expected);
    }
}
