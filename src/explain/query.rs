//! Queries of boards and rules: Grafana's variables are put aside, then PromQL is read.

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{Expr, VectorSelector};

/// Stands for what a person chooses on a board.
pub(crate) const CHOSEN: &str = "xChosenOnTheBoardx";

/// Longest query that is read, in bytes.
const MAX_QUERY: usize = 64 * 1024;
/// Most brackets open at a time: the reader recurses.
const MAX_OPEN: usize = 100;
/// Most operators: each may stand below the next, and whoever walks over them recurses.
const MAX_OPERATORS: usize = 250;

/// Reads a query.
///
/// # Errors
/// What the reader says, in one line.
pub(crate) fn parse(text: &str) -> Result<Expr, String> {
    if text.len() > MAX_QUERY {
        return Err(format!("is longer than {MAX_QUERY} bytes"));
    }
    check_depth(text)?;
    let plain = without_variables(text, "5");
    promql_parser::parser::parse(&plain)
        .or_else(|error| {
            // A variable may stand where a name does.
            let named = without_variables(text, CHOSEN);
            promql_parser::parser::parse(&named).map_err(|_| error)
        })
        .map_err(|error| error.replace(['\n', '\r'], " "))
}

/// Refuses what would be too deep a tree. What stands in quotes and comments does not count.
fn check_depth(text: &str) -> Result<(), String> {
    let (mut open, mut operators) = (0_usize, 0_usize);
    let (mut quote, mut word) = (None::<char>, String::new());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some('"' | '\''), '\\') => {
                chars.next();
            }
            (Some(end), c) if c == end => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '#') => {
                chars.find(|c| *c == '\n');
            }
            (None, '(' | '[' | '{') => open += 1,
            (None, ')' | ']' | '}') => open = open.saturating_sub(1),
            (None, '+' | '-' | '*' | '/' | '%' | '^' | '=' | '<' | '>' | '!') => operators += 1,
            (None, _) => {}
        }
        if c.is_ascii_alphanumeric() {
            word.push(c.to_ascii_lowercase());
        } else {
            operators += usize::from(matches!(&*word, "and" | "or" | "unless" | "atan2"));
            word.clear();
        }
        if open > MAX_OPEN {
            return Err(format!("opens more than {MAX_OPEN} brackets"));
        }
        if operators > MAX_OPERATORS {
            return Err(format!("has more than {MAX_OPERATORS} operators"));
        }
    }
    Ok(())
}

/// `$name`, `${name:format}` and `[[name]]`: a mark in quotes, a duration in brackets, else `other`.
fn without_variables(text: &str, other: &str) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    let (mut quote, mut range) = (None, false);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = variable(rest) {
            out.push_str(match (quote, range) {
                (Some(_), _) => CHOSEN,
                (None, true) => "5m",
                (None, false) => other,
            });
            rest = after;
            continue;
        }
        let mut taken = c.len_utf8();
        match (quote, c) {
            (Some(_), '\\') => {
                let next = rest.chars().nth(1).map_or(0, char::len_utf8);
                taken += next;
            }
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '[') => range = true,
            (None, ']') => range = false,
            _ => {}
        }
        let (head, tail) = rest.split_at_checked(taken).unwrap_or((rest, ""));
        out.push_str(head);
        rest = tail;
    }
    out
}

/// What follows a variable that the text begins with.
fn variable(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix("${") {
        return rest.split_once('}').map(|(_, after)| after);
    }
    if let Some(rest) = text.strip_prefix("[[") {
        return rest.split_once("]]").map(|(_, after)| after);
    }
    let rest = text.strip_prefix('$')?;
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    (end > 0).then(|| rest.get(end..)).flatten()
}

/// Every selector of a query.
pub(crate) fn selectors(expr: &Expr) -> Vec<&VectorSelector> {
    let mut found = Vec::new();
    walk(expr, &mut found);
    found
}

