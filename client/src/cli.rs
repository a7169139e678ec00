//! The verbs of `io`. One verb is one module with a `run`; data goes to stdout, words to stderr.

mod account;
mod booking;
mod challenge;
mod claim;
mod config;
mod context;
mod deposit;
mod device;
mod epoch;
mod failure;
mod keys;
mod money;
mod order;
mod output;
mod prove;
mod settlement;
mod stake;
mod status;
mod values;
mod watch;

use clap::{Parser, Subcommand};

use context::{Context, Global};
use failure::Failure;

const AFTER_HELP: &str = "\
Amounts are decimals with their asset: 12.5 io, 3 usdc. Prices are USD for each processor and hour: 2.50.

Settings come from flags, else from the environment, else from the file, else from defaults. The file is
~/.config/io/config.toml with any of:  node = \"http://127.0.0.1:26680\"   solana = \"http://127.0.0.1:8899\"
                                       wallet = \"/path/to/id.json\"         program = \"ADDRESS\"

Exit codes: 0 done, 1 refused (by the chain, the node, or the bridge program), 2 broken (out of reach, badly typed).

Example: io status --node http://127.0.0.1:26680";

/// Rent and supply GPUs on io-chain, move money to and from Solana, and look at everything.
#[derive(Debug, Parser)]
#[command(name = "io", version, after_help = AFTER_HELP, max_term_width = 120)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make or show a wallet.
    Keys(keys::Arguments),
    /// Show balances, rewards not collected, and lanes of an account.
    Account(account::Arguments),
    /// Send money to another account of this chain.
    Transfer(money::TransferArguments),
    /// Bring IO or USDC from Solana to this chain, and wait until it is credited.
    Deposit(deposit::Arguments),
    /// Send IO or USDC to Solana with the next settlement; claim it there with `io claim`.
    Withdraw(money::WithdrawArguments),
    /// Take what was withdrawn out of the bridge on Solana.
    Claim(claim::Arguments),
    /// Move collectable rewards to the balance.
    Collect(money::CollectArguments),
    /// Show batches for Solana, and payout proofs.
    Settlement(settlement::Arguments),
    /// Show how much IO there is.
    Supply(money::SupplyArguments),
    /// Fetch a row with its proof and check it here, trusting no node.
    Prove(prove::Arguments),
    /// Register and manage devices.
    Device(device::Arguments),
    /// Add to and take from a device's stake.
    Stake(stake::Arguments),
    /// Ask for processors.
    Order(order::Arguments),
    /// See, open and end bookings.
    Booking(booking::Arguments),
    /// See hours and the rewards of their devices.
    Epoch(epoch::Arguments),
    /// See challenges and their verdicts.
    Challenge(challenge::Arguments),
    /// Follow what happens on the chain.
    Watch(watch::Arguments),
    /// Show the node, the price and the bridge.
    Status(status::Arguments),
}

/// Does what was asked.
pub(crate) async fn run(cli: Cli) -> Result<(), Failure> {
    let context = Context::new(&cli.global)?;
    match cli.command {
        Command::Keys(arguments) => keys::run(&context, &arguments),
        Command::Account(arguments) => account::run(&context, &arguments).await,
        Command::Transfer(arguments) => money::transfer(&context, &arguments).await,
        Command::Deposit(arguments) => deposit::run(&context, &arguments).await,
        Command::Withdraw(arguments) => money::withdraw(&context, &arguments).await,
        Command::Claim(arguments) => claim::run(&context, &arguments).await,
        Command::Collect(arguments) => money::collect(&context, &arguments).await,
        Command::Settlement(arguments) => settlement::run(&context, &arguments).await,
        Command::Supply(arguments) => money::supply(&context, &arguments).await,
        Command::Prove(arguments) => prove::run(&context, &arguments).await,
        Command::Device(arguments) => device::run(&context, &arguments).await,
        Command::Stake(arguments) => stake::run(&context, &arguments).await,
        Command::Order(arguments) => order::run(&context, &arguments).await,
        Command::Booking(arguments) => booking::run(&context, &arguments).await,
        Command::Epoch(arguments) => epoch::run(&context, &arguments).await,
        Command::Challenge(arguments) => challenge::run(&context, &arguments).await,
        Command::Watch(arguments) => watch::run(&context, &arguments).await,
        Command::Status(arguments) => status::run(&context, &arguments).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    /// Visits every verb that has no verbs below it.
    fn leaves(command: &clap::Command, path: &str, visit: &mut dyn FnMut(&str, &clap::Command)) {
        let mut below = command.get_subcommands().peekable();
        if below.peek().is_none() {
            visit(path, command);
        }
        for verb in below {
            leaves(verb, &format!("{path} {}", verb.get_name()), visit);
        }
    }

    #[test]
    fn every_verb_says_what_it_does_and_gives_an_example_that_parses() {
        let mut count = 0;
        leaves(&Cli::command(), "io", &mut |path, command| {
            count += 1;
            assert!(command.get_about().is_some(), "{path} says nothing");
            let help = command.get_after_help().map(ToString::to_string);
            let help = help.unwrap_or_else(|| panic!("{path} has no example"));
            let examples: Vec<&str> = help
                .lines()
                .filter_map(|line| line.trim().strip_prefix("$ "))
                .collect();
            assert!(!examples.is_empty(), "{path} has no example");
            for example in examples {
                assert!(example.starts_with(path), "{path}: {example}");
                let words = shell_words(example);
                if let Err(error) = Cli::try_parse_from(words) {
                    panic!("{example}: {error}");
                }
            }
        });
        assert!(count > 35, "only {count} verbs");
    }

    fn shell_words(line: &str) -> Vec<String> {
        let mut words = Vec::new();
        for (at, part) in line.split('"').enumerate() {
            if at % 2 == 1 {
                words.push(part.to_owned());
            } else {
                words.extend(part.split_whitespace().map(str::to_owned));
            }
        }
        words
    }
}
