//! The sessions of the README are true: each command runs against a localnet, and its output is compared.

mod session;
mod shell;

use std::path::Path;
use std::time::Duration;

use crate::localnet::{self, Localnet};
use session::{Step, fits, sessions};
use shell::Shell;

/// A command may wait for a match, a settlement, or an hour of a compressed chain.
const PATIENCE: Duration = Duration::from_mins(5);

/// Runs the sessions of a text, in one shell each, and gives what differs.
fn differences(
    text: &str,
    folder: &Path,
    variables: &[(&str, String)],
) -> Result<Vec<String>, String> {
    let mut differences = Vec::new();
    for steps in sessions(text)? {
        let mut shell = Shell::start(folder, &localnet::search_path(), variables);
        for step in steps.iter().filter(|step| !step.is_exempt()) {
            differences.extend(difference(step, &mut shell));
        }
    }
    Ok(differences)
}

fn difference(step: &Step, shell: &mut Shell) -> Option<String> {
    let Step {
        line,
        command,
        expected,
        exit,
    } = step;
    let outcome = match shell.run(command, PATIENCE) {
        Ok(outcome) => outcome,
        Err(why) => return Some(format!("line {line}: $ {command}\n{why}")),
    };
    let mut wanted = expected.clone();
    while wanted.last().is_some_and(String::is_empty) {
        wanted.pop();
    }
    if outcome.exit == *exit && fits(&wanted, &outcome.output) {
        return None;
    }
    Some(format!(
        "line {line}: $ {command}\nexpected, exit {exit}:\n{}\ncame, exit {}:\n{}",
        wanted.join("\n"),
        outcome.exit,
        outcome.output.trim_end()
    ))
}

#[test]
fn the_sessions_of_the_readme_are_true() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = std::fs::read_to_string(root.join("README.md")).expect("there is a README.md");
    let commands: usize = sessions(&text)
        .expect("its sessions can be read")
        .iter()
        .map(Vec::len)
        .sum();
    assert!(
        commands > 10,
        "the README shows {commands} commands in sessions, too few for a supplier and a renter"
    );

    let localnet = Localnet::start(&[], &[]);
    let folder = tempfile::tempdir().expect("a folder for the sessions");
    let differences = differences(&text, folder.path(), &variables(&localnet));
    let differences = differences.expect("its sessions can be read");
    assert!(
        differences.is_empty(),
        "{} differ:\n\n{}",
        differences.len(),
        differences.join("\n\n")
    );
    localnet.end();
}

/// What a person exports after `./dev up`, as it says.
fn variables(localnet: &Localnet) -> Vec<(&'static str, String)> {
    vec![
        ("IO_NODE", localnet.fact("/nodes/0")),
        ("IO_SOLANA", localnet.fact("/solana")),
        ("IO_PROGRAM", localnet.fact("/program")),
        ("IO_WALLET", localnet.fact("/keys/you/file")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Vec<String> {
        let home = tempfile::tempdir().expect("a folder");
        differences(text, home.path(), &[]).expect("sessions")
    }

    #[test]
    fn a_true_session_has_no_difference() {
        let text = "```console session\n$ ./dev up\nnever run\n$ x=5; echo a $x b\na [..] b\n\n$ ls /no/such\n…\n[exit 2]\n```\n\
                    ```console session\n$ echo \"[$x]\"\n[]\n```\n";
        assert_eq!(check(text), Vec::<String>::new());
    }

    #[test]
    fn each_lie_is_named_with_line_and_output() {
        let text = "```console session\n$ echo one\ntwo\n$ false\n$ true\n$ echo three\n```\n";
        let found = check(text);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(
            found[0].starts_with("line 2: $ echo one\nexpected, exit 0:\ntwo\ncame, exit 0:\none")
        );
        assert!(found[1].starts_with("line 4: $ false"));
        assert!(found[2].contains("three"));
    }
}
