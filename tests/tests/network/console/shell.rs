//! One shell for a whole session, so that variables and folders last from one command to the next.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// A line that no command prints.
const MARK: &str = "--- end of the command, exit code";

/// A running shell. It ends with this value.
#[derive(Debug)]
pub(crate) struct Shell {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

/// What came of a command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Data and words together, as a person sees them.
    pub(crate) output: String,
    /// How it ended.
    pub(crate) exit: i32,
}

impl Shell {
    /// Starts one in `home`, which is also its home folder. `path` is where it looks for programs first.
    pub(crate) fn start(home: &Path, path: &str, variables: &[(&str, String)]) -> Self {
        let mut child = Command::new("sh")
            .current_dir(home)
            .env("HOME", home)
            .env("PATH", path)
            .env_remove("XDG_CONFIG_HOME")
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell starts");
        let mut stdin = child.stdin.take().expect("it is piped");
        let stdout = child.stdout.take().expect("it is piped");
        stdin.write_all(b"exec 2>&1\n").expect("the shell reads");
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            stdin,
            lines,
        }
    }

    /// Runs one command and gives what it printed.
    ///
    /// # Errors
    /// What came so far, if it does not end within `patience` or ends the shell.
    pub(crate) fn run(&mut self, command: &str, patience: Duration) -> Result<Outcome, String> {
        // The group reads nothing of ours, and stays in this shell: what it exports lasts.
        let script = format!("{{ {command}\n}} </dev/null; printf '\\n{MARK} %d\\n' $?\n");
        self.stdin
            .write_all(script.as_bytes())
            .map_err(|error| error.to_string())?;
        let started = Instant::now();
        let mut output = String::new();
        loop {
            match self
                .lines
                .recv_timeout(patience.saturating_sub(started.elapsed()))
            {
                Ok(line) => {
                    if let Some(exit) = line.strip_prefix(MARK) {
                        let exit = exit
                            .trim()
                            .parse()
                            .map_err(|error| format!("{line}: {error}"))?;
                        return Ok(Outcome { output, exit });
                    }
                    output.push_str(&line);
                    output.push('\n');
                }
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!(
                        "no end within {} s; so far:\n{output}",
                        patience.as_secs()
                    ));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(format!("it ended the shell; before that:\n{output}"));
                }
            }
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // The group is ours by its id: the shell, and what a session left running in the background.
        let group = format!("-{}", self.child.id());
        let ended = Command::new("kill").args(["-KILL", "--", &group]).status();
        assert!(ended.is_ok(), "there is a program kill");
        self.child.wait().expect("a killed shell ends");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell() -> (tempfile::TempDir, Shell) {
        let home = tempfile::tempdir().unwrap();
        let path = std::env::var("PATH").unwrap();
        let shell = Shell::start(home.path(), &path, &[("GIVEN", "it is".to_owned())]);
        (home, shell)
    }

    fn ran(output: &str, exit: i32) -> Outcome {
        Outcome {
            output: output.to_owned(),
            exit,
        }
    }

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn variables_and_folders_last_from_command_to_command() {
        let (_home, mut shell) = shell();
        assert_eq!(
            shell.run("mkdir a && cd a && x=7", PATIENCE).unwrap(),
            ran("\n", 0)
        );
        assert_eq!(
            shell
                .run(
                    "export Y=\"$x\"; printf \"$Y\"; pwd | sed 's|.*/||'",
                    PATIENCE
                )
                .unwrap(),
            ran("7a\n\n", 0)
        );
        assert_eq!(
            shell.run("echo $GIVEN", PATIENCE).unwrap(),
            ran("it is\n\n", 0)
        );
        assert_eq!(
            shell.run("sh -c 'echo $Y'", PATIENCE).unwrap(),
            ran("7\n\n", 0)
        );
    }

    #[test]
    fn words_and_data_come_together_with_the_exit_code() {
        let (_home, mut shell) = shell();
        assert_eq!(
            shell
                .run("echo data; echo words >&2; (exit 3)", PATIENCE)
                .unwrap(),
            ran("data\nwords\n\n", 3)
        );
        // A command that reads gets nothing, and does not eat the next one.
        assert_eq!(shell.run("cat", PATIENCE).unwrap(), ran("\n", 0));
        assert_eq!(shell.run("true", PATIENCE).unwrap(), ran("\n", 0));
    }

    #[test]
    fn nothing_is_left_running() {
        let (home, mut shell) = shell();
        shell.run("(sleep 600 & echo $! > pid)", PATIENCE).unwrap();
        let pid = std::fs::read_to_string(home.path().join("pid")).unwrap();
        let stat = format!("/proc/{}/stat", pid.trim());
        assert!(std::fs::exists(&stat).unwrap());
        drop(shell);
        let started = Instant::now();
        // A dead process that nobody has waited for is dead.
        while std::fs::read_to_string(&stat).is_ok_and(|text| !text.contains(") Z ")) {
            assert!(started.elapsed() < PATIENCE, "it still runs");
            thread::sleep(Duration::from_millis(20));
        }
    }

    #[test]
    fn a_command_that_does_not_end_is_given_up() {
        let (_home, mut shell) = shell();
        let stuck = shell.run("echo before; sleep 30", Duration::from_millis(500));
        assert!(stuck.unwrap_err().ends_with("before\n"));
        let (_home, mut shell) = self::shell();
        let gone = shell.run("echo bye; exit 4", PATIENCE);
        assert!(
            gone.unwrap_err()
                .contains("it ended the shell; before that:\nbye")
        );
    }
}
