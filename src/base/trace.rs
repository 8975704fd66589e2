//! Which trace something belongs to: the ids that W3C's Trace Context and OpenTelemetry give to a
//! trace and to a span of it.

use std::fmt;

/// Id of a trace; printed as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TraceId(pub u128);

/// Id of a span; printed as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SpanId(pub u64);

/// A span, for those who point to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The span in it.
    pub span_id: SpanId,
    /// Whether the span is exported: only then does anybody find it.
    pub sampled: bool,
}

impl TraceContext {
    /// Whether both ids are ids: 0 stands for none.
    pub fn is_valid(&self) -> bool {
        self.trace_id != TraceId(0) && self.span_id != SpanId(0)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_printed_in_full() {
        let trace_id = TraceId(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
        let span_id = SpanId(0xb7ad_6b71);
        assert_eq!(trace_id.to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(span_id.to_string(), "00000000b7ad6b71");
        let context = TraceContext { trace_id, span_id, sampled: false };
        assert!(context.is_valid());
        assert!(!TraceContext { trace_id: TraceId(0), ..context }.is_valid());
        assert!(!TraceContext { span_id: SpanId(0), ..context }.is_valid());
    }
}
