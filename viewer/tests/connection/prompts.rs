//! What `ssh` asks comes to the program that is named for it, and waits as long as a person needs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command as Program;
use std::time::{Duration, Instant};

use store::testing::RedisServer;
use viewer::connection::{Command, Variables};
use viewer::profile::Secret;
use viewer::state::{Phase, Step};

use crate::seen::{Seen, Writer, profile};
use crate::sshd::{Sshd, is_running};

/// Longer than a store is given to answer.
const SLOW_TYPIST: Duration = Duration::from_secs(7);

/// The server's aliases, with a script in the place of the dialog.
fn asking(sshd: &Sshd, script: &str) -> Variables {
    let program = sshd.path("dialog");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut variables = sshd.variables();
    variables.push(("SSH_ASKPASS".into(), program.into()));
    variables
}

/// Puts a passphrase on the key of all aliases, and lets `ssh` ask.
fn with_passphrase(sshd: &Sshd, passphrase: &str) {
    let id = sshd.path("id");
    let changed = Program::new("ssh-keygen").args(["-q", "-p", "-P", "", "-N", passphrase, "-f"]).arg(id).output();
    assert!(changed.unwrap().status.success());
    sshd.add_to_config("Host *\n BatchMode no\n NumberOfPasswordPrompts 1");
}

#[test]
fn a_passphrase_is_asked_for_and_may_take_its_time() {
    let Some(sshd) = Sshd::start() else { return };
    let server = RedisServer::start();
    with_passphrase(&sshd, "open sesame");
    let question = sshd.path("question");
    let answer = format!("echo \"$1\" > {}; sleep {}; echo 'open sesame'", question.display(), SLOW_TYPIST.as_secs());
    let began = Instant::now();
    let mut seen = Seen::connecting(profile(&server.url(), "good"), Secret::None, asking(&sshd, &answer));
    seen.until_live();
    assert!(began.elapsed() >= SLOW_TYPIST);
    assert_eq!(seen.attempts(), 1);
    assert!(fs::read_to_string(question).unwrap().contains("Enter passphrase for key"));
    seen.sees_at_once(&Writer::on(&server), 1);
}

#[test]
fn tls_waits_for_who_types_too() {
    let Some(sshd) = Sshd::start() else { return };
    let server = RedisServer::options().tls().start();
    with_passphrase(&sshd, "open sesame");
    let variables = asking(&sshd, &format!("sleep {}; echo 'open sesame'", SLOW_TYPIST.as_secs()));
    let mut target = profile(&server.tls_url(), "good").target(Secret::None).unwrap();
    target.address = target.address.with_tls(server.tls_files());
    let mut seen = Seen::connecting_to(target, variables);
    seen.until_live();
    assert_eq!((seen.attempts(), sshd.connections().len()), (1, 1));
    seen.sees_at_once(&Writer::on(&server), 1);
}

#[test]
fn a_passphrase_that_is_refused_is_not_asked_for_again() {
    let Some(sshd) = Sshd::start() else { return };
    with_passphrase(&sshd, "open sesame");
    let variables = asking(&sshd, "exit 1");
    let mut seen = Seen::connecting(profile("", "good"), Secret::None, variables);
    let (why, _) = seen.failed(Step::Ssh);
    assert!(why.contains("Permission denied"), "{why}");
    seen.until("needs you", |seen| seen.state.phase == Phase::NeedsYou);
    assert_eq!(sshd.connections().len(), 1);
}

#[test]
fn a_new_hosts_key_is_asked_for() {
    let Some(sshd) = Sshd::start() else { return };
    let server = RedisServer::start();
    sshd.add_to_config("Host *\n BatchMode no\n StrictHostKeyChecking ask");
    let variables = asking(&sshd, "case \"$1\" in *'(yes/no'*) echo yes;; esac");
    let mut seen = Seen::connecting(profile(&server.url(), "unknown"), Secret::None, variables);
    seen.until_live();
    assert!(fs::read_to_string(sshd.path("known-nothing")).unwrap().contains("ssh-ed25519"));
}

#[test]
fn what_the_configuration_starts_ends_with_the_attempt() {
    let Some(sshd) = Sshd::start() else { return };
    let started = sshd.path("started");
    sshd.add_to_config(&format!("Match exec \"echo $$ > {0}.new; mv {0}.new {0}; exec sleep 600\"", started.display()));
    let mut seen = Seen::connecting(profile("", "good"), Secret::None, sshd.variables());
    seen.until("the program", |_| started.exists());
    assert_eq!(seen.state.phase, Phase::Resolving);
    let process: u32 = fs::read_to_string(&started).unwrap().trim().parse().unwrap();
    seen.send(Command::Disconnect);
    seen.until("idle, without the program", |seen| seen.state.phase == Phase::Idle && !is_running(process));
}

#[test]
fn a_dialog_ends_with_the_attempt_also_behind_a_jump_host() {
    let Some(sshd) = Sshd::start() else { return };
    with_passphrase(&sshd, "open sesame");
    for alias in ["good", "jumped"] {
        let dialog = sshd.path(alias);
        let variables = asking(&sshd, &format!("echo $$ > {}.new; mv {0}.new {0}; exec sleep 600", dialog.display()));
        let mut seen = Seen::connecting(profile("", alias), Secret::None, variables);
        seen.until("the dialog", |_| dialog.exists());
        assert_eq!(seen.state.phase, Phase::Authenticating);
        let process: u32 = fs::read_to_string(&dialog).unwrap().trim().parse().unwrap();
        assert!(is_running(process));
        seen.send(Command::Disconnect);
        seen.until("idle, without a dialog", |seen| seen.state.phase == Phase::Idle && !is_running(process));
    }
}
