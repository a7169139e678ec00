//! A disk that fills up while a block is committed: the node ends and says what to do, nothing is lost, and it goes on when there is room.
//!
//! The disks are real file systems of their own (tmpfs), in a mount namespace that ends with this test. Where neither root nor user
//! namespaces are allowed to mount, this is said and nothing is tested.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use ed25519_dalek::SigningKey;
use io_types::action::Transfer;
use io_types::api::AccountView;
use io_types::{Action, Amount, Asset};

use crate::crashes::{hand_over, outcome};
use crate::network::{Node, account, is_alive, network, signed, wait};

/// What lies on a disk of its own: the state, the journal, CometBFT's blocks.
const PARTS: [&str; 3] = ["data/state", "data/journal", "cometbft/data"];
/// Size of each.
const MEBIBYTES: u32 = 48;

/// Three small disks under a home. They are gone when this ends, however it ends: the process that holds them reads from us.
struct Disks {
    holder: Child,
    home: PathBuf,
    within: Vec<String>,
}

impl Disks {
    /// Mounts them over the folders of a home, with what is in them. None where the system does not allow it.
    fn mount(home: &Path) -> Option<Self> {
        let script = format!(
            "set -e; cd '{}'; for part in {}; do mkdir -p $part kept; cp -a $part/. kept; \
             mount -t tmpfs -o size={MEBIBYTES}m tmpfs $part; cp -a kept/. $part; rm -r kept; done; echo ready; exec cat",
            home.display(),
            PARTS.join(" ")
        );
        let is_root = fs::metadata("/proc/self").is_ok_and(|own| {
            use std::os::unix::fs::MetadataExt;
            own.uid() == 0
        });
        let (unshare, enter): (&[&str], &[&str]) = if is_root {
            (&["--mount"], &["--mount"])
        } else {
            (
                &["--mount", "--user", "--map-root-user"],
                &["--mount", "--user", "--preserve-credentials"],
            )
        };
        let mut holder = Command::new("unshare")
            .args(unshare)
            .args(["sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut line = String::new();
        let said = BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line);
        if said.is_err() || line.trim() != "ready" {
            holder.wait().unwrap();
            return None;
        }
        let target = format!("--target={}", holder.id());
        let within = ["nsenter", &target]
            .into_iter()
            .chain(enter.iter().copied());
        Some(Self {
            within: within.map(str::to_owned).collect(),
            home: home.to_owned(),
            holder,
        })
    }

    /// The file that takes what room there is, as seen from outside of the namespace.
    fn filler(&self, part: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        let inside = self.home.join(part).join("filler");
        root.join(inside.strip_prefix("/").unwrap())
    }

    /// Takes all room that is left, or that was given back.
    fn fill(&self, part: &str) {
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(self.filler(part))
            .unwrap();
        let page = [7; 4096];
        let error = loop {
            if let Err(error) = file.write_all(&page) {
                break error;
            }
        };
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{error}");
    }

    fn make_room(&self, part: &str) {
        fs::remove_file(self.filler(part)).unwrap();
    }
}

impl Drop for Disks {
    fn drop(&mut self) {
        // The end of its input ends it, and with it the last user of the namespace.
        drop(self.holder.stdin.take());
        self.holder.wait().unwrap();
    }
}

#[test]
fn a_full_disk_stops_the_node_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let renter = SigningKey::from_bytes(&[41; 32]);
    let friend = account(&SigningKey::from_bytes(&[42; 32]));
    let mut nodes = network(folder.path(), 1, &renter);
    let node = &mut nodes[0];
    let Some(disks) = Disks::mount(&node.home) else {
        println!(
            "skipped: this system lets nobody mount a file system in a namespace (unshare --mount)"
        );
        return;
    };
    node.within = disks.within.clone();
    node.start();
    wait("blocks", || node.height() > 2);

    let mut sent = 0;
    for part in PARTS {
        sent += 1;
        let transfer = Action::Transfer(Transfer {
            to: friend,
            asset: Asset::Io,
            amount: Amount::new(100),
            client_id: sent,
        });
        let bytes = signed(&renter, sent, vec![transfer]);
        let height = node.height();
        let from = node.log().len();
        disks.fill(part);
        // Whether it is still taken into a block is open; that it is executed once is not.
        hand_over(node, &bytes);
        ends_and_tells(node, part, from);
        // Started too early it ends again, with the same words.
        disks.fill(part);
        let from = node.log().len();
        node.start();
        ends_and_tells(node, part, from);

        disks.make_room(part);
        node.start();
        wait("it goes on where it was", || node.height() > height);
        wait("the transfer is executed", || {
            hand_over(node, &bytes);
            outcome(node, &bytes).is_some_and(|result| result.code == 0)
        });
        let view: AccountView = node.get(&format!("/v1/accounts/{friend}")).unwrap();
        assert_eq!(view.balances[0].balance, Amount::new(100 * sent), "{part}");
    }
    let view: AccountView = node
        .get(&format!("/v1/accounts/{}", account(&renter)))
        .unwrap();
    assert_eq!(view.lanes, [(0, sent)], "each transfer once");
    node.stop();
}

/// Waits until it has ended by itself: exit code 2, its words name the full disk and the way out, no CometBFT is left.
fn ends_and_tells(node: &mut Node, part: &str, from: usize) {
    let mut code = None;
    wait("the node ends by itself", || {
        let process = node.process.as_mut().unwrap();
        code = process.try_wait().unwrap().map(|status| status.code());
        code.is_some()
    });
    node.process = None;
    let log = node.log();
    let words = &log[from..];
    assert_eq!(code, Some(Some(2)), "{words}");
    let full = format!(
        "error: the disk of {} is full",
        node.home.join(part).display()
    );
    let told = words.lines().any(|line| {
        line.starts_with(&full) && line.contains("make room, then start the node again")
    });
    assert!(told, "{words}");
    let comet = node.comet();
    wait("CometBFT ends with it", || !is_alive(comet));
}
