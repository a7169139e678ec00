//! Rules about the text of this repository that no lint can state. Each failure names the file, the line and the way out.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::case_sensitive_file_extension_comparisons,
    clippy::string_slice,
    reason = "text of this repository, read by a test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use io_types::Rejection;

/// Above this a file is split. The aim is 400.
const LINES_MAX: usize = 800;

/// Words that name no noun. A file or item that needs one has no clear job.
const EMPTY_WORDS: &[&str] = &[
    "manager", "helper", "helpers", "util", "utils", "common", "misc",
];

/// Folders of the crates whose results are consensus.
const CONSENSUS: &[&str] = &[
    "state-machine/",
    "bridge/settlement/",
    "verifier/challenge/",
];

/// The only places that may hold unsafe code: two crates of this workspace, what runs in Solana's machine, and three system calls.
const UNSAFE: &[&str] = &[
    "verifier/cpu/",
    "verifier/gpu/",
    "bridge/program/",
    // One system call, compiled for Solana's machine only.
    "bridge/settlement/src/sha256.rs",
    // Signals to process groups, and children that end with their parent: the standard library has neither.
    "localnet/src/process/unix.rs",
];

/// One text file of the repository.
struct Text {
    /// Relative to the root, with `/`.
    path: String,
    content: String,
}

impl Text {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    fn is_in(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.path.starts_with(folder))
    }

    /// This file names what it bans, so it is not read for bans.
    fn is_this_file(&self) -> bool {
        self.path == "tests/tests/tidy.rs"
    }

    /// True for files that hold only tests.
    fn is_test(&self) -> bool {
        self.path.contains("/tests/")
            || self.path.starts_with("tests/")
            || self.path.ends_with("/tests.rs")
    }

    /// The part of the file that only tests compile.
    fn tests(&self) -> &str {
        if self.is_test() {
            return &self.content;
        }
        self.content
            .find("#[cfg(test)]")
            .map_or("", |start| &self.content[start..])
    }

    /// The part of the file that is not only for tests.
    fn production(&self) -> &str {
        if self.is_test() {
            return "";
        }
        let end = self
            .content
            .find("#[cfg(test)]\nmod tests {")
            .unwrap_or(self.content.len());
        &self.content[..end]
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every text file that belongs to the repository.
fn texts() -> Vec<Text> {
    let mut texts = Vec::new();
    let mut open = vec![root()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the repository can be read") {
            let path = entry.expect("its entries too").path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .expect("names are UTF-8");
            // A folder, and in a worktree a file that names one.
            if name == ".git" {
                continue;
            }
            if path.is_dir() {
                // Inputs of fuzz targets are bytes, some of which happen to be text.
                if !["target", "node_modules", "corpus"].contains(&name) {
                    open.push(path);
                }
            } else if let Ok(content) = fs::read_to_string(&path) {
                let relative = path.strip_prefix(root()).expect("it lies below the root");
                texts.push(Text {
                    path: relative.to_string_lossy().replace('\\', "/"),
                    content,
                });
            }
        }
    }
    assert!(texts.len() > 50, "only {} files were found", texts.len());
    texts.sort_by(|left, right| left.path.cmp(&right.path));
    texts
}

