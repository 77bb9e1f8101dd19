//! CSV: one row an object or class; one row without a label for a picture in which nothing was found, or that is bad.

use crate::BatchError;
use crate::journal::Journal;
use crate::sources::Item;
use std::io::Write;

const COLUMNS: [&str; 11] =
    ["image", "width", "height", "label", "class", "score", "x1", "y1", "x2", "y2", "error"];

pub fn write(out: &mut dyn Write, items: &[Item], journal: &Journal) -> Result<(), BatchError> {
    let fault = |error: csv::Error| BatchError::Usage(format!("the answers cannot be written: {error}"));
    let mut table = csv::Writer::from_writer(out);
    table.write_record(COLUMNS).map_err(fault)?;
    for item in items {
        let record = journal.record(&item.name)?;
        let text = |number: Option<u32>| number.map_or(String::new(), |number| number.to_string());
        let head = [record.image.clone(), text(record.width), text(record.height)];
        let found = record.found();
        if found.is_empty() {
            let error = record.error.as_ref().map_or("", |fault| &fault.code);
            let rest = ["", "", "", "", "", "", "", error].map(str::to_owned);
            table.write_record(head.iter().chain(&rest)).map_err(fault)?;
        }
        for found in found {
            let score = found.score.to_string();
            let corners = found.bbox.map_or([const { String::new() }; 4], |bbox| bbox.map(|x| x.to_string()));
            let what = [found.label.clone(), found.class.to_string(), score];
            let row = head.iter().chain(&what).chain(&corners).map(String::as_str).chain([""]);
            table.write_record(row).map_err(fault)?;
        }
    }
    table.flush().map_err(|error| fault(error.into()))
}
