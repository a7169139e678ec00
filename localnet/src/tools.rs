//! The other programs of io-chain: where they lie, and running one to its end.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, bail, ensure};

/// Every program that a localnet runs.
const PROGRAMS: [&str; 5] = [
    "io-genesis",
    "io-node",
    "io-relayer",
    "io-verifier",
    "io-worker",
];

/// The folder with the programs.
#[derive(Debug, Clone)]
pub struct Tools {
    folder: PathBuf,
}

impl Tools {
    /// The programs beside this one. Errors: one is missing; the text says how to build it.
    pub fn find() -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("this program does not know where it lies")?;
        Self::in_folder(own.parent().unwrap_or(Path::new(".")))
    }

    fn in_folder(folder: &Path) -> anyhow::Result<Self> {
        let missing: Vec<&str> = PROGRAMS
            .into_iter()
            .filter(|program| !folder.join(program).is_file())
            .collect();
        ensure!(
            missing.is_empty(),
            "{} not found in {}; build everything first: cargo build --workspace --bins",
            missing.join(", "),
            folder.display()
        );
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// The file of a program.
    pub fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }

    /// Runs a program to its end and returns what it printed. Errors: it cannot be started or fails; its last words are in the text.
    pub fn run<A: AsRef<OsStr>>(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> anyhow::Result<String> {
        let mut command = Command::new(self.path(program));
        command.args(arguments).stdin(Stdio::null());
        let output = command
            .output()
            .with_context(|| format!("cannot start {program}"))?;
        if output.status.success() {
            return Ok(String::from_utf8(output.stdout)?);
        }
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        let arguments: Vec<String> = command
            .get_args()
            .map(|argument| argument.to_string_lossy().into_owned())
            .collect();
        bail!(
            "{program} {} failed ({}): {}",
            arguments.join(" "),
            output.status,
            words.trim()
        )
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn missing_programs_are_named_and_failures_keep_their_words() {
        let folder = tempfile::tempdir().unwrap();
        let error = Tools::in_folder(folder.path()).unwrap_err().to_string();
        assert!(
            error.starts_with(
                "io-genesis, io-node, io-relayer, io-verifier, io-worker not found in "
            ),
            "{error}"
        );
        for program in PROGRAMS {
            let file = folder.path().join(program);
            std::fs::write(&file, "#!/bin/sh\necho \"$1\"\necho no good >&2\nexit $2\n").unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let tools = Tools::in_folder(folder.path()).unwrap();
        assert_eq!(tools.run("io-node", ["yes", "0"]).unwrap(), "yes\n");
        let error = tools.run("io-node", ["yes", "1"]).unwrap_err().to_string();
        assert_eq!(error, "io-node yes 1 failed (exit status: 1): no good");
    }
}
