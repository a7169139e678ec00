//! Rows in memory with their writes in a file: for what people look up, not for what the ledger is made of.
//!
//! One line a write, JSON. At a start the newest rows are read back, as many as the log is told to keep; a torn last line is cut off.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    fs::{File, OpenOptions},
    io::{self, Write},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Serialize, de::DeserializeOwned};
use surfpool_core::storage::{Storage, StorageError, StorageResult};

/// A table of the machine that outlives it. Clones share one content.
#[derive(Debug)]
pub struct Log<K, V>(Arc<Mutex<Content<K, V>>>);

#[derive(Debug)]
struct Content<K, V> {
    rows: BTreeMap<K, V>,
    file: File,
}

impl<K, V> Clone for Log<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V> Log<K, V>
where
    K: Ord + Clone + Serialize + DeserializeOwned,
    V: Clone + Serialize + DeserializeOwned,
{
    /// Opens the log with the newest `keep` writes of an earlier start. Errors: the disk refuses.
    pub fn open(path: &Path, keep: usize) -> io::Result<Self> {
        let text = match std::fs::read(path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        // What follows the last line end was being written when the process died.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _torn)| whole);
        let mut lines: Vec<&str> = whole.lines().collect();
        let lines = lines.split_off(lines.len().saturating_sub(keep));
        let mut rows = BTreeMap::new();
        let fresh = path.with_extension("new");
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .open(&fresh)?;
        for line in lines {
            let (key, value): (K, V) = serde_json::from_str(line)?;
            rows.insert(key, value);
            file.write_all(format!("{line}\n").as_bytes())?;
        }
        std::fs::rename(&fresh, path)?;
        Ok(Self(Arc::new(Mutex::new(Content { rows, file }))))
    }

    /// The row with the highest key.
    pub fn last(&self) -> Option<(K, V)> {
        self.content()
            .rows
            .last_key_value()
            .map(|(key, value)| (key.clone(), value.clone()))
    }

    fn content(&self) -> MutexGuard<'_, Content<K, V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V> Storage<K, V> for Log<K, V>
where
    K: Ord + Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
    V: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    fn store(&mut self, key: K, value: V) -> StorageResult<()> {
        let mut line = serde_json::to_vec(&(&key, &value)).or(Err(StorageError::LockError))?;
        line.push(b'\n');
        let mut content = self.content();
        content
            .file
            .write_all(&line)
            .or(Err(StorageError::LockError))?;
        content.rows.insert(key, value);
        Ok(())
    }

    fn clear(&mut self) -> StorageResult<()> {
        let mut content = self.content();
        content.file.set_len(0).or(Err(StorageError::LockError))?;
        content.rows.clear();
        Ok(())
    }

    fn get(&self, key: &K) -> StorageResult<Option<V>> {
        Ok(self.content().rows.get(key).cloned())
    }

    /// From memory only: the machine takes nothing out of the tables that this is for.
    fn take(&mut self, key: &K) -> StorageResult<Option<V>> {
        Ok(self.content().rows.remove(key))
    }

    fn keys(&self) -> StorageResult<Vec<K>> {
        Ok(self.content().rows.keys().cloned().collect())
    }

    fn into_iter(&self) -> StorageResult<Box<dyn Iterator<Item = (K, V)> + '_>> {
        Ok(Box::new(self.content().rows.clone().into_iter()))
    }

    fn count(&self) -> StorageResult<u64> {
        u64::try_from(self.content().rows.len()).or(Err(StorageError::LockError))
    }

    fn clone_box(&self) -> Box<dyn Storage<K, V>> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_rows_are_there_after_reopening_and_a_torn_line_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log: Log<u64, String> = Log::open(&path, 3).unwrap();
        for number in 1..=5_u64 {
            log.store(number, format!("row {number}")).unwrap();
        }
        assert_eq!(log.count().unwrap(), 5);
        drop(log);
        OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"[6,\"ro")
            .unwrap();
        let mut log: Log<u64, String> = Log::open(&path, 3).unwrap();
        assert_eq!(log.keys().unwrap(), [3, 4, 5]);
        assert_eq!(log.last(), Some((5, "row 5".to_owned())));
        log.store(6, "row 6".to_owned()).unwrap();
        drop(log);
        assert_eq!(
            Log::<u64, String>::open(&path, 9).unwrap().keys().unwrap(),
            [3, 4, 5, 6]
        );
    }
}
