//! Checking and copying JSON.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use pikv::testing::json::{encode_string, minify};
use pikv::testing::limits::VALUE_DEPTH_MAX;

/// An indented list of objects, of about so many bytes.
fn pretty(bytes: usize) -> String {
    let member = "  {\n    \"name\": \"Grace Hopper\",\n    \"age\": 85,\n    \"languages\": [\"COBOL\", \"FLOW-MATIC\"],\n    \"ratio\": 1.25e-3\n  }";
    let count = (bytes / member.len()).max(1);
    format!("[\n{}\n]", vec![member; count].join(",\n"))
}

#[divan::bench(args = [1024, 1024 * 1024])]
fn minify_indented(bencher: Bencher<'_, '_>, bytes: usize) {
    bench_minify(bencher, &pretty(bytes));
}

#[divan::bench(args = [1024, 1024 * 1024])]
fn minify_one_string(bencher: Bencher<'_, '_>, bytes: usize) {
    bench_minify(bencher, &format!("\"{}\"", "plain text ".repeat(bytes / 11)));
}

fn bench_minify(bencher: Bencher<'_, '_>, text: &str) {
    let mut out = Vec::with_capacity(text.len());
    bencher.counter(BytesCount::of_str(text)).bench_local(|| {
        out.clear();
        minify(black_box(text.as_bytes()), VALUE_DEPTH_MAX, &mut out)
    });
}

#[divan::bench(sample_size = 1_000)]
fn encode_key(bencher: Bencher<'_, '_>) {
    let key = "users/42/profile/settings";
    let mut out = Vec::new();
    bencher.counter(BytesCount::of_str(key)).bench_local(|| {
        out.clear();
        encode_string(black_box(key), &mut out);
    });
}
