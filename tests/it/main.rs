//! The integration tests: one binary, one module per claim about the server.
