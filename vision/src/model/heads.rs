//! Which outputs a family reads: from a family's name to a [`Decoder`] whose indices and shapes are checked.
//!
//! What the sidecar says wins; what it leaves out is found by name or shape. A family is checked the same way
//! whether the sidecar named it or `guess` recognised it. `levels` holds the families with outputs by stride.

mod levels;

use super::sidecar::OneOrMore;
use super::{BoxLayout, Decoder, DecoderSidecar, Family, OutputRef, RawModel, SpecError, grid};

/// An output as the file declares it, the batch axis left out; -1 is a free axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head<'a> {
    pub(super) name: &'a str,
    pub(super) shape: &'a [i64],
}

/// A family's decoder and how many classes it tells apart, where the shapes say so.
#[derive(Debug, PartialEq)]
pub(super) struct Assembled {
    pub(super) decoder: Decoder,
    pub(super) classes: Option<usize>,
    /// Boxes that an SSD scores, where the shapes say so.
    pub(super) priors: Option<i64>,
    pub(super) guessed: Vec<String>,
}

/// What [`assemble`] may look at.
pub(super) struct Facts<'a> {
    pub(super) heads: &'a [Head<'a>],
    /// Width and height of the input.
    pub(super) input: (u32, u32),
    /// Labels that were given.
    pub(super) labels: Option<&'a [String]>,
}

/// The outputs without their batch axis.
pub(super) fn heads<'a>(raw: &'a RawModel, batch: i64) -> Result<Vec<Head<'a>>, SpecError> {
    let of = |output: &'a crate::tensor::TensorInfo| match output.shape.as_slice() {
        [first, rest @ ..] if *first == batch || *first == -1 || batch == -1 => {
            Ok(Head { name: &output.name, shape: rest })
        }
        shape => Err(SpecError::Batch { output: output.name.clone(), shape: shape.to_vec(), batch }),
    };
    raw.outputs.iter().map(of).collect()
}

impl Head<'_> {
    /// Rows and columns, where the shape is a table; axes of length 1 in front or between are passed over.
    pub(super) fn table(&self) -> Option<(i64, i64)> {
        match *self.shape {
            [rows, columns] | [1, rows, columns] | [rows, 1, columns] => Some((rows, columns)),
            _ => None,
        }
    }

    /// Classes of a classifier's scores.
    pub(super) fn classes(&self) -> Option<i64> {
        match *self.shape {
            [classes] | [classes, 1, 1] | [1, 1, classes] | [1, classes] => Some(classes),
            _ => None,
        }
    }
}

/// Cells of all strides.
pub(super) fn cells(strides: &[u32], input: (u32, u32)) -> i64 {
    strides.iter().map(|&stride| cells_of(stride, input)).sum()
}

fn cells_of(stride: u32, input: (u32, u32)) -> i64 {
    let (columns, rows) = grid(stride, input);
    (columns * rows) as i64
}

fn fits(axis: i64, wanted: i64) -> bool {
    axis == -1 || axis == wanted
}

fn count(axis: i64) -> Option<usize> {
    usize::try_from(axis).ok()
}

/// The family's decoder for these outputs.
pub(super) fn assemble(
    family: Family,
    said: Option<&DecoderSidecar>,
    facts: &Facts<'_>,
) -> Result<Assembled, SpecError> {
    if let Some(said) = said {
        refuse_foreign_keys(family, said)?;
    }
    let assembly = Assembly { family, said, facts, guessed: Vec::new() };
    match family {
        Family::Yolox => assembly.yolox(),
        Family::Yolov5 => assembly.rows_of(0, 5, Decoder::Yolov5),
        Family::Yolov8 => assembly.yolov8(),
        Family::EndToEnd => assembly.end_to_end(),
        Family::Ssd => assembly.ssd(),
        Family::SsdPost => assembly.ssd_post(),
        Family::Picodet => assembly.picodet(),
        Family::Fastestdet => assembly.fastestdet(),
        Family::Yunet => assembly.yunet(),
        Family::Classifier => assembly.classifier(),
    }
}

