//! `?name[]=`: keeps only the samples of those names, as jmx_exporter does.

use std::collections::HashSet;

use bytes::Bytes;
use pharos_metrics::{Format, only_families};

/// What of `page` has a sample or a family whose name is in `names`; the page itself when no name is
/// given. In protobuf that is families, in which a histogram is not divided.
pub(crate) fn only(page: Bytes, format: Format, names: &[String]) -> Bytes {
    if names.is_empty() {
        return page;
    }
    let wanted: HashSet<&str> = names.iter().map(String::as_str).collect();
    match format {
        Format::Text | Format::OpenMetrics => only_lines(&page, &wanted),
        Format::Protobuf => only_families(&page, |name| wanted.contains(name)),
    }
}

/// The lines of those names, with the HELP, TYPE and UNIT lines before them. Both text formats have
/// one sample per line.
fn only_lines(page: &[u8], wanted: &HashSet<&str>) -> Bytes {
    let mut kept = Vec::new();
    let mut heads: Vec<&[u8]> = Vec::new();
    let mut family: &[u8] = &[];
    let is_wanted = |name: &[u8]| str::from_utf8(name).is_ok_and(|name| wanted.contains(name));
    for line in page.split_inclusive(|byte| *byte == b'\n') {
        let mut words = line.split(|byte| matches!(byte, b'{' | b' ' | b'\n'));
        if line.starts_with(b"# EOF") {
            kept.extend_from_slice(line);
        } else if line.starts_with(b"#") {
            let name = words.nth(2).unwrap_or_default();
            if name != family {
                heads.clear();
                family = name;
            }
            heads.push(line);
        } else if is_wanted(family) || words.next().is_some_and(is_wanted) {
            heads.drain(..).for_each(|head| kept.extend_from_slice(head));
            kept.extend_from_slice(line);
        }
    }
    kept.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# HELP a first\n# TYPE a gauge\na{x=\"b \"} 1\na{x=\"c\"} 2\n\
        # HELP b second\n# TYPE b histogram\nb_bucket{le=\"1.0\"} 1\nb_count 1\n\
        # TYPE empty gauge\n# TYPE c gauge\nc 3\n# EOF\n";

    #[test]
    fn samples_are_kept_by_name_with_their_heads() {
        let check = |names: &[&str], expected: &str| {
            let names: Vec<_> = names.iter().map(ToString::to_string).collect();
            let kept = only(PAGE.into(), Format::OpenMetrics, &names);
            assert_eq!(kept, expected.as_bytes(), "{names:?}");
        };
        check(&[], PAGE);
        check(&["none"], "# EOF\n");
        check(&["a"], "# HELP a first\n# TYPE a gauge\na{x=\"b \"} 1\na{x=\"c\"} 2\n# EOF\n");
        check(
            &["b_count", "c"],
            "# HELP b second\n# TYPE b histogram\nb_count 1\n# TYPE c gauge\nc 3\n# EOF\n",
        );
        // The name of a family is that of all its samples, as in the exporter's generation 1.x.
        let b = "# HELP b second\n# TYPE b histogram\nb_bucket{le=\"1.0\"} 1\nb_count 1\n# EOF\n";
        check(&["b"], b);
        check(&["b", "b_count"], b);
        check(&["empty"], "# EOF\n");
    }
}
