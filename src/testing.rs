//! The items that the tests and the benchmarks use: every `pub` item. The others are `pub(crate)`, and the lint
//! `unreachable_pub` finds those that are `pub` in a private module. This is not a stable interface.

macro_rules! publish {
    ($($module:ident)+) => { $(
        pub mod $module {
            pub use crate::$module::*;
        }
    )+ };
}

publish! {
    accounts api auth catalog clock config digits disk entropy http http_client json limits memory names persist router secret storage store
}
