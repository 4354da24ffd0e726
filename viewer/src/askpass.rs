//! The dialog in which `ssh` asks for a password, a code, or whether a host's key is right: `ssh` starts this program
//! once more, with the question as its argument, and reads the answer from its standard output.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use eframe::egui::{self, Key, RichText, TextEdit};

use crate::model::steers;
use crate::ui;

/// Marks that the program is called to ask, and holds the number of the process that it asks for.
const MARK: &str = "PLUGIN_VIEWER_ASKPASS";

/// How often it is looked whether that process is still there.
const LOOK: Duration = Duration::from_millis(500);

/// What `ssh` says about the kind of its question
/// (<https://man.openbsd.org/ssh.1#SSH_ASKPASS_PROMPT>: `confirm` or `none`).
const HINT: &str = "SSH_ASKPASS_PROMPT";

/// The most of a question that is shown.
const LONGEST: usize = 2_000;

/// What is asked, and what has been typed so far.
#[derive(Clone, PartialEq, Eq)]
pub struct Question {
    /// The question, ready to be shown.
    pub words: String,
    /// What may be answered.
    pub kind: Kind,
    /// What has been typed.
    pub typed: String,
    /// Whether it is shown.
    pub visible: bool,
}

/// What may be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A secret, or any other text.
    Text,
    /// Yes or no in words, or a fingerprint.
    HostKey,
    /// Yes or no, told by the exit code.
    Confirm,
    /// Nothing: it only informs, and is ended by `ssh`.
    Notice,
}

/// What came of it.
#[derive(Clone, PartialEq, Eq)]
pub enum Answer {
    /// This text.
    Text(String),
    /// None.
    Refused,
}

