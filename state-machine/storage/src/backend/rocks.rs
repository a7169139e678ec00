//! RocksDB: one database, one column family for each family of rows, one synced write batch for each commit.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use rocksdb::{
    BlockBasedOptions, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, DBRecoveryMode,
    ErrorKind, IteratorMode, LogLevel, Options, ReadOptions, WriteBatch, WriteOptions,
};

use super::{Backend, Batch, Family, Stored, VisitBytes, Write};
use crate::{Fault, TableId, TableSpec, fault::RESTORE};

/// Memory for rows that are in the log but not yet in a file, over all families, in bytes.
const WRITE_BUFFERS: usize = 64 << 20;
/// The log is cut when it is this long, in bytes, which bounds what is replayed after a crash.
const LOG_MAX: u64 = 256 << 20;
/// What RocksDB adds to key and value of a write at most: its kind, its family and two lengths, in bytes.
const WRITE_FRAME: usize = 16;

/// The durable store on disk.
pub struct RocksBackend {
    db: DB,
    path: PathBuf,
    families: Vec<(Family, String)>,
}

impl fmt::Debug for RocksBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RocksBackend")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl RocksBackend {
    /// Opens the database in the folder `path`, or makes one if the folder is empty or absent.
    ///
    /// # Errors
    /// A fault that names the folder and says what to do: the database is in use, is corrupt, lacks files, or has rows of
    /// a table that is not in `specs`.
    pub fn open(path: &Path, specs: &[TableSpec]) -> Result<Self, Fault> {
        let mut families = vec![
            (Family::Meta, "meta".to_owned()),
            (Family::Reverse, "reverse".to_owned()),
        ];
        families.extend(
            specs
                .iter()
                .map(|spec| (Family::Table(spec.id), column_family(spec))),
        );
        let is_new = is_empty(path)?;
        let options = database_options();
        if !is_new {
            check_column_families(path, &options, &families)?;
        }
        let descriptors = std::iter::once("default")
            .chain(families.iter().map(|(_, name)| name.as_str()))
            .map(|name| ColumnFamilyDescriptor::new(name, family_options()));
        let db = DB::open_cf_descriptors(&options, path, descriptors)
            .map_err(|error| fault(path, "opening", &error))?;
        Ok(Self {
            db,
            path: path.to_owned(),
            families,
        })
    }

    fn column(&self, family: Family) -> Result<&ColumnFamily, Fault> {
        let listed = self.families.iter().find(|(listed, _)| *listed == family);
        listed
            .and_then(|(_, name)| self.db.cf_handle(name))
            .ok_or_else(|| Fault::bug(database(&self.path), format!("it has no family {family:?}")))
    }
}

impl Backend for RocksBackend {
    fn families(&self) -> Result<Vec<Family>, Fault> {
        Ok(self.families.iter().map(|(family, _)| *family).collect())
    }

