//! The chain as a function: same state and block in, same state and results out.
