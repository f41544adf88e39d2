//! The texts that are removed from frames, and the texts that stay.

use serde_json::json;

use super::*;

fn place(real: &str, stand_in: &'static str) -> Place {
    Place {
        real: real.to_owned(),
        stand_in,
        whole_word: false,
    }
}

fn host(real: &str) -> Place {
    Place {
        whole_word: true,
        ..place(real, "gateway-host")
    }
}

#[test]
fn a_learned_secret_goes_everywhere_and_keeps_its_shape() {
    let secret = "0123456789abcdef0123456789abcdef";
    let mut redactor = Redactor::default();
    let mut frame = json!({"auth": {"token": secret}, "text": format!("sent {secret}!")});
    redactor.learn(&frame);
    redactor.redact(&mut frame);
    let stand_in = frame["auth"]["token"].as_str().expect("a text").to_owned();
    assert_ne!(stand_in, secret);
    assert_eq!(stand_in.len(), secret.len());
    assert!(stand_in.bytes().all(|b| b.is_ascii_hexdigit()));
    assert_eq!(frame["text"], json!(format!("sent {stand_in}!")));
}

#[test]
fn different_secrets_get_different_stand_ins_of_their_own_shape() {
    let mut redactor = Redactor::default();
    let mut frame = json!([{"deviceToken": "Qk_fuqfEJ99-OLlvMinq"}, {"recoveryScope": "ABCDEFGHIJ-lmnopqrst"}]);
    redactor.learn(&frame);
    redactor.redact(&mut frame);
    let text = |at: usize, key: &str| frame[at][key].as_str().expect("a text").to_owned();
    let (one, two) = (text(0, "deviceToken"), text(1, "recoveryScope"));
    assert_eq!(one.find(['_', '-']), Some(2));
    assert_eq!(two.find('-'), Some(10));
    assert_ne!(one, two);
}

#[test]
fn words_under_a_secret_key_are_no_secrets() {
    let mut redactor = Redactor::default();
    let frame = json!({"token": "token", "apiKey": REDACTED_ALREADY});
    let mut redacted = frame.clone();
    redactor.learn(&frame);
    redactor.redact(&mut redacted);
    assert_eq!(redacted, frame);
}

#[test]
fn the_longer_path_is_replaced_before_the_shorter_one_in_it() {
    let redactor = Redactor::new(vec![place("/root", "/home/openclaw"), place("/root/state", "/state")]);
    let mut frame = json!({"/root/state/a": "/root/state/b:/root/c"});
    redactor.redact(&mut frame);
    assert_eq!(frame, json!({"/state/a": "/state/b:/home/openclaw/c"}));
}

#[test]
fn a_host_name_is_replaced_as_a_word_only() {
    let redactor = Redactor::new(vec![host("vm")]);
    let mut frame = json!(["vm", "on vm (loopback)", "vmware", "kvm-1", "a_vm"]);
    redactor.redact(&mut frame);
    assert_eq!(
        frame,
        json!(["gateway-host", "on gateway-host (loopback)", "vmware", "kvm-1", "a_vm"])
    );
}

#[test]
fn addresses_of_real_networks_are_replaced() {
    let redactor = Redactor::default();
    let mut frame = json!("10.0.0.5, 192.0.2.2, 127.0.0.1:80, 203.0.113.7, v2026.9.6 and 1.2.3.4.5.");
    redactor.redact(&mut frame);
    let expected = json!("192.0.2.10, 192.0.2.10, 127.0.0.1:80, 203.0.113.7, v2026.9.6 and 1.2.3.4.5.");
    assert_eq!(frame, expected);
}

#[test]
fn what_is_left_over_is_found_and_named_without_telling_it() {
    let mut redactor = Redactor::new(vec![host("vm"), place("/root", "/home/openclaw")]);
    redactor.learn_secret("a-very-secret-token");
    assert_eq!(redactor.leaks("nothing of it in vmware"), None);
    assert_eq!(
        redactor.leaks("x a-very-secret-token").as_deref(),
        Some("secret number 1")
    );
    assert_eq!(
        redactor.leaks("on vm").as_deref(),
        Some("what `gateway-host` stands for")
    );
    assert!(redactor.leaks("cd /root/x").is_some());
}
