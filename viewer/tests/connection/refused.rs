//! What can't work is told with the reason, and what trying can't mend isn't tried again unasked.

use store::testing::RedisServer;
use viewer::connection::Command;
use viewer::profile::{Secret, Target};
use viewer::state::{Phase, Progress, Step};

use crate::seen::{Seen, Writer, profile};
use crate::sshd::Sshd;

/// Connects by an alias that can't work; gives why and the advice.
fn refused(sshd: &Sshd, store: &str, alias: &str, step: Step) -> (Seen, String, String) {
    let mut seen = Seen::connecting(profile(store, alias), Secret::None, sshd.variables());
    let (why, advice) = seen.failed(step);
    (seen, why, advice)
}

/// Whether it waits for the user: nothing more is tried until that is asked for, and then once.
#[track_caller]
fn waits_for_the_user(seen: &mut Seen, sshd: &Sshd) {
    seen.until("needs you", |seen| seen.state.phase == Phase::NeedsYou);
    let before = sshd.connections().len();
    seen.send(Command::Retry);
    seen.until("the second attempt's end", |seen| seen.attempts() == 2 && seen.state.phase == Phase::NeedsYou);
    assert_eq!(sshd.connections().len(), before + 1);
}

#[test]
fn a_key_that_is_not_taken_needs_the_user() {
    let Some(sshd) = Sshd::start() else { return };
    let (mut seen, why, advice) = refused(&sshd, "redis://127.0.0.1:6379", "wrong-key", Step::Ssh);
    assert!(why.contains("Permission denied (publickey)"), "{why}");
    assert!(!advice.is_empty());
    waits_for_the_user(&mut seen, &sshd);
    assert_eq!(sshd.connections().len(), 2);
}

#[test]
fn a_changed_host_key_needs_the_user_and_is_explained() {
    let Some(sshd) = Sshd::start() else { return };
    let (mut seen, why, advice) = refused(&sshd, "redis://127.0.0.1:6379", "changed", Step::Ssh);
    assert!(why.contains("known-otherwise:2") && why.contains("changed"), "{why}");
    let host = format!("ssh-keygen -f {} -R '[127.0.0.1]:{}'", sshd.path("known-otherwise").display(), sshd.port());
    assert!(advice.contains(&host), "{advice}");
    waits_for_the_user(&mut seen, &sshd);
}

#[test]
fn an_ssh_that_is_to_say_nothing_still_says_why_it_refuses() {
    let Some(sshd) = Sshd::start() else { return };
    sshd.add_to_config("Host wrong-key changed\n LogLevel QUIET");
    let (mut seen, why, _) = refused(&sshd, "redis://127.0.0.1:6379", "wrong-key", Step::Ssh);
    assert!(why.contains("Permission denied (publickey)"), "{why}");
    waits_for_the_user(&mut seen, &sshd);
    assert!(sshd.arguments().contains("LogLevel=ERROR"), "{}", sshd.arguments());
    let (mut seen, why, _) = refused(&sshd, "redis://127.0.0.1:6379", "changed", Step::Ssh);
    assert!(why.contains("changed"), "{why}");
    seen.until("needs you", |seen| seen.state.phase == Phase::NeedsYou);
    let (_seen, _, _) = refused(&sshd, "redis://127.0.0.1:6379", "unknown", Step::Ssh);
    assert!(!sshd.arguments().contains("LogLevel"), "what the user has chosen otherwise holds");
}

#[test]
fn an_unknown_host_key_that_may_not_be_asked_for_needs_the_user() {
    let Some(sshd) = Sshd::start() else { return };
    let (mut seen, why, _) = refused(&sshd, "redis://127.0.0.1:6379", "unknown", Step::Ssh);
    assert!(why.contains("Host key verification failed"), "{why}");
    waits_for_the_user(&mut seen, &sshd);
}

#[test]
fn a_broken_configuration_needs_the_user() {
    let Some(sshd) = Sshd::start() else { return };
    sshd.add_to_config("Nonsense yes");
    let (mut seen, why, _) = refused(&sshd, "redis://127.0.0.1:6379", "good", Step::Ssh);
    assert!(why.contains("Bad configuration option: nonsense"), "{why}");
    seen.until("needs you", |seen| seen.state.phase == Phase::NeedsYou);
    assert!(sshd.connections().is_empty());
}

