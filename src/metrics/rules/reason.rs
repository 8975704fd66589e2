//! Why samples are not written.

/// Why a sample is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// A template refers to a group that its pattern does not have.
    BadReference,
    /// `value` without a pattern.
    ValueWithoutPattern,
    /// A label without a value.
    LabelWithoutValue,
    /// `type:` without a value.
    TypeWithoutValue,
    /// The pattern took too many steps.
    PatternSteps,
    /// Two labels have the same name.
    DuplicateLabel,
    /// A label's name is not legal.
    IllegalLabel,
    /// A counter below 0.
    NegativeCounter,
    /// Another sample has the same name and labels.
    DuplicateSeries,
    /// A native family has the name, or the page's own.
    FamilyTaken,
    /// The family has as many series as it may have.
    SeriesLimit,
}

impl Reason {
    /// Every reason, in the order of their counters.
    pub(crate) const ALL: [Self; 11] = [
        Self::BadReference,
        Self::ValueWithoutPattern,
        Self::LabelWithoutValue,
        Self::TypeWithoutValue,
        Self::PatternSteps,
        Self::DuplicateLabel,
        Self::IllegalLabel,
        Self::NegativeCounter,
        Self::DuplicateSeries,
        Self::FamilyTaken,
        Self::SeriesLimit,
    ];

    /// The label value of the counter.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::BadReference => "bad_reference",
            Self::ValueWithoutPattern => "value_without_pattern",
            Self::LabelWithoutValue => "label_without_value",
            Self::TypeWithoutValue => "type_without_value",
            Self::PatternSteps => "pattern_steps",
            Self::DuplicateLabel => "duplicate_label",
            Self::IllegalLabel => "illegal_label",
            Self::NegativeCounter => "negative_counter",
            Self::DuplicateSeries => "duplicate_series",
            Self::FamilyTaken => "family_taken",
            Self::SeriesLimit => "series_limit",
        }
    }

    /// True where jmx_exporter ends the scrape and shows `jmx_scrape_error` 1.
    pub(crate) fn ends_a_scrape(self) -> bool {
        matches!(self, Self::BadReference | Self::ValueWithoutPattern | Self::LabelWithoutValue)
    }
}
