//! What `ssh` says before it ends, told as what it means. The sentences are OpenSSH's.

use super::fault::{Fault, Then};
use crate::model::printable;
use crate::state::Step;

/// How many lines at the end are repeated where no single one decides.
const LAST_LINES: usize = 4;

/// A sentence of OpenSSH's, and what follows from it.
struct Sentence {
    /// What it contains.
    parts: &'static [&'static str],
    then: Then,
    /// What to do; `ALIAS` is the alias.
    advice: &'static str,
}

/// The first that is found decides: one failure makes `ssh` say several of them.
const SENTENCES: [Sentence; 9] = [
    Sentence {
        parts: &["REVOKED HOST KEY", "was revoked", "is marked as revoked"],
        then: Then::NeedsYou,
        advice: "The host's key was revoked: do not connect before its administrator has given it a new one.",
    },
    Sentence {
        parts: &["Host key verification failed", "host key is known for"],
        then: Then::NeedsYou,
        advice: "The host's key was not accepted. Run ssh ALIAS in a terminal once, and compare the fingerprint that it \
                 shows with the one that the administrator gives.",
    },
    Sentence {
        parts: &["Too many authentication failures"],
        then: Then::NeedsYou,
        advice: "The agent offers more keys than the host tries: name the right one, with IdentityFile and \
                 IdentitiesOnly yes for this host in ~/.ssh/config.",
    },
    Sentence {
        parts: &["UNPROTECTED PRIVATE KEY FILE"],
        then: Then::NeedsYou,
        advice: "Others may read the key's file, so ssh doesn't use it: take their rights away (chmod 600).",
    },
    Sentence {
        // With the ways that were tried; the system denies a file with the first two words alone.
        parts: &["Permission denied (", "No more authentication methods", "sign_and_send_pubkey"],
        then: Then::NeedsYou,
        advice: "The host doesn't take this user's key or password. See with ssh-add -l whether the agent holds the key, \
                 and that ssh ALIAS logs in from a terminal.",
    },
    Sentence {
        parts: &[
            "onfiguration option",
            "Bad owner or permissions",
            "no argument after keyword",
            "issing argument",
            "extra arguments at end of line",
            "Can't open user config file",
            "hostname contains invalid characters",
            "unknown option",
            "Bad stdio forwarding",
            "Bad forwarding specification",
        ],
        then: Then::NeedsYou,
        advice: "Mend the SSH configuration: ssh ALIAS in a terminal says the same.",
    },
    Sentence {
        parts: &["Unable to negotiate", "no matching host key type", "no matching key exchange", "no matching cipher"],
        then: Then::NeedsYou,
        advice: "Host and this machine's ssh have no algorithm in common: bring the older of the two up to date, or allow \
                 what it needs for this host in ~/.ssh/config.",
    },
    Sentence {
        parts: &["ould not resolve hostname", "ould not resolve host ", "unknown host"],
        then: Then::Retry,
        advice: "See whether the name is right, and whether this machine is on the host's network or VPN.",
    },
    Sentence {
        parts: &["Connection refused"],
        then: Then::Retry,
        advice: "The machine is there, but no SSH server listens on that port: see whether it runs, and whether the port \
                 is right.",
    },
];

/// The meaning of what was said. `place` is the store's address as the SSH host sees it.
pub(super) fn read(said: &str, alias: &str, place: &str) -> Fault {
    if said.contains("REMOTE HOST IDENTIFICATION HAS CHANGED") {
        return changed_key(said, alias);
    }
    // A jump host that doesn't get further says the same, but then the connection through it ends, too.
    let jumps = said.contains("UNKNOWN port 65535");
    if let Some(line) = line_with(said, "open failed: ").filter(|_| !jumps) {
        return not_forwarded(line, place);
    }
    for sentence in &SENTENCES {
        if sentence.parts.iter().any(|part| said.contains(part)) {
            return Fault::new(Step::Ssh, sentence.then, &end_of(said), &sentence.advice.replace("ALIAS", alias));
        }
    }
    let why = match end_of(said) {
        words if words.is_empty() => "ssh has ended without a word".to_owned(),
        words => words,
    };
    let advice = "See whether the host is up and can be reached from here: ssh ALIAS in a terminal says the same.";
    Fault::new(Step::Ssh, Then::Retry, &why, &advice.replace("ALIAS", alias))
}

