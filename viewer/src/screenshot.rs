//! A picture of the window, taken once there is something to see.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use eframe::egui;

/// How many frames are drawn first, for sizes and fonts to settle.
const FRAMES: u32 = 3;

/// How long to wait for something to see.
const PATIENCE: Duration = Duration::from_secs(60);

/// A picture on its way.
pub struct Screenshot {
    file: PathBuf,
    started: Instant,
    settled: u32,
    asked: Option<Receiver<Arc<egui::ColorImage>>>,
}

impl Screenshot {
    /// It will be written to this PNG file.
    pub fn new(file: PathBuf) -> Screenshot {
        Screenshot { file, started: Instant::now(), settled: 0, asked: None }
    }

    /// Called in every frame, with whether there is something to see. Ends the program once the file is written, with
    /// exit code 1 where it can't be.
    pub fn advance(&mut self, ctx: &egui::Context, settled: bool) {
        ctx.request_repaint();
        self.settled += u32::from(settled);
        if self.asked.is_none() && (self.settled >= FRAMES || self.started.elapsed() > PATIENCE) {
            let (sender, receiver) = mpsc::channel();
            // Nobody waits for it any more where the window was closed meanwhile.
            ctx.request_screenshot(move |image| drop(sender.send(image)));
            self.asked = Some(receiver);
        }
        if let Some(image) = self.asked.as_ref().and_then(|picture| picture.try_recv().ok()) {
            if let Err(error) = self.write(&image) {
                eprintln!("plugin-viewer: the picture can't be written to {}: {error}", self.file.display());
                std::process::exit(1);
            }
            ctx.send_viewport_cmd(egui::ViewportCommand::Close);
        }
    }

    fn write(&self, picture: &egui::ColorImage) -> image::ImageResult<()> {
        let [width, height] = picture.size.map(|points| points as u32);
        let pixels: Vec<u8> = picture.pixels.iter().flat_map(|pixel| pixel.to_array()).collect();
        image::save_buffer(&self.file, &pixels, width, height, image::ColorType::Rgba8)
    }
}
