//! Entry point of `io-node`.

use std::process::ExitCode;

use clap::Parser;

/// A block frees a hundred thousand small rows and then takes large lists, at which glibc's allocator tidies up all of them
/// (docs/adr/0100).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    io_node::cli::Cli::parse().run()
}
