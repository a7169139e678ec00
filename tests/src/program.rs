//! The Solana program as it is checked in, with the real SPL Token, in a runtime inside this process.

pub mod calls;
pub mod tokens;
pub mod world;
