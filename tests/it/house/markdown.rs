//! Markdown files against the real server, so that they cannot go stale.
//!
//! Every block marked `sh` of a file is run, in order and in one shell, beside a server with the project
//! `first_project`. What a reader pastes, the keys and the address, is put in: see [`as_typed`]. If a block marked
//! `text` follows at once, that is what has to be printed, but for what differs from run to run: see
//! [`normalised`]. `UPDATE_GOLDEN=1` writes what was printed into the file instead.

use crate::harness::Server;
use crate::harness::environment::variable;
use crate::harness::tool::Tool;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the shell prints after each block; no text has it.
const BLOCK_END: &str = "\u{1e}\n";

/// The address of a server with the default configuration.
pub const DEFAULT_URL: &str = "http://127.0.0.1:23849";

/// A block that sleeps waits for the data file of `first_project`.
const SLEEP: &str = "sleep() { i=0; until grep -q token storage_data/first_project.json || [ $i -gt 600 ]; do
    i=$((i + 1)); command sleep 0.05; done; }
";

/// A fenced block of a Markdown file, by line numbers that begin with 0.
pub struct Block {
    pub language: String,
    pub text: String,
    /// The line of the opening fence.
    pub opens: usize,
    /// The line of the closing fence.
    pub closes: usize,
}

pub fn package_file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

pub fn read(path: &str) -> String {
    fs::read_to_string(package_file(path)).unwrap()
}

pub fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in markdown.lines().enumerate() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(language), None) => {
                let language = language.to_owned();
                open = Some(Block { language, text: String::new(), opens: number, closes: number });
            }
            (Some(_), Some(block)) => blocks.push(Block { closes: number, ..block }),
            (None, Some(mut block)) => {
                block.text.push_str(line);
                block.text.push('\n');
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

/// The block of output right after `block`, with nothing but empty lines in between.
pub fn output_of<'b>(block: &Block, blocks: &'b [Block], markdown: &str) -> Option<&'b Block> {
    let next = blocks.iter().find(|other| other.opens > block.closes)?;
    let mut between = markdown.lines().skip(block.closes + 1).take(next.opens - block.closes - 1);
    (next.language == "text" && between.all(str::is_empty)).then_some(next)
}

/// `text` without what differs between two runs: times, revisions, keys, tokens, ports, request ids.
pub fn normalised(text: &str) -> String {
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
    let mut out = String::new();
    for line in text.lines() {
        match line.split_once(": ") {
            Some((name @ ("date" | "x-request-id"), _)) => out.push_str(name),
            Some(_) | None => {
                for word in line.split_inclusive(|c| !is_of_word(c)) {
                    let bare = word.trim_end_matches(|c| !is_of_word(c) || c == '.');
                    out.push_str(&normalised_word(bare));
                    out.push_str(&word[bare.len()..]);
                }
            }
        }
        out.push('\n');
    }
    out
}

fn normalised_word(word: &str) -> String {
    // `"revision":17` has no quotes after its colon.
    if let Some(rest) = word.strip_prefix(':') {
        return format!(":{}", normalised_word(rest));
    }
    let shape: String = word.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    match shape.as_str() {
        "9999-99-99T99:99:99.999Z" => "TIME".to_owned(),
        "9999999999999999" => "REVISION".to_owned(),
        _ if word.starts_with("pikv_") && word.len() == 54 => "KEY".to_owned(),
        _ if word.starts_with("127.0.0.1:") => "ADDRESS".to_owned(),
        _ if word.starts_with("pikv_session_") => "SESSION-COOKIE".to_owned(),
        // An access token; what a browser keeps, 32 bytes in base64url.
        _ if word.starts_with("eyJ") && word.len() > 100 => "TOKEN".to_owned(),
        _ if word.len() == 43 && !word.contains(['.', ':']) => "SECRET".to_owned(),
        _ => word.to_owned(),
    }
}

/// A first start: keys are made and printed. Passwords are cheap, and `/item` takes any number of requests.
fn config() -> Value {
    json!({
        "version": 1,
        "server_port": 0,
        "default": {
            "storage": { "persistent_file_path": "storage_data/" },
            "authentication": { "enabled": true, "save_api_key_to_file": false }
        },
        "projects": [{ "id": "first_project" }],
        "accounts": { "bcrypt_cost": 4 },
        "item_api": { "rate_limit": null }
    })
}

/// `script` with the keys and the address of `server`, which a reader pastes.
fn as_typed(script: &str, server: &Server) -> String {
    script
        .replace("paste the first_project key here", &server.printed_key("first_project key"))
        .replace("paste the global key here", &server.printed_key("global key"))
        .replace(DEFAULT_URL, &url(server))
}

fn url(server: &Server) -> String {
    format!("http://127.0.0.1:{}", server.port)
}

/// Runs `scripts` as a reader would, one after the other in one shell, and returns what each prints.
fn run(scripts: &[&str], server: &Server) -> Vec<String> {
    let typed = scripts.iter().map(|script| format!("{}printf '\\036\\n'\n", as_typed(script, server)));
    let whole = SLEEP.to_owned() + &typed.collect::<String>();
    let output = Command::new("sh")
        .args(["-e", "-c", &whole])
        .current_dir(server.directory())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap().replace("\r\n", "\n");
    let mut each: Vec<String> = printed.split(BLOCK_END).map(str::to_owned).collect();
    each.pop();
    let failed = scripts.get(each.len()).copied().unwrap_or_default();
    assert!(output.status.success(), "{failed}: {}", String::from_utf8_lossy(&output.stderr));
    each
}

/// Runs the `sh` blocks of the file at `path` and compares what they print. Returns the server that they
/// spoke to; `None` without curl.
pub fn check_shell_blocks(path: &str) -> Option<Server> {
    if !Tool::Curl.is_installed() {
        return None;
    }
    let markdown = read(path);
    let blocks = blocks(&markdown);
    let server = Server::start_with(config());
    let shell: Vec<&Block> = blocks.iter().filter(|block| block.language == "sh").collect();
    let scripts: Vec<&str> = shell.iter().map(|block| block.text.as_str()).collect();
    let mut wrong = Vec::new();
    let mut printed = Vec::new();
    for (block, actual) in shell.into_iter().zip(run(&scripts, &server)) {
        let Some(expected) = output_of(block, &blocks, &markdown) else { continue };
        // A body that is a bare value has no line feed at its end, but a block always has one.
        if normalised(&actual) != normalised(&expected.text) {
            wrong.push(format!("line {}: {}printed:\n{actual}", block.opens + 1, block.text));
            printed.push((expected, actual.replace(&url(&server), DEFAULT_URL)));
        }
    }
    if variable("UPDATE_GOLDEN").is_some() {
        update(path, &markdown, &printed);
    } else {
        assert!(wrong.is_empty(), "{path} differs:\n{}", wrong.join("\n"));
    }
    Some(server)
}

fn update(path: &str, markdown: &str, printed: &[(&Block, String)]) {
    let mut lines: Vec<&str> = markdown.lines().collect();
    for (block, actual) in printed.iter().rev() {
        lines.splice(block.opens + 1..block.closes, actual.lines());
    }
    fs::write(package_file(path), lines.join("\n") + "\n").unwrap();
}
