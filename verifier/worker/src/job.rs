//! Jobs: the start hook when the device is hired, delivery sealed to the renter, the stop hook at the end.

use std::process::Stdio;
use std::time::{Duration, Instant};

use io_client::seal;
use io_client::sealed::DETAILS_BYTES_MAX;
use io_types::action::Deliver;
use io_types::row::{Booking, Device};
use io_types::{AccountId, Action, BookingId, DeviceId};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::chain::{Chain, Lane};
use crate::config::Config;
use crate::home::{Home, HomeError};

/// Name of the file in the data folder.
const FILE: &str = "jobs.json";
/// The pause after a hook failed.
const PAUSE: Duration = Duration::from_secs(5);

/// What a hook reads on its standard input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The booking.
    pub booking: BookingId,
    /// This device.
    pub device: DeviceId,
    /// Who pays.
    pub renter: AccountId,
    /// Processors of this device.
    pub processors: u16,
    /// Hours booked.
    pub hours: u16,
}

/// A job that was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Started {
    job: Job,
    /// What the start hook printed.
    details: String,
}

/// All jobs that were started and not stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Jobs {
    started: Vec<Started>,
}

/// Starts, delivers and stops the jobs of one device.
#[derive(Debug)]
pub struct Runner<C> {
    chain: C,
    config: Config,
    home: Home,
    jobs: Jobs,
    failed_at: Option<Instant>,
}

impl<C: Chain> Runner<C> {
    /// Goes on where an earlier process stopped: a job is never started twice.
    ///
    /// # Errors
    /// A file that is broken.
    pub fn open(chain: C, config: Config, home: Home) -> Result<Self, HomeError> {
        let jobs = home.read(FILE)?.unwrap_or_default();
        Ok(Self {
            chain,
            config,
            home,
            jobs,
            failed_at: None,
        })
    }

    /// Does what is due for the device as the chain has it.
    ///
    /// # Errors
    /// A disk that does not take the note of a job.
    pub async fn follow(&mut self, device: &Device) -> Result<(), HomeError> {
        while let Some(over) = self
            .jobs
            .started
            .iter()
            .position(|started| Some(started.job.booking) != device.booking)
        {
            let started = self.jobs.started.remove(over);
            self.stop(&started.job).await;
            self.home.write(FILE, &self.jobs)?;
        }
        let Some(booking) = device.booking else {
            return Ok(());
        };
        if self
            .failed_at
            .is_some_and(|failed| failed.elapsed() < PAUSE)
        {
            return Ok(());
        }
        let booking = match self.chain.booking(booking).await {
            Ok(booking) => booking,
            Err(error) => {
                tracing::warn!(%error, "the booking was not read");
                return Ok(());
            }
        };
        let due = booking.parts.iter().any(|part| {
            part.device == device.id && part.delivered_at.is_none() && part.ended.is_none()
        });
        if !due {
            return Ok(());
        }
        if let Err(why) = self.deliver(&booking, device).await? {
            tracing::error!(booking = %booking.id, %why, "not delivered");
            self.failed_at = Some(Instant::now());
        }
        Ok(())
    }

    async fn deliver(
        &mut self,
        booking: &Booking,
        device: &Device,
    ) -> Result<Result<(), String>, HomeError> {
        let known = self
            .jobs
            .started
            .iter()
            .find(|started| started.job.booking == booking.id);
        let details = if let Some(started) = known {
            started.details.clone()
        } else {
            let job = Job {
                booking: booking.id,
                device: device.id,
                renter: booking.renter,
                processors: device.spec.quantity,
                hours: booking.hours,
            };
            let details = match self.start(&job).await {
                Ok(details) => details,
                Err(why) => return Ok(Err(why)),
            };
            self.jobs.started.push(Started {
                job,
                details: details.clone(),
            });
            self.home.write(FILE, &self.jobs)?;
            details
        };
        let sealed = match seal(&booking.renter, details.as_bytes()) {
            Ok(sealed) => sealed,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let action = Deliver {
            booking: booking.id,
            device: device.id,
            sealed,
        };
        Ok(
            match self
                .chain
                .submit(Lane::Market, vec![Action::Deliver(action)])
                .await
            {
                Ok(_done) => {
                    tracing::info!(booking = %booking.id, "delivered");
                    Ok(())
                }
                Err(error) => Err(error.to_string()),
            },
        )
    }

    async fn start(&self, job: &Job) -> Result<String, String> {
        tracing::info!(booking = %job.booking, hook = %self.config.start_hook, "starting");
        if self.config.start_hook.is_empty() {
            return Ok(format!(
                "device {}: its supplier has set no start hook",
                job.device
            ));
        }
        let details = hook(&self.config.start_hook, job, self.config.hook_seconds).await?;
        let details = details.trim().to_owned();
        match details.len() {
            0 => Err("the start hook printed no connection details".to_owned()),
            len if len > DETAILS_BYTES_MAX => Err(format!(
                "the start hook printed {len} bytes, at most {DETAILS_BYTES_MAX} can be delivered"
            )),
            _ => Ok(details),
        }
    }

    async fn stop(&self, job: &Job) {
        tracing::info!(booking = %job.booking, hook = %self.config.stop_hook, "stopping");
        if self.config.stop_hook.is_empty() {
            return;
        }
        if let Err(why) = hook(&self.config.stop_hook, job, self.config.hook_seconds).await {
            tracing::error!(booking = %job.booking, %why, "the stop hook failed: look whether the job still runs");
        }
    }
}

/// Runs a hook with the job on its standard input; gives its standard output.
///
/// # Errors
/// A program that cannot be started, fails, or takes too long.
pub async fn hook(program: &str, job: &Job, seconds: u64) -> Result<String, String> {
    let text = serde_json::to_vec(job).map_err(|error| error.to_string())?;
    let run = async {
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{program} cannot be started: {error}"))?;
        if let Some(mut input) = child.stdin.take() {
            // A hook that does not read its input is none of our business.
            if let Err(error) = input.write_all(&text).await {
                tracing::debug!(%error, "the hook did not read the job");
            }
        }
        let output = child
            .wait_with_output()
            .await
            .map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(format!("{program} ended with {}", output.status));
        }
        String::from_utf8(output.stdout)
            .map_err(|error| format!("{program} printed no text: {error}"))
    };
    match tokio::time::timeout(Duration::from_secs(seconds.max(1)), run).await {
        Ok(result) => result,
        Err(_elapsed) => Err(format!(
            "{program} took longer than {seconds} s and was ended"
        )),
    }
}
