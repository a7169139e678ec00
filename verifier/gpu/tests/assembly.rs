//! The PTX is what its hash says, no newer than old drivers load, and assembles for every architecture that it is meant
//! for: no spills in the timed kernels, and the tensor instructions are there.
//!
//! The assembler is a package that `./dev setup` installs by `kernels/build --tools`. Where it is not installed, the tests
//! that need it say so by name and do nothing, except in CI, where they fail.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use io_gpu::{HOPPER_PTX, PORTABLE_PTX};

use crate::skip::skip;

#[path = "support/skip.rs"]
mod skip;

/// Kernels whose time counts.
const TIMED: [&str; 6] = [
    "product",
    "product_hopper",
    "walk",
    "chunks",
    "fold",
    "expand",
];
/// Every PTX with the architectures that run it.
const TARGETS: [(&str, &[&str]); 2] = [
    (
        "portable",
        &["sm_80", "sm_86", "sm_89", "sm_90a", "sm_100", "sm_120"],
    ),
    ("hopper", &["sm_90a"]),
];

fn kernels() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels")
}

/// A file of the tools folder; `None`, said aloud, where it is not installed.
///
/// # Panics
/// In CI, where a check that is left out must be seen.
fn tool(test: &str, path: &str) -> Option<PathBuf> {
    let home = std::env::var_os("HOME")
        .map(PathBuf::from)
        .unwrap_or_default();
    let tools = std::env::var_os("IO_CUDA_TOOLS")
        .map_or_else(|| home.join(".cache/io-chain/cuda"), PathBuf::from);
    let program = tools.join(path);
    if program.exists() {
        return Some(program);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "{path} is not installed; run ./dev setup"
    );
    skip(
        test,
        &format!("{path} is not installed; verifier/gpu/kernels/build --tools installs it"),
    );
    None
}

fn directive<'a>(ptx: &'a str, name: &str) -> &'a str {
    let line = ptx.lines().find(|line| line.starts_with(name)).unwrap();
    line.strip_prefix(name).unwrap().trim()
}

#[test]
fn the_ptx_is_what_its_hash_says() {
    let sums = std::fs::read_to_string(kernels().join("ptx.sha256")).unwrap();
    let output = Command::new("sha256sum")
        .args(["--check", "--strict", "ptx.sha256"])
        .current_dir(kernels())
        .output();
    assert!(
        output.unwrap().status.success(),
        "kernels/build makes PTX and hashes"
    );
    assert_eq!(sums.lines().count(), TARGETS.len());
}

#[test]
fn the_source_gives_the_ptx_that_is_checked_in() {
    let test = "the_source_gives_the_ptx_that_is_checked_in";
    let library = "compiler/nvidia/cuda_nvrtc/lib/libnvrtc.so.12";
    if tool(test, library).is_none() {
        return;
    }
    let output = Command::new(kernels().join("build"))
        .arg("--check")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_ptx_loads_on_drivers_since_cuda_12_0() {
    for (name, ptx, target) in [
        ("portable", PORTABLE_PTX, "sm_80"),
        ("hopper", HOPPER_PTX, "sm_90a"),
    ] {
        let (major, minor) = directive(ptx, ".version").split_once('.').unwrap();
        let version: (u32, u32) = (major.parse().unwrap(), minor.parse().unwrap());
        assert!(version <= (8, 0), "{name}.ptx is of version {version:?}");
        assert_eq!(directive(ptx, ".target"), target);
    }
}

/// One PTX for one architecture.
struct Assembled {
    name: &'static str,
    architecture: &'static str,
    cubin: PathBuf,
    report: String,
}

/// Every PTX for each of its architectures, assembled once; `None`, said aloud, without the assembler.
fn assembled(test: &str) -> Option<&'static [Assembled]> {
    static ALL: OnceLock<Vec<Assembled>> = OnceLock::new();
    let ptxas = tool(test, "checkers/nvidia/cuda_nvcc/bin/ptxas")?;
    Some(ALL.get_or_init(|| {
        let pairs = TARGETS
            .iter()
            .flat_map(|(name, list)| list.iter().map(move |architecture| (*name, *architecture)));
        pairs
            .map(|(name, architecture)| assemble(&ptxas, name, architecture))
            .collect()
    }))
}

fn assemble(ptxas: &Path, name: &'static str, architecture: &'static str) -> Assembled {
    let cubin = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.{architecture}.cubin"));
    let source = kernels().join(format!("{name}.ptx"));
    let arguments = ["-v", "-arch", architecture, "-o"];
    let output = Command::new(ptxas)
        .args(arguments)
        .arg(&cubin)
        .arg(&source)
        .output()
        .unwrap();
    let report = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.success(),
        "{name} for {architecture}: {report}"
    );
    Assembled {
        name,
        architecture,
        cubin,
        report,
    }
}

#[test]
fn every_architecture_assembles_without_spills() {
    let Some(all) = assembled("every_architecture_assembles_without_spills") else {
        return;
    };
    for Assembled {
        name,
        architecture,
        report,
        ..
    } in all
    {
        assert!(
            !report.contains("serializ"),
            "{name} for {architecture}: {report}"
        );
        let mut seen = 0;
        let mut kernel = "";
        for line in report.lines() {
            if let Some((_, rest)) = line.split_once("Compiling entry function '") {
                kernel = rest.split('\'').next().unwrap();
            } else if line.contains("spill") && TIMED.contains(&kernel) {
                seen += 1;
                let clean = "0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads";
                assert_eq!(line.trim(), clean, "{kernel} for {architecture}");
            }
        }
        let expected = if *name == "hopper" { 1 } else { 5 };
        assert_eq!(seen, expected, "timed kernels of {name} for {architecture}");
    }
}

#[test]
fn the_products_run_on_tensor_cores() {
    let test = "the_products_run_on_tensor_cores";
    let Some(all) = assembled(test) else {
        return;
    };
    let Some(disassembler) = tool(test, "checkers/nvidia/cu13/bin/nvdisasm") else {
        return;
    };
    for Assembled {
        name,
        architecture,
        cubin,
        ..
    } in all
    {
        let output = Command::new(&disassembler).arg(cubin).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        // 64 x 64 of a warp in steps of 32 bytes, twice a stage: 64 instructions. On Hopper four of 64 x 256 a stage.
        let (instruction, at_least) = match *name {
            "portable" => ("IMMA.16832.S8.S8", 64),
            "hopper" => ("IGMMA.64x256x32.S8.S8", 4),
            other => panic!("{other} has no expected instruction"),
        };
        let count = text.matches(instruction).count();
        assert!(
            count >= at_least,
            "{name} for {architecture}: {count} of {instruction}"
        );
    }
}
