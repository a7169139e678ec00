//! Addresses: seeds of the program's derived accounts, and programs that it knows.

use crate::Bytes32;

/// Seed of the bridge account, alone: `[b"bridge"]`. It is also the authority of the vaults and of the IO mint.
pub const BRIDGE_SEED: &[u8] = b"bridge";

/// First seed of a claim account: `[b"claim", [asset], account]`.
pub const CLAIM_SEED: &[u8] = b"claim";

/// First seed of a signatures account: `[b"signatures", [kind], set epoch as u64 LE, body hash]`.
pub const SIGNATURES_SEED: &[u8] = b"signatures";

/// The system program.
pub const SYSTEM_PROGRAM: Bytes32 = [0; 32];

/// SPL Token, `TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA`.
pub const TOKEN_PROGRAM: Bytes32 = [
    6, 221, 246, 225, 215, 101, 161, 147, 217, 203, 225, 70, 206, 235, 121, 172, 28, 180, 133, 237,
    95, 91, 55, 145, 58, 140, 245, 133, 126, 255, 0, 169,
];

/// The associated token account program, `ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL`.
pub const ASSOCIATED_TOKEN_PROGRAM: Bytes32 = [
    140, 151, 37, 143, 78, 36, 137, 241, 187, 61, 16, 41, 20, 142, 13, 131, 11, 90, 19, 153, 218,
    255, 16, 132, 4, 142, 123, 216, 219, 233, 248, 89,
];

/// The precompile that verifies ed25519 signatures, `Ed25519SigVerify111111111111111111111111111`.
pub const ED25519_PROGRAM: Bytes32 = [
    3, 125, 70, 214, 124, 147, 251, 190, 18, 249, 66, 143, 131, 141, 64, 255, 5, 112, 116, 73, 39,
    244, 138, 100, 252, 202, 112, 68, 128, 0, 0, 0,
];

/// The account that shows a transaction's instructions, `Sysvar1nstructions1111111111111111111111111`.
pub const INSTRUCTIONS_SYSVAR: Bytes32 = [
    6, 167, 213, 23, 24, 123, 209, 102, 53, 218, 212, 4, 85, 253, 194, 192, 193, 36, 198, 143, 33,
    86, 117, 165, 219, 186, 203, 95, 8, 0, 0, 0,
];

/// The account of Solana's clock, `SysvarC1ock11111111111111111111111111111111`.
pub const CLOCK_SYSVAR: Bytes32 = [
    6, 167, 213, 23, 24, 199, 116, 201, 40, 86, 99, 152, 105, 29, 94, 182, 139, 94, 184, 163, 155,
    75, 109, 92, 115, 85, 91, 33, 0, 0, 0, 0,
];

/// The account of Solana's rent, `SysvarRent111111111111111111111111111111111`.
pub const RENT_SYSVAR: Bytes32 = [
    6, 167, 213, 23, 25, 44, 92, 81, 33, 140, 201, 76, 61, 74, 241, 127, 88, 218, 238, 8, 155, 161,
    253, 68, 227, 219, 217, 138, 0, 0, 0, 0,
];

/// The loader that owns upgradeable programs and their data, `BPFLoaderUpgradeab1e11111111111111111111111`.
pub const UPGRADEABLE_LOADER: Bytes32 = [
    2, 168, 246, 145, 78, 136, 161, 176, 226, 16, 21, 62, 247, 99, 174, 43, 0, 194, 185, 61, 22,
    193, 36, 210, 192, 83, 122, 16, 4, 128, 0, 0,
];