/// A key of `[decoder]` that the family does not read is a mistake, not something to pass over.
fn refuse_foreign_keys(family: Family, said: &DecoderSidecar) -> Result<(), SpecError> {
    use Family::{Classifier, Picodet, Ssd, SsdPost, Yolov8, Yolox, Yunet};
    let keys: [(&'static str, bool, &[Family]); 11] = [
        ("decoder.strides", said.strides.is_some(), &[Yolox, Picodet, Yunet]),
        ("decoder.rows", said.rows.is_some(), &[Yolov8]),
        ("decoder.boxes", said.boxes.is_some(), &[Ssd, SsdPost, Picodet]),
        ("decoder.scores", said.scores.is_some(), &[Ssd, SsdPost, Picodet]),
        ("decoder.classes", said.classes.is_some(), &[SsdPost]),
        ("decoder.count", said.count.is_some(), &[SsdPost]),
        ("decoder.layout", said.layout.is_some(), &[Ssd, SsdPost]),
        ("decoder.background", said.background.is_some(), &[Ssd]),
        ("decoder.first_class", said.first_class.is_some(), &[SsdPost]),
        ("decoder.landmarks", said.landmarks.is_some(), &[Yunet]),
        ("decoder.softmax", said.softmax.is_some(), &[Classifier]),
    ];
    match keys.iter().find(|(_, set, families)| *set && !families.contains(&family)) {
        Some((key, ..)) => {
            Err(SpecError::Key { key, message: format!("has no meaning for family {family}") })
        }
        None => Ok(()),
    }
}

struct Assembly<'a> {
    family: Family,
    said: Option<&'a DecoderSidecar>,
    facts: &'a Facts<'a>,
    guessed: Vec<String>,
}

impl<'a> Assembly<'a> {
    fn yolox(self) -> Result<Assembled, SpecError> {
        let strides = self.strides(&[8, 16, 32])?;
        let (rows, _) = self.table(0, "one output [cells, 5+classes]")?;
        let expected = cells(&strides, self.facts.input);
        if !fits(rows, expected) {
            return Err(
                self.misfit(format!("{rows} rows, and the cells of strides {strides:?} are {expected}"))
            );
        }
        self.rows_of(0, 5, Decoder::Yolox { strides })
    }

    fn yolov8(mut self) -> Result<Assembled, SpecError> {
        let (first, second) = self.table(0, "one output [4+classes, boxes]")?;
        let rows = match (self.said.and_then(|said| said.rows), first, second) {
            (Some(rows), ..) => rows,
            (None, -1, -1) => {
                return Err(SpecError::Missing {
                    key: "decoder.rows",
                    message: "both axes of the output are free, so boxes and classes cannot be told apart"
                        .into(),
                });
            }
            (None, first, second) => {
                let rows = first == -1 || (second != -1 && first > second);
                self.guessed.push(format!("decoder.rows = {rows}: the output is [{first}, {second}]"));
                rows
            }
        };
        if rows {
            return self.rows_of(0, 4, Decoder::Yolov8 { rows });
        }
        if first != -1 && first < 5 {
            return Err(self.misfit(format!("{first} rows, and 4 box rows and the classes need 5 or more")));
        }
        Ok(self.done(Decoder::Yolov8 { rows }, count(first - 4)))
    }

    fn end_to_end(self) -> Result<Assembled, SpecError> {
        let (_, columns) = self.table(0, "one output [boxes, 6]")?;
        if !fits(columns, 6) {
            return Err(self.misfit(format!("{columns} columns, and x1, y1, x2, y2, score, class are 6")));
        }
        Ok(self.done(Decoder::EndToEnd, None))
    }

