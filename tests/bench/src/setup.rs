//! What a group of lines is given: how large to be, where to report progress, how to time.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// How large a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// The sizes of the bars.
    Full,
    /// Just enough for every line to produce a number.
    Small,
}

/// What a group of lines is given.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    group: &'static str,
    size: Size,
    place: (usize, usize),
    begun: Instant,
}

impl Setup {
    /// For the group at `place` (its number, and of how many).
    pub fn new(group: &'static str, size: Size, place: (usize, usize)) -> Self {
        Self {
            group,
            size,
            place,
            begun: Instant::now(),
        }
    }

    /// Whether only small sizes are asked for.
    pub fn is_small(&self) -> bool {
        self.size == Size::Small
    }

    /// A size: the bar's, or the small one.
    pub fn pick<T>(&self, full: T, small: T) -> T {
        match self.size {
            Size::Full => full,
            Size::Small => small,
        }
    }

    /// A progress line on stderr.
    pub fn say(&self, what: &str) {
        let (number, of) = self.place;
        let seconds = self.begun.elapsed().as_secs();
        eprintln!("[{number}/{of}] {}: {what} ({seconds} s)", self.group);
    }
}

/// The time of one call.
pub fn once<T>(call: impl FnOnce() -> T) -> (Duration, T) {
    let begun = Instant::now();
    let value = black_box(call());
    (begun.elapsed(), value)
}

/// The processor time that this thread took for one call: what counts where a bar is of one core, however busy others keep
/// the machine. Falls back to the time that passed, where the kernel does not say.
pub fn on_core<T>(call: impl FnOnce() -> T) -> (Duration, T) {
    let before = processor_time();
    let (passed, value) = once(call);
    let took = before.and_then(|before| processor_time()?.checked_sub(before));
    (took.filter(|took| !took.is_zero()).unwrap_or(passed), value)
}

/// Processor time of this thread so far.
fn processor_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = text.split(' ').next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

/// The least time of `rounds` calls: other programs of the machine only ever make a round slower.
pub fn best<T>(rounds: usize, mut call: impl FnMut() -> T) -> Duration {
    (0..rounds)
        .map(|_round| once(&mut call).0)
        .min()
        .unwrap_or_default()
}

/// `count` things in `time`, per second.
pub fn rate(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// The CPU's name as the kernel gives it, and how many cores there are.
pub fn machine() -> (String, usize) {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_once(':'));
        value.map_or("?", |(_name, value)| value.trim()).to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (family, model) = (field("cpu family"), field("model\t"));
    let name = field("model name");
    (format!("{name} (family {family}, model {model})"), cores)
}

/// Processes that wanted a core in the last minute, on average: how busy others keep this machine.
pub fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split(' ').next().and_then(|word| word.parse().ok());
    first.unwrap_or(f64::NAN)
}
