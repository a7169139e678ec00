//! A reader that looks when it is told to.

use std::sync::Arc;

use super::config::ReaderConfig;
use super::endpoint::{Endpoint, Source};
use super::poll::{Poller, Tasks};
use super::{Bound, Reader, ReaderError, Shared};

/// A [`Reader`] over endpoints inside this process, without tasks and without a network: for simulations, which say when time passes.
#[derive(Debug)]
pub struct SteppedReader {
    reader: Reader,
    pollers: Vec<Poller>,
}

impl SteppedReader {
    /// Reads these endpoints; those that the configuration names are not used.
    ///
    /// # Errors
    /// [`ReaderError`]: too few endpoints.
    pub fn new(
        config: ReaderConfig,
        bound: Bound,
        sources: Vec<(String, Arc<dyn Source>)>,
    ) -> Result<Self, ReaderError> {
        let endpoints: Vec<Endpoint> = sources
            .into_iter()
            .map(|(name, source)| Endpoint::inside(name, source))
            .collect();
        let shared = Shared::new(config, bound, &endpoints)?;
        let pollers = endpoints
            .into_iter()
            .map(|endpoint| Poller::new(endpoint, bound));
        Ok(Self {
            pollers: pollers.collect(),
            reader: Reader {
                shared,
                _tasks: Arc::new(Tasks::default()),
            },
        })
    }

    /// Asks each endpoint once, in their order, as the tasks of a reader do each by itself. It never waits.
    pub async fn poll(&mut self) {
        for (index, poller) in self.pollers.iter_mut().enumerate() {
            let seen = poller.poll().await;
            self.reader.shared.observe(index, seen);
        }
    }

    /// The reader.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }
}
