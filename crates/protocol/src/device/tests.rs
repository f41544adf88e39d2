use super::*;
use crate::connect::{ClientInfo, DeviceBlock, Role, Scope};
use crate::text::Secret;

const ID: &str = "56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c";
const PUBLIC_KEY: &str = "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg";
const PRIVATE_PEM: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n-----END PRIVATE KEY-----\n";

fn identity() -> DeviceIdentity {
    DeviceIdentity::from_seed(std::array::from_fn(|at| u8::try_from(at).unwrap()))
}

fn server() -> ClientInfo {
    let mut client = ClientInfo::backend("1.0.0", "Linux");
    client.device_family = Some("Server".to_owned());
    client
}

fn full<'a>(client: &'a ClientInfo, token: &'a Secret, scopes: &'a [Scope]) -> SignatureInput<'a> {
    SignatureInput {
        client,
        role: &Role::Operator,
        scopes,
        signed_at_ms: 1_795_350_900_000,
        token: Some(token),
        nonce: "11111111-2222-4333-8444-555555555555",
    }
}

const SCOPES: [Scope; 3] = [Scope::Read, Scope::Write, Scope::Admin];

#[test]
fn the_names_of_a_key_are_those_that_gateways_compute() {
    assert_eq!(
        (identity().device_id(), identity().public_key_base64url()),
        (ID, PUBLIC_KEY)
    );
}

/// Vectors of keys and payloads that real gateways of both generations accepted.
#[test]
fn payloads_and_signatures_match_what_real_gateways_accepted() {
    let (client, token) = (server(), Secret::new("test-token-0123456789abcdef"));
    let input = full(&client, &token, &SCOPES);
    let middle = format!(
        "{ID}|gateway-client|backend|operator|operator.read,operator.write,operator.admin|1795350900000|test-token-0123456789abcdef|11111111-2222-4333-8444-555555555555"
    );
    let bare = ClientInfo::backend("1.0.0", "linux");
    let least = SignatureInput {
        client: &bare,
        role: &Role::Operator,
        scopes: &[Scope::Read],
        signed_at_ms: 1,
        token: None,
        nonce: "n-1",
    };
    let rows = [
        (
            SignatureVersion::V3,
            input,
            format!("v3|{middle}|linux|server"),
            "iHZFB9Ziz7GZwqFVvCJnHpzjirbv0xLmidVsCLkGts2CbDjHUxp5sOeEo0cnUU8-HFNyKvy735gVe8fq4S_uBA",
        ),
        (
            SignatureVersion::V2,
            input,
            format!("v2|{middle}"),
            "gizQidrDIRkGQ55xbwCPUqllILFpJV81rGxXOBSCk0xKPuXMWGKuV6RJhtUBsWyZ1Y-t_qy6CWknuelkK1eUBQ",
        ),
        (
            SignatureVersion::V3,
            least,
            format!("v3|{ID}|gateway-client|backend|operator|operator.read|1||n-1|linux|"),
            "PaN5XEnP6geSNmiVCJfzYFqwLAYPlnzsYX9a5vGlucokt4D1s6zqcxLMPB1GnrJHDHT0RgAj0ovLZEvH2GnHAg",
        ),
    ];
    for (version, input, payload, signature) in rows {
        assert_eq!(signed_payload(version, ID, &input).expose(), payload);
        let block = identity().sign(&input, version);
        assert_eq!(block.signature, signature, "{version:?}");
        assert_eq!((block.id.as_str(), block.public_key.as_str()), (ID, PUBLIC_KEY));
        assert_eq!(
            (block.signed_at, block.nonce.as_str()),
            (input.signed_at_ms, input.nonce)
        );
        assert_eq!(verify(&block, &input), Ok(version));
    }
}

