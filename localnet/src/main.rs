//! Entry point.
use clap::Parser;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}
#[derive(clap::Subcommand)]
enum Verb {
    Ledger(io_localnet::ledger::LedgerConfig),
}

fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    match Cli::parse().verb {
        Verb::Ledger(config) => io_localnet::ledger::run(&config),
    }
}
