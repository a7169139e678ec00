//! Sessions in a text: what is typed, and what must come of it.
//!
//! A session is a fenced block whose info string is `console session`. A line that begins with `$ ` is typed, with all that follow it
//! after a `\` at its end; the lines below are what comes. In them a line `…` stands for any lines, none included, and `…` or `[..]`
//! within a line for any text. A last line `[exit 1]` says that the command ends so; else it must end with 0.

/// One command of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Line of the text, from 1.
    pub(crate) line: usize,
    /// What is typed.
    pub(crate) command: String,
    /// What must come, line by line.
    pub(crate) expected: Vec<String>,
    /// How it must end.
    pub(crate) exit: i32,
}

impl Step {
    /// Whether it is for a person at a fresh checkout only.
    pub(crate) fn is_exempt(&self) -> bool {
        self.command.split_whitespace().next() == Some("./dev")
    }
}

/// All sessions of a text, in order.
///
/// # Errors
/// Text that names the line: a block that does not end, output before any command, a command that ends in `\`.
pub(crate) fn sessions(text: &str) -> Result<Vec<Vec<Step>>, String> {
    let mut sessions = Vec::new();
    let mut lines = text.lines().zip(1..);
    while let Some((opening, number)) = lines.next() {
        if opening.trim_end() != "```console session" {
            continue;
        }
        let mut block = Vec::new();
        loop {
            match lines.next() {
                None => return Err(format!("line {number}: the block does not end")),
                Some((line, _)) if line.trim_end() == "```" => break,
                Some(line) => block.push(line),
            }
        }
        sessions.push(steps(&block)?);
    }
    Ok(sessions)
}

fn steps(block: &[(&str, usize)]) -> Result<Vec<Step>, String> {
    let mut steps: Vec<Step> = Vec::new();
    let mut lines = block.iter();
    while let Some((line, number)) = lines.next() {
        if let Some(command) = line.strip_prefix("$ ") {
            let mut command = command.to_owned();
            while let Some(more) = command.strip_suffix('\\') {
                let (next, _) = lines.next().ok_or_else(|| {
                    format!("line {number}: the command goes on after \\, but nothing follows")
                })?;
                command = format!("{}{}", more, next.trim_start_matches("> ").trim_start());
            }
            steps.push(Step {
                line: *number,
                command,
                expected: Vec::new(),
                exit: 0,
            });
            continue;
        }
        let step = steps
            .last_mut()
            .ok_or_else(|| format!("line {number}: output stands before any command"))?;
        match exit_of(line) {
            Some(exit) => step.exit = exit,
            None => step.expected.push(line.trim_end().to_owned()),
        }
    }
    Ok(steps)
}

fn exit_of(line: &str) -> Option<i32> {
    line.trim()
        .strip_prefix("[exit ")?
        .strip_suffix(']')?
        .parse()
        .ok()
}

/// Whether the output is as expected. Empty lines at its end do not count.
pub(crate) fn fits(expected: &[String], output: &str) -> bool {
    let mut actual: Vec<&str> = output.lines().map(str::trim_end).collect();
    while actual.last().is_some_and(|line| line.is_empty()) {
        actual.pop();
    }
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    lines_fit(&expected, &actual)
}

fn lines_fit(expected: &[&str], actual: &[&str]) -> bool {
    match (expected, actual) {
        ([], []) => true,
        // Stands for nothing, or for the first line and perhaps more.
        (["…", rest @ ..], []) => lines_fit(rest, actual),
        (["…", rest @ ..], [_, more @ ..]) => {
            lines_fit(rest, actual) || lines_fit(expected, more)
        }
        ([first, rest @ ..], [line, more @ ..]) => line_fits(first, line) && lines_fit(rest, more),
        ([], _) | (_, []) => false,
    }
}

fn line_fits(expected: &str, line: &str) -> bool {
    let wild = expected.replace("[..]", "…");
    let mut parts = wild.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Title\n\n```console session\n$ io status\nheight [..]\n…\n\n$ io order place \\\n>   --hours 2\nio: refused\n\
                        [exit 1]\n```\n\n```console\n$ not a session\n```\n```console session\n$ ./dev up\nup\n```\n";

    fn step(line: usize, command: &str, expected: &[&str], exit: i32) -> Step {
        Step {
            line,
            command: command.to_owned(),
            expected: expected.iter().map(|line| (*line).to_owned()).collect(),
            exit,
        }
    }

    #[test]
    fn sessions_are_read_with_their_lines() {
        let read = sessions(TEXT).unwrap();
        let first = vec![
            step(4, "io status", &["height [..]", "…", ""], 0),
            step(8, "io order place --hours 2", &["io: refused"], 1),
        ];
        assert_eq!(read, [first, vec![step(18, "./dev up", &["up"], 0)]]);
        assert!(read[1][0].is_exempt() && !read[0][0].is_exempt());
        assert!(!step(1, "./developer", &[], 0).is_exempt());
    }

    #[test]
    fn a_broken_session_is_named_by_its_line() {
        for (text, why) in [
            (
                "x\n```console session\n$ a\n",
                "line 2: the block does not end",
            ),
            (
                "```console session\nout\n```\n",
                "line 2: output stands before any command",
            ),
            (
                "```console session\n$ a \\\n```\n",
                "line 2: the command goes on",
            ),
        ] {
            let error = sessions(text).unwrap_err();
            assert!(error.starts_with(why), "{error}");
        }
        assert_eq!(sessions("no block"), Ok(Vec::new()));
    }

    fn check(expected: &[&str], output: &str) -> bool {
        let expected: Vec<String> = expected.iter().map(|line| (*line).to_owned()).collect();
        fits(&expected, output)
    }

    #[test]
    fn wildcards_stand_for_lines_and_for_text() {
        for (expected, output) in [
            (&[][..], ""),
            (&["a", "b"], "a\nb\n\n"),
            (&["a  b"], "a  b  \n"),
            (&["…"], ""),
            (&["…"], "x\ny\n"),
            (&["…", "z"], "x\ny\nz\n"),
            (&["a", "…", "c", "…"], "a\nc\n"),
            (&["a", "…", "c", "…", "e"], "a\nb\nc\nc\nd\ne\n"),
            (&["height [..], app hash […]"], "height 12, app hash […]"),
            (&["[..]"], "x"),
            (&["a[..]b[..]c"], "a1b2b3c"),
            (&["paid … io"], "paid 12.5 io"),
        ] {
            assert!(check(expected, output), "{expected:?} {output:?}");
        }
    }

    #[test]
    fn what_differs_does_not_fit() {
        for (expected, output) in [
            (&[][..], "a\n"),
            (&["a"], ""),
            (&["[..]"], ""),
            (&["a"], "a\nb\n"),
            (&["a", "…"], "b\n"),
            (&["…", "z"], "x\nz\ny\n"),
            (&["a[..]b"], "a1bc"),
            (&["a[..]"], "ba"),
            (&["[..]a[..]a"], "a"),
            (&["[..]ab"], "b"),
            (&["a", "b"], "b\na\n"),
        ] {
            assert!(!check(expected, output), "{expected:?} {output:?}");
        }
    }
}
