//! The comparison as one HTML file that needs nothing else: figures, and the pictures on which the models disagree, with the boxes
//! of both.

use harvest::compare::{Comparison, Sample};
use harvest::sidecar::Found;
use harvest::truth::Picture;
use std::fmt::Write;
use vision::decode::{Limits, decode};
use vision::draw::encode_jpeg;

/// Most pictures that are shown, and their long side in pixels.
const MOST: usize = 200;
const SIDE: u32 = 480;
/// Most answers that are written out below a picture; all have their boxes.
const NAMED: usize = 8;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1400px;padding:0 1rem;color:#16181b;background:#f5f5f2}\
h1{font-size:1.4rem}table{border-collapse:collapse;font-variant-numeric:tabular-nums;background:#fff}th,td{padding:.35rem .8rem;\
border-bottom:1px solid #e3e3dd;text-align:right}th:first-child,td:first-child{text-align:left}.grid{display:grid;gap:16px;\
grid-template-columns:repeat(auto-fill,minmax(320px,1fr));margin-top:1rem}.wide{white-space:nowrap}figure{margin:0;align-self:start;background:#fff;border-radius:10px;overflow:hidden;\
box-shadow:0 1px 3px #0002}svg{display:block;width:100%;height:auto}figcaption{padding:.5rem .8rem;font-size:.87rem;overflow-wrap:anywhere}\
.wide{overflow-x:auto}rect{fill:none;stroke-width:2.5;vector-effect:non-scaling-stroke}.a{stroke:#d4452f}.b{stroke:#0a7554;stroke-dasharray:7 4}.t{stroke:#5b7cfa;stroke-width:1.5}\
.ka{color:#d4452f}.kb{color:#0a7554}.kt{color:#3f5fe0}@media(prefers-color-scheme:dark){body{background:#0d0f11;color:#eceef0}\
table,figure{background:#15181b}th,td{border-color:#292e34}.ka{color:#ff8c7a}.kb{color:#3ddc97}.kt{color:#8099ff}}";

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

/// The page.
pub fn page(
    names: &[String; 2],
    comparison: &Comparison,
    samples: &[Sample],
    pictures: &[Picture],
) -> String {
    let share =
        |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{:.1} %", value * 100.0));
    let mut out = String::new();
    // Writing to a string cannot fail, hence the results that are left alone here.
    let _ = write!(
        out,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Two models compared</title><style>{STYLE}</style><main><h1>{} → {}</h1><p>{} pictures, {} of them with boxes that people \
         looked over. The models disagree on {}.</p>",
        escape(&names[0]),
        escape(&names[1]),
        comparison.pictures,
        comparison.with_boxes,
        comparison.disagreements.len(),
    );
    out.push_str("<table><tr><td></td><th class=\"ka\">A</th><th class=\"kb\">B</th></tr>");
    for (what, values) in [
        ("mAP at 0.5", comparison.map50),
        ("mAP at 0.5 to 0.95", comparison.map),
        ("Accuracy", comparison.accuracy),
    ] {
        if values.iter().any(Option::is_some) {
            let _ = write!(
                out,
                "<tr><td>{what}</td><td>{}</td><td>{}</td></tr>",
                share(values[0]),
                share(values[1])
            );
        }
    }
    out.push_str("</table><h2 id=\"classes\">By class</h2><div class=\"wide\" tabindex=\"0\" role=\"region\" aria-labelledby=\"classes\"><table><tr><th>Class</th><th>Truth</th><th>Answered A</th><th>B</th><th>Right A</th><th>B</th><th>AP at 0.5 A</th><th>B</th></tr>");
    for row in &comparison.classes {
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(&row.class),
            row.truth,
            row.answered[0],
            row.answered[1],
            row.right[0],
            row.right[1],
            share(row.ap50[0]),
            share(row.ap50[1]),
        );
    }
    let _ = write!(
        out,
        "</table></div><h2>Where they disagree</h2><p><b class=\"ka\">A</b> solid, <b class=\"kb\">B</b> dashed, <b class=\"kt\">people</b> thin. \
         The first {} of {}.</p><div class=\"grid\">",
        comparison.disagreements.len().min(MOST),
        comparison.disagreements.len(),
    );
    for (at, _) in comparison.disagreements.iter().take(MOST) {
        let sample = &samples[*at];
        if let Some(picture) = pictures.iter().find(|picture| picture.sidecar.id == sample.id) {
            figure(&mut out, sample, picture);
        }
    }
    out.push_str("</div></main></html>\n");
    out
}

fn figure(out: &mut String, sample: &Sample, picture: &Picture) {
    let Some(small) = std::fs::read(&picture.path)
        .ok()
        .and_then(|bytes| decode(&bytes, &Limits::default()).ok())
        .map(|whole| (whole.width, whole.height, harvest::thumb::smaller(&whole, SIDE)))
    else {
        return;
    };
    let (width, height, small) = small;
    let Ok(jpeg) = encode_jpeg(&small, 80) else { return };
    let data = base64_simd::STANDARD.encode_to_string(jpeg);
    let _ = write!(
        out,
        "<figure><svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\"><image width=\"{width}\" height=\"{height}\" href=\"data:image/jpeg;base64,{data}\"/>",
        escape(&sample.id),
    );
    let mut boxes = |found: &[Found], class: &str| {
        for Found { label, score, corners: [x1, y1, x2, y2], .. } in found {
            let _ = write!(
                out,
                "<rect class=\"{class}\" x=\"{x1:.1}\" y=\"{y1:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>{} {score:.2}</title></rect>",
                x2 - x1,
                y2 - y1,
                escape(label),
            );
        }
    };
    boxes(sample.boxes.as_deref().unwrap_or_default(), "t");
    boxes(&sample.answers[0].answered, "a");
    boxes(&sample.answers[1].answered, "b");
    let said = |k: usize| {
        let answer = &sample.answers[k];
        match &answer.class {
            Some((class, score)) => format!("{} {score:.2}", escape(class)),
            None if answer.answered.is_empty() => "nothing".to_owned(),
            None => {
                let mut all: Vec<_> = answer
                    .answered
                    .iter()
                    .take(NAMED)
                    .map(|f| format!("{} {:.2}", escape(&f.label), f.score))
                    .collect();
                let more = answer.answered.len().saturating_sub(NAMED);
                all.extend((more > 0).then(|| format!("{more} more")));
                all.join(", ")
            }
        }
    };
    let _ = write!(
        out,
        "</svg><figcaption><b class=\"ka\">A</b> {}<br><b class=\"kb\">B</b> {}<br><b class=\"kt\">People</b> {}<br><small>{}</small></figcaption></figure>",
        said(0),
        said(1),
        escape(sample.class.as_deref().unwrap_or("–")),
        escape(&sample.id),
    );
}
