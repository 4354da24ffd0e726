//! What a configuration is made of, and what is wrong with it.

use std::collections::HashMap;

use super::*;

fn resolve(flags: Flags, variables: &[(&str, &str)]) -> Result<Config, Faults> {
    let variables: HashMap<_, _> = variables.iter().copied().collect();
    flags.resolve(|name| variables.get(name).map(|value| (*value).to_owned()))
}

fn output_key(key: &str) -> DataFlags {
    DataFlags { output_key: Some(key.into()), ..DataFlags::default() }
}

fn with_output_key(key: &str) -> Flags {
    Flags { data: output_key(key), ..Flags::default() }
}

fn with_output(variables: &[(&str, &str)]) -> Result<Config, Faults> {
    let mut all = vec![("REDIS_OUTPUT_KEY", "out")];
    all.extend_from_slice(variables);
    resolve(Flags::default(), &all)
}

#[test]
fn the_defaults_are_the_python_runtimes() {
    let config = with_output(&[]).unwrap();
    assert_eq!((config.store.host(), config.store.port()), ("localhost", 6379));
    assert_eq!(config.input_key, "metrics");
    assert_eq!(config.period, Duration::from_secs(5));
    assert_eq!(config.handler.symbol, "handler");
}

#[test]
fn all_faults_are_told_together() {
    let faults = resolve(
        Flags { data: DataFlags { trigger: Some("sometimes".into()), ..DataFlags::default() }, ..Flags::default() },
        &[("MONITORING_PERIOD", "soon"), ("HTTP_ADDR", "8080"), ("REDIS_PORT", "x"), ("HANDLER_FUNCTION", "a.")],
    )
    .unwrap_err()
    .to_string();
    assert!(faults.starts_with("the configuration has 6 faults:"), "{faults}");
    for variable in ["TRIGGER", "MONITORING_PERIOD", "HTTP_ADDR", "REDIS_PORT", "HANDLER_FUNCTION", "REDIS_OUTPUT_KEY"]
    {
        assert!(faults.contains(&format!("\n  {variable}")), "{variable} is missing: {faults}");
    }
}

#[test]
fn a_flag_wins_over_its_variable_and_empty_counts_as_unset() {
    let variables = [("REDIS_OUTPUT_KEY", "variable"), ("REDIS_INPUT_KEY", ""), ("MONITORING_PERIOD", "")];
    let config = resolve(with_output_key("flag"), &variables).unwrap();
    assert_eq!(config.output.output, "flag");
    assert_eq!(config.input_key, "metrics");
    assert_eq!(resolve(with_output_key(""), &variables).unwrap().output.output, "variable");
}

#[test]
fn every_setting_is_read_and_its_default_can_be() {
    let asked = std::cell::RefCell::new(std::collections::BTreeSet::new());
    let config = with_output_key("out").resolve(|name| {
        asked.borrow_mut().insert(name.to_owned());
        None
    });
    let config = config.unwrap();
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.loading.zip_max_bytes, crate::plugin::ZIP_MAX_BYTES);
    // Those are the log's and the libraries'.
    let by_others = ["RUST_LOG", "SSL_CERT_FILE", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"];
    let described = settings::TOPICS.iter().flat_map(|topic| topic.settings).map(|setting| setting.variable);
    // A flag is there, so the variable isn't looked at.
    let described = described.filter(|name| !by_others.contains(name) && *name != "REDIS_OUTPUT_KEY");
    assert_eq!(asked.into_inner(), described.map(str::to_owned).collect());
}

#[test]
fn interval_is_an_alias_of_monitoring_period() {
    assert_eq!(with_output(&[("INTERVAL", "0.25")]).unwrap().period, Duration::from_millis(250));
    assert_eq!(with_output(&[("INTERVAL", "9"), ("MONITORING_PERIOD", "2")]).unwrap().period, Duration::from_secs(2));
    for bad in ["0", "-1", "nan", "inf", "1e99"] {
        assert!(with_output(&[("INTERVAL", bad)]).unwrap_err().to_string().contains("INTERVAL"), "{bad}");
    }
}

#[test]
fn a_port_as_kubernetes_injects_it_is_understood() {
    let config = with_output(&[("REDIS_PORT", "tcp://10.1.2.3:6380")]).unwrap();
    assert_eq!((config.store.host(), config.store.port()), ("10.1.2.3", 6380));
    let config = with_output(&[("REDIS_PORT", "tcp://10.1.2.3:6380"), ("REDIS_HOST", "redis")]).unwrap();
    assert_eq!((config.store.host(), config.store.port()), ("redis", 6380));
}

