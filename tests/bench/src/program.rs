//! The Solana program.

use crate::line::{Bar, Line, figure};
use crate::setup::Setup;

/// The program as it is deployed.
const PROGRAM: &[u8] = include_bytes!("../../../bridge/program/settlement.so");

/// Its size; its compute units are measured where its instructions are tested.
pub fn lines(_setup: &Setup) -> anyhow::Result<Vec<Line>> {
    let elsewhere =
        "the tests of `tests/tests/program_rules` run it in an SVM and hold it to its bar";
    Ok(vec![
        Line::measured(
            "program/size",
            "bytes of the deployed program, which leaves signatures to the precompile; the limit is the bar itself",
            figure(PROGRAM.len() as f64, "bytes"),
            figure(60_000.0, "bytes"),
            Bar::AtMost(60_000.0),
        ),
        Line::skipped("program/settle", elsewhere),
        Line::skipped("program/claim", elsewhere),
    ])
}
