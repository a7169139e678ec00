//! Which index a row gets. The free indices follow from the rows alone: they are those that no row has.
//! An index stays far below `u32::MAX`, because a tree has at most 2^25 leaves of at most 64 rows.

use std::{collections::BTreeSet, iter::Peekable};

use crate::Fault;

/// The free indices of one table: those below `end` in `free`, and all from `end` on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Indices {
    free: BTreeSet<u32>,
    end: u32,
}

impl Indices {
    /// What is free when these are used.
    ///
    /// # Errors
    /// A fault naming `place` if an index is used twice.
    pub(crate) fn from_used(place: &str, mut used: Vec<u32>) -> Result<Self, Fault> {
        used.sort_unstable();
        let mut indices = Self::default();
        for index in used {
            if index < indices.end {
                return Err(Fault::corrupt(
                    place,
                    format!("two rows have the index {index}"),
                ));
            }
            indices.free.extend(indices.end..index);
            indices.end = index.saturating_add(1);
        }
        Ok(indices)
    }

    /// The free indices from the lowest up, once `freed` are free too. Changes nothing.
    pub(crate) fn lowest<'i>(&'i self, freed: &'i BTreeSet<u32>) -> Lowest<'i> {
        Lowest {
            free: self.free.iter().peekable(),
            freed: freed.iter().peekable(),
            end: Some(self.end),
        }
    }

    /// Notes that an index has no row any more.
    pub(crate) fn release(&mut self, index: u32) {
        if index < self.end {
            self.free.insert(index);
        }
    }

    /// Notes that an index has a row.
    pub(crate) fn occupy(&mut self, index: u32) {
        if index >= self.end {
            self.free.extend(self.end..index);
            self.end = index.saturating_add(1);
        } else {
            self.free.remove(&index);
        }
    }
}

/// Free indices, rising.
pub(crate) struct Lowest<'i> {
    free: Peekable<std::collections::btree_set::Iter<'i, u32>>,
    freed: Peekable<std::collections::btree_set::Iter<'i, u32>>,
    end: Option<u32>,
}

impl Iterator for Lowest<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let from_freed = match (self.free.peek(), self.freed.peek()) {
            (Some(free), Some(freed)) => freed < free,
            (None, Some(_)) => true,
            (Some(_), None) => false,
            (None, None) => {
                let index = self.end?;
                self.end = index.checked_add(1);
                return Some(index);
            }
        };
        let next = if from_freed {
            self.freed.next()
        } else {
            self.free.next()
        };
        next.copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_index_comes_first_and_freed_ones_count() {
        let indices = Indices::from_used("t", vec![5, 0, 2]).unwrap();
        let freed = BTreeSet::from([0, 5]);
        let lowest: Vec<u32> = indices.lowest(&freed).take(7).collect();
        assert_eq!(lowest, [0, 1, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn an_index_used_twice_is_a_fault_that_names_the_table() {
        let fault = Indices::from_used("table 7 \"orders\"", vec![1, 0, 1]).unwrap_err();
        assert_eq!(fault.place(), "table 7 \"orders\"");
        assert_eq!(fault.finding(), "two rows have the index 1");
    }

    #[test]
    fn releasing_and_occupying_is_the_same_as_starting_from_the_rows() {
        let mut indices = Indices::from_used("t", vec![0, 1, 2, 3]).unwrap();
        indices.release(1);
        indices.release(3);
        indices.occupy(1);
        indices.occupy(6);
        let rebuilt = Indices::from_used("t", vec![0, 1, 2, 6]).unwrap();
        let none = BTreeSet::new();
        assert_eq!(
            indices.lowest(&none).take(9).collect::<Vec<_>>(),
            rebuilt.lowest(&none).take(9).collect::<Vec<_>>()
        );
    }
}
