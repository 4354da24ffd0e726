//! Ends the program in order where the system asks it to: an `ssh` that waits for a password, and its dialog, would
//! otherwise be left behind, and an export be cut off.

/// Has `end` called at the first request, Ctrl+C or SIGTERM. The second one ends the program at once. (SIGHUP does what
/// it always does, since `nohup` counts on that.)
#[cfg(unix)]
pub fn on_request(end: impl Fn() + Send + 'static) {
    use tokio::signal::unix::{SignalKind, signal};
    std::thread::spawn(move || -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
            let mut asked = async || tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} };
            asked().await;
            end();
            asked().await;
            std::process::exit(1)
        })
    });
}

/// The same for systems without signals: the window's end is the only one.
#[cfg(not(unix))]
pub fn on_request(_end: impl Fn() + Send + 'static) {}
