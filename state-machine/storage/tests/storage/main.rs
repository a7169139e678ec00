//! The promises of io-storage, checked from outside: each file is a claim.

#![expect(
    clippy::unwrap_used,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::integer_division,
    reason = "tests: a panic is the report"
)]

mod a_block_is_durable_or_was_never;
mod a_broken_database_is_refused;
mod a_dropped_overlay_leaves_no_trace;
mod a_proof_holds_for_its_header_only;
mod a_restored_store_is_the_exported_one;
mod a_rollback_is_the_block_before;
#[cfg(feature = "rocksdb")]
mod a_store_on_disk_survives;
mod model;
mod the_app_hash_is_a_function_of_the_blocks;
mod the_documented_proof_holds;
