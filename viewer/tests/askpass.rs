//! The dialog in which `ssh` asks, driven by keys and by what assistive programs see.
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic, in its helpers too")]

use eframe::egui::{Key, Role};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use viewer::askpass::{Answer, Kind, Question, draw};

const HOST_KEY: &str = "The authenticity of host 'web (10.0.0.1)' can't be established.\n\
                        ED25519 key fingerprint is SHA256:abc.\n\
                        Are you sure you want to continue connecting (yes/no/[fingerprint])? ";

struct Dialog {
    question: Question,
    answer: Option<Answer>,
}

fn asked(words: &str, hint: Option<&str>) -> Harness<'static, Dialog> {
    let dialog = Dialog { question: Question::new(words, hint), answer: None };
    let mut window = Harness::builder().with_size([460.0, 230.0]).build_ui_state(
        |ui, dialog: &mut Dialog| {
            if let Some(answer) = draw(ui, &mut dialog.question) {
                dialog.answer.get_or_insert(answer);
            }
        },
        dialog,
    );
    window.run();
    window
}

fn types(window: &mut Harness<'static, Dialog>, text: &str) {
    window.get_by_label("Answer").type_text(text);
    window.run();
}

fn presses(window: &mut Harness<'static, Dialog>, key: Key) {
    window.key_press(key);
    window.run();
}

fn clicks(window: &mut Harness<'static, Dialog>, button: &str) {
    window.get_by_label(button).click();
    window.run();
}

fn text(window: &Harness<'static, Dialog>) -> Option<String> {
    match window.state().answer.clone()? {
        Answer::Text(text) => Some(text),
        Answer::Refused => None,
    }
}

fn refused(window: &Harness<'static, Dialog>) -> bool {
    window.state().answer == Some(Answer::Refused)
}

#[test]
fn a_passphrase_is_typed_unseen_and_given_with_enter() {
    let mut window = asked("Enter passphrase for key '/home/me/.ssh/id': ", None);
    assert!(window.get_by_label("Answer").is_focused(), "one can type at once");
    types(&mut window, "open sesame");
    let field = window.get_by_label("Answer");
    assert_eq!(field.accesskit_node().role(), Role::PasswordInput);
    assert!(!field.value().unwrap_or_default().contains("sesame"));
    assert_eq!(text(&window), None);
    presses(&mut window, Key::Enter);
    assert_eq!(text(&window).unwrap(), "open sesame");
}

#[test]
fn what_is_typed_can_be_shown() {
    let mut window = asked("(me@web) Verification code: ", None);
    types(&mut window, "123456");
    clicks(&mut window, "show what is typed");
    assert_eq!(window.get_by_label("Answer").accesskit_node().role(), Role::TextInput);
    clicks(&mut window, "OK");
    assert_eq!(text(&window).unwrap(), "123456");
}

#[test]
fn escape_and_cancel_give_no_answer() {
    let mut window = asked("Enter passphrase: ", None);
    types(&mut window, "half");
    presses(&mut window, Key::Escape);
    assert!(refused(&window));
    let mut window = asked("Enter passphrase: ", None);
    clicks(&mut window, "Cancel");
    assert!(refused(&window));
}

#[test]
fn a_hosts_key_is_taken_or_not_or_compared() {
    for (button, answer) in [("Yes, it is the right host", "yes"), ("No", "no")] {
        let mut window = asked(HOST_KEY, None);
        clicks(&mut window, button);
        assert_eq!(text(&window).unwrap(), answer);
    }
    let mut window = asked(HOST_KEY, None);
    types(&mut window, "SHA256:abc");
    presses(&mut window, Key::Enter);
    assert_eq!(text(&window).unwrap(), "SHA256:abc");
}

#[test]
fn enter_alone_takes_no_hosts_key() {
    let mut window = asked(HOST_KEY, None);
    presses(&mut window, Key::Enter);
    assert!(window.state().answer.is_none());
    assert!(window.get_by_label("Answer").is_focused());
}

#[test]
fn a_confirmation_is_yes_or_no_and_enter_is_neither() {
    let confirm = || asked("Allow use of key id?", Some("confirm"));
    let mut window = confirm();
    presses(&mut window, Key::Enter);
    assert!(window.state().answer.is_none() && window.query_by_label("Answer").is_none());
    clicks(&mut window, "Yes");
    assert!(text(&window).is_some());
    let mut window = confirm();
    clicks(&mut window, "No");
    assert!(refused(&window));
}

#[test]
fn a_notice_only_informs() {
    let mut window = asked("Confirm user presence for key", Some("none"));
    assert!(window.query_by_label("Answer").is_none());
    clicks(&mut window, "Close");
    assert!(refused(&window));
}

#[cfg(unix)]
#[test]
fn a_question_that_is_no_text_is_asked_all_the_same() {
    use std::os::unix::ffi::OsStrExt;
    let name = std::ffi::OsStr::from_bytes(b"Enter passphrase for key '/home/me/\xff':");
    let mut dialog = std::process::Command::new(env!("CARGO_BIN_EXE_plugin-viewer"));
    // Without a screen it gets as far as the window.
    dialog.arg(name).env("PLUGIN_VIEWER_ASKPASS", "1").env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    let said = String::from_utf8(dialog.output().unwrap().stderr).unwrap();
    assert!(said.contains("no window can be opened to ask in"), "{said}");
}

#[test]
fn what_a_server_says_can_neither_steer_nor_turn_the_text_nor_hide_the_buttons() {
    let question = Question::new("a\u{1b}[2Jb\r\nc\u{202e}d\u{0}", None);
    assert_eq!((question.words.as_str(), question.kind), ("a[2Jb\ncd", Kind::Text));
    let mut window = asked(&"word ".repeat(100_000), None);
    let button = window.get_by_label("Cancel").rect();
    assert!(button.max.y <= 230.0, "{button}");
    clicks(&mut window, "Cancel");
    assert!(refused(&window));
}
