use std::path::Path;

use super::*;

fn shell(name: &str, script: &str, folder: &Path) -> Spec {
    Spec {
        name: name.to_owned(),
        program: "/bin/sh".into(),
        args: vec!["-c".to_owned(), script.to_owned()],
        env: vec![("NAME".to_owned(), name.to_owned())],
        log: folder.join(format!("{name}.log")),
    }
}

fn until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "not within 20 s: {what}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn one(supervisor: &Supervisor, name: &str) -> Status {
    supervisor
        .status()
        .into_iter()
        .find(|status| status.name == name)
        .unwrap()
}

fn runs(pid: u32) -> bool {
    // A zombie has ended, too.
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn a_killed_child_comes_back_and_its_output_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start().unwrap();
    supervisor
        .add(shell("one", "echo started $NAME; sleep 1000", dir.path()))
        .unwrap();
    let first = one(&supervisor, "one").pid.unwrap();
    let log = one(&supervisor, "one").log;
    until("the first line", || {
        std::fs::read_to_string(&log).unwrap() == "started one\n"
    });
    assert_eq!(supervisor.signal("one", Signal::Kill).unwrap(), first);
    until("a new process", || {
        one(&supervisor, "one").pid.is_some_and(|pid| pid != first)
    });
    let status = one(&supervisor, "one");
    assert_eq!(
        (status.restarts, status.last_end.as_deref()),
        (1, Some("signal: 9 (SIGKILL)"))
    );
    until("the second line", || {
        std::fs::read_to_string(&log).unwrap() == "started one\nstarted one\n"
    });
}

#[test]
fn what_a_child_started_ends_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start().unwrap();
    supervisor
        .add(shell("one", "sleep 1000 & echo $!; wait", dir.path()))
        .unwrap();
    let log = one(&supervisor, "one").log;
    let read = || {
        std::fs::read_to_string(&log)
            .unwrap()
            .lines()
            .next()
            .and_then(|line| line.parse::<u32>().ok())
    };
    until("the grandchild's number", || read().is_some());
    let grandchild = read().unwrap();
    assert!(runs(grandchild));
    supervisor.signal("one", Signal::Kill).unwrap();
    until("the grandchild's end", || !runs(grandchild));
}

#[test]
fn a_held_child_stays_down_until_it_is_let_go() {
    let dir = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start().unwrap();
    supervisor
        .add(shell("one", "sleep 1000", dir.path()))
        .unwrap();
    supervisor.hold("one", true).unwrap();
    until("its end", || one(&supervisor, "one").pid.is_none());
    // Longer than the first pause: nobody starts it again.
    std::thread::sleep(PAUSE_MIN * 4);
    let status = one(&supervisor, "one");
    assert_eq!(
        (status.pid, status.held, status.restarts),
        (None, true, 0),
        "{status:?}"
    );
    supervisor.hold("one", false).unwrap();
    until("its return", || one(&supervisor, "one").pid.is_some());
    let status = one(&supervisor, "one");
    assert_eq!((status.held, status.restarts), (false, 1));
    let error = supervisor.hold("two", true).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no process is called two; there are: one"
    );
}

#[test]
fn a_pause_reaches_a_child_that_leads_its_own_group() {
    let dir = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start().unwrap();
    supervisor
        .add(shell("one", "setsid sleep 1000 & wait", dir.path()))
        .unwrap();
    let parent = one(&supervisor, "one").pid.unwrap();
    let state = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let (_name, rest) = stat.rsplit_once(") ").unwrap();
        rest.chars().next()
    };
    let leads = |pid: u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.starts_with(b"sleep")
    };
    until("a child", || unix::child_of(parent).is_some_and(leads));
    let child = unix::child_of(parent).unwrap();
    supervisor.signal("one", Signal::Pause).unwrap();
    until("both stand still", || {
        [parent, child].map(state) == [Some('T'); 2]
    });
    supervisor.signal("one", Signal::Resume).unwrap();
    until("both go on", || {
        [parent, child].map(state) == [Some('S'); 2]
    });
}

#[test]
fn a_child_that_dies_at_once_is_started_ever_more_slowly() {
    let dir = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start().unwrap();
    supervisor
        .add(shell("one", "echo x; exit 3", dir.path()))
        .unwrap();
    std::thread::sleep(Duration::from_millis(2_500));
    // 250 ms, 500 ms, 1 s, 2 s: three restarts fit, on a busy machine fewer.
    let restarts = one(&supervisor, "one").restarts;
    assert!((1..=3).contains(&restarts), "{restarts}");
    assert_eq!(
        one(&supervisor, "one").last_end.as_deref(),
        Some("exit status: 3")
    );
}

#[test]
fn stop_ends_all_also_the_paused_and_the_deaf() {
    let dir = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start().unwrap();
    supervisor
        .add(shell("paused", "sleep 1000", dir.path()))
        .unwrap();
    supervisor
        .add(shell(
            "deaf",
            "trap '' TERM; while :; do sleep 0.1; done",
            dir.path(),
        ))
        .unwrap();
    supervisor.signal("paused", Signal::Pause).unwrap();
    assert!(one(&supervisor, "paused").paused);
    let pids: Vec<u32> = supervisor
        .status()
        .iter()
        .map(|status| status.pid.unwrap())
        .collect();
    std::thread::sleep(Duration::from_millis(200));
    supervisor.stop();
    assert!(pids.into_iter().all(|pid| !runs(pid)));
}

#[test]
fn what_cannot_be_started_or_found_is_said_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start().unwrap();
    let missing = Spec {
        program: "/nowhere/io-node".into(),
        ..shell("node", "", dir.path())
    };
    let error = format!("{:#}", supervisor.add(missing).unwrap_err());
    assert!(
        error.starts_with("cannot start node: /nowhere/io-node: "),
        "{error}"
    );
    supervisor
        .add(shell("one", "sleep 1000", dir.path()))
        .unwrap();
    let error = supervisor.signal("two", Signal::Kill).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no process is called two; there are: one"
    );
    let error = supervisor
        .add(shell("one", "sleep 1000", dir.path()))
        .unwrap_err();
    assert_eq!(error.to_string(), "two processes are called one");
}
