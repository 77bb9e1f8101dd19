//! How much of a picture is wanted by who asks for it.

/// What a picture is decoded to, where its format can do that at less cost than in full. As a person sees it, turned as EXIF says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// Every pixel.
    #[default]
    Whole,
    /// The picture with its sides divided by up to this, averaged.
    Divided(u32),
    /// The pixels where these columns and rows cross, as they are in the whole. Both ascend; some may come twice.
    Lines {
        /// Columns of the whole.
        columns: Vec<u32>,
        /// Rows of the whole.
        rows: Vec<u32>,
    },
}

impl Wanted {
    /// Whether there is something to save.
    pub(super) fn is_less(&self) -> bool {
        match self {
            Self::Whole => false,
            Self::Divided(by) => *by > 1,
            Self::Lines { columns, rows } => !columns.is_empty() && !rows.is_empty(),
        }
    }
}
