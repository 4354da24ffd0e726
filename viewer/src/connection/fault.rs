//! What went wrong, told so that one can act on it, and whether it makes sense to try again unasked.

use store::{Cause, Error};

use crate::state::{Progress, Step};

/// The most of another program's words that are repeated.
const LONGEST: usize = 600;

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// The step that failed.
    pub step: Step,
    /// What happened.
    pub why: String,
    /// What to do about it.
    pub advice: String,
    /// Whether to try again.
    pub then: Then,
}

/// What comes after a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// It may go away by itself.
    Retry,
    /// It won't, or trying again could lock the user out.
    NeedsYou,
}

impl Fault {
    pub fn new(step: Step, then: Then, why: &str, advice: &str) -> Fault {
        Fault { step, why: printable(why), advice: advice.to_owned(), then }
    }

    /// What a store's error means.
    pub fn of_store(error: &Error) -> Fault {
        let why = error.cause.to_string();
        let reach = |advice| Fault::new(Step::Reach, Then::Retry, &why, advice);
        match &error.cause {
            Cause::Denied(_) => Fault::new(
                Step::Login,
                Then::NeedsYou,
                &why,
                "Give user and password in the form, or in REDIS_USERNAME and REDIS_PASSWORD. They are never saved.",
            ),
            Cause::Unavailable(_) => reach("It is there, but can't answer now."),
            Cause::TimedOut(_) => reach("The server, or the way to it, hangs."),
            Cause::Corrupt(_) => Fault::new(Step::Reach, Then::NeedsYou, &why, "Name another store."),
            // AUTH to a server that has no such user or wants no password comes like this.
            Cause::Other(_) if why.contains("AUTH") => Fault::new(
                Step::Login,
                Then::NeedsYou,
                &why,
                "Leave user and password away, or give those that the server knows.",
            ),
            _ => reach("See whether the address is right, and whether the server runs and may be reached from here."),
        }
    }

    pub fn progress(&self) -> Progress {
        Progress::Failed { why: self.why.clone(), advice: self.advice.clone() }
    }
}

/// Another program's words: one line, without control characters, not too long.
pub(super) fn printable(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut words = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = words.char_indices().nth(LONGEST) {
        words.truncate(end);
        words.push('…');
    }
    words
}

/// What `ssh` said before it ended, told as what it means. `place` is the store's address as the SSH host sees it.
pub(super) fn of_ssh(said: &str, alias: &str, place: &str) -> Fault {
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let ssh = |then, advice: &str| Fault::new(Step::Ssh, then, &meaning(said), advice);
    if has(&["REMOTE HOST IDENTIFICATION HAS CHANGED"]) {
        let why = format!(
            "The key of {alias} is not the one that is known for it: it may have been installed anew, or somebody may be \
             listening in. {}",
            offending(said)
        );
        let advice = format!(
            "Ask who runs the host whether its key has changed. Only then remove the old one, with ssh-keygen -R, and \
             connect once with ssh {alias}."
        );
        return Fault::new(Step::Ssh, Then::NeedsYou, &why, &advice);
    }
    if has(&["Host key verification failed"]) {
        return ssh(
            Then::NeedsYou,
            "The host's key was not accepted. Connect once with ssh, and compare its fingerprint.",
        );
    }
    if has(&[
        "Permission denied",
        "Too many authentication failures",
        "No more authentication methods",
        "sign_and_send",
    ]) {
        return ssh(Then::NeedsYou, "See that the same command, ssh with this name, logs in from a terminal.");
    }
    if has(&["Bad configuration option", "Bad owner or permissions", "terminating, ", "unknown option", "Bad stdio"]) {
        return ssh(Then::NeedsYou, "Mend the SSH configuration: see what ssh with this name says in a terminal.");
    }
    if has(&["administratively prohibited", "open failed", "stdio forwarding failed", "forwarding failed"]) {
        let why = format!("The SSH host is reached, but not {place} from there: {}", meaning(said));
        let advice = if has(&["administratively prohibited"]) {
            "The SSH server forbids forwarding (AllowTcpForwarding, PermitOpen): ask who runs it."
        } else {
            "See whether Redis runs there, and name its address as that host sees it."
        };
        return Fault::new(Step::Reach, Then::Retry, &why, advice);
    }
    if has(&["Could not resolve hostname"]) {
        return ssh(Then::Retry, "See whether the name is right and whether this machine is on its network or VPN.");
    }
    let advice = "See whether the host is up and reached from here: ssh with this name in a terminal says the same.";
    match meaning(said).as_str() {
        "" => Fault::new(Step::Ssh, Then::Retry, "ssh has ended without a word", advice),
        _ => ssh(Then::Retry, advice),
    }
}

