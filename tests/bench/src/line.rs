//! One line of the table: what was measured, the limit measured in the same run, and the bar for their ratio.

/// An amount of something, with its unit.
#[derive(Clone, Debug)]
pub struct Figure {
    /// How much.
    pub value: f64,
    /// Of what, short: `tx/s`, `ms`, `MiB`.
    pub unit: &'static str,
}

/// A figure.
pub fn figure(value: f64, unit: &'static str) -> Figure {
    Figure { value, unit }
}

/// What a line must reach. It stands beside the measurement, because it is part of what the line says.
#[derive(Clone, Copy, Debug)]
pub enum Bar {
    /// Measured ÷ limit, at least.
    RatioAtLeast(f64),
    /// Measured ÷ limit, at most.
    RatioAtMost(f64),
    /// The measured figure itself, at least.
    AtLeast(f64),
    /// The measured figure itself, at most.
    AtMost(f64),
    /// The design sets none: the line is there to be compared from day to day.
    None,
}

/// What came of a line.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It ran.
    Measured {
        /// What the product does.
        measured: Figure,
        /// What this machine could do, in the same unit.
        limit: Figure,
        /// What must be reached.
        bar: Bar,
    },
    /// It can not run here, and why.
    Skipped(String),
    /// It should have run and did not, and why.
    Broken(String),
}

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Line {
    /// `group` or `group/variant`.
    pub name: String,
    /// What is measured, against what, in one sentence; printed under the table.
    pub what: String,
    /// What came of it.
    pub outcome: Outcome,
}

impl Line {
    /// A line that ran: `measured` against a `limit` of this machine, in the same unit.
    pub fn measured(
        name: impl Into<String>,
        what: impl Into<String>,
        measured: Figure,
        limit: Figure,
        bar: Bar,
    ) -> Self {
        Self {
            name: name.into(),
            what: what.into(),
            outcome: Outcome::Measured {
                measured,
                limit,
                bar,
            },
        }
    }

    /// A line that can not run here.
    pub fn skipped(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            what: String::new(),
            outcome: Outcome::Skipped(why.into()),
        }
    }

    /// A line that broke.
    pub fn broken(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            what: String::new(),
            outcome: Outcome::Broken(why.into()),
        }
    }

    /// Measured ÷ limit, of a line that ran.
    pub fn ratio(&self) -> Option<f64> {
        match &self.outcome {
            Outcome::Measured {
                measured, limit, ..
            } => Some(measured.value / limit.value),
            Outcome::Skipped(_) | Outcome::Broken(_) => None,
        }
    }

    /// Whether the bar is met; none where there is no bar or no measurement.
    pub fn is_met(&self) -> Option<bool> {
        let Outcome::Measured { measured, bar, .. } = &self.outcome else {
            return None;
        };
        let ratio = self.ratio()?;
        match *bar {
            Bar::RatioAtLeast(least) => Some(ratio >= least),
            Bar::RatioAtMost(most) => Some(ratio <= most),
            Bar::AtLeast(least) => Some(measured.value >= least),
            Bar::AtMost(most) => Some(measured.value <= most),
            Bar::None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(measured: f64, limit: f64, bar: Bar) -> Option<bool> {
        let (measured, limit) = (figure(measured, "x"), figure(limit, "x"));
        Line::measured("a", "b", measured, limit, bar).is_met()
    }

    #[test]
    fn a_bar_is_met_on_it_and_missed_beyond_it() {
        assert_eq!(met(5.0, 10.0, Bar::RatioAtLeast(0.5)), Some(true));
        assert_eq!(met(4.9, 10.0, Bar::RatioAtLeast(0.5)), Some(false));
        assert_eq!(met(15.0, 10.0, Bar::RatioAtMost(1.5)), Some(true));
        assert_eq!(met(15.1, 10.0, Bar::RatioAtMost(1.5)), Some(false));
        assert_eq!(met(7.0, 1.0, Bar::AtLeast(7.0)), Some(true));
        assert_eq!(met(6.9, 1.0, Bar::AtLeast(7.0)), Some(false));
        assert_eq!(met(7.0, 1.0, Bar::AtMost(7.0)), Some(true));
        assert_eq!(met(7.1, 1.0, Bar::AtMost(7.0)), Some(false));
        assert_eq!(met(7.1, 1.0, Bar::None), None);
        // A limit that was not measured meets nothing.
        assert_eq!(met(0.0, 0.0, Bar::RatioAtLeast(0.5)), Some(false));
        assert_eq!(Line::skipped("a", "no card").is_met(), None);
    }
}
