use super::*;

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