fn changed_key(said: &str, alias: &str) -> Fault {
    let between = |before: &str, after: &str| {
        said.lines().find_map(|line| Some(line.split_once(before)?.1.split_once(after)?.0.to_owned()))
    };
    let host = between("Host key for ", " has changed").unwrap_or_else(|| alias.to_owned());
    let place =
        line_with(said, "Offending").and_then(|line| line.split_once(" key in ")).map(|(_, place)| place.trim());
    let file = place.and_then(|place| place.rsplit_once(':')).map(|(file, _)| format!(" -f {}", quoted(file)));
    let key = said.split_whitespace().find(|word| word.starts_with("SHA256:")).unwrap_or_default();
    let why = format!(
        "The key of {host} has changed: it is not the one in {}. The host was set up anew, or somebody is listening in. It \
         shows the key {}",
        place.unwrap_or("the list of known hosts"),
        key.trim_end_matches('.')
    );
    let advice = format!(
        "Ask the host's administrator whether this is its new key. Only then remove the old one, with ssh-keygen{} -R {}, \
         and connect again.",
        file.unwrap_or_default(),
        quoted(&host)
    );
    Fault::new(Step::Ssh, Then::NeedsYou, &why, &printable(&advice))
}

/// `line` says why the host that was reached doesn't get to the store.
fn not_forwarded(line: &str, place: &str) -> Fault {
    let why = format!("the SSH host is reached, but not {place} from there: {line}");
    let (then, advice) = if line.contains("administratively prohibited") {
        let advice = "The SSH server forbids it (AllowTcpForwarding, PermitOpen): ask its administrator.";
        (Then::NeedsYou, advice.to_owned())
    } else if line.contains("Connection refused") {
        (Then::Retry, format!("Nothing listens on {place} there: name the store's address as that host sees it."))
    } else {
        (Then::Retry, format!("See whether {place} is the store's address as that host sees it."))
    };
    Fault::new(Step::Reach, then, &why, &advice)
}

fn line_with<'a>(said: &'a str, part: &str) -> Option<&'a str> {
    said.lines().find(|line| line.contains(part))
}

/// The last lines that say something.
fn end_of(said: &str) -> String {
    let lines = said.lines().map(str::trim).filter(|line| {
        !line.is_empty() && !line.starts_with(['@', '*']) && !line.starts_with("Warning: Permanently added")
    });
    let lines: Vec<&str> = lines.collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join(" ")
}

