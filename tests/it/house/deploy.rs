//! The files of `deploy/`: scripts that a shell and openssl accept, a configuration that haproxy accepts, and a document
//! for each.

use super::markdown::{package_file, read};
use crate::harness::tool::{Tool, runs};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn files() -> Vec<String> {
    let entries = fs::read_dir(package_file("deploy")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn run(program: &str, arguments: &[&str], directory: &Path) -> Output {
    Command::new(program).args(arguments).current_dir(directory).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

#[test]
fn every_file_of_deploy_is_in_a_document() {
    let entries = fs::read_dir(package_file("docs")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let documents: String =
        names.filter(|name| name.ends_with(".md")).map(|name| read(&format!("docs/{name}"))).collect();
    let files = files();
    assert!(!files.is_empty());
    for file in files {
        assert!(documents.contains(&format!("deploy/{file}")), "no document in docs/ names deploy/{file}");
    }
}

#[test]
fn scripts_of_deploy_are_valid_and_print_their_usage() {
    let scripts: Vec<String> = files().into_iter().filter(|name| name.ends_with(".sh")).collect();
    assert!(!scripts.is_empty());
    for script in scripts {
        let checked = run("sh", &["-n", &script], &package_file("deploy"));
        assert!(checked.status.success(), "{script}: {}", text(&checked));
        let refused = run("sh", &[&script, "--no-such-option"], &package_file("deploy"));
        assert!(refused.status.code() == Some(2) && text(&refused).starts_with("Usage: "), "{script}");
    }
}

#[test]
fn haproxy_accepts_the_configuration_of_deploy() {
    let missing = "haproxy is not installed; apt-get install haproxy";
    let haproxy = ["haproxy", "/usr/sbin/haproxy"].into_iter().find(|program| runs(program, "-v"));
    if !Tool::Haproxy.is_usable(haproxy.is_none().then(|| missing.to_owned())) {
        return;
    }
    let checked = run(haproxy.unwrap(), &["-c", "-f", "haproxy.cfg"], &package_file("deploy"));
    assert!(checked.status.success(), "{}", text(&checked));
}

#[test]
fn members_have_certificates_of_the_authority_of_their_cell() {
    let missing = "openssl is not installed; apt-get install openssl";
    if !Tool::Openssl.is_usable((!runs("openssl", "version")).then(|| missing.to_owned())) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let script = package_file("deploy/etcd-certificates.sh");
    let script = script.to_str().unwrap();
    let create = |cell: &str, members: &[&str]| {
        let created = run("sh", &[&[script, cell], members].concat(), directory.path());
        assert!(created.status.success(), "{}", text(&created));
    };
    create("home", &["etcd1=192.0.2.1", "etcd2=kv2.example.com"]);
    create("second", &["etcd1=192.0.2.1"]);
    let first = fs::read(directory.path().join("home/etcd1.crt")).unwrap();
    create("home", &["etcd1=192.0.2.1", "etcd3=::1"]);
    assert_eq!(fs::read(directory.path().join("home/etcd1.crt")).unwrap(), first, "it is kept");

    let is_valid = |authority: &str, certificate: &str, check: &[&str]| {
        let ca = format!("{authority}/ca.crt");
        let arguments =
            [&["verify", "-CAfile", &ca, "-purpose", "sslserver"], check, &[certificate]].concat();
        run("openssl", &arguments, directory.path()).status.success()
    };
    assert!(is_valid("home", "home/etcd1.crt", &["-verify_ip", "192.0.2.1"]));
    assert!(is_valid("home", "home/etcd2.crt", &["-verify_hostname", "kv2.example.com"]));
    assert!(is_valid("home", "home/etcd3.crt", &["-verify_ip", "::1"]));
    assert!(!is_valid("home", "home/etcd1.crt", &["-verify_ip", "192.0.2.2"]));
    assert!(!is_valid("second", "home/etcd1.crt", &[]), "cells have authorities of their own");
    assert!(is_valid("second", "second/etcd1.crt", &[]));
}