#[test]
fn a_password_in_a_flag_is_refused_and_one_in_the_variable_taken() {
    let url = "redis://:secret@localhost:6379";
    let flags = Flags { data: DataFlags { store: Some(url.into()), ..output_key("out") }, ..Flags::default() };
    let faults = resolve(flags, &[]).unwrap_err().to_string();
    assert!(faults.contains("--store") && !faults.contains("secret"), "{faults}");
    assert!(with_output(&[("STORE_URL", url)]).is_ok());
}

#[test]
fn every_way_to_a_redis_is_taken() {
    for (url, host, port) in [
        ("redis+sentinel://:secret@a:1,b/main/2", "a", 1),
        ("redis+cluster://:secret@a,b:2", "a", 6379),
        ("rediss+cluster://:secret@a", "a", 6379),
        ("unix:/run/redis.sock?db=2", "", 0),
    ] {
        let config = with_output(&[("STORE_URL", url)]).unwrap();
        assert_eq!((config.store.host(), config.store.port()), (host, port), "what a handler is told of {url}");
        let flags = Flags { data: DataFlags { store: Some(url.into()), ..output_key("out") }, ..Flags::default() };
        match resolve(flags, &[]) {
            Ok(config) => assert!(config.store.to_string().starts_with("unix:"), "{url}"),
            Err(faults) => {
                let faults = faults.to_string();
                assert!(faults.contains("a flag with a password") && !faults.contains("secret"), "{faults}");
            }
        }
    }
    let ca = ("REDIS_CA_FILE", "/ca.pem");
    assert!(with_output(&[("STORE_URL", "rediss+sentinel://a/main"), ca]).is_ok());
    for plain in ["redis+sentinel://a/main", "redis+cluster://a", "unix:/run/redis.sock"] {
        assert!(with_output(&[("STORE_URL", plain), ca]).unwrap_err().to_string().contains("without TLS"), "{plain}");
    }
    let faults = with_output(&[("STORE_URL", "redis+sentinel://a,b")]).unwrap_err().to_string();
    assert!(faults.contains("STORE_URL") && faults.contains("no master"), "{faults}");
}

#[test]
fn what_is_committed_at_once_must_be_in_one_slot_of_a_cluster() {
    let (cluster, stream) = (("STORE_URL", "redis+cluster://a"), ("TRIGGER", "stream"));
    let faults = with_output(&[cluster, stream, ("REDIS_OUTPUT_STREAM", "all")]).unwrap_err().to_string();
    assert!(faults.contains("2 faults") && faults.contains("REDIS_OUTPUT_KEY (--output-key)"), "{faults}");
    assert!(faults.contains("\"{metrics}:out\"") && faults.contains("\"{out}:all\""), "{faults}");
    let tagged = ("REDIS_OUTPUT_KEY", "{metrics}:out");
    assert!(resolve(Flags::default(), &[cluster, stream, tagged]).is_ok());
    let braces = ("REDIS_INPUT_KEY", "a{b}c");
    assert!(with_output(&[cluster, stream, braces]).unwrap_err().to_string().contains("the same hash tag"));
    assert!(with_output(&[cluster, ("TRIGGER", "push")]).is_ok(), "a key is read by itself");
    assert!(with_output(&[("STORE_URL", "redis://a"), stream]).is_ok());
}

#[test]
fn files_for_tls_are_taken_with_an_address_that_uses_them_only() {
    let (url, ca) = (("STORE_URL", "rediss://redis:6380/1"), ("REDIS_CA_FILE", "/ca.pem"));
    let (cert, key) = (("REDIS_CERT_FILE", "/me.pem"), ("REDIS_KEY_FILE", "/me.key"));
    let config = with_output(&[url, ca, cert, key]).unwrap();
    assert!(config.store.is_tls());
    assert_eq!(config.store.to_string(), "rediss://redis:6380/1");
    for (half, said) in [(cert, "REDIS_KEY_FILE"), (key, "REDIS_CERT_FILE")] {
        let faults = with_output(&[url, half]).unwrap_err().to_string();
        assert!(faults.contains(said) && faults.contains(half.0), "{faults}");
    }
    for plain in [("STORE_URL", "redis://redis"), ("REDIS_HOST", "redis")] {
        let faults = with_output(&[plain, ca, cert, key]).unwrap_err().to_string();
        assert!(
            faults.contains("3 faults") && faults.contains("REDIS_CA_FILE: the store is reached without"),
            "{faults}"
        );
    }
    assert!(with_output(&[("STORE_URL", "sqlite:a.db"), ca]).is_ok(), "a file has no use for them, nor for a password");
}

