//! Tests of this component.
