//! The driver without a card, built as a library, and this test program started again on it.
//!
//! A library path is read when a program starts, so each test starts its program again with it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use crate::skip::skip;

/// What a child runs under.
pub(crate) const CHILD: &str = "IO_EMULATED_CHILD";

/// The libraries, by their sources.
const LIBRARIES: [(&str, &str); 4] = [
    ("emulated_driver.cpp", "libcuda.so"),
    ("emulated_nvml.cpp", "libnvidia-ml.so.1"),
    ("emulated_cublaslt.cpp", "yardstick/libcublasLt.so"),
    ("emulated_broken.cpp", "broken/libcuda.so"),
];

/// The folder with driver and NVML, built once; `None` where there is no C++ compiler. Below it: cuBLASLt in `yardstick`, the
/// driver without NVML in `alone`, one that lacks functions in `broken`.
pub(crate) fn library() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    BUILT.get_or_init(build).as_deref()
}

fn build() -> Option<PathBuf> {
    // Each test program has its own, so that two that run at once do not write one file.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(env!("CARGO_CRATE_NAME"));
    for below in ["yardstick", "alone", "broken"] {
        std::fs::create_dir_all(folder.join(below)).expect("the target folder can be written");
    }
    // The verifier's tests use this file too, one folder up.
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [here.join("kernels"), here.join("gpu/kernels")];
    let kernels = folders
        .into_iter()
        .find(|folder| folder.exists())
        .expect("the kernels are in the tree");
    let flags = [
        "-O2",
        "-std=c++17",
        "-w",
        "-U_FORTIFY_SOURCE",
        "-shared",
        "-fPIC",
        "-fvisibility=hidden",
    ];
    for (source, library) in LIBRARIES {
        let (source, out) = (kernels.join(source), folder.join(library));
        let status = Command::new("c++")
            .args(flags)
            .arg(&source)
            .arg("-o")
            .arg(out)
            .status()
            .ok()?;
        assert!(status.success(), "{} does not compile", source.display());
    }
    std::fs::copy(folder.join("libcuda.so"), folder.join("alone/libcuda.so"))
        .expect("it was just built");
    Some(folder)
}

/// Runs one test of this program on the emulated driver; `None`, said aloud, where that cannot be built.
pub(crate) fn on_emulated_driver(
    test: &str,
    child: &str,
    settings: &[(&str, &str)],
) -> Option<Output> {
    let Some(folder) = library() else {
        skip(test, "there is no C++ compiler named c++");
        return None;
    };
    let program = std::env::current_exe().expect("this program has a path");
    let mut command = Command::new(program);
    command
        .args(["--nocapture", "--test-threads", "1", child])
        .env(CHILD, "1")
        .env("LD_LIBRARY_PATH", folder);
    command.envs(settings.iter().copied());
    Some(command.output().expect("this program can be started again"))
}
