//! What the tests and the benchmarks use of the crate: every `pub` item. The others are `pub(crate)`, and the lint
//! `unreachable_pub` finds those that are `pub` in a private module. No interface: it changes with them.

macro_rules! publish {
    ($($module:ident)+) => { $(
        pub mod $module {
            pub use crate::$module::*;
        }
    )+ };
}

publish! {
    accounts api auth catalog clock config disk entropy http http_client json limits memory names persist router secret storage store
}
