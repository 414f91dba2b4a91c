//! Writes without conditions, for tests that work on a project itself.

use pikv::testing::names::Key;
use pikv::testing::persist::live::transaction::Transaction;
use pikv::testing::store::batch::{Batch, Op};
use pikv::testing::store::change::EntryMeta;
use pikv::testing::store::decide::Step;

pub trait Writes {
    /// Gives `key` the minified JSON text `value`, for ever or for `ttl_ms`.
    fn put(&mut self, key: Key<'_>, value: &[u8], ttl_ms: Option<u64>) -> EntryMeta;
    /// Removes `key`; what it was, if it existed.
    fn delete(&mut self, key: Key<'_>) -> Option<EntryMeta>;
}

impl Writes for Transaction<'_> {
    fn put(&mut self, key: Key<'_>, value: &[u8], ttl_ms: Option<u64>) -> EntryMeta {
        let Step::Put { meta, .. } = done(self, Op::put(key, value, ttl_ms)) else { panic!("no put") };
        meta
    }

    fn delete(&mut self, key: Key<'_>) -> Option<EntryMeta> {
        let before = self.view().get(key).map(|entry| entry.meta());
        done(self, Op::delete(key));
        before
    }
}

fn done(transaction: &mut Transaction<'_>, op: Op<'_>) -> Step {
    let batch = Batch::one(op);
    let steps = transaction.view().decide(&batch).unwrap();
    transaction.apply_steps(&batch, &steps);
    steps[0]
}
