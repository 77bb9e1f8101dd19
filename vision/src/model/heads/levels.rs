//! Families with outputs of their own for each stride: PicoDet, YuNet.

use super::super::sidecar::OneOrMore;
use super::super::{Decoder, OutputRef, SpecError};
use super::{Assembled, Assembly, cells_of, count, fits};

impl Assembly<'_> {
    pub(super) fn picodet(self) -> Result<Assembled, SpecError> {
        let levels = self.facts.heads.len() / 2;
        let usual = [8, 16, 32, 64, 128];
        let strides = self.strides(&usual[..levels.clamp(1, usual.len())])?;
        let all =
            |key, said: Option<&OneOrMore<OutputRef>>| said.map(|said| self.list(key, said)).transpose();
        let scores = all("decoder.scores", self.said.and_then(|s| s.scores.as_ref()))?;
        let boxes = all("decoder.boxes", self.said.and_then(|s| s.boxes.as_ref()))?;
        let (scores, boxes) = match (scores, boxes) {
            (Some(scores), Some(boxes)) => (scores, boxes),
            (None, None) => self.by_stride(&strides)?,
            (Some(_), None) => {
                return Err(self.missing("decoder.boxes", "scores are named and boxes are not"));
            }
            (None, Some(_)) => {
                return Err(self.missing("decoder.scores", "boxes are named and scores are not"));
            }
        };
        let mut classes = None;
        for (level, &stride) in strides.iter().enumerate() {
            let expected = cells_of(stride, self.facts.input);
            for (list, distances) in [(&scores, false), (&boxes, true)] {
                let index = *list.get(level).ok_or_else(|| {
                    self.misfit(format!("{} outputs for {} strides", list.len(), strides.len()))
                })?;
                let (rows, columns) = self.table(index, "two outputs a stride")?;
                if !fits(rows, expected) {
                    return Err(
                        self.misfit(format!("{rows} rows for the {expected} cells of stride {stride}"))
                    );
                }
                if distances && columns != -1 && (columns < 8 || columns % 4 != 0) {
                    return Err(self.misfit(format!("{columns} columns of distances, which come in fours")));
                }
                if !distances {
                    classes = classes.or(count(columns));
                }
            }
        }
        Ok(self.done(Decoder::PicoDet { strides, scores, boxes }, classes))
    }

    /// Scores and distances of each stride, found by their number of rows.
    fn by_stride(&self, strides: &[u32]) -> Result<(Vec<usize>, Vec<usize>), SpecError> {
        let (mut scores, mut boxes) = (Vec::new(), Vec::new());
        for &stride in strides {
            let rows = cells_of(stride, self.facts.input);
            let of_stride = |i: &usize| matches!(self.facts.heads[*i].table(), Some((n, _)) if n == rows);
            let found: Vec<usize> = (0..self.facts.heads.len()).filter(of_stride).collect();
            let [first, second] = found[..] else {
                return Err(self.misfit(format!(
                    "{} outputs with the {rows} rows of stride {stride} instead of 2",
                    found.len()
                )));
            };
            // Distances have 4·8 columns in every published model; without that sign, scores come first.
            let swapped = self.facts.heads[first].table().is_some_and(|(_, columns)| columns == 32)
                && self.facts.heads[second].table().is_some_and(|(_, columns)| columns != 32);
            scores.push(if swapped { second } else { first });
            boxes.push(if swapped { first } else { second });
        }
        Ok((scores, boxes))
    }

    pub(super) fn yunet(self) -> Result<Assembled, SpecError> {
        let strides = self.strides(&[8, 16, 32])?;
        let part = |word: &str| -> Option<Vec<usize>> {
            strides.iter().map(|stride| self.exactly(&format!("{word}_{stride}"))).collect()
        };
        let (Some(cls), Some(obj), Some(bbox)) = (part("cls"), part("obj"), part("bbox")) else {
            return Err(self.misfit(format!("no outputs named cls_, obj_ and bbox_ for strides {strides:?}")));
        };
        let kps = match (self.said.and_then(|said| said.landmarks), part("kps")) {
            (Some(false), _) | (None, None) => Vec::new(),
            (_, Some(kps)) => kps,
            (Some(true), None) => return Err(self.misfit("no outputs named kps_ for the landmarks".into())),
        };
        let (_, columns) = self.table(cls[0], "[cells, classes]")?;
        Ok(self.done(Decoder::YuNet { strides, cls, obj, bbox, kps }, count(columns)))
    }
}