    fn ssd(mut self) -> Result<Assembled, SpecError> {
        let tables: Vec<_> = self.facts.heads.iter().map(Head::table).collect();
        let four = |index: usize| matches!(tables[index], Some((_, 4)));
        let named = |index: usize| self.facts.heads[index].name.to_ascii_lowercase().contains("box");
        let boxes = match self.said.and_then(|said| said.boxes.as_ref()) {
            Some(boxes) => self.one("decoder.boxes", boxes)?,
            None => {
                let candidates: Vec<usize> = (0..tables.len()).filter(|&i| four(i)).collect();
                match candidates.as_slice() {
                    [only] => *only,
                    several => *several.iter().find(|&&i| named(i)).ok_or(SpecError::Missing {
                        key: "decoder.boxes",
                        message: "no output, or more than one, could be the boxes [N, 4]".into(),
                    })?,
                }
            }
        };
        let (rows, columns) = self.table(boxes, "boxes [N, 4]")?;
        if !fits(columns, 4) {
            return Err(self.misfit(format!("boxes of {columns} columns instead of 4")));
        }
        let scores = match self.said.and_then(|said| said.scores.as_ref()) {
            Some(scores) => self.one("decoder.scores", scores)?,
            None => {
                let pairs = |i: usize| i != boxes && matches!(tables[i], Some((n, _)) if n == rows);
                let candidates: Vec<usize> = (0..tables.len()).filter(|&i| pairs(i)).collect();
                match candidates.as_slice() {
                    [only] => *only,
                    _ => {
                        return Err(SpecError::Missing {
                            key: "decoder.scores",
                            message: "no output, or more than one, could be the scores [N, classes]".into(),
                        });
                    }
                }
            }
        };
        let (score_rows, columns) = self.table(scores, "scores [N, classes]")?;
        if rows != -1 && !fits(score_rows, rows) {
            return Err(self.misfit(format!("{rows} boxes and scores for {score_rows}")));
        }
        let layout = self.said.and_then(|said| said.layout).unwrap_or_else(|| {
            self.guessed.push("decoder.layout = \"xyxy-unit\": the shapes do not say".into());
            BoxLayout::XyxyUnit
        });
        let background = match self.said.and_then(|said| said.background) {
            Some(background) => background,
            None => {
                let named = self.facts.labels.and_then(|l| l.first()).is_some_and(|l| is_background(l));
                let background = match (self.facts.labels, count(columns)) {
                    (Some(labels), Some(columns)) => named || labels.len() < columns,
                    (None, Some(columns)) => columns > 1,
                    (_, None) => true,
                };
                self.guessed.push(format!("decoder.background = {background}: {columns} score columns"));
                background
            }
        };
        let classes = count(columns).map(|columns| columns.saturating_sub(usize::from(background)));
        if classes == Some(0) {
            return Err(self.misfit("scores have no column but the background's".into()));
        }
        let decoder = Decoder::Ssd { boxes, scores, layout, background };
        Ok(Assembled { priors: Some(rows).filter(|rows| *rows > 0), ..self.done(decoder, classes) })
    }

    fn ssd_post(mut self) -> Result<Assembled, SpecError> {
        let find = |key, said: Option<usize>, word: &str| {
            said.or_else(|| self.named(word))
                .ok_or(SpecError::Missing { key, message: format!("no output has {word} in its name") })
        };
        let said = self.said;
        let one = |key, refs: Option<&OneOrMore<OutputRef>>| refs.map(|refs| self.one(key, refs)).transpose();
        let find_ref = |key, name: Option<&OutputRef>| name.map(|name| self.find(key, name)).transpose();
        let boxes = find(
            "decoder.boxes",
            one("decoder.boxes", said.and_then(|s| s.boxes.as_ref()))?,
            "detection_boxes",
        )?;
        let scores = find(
            "decoder.scores",
            one("decoder.scores", said.and_then(|s| s.scores.as_ref()))?,
            "detection_scores",
        )?;
        let classes = find(
            "decoder.classes",
            find_ref("decoder.classes", said.and_then(|s| s.classes.as_ref()))?,
            "detection_classes",
        )?;
        let count = find_ref("decoder.count", said.and_then(|s| s.count.as_ref()))?
            .or_else(|| self.named("num_detections"));
        let (_, columns) = self.table(boxes, "boxes [N, 4]")?;
        if !fits(columns, 4) {
            return Err(self.misfit(format!("boxes of {columns} columns instead of 4")));
        }
        let layout = said.and_then(|said| said.layout).unwrap_or_else(|| {
            self.guessed.push("decoder.layout = \"yxyx-unit\": TensorFlow's order".into());
            BoxLayout::YxyxUnit
        });
        let first_class = said.and_then(|said| said.first_class).unwrap_or_else(|| {
            let first = u32::from(self.facts.heads[classes].name.contains("detection_classes"));
            self.guessed
                .push(format!("decoder.first_class = {first}: TensorFlow's object detection counts from 1"));
            first
        });
        Ok(self.done(Decoder::SsdPost { boxes, classes, scores, count, layout, first_class }, None))
    }

    fn fastestdet(self) -> Result<Assembled, SpecError> {
        match self.head(0)?.shape {
            [planes, _, _] if *planes == -1 || *planes > 5 => {
                let classes = count(*planes - 5);
                Ok(self.done(Decoder::FastestDet, classes))
            }
            shape => Err(self.misfit(format!("shape {shape:?} instead of [5+classes, rows, columns]"))),
        }
    }

