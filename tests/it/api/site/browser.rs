//! The pages in a real browser: tests/browser/pages.mjs walks through all of them in Chromium.
//!
//! Without Chromium, node or the script's only package the test is skipped. Pictures of the pages are in `browser` of the target directory.

use crate::harness::Server;
use crate::harness::tool::Tool;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const CHROMIUM: &str = "/usr/bin/chromium";

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser")
}

/// What has to be installed before a browser can be driven.
fn missing() -> Option<&'static str> {
    let node = Command::new("node").arg("--version").stdout(Stdio::null()).status();
    if !Path::new(CHROMIUM).exists() {
        Some("there is no /usr/bin/chromium; apt-get install chromium")
    } else if !node.is_ok_and(|status| status.success()) {
        Some("there is no node; apt-get install nodejs npm")
    } else if !scripts().join("node_modules/playwright-core").is_dir() {
        Some("there is no playwright-core; run `npm ci` in tests/browser")
    } else {
        None
    }
}

/// Where the pictures go: `CARGO_TARGET_TMPDIR` is a directory of the target directory.
fn pictures() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("browser")
}

#[test]
fn every_page_works_in_a_browser_with_and_without_javascript() {
    if !Tool::Browser.is_usable(missing().map(str::to_owned)) {
        return;
    }
    let server = Server::start_known();
    let output = Command::new("node")
        .arg(scripts().join("pages.mjs"))
        .arg(format!("http://127.0.0.1:{}", server.port))
        .arg(pictures())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "{}\nthe server said:\n{}", said.concat(), server.stderr_text());
}
