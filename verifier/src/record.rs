//! What must outlive a crash: nonces and verdicts, on disk before their commitments are sent.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use io_types::action::VerdictBody;
use io_types::row::Challenge;
use io_types::{AccountId, ChallengeId, DeviceId, Hash};
use rand::RngCore as _;
use serde::{Deserialize, Serialize};

/// This verifier's secrets and findings of one draw of one challenge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Which challenge.
    pub challenge: ChallengeId,
    /// Which draw of it.
    pub redraws: u8,
    /// Whom it tests.
    pub device: DeviceId,
    /// The nonce that goes into the seed.
    pub first: Hash,
    /// The nonce that draws the openings.
    pub second: Hash,
    /// Salt of the verdict.
    pub salt: Hash,
    /// Whether the first nonce left this machine: from then on this process measures time, and no later one can.
    pub measuring: bool,
    /// Phases A and B, milliseconds, once both are measured.
    pub times_ms: Option<(u32, u32)>,
    /// The verdict, once there is one.
    pub verdict: Option<VerdictBody>,
}

impl Record {
    /// Fresh secrets for a draw.
    pub fn draw(challenge: &Challenge) -> Self {
        Self {
            challenge: challenge.id,
            redraws: challenge.redraws,
            device: challenge.device,
            first: random(),
            second: random(),
            salt: random(),
            measuring: false,
            times_ms: None,
            verdict: None,
        }
    }

    /// What goes on chain before any nonce is sent.
    pub fn nonce_commitment(&self, verifier: &AccountId) -> Hash {
        io_types::stream::nonce_commitment(self.challenge, verifier, &self.first, &self.second)
    }

    /// What goes on chain before the verdict is revealed.
    pub fn verdict_commitment(&self, verifier: &AccountId) -> Option<Hash> {
        let body = self.verdict.as_ref()?;
        Some(body.commitment(verifier, self.device, self.challenge, &self.salt))
    }
}

fn random() -> Hash {
    let mut bytes = [0; 32];
    rand::rngs::OsRng.fill_bytes(&mut bytes);
    Hash(bytes)
}

/// A record that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error(
    "record {path}: {why}; without its records a verifier loses its bonds: mend the disk, or restore the folder"
)]
pub struct RecordError {
    path: String,
    why: String,
}

/// The folder of all records: one file for each challenge.
#[derive(Clone, Debug)]
pub struct Records {
    folder: PathBuf,
}

impl Records {
    /// Opens the folder; makes it if it is not there.
    ///
    /// # Errors
    /// A folder that cannot be made.
    pub fn open(folder: &Path) -> Result<Self, RecordError> {
        fs::create_dir_all(folder).map_err(|why| error(folder, why))?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// The record of a challenge, if there is one.
    ///
    /// # Errors
    /// A file that is there and cannot be read as a record.
    pub fn read(&self, challenge: ChallengeId) -> Result<Option<Record>, RecordError> {
        let path = self.path(challenge);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(why) => return Err(error(&path, why)),
        };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|why| error(&path, why))
    }

    /// Writes a record; when this returns it is on disk, whole.
    ///
    /// # Errors
    /// A disk that does not take it; nothing may be sent then.
    pub fn write(&self, record: &Record) -> Result<(), RecordError> {
        let path = self.path(record.challenge);
        let text = serde_json::to_string(record).map_err(|why| error(&path, why))?;
        let fresh = path.with_extension("new");
        let store = || -> std::io::Result<()> {
            let mut file = fs::File::create(&fresh)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&fresh, &path)?;
            fs::File::open(&self.folder)?.sync_all()
        };
        store().map_err(|why| error(&path, why))
    }

    /// Forgets a challenge that is over.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub fn remove(&self, challenge: ChallengeId) -> Result<(), RecordError> {
        let path = self.path(challenge);
        match fs::remove_file(&path) {
            Err(why) if why.kind() != std::io::ErrorKind::NotFound => Err(error(&path, why)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Challenges with a record.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn list(&self) -> Result<Vec<ChallengeId>, RecordError> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(|why| error(&self.folder, why))? {
            let path = entry.map_err(|why| error(&self.folder, why))?.path();
            let name = path.file_stem().and_then(|stem| stem.to_str());
            let is_record = path
                .extension()
                .is_some_and(|extension| extension == "json");
            let id = name
                .filter(|_name| is_record)
                .and_then(|name| name.parse::<ChallengeId>().ok());
            found.extend(id);
        }
        found.sort();
        Ok(found)
    }

    fn path(&self, challenge: ChallengeId) -> PathBuf {
        self.folder.join(format!("{challenge}.json"))
    }
}

fn error(path: &Path, why: impl std::fmt::Display) -> RecordError {
    RecordError {
        path: path.display().to_string(),
        why: why.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: u64) -> Record {
        Record {
            challenge: ChallengeId(id),
            redraws: 0,
            device: DeviceId(4),
            first: random(),
            second: random(),
            salt: random(),
            measuring: true,
            times_ms: Some((1, 2)),
            verdict: None,
        }
    }

    #[test]
    fn what_was_written_is_read_again_and_forgotten_when_over() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::open(&folder.path().join("deep/er")).unwrap();
        assert_eq!(records.read(ChallengeId(7)).unwrap(), None);
        let (seven, nine) = (record(7), record(9));
        records.write(&seven).unwrap();
        records.write(&nine).unwrap();
        assert_eq!(records.read(ChallengeId(7)).unwrap(), Some(seven.clone()));
        let changed = Record {
            times_ms: None,
            ..seven
        };
        records.write(&changed).unwrap();
        let again = Records::open(&folder.path().join("deep/er")).unwrap();
        assert_eq!(again.read(ChallengeId(7)).unwrap(), Some(changed));
        assert_eq!(again.list().unwrap(), [ChallengeId(7), ChallengeId(9)]);
        records.remove(ChallengeId(7)).unwrap();
        records.remove(ChallengeId(7)).unwrap();
        assert_eq!(again.list().unwrap(), [ChallengeId(9)]);
    }

    #[test]
    fn half_a_record_is_an_error_that_names_the_file_and_never_a_fresh_start() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::open(folder.path()).unwrap();
        fs::write(folder.path().join("7.json"), "{\"challenge\":7,").unwrap();
        let text = records.read(ChallengeId(7)).unwrap_err().to_string();
        assert!(text.contains("7.json") && text.contains("bonds"), "{text}");
    }

    #[test]
    fn a_file_that_a_crash_left_half_written_is_no_record() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::open(folder.path()).unwrap();
        fs::write(folder.path().join("7.new"), "{").unwrap();
        assert_eq!(records.list().unwrap(), []);
        assert_eq!(records.read(ChallengeId(7)).unwrap(), None);
    }
}
