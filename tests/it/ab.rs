//! The load generator of the seed report, with the command line that it gives.

use e2e::client::base64;
use e2e::pictures::sized;
use e2e::service::{Service, with_model};
use serde_json::json;
use std::process::Command;

#[test]
fn ab_ends_without_a_failure_for_both_forms_of_postdata() {
    if Command::new("ab").arg("-V").output().is_err() {
        println!("SKIPPED: ab is not installed (apache2-utils)");
        return;
    }
    let service = Service::start(&with_model("yolov8"));
    let text = base64(&sized([255, 0, 0], 320, 240));
    let postdata = service.folder().join("postdata.txt");
    for body in [json!({"type": "base64", "img": text}).to_string(), format!("type=base64&img={text}")] {
        std::fs::write(&postdata, body).expect("room");
        let output = Command::new("ab")
            .args([
                "-n",
                "1000",
                "-c",
                "10",
                "-p",
                postdata.to_str().expect("UTF-8"),
                "-T",
                "application/form-data",
            ])
            .arg(format!("{}/detect", service.url()))
            .output()
            .expect("ab runs");
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{report}{}", String::from_utf8_lossy(&output.stderr));
        let figure = |name: &str| {
            let line = report.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<f64>().ok()
        };
        assert_eq!(figure("Complete requests:"), Some(1000.0), "{report}");
        assert_eq!(figure("Failed requests:"), Some(0.0), "{report}");
        assert_eq!(figure("Non-2xx responses:"), None, "{report}");
        println!("ab: {} requests/s", figure("Requests per second:").unwrap_or(0.0));
    }
}
