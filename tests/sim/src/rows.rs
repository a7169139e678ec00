//! Committed rows, as the workload and the auditor read them.

use std::ops::ControlFlow;

use borsh::{BorshDeserialize, BorshSerialize};
use io_state_machine::Machine;
use io_state_machine::paged::{Paged, PagedKey};
use io_state_machine::table::{Key, Table};

/// The rows of a machine's last commit.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'m>(pub &'m Machine);

impl Rows<'_> {
    /// One row.
    pub fn get<K: Key, V: BorshSerialize + BorshDeserialize>(
        &self,
        table: &Table<K, V>,
        key: &K,
    ) -> Option<V> {
        table.read(&self.0.store().snapshot(), key).unwrap()
    }

    /// One value of a table with 64 in a row.
    pub fn value<K: PagedKey, V: BorshSerialize + BorshDeserialize>(
        &self,
        table: &Paged<K, V>,
        key: &K,
    ) -> Option<V> {
        table.read(&self.0.store().snapshot(), key).unwrap()
    }

    /// All values of such a table, row by row.
    pub fn values<K: PagedKey, V: BorshSerialize + BorshDeserialize>(
        &self,
        table: &Paged<K, V>,
    ) -> Vec<(K, V)> {
        let mut values = Vec::new();
        table
            .visit(&self.0.store().snapshot(), None, &mut |key, value| {
                values.push((key, value));
                ControlFlow::Continue(())
            })
            .unwrap();
        values
    }

    /// All rows of a table, in key order.
    pub fn list<K: Key, V: BorshSerialize + BorshDeserialize>(
        &self,
        table: &Table<K, V>,
    ) -> Vec<(K, V)> {
        let mut rows = Vec::new();
        table
            .visit(&self.0.store().snapshot(), None, &mut |key, value| {
                rows.push((key, value));
                ControlFlow::Continue(())
            })
            .unwrap();
        rows
    }

    /// The one row of a table that has one, once the chain has started.
    pub fn one<V: BorshSerialize + BorshDeserialize>(&self, table: &Table<(), V>) -> Option<V> {
        self.get(table, &())
    }
}
