//! `io`: the command for suppliers, renters and everybody who looks.
#![expect(
    clippy::print_stderr,
    reason = "the last words of the command, after which nothing can report them"
)]
#![expect(
    clippy::format_push_string,
    reason = "text for people is put together once for each command"
)]

mod cli;

use std::process::ExitCode;

use clap::Parser as _;

#[tokio::main]
async fn main() -> ExitCode {
    let command = cli::Cli::parse();
    let json = command.global.json;
    match cli::run(command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(words) = failure.words(json) {
                eprintln!("{words}");
            }
            ExitCode::from(failure.exit_code())
        }
    }
}
