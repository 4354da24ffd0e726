//! Ends the program in order where the system asks it to: an `ssh` that waits for a password, and its dialog, would
//! otherwise be left behind, and an export be cut off.

/// Has `end` called at the first request: Ctrl+C, SIGTERM, or the end of the terminal (SIGHUP), unless `nohup` has said
/// that it doesn't matter. The second one ends the program at once.
#[cfg(unix)]
pub fn on_request(end: impl Fn() + Send + 'static) {
    use tokio::signal::unix::{SignalKind, signal};
    std::thread::spawn(move || -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
            let mut hangup = if ignores_hangup() { None } else { Some(signal(SignalKind::hangup())?) };
            let mut asked = async || {
                let hung_up = async {
                    match &mut hangup {
                        Some(hangup) => hangup.recv().await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {}, _ = hung_up => {} }
            };
            asked().await;
            end();
            asked().await;
            std::process::exit(1)
        })
    });
}

/// Whether SIGHUP was to be ignored when the program began. Where that can't be told without unsafe code, it is taken
/// for so: then the signal does what it always does.
#[cfg(unix)]
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    // A bit a signal, from SIGHUP, the first, on.
    ignored.is_none_or(|signals| signals & 1 == 1)
}

/// The same for systems without signals: the window's end is the only one.
#[cfg(not(unix))]
pub fn on_request(_end: impl Fn() + Send + 'static) {}
