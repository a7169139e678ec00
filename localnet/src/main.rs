//! Entry point.

#![expect(clippy::print_stderr, reason = "words go to stderr")]

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = io_localnet::cli::Cli::parse();
    match io_localnet::cli::run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
