//! Who may depend on whom, under which licences, and from where: read from `cargo metadata`.
//!
//! The table of edges is the one in `ARCHITECTURE.md`. An edge that is missing here is a design decision first
//! and a line in this file second.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::string_slice,
    reason = "licence expressions, read by a test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Each crate of ours, and which of ours it may use in any kind of dependency.
const ALLOWED_EDGES: &[(&str, &[&str])] = &[
    ("io-settlement", &[]),
    ("io-challenge", &[]),
    ("io-types", &[]),
    ("io-storage", &["io-types"]),
    (
        "io-state-machine",
        &["io-types", "io-storage", "io-challenge", "io-settlement"],
    ),
    (
        "io-genesis",
        &["io-types", "io-settlement", "io-state-machine"],
    ),
    ("io-cpu", &["io-challenge"]),
    ("io-gpu", &["io-challenge"]),
    ("io-client", &["io-types", "io-challenge", "io-settlement"]),
    ("io-bridge", &["io-types", "io-settlement", "io-client"]),
    (
        "io-worker",
        &["io-types", "io-challenge", "io-cpu", "io-gpu", "io-client"],
    ),
    (
        "io-verifier",
        &["io-types", "io-challenge", "io-cpu", "io-gpu", "io-client"],
    ),
    (
        "io-node",
        &[
            "io-types",
            "io-storage",
            "io-state-machine",
            "io-settlement",
            "io-genesis",
            "io-bridge",
        ],
    ),
    (
        "io-localnet",
        &["io-types", "io-settlement", "io-bridge", "io-client"],
    ),
];

/// Crates that test the others: they may use everything, and nothing else may use them.
const TESTS: &[&str] = &["io-tests", "io-sim", "io-fuzz", "io-bench"];

/// Crates whose results are consensus: nothing below them may wait, spawn or talk.
const CONSENSUS: &[&str] = &[
    "io-types",
    "io-storage",
    "io-state-machine",
    "io-settlement",
    "io-challenge",
];

/// Async runtimes and network stacks.
const RUNTIMES: &[&str] = &[
    "async-executor",
    "async-io",
    "async-std",
    "futures-executor",
    "glommio",
    "hyper",
    "mio",
    "monoio",
    "polling",
    "quinn",
    "reqwest",
    "smol",
    "socket2",
    "tokio",
    "tokio-util",
];

/// Licences that this project can be distributed with. MPL-2.0 binds its own files only.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "MPL-2.0+",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "bzip2-1.0.6",
];

/// Packages whose manifest names no licence, each looked up by hand.
const LICENCE_BY_HAND: &[(&str, &str)] = &[
    // It carries the text in a file.
    ("solana-config-interface", "Apache-2.0"),
];

/// What `cargo metadata` says about this machine's build. Offline: a test run follows a build, so all is there.
fn metadata() -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let compiler = run(&root, "rustc", &["-vV"]);
    let host = compiler
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .expect("rustc names its host");
    let arguments = [
        "metadata",
        "--format-version",
        "1",
        "--locked",
        "--offline",
        "--filter-platform",
        host,
    ];
    serde_json::from_str(&run(&root, env!("CARGO"), &arguments))
        .expect("cargo metadata prints JSON")
}