/// Sets the variables that make `ssh` ask `program`, which is this one.
pub fn offer(program: &Path, mut set: impl FnMut(&'static str, OsString)) {
    set("SSH_ASKPASS", program.into());
    // Also where ssh has a terminal: the user looks at the window.
    set("SSH_ASKPASS_REQUIRE", "force".into());
    set(MARK, std::process::id().to_string().into());
}

/// Whether this program is called to ask.
pub fn wanted() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Asks, and gives the answer to who called.
pub fn run() -> ExitCode {
    // A file's name in the question may be no text.
    let words = std::env::args_os().nth(1).unwrap_or_default();
    let question = Question::new(&words.to_string_lossy(), std::env::var(HINT).ok().as_deref());
    let answer: Arc<Mutex<Option<Answer>>> = Arc::default();
    let given = answer.clone();
    let viewport = egui::ViewportBuilder::default()
        .with_title("plugin-viewer: SSH asks")
        .with_app_id("plugin-viewer-askpass")
        .with_inner_size([460.0, 230.0])
        .with_always_on_top();
    let options = eframe::NativeOptions {
        viewport,
        renderer: eframe::Renderer::Glow,
        persist_window: false,
        centered: true,
        ..Default::default()
    };
    let window = eframe::run_native(
        "plugin-viewer-askpass",
        options,
        Box::new(|creation| {
            ui::install(&creation.egui_ctx);
            let ctx = creation.egui_ctx.clone();
            once_alone(move || ctx.send_viewport_cmd(egui::ViewportCommand::Close));
            Ok(Box::new(Window { question, given }))
        }),
    );
    if let Err(error) = window {
        eprintln!("plugin-viewer: no window can be opened to ask in: {error}");
        return ExitCode::FAILURE;
    }
    let answer = answer.lock().unwrap_or_else(PoisonError::into_inner).take();
    match answer {
        Some(Answer::Text(text)) if writeln!(io::stdout(), "{text}").is_ok() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Has `end` called once the process that is asked for is gone, killed perhaps: nobody would take the answer.
#[cfg(unix)]
fn once_alone(end: impl FnOnce() + Send + 'static) {
    let number = std::env::var(MARK).ok().and_then(|number| number.parse().ok());
    let Some(process) = number.and_then(rustix::process::Pid::from_raw) else { return };
    std::thread::spawn(move || {
        while rustix::process::test_kill_process(process).is_ok() {
            std::thread::sleep(LOOK);
        }
        end();
    });
}

/// Where there are no signals, who ends `ssh` ends what it has started, too.
#[cfg(not(unix))]
fn once_alone(_end: impl FnOnce() + Send + 'static) {}

impl Question {
    /// The question in these words; `hint` is what `ssh` says about its kind.
    pub fn new(words: &str, hint: Option<&str>) -> Question {
        let harmless = |c: &char| *c == '\n' || !steers(*c);
        let shown: String = words.chars().filter(harmless).take(LONGEST).collect();
        let kind = match hint {
            Some("confirm") => Kind::Confirm,
            Some("none") => Kind::Notice,
            _ if shown.contains("(yes/no") => Kind::HostKey,
            _ => Kind::Text,
        };
        Question { words: shown.trim().to_owned(), kind, typed: String::new(), visible: false }
    }
}

/// Draws the question; gives the answer once there is one.
pub fn draw(ui: &mut egui::Ui, question: &mut Question) -> Option<Answer> {
    let (enter, escape) = ui.input(|input| (input.key_pressed(Key::Enter), input.key_pressed(Key::Escape)));
    let mut answer = escape.then_some(Answer::Refused);
    egui::ScrollArea::vertical().max_height((ui.available_height() - 90.0).max(40.0)).show(ui, |ui| {
        ui.add(egui::Label::new(RichText::new(&question.words)).wrap().selectable(true));
    });
    ui.add_space(8.0);
    let typing = matches!(question.kind, Kind::Text | Kind::HostKey);
    if typing {
        let hidden = question.kind == Kind::Text && !question.visible;
        let hint = if question.kind == Kind::HostKey { "yes, no, or the fingerprint" } else { "" };
        let field =
            TextEdit::singleline(&mut question.typed).password(hidden).hint_text(hint).desired_width(f32::INFINITY);
        let response = ui.add(field);
        response.widget_info(|| {
            let mut info = egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Answer");
            info.role = if hidden { egui::Role::PasswordInput } else { egui::Role::TextInput };
            info
        });
        // Enter takes the focus away, which would be forgotten once it is asked for again.
        let entered = enter && response.lost_focus();
        if ui.memory(|memory| memory.focused().is_none()) {
            response.request_focus();
        }
        // Nothing typed is no answer where a key is to be compared.
        let complete = question.kind == Kind::Text || !question.typed.is_empty();
        if entered && complete {
            answer = Some(Answer::Text(question.typed.clone()));
        }
        if question.kind == Kind::Text {
            ui.checkbox(&mut question.visible, "show what is typed");
        }
    }
    ui.horizontal(|ui| {
        let buttons: &[(&str, Option<&str>)] = match question.kind {
            Kind::Text => &[("OK", None), ("Cancel", Some(""))],
            Kind::HostKey if !question.typed.is_empty() => &[("OK", None), ("Cancel", Some(""))],
            Kind::HostKey => &[("Yes, it is the right host", Some("yes")), ("No", Some("no"))],
            Kind::Confirm => &[("Yes", Some("yes")), ("No", Some(""))],
            Kind::Notice => &[("Close", Some(""))],
        };
        for (words, says) in buttons {
            if ui.button(*words).clicked() {
                answer = Some(match says {
                    None => Answer::Text(question.typed.clone()),
                    Some("") => Answer::Refused,
                    Some(text) => Answer::Text((*text).to_owned()),
                });
            }
        }
    });
    answer
}

/// The dialog's window.
struct Window {
    question: Question,
    given: Arc<Mutex<Option<Answer>>>,
}

impl eframe::App for Window {
    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        egui::CentralPanel::default().show(ui, |ui| {
            if let Some(answer) = draw(ui, &mut self.question) {
                *self.given.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
                ui.ctx().send_viewport_cmd(egui::ViewportCommand::Close);
            }
        });
    }

    /// What is typed here is nobody's to keep.
    fn persist_egui_memory(&self) -> bool {
        false
    }
}
