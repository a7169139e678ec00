//! The supplier's agent: keys, uptime, challenges, jobs.
