//! What nodes read from Solana, and the relayer that carries settlements there.
