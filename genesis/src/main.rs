//! io-genesis: templates in, one checked genesis out.
fn main() {}