#[test]
fn a_loop_is_refused() {
    for input in ["out", "{out}:env", "{out}:history", "{out}:status"] {
        assert!(with_output(&[("REDIS_INPUT_KEY", input)]).unwrap_err().to_string().contains("a loop"), "{input}");
    }
    assert!(with_output(&[("REDIS_INPUT_KEY", "out"), ("TRIGGER", "timer")]).is_ok());
}

#[test]
fn a_zip_comes_over_https_or_from_a_file_and_over_http_only_where_allowed() {
    let origin = |variables: &[(&str, &str)]| with_output(variables).map(|config| config.plugin.to_string());
    assert_eq!(origin(&[("HANDLER_PATH", "/p"), ("ZIP_URL", "https://h/p.zip")]).unwrap(), "https://h/p.zip");
    assert_eq!(origin(&[("ZIP_URL", "file:///p.zip")]).unwrap(), "/p.zip");
    let faults = origin(&[("ZIP_URL", "http://h/p.zip")]).unwrap_err().to_string();
    assert!(faults.contains("ZIP_ALLOW_HTTP=true"), "{faults}");
    assert!(origin(&[("ZIP_URL", "http://h/p.zip"), ("ZIP_ALLOW_HTTP", "true")]).is_ok());
    for url in ["ftp://h/p.zip", "p.zip", "file://host/p.zip"] {
        assert!(origin(&[("ZIP_URL", url)]).unwrap_err().to_string().contains("ZIP_URL"), "{url}");
    }
}

#[test]
fn a_zips_secrets_are_not_shown_and_not_taken_from_a_flag() {
    let url = "https://me:secret@h/p.zip?token=secret";
    assert!(!format!("{:?}", with_output(&[("ZIP_URL", url)]).unwrap().plugin).contains("secret"));
    let flags = Flags { zip_url: Some(url.into()), ..with_output_key("out") };
    let faults = resolve(flags, &[]).unwrap_err().to_string();
    assert!(faults.contains("--zip-url") && !faults.contains("secret"), "{faults}");
}

#[test]
fn the_period_of_looks_is_the_paths_or_the_zips() {
    let period = |variables: &[(&str, &str)]| with_output(variables).unwrap().reload_period;
    assert_eq!(period(&[]), Some(Duration::from_secs(1)));
    assert_eq!(period(&[("RELOAD_PERIOD", "0")]), None);
    assert_eq!(period(&[("ZIP_URL", "https://h/p.zip")]), None);
    assert_eq!(period(&[("ZIP_URL", "https://h/p.zip"), ("ZIP_REFRESH", "60")]), Some(Duration::from_secs(60)));
}

#[test]
fn sizes_have_units_and_pins_64_digits() {
    let most = |text: &str| with_output(&[("ZIP_MAX_BYTES", text)]).map(|config| config.loading.zip_max_bytes);
    assert_eq!(with_output(&[]).unwrap().loading.zip_max_bytes, 64 << 20);
    assert_eq!((most("10").unwrap(), most("2KiB").unwrap(), most("1 MiB").unwrap()), (10, 2 << 10, 1 << 20));
    for bad in ["0", "-1", "MiB", "1MB", "99999999999GiB"] {
        assert!(most(bad).unwrap_err().to_string().contains("ZIP_MAX_BYTES"), "{bad}");
    }
    assert!(with_output(&[("ZIP_SHA256", "abc")]).unwrap_err().to_string().contains("ZIP_SHA256"));
    assert!(with_output(&[("ZIP_SHA256", &"aB".repeat(32))]).is_ok());
    let key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    assert!(with_output(&[("PLUGIN_PUBLIC_KEY", &format!("untrusted comment: a key\n{key}\n"))]).is_ok());
    let two = format!("{key}\n{key}");
    assert!(with_output(&[("PLUGIN_PUBLIC_KEY", &two)]).unwrap_err().to_string().contains("more than one key"));
    assert!(with_output(&[("PLUGIN_PUBLIC_KEY", "abc")]).unwrap_err().to_string().contains("PLUGIN_PUBLIC_KEY"));
}
