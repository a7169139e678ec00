//! The folder of a localnet: one under the user's home for each localnet that runs side by side.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow, bail};

use crate::control::Run;

/// Name of the folder that holds the localnets of a user.
const FOLDER: &str = ".io-localnet";
/// As many as there are blocks of ports.
const SIDE_BY_SIDE_MAX: u32 = 100;

/// A folder in which this process alone may run a localnet.
#[derive(Debug)]
pub struct Home {
    path: PathBuf,
    /// Held, not read: the folder is ours as long as the lock.
    _lock: File,
}

impl Home {
    /// Claims the folder that was asked for, or else the first of the user's that no running localnet has.
    ///
    /// With `reset`, removes what is in it. Errors: it is in use, or not writable.
    pub fn claim(asked: Option<&Path>, reset: bool) -> anyhow::Result<Self> {
        let (path, lock) = match asked {
            Some(path) => {
                let lock = lock(path)?.ok_or_else(|| {
                    anyhow!(
                        "a localnet runs in {} already; `io-localnet down --home {0}` stops it",
                        path.display()
                    )
                })?;
                (path.to_owned(), lock)
            }
            None => first_free()?,
        };
        let home = Self {
            path: path.canonicalize()?,
            _lock: lock,
        };
        if reset {
            home.clear()?;
        }
        Ok(home)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn clear(&self) -> anyhow::Result<()> {
        for entry in std::fs::read_dir(&self.path)? {
            let entry = entry?;
            let path = entry.path();
            let removed = if entry.file_type()?.is_dir() {
                std::fs::remove_dir_all(&path)
            } else if entry.file_name() == "lock" {
                Ok(())
            } else {
                std::fs::remove_file(&path)
            };
            removed.with_context(|| format!("cannot remove {}", path.display()))?;
        }
        Ok(())
    }
}

/// The folder of the running localnet: the one asked for, or the only one of the user.
///
/// Errors: none runs, or several do.
pub fn find_running(asked: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(path) = asked {
        return Ok(path.to_owned());
    }
    let running: Vec<PathBuf> = numbered()?.filter(|path| Run::read(path).is_ok()).collect();
    match running.as_slice() {
        [one] => Ok(one.clone()),
        [] => bail!("no localnet runs; `io-localnet up` starts one"),
        several => {
            let names: Vec<String> = several
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            bail!(
                "{} localnets run; say which with --home: {}",
                names.len(),
                names.join(", ")
            )
        }
    }
}

fn numbered() -> anyhow::Result<impl Iterator<Item = PathBuf>> {
    let user = std::env::home_dir().context("this user has no home folder; give --home DIR")?;
    Ok((1..=SIDE_BY_SIDE_MAX).map(move |number| user.join(FOLDER).join(number.to_string())))
}

fn first_free() -> anyhow::Result<(PathBuf, File)> {
    for path in numbered()? {
        if let Some(lock) = lock(&path)? {
            return Ok((path, lock));
        }
    }
    bail!("{SIDE_BY_SIDE_MAX} localnets run already; give --home DIR")
}

/// The lock of a folder, which is made if absent; `None` if someone else has it.
fn lock(path: &Path) -> anyhow::Result<Option<File>> {
    std::fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))?;
    let file = File::create(path.join("lock"))
        .with_context(|| format!("cannot write into {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_serves_one_localnet_and_reset_empties_it() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::claim(Some(dir.path()), false).unwrap();
        std::fs::create_dir(home.path().join("node")).unwrap();
        std::fs::write(home.path().join("node/data"), "x").unwrap();
        let error = Home::claim(Some(dir.path()), true).unwrap_err();
        assert!(
            error.to_string().starts_with("a localnet runs in "),
            "{error}"
        );
        assert!(home.path().join("node/data").exists());
        drop(home);
        let kept = Home::claim(Some(dir.path()), false).unwrap();
        assert!(kept.path().join("node/data").exists());
        drop(kept);
        let reset = Home::claim(Some(dir.path()), true).unwrap();
        assert!(!reset.path().join("node").exists());
    }
}