fn walk<'a>(expr: &'a Expr, found: &mut Vec<&'a VectorSelector>) {
    match expr {
        Expr::Aggregate(it) => {
            walk(&it.expr, found);
            if let Some(param) = &it.param {
                walk(param, found);
            }
        }
        Expr::Unary(it) => walk(&it.expr, found),
        Expr::Binary(it) => {
            walk(&it.lhs, found);
            walk(&it.rhs, found);
        }
        Expr::Paren(it) => walk(&it.expr, found),
        Expr::Subquery(it) => walk(&it.expr, found),
        Expr::VectorSelector(it) => found.push(it),
        Expr::MatrixSelector(it) => found.push(&it.vs),
        Expr::Call(it) => it.args.args.iter().for_each(|arg| walk(arg, found)),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}

/// Whether a name satisfies the selector.
pub(crate) fn names(selector: &VectorSelector, name: &str) -> bool {
    selector.name.as_ref().is_none_or(|have| have == name || have.contains(CHOSEN))
        && of_name(selector).all(|matcher| fits(matcher, name))
}

fn of_name(selector: &VectorSelector) -> impl Iterator<Item = &Matcher> {
    selector.matchers.matchers.iter().filter(|matcher| matcher.name == "__name__")
}

/// The matchers of labels.
pub(crate) fn matchers(selector: &VectorSelector) -> impl Iterator<Item = &Matcher> {
    selector.matchers.matchers.iter().filter(|matcher| matcher.name != "__name__")
}

/// Whether a value satisfies a matcher. What is chosen on a board may be any value, but nothing only
/// where it is a pattern.
pub(crate) fn fits(matcher: &Matcher, value: &str) -> bool {
    match is_chosen(matcher) {
        true => !(value.is_empty() && matches!(matcher.op, MatchOp::Equal)),
        false => matcher.is_match(value),
    }
}

/// Whether a board lets people choose the value of a matcher.
pub(crate) fn is_chosen(matcher: &Matcher) -> bool {
    matcher.value.contains(CHOSEN)
}

/// Whether some value that is not empty satisfies a matcher.
pub(crate) fn fits_some(matcher: &Matcher) -> bool {
    match &matcher.op {
        MatchOp::Equal => !matcher.value.is_empty(),
        MatchOp::Re(_) => !matcher.value.is_empty(),
        MatchOp::NotEqual | MatchOp::NotRe(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_stand_for_what_fits_there() {
        for (text, want) in [
            ("a{b=\"$c\"}", "a{b=\"xChosenOnTheBoardx\"}"),
            ("a{b=~\"${c:regex}|x\"}", "a{b=~\"xChosenOnTheBoardx|x\"}"),
            ("rate(a[$__rate_interval])", "rate(a[5m])"),
            ("topk($n, a)", "topk(5, a)"),
            ("a{b=\"\\\"$c\"}", "a{b=\"\\\"xChosenOnTheBoardx\"}"),
            ("a{b=\"x$\"}", "a{b=\"x$\"}"),
        ] {
            assert_eq!(without_variables(text, "5"), want);
        }
        assert!(parse("sum by ($by) (rate(a[$__range]))").is_ok());
        assert!(parse("sum(").is_err());
        assert!(parse(&"(".repeat(5000)).unwrap_err().contains("brackets"));
    }

    #[test]
    fn a_query_that_would_be_too_deep_is_refused() {
        for (first, more) in [("a", "+a"), ("1", "-"), ("a", " or a"), ("# '\na", "*a")] {
            let text = match more {
                "-" => more.repeat(10_000) + first,
                more => first.to_owned() + &more.repeat(10_000),
            };
            assert!(parse(&text).unwrap_err().contains("operators"), "{more}");
        }
        let quoted = format!("a{{b=~\"{}\", c!='\\'{}'}}", "x+".repeat(1000), "-".repeat(1000));
        assert!(parse(&quoted).is_ok());
    }
}
