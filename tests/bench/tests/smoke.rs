//! Every line produces a number or says why not. No time is asserted: machines differ, and so does their load.

use std::process::Command;

use serde_json::Value;

#[test]
fn every_line_produces_a_number_or_is_skipped_by_name() {
    let output = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(["--small", "--json"])
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{words}");
    let table: Value = serde_json::from_slice(&output.stdout).unwrap();
    let lines = table["lines"].as_array().unwrap();
    for line in lines {
        let name = line["name"].as_str().unwrap();
        assert!(
            io_bench::GROUPS
                .iter()
                .any(|(group, _measure)| name.starts_with(group)),
            "{name} belongs to no group"
        );
        if line["skipped"].is_string() {
            continue;
        }
        for part in ["measured", "limit"] {
            let value = line[part]["value"].as_f64();
            assert!(
                value.is_some_and(|value| value > 0.0),
                "{name}: {part} is {value:?}"
            );
        }
    }
    for (group, _measure) in io_bench::GROUPS {
        let has_line = |line: &Value| line["name"].as_str().unwrap().starts_with(group);
        assert!(lines.iter().any(has_line), "{group} has no line");
    }
}

#[test]
fn a_filter_that_names_nothing_is_refused_with_the_names() {
    let output = Command::new(env!("CARGO_BIN_EXE_bench"))
        .arg("no-such-line")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let names = String::from_utf8(output.stdout).unwrap();
    assert!(names.lines().any(|name| name == "payouts"), "{names}");
}
