//! Starts processes, keeps them running, and ends them all.
//!
//! One thread owns all children. It lives as long as the [`Supervisor`], because Linux ends a child with the *thread* that started it
//! ([`unix::prepare`]). A child that dies is started again, each time after a longer pause. Each child leads a process group of its own:
//! Ctrl-C in a terminal reaches the supervisor alone, and what a child starts ends with it.

pub mod unix;

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow};
use serde::Serialize;

pub use unix::Signal;

/// How often children are looked after.
const LOOK: Duration = Duration::from_millis(50);
/// The first pause before a dead child is started again; doubles with each death.
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// The longest pause. A verifier that was killed again and again must be back in time to reveal, for which it has 10 blocks of about a
/// second, or it loses a task bond.
const PAUSE_MAX: Duration = Duration::from_secs(3);
/// A child that lived this long is healthy: its next death is its first.
const HEALTHY: Duration = Duration::from_secs(20);
/// How long children have to end by themselves.
const GRACE: Duration = Duration::from_secs(10);

/// What to run.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Its name, for people.
    pub name: String,
    /// The program file.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Environment variables on top of the supervisor's.
    pub env: Vec<(String, String)>,
    /// Where its output goes; appended.
    pub log: PathBuf,
}

/// A child as it shows itself.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// Its process id while it runs.
    pub pid: Option<u32>,
    /// How often it was started again.
    pub restarts: u32,
    /// Whether it stands still by a signal.
    pub paused: bool,
    /// Whether it is kept down.
    pub held: bool,
    /// How it ended last, if it ever did.
    pub last_end: Option<String>,
    /// Where its output goes.
    pub log: PathBuf,
}

enum Order {
    Add(Spec, Sender<anyhow::Result<()>>),
    Signal(String, Signal, Sender<anyhow::Result<u32>>),
    Hold(String, bool, Sender<anyhow::Result<()>>),
    StopAll,
}

type Board = Arc<Mutex<BTreeMap<String, Status>>>;