    fn classifier(mut self) -> Result<Assembled, SpecError> {
        let head = self.head(0)?;
        let Some(classes) = head.classes() else {
            return Err(self.misfit(format!("shape {:?} instead of [classes]", head.shape)));
        };
        let softmax = self.said.and_then(|said| said.softmax).unwrap_or_else(|| {
            let name = head.name.to_ascii_lowercase();
            let probabilities = name.contains("softmax") || name.contains("prob");
            self.guessed
                .push(format!("decoder.softmax = {}: the output's name is `{}`", !probabilities, head.name));
            !probabilities
        });
        Ok(self.done(Decoder::Classifier { softmax }, count(classes)))
    }

    /// A head of rows with `ahead` columns before the classes.
    fn rows_of(self, index: usize, ahead: i64, decoder: Decoder) -> Result<Assembled, SpecError> {
        let (_, columns) = self.table(index, "one output [boxes, columns]")?;
        if columns != -1 && columns <= ahead {
            return Err(self.misfit(format!("{columns} columns, of which {ahead} are no classes")));
        }
        Ok(self.done(decoder, count(columns - ahead)))
    }

    fn done(self, decoder: Decoder, classes: Option<usize>) -> Assembled {
        Assembled { decoder, classes, priors: None, guessed: self.guessed }
    }

    fn misfit(&self, message: String) -> SpecError {
        SpecError::Outputs { family: self.family.name(), message }
    }

    fn missing(&self, key: &'static str, message: &str) -> SpecError {
        SpecError::Missing { key, message: message.to_owned() }
    }

    fn head(&self, index: usize) -> Result<&'a Head<'a>, SpecError> {
        self.facts.heads.get(index).ok_or_else(|| self.misfit("the model has no outputs".into()))
    }

    fn table(&self, index: usize, expected: &str) -> Result<(i64, i64), SpecError> {
        let head = self.head(index)?;
        head.table().ok_or_else(|| {
            self.misfit(format!("output `{}` has shape {:?}; wanted is {expected}", head.name, head.shape))
        })
    }

    fn strides(&self, usual: &[u32]) -> Result<Vec<u32>, SpecError> {
        match self.said.and_then(|said| said.strides.as_ref()) {
            None => Ok(usual.to_vec()),
            Some(strides) if !strides.is_empty() && strides.iter().all(|s| *s > 0) => Ok(strides.clone()),
            Some(_) => Err(SpecError::Key {
                key: "decoder.strides",
                message: "must be a list of positive numbers".into(),
            }),
        }
    }

    fn one(&self, key: &'static str, refs: &OneOrMore<OutputRef>) -> Result<usize, SpecError> {
        match self.list(key, refs)?[..] {
            [only] => Ok(only),
            _ => {
                Err(SpecError::Key { key, message: format!("family {} wants one output here", self.family) })
            }
        }
    }

    fn list(&self, key: &'static str, refs: &OneOrMore<OutputRef>) -> Result<Vec<usize>, SpecError> {
        match refs {
            OneOrMore::One(only) => Ok(vec![self.find(key, only)?]),
            OneOrMore::More(several) => several.iter().map(|name| self.find(key, name)).collect(),
        }
    }

    fn find(&self, key: &'static str, wanted: &OutputRef) -> Result<usize, SpecError> {
        let names = || self.facts.heads.iter().map(|head| head.name).collect::<Vec<_>>().join(", ");
        match wanted {
            OutputRef::Index(index) if *index < self.facts.heads.len() => Ok(*index),
            OutputRef::Index(index) => Err(SpecError::Key {
                key,
                message: format!("output {index} (counted from 0) does not exist; there are: {}", names()),
            }),
            OutputRef::Name(name) => self.exactly(name).ok_or_else(|| SpecError::Key {
                key,
                message: format!("no output is named `{name}`; there are: {}", names()),
            }),
        }
    }

    fn exactly(&self, name: &str) -> Option<usize> {
        self.facts.heads.iter().position(|head| head.name == name)
    }

    fn named(&self, word: &str) -> Option<usize> {
        self.facts.heads.iter().position(|head| head.name.contains(word) && !head.name.contains("raw"))
    }
}

/// Whether a label names "nothing".
pub(super) fn is_background(label: &str) -> bool {
    ["background", "__background__"].iter().any(|word| label.trim().eq_ignore_ascii_case(word))
}
