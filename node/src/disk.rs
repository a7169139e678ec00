//! Whether a disk is full: what a node that ends tells its operator before anything else.

use std::path::Path;

use rustix::fs::{StatVfs, statvfs};

/// With less room than this no block can be counted on, bytes. A database that is closed gives some back that it takes again.
const ROOM_MIN: u64 = 16 << 20;

/// What to do about each of these folders whose disk has no room; nothing for a folder that cannot be asked.
pub fn full(folders: &[&Path]) -> Vec<String> {
    let mut words = Vec::new();
    for folder in folders {
        let Ok(StatVfs {
            f_bavail,
            f_frsize,
            f_files,
            f_favail,
            ..
        }) = statvfs(*folder)
        else {
            continue;
        };
        let room = f_bavail.saturating_mul(f_frsize);
        let folder = folder.display();
        if room < ROOM_MIN {
            words.push(format!(
                "the disk of {folder} is full ({room} bytes are free): make room, then start the node again; what was committed is kept"
            ));
        } else if f_files > 0 && f_favail == 0 {
            words.push(format!(
                "the disk of {folder} has no room for one more file: remove some, then start the node again; what was committed is kept"
            ));
        }
    }
    words
}