#[test]
fn a_block_that_was_changed_or_made_for_something_else_does_not_verify() {
    let (client, token) = (server(), Secret::new("t"));
    let input = full(&client, &token, &SCOPES);
    let block = identity().sign(&input, SignatureVersion::V3);
    let other_token = Secret::new("u");
    assert_eq!(
        verify(
            &block,
            &SignatureInput {
                token: Some(&other_token),
                ..input
            }
        ),
        Err(VerifyError::Signature)
    );
    assert_eq!(
        verify(
            &block,
            &SignatureInput {
                nonce: "other",
                ..input
            }
        ),
        Err(VerifyError::Signature)
    );
    assert_eq!(
        verify(
            &block,
            &SignatureInput {
                scopes: &SCOPES[..1],
                ..input
            }
        ),
        Err(VerifyError::Signature)
    );
    let with = |change: fn(&mut DeviceBlock)| {
        let mut changed = block.clone();
        change(&mut changed);
        verify(&changed, &input)
    };
    assert_eq!(with(|b| b.public_key.push('=')), Err(VerifyError::PublicKey));
    assert_eq!(with(|b| b.public_key.truncate(20)), Err(VerifyError::PublicKey));
    assert_eq!(with(|b| b.id.make_ascii_uppercase()), Err(VerifyError::DeviceId));
    assert_eq!(with(|b| b.signature.truncate(20)), Err(VerifyError::Signature));
    let stranger = DeviceIdentity::from_seed([7; 32]).sign(&input, SignatureVersion::V3);
    let mut swapped = block.clone();
    swapped.signature = stranger.signature;
    assert_eq!(verify(&swapped, &input), Err(VerifyError::Signature));
}

#[test]
fn the_file_is_written_as_the_reference_client_writes_it_and_read_back() {
    let file = DeviceFile {
        identity: identity(),
        created_at_ms: 1_795_350_900_000,
    };
    let text = file.render().unwrap();
    let value: Value = serde_json::from_str(text.expose()).unwrap();
    assert_eq!(value["privateKeyPem"], PRIVATE_PEM);
    assert_eq!(
        (&value["version"], &value["deviceId"]),
        (&serde_json::json!(1), &serde_json::json!(ID))
    );
    assert_eq!(DeviceFile::parse(text.expose()).unwrap(), file);
}

#[test]
fn a_damaged_file_is_refused_with_the_name_of_the_field() {
    let good: Value = serde_json::from_str(
        DeviceFile {
            identity: identity(),
            created_at_ms: 5,
        }
        .render()
        .unwrap()
        .expose(),
    )
    .unwrap();
    let other: Value = serde_json::from_str(
        DeviceFile {
            identity: DeviceIdentity::from_seed([7; 32]),
            created_at_ms: 5,
        }
        .render()
        .unwrap()
        .expose(),
    )
    .unwrap();
    let with = |field: &str, value: Value| {
        let mut changed = good.clone();
        changed[field] = value;
        DeviceFile::parse(&changed.to_string()).unwrap_err()
    };
    for field in ["version", "deviceId", "publicKeyPem", "privateKeyPem", "createdAtMs"] {
        let error = with(field, Value::Null);
        assert_eq!(error, DeviceFileError::Field(field));
        assert!(error.to_string().contains(field));
    }
    assert_eq!(with("version", 2.into()), DeviceFileError::Version(2));
    assert_eq!(
        with("privateKeyPem", "nonsense".into()),
        DeviceFileError::Key("privateKeyPem")
    );
    assert_eq!(
        with("publicKeyPem", PRIVATE_PEM.into()),
        DeviceFileError::Key("publicKeyPem")
    );
    assert_eq!(
        with("publicKeyPem", other["publicKeyPem"].clone()),
        DeviceFileError::PublicKeyMismatch
    );
    assert_eq!(
        with("privateKeyPem", other["privateKeyPem"].clone()),
        DeviceFileError::PublicKeyMismatch
    );
    assert_eq!(
        with("deviceId", other["deviceId"].clone()),
        DeviceFileError::DeviceIdMismatch
    );
    assert_eq!(
        DeviceFile::parse("{\n x"),
        Err(DeviceFileError::NotAnObject { line: 2, column: 2 })
    );
    assert!(matches!(
        DeviceFile::parse(""),
        Err(DeviceFileError::NotAnObject { .. })
    ));
}

#[test]
fn neither_debug_nor_an_error_shows_the_key() {
    let file = DeviceFile {
        identity: identity(),
        created_at_ms: 5,
    };
    let text = format!("{file:?} {:?}", file.render().unwrap());
    assert!(
        text.contains(ID) && !text.contains("AAECAwQF") && !text.contains("[0, 1, 2"),
        "{text}"
    );
    let error = DeviceFile::parse(&PRIVATE_PEM.replace('\n', "")).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("MC4CAQ"));
}

#[test]
fn an_input_with_a_token_hides_it_in_debug() {
    let (client, token) = (server(), Secret::new("hunter2"));
    assert!(!format!("{:?}", full(&client, &token, &SCOPES)).contains("hunter2"));
}
