//! The three calls that the standard library does not offer: signals to groups, groups for children, an end with the parent.
#![expect(unsafe_code, reason = "system calls; each block says why it is sound")]

use std::{io, os::unix::process::CommandExt, process::Command};

/// What can be told to a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// End in good order; to its group.
    Terminate,
    /// End at once; to the child alone.
    Kill,
    /// End at once; to its group, and to the group of its child.
    KillGroup,
    /// Stand still; to its group, and to the group of its child.
    Pause,
    /// Go on; to its group, and to the group of its child.
    Resume,
}

/// Sends a signal to the child `pid`, which leads its own group. Errors: the system's, above all that it has ended.
pub fn send(pid: u32, signal: Signal) -> io::Result<()> {
    // A node's engine leads a group of its own. A child that leads none is in its parent's, and is reached with it.
    let child = match signal {
        Signal::KillGroup | Signal::Pause | Signal::Resume => child_of(pid),
        Signal::Terminate | Signal::Kill => None,
    };
    if let Some(child) = child {
        drop(send_to(child, signal));
    }
    send_to(pid, signal)
}

fn send_to(pid: u32, signal: Signal) -> io::Result<()> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    let (target, number) = match signal {
        Signal::Kill => (pid, libc::SIGKILL),
        Signal::Terminate => (pid.wrapping_neg(), libc::SIGTERM),
        Signal::KillGroup => (pid.wrapping_neg(), libc::SIGKILL),
        Signal::Pause => (pid.wrapping_neg(), libc::SIGSTOP),
        Signal::Resume => (pid.wrapping_neg(), libc::SIGCONT),
    };
    // SAFETY: kill takes two integers and touches no memory of ours.
    let answer = unsafe { libc::kill(target, number) };
    if answer == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Makes a command's child lead a group of its own and end when the thread that starts it ends.
pub fn prepare(command: &mut Command) {
    command.process_group(0);
    #[cfg(target_os = "linux")]
    // SAFETY: between fork and exec the child calls prctl alone, which allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(end_with_parent);
    }
}

#[cfg(target_os = "linux")]
fn end_with_parent() -> io::Result<()> {
    // SAFETY: prctl with this option takes one integer and touches no memory of ours.
    let answer = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) };
    if answer == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// A child of the process `pid`, if it has one.
pub fn child_of(pid: u32) -> Option<u32> {
    let entries = std::fs::read_dir("/proc").ok()?;
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    numbers
        .into_iter()
        .find(|number| parent_of(*number) == Some(pid))
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; after it come the state and the parent.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}