    fn scan(&self, family: Family, visit: &mut VisitBytes<'_>) -> Result<(), Fault> {
        let mut options = ReadOptions::default();
        options.set_verify_checksums(true);
        // Rows are read once, at open: they would only push others out of the cache.
        options.fill_cache(false);
        let column = self.column(family)?;
        for row in self
            .db
            .iterator_cf_opt(column, options, IteratorMode::Start)
        {
            let (key, value) = row.map_err(|error| fault(&self.path, "reading", &error))?;
            if visit(&key, &value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn write(&mut self, batch: Batch<'_>) -> Result<(), Fault> {
        let bytes = |write: &Write<'_>| {
            let value = write.value.as_ref().map_or(0, Stored::len);
            write
                .key
                .len()
                .saturating_add(value)
                .saturating_add(WRITE_FRAME)
        };
        let size = batch
            .writes
            .iter()
            .map(bytes)
            .fold(0, usize::saturating_add);
        let mut writes = WriteBatch::with_capacity_bytes(size);
        let mut column = self.column(Family::Meta)?;
        let mut last = Family::Meta;
        let mut scratch = Vec::new();
        for Write { family, key, value } in batch.writes {
            if family != last {
                column = self.column(family)?;
                last = family;
            }
            match value {
                Some(value) => writes.put_cf(column, key, value.bytes(&mut scratch)),
                None => writes.delete_cf(column, key),
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(true);
        self.db
            .write_opt(writes, &options)
            .map_err(|error| fault(&self.path, "writing", &error))
    }
}

fn database_options() -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_paranoid_checks(true);
    // A record torn by a power cut may be dropped, since its commit was never acknowledged. Damage before the end of the
    // log is a fault: skipping it would silently forget blocks.
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_db_write_buffer_size(WRITE_BUFFERS);
    options.set_max_total_wal_size(LOG_MAX);
    options.set_max_open_files(512);
    options.set_keep_log_file_num(4);
    options.set_log_level(LogLevel::Warn);
    options
}

fn family_options() -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_size(16 << 10);
    let mut options = Options::default();
    options.set_block_based_table_factory(&blocks);
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_write_buffer_size(WRITE_BUFFERS);
    options
}

fn column_family(spec: &TableSpec) -> String {
    format!("table-{}-{}", spec.id, spec.name)
}

/// The id in the name of a column family that holds a table.
fn table_of(name: &str) -> Option<TableId> {
    let (id, _) = name.strip_prefix("table-")?.split_once('-')?;
    id.parse().ok().map(TableId)
}

/// Whether there is nothing in the folder yet. A folder with files but without a database is refused: the files may be
/// the rest of one.
fn is_empty(path: &Path) -> Result<bool, Fault> {
    let unreadable = |error: &std::io::Error| {
        Fault::new(
            database(path),
            format!("its folder cannot be read: {error}"),
            "give the node's user access to the folder",
        )
    };
    match path.read_dir() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(unreadable(&error)),
        Ok(mut entries) => match entries.next() {
            None => Ok(true),
            Some(_) if path.join("CURRENT").exists() => Ok(false),
            Some(_) => Err(Fault::corrupt(
                database(path),
                "its folder has files, but the file CURRENT is missing",
            )),
        },
    }
}

/// Refuses a database with families that this program does not know.
fn check_column_families(
    path: &Path,
    options: &Options,
    families: &[(Family, String)],
) -> Result<(), Fault> {
    let stored = DB::list_cf(options, path).map_err(|error| fault(path, "opening", &error))?;
    for name in stored {
        if name == "default" || families.iter().any(|(_, listed)| *listed == name) {
            continue;
        }
        let place = match table_of(&name) {
            Some(id) => format!("table {id}"),
            None => database(path),
        };
        return Err(Fault::new(
            place,
            format!("the database has a family {name:?}, but this program knows no such table"),
            "start the version of the program that wrote this database, or restore from a snapshot",
        ));
    }
    Ok(())
}

fn database(path: &Path) -> String {
    format!("database {}", path.display())
}

fn fault(path: &Path, doing: &str, error: &rocksdb::Error) -> Fault {
    let text = error.to_string();
    let is_locked = text.contains("LOCK") && text.contains("lock");
    let remedy = match error.kind() {
        ErrorKind::IOError if is_locked => {
            "another process has it open: stop that process, then start this one again"
        }
        ErrorKind::IOError => {
            "check the disk (free space, health, access rights), then start the node again"
        }
        ErrorKind::Corruption
        | ErrorKind::NotFound
        | ErrorKind::NotSupported
        | ErrorKind::InvalidArgument
        | ErrorKind::MergeInProgress
        | ErrorKind::Incomplete
        | ErrorKind::ShutdownInProgress
        | ErrorKind::TimedOut
        | ErrorKind::Aborted
        | ErrorKind::Busy
        | ErrorKind::Expired
        | ErrorKind::TryAgain
        | ErrorKind::CompactionTooLarge
        | ErrorKind::ColumnFamilyDropped
        | ErrorKind::Unknown => RESTORE,
    };
    Fault::new(database(path), format!("{doing} failed: {text}"), remedy)
}
