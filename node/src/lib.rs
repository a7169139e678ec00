//! The process around the state machine: ABCI, disk, HTTP API, metrics.