/// The lines that say what happened; those that only decorate or inform are left out.
fn meaning(said: &str) -> String {
    let lines = said.lines().map(str::trim).filter(|line| {
        !line.is_empty()
            && !line.starts_with('@')
            && !line.starts_with("Warning: Permanently added")
            && !line.starts_with("debug")
    });
    let lines: Vec<&str> = lines.collect();
    // What decides comes last.
    lines[lines.len().saturating_sub(4)..].join(" ")
}

/// Where the key that doesn't fit is written down.
fn offending(said: &str) -> String {
    said.lines().find(|line| line.contains("Offending")).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(said: &str) -> Fault {
        of_ssh(said, "web", "127.0.0.1:6379")
    }

    #[test]
    fn what_needs_the_user_is_told_from_what_goes_away() {
        let (ssh, reach, again, you) = (Step::Ssh, Step::Reach, Then::Retry, Then::NeedsYou);
        for (said, step, then) in [
            ("ssh: Could not resolve hostname web: Name or service not known\r\n", ssh, again),
            ("ssh: connect to host web port 22: Connection refused", ssh, again),
            ("ssh: connect to host web port 22: Connection timed out", ssh, again),
            ("ssh: connect to host web port 22: No route to host", ssh, again),
            ("kex_exchange_identification: Connection closed by remote host", ssh, again),
            ("Timeout, server web not responding.", ssh, again),
            ("client_loop: send disconnect: Broken pipe", ssh, again),
            ("me@web: Permission denied (publickey,password).", ssh, you),
            ("Received disconnect from 10.0.0.1 port 22:2: Too many authentication failures", ssh, you),
            ("Host key verification failed.", ssh, you),
            ("/home/me/.ssh/config: line 3: Bad configuration option: foo", ssh, you),
            ("Bad owner or permissions on /home/me/.ssh/config", ssh, you),
            ("channel 0: open failed: connect failed: Connection refused\nstdio forwarding failed", reach, again),
            ("channel 0: open failed: administratively prohibited: open failed\nstdio forwarding failed", reach, again),
            ("", ssh, again),
        ] {
            let fault = read(said);
            assert_eq!((fault.step, fault.then), (step, then), "{said}: {fault:?}");
            assert!(!fault.why.is_empty() && !fault.advice.is_empty());
        }
    }

    #[test]
    fn a_changed_host_key_is_explained() {
        let said = "@@@@@@@@@@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@@@@@@@@@@@\n\
                    IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!\n\
                    Offending ED25519 key in /home/me/.ssh/known_hosts:7\nHost key verification failed.\n";
        let fault = read(said);
        assert_eq!(fault.then, Then::NeedsYou);
        assert!(fault.why.contains("known_hosts:7") && fault.advice.contains("ssh-keygen -R"), "{fault:?}");
    }

    #[test]
    fn words_of_others_can_not_steer_a_terminal_or_fill_a_screen() {
        let fault = read(&format!("bad \u{1b}[2Jnews {}", "x".repeat(5_000)));
        assert!(!fault.why.contains('\u{1b}') && fault.why.chars().count() <= LONGEST + 1);
    }
}
