//! The table, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::line::{Bar, Figure, Line, Outcome};
use crate::setup::{Size, load, machine};

/// Three digits that matter, thousands set apart.
fn number(value: f64) -> String {
    if !value.is_finite() {
        return "?".to_owned();
    }
    let size = value.abs();
    if size >= 100.0 {
        let digits = format!("{value:.0}");
        let mut spaced = String::new();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                spaced.push(' ');
            }
            spaced.push(digit);
        }
        return spaced;
    }
    if size >= 10.0 {
        format!("{value:.1}")
    } else if size >= 0.1 || value == 0.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.4}")
    }
}

fn with_unit(figure: &Figure) -> String {
    format!("{} {}", number(figure.value), figure.unit)
}

fn bar(bar: Bar, unit: &str) -> String {
    match bar {
        Bar::RatioAtLeast(least) => format!(">= {}", number(least)),
        Bar::RatioAtMost(most) => format!("<= {}", number(most)),
        Bar::AtLeast(least) => format!(">= {} {unit}", number(least)),
        Bar::AtMost(most) => format!("<= {} {unit}", number(most)),
        Bar::None => "-".to_owned(),
    }
}

/// The six cells of a line.
fn cells(line: &Line) -> [String; 6] {
    let name = line.name.clone();
    match &line.outcome {
        Outcome::Measured {
            measured,
            limit,
            bar: wanted,
        } => [
            name,
            with_unit(measured),
            with_unit(limit),
            line.ratio().map(number).unwrap_or_default(),
            bar(*wanted, measured.unit),
            match line.is_met() {
                Some(true) => "yes",
                Some(false) => "MISSED",
                None => "-",
            }
            .to_owned(),
        ],
        Outcome::Skipped(_) => skeleton(name, "skipped"),
        Outcome::Broken(_) => skeleton(name, "BROKEN"),
    }
}

fn skeleton(name: String, word: &str) -> [String; 6] {
    let none = || "-".to_owned();
    [name, none(), none(), none(), none(), word.to_owned()]
}

/// The table as text: the lines, then what each of them means.
pub fn text(lines: &[Line], size: Size) -> String {
    let head = ["line", "measured", "limit", "ratio", "bar", "met"].map(str::to_owned);
    let rows: Vec<[String; 6]> = std::iter::once(head)
        .chain(lines.iter().map(cells))
        .collect();
    let widths: Vec<usize> = (0..6)
        .map(|column| {
            let widest = rows.iter().map(|row| row[column].chars().count()).max();
            widest.unwrap_or(0)
        })
        .collect();
    let mut out = String::new();
    for (place, row) in rows.iter().enumerate() {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let gap = " ".repeat(width - cell.chars().count());
            // Names and words to the left, numbers to the right.
            if (1..=3).contains(&column) {
                write!(out, "{gap}{cell}  ").expect("a string takes all");
            } else {
                write!(out, "{cell}{gap}  ").expect("a string takes all");
            }
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
        if place == 0 {
            let rule = widths.iter().sum::<usize>() + 2 * (widths.len() - 1);
            writeln!(out, "{}", "-".repeat(rule)).expect("a string takes all");
        }
    }
    let (cpu, cores) = machine();
    writeln!(
        out,
        "\nratio = measured / limit, both of this run on {cpu}, {cores} cores, load {:.1}",
        load()
    )
    .expect("a string takes all");
    if size == Size::Small {
        out.push_str("small sizes: the figures mean nothing\n");
    }
    for line in lines {
        let said = match &line.outcome {
            Outcome::Measured { .. } => line.what.clone(),
            Outcome::Skipped(why) => format!("skipped: {why}"),
            Outcome::Broken(why) => format!("broke: {why}"),
        };
        writeln!(out, "  {}: {said}", line.name).expect("a string takes all");
    }
    out
}

/// The same as one JSON object. `met` is null where there is no bar.
pub fn json(lines: &[Line], size: Size) -> Value {
    let (cpu, cores) = machine();
    let figure = |figure: &Figure| json!({ "value": figure.value, "unit": figure.unit });
    let lines = lines.iter().map(|line| match &line.outcome {
        Outcome::Measured {
            measured,
            limit,
            bar: wanted,
        } => json!({
            "name": line.name,
            "what": line.what,
            "measured": figure(measured),
            "limit": figure(limit),
            "ratio": line.ratio(),
            "bar": bar(*wanted, measured.unit),
            "met": line.is_met(),
        }),
        Outcome::Skipped(why) => json!({ "name": line.name, "skipped": why }),
        Outcome::Broken(why) => json!({ "name": line.name, "broken": why }),
    });
    json!({
        "machine": { "cpu": cpu, "cores": cores, "load": load() },
        "small": size == Size::Small,
        "lines": lines.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::figure;

    #[test]
    fn numbers_keep_the_digits_that_matter() {
        for (value, wanted) in [
            (1_234_567.8, "1 234 568"),
            (123.4, "123"),
            (50.0, "50.0"),
            (0.613, "0.61"),
            (0.0, "0.00"),
            (0.0123, "0.0123"),
            (f64::NAN, "?"),
        ] {
            assert_eq!(number(value), wanted);
        }
    }

    #[test]
    fn a_line_says_met_missed_skipped_or_broken() {
        let line = |measured| {
            let limit = figure(100.0, "tx/s");
            Line::measured(
                "transfers",
                "why",
                figure(measured, "tx/s"),
                limit,
                Bar::RatioAtLeast(0.5),
            )
        };
        let lines = [
            line(60.0),
            line(40.0),
            Line::skipped("gpu", "no card"),
            Line::broken("node", "no socket"),
        ];
        let text = text(&lines, Size::Full);
        for wanted in [
            "yes",
            "MISSED",
            "skipped: no card",
            "broke: no socket",
            ">= 0.50",
        ] {
            assert!(text.contains(wanted), "{wanted} in\n{text}");
        }
        let json = json(&lines, Size::Full);
        let met: Vec<_> = json["lines"].as_array().unwrap().iter().collect();
        assert_eq!(met[0]["met"], true);
        assert_eq!(met[1]["met"], false);
        assert_eq!(met[1]["ratio"], 0.4);
        assert_eq!(met[2]["skipped"], "no card");
        assert_eq!(met[3]["broken"], "no socket");
    }
}
