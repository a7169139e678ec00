//! A validator's beacon hash chain: `anchor = H^n(seed)`; each link revealed is the preimage of the one before.

use std::fs;
use std::path::{Path, PathBuf};

use io_types::Hash;
use io_types::codec::sha256;
use serde::{Deserialize, Serialize};

/// Links of a new chain: at one in five blocks of a second, more than half a year.
pub const BEACON_LINKS: u64 = 4_000_000;

/// Links between two that are kept in memory.
const STRIDE: u64 = 2_048;

/// Why a beacon chain can not be used.
#[derive(Debug, thiserror::Error)]
pub enum BeaconError {
    /// The file can not be read or written.
    #[error("beacon file {path}: {why}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    seed: Hash,
    links: u64,
}

/// The chain, with enough links in memory that the next one is found in a moment.
pub struct BeaconChain {
    /// Links 0 (the anchor), `STRIDE`, 2·`STRIDE`, … counted from the anchor.
    marks: Vec<Hash>,
    links: u64,
    seed: Hash,
    /// The links of one stretch, and where it begins.
    stretch: (u64, Vec<Hash>),
}

impl std::fmt::Debug for BeaconChain {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("BeaconChain")
            .field("links", &self.links)
            .finish_non_exhaustive()
    }
}

impl BeaconChain {
    /// The chain of a seed.
    pub fn new(seed: Hash, links: u64) -> Self {
        let mut marks = Vec::new();
        let mut link = seed;
        for position in (0..=links).rev() {
            if position.is_multiple_of(STRIDE) {
                marks.push(link);
            }
            if position > 0 {
                link = sha256(&link.0);
            }
        }
        marks.reverse();
        let mut chain = Self {
            marks,
            links,
            seed,
            stretch: (0, Vec::new()),
        };
        chain.stretch = (0, chain.links_from(0));
        chain
    }

    /// Reads the chain's file.
    pub fn load(path: &Path) -> Result<Self, BeaconError> {
        let failed = |why: String| BeaconError::File {
            path: path.to_owned(),
            why,
        };
        let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        let File { seed, links } =
            serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
        if links == 0 || links > 1 << 32 {
            return Err(failed(format!("{links} links; give 1 to 2^32")));
        }
        Ok(Self::new(seed, links))
    }

    /// The text of a new chain's file.
    pub fn file_text(seed: Hash, links: u64) -> String {
        serde_json::json!({ "seed": seed, "links": links }).to_string()
    }

    /// What genesis names.
    pub fn anchor(&self) -> Hash {
        self.marks.first().copied().unwrap_or(self.seed)
    }

    /// The link whose hash is `last`; none if `last` is no link of this chain, or its end.
    pub fn next(&mut self, last: Hash) -> Option<Hash> {
        let starts = std::iter::once(self.stretch.0)
            .chain((0..=self.links).step_by(usize::try_from(STRIDE).unwrap_or(1)));
        for start in starts.collect::<Vec<_>>() {
            if self.stretch.0 != start {
                self.stretch = (start, self.links_from(start));
            }
            let mut links = self.stretch.1.iter();
            if links.any(|link| *link == last) {
                return links.next().copied().or_else(|| self.next_start(last));
            }
        }
        None
    }

    /// The first link after this stretch, if `last` ends it.
    fn next_start(&self, last: Hash) -> Option<Hash> {
        let start = self.stretch.0.saturating_add(STRIDE);
        self.links_from(start)
            .first()
            .copied()
            .filter(|link| sha256(&link.0) == last)
    }

    /// Links `start` to the one before the next mark, in the order in which they are revealed.
    fn links_from(&self, start: u64) -> Vec<Hash> {
        if start > self.links {
            return Vec::new();
        }
        let end = start.saturating_add(STRIDE);
        let index = usize::try_from(end.checked_div(STRIDE).unwrap_or(0)).unwrap_or(usize::MAX);
        let (mut link, steps) = match self.marks.get(index).filter(|_| end <= self.links) {
            Some(mark) => (sha256(&mark.0), STRIDE),
            None => (
                self.seed,
                self.links.saturating_sub(start).saturating_add(1),
            ),
        };
        let mut links = Vec::new();
        for _ in 0..steps {
            links.push(link);
            link = sha256(&link.0);
        }
        links.reverse();
        links
    }
}
