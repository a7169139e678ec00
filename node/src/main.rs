//! Entry point of `io-node`.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    io_node::cli::Cli::parse().run()
}