#[test]
fn where_there_is_no_ssh_the_user_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let variables = vec![("PATH".into(), folder.path().into())];
    let mut seen = Seen::connecting(profile("", "good"), Secret::None, variables);
    let (why, advice) = seen.failed(Step::Ssh);
    assert!(why.contains("ssh") && advice.contains("OpenSSH"), "{why} {advice}");
    seen.until("needs you", |seen| seen.state.phase == Phase::NeedsYou);
}

#[test]
fn a_name_that_does_not_resolve_is_tried_again() {
    let Some(sshd) = Sshd::start() else { return };
    let (mut seen, why, _) = refused(&sshd, "redis://127.0.0.1:6379", "nowhere", Step::Ssh);
    assert!(why.to_lowercase().contains("could not resolve"), "{why}");
    seen.until("a second attempt", |seen| seen.attempts() >= 2);
    seen.until("a pause", |seen| matches!(seen.state.phase, Phase::Retrying { .. }));
}

#[test]
fn where_nothing_listens_behind_ssh_that_is_said_and_tried_again() {
    let Some(sshd) = Sshd::start() else { return };
    let (mut seen, why, advice) = refused(&sshd, "redis://127.0.0.1:1", "good", Step::Reach);
    assert!(why.contains("Connection refused") && why.contains("127.0.0.1:1"), "{why}");
    assert!(advice.contains("as that host sees it"), "{advice}");
    assert!(matches!(seen.step(Step::Ssh), Progress::Done(_)), "ssh itself got through");
    seen.until("a second attempt", |seen| seen.attempts() >= 2);
}

#[test]
fn what_is_no_redis_is_said_to_be_none() {
    let Some(sshd) = Sshd::start() else { return };
    let store = format!("redis://127.0.0.1:{}", sshd.port());
    let (_seen, why, _) = refused(&sshd, &store, "good", Step::Reach);
    assert!(why.contains("SSH-2.0"), "{why}");
}

#[test]
fn a_password_is_asked_for_once_and_then_used() {
    let Some(sshd) = Sshd::start() else { return };
    let server = RedisServer::options().password("secret").start();
    let address = format!("redis://127.0.0.1:{}", server.port());
    for ssh in ["good", ""] {
        let mut seen = Seen::connecting(profile(&address, ssh), Secret::None, sshd.variables());
        let (why, advice) = seen.failed(Step::Login);
        assert!(!why.is_empty() && advice.contains("REDIS_PASSWORD"), "{why} {advice}");
        seen.until("needs you", |seen| seen.state.phase == Phase::NeedsYou);
        seen.connect(profile(&address, ssh), Secret::Text("wrong".to_owned()));
        let (why, _) = seen.failed(Step::Login);
        assert!(why.contains("wrong user name or password") && !why.contains("\"wrong\""), "{why}");
        seen.until("needs you", |seen| seen.state.phase == Phase::NeedsYou);
        seen.connect(profile(&address, ssh), Secret::Text("secret".to_owned()));
        seen.until_live();
        seen.sees_at_once(&Writer::on(&server), 1);
    }
}

#[test]
fn what_ssh_says_on_the_way_hides_no_refusal_behind_it() {
    let Some(sshd) = Sshd::start() else { return };
    let talks = format!("sh -c 'echo The tunnel is up >&2; exec {} -W %h:%p good'", sshd.path("bin/ssh").display());
    sshd.add_to_config(&format!("Host talkative\n ProxyCommand {talks}"));
    let server = RedisServer::options().tls().password("secret").start();
    let address = format!("rediss://localhost:{}", server.tls_port());
    let mut target = profile(&address, "talkative").target(Secret::Text("wrong".to_owned())).unwrap();
    target.address = target.address.with_tls(server.tls_files());
    let mut seen = Seen::connecting_to(target, sshd.variables());
    let (why, _) = seen.failed(Step::Login);
    assert!(why.contains("wrong user name or password"), "{why}");
    seen.until("needs you", |seen| seen.state.phase == Phase::NeedsYou);
    let no_redis = format!("redis://127.0.0.1:{}", sshd.port());
    let (_seen, why, _) = refused(&sshd, &no_redis, "talkative", Step::Reach);
    assert!(why.contains("SSH-2.0"), "{why}");
}

#[test]
fn a_target_shows_no_secret() {
    let target: Target = profile("redis://127.0.0.1:1", "").target(Secret::Text("hunter2".to_owned())).unwrap();
    assert!(!format!("{:?}", Command::Connect(Box::new(target))).contains("hunter2"));
}
