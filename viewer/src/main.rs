//! The program `plugin-viewer`.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use eframe::egui;
use viewer::app::{App, First, Start};
use viewer::args::{self, Args};
use viewer::askpass;
use viewer::ending;
use viewer::kept::{self, Kept};
use viewer::profile::Profile;
use viewer::replay::Recording;

/// What windows are known by to the system.
const APP_ID: &str = "plugin-viewer";

fn main() -> ExitCode {
    if askpass::wanted() {
        return askpass::run();
    }
    let args = Args::parse();
    match start(&args).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("plugin-viewer: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(args: &Args) -> anyhow::Result<Start> {
    let kept_file = kept::folder().map(|folder| folder.join("viewer.json"));
    let (kept, notice) = match kept_file.as_deref().map(kept::read) {
        Some(Ok(kept)) => (kept, None),
        Some(Err(error)) => (Kept::default(), Some(format!("Saved profiles can't be read: {error}"))),
        None => (Kept::default(), Some("There is no folder to keep profiles in.".to_owned())),
    };
    // What can't be read isn't overwritten: it may hold profiles of a later version.
    // And whoever only wants a picture isn't remembered by it.
    let kept_file = kept_file.filter(|_| notice.is_none() && args.screenshot.is_none());
    let first = first(args, &kept)?;
    let login = args::login(|name| std::env::var(name).ok());
    let tls = args::tls(|name| std::env::var(name).ok()).map_err(anyhow::Error::msg)?;
    Ok(Start {
        kept,
        kept_file,
        notice,
        first,
        login,
        tls,
        view: args.page,
        screenshot: args.screenshot.clone(),
        export_path: export_path(),
    })
}

fn first(args: &Args, kept: &Kept) -> anyhow::Result<First> {
    if let Some(file) = &args.replay {
        let recording = Recording::open(file).with_context(|| format!("{} can't be played", file.display()))?;
        return Ok(First::Replay(recording, args.speed));
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let dev = || args::dev_profile(&std::env::current_dir().ok()?, target.as_deref());
    let profile = args.profile().or_else(|| kept.last.clone()).or_else(dev);
    Ok(match profile {
        Some(profile) => {
            let period = args.period.clone().unwrap_or_else(|| profile.period.clone());
            First::Connect(Box::new(Profile { period, ..profile }))
        }
        None => First::Form,
    })
}

/// A file in the user's documents, or else in the folder of the program's start.
fn export_path() -> String {
    let folders = directories::UserDirs::new();
    let folder = folders.as_ref().map(|folders| folders.document_dir().unwrap_or(folders.home_dir()));
    folder
        .map(|folder| folder.join("plugin-viewer.csv"))
        .unwrap_or_else(|| "plugin-viewer.csv".into())
        .display()
        .to_string()
}

fn run(start: Start) -> anyhow::Result<()> {
    let viewport = egui::ViewportBuilder::default()
        .with_title("plugin-viewer")
        .with_app_id(APP_ID)
        .with_inner_size([1180.0, 820.0])
        .with_min_inner_size([380.0, 300.0]);
    let options = eframe::NativeOptions {
        viewport,
        renderer: eframe::Renderer::Glow,
        persist_window: true,
        ..Default::default()
    };
    let open: eframe::AppCreator<'_> = Box::new(|creation| {
        let ctx = creation.egui_ctx.clone();
        ending::on_request(move || ctx.send_viewport_cmd(egui::ViewportCommand::Close));
        Ok(Box::new(App::new(&creation.egui_ctx, start)))
    });
    eframe::run_native(APP_ID, options, open).map_err(|error| anyhow::anyhow!("no window can be opened: {error}"))
}
