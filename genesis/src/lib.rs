//! From small templates to one checked genesis.
