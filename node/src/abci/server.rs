//! The unix socket, and two threads for each connection: one reads, one answers.

use std::fs;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::application::{Application, Stop};
use super::connection::{self, Ended};
use super::dispatch::Dispatch;
use super::inbox::Inbox;

/// The kernel's limit on the path of a unix socket, its closing zero included.
pub const SOCKET_PATH_BYTES_MAX: usize = 108;

/// Why the socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The kernel could not hold the path.
    #[error("the socket path {path} has {length} bytes, at most {} fit; set abci.socket to a shorter path", SOCKET_PATH_BYTES_MAX - 1)]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Its bytes.
        length: usize,
    },
    /// Another process answers there.
    #[error("another process serves {path}; stop it, or give this node its own home folder")]
    InUse {
        /// The path.
        path: PathBuf,
    },
    /// The socket could not be made.
    #[error("can not open the socket {path}: {source}")]
    Io {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Serves one connection to its end, over any stream that ends: what the threads of a socket do, without the socket.
///
/// # Errors
/// The reason for which the process would have to stop.
pub fn serve_stream(
    reader: impl Read + Send,
    writer: impl Write,
    application: Application,
) -> Result<(), Stop> {
    match converse(reader, writer, &Dispatch::new(application), || {}) {
        Ended::Closed | Ended::Refused(_) => Ok(()),
        Ended::Stopped(stop) => Err(stop),
    }
}

/// Answers on this thread what another one reads. `hang_up` ends the reading once nothing is answered any more.
fn converse(
    reader: impl Read + Send,
    writer: impl Write,
    dispatch: &Dispatch,
    hang_up: impl FnOnce(),
) -> Ended {
    let inbox = Inbox::default();
    thread::scope(|scope| {
        // Also when the answering panics: the scope waits for the reader.
        let _closing = Closing(&inbox, Some(hang_up));
        let reading = thread::Builder::new().name("abci-read".to_owned());
        if let Err(error) = reading.spawn_scoped(scope, || inbox.fill(reader)) {
            return Ended::Refused(format!("no thread could be started to read it: {error}"));
        }
        connection::serve(&inbox, writer, dispatch)
    })
}

/// Ends the reading of a connection.
struct Closing<'a, F: FnOnce()>(&'a Inbox, Option<F>);

impl<F: FnOnce()> Drop for Closing<'_, F> {
    fn drop(&mut self) {
        self.0.close();
        if let Some(hang_up) = self.1.take() {
            hang_up();
        }
    }
}

/// A bound ABCI socket. Only its owner may connect. Dropping it ends every connection and removes the socket.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    ending: bool,
    streams: Vec<UnixStream>,
    threads: Vec<JoinHandle<()>>,
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Nothing runs under this lock that could leave the lists half written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Server {
    /// Binds `path` and serves the application there. A reason to stop the process is sent to `stops`.
    pub fn start(
        path: &Path,
        application: Application,
        stops: Sender<Stop>,
    ) -> Result<Self, BindError> {
        let listener = bind(path)?;
        let shared = Arc::new(Shared::default());
        let dispatch = Arc::new(Dispatch::new(application));
        let accepting = thread::Builder::new()
            .name("abci-accept".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || accept(&listener, &shared, &dispatch, &stops)
            });
        let accepting = accepting.map_err(|source| BindError::Io {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            shared,
            accepting: Some(accepting),
        })
    }

    /// Where it listens, in the form that CometBFT's `proxy_app` takes.
    pub fn address(&self) -> String {
        format!("unix://{}", self.path.display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let (streams, threads) = {
            let mut state = self.shared.lock();
            state.ending = true;
            (
                std::mem::take(&mut state.streams),
                std::mem::take(&mut state.threads),
            )
        };
        for stream in streams {
            log_failure(stream.shutdown(Shutdown::Both), "close a connection");
        }
        // Wakes the thread that waits for connections; it sees that the end has come.
        log_failure(
            UnixStream::connect(&self.path).map(drop),
            "wake the listener",
        );
        for thread in threads.into_iter().chain(self.accepting.take()) {
            if thread.join().is_err() {
                tracing::error!("a thread of the ABCI server panicked");
            }
        }
        log_failure(fs::remove_file(&self.path), "remove the socket");
    }
}

fn log_failure(result: io::Result<()>, what: &str) {
    if let Err(error) = result {
        tracing::debug!(%error, "could not {what}");
    }
}

fn bind(path: &Path) -> Result<UnixListener, BindError> {
    let failed = |source| BindError::Io {
        path: path.to_owned(),
        source,
    };
    let length = path.as_os_str().len();
    if length >= SOCKET_PATH_BYTES_MAX {
        return Err(BindError::PathTooLong {
            path: path.to_owned(),
            length,
        });
    }
    if path.exists() {
        // A socket that nobody answers was left by a process that was killed.
        if UnixStream::connect(path).is_ok() {
            return Err(BindError::InUse {
                path: path.to_owned(),
            });
        }
        fs::remove_file(path).map_err(failed)?;
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

fn accept(
    listener: &UnixListener,
    shared: &Arc<Shared>,
    dispatch: &Arc<Dispatch>,
    stops: &Sender<Stop>,
) {
    for (number, stream) in listener.incoming().enumerate() {
        if shared.lock().ending {
            return;
        }
        let opened = stream.and_then(|stream| {
            let (reader, kept) = (stream.try_clone()?, stream.try_clone()?);
            let (dispatch, stops) = (Arc::clone(dispatch), stops.clone());
            let thread = thread::Builder::new().name(format!("abci-{number}"));
            let thread = thread.spawn(move || serve(&reader, &stream, &dispatch, &stops))?;
            let mut state = shared.lock();
            state.streams.push(kept);
            state.threads.push(thread);
            if state.ending {
                // The end came while this one was opened: nobody else will close it.
                for stream in &state.streams {
                    log_failure(stream.shutdown(Shutdown::Both), "close a connection");
                }
            }
            Ok(())
        });
        if let Err(error) = opened {
            tracing::warn!(%error, "could not accept an ABCI connection");
        }
    }
}

fn serve(reader: &UnixStream, writer: &UnixStream, dispatch: &Dispatch, stops: &Sender<Stop>) {
    let hang_up = || log_failure(writer.shutdown(Shutdown::Both), "close a connection");
    match converse(reader, writer, dispatch, hang_up) {
        Ended::Closed => tracing::debug!("an ABCI connection was closed"),
        Ended::Refused(reason) => tracing::warn!(reason, "an ABCI connection was refused"),
        Ended::Stopped(stop) => {
            tracing::error!(%stop, "the application can not go on");
            if stops.send(stop).is_err() {
                tracing::error!("nobody waits for the reason to stop");
            }
        }
    }
}
