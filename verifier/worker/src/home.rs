//! The data folder: small files that must outlive a crash, and a lock against a second worker on it.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A file of the data folder that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {why}")]
pub struct HomeError {
    path: String,
    why: String,
}

fn error(path: &Path, why: impl std::fmt::Display) -> HomeError {
    HomeError {
        path: path.display().to_string(),
        why: why.to_string(),
    }
}

/// The data folder of one worker.
#[derive(Debug)]
pub struct Home {
    folder: PathBuf,
    /// Held as long as this lives.
    lock: Option<File>,
}

impl Home {
    /// Opens the folder, makes it if it is not there, and locks it until dropped.
    ///
    /// # Errors
    /// A folder that cannot be made, or that another worker uses.
    pub fn lock(folder: &Path) -> Result<Self, HomeError> {
        let mut home = Self::open(folder)?;
        let path = home.folder.join("lock");
        let file = File::create(&path).map_err(|why| error(&path, why))?;
        file.try_lock().map_err(|_held| {
            error(
                &path,
                "another worker runs on this folder: stop it, or set `data` to another",
            )
        })?;
        home.lock = Some(file);
        Ok(home)
    }

    /// Opens the folder without a lock, to look at it or before anything runs.
    ///
    /// # Errors
    /// A folder that cannot be made.
    pub fn open(folder: &Path) -> Result<Self, HomeError> {
        fs::create_dir_all(folder).map_err(|why| error(folder, why))?;
        Ok(Self {
            folder: folder.to_owned(),
            lock: None,
        })
    }

    /// Reads a file, if it is there.
    ///
    /// # Errors
    /// A file that is there and is not what it should be.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, HomeError> {
        let path = self.folder.join(name);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(why) => return Err(error(&path, why)),
        };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|why| error(&path, why))
    }

    /// Writes a file for its owner only; when this returns it is on disk, whole.
    ///
    /// # Errors
    /// A disk that does not take it.
    pub fn write<T: Serialize>(&self, name: &str, value: &T) -> Result<(), HomeError> {
        let path = self.folder.join(name);
        let text = serde_json::to_string_pretty(value).map_err(|why| error(&path, why))?;
        let fresh = self.folder.join(format!("{name}.new"));
        let store = || -> std::io::Result<()> {
            let mut options = File::options();
            options.write(true).create(true).truncate(true);
            #[cfg(unix)]
            {
                use std::os::unix::fs::OpenOptionsExt as _;
                options.mode(0o600);
            }
            let mut file = options.open(&fresh)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&fresh, &path)?;
            File::open(&self.folder)?.sync_all()
        };
        store().map_err(|why| error(&path, why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_workers_never_share_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let first = Home::lock(folder.path()).unwrap();
        let text = Home::lock(folder.path()).unwrap_err().to_string();
        assert!(text.contains("another worker runs"), "{text}");
        drop(first);
        assert!(Home::lock(folder.path()).is_ok());
    }

    #[test]
    fn files_are_read_as_written_and_broken_ones_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(folder.path()).unwrap();
        assert_eq!(home.read::<Vec<u8>>("a.json").unwrap(), None);
        home.write("a.json", &vec![1_u8, 2]).unwrap();
        assert_eq!(home.read::<Vec<u8>>("a.json").unwrap(), Some(vec![1, 2]));
        fs::write(folder.path().join("a.json"), "[1,").unwrap();
        let text = home.read::<Vec<u8>>("a.json").unwrap_err().to_string();
        assert!(text.contains("a.json"), "{text}");
    }
}