fn report(faults: &[String]) {
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

/// `path:line: text` for each line that holds one of the patterns.
fn lines_with(text: &Text, content: &str, patterns: &[&str], advice: &str) -> Vec<String> {
    let hits = content
        .lines()
        .enumerate()
        .filter(|(_, line)| patterns.iter().any(|pattern| line.contains(pattern)));
    hits.map(|(number, line)| format!("{}:{}: {} ({advice})", text.path, number + 1, line.trim()))
        .collect()
}

#[test]
fn no_source_file_is_too_long() {
    let mut faults = Vec::new();
    for text in texts().iter().filter(|text| text.is_rust()) {
        let lines = text.content.lines().count();
        if lines > LINES_MAX {
            faults.push(format!(
                "{}: {lines} lines, at most {LINES_MAX}; split it by noun",
                text.path
            ));
        }
    }
    report(&faults);
}

#[test]
fn nothing_is_left_for_later() {
    let mut faults = Vec::new();
    for text in texts()
        .iter()
        .filter(|text| text.is_rust() && !text.is_this_file())
    {
        let later = ["TODO", "FIXME", "XXX", "todo!(", "unimplemented!("];
        faults.extend(lines_with(
            text,
            &text.content,
            &later,
            "finish it or leave it out",
        ));
        faults.extend(lines_with(
            text,
            &text.content,
            &["#[ignore"],
            "a test runs or does not exist",
        ));
        faults.extend(lines_with(
            text,
            &text.content,
            &["#[allow(", "#![allow("],
            "use #[expect(.., reason = ..)]",
        ));
    }
    report(&faults);
}

#[test]
fn consensus_code_hides_no_error() {
    let mut faults = Vec::new();
    for text in texts()
        .iter()
        .filter(|text| text.is_rust() && text.is_in(CONSENSUS))
    {
        let hiding = [".ok();", "let _ = "];
        faults.extend(lines_with(
            text,
            text.production(),
            &hiding,
            "name the error or the default",
        ));
    }
    report(&faults);
}

#[test]
fn only_the_device_crates_hold_unsafe_code() {
    let mut faults = Vec::new();
    for text in texts()
        .iter()
        .filter(|text| text.is_rust() && !text.is_this_file() && !text.is_in(UNSAFE))
    {
        faults.extend(lines_with(
            text,
            &text.content,
            &["expect(unsafe_code", "unsafe {"],
            "only verifier/cpu and verifier/gpu",
        ));
    }
    report(&faults);
}

#[test]
fn names_say_what_a_thing_is() {
    let mut faults = Vec::new();
    for text in texts().iter().filter(|text| text.is_rust()) {
        for part in text.path.trim_end_matches(".rs").split('/') {
            if words(part)
                .iter()
                .any(|word| EMPTY_WORDS.contains(&word.as_str()))
            {
                faults.push(format!(
                    "{}: '{part}' says nothing about its content",
                    text.path
                ));
            }
        }
        for (number, line) in text.content.lines().enumerate() {
            if let Some(name) = declared_name(line)
                && words(name)
                    .iter()
                    .any(|word| EMPTY_WORDS.contains(&word.as_str()))
            {
                faults.push(format!(
                    "{}:{}: '{name}' says nothing about its job",
                    text.path,
                    number + 1
                ));
            }
        }
    }
    report(&faults);
}

/// The name that a line declares, if it declares an item.
fn declared_name(line: &str) -> Option<&str> {
    let mut rest = line.trim_start();
    for prefix in [
        "pub(crate) ",
        "pub(super) ",
        "pub ",
        "const fn ",
        "async fn ",
    ] {
        if let Some(shorter) = rest.strip_prefix(prefix) {
            rest = if prefix.ends_with("fn ") {
                return Some(leading_name(shorter));
            } else {
                shorter
            };
        }
    }
    let keywords = [
        "fn ",
        "struct ",
        "enum ",
        "trait ",
        "mod ",
        "type ",
        "const ",
        "static ",
        "macro_rules! ",
    ];
    keywords
        .iter()
        .find_map(|keyword| rest.strip_prefix(keyword))
        .map(leading_name)
}

fn leading_name(text: &str) -> &str {
    let end = text
        .find(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .unwrap_or(text.len());
    &text[..end]
}

/// `SnakeCase`, `snake_case` and `kebab-case` into lower-case words.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for letter in name.chars() {
        if letter == '_' || letter == '-' || (letter.is_uppercase() && was_lower) {
            words.push(String::new());
        }
        if letter.is_alphanumeric() {
            words
                .last_mut()
                .expect("it starts with one")
                .extend(letter.to_lowercase());
        }
        was_lower = letter.is_lowercase();
    }
    words
}

#[test]
fn no_machine_and_no_registry_is_named() {
    let mut faults = Vec::new();
    let hosts = [
        "crates.io",
        "pypi.org",
        "proxy.golang.org",
        "registry.npmjs.org",
        "files.pythonhosted.org",
    ];
    let folders = ["/work/", "/root/", "/home/", "/tmp/"];
    for text in texts()
        .iter()
        .filter(|text| !text.is_this_file() && !text.path.ends_with(".lock"))
    {
        faults.extend(lines_with(
            text,
            &text.content,
            &hosts,
            "the package tools know their registries",
        ));
        for (number, line) in text.content.lines().enumerate() {
            if folders.iter().any(|folder| starts_a_path(line, folder)) {
                faults.push(format!(
                    "{}:{}: {} (a path of one machine)",
                    text.path,
                    number + 1,
                    line.trim()
                ));
            }
        }
    }
    report(&faults);
}

/// True where `folder` begins an absolute path, as opposed to standing inside a longer one.
fn starts_a_path(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|letter| !letter.is_alphanumeric() && !"_-.~}/)>".contains(letter))
    })
}

