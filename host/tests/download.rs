//! ZIPs from web servers: over https, asked again with their tag, and every way in which a server can fail.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use support::minisign::Key;
use support::redis::Redis;
use support::server::{Answer, Server};
use support::{Host, build, refused, replace, wait_at_most, wait_for, zipped};

/// A ZIP with a build of the fixture.
fn zip(number: usize) -> Vec<u8> {
    zipped(&build(number))
}

/// A host that runs what comes from an address, on a timer, and asks for it again and again.
fn host_of(url: &str, redis: &Redis, more: &[(&str, &str)]) -> Host {
    let store = redis.server.url();
    let mut all = vec![
        ("STORE_URL", store.as_str()),
        ("HANDLER_FUNCTION", "versioned"),
        ("TRIGGER", "timer"),
        ("ZIP_URL", url),
        ("ZIP_REFRESH", "0.05"),
    ];
    all.extend_from_slice(more);
    Host::start(Path::new("/nowhere"), &all)
}

#[test]
fn a_zip_comes_over_https_with_a_user_agent_and_is_asked_for_again_by_its_tag() {
    let server = Server::https();
    server.answer("/f.zip", Answer::Body(zip(1), Some("\"one\"")));
    let redis = Redis::start();
    let url = server.url("/f.zip?token=secret");
    let host = host_of(&url, &redis, &[("SSL_CERT_FILE", server.certificate())]);
    wait_for("the first version", || redis.output().filter(|output| output["build"] == "build-0000000001"));
    wait_for("three questions", || (server.requests().len() >= 4).then_some(()));
    let requests = server.requests();
    assert!(requests[0].contains("user-agent: plugin-host/0."), "{}", requests[0]);
    assert!(!requests[0].contains("if-none-match"), "{}", requests[0]);
    assert!(requests[1..].iter().all(|request| request.contains("if-none-match: \"one\"")), "{requests:?}");
    assert_eq!(host.status()["reloads"], 0);

    server.answer("/f.zip", Answer::Body(zip(2), Some("\"two\"")));
    wait_for("the second version", || redis.output().filter(|output| output["build"] == "build-0000000002"));
    // The same content without a tag is no new version.
    server.answer("/f.zip", Answer::Body(zip(2), None));
    let asked = server.requests().len();
    wait_for("two questions", || (server.requests().len() >= asked + 2).then_some(()));
    assert_eq!(host.status()["reloads"], 1);
    assert!(!host.log().iter().any(|line| line.contains("secret")), "{:?}", host.log());
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused() {
    let server = Server::https();
    server.answer("/f.zip", Answer::Body(zip(1), None));
    let other = Server::https();
    let said = refused(&[("ZIP_URL", &server.url("/f.zip")), ("SSL_CERT_FILE", other.certificate())]);
    assert!(said.contains("can't download https://127.0.0.1") && said.contains("certificate"), "{said}");
}

#[test]
fn every_failure_of_a_server_is_told_and_leaves_the_running_plugin_alone() {
    let server = Server::https();
    let plain = Server::http();
    plain.answer("/f.zip", Answer::Body(zip(2), None));
    server.answer("/f.zip", Answer::Body(zip(1), None));
    server.answer("/moved.zip", Answer::Body(zip(3), None));
    let redis = Redis::start();
    let url = server.url("/f.zip");
    let more = [("ZIP_MAX_BYTES", "4MiB"), ("SSL_CERT_FILE", server.certificate())];
    let host = host_of(&url, &redis, &more);
    wait_for("the first version", || redis.output().filter(|output| output["build"] == "build-0000000001"));
    for (answer, said) in [
        (Answer::Code(404), "the server answered 404 Not Found"),
        (Answer::Code(500), "tried 3 times: the server answered 500 Internal Server Error"),
        (Answer::Redirect(plain.url("/f.zip")), "it leads to http://"),
        (Answer::Redirect(url.clone()), "from one address to another without end"),
        (Answer::Endless, "it has more than 4194304 bytes, the most that is taken"),
        (Answer::Huge, "it has more than 4194304 bytes, the most that is taken"),
        (Answer::Cut(zip(2)), "tried 3 times: "),
        (Answer::Drip, "it comes too slowly"),
        (Answer::Silence, "tried 3 times: "),
        (Answer::Body(b"<html>sign in</html>".to_vec(), None), "it is no ZIP"),
        (Answer::Body(zip(2)[..1000].to_vec(), None), "it is no ZIP"),
    ] {
        server.answer("/f.zip", answer);
        let told = wait_at_most(Duration::from_secs(60), said, || {
            let message = host.status()["last_reload"]["message"].clone();
            message.as_str().is_some_and(|message| message.contains(said)).then_some(message)
        });
        assert!(told.as_str().unwrap().contains(&url), "{told}");
        assert_eq!((&host.status()["state"], &host.status()["reloads"]), (&json!("running"), &json!(0)));
    }
    assert_eq!(redis.output().unwrap()["build"], "build-0000000001");
    assert_eq!(plain.requests().len(), 0, "the redirection to http was followed");
    server.answer("/f.zip", Answer::Redirect(server.url("/moved.zip")));
    wait_for("a version again", || redis.output().filter(|output| output["build"] == "build-0000000003"));
    assert!(!server.requests().iter().any(|request| request.contains("referer")), "the address was passed on");
}

#[test]
fn a_server_that_fails_twice_is_asked_a_third_time() {
    let (server, zip) = (Server::http(), zip(1));
    server.answer("/f.zip", Answer::Code(503));
    let redis = Redis::start();
    let url = server.url("/f.zip");
    let host = host_of(&url, &redis, &[("ZIP_ALLOW_HTTP", "true"), ("ZIP_REFRESH", "0")]);
    wait_for("a question", || (server.requests().len() == 2).then_some(()));
    server.answer("/f.zip", Answer::Body(zip, None));
    host.wait_until_ready();
    assert_eq!(server.requests().len(), 3);
    host.wait_for_log("503 Service Unavailable; trying again");
}

#[test]
fn a_signature_is_asked_for_beside_the_zip_and_may_come_later() {
    let (key, server) = (Key::new(), Server::http());
    server.answer("/f.zip", Answer::Body(zip(1), Some("\"one\"")));
    let url = server.url("/f.zip?x=1");
    let variables = [("ZIP_ALLOW_HTTP", "true"), ("PLUGIN_PUBLIC_KEY", &key.public)];
    let said = refused(&[variables.as_slice(), &[("ZIP_URL", &url)]].concat());
    assert!(said.contains("it is not signed"), "{said}");
    assert!(server.requests()[1].starts_with("GET /f.zip.minisig?x=1 "), "{:?}", server.requests());

    server.answer("/f.zip.minisig", Answer::Body(key.signature(&zip(1)), None));
    let redis = Redis::start();
    let host = host_of(&url, &redis, &variables);
    host.wait_until_ready();
    server.answer("/f.zip", Answer::Body(zip(2), Some("\"two\"")));
    wait_for("a refusal", || Some(()).filter(|()| host.status()["last_reload"]["failed"] == "trust"));
    server.answer("/f.zip.minisig", Answer::Body(key.signature(&zip(2)), None));
    wait_for("the signed version", || redis.output().filter(|output| output["build"] == "build-0000000002"));
}

#[test]
fn a_proxy_is_taken_where_one_is_named() {
    let proxy = Server::http();
    proxy.answer("http://plugins.invalid/f.zip", Answer::Body(zip(1), None));
    let redis = Redis::start();
    let proxy_url = proxy.url("");
    let more = [("ZIP_ALLOW_HTTP", "true"), ("HTTP_PROXY", &proxy_url)];
    let host = host_of("http://plugins.invalid/f.zip", &redis, &more);
    host.wait_until_ready();
}

#[test]
fn a_stop_while_a_server_keeps_the_host_waiting_is_obeyed() {
    let server = Server::http();
    server.answer("/f.zip", Answer::Silence);
    let url = server.url("/f.zip");
    let host = host_of(&url, &Redis::start(), &[("ZIP_ALLOW_HTTP", "true")]);
    wait_for("a question", || (!server.requests().is_empty()).then_some(()));
    assert_eq!(host.get("/livez").unwrap().0, 200);
    assert!(host.wait_until_not_ready().contains("the plugin is not loaded yet"));
    assert!(host.stop().success());
}

#[test]
fn a_file_url_names_a_zip_of_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f.zip");
    std::fs::write(&file, zip(1)).unwrap();
    let redis = Redis::start();
    let host = host_of(&format!("file://{}", file.display()), &redis, &[]);
    host.wait_until_ready();
    replace(&file, &zip(2));
    wait_for("the second version", || Some(()).filter(|()| host.status()["reloads"] == 1));
}
