use super::*;

#[test]
fn columns_line_up_and_numbers_stand_to_the_right() {
    let mut table = Table::new(&["procs", "TPS"]);
    table.row(vec!["1".into(), "9.5".into()]);
    table.row(vec!["16".into(), "1234".into()]);
    assert_eq!(table.text(), "procs   TPS\n1       9.5\n16     1234\n");
    assert_eq!(table.csv(), "procs,TPS\n1,9.5\n16,1234\n");
}

#[test]
fn numbers_have_the_digits_they_are_worth() {
    let shown: Vec<String> = [0.0, 0.01234, 1.2345, 12.345, 123.45, f64::NAN].map(digits).into();
    assert_eq!(shown, ["0", "0.012", "1.23", "12.3", "123", "-"]);
    assert_eq!(percent(-0.0125), "-1.2 %");
}