/// A test names a rejection by its variant, or by its number: the last thing that a call is given, or the first of a row of a table.
#[test]
fn every_rejection_has_a_test() {
    let mut named = BTreeSet::new();
    let mut numbers = BTreeSet::new();
    for text in texts().iter().filter(|text| text.is_rust()) {
        for (at, mark) in text.tests().match_indices("Rejection::") {
            named.insert(leading_name(&text.tests()[at + mark.len()..]).to_owned());
        }
        if text.path.starts_with("state-machine/") {
            numbers.extend(edge_numbers(text.tests()));
        }
    }
    let all = Rejection::ALL.iter();
    let missing = all.filter(|(code, name, _)| !named.contains(*name) && !numbers.contains(code));
    let missing: Vec<String> = missing
        .map(|(code, name, text)| format!("{code} Rejection::{name}: no test names it ({text})"))
        .collect();
    report(&missing);
}

/// Numbers that stand right after an opening or right before a closing bracket.
fn edge_numbers(code: &str) -> Vec<u32> {
    let not_word = |letter: char| !letter.is_ascii_alphanumeric() && letter != '_';
    let ends = code.split(')').filter_map(|part| {
        part.trim_end()
            .trim_end_matches(',')
            .trim_end()
            .rsplit(not_word)
            .next()
    });
    let starts = code
        .split('(')
        .filter_map(|part| part.trim_start().split(not_word).next());
    ends.chain(starts)
        .filter_map(|word| word.parse().ok())
        .collect()
}

#[test]
fn numbers_are_read_where_brackets_are() {
    let code = "refused(&a, b(7), 302);\nrefused(\n    c,\n    104,\n);\nlet x = [103, 1_000];\n(\n  105, x,\n)";
    let numbers: BTreeSet<u32> = edge_numbers(code).into_iter().collect();
    assert_eq!(numbers, [7, 104, 105, 302].into());
}

#[test]
fn rejections_are_numbered_once_and_by_component() {
    let mut faults = Vec::new();
    let mut last = 0;
    for (code, name, _) in Rejection::ALL {
        if *code <= last || !(100..1200).contains(code) {
            faults.push(format!(
                "{code} {name}: not above {last}, or of no component"
            ));
        }
        last = *code;
    }
    report(&faults);
}

#[test]
fn decisions_are_numbered_once() {
    let mut numbers: BTreeMap<String, String> = BTreeMap::new();
    let mut faults = Vec::new();
    for text in texts()
        .iter()
        .filter(|text| text.path.starts_with("docs/adr/"))
    {
        let name = text.path.trim_start_matches("docs/adr/");
        let number: String = name.chars().take_while(char::is_ascii_digit).collect();
        if number.len() != 4 || !name[number.len()..].starts_with('-') || !name.ends_with(".md") {
            faults.push(format!("{}: not named NNNN-title.md", text.path));
        } else if let Some(other) = numbers.insert(number, name.to_owned()) {
            faults.push(format!("{}: its number is that of {other}", text.path));
        }
        if !text.content.starts_with("# ") {
            faults.push(format!("{}: its first line is no title", text.path));
        }
    }
    report(&faults);
}

#[test]
fn every_crate_obeys_the_lints_of_the_workspace() {
    let mut faults = Vec::new();
    for text in texts()
        .iter()
        .filter(|text| text.path.ends_with("/Cargo.toml") && !text.path.contains("fuzz/"))
    {
        let manifest: toml::Value = toml::from_str(&text.content).expect("a manifest is TOML");
        let is_member = !text.path.starts_with("bridge/program/");
        let obeys = manifest
            .get("lints")
            .and_then(|lints| lints.get("workspace"))
            .and_then(toml::Value::as_bool);
        if is_member && obeys != Some(true) {
            faults.push(format!("{}: add [lints] workspace = true", text.path));
        }
    }
    report(&faults);
}

#[test]
fn every_module_says_what_it_holds() {
    let mut faults = Vec::new();
    for text in texts()
        .iter()
        .filter(|text| text.is_rust() && !text.path.ends_with("/tests.rs"))
    {
        let opening = text
            .content
            .lines()
            .find(|line| !line.starts_with("#!") && !line.trim().is_empty());
        if !opening.is_some_and(|line| line.starts_with("//!")) {
            faults.push(format!(
                "{}: the first line is no //! that says what the file holds",
                text.path
            ));
        }
    }
    report(&faults);
}

#[test]
fn lines_end_where_their_text_ends() {
    let mut faults = Vec::new();
    for text in texts()
        .iter()
        .filter(|text| !text.path.ends_with(".lock") && !text.path.contains("vectors/"))
    {
        let has_space = text.content.lines().any(|line| line.ends_with([' ', '\t']));
        if has_space || text.content.contains('\r') {
            faults.push(format!("{}: white space at the end of a line", text.path));
        }
        if !text.content.is_empty() && !text.content.ends_with('\n') {
            faults.push(format!("{}: no new line at the end", text.path));
        }
    }
    report(&faults);
}
