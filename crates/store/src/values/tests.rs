use super::*;

#[test]
fn a_line_is_kept_under_its_records_id_or_under_one_of_its_name() {
    let line = |name: &str| GatewayUid::of_line(&GatewayId::new(name).unwrap());
    let record = GatewayUid::from_bytes([7; 16]);
    assert_eq!(line(&record.to_string()), record);
    assert_eq!(line("lab").to_string(), "a51146d3-8077-8f99-aeba-84cf1d5e9b24");
    assert_ne!(line("lab"), line("Lab"));
}

#[test]
fn random_bytes_become_a_version_4_uuid_and_its_text_reads_back() {
    let id = AgentUid::from_bytes([0xff; 16]);
    assert_eq!(id.to_string(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    assert_eq!(id.to_string().parse(), Ok(id));
    assert_eq!(format!("{id:?}"), "AgentUid(ffffffff-ffff-4fff-bfff-ffffffffffff)");
    assert_eq!(
        serde_json::to_string(&id).unwrap(),
        "\"ffffffff-ffff-4fff-bfff-ffffffffffff\""
    );
}

#[test]
fn a_text_that_is_no_uuid_is_refused_by_what_it_was_to_name() {
    let error = "lead-1".parse::<BoardId>().unwrap_err();
    assert!(error.to_string().starts_with("an id of a board is a UUID"), "{error}");
}

#[test]
fn known_days_are_shown_as_they_are() {
    for (millis, shown) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (1_795_342_272_345, "2026-11-22T10:11:12.345Z"),
        (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
        (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
    ] {
        assert_eq!(Timestamp::from_millis(millis).to_string(), shown);
    }
    // The ends of the type neither panic nor wrap.
    assert!(
        Timestamp::from_millis(i64::MAX)
            .to_string()
            .starts_with("292278994-08-17T")
    );
    assert!(
        Timestamp::from_millis(i64::MIN)
            .to_string()
            .starts_with("-292275055-05-16T")
    );
}

#[test]
fn arithmetic_stops_at_the_ends() {
    let (early, late) = (Timestamp::from_millis(-5), Timestamp::from_millis(7));
    assert_eq!(late.saturating_duration_since(early), Duration::from_millis(12));
    assert_eq!(early.saturating_duration_since(late), Duration::ZERO);
    assert_eq!(
        Timestamp::from_millis(i64::MAX) + Duration::MAX,
        Timestamp::from_millis(i64::MAX)
    );
    assert_eq!(early.saturating_sub(Duration::MAX).as_millis(), i64::MIN);
    assert_eq!(Timestamp::from(UNIX_EPOCH - Duration::from_secs(1)).as_millis(), -1000);
    assert_eq!(Timestamp::from(UNIX_EPOCH + Duration::from_secs(1)).as_millis(), 1000);
}

#[test]
fn a_later_journal_begins_above_an_earlier_one_and_below_what_json_holds() {
    let at = |millis| Cursor::before_first(Timestamp::from_millis(millis)).number();
    assert_eq!((at(i64::MIN), at(-1), at(0), at(7)), (0, 0, 0, 7_000));
    // A hundred years from now there is still as much room above as below.
    assert_eq!(at(4_951_015_872_000), 1 << 52);
    assert_eq!(at(i64::MAX), 1 << 52);
}

#[test]
fn a_cursor_is_shown_read_and_serialised_as_its_number() {
    let cursor = Cursor::new(1_795_342_272_345_001);
    assert_eq!(cursor.to_string().parse(), Ok(cursor));
    assert_eq!(serde_json::to_string(&cursor).unwrap(), "1795342272345001");
    assert!("latest".parse::<Cursor>().is_err());
}