/// As a shell takes it for one word.
fn quoted(word: &str) -> String {
    let plain = word.chars().all(|c| c.is_alphanumeric() || "/._-~:@".contains(c));
    if plain { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(said: &str) -> Fault {
        super::read(said, "web", "127.0.0.1:6379")
    }

    #[test]
    fn what_needs_the_user_is_told_from_what_goes_away() {
        let (ssh, reach, again, you) = (Step::Ssh, Step::Reach, Then::Retry, Then::NeedsYou);
        for (said, step, then, advice) in [
            ("ssh: Could not resolve hostname web: Name or service not known\r\n", ssh, again, "VPN"),
            ("ssh: connect to host web port 22: Connection refused", ssh, again, "no SSH server listens"),
            ("ssh: connect to host web port 22: Connection timed out", ssh, again, "up"),
            ("ssh: connect to host web port 22: No route to host", ssh, again, "up"),
            ("ssh: connect to host web port 22: Network is unreachable", ssh, again, "up"),
            ("Connection timed out during banner exchange\nConnection to 1.2.3.4 port 22 timed out", ssh, again, "up"),
            ("kex_exchange_identification: read: Connection reset by peer", ssh, again, "up"),
            ("kex_exchange_identification: Connection closed by remote host", ssh, again, "up"),
            ("Connection closed by 10.0.0.1 port 22", ssh, again, "up"),
            ("Timeout, server web not responding.", ssh, again, "up"),
            ("client_loop: send disconnect: Broken pipe", ssh, again, "up"),
            ("Connection to web closed by remote host.", ssh, again, "up"),
            ("me@web: Permission denied (publickey,password).", ssh, you, "ssh-add -l"),
            (
                "Received disconnect from 10.0.0.1 port 22:2: Too many authentication failures",
                ssh,
                you,
                "IdentitiesOnly",
            ),
            (
                "@  WARNING: UNPROTECTED PRIVATE KEY FILE!  @\nme@web: Permission denied (publickey).",
                ssh,
                you,
                "chmod 600",
            ),
            (
                "Load key \"/home/me/.ssh/id\": Permission denied\nConnection closed by 1.2.3.4 port 22",
                ssh,
                again,
                "up",
            ),
            (
                "hostfile_replace_entries: mkstemp: Permission denied\nssh: connect to host web port 22: Connection refused",
                ssh,
                again,
                "no SSH server listens",
            ),
            ("Host key verification failed.", ssh, you, "fingerprint"),
            ("No ED25519 host key is known for web and you have requested strict checking.", ssh, you, "fingerprint"),
            ("@  WARNING: REVOKED HOST KEY DETECTED!  @\nHost key verification failed.", ssh, you, "revoked"),
            ("/home/me/.ssh/config: line 3: Bad configuration option: foo", ssh, you, "Mend"),
            ("/home/me/.ssh/config line 1: no argument after keyword \"foo\"", ssh, you, "Mend"),
            ("/etc/ssh/ssh_config: terminating, 1 bad configuration options", ssh, you, "Mend"),
            ("Bad owner or permissions on /home/me/.ssh/config", ssh, you, "Mend"),
            ("hostname contains invalid characters", ssh, you, "Mend"),
            ("Unable to negotiate with 1.2.3.4 port 22: no matching host key type found.", ssh, you, "algorithm"),
            (
                "channel 0: open failed: connect failed: Connection refused\nstdio forwarding failed",
                reach,
                again,
                "Nothing",
            ),
            ("channel 0: open failed: connect failed: Name or service not known", reach, again, "as that host sees it"),
            ("channel 0: open failed: administratively prohibited: open failed\nstdio", reach, you, "PermitOpen"),
            ("", ssh, again, "up"),
        ] {
            let fault = read(said);
            assert_eq!((fault.step, fault.then), (step, then), "{said}: {fault:?}");
            assert!(fault.advice.contains(advice) && !fault.why.is_empty(), "{said}: {fault:?}");
        }
    }

    #[test]
    fn a_jump_host_that_gets_no_further_is_a_failure_of_ssh() {
        let fault = read(
            "channel 0: open failed: connect failed: Connection refused\nstdio forwarding failed\n\
             kex_exchange_identification: Connection closed by remote host\nConnection closed by UNKNOWN port 65535\n",
        );
        assert_eq!((fault.step, fault.then), (Step::Ssh, Then::Retry));
        assert!(fault.why.contains("Connection refused"), "{fault:?}");
    }

    #[test]
    fn a_jump_host_that_refuses_the_key_needs_the_user() {
        let fault = read("me@jump: Permission denied (publickey).\nConnection closed by UNKNOWN port 65535\n");
        assert_eq!((fault.step, fault.then), (Step::Ssh, Then::NeedsYou));
    }

    #[test]
    fn a_changed_host_key_is_explained() {
        let fault = read(
            "@@@@@@@@@@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@@@@@@@@@@@\n\
             IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!\n\
             The fingerprint for the ED25519 key sent by the remote host is\nSHA256:AbC/12.\n\
             Offending ED25519 key in /home/me/my hosts:7\n\
             Host key for [web]:2222 has changed and you have requested strict checking.\n\
             Host key verification failed.\n",
        );
        assert_eq!((fault.step, fault.then), (Step::Ssh, Then::NeedsYou));
        assert!(fault.why.contains("/home/me/my hosts:7") && fault.why.ends_with("SHA256:AbC/12"), "{fault:?}");
        assert!(fault.advice.contains("ssh-keygen -f '/home/me/my hosts' -R '[web]:2222',"), "{fault:?}");
    }
}