/// Owner of all children. Dropping it ends them.
#[derive(Debug)]
pub struct Supervisor {
    orders: Sender<Order>,
    board: Board,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Supervisor {
    /// Starts the owning thread. Errors: the system has no thread left.
    pub fn start() -> anyhow::Result<Self> {
        let (orders, inbox) = mpsc::channel();
        let board = Board::default();
        let own = Arc::clone(&board);
        let thread = std::thread::Builder::new()
            .name("supervisor".to_owned())
            .spawn(move || {
                Keeper {
                    children: Vec::new(),
                    board: own,
                }
                .run(&inbox);
            })?;
        Ok(Self {
            orders,
            board,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Starts a child and keeps it running. Errors: the name is taken, or it cannot be started even once.
    pub fn add(&self, spec: Spec) -> anyhow::Result<()> {
        let (reply, answer) = mpsc::channel();
        self.order(Order::Add(spec, reply))?;
        answer.recv().map_err(|_closed| gone())?
    }

    /// Sends a signal to a child's whole group, or with [`Signal::Kill`] to the child alone. Returns its process id.
    ///
    /// Errors: there is no such child, or it does not run now.
    pub fn signal(&self, name: &str, signal: Signal) -> anyhow::Result<u32> {
        let (reply, answer) = mpsc::channel();
        self.order(Order::Signal(name.to_owned(), signal, reply))?;
        answer.recv().map_err(|_closed| gone())?
    }

    /// Kills a child's whole group and keeps it down, or lets it be started again at once. Errors: there is no such child.
    pub fn hold(&self, name: &str, held: bool) -> anyhow::Result<()> {
        let (reply, answer) = mpsc::channel();
        self.order(Order::Hold(name.to_owned(), held, reply))?;
        answer.recv().map_err(|_closed| gone())?
    }

    /// Every child.
    pub fn status(&self) -> Vec<Status> {
        lock(&self.board).values().cloned().collect()
    }

    /// Ends all children, the last started first, and waits for them. From then on every other call is an error.
    pub fn stop(&self) {
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            // An error of either call means that the thread has ended already.
            drop(self.orders.send(Order::StopAll));
            drop(thread.join());
        }
    }

    fn order(&self, order: Order) -> anyhow::Result<()> {
        self.orders.send(order).map_err(|_closed| gone())
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.stop();
    }
}

fn gone() -> anyhow::Error {
    anyhow!("the supervisor has ended")
}

fn lock(board: &Board) -> MutexGuard<'_, BTreeMap<String, Status>> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread's own view.
struct Keeper {
    children: Vec<Kept>,
    board: Board,
}

struct Kept {
    spec: Spec,
    child: Option<Child>,
    started: Instant,
    due: Instant,
    pause: Duration,
    restarts: u32,
    paused: bool,
    held: bool,
    last_end: Option<String>,
}

impl Keeper {
    fn run(mut self, inbox: &Receiver<Order>) {
        loop {
            match inbox.recv_timeout(LOOK) {
                // The one who asked may have gone; what was asked is done all the same.
                Ok(Order::Add(spec, reply)) => drop(reply.send(self.add(spec))),
                Ok(Order::Signal(name, signal, reply)) => {
                    drop(reply.send(self.signal(&name, signal)));
                }
                Ok(Order::Hold(name, held, reply)) => drop(reply.send(self.hold(&name, held))),
                Ok(Order::StopAll) | Err(RecvTimeoutError::Disconnected) => break self.stop(),
                Err(RecvTimeoutError::Timeout) => {}
            }
            for child in &mut self.children {
                child.look_after();
            }
            self.publish();
        }
    }

    fn add(&mut self, spec: Spec) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.children
                .iter()
                .all(|child| child.spec.name != spec.name),
            "two processes are called {}",
            spec.name
        );
        let child = start(&spec)?;
        let now = Instant::now();
        self.children.push(Kept {
            spec,
            child: Some(child),
            started: now,
            due: now,
            pause: PAUSE_MIN,
            restarts: 0,
            paused: false,
            held: false,
            last_end: None,
        });
        self.publish();
        Ok(())
    }

    fn find(&mut self, name: &str) -> anyhow::Result<&mut Kept> {
        let known = self.children.iter().map(|child| child.spec.name.as_str());
        let names = known.collect::<Vec<_>>().join(", ");
        let child = self
            .children
            .iter_mut()
            .find(|child| child.spec.name == name);
        child.ok_or_else(|| anyhow!("no process is called {name}; there are: {names}"))
    }

    fn hold(&mut self, name: &str, held: bool) -> anyhow::Result<()> {
        let child = self.find(name)?;
        child.held = held;
        if held {
            child.tell(Signal::KillGroup);
        } else {
            // Whoever starts it again wants it now, however often it has died before.
            child.pause = PAUSE_MIN;
            child.due = Instant::now();
        }
        self.publish();
        Ok(())
    }

    fn signal(&mut self, name: &str, signal: Signal) -> anyhow::Result<u32> {
        let child = self.find(name)?;
        let pid = child
            .child
            .as_ref()
            .map(Child::id)
            .ok_or_else(|| anyhow!("{name} does not run now"))?;
        unix::send(pid, signal).with_context(|| format!("cannot signal {name}"))?;
        match signal {
            Signal::Pause => child.paused = true,
            Signal::Resume => child.paused = false,
            Signal::Kill | Signal::KillGroup | Signal::Terminate => {}
        }
        self.publish();
        Ok(pid)
    }

    fn stop(&mut self) {
        for child in self.children.iter().rev() {
            child.tell(Signal::Resume);
            child.tell(Signal::Terminate);
        }
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline && self.children.iter_mut().any(|child| !child.has_ended())
        {
            std::thread::sleep(LOOK);
        }
        for child in &mut self.children {
            child.tell(Signal::KillGroup);
            if let Some(mut process) = child.child.take() {
                // It was killed; there is nobody to report a failure to.
                drop(process.wait());
            }
        }
        self.publish();
    }

    fn publish(&self) {
        let mut board = lock(&self.board);
        board.clear();
        for Kept {
            spec,
            child,
            restarts,
            paused,
            held,
            last_end,
            ..
        } in &self.children
        {
            let status = Status {
                name: spec.name.clone(),
                pid: child.as_ref().map(Child::id),
                restarts: *restarts,
                paused: *paused,
                held: *held,
                last_end: last_end.clone(),
                log: spec.log.clone(),
            };
            board.insert(spec.name.clone(), status);
        }
    }
}

impl Kept {
    fn tell(&self, signal: Signal) {
        if let Some(child) = &self.child {
            // A process that has just ended cannot be signalled, which is as good.
            drop(unix::send(child.id(), signal));
        }
    }

    fn has_ended(&mut self) -> bool {
        self.child
            .as_mut()
            .is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }

    fn look_after(&mut self) {
        let now = Instant::now();
        if let Some(child) = &mut self.child {
            let Ok(Some(end)) = child.try_wait() else {
                return;
            };
            // What it started and did not end itself would keep its ports.
            drop(unix::send(child.id(), Signal::KillGroup));
            self.child = None;
            self.paused = false;
            self.last_end = Some(end.to_string());
            if now.duration_since(self.started) > HEALTHY {
                self.pause = PAUSE_MIN;
            }
            self.due = now + self.pause;
            self.pause = (self.pause * 2).min(PAUSE_MAX);
        }
        if now >= self.due && !self.held {
            match start(&self.spec) {
                Ok(child) => {
                    self.child = Some(child);
                    self.started = now;
                    self.restarts = self.restarts.saturating_add(1);
                }
                Err(error) => {
                    self.last_end = Some(format!("{error:#}"));
                    self.due = now + self.pause;
                    self.pause = (self.pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }
}

fn start(spec: &Spec) -> anyhow::Result<Child> {
    let Spec {
        name,
        program,
        args,
        env,
        log,
    } = spec;
    let open = || {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot write {}", log.display()))
    };
    let mut command = Command::new(program);
    command
        .args(args)
        .envs(env.iter().map(|(key, value)| (key, value)));
    // Their output goes to files.
    command.env("NO_COLOR", "1");
    command.stdin(Stdio::null()).stdout(open()?).stderr(open()?);
    unix::prepare(&mut command);
    command
        .spawn()
        .with_context(|| format!("cannot start {name}: {}", program.display()))
}

#[cfg(test)]
mod tests;
