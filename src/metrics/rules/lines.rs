//! Where the rules of a file stand: the YAML reader does not tell.

/// Characters that a sentence keeps of its head and of its end, where it quotes more than anybody reads.
const HEAD: usize = 240;
const END: usize = 160;

/// A sentence of a length that a log line and a terminal have room for: a file may be quoted whole.
pub(crate) fn readable(sentence: &str) -> String {
    let length = sentence.chars().count();
    if length <= HEAD + END {
        return sentence.to_owned();
    }
    let head = sentence.chars().take(HEAD);
    head.chain(" ... ".chars()).chain(sentence.chars().skip(length - END)).collect()
}

/// The line of each rule, counted from 1; empty when the rules are not a list in block style.
pub(crate) fn of_rules(text: &str, rules: usize) -> Vec<usize> {
    let mut lines = Vec::new();
    let mut inside = false;
    let mut indent = None;
    for (line, at) in text.lines().zip(1..) {
        let trimmed = line.trim_start_matches(' ');
        if trimmed.trim_end().is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let depth = line.len() - trimmed.len();
        if !inside {
            let rest = line.strip_prefix("rules:").map(str::trim);
            inside = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('#'));
            continue;
        }
        let item = trimmed == "-" || trimmed.starts_with("- ");
        if item && indent.is_none_or(|indent| indent == depth) {
            indent = Some(depth);
            lines.push(at);
        } else if depth == 0 || indent.is_none_or(|indent| depth < indent) {
            break;
        }
    }
    if lines.len() == rules { lines } else { Vec::new() }
}

/// The line of a key at the top, counted from 1.
pub(crate) fn of_key(text: &str, key: &str) -> Option<usize> {
    let begins = |line: &str| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':'));
    if key.is_empty() { None } else { text.lines().position(begins).map(|at| at + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_a_block_list_have_lines() {
        let flat =
            "a: 1\nrules:\n# one\n- pattern: 'x'\n  name: y\n\n- pattern: |\n    - z\nb: 2\n";
        assert_eq!(of_rules(flat, 2), [4, 7]);
        let deep = "rules: # here\n  -\n    pattern: x\n    labels:\n      - a\n  - pattern: y\n";
        assert_eq!(of_rules(deep, 2), [2, 6]);
        assert_eq!(of_rules("rules: [{pattern: x}]\n", 1), [0; 0]);
        assert_eq!(of_rules("x:\n  rules:\n  - a\n", 1), [0; 0]);
    }
}