fn run(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("the tool starts");
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("the tool prints UTF-8")
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// Packages without a source are ours.
fn ours(metadata: &Value) -> BTreeMap<&str, &Value> {
    let packages = list(metadata, "packages").iter();
    packages
        .filter(|package| package["source"].is_null())
        .map(|package| (text(package, "name"), package))
        .collect()
}

#[test]
fn every_edge_between_our_crates_is_in_the_table() {
    let metadata = metadata();
    let ours = ours(&metadata);
    let table: BTreeMap<&str, &[&str]> = ALLOWED_EDGES.iter().copied().collect();
    let mut faults = Vec::new();
    for (name, package) in &ours {
        for dependency in list(package, "dependencies") {
            let target = text(dependency, "name");
            if TESTS.contains(&target) && !TESTS.contains(name) {
                faults.push(format!("{name} uses {target}: nothing may use tests"));
            }
        }
        if TESTS.contains(name) {
            continue;
        }
        let Some(allowed) = table.get(name) else {
            faults.push(format!("crate {name} is not in the table of this test"));
            continue;
        };
        for dependency in list(package, "dependencies") {
            let target = text(dependency, "name");
            if ours.contains_key(target) && target != *name && !allowed.contains(&target) {
                faults.push(format!("{name} may not use {target}"));
            }
        }
    }
    for name in table.keys().filter(|name| !ours.contains_key(*name)) {
        faults.push(format!(
            "the table names {name}, which is no crate of the workspace"
        ));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn no_async_runtime_below_consensus() {
    let metadata = metadata();
    let names: BTreeMap<&str, &str> = list(&metadata, "packages")
        .iter()
        .map(|package| (text(package, "id"), text(package, "name")))
        .collect();
    let below: BTreeMap<&str, Vec<&str>> = list(&metadata["resolve"], "nodes")
        .iter()
        .map(|node| {
            (
                text(node, "id"),
                list(node, "deps")
                    .iter()
                    .filter(|d| is_normal(d))
                    .map(|d| text(d, "pkg"))
                    .collect(),
            )
        })
        .collect();
    let mut faults = Vec::new();
    for (id, name) in names.iter().filter(|(_, name)| CONSENSUS.contains(name)) {
        let mut seen = BTreeSet::from([*id]);
        let mut open = vec![(*id, (*name).to_owned())];
        while let Some((id, road)) = open.pop() {
            if RUNTIMES.contains(&names[id]) {
                faults.push(format!("consensus reaches a runtime: {road}"));
            }
            for next in below[id].iter().filter(|next| seen.insert(next)) {
                open.push((next, format!("{road} -> {}", names[next])));
            }
        }
        assert!(
            seen.len() > 1 || *name == "io-types",
            "{name}: the walk saw no dependency at all"
        );
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// True for what a crate links, as opposed to what only its tests or its build script use.
fn is_normal(dependency: &Value) -> bool {
    list(dependency, "dep_kinds")
        .iter()
        .any(|kind| kind["kind"].is_null())
}

#[test]
fn every_licence_is_on_the_list() {
    let metadata = metadata();
    let by_hand: BTreeMap<&str, &str> = LICENCE_BY_HAND.iter().copied().collect();
    let built: BTreeSet<&str> = list(&metadata["resolve"], "nodes")
        .iter()
        .map(|node| text(node, "id"))
        .collect();
    let mut faults = Vec::new();
    for package in list(&metadata, "packages")
        .iter()
        .filter(|package| built.contains(text(package, "id")))
    {
        let name = text(package, "name");
        match package["license"]
            .as_str()
            .or_else(|| by_hand.get(name).copied())
        {
            Some(licence) if is_allowed(licence) => {}
            Some(licence) => faults.push(format!("{name}: licence '{licence}' is not on the list")),
            None => faults.push(format!(
                "{name}: its manifest names no licence; look it up and add it by hand"
            )),
        }
    }
    assert!(built.len() > 100, "only {} packages were seen", built.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// An SPDX expression: any side of an OR (or of the older `/`) is enough, every side of an AND is needed.
fn is_allowed(expression: &str) -> bool {
    let expression = expression.trim();
    if let [first, rest @ ..] = split(expression, &[" OR ", "/"]).as_slice()
        && !rest.is_empty()
    {
        return is_allowed(first) || rest.iter().any(|side| is_allowed(side));
    }
    let needed = split(expression, &[" AND "]);
    if needed.len() > 1 {
        return needed.iter().all(|side| is_allowed(side));
    }
    if let Some(inner) = expression
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
    {
        return is_allowed(inner);
    }
    let (licence, exception) = expression
        .split_once(" WITH ")
        .unwrap_or((expression, "LLVM-exception"));
    LICENCES.contains(&licence) && exception == "LLVM-exception"
}

/// Splits at each separator that stands outside brackets.
fn split<'a>(expression: &'a str, separators: &[&str]) -> Vec<&'a str> {
    let (mut depth, mut start, mut parts) = (0_u32, 0, Vec::new());
    for (at, letter) in expression.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        let found = separators
            .iter()
            .find(|separator| expression[at..].starts_with(**separator));
        if let (0, Some(separator)) = (depth, found)
            && at >= start
        {
            parts.push(&expression[start..at]);
            start = at + separator.len();
        }
    }
    parts.push(&expression[start..]);
    parts
}

#[test]
fn licence_expressions_are_judged_as_written() {
    for good in [
        "MIT",
        "MIT OR GPL-3.0",
        "GPL-3.0/MIT",
        "Apache-2.0 AND ISC",
        "(MIT OR GPL-2.0) AND ISC",
    ] {
        assert!(is_allowed(good), "{good}");
    }
    for bad in [
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "AGPL-3.0 OR SSPL-1.0",
        "(MIT OR ISC) AND GPL-2.0",
        "Apache-2.0 WITH Commons-Clause",
        "",
    ] {
        assert!(!is_allowed(bad), "{bad}");
    }
}

#[test]
fn every_package_comes_from_the_registry_and_is_pinned_by_a_checksum() {
    let lock = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock"))
        .expect("Cargo.lock is committed");
    let lock: toml::Value = toml::from_str(&lock).expect("Cargo.lock is TOML");
    let packages = lock["package"]
        .as_array()
        .expect("Cargo.lock lists packages");
    for package in packages {
        let Some(source) = package.get("source").and_then(toml::Value::as_str) else {
            continue;
        };
        assert!(
            source.starts_with("registry+"),
            "{}: {source} is not a registry",
            package["name"]
        );
        assert!(
            package.get("checksum").is_some(),
            "{}: no checksum",
            package["name"]
        );
    }
}

#[test]
fn one_version_of_each_crate_that_must_not_be_doubled() {
    let metadata = metadata();
    for name in ["prost", "librocksdb-sys", "tendermint-proto", "borsh"] {
        let versions: BTreeSet<&str> = list(&metadata, "packages")
            .iter()
            .filter(|package| text(package, "name") == name)
            .map(|package| text(package, "version"))
            .filter(|version| !(name == "borsh" && version.starts_with("0.")))
            .collect();
        assert_eq!(versions.len(), 1, "{name}: {versions:?}");
    }
}
