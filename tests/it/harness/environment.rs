//! The environment variables of the tests. tests/README.md lists them, and `house::tests_document` compares.

/// The value of the variable `name`. No other function of the tests reads a variable.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The number that the variable `name` holds.
pub fn number(name: &str) -> Option<u64> {
    variable(name).map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}
