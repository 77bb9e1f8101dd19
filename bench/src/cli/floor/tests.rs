use super::*;

#[test]
fn only_a_service_on_the_cpu_is_set_against_the_floor() {
    assert!(comparable("cpu").is_ok());
    assert!(comparable("sim").unwrap_err().to_string().contains("simulated"));
    assert!(comparable("cuda:0").unwrap_err().to_string().contains("cuda:0"));
}
