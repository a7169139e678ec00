//! `io-node export`

use std::io::{BufWriter, Write};
use std::ops::ControlFlow;

use io_state_machine::tables::SPECS;

use super::{Context, Failure};
use crate::chain::open_machine;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Only this table.
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    if let Some(name) = &arguments.table
        && !SPECS.iter().any(|spec| spec.name == name)
    {
        return Err(Failure::refused(format!(
            "there is no table {name:?}; `io-node explain-app-hash` lists them"
        )));
    }
    let machine = open_machine(&context.home).map_err(Failure::broken)?;
    let view = machine.store().snapshot();
    let mut out = BufWriter::new(std::io::stdout().lock());
    let head =
        serde_json::json!({ "height": view.height(), "app_hash": hex::encode(view.app_hash()) });
    writeln!(out, "{head}").map_err(Failure::broken)?;
    for spec in SPECS.iter().filter(|spec| {
        arguments
            .table
            .as_ref()
            .is_none_or(|name| name == spec.name)
    }) {
        let mut written = Ok(());
        view.export(spec.id, &[], &mut |index, key, value| {
            let row = serde_json::json!({
                "table": spec.name, "index": index, "key": hex::encode(key), "value": hex::encode(value.as_ref()),
            });
            written = writeln!(out, "{row}");
            if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .map_err(Failure::broken)?;
        written.map_err(Failure::broken)?;
    }
    out.flush().map_err(Failure::broken)
}
