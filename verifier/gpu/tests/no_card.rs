//! A machine without a driver, and words that name no backend, get typed errors and never a panic.

use std::path::Path;

use io_gpu::{Backend, CudaEngine, GpuError, Selection, facts, select};

use crate::skip::skip;

#[path = "support/skip.rs"]
mod skip;

/// Whether the driver's library can be loaded, asked without this crate.
fn driver() -> bool {
    let search = std::env::var("LD_LIBRARY_PATH").unwrap_or_default();
    let folders = [
        "/usr/lib",
        "/usr/lib64",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/usr/local/nvidia/lib64",
        "/usr/local/cuda/compat",
    ];
    let names = ["libcuda.so", "libcuda.so.1"];
    let mut folders = folders.into_iter().chain(search.split(':')).map(Path::new);
    folders.any(|folder| names.iter().any(|name| folder.join(name).exists()))
}

#[test]
fn without_a_driver_auto_takes_the_cpu_and_says_why() {
    if driver() {
        skip(
            "without_a_driver_auto_takes_the_cpu_and_says_why",
            "this machine has a driver",
        );
        return;
    }
    let Selection::Cpu { why } = select(Backend::Auto).unwrap() else {
        panic!("a card without a driver")
    };
    assert!(
        why.starts_with("backend cpu: no NVIDIA driver is installed"),
        "{why}"
    );
    assert!(matches!(select(Backend::Cuda), Err(GpuError::NoDriver)));
    assert!(matches!(CudaEngine::open(0), Err(GpuError::NoDriver)));
    assert!(matches!(facts(), Err(GpuError::NoNvml(_))));
}

#[test]
fn the_cpu_is_taken_when_asked_for_whatever_the_machine_has() {
    let Selection::Cpu { why } = select(Backend::Cpu).unwrap() else {
        panic!("a card that nobody asked for")
    };
    assert_eq!(why, "backend cpu: as asked");
}

#[test]
fn backends_have_three_names() {
    for backend in [Backend::Auto, Backend::Cuda, Backend::Cpu] {
        assert_eq!(backend.to_string().parse::<Backend>().unwrap(), backend);
    }
    let error = "gpu".parse::<Backend>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "`gpu` is no backend: use auto, cuda or cpu"
    );
}
