//! Data to stdout, as text or JSON; words to stderr.

use std::io::{self, ErrorKind, Write as _};

use serde::Serialize;

use super::failure::Failure;

/// Where data and words go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether JSON was asked for.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Data: the value as JSON, or its text.
    pub(crate) fn show<T: Serialize>(
        self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        if self.json {
            let json = serde_json::to_string_pretty(value);
            let json = json.map_err(|error| Failure::Broken(format!("output: {error}")))?;
            write(&format!("{json}\n"))
        } else {
            write(&text(value))
        }
    }

    /// Data, one value a line: compact JSON, or its text.
    pub(crate) fn show_line<T: Serialize>(
        self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        if self.json {
            let json = serde_json::to_string(value);
            let json = json.map_err(|error| Failure::Broken(format!("output: {error}")))?;
            write(&format!("{json}\n"))
        } else {
            write(&format!("{}\n", text(value)))
        }
    }
}

/// Words for people who wait, to stderr. If it is closed there is nobody to tell, and the work goes on.
pub(crate) fn say(words: &str) {
    drop(writeln!(io::stderr(), "{words}"));
}

fn write(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    written.map_err(|error| {
        if error.kind() == ErrorKind::BrokenPipe {
            Failure::Unread
        } else {
            Failure::Broken(format!("stdout: {error}"))
        }
    })
}

/// Rows under headings, in columns as wide as their widest cell.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(headings: &[&str]) -> Self {
        Self {
            rows: vec![headings.iter().map(|text| (*text).to_owned()).collect()],
        }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The text, or `empty` if there is no row.
    pub(crate) fn text_or(&self, empty: &str) -> String {
        if self.rows.len() < 2 {
            return format!("{empty}\n");
        }
        let mut widths: Vec<usize> = Vec::new();
        for row in &self.rows {
            widths.resize(widths.len().max(row.len()), 0);
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut text = String::new();
        for row in &self.rows {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            text.push_str(cells.join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

/// Names and values, one a line, the values in one column.
pub(crate) fn facts(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.chars().count()).max();
    let width = width.unwrap_or(0);
    let line = |(name, value): &(&str, String)| format!("{name:<width$}  {value}\n");
    pairs.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["id", "name"]);
        table.row(vec!["7".to_owned(), "ä".to_owned()]);
        table.row(vec!["1234".to_owned(), "b".to_owned()]);
        assert_eq!(table.text_or("none"), "id    name\n7     ä\n1234  b\n");
        assert_eq!(Table::new(&["id"]).text_or("none"), "none\n");
        let pairs = [("a", "1".to_owned()), ("long", "2".to_owned())];
        assert_eq!(facts(&pairs), "a     1\nlong  2\n");
    }
}
