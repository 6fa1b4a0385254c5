//! Pictures through the trunk into a store.
