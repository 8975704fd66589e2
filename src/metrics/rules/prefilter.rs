//! Which rules are worth trying on a text.

use aho_corasick::{AhoCorasick, MatchKind};

use super::config::Rule;

/// Finds the rules that a text could match, by the literals that each pattern must contain.
#[derive(Debug)]
pub(crate) struct Prefilter {
    automaton: Option<AhoCorasick>,
    /// For each literal the rules that need it.
    needed_by: Vec<Vec<usize>>,
    /// For each rule how many literals it needs.
    needs: Vec<u32>,
    /// Rules that need none.
    always: Vec<usize>,
}

/// What one scan found; reused by one thread.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    /// The rules worth trying, in file order.
    pub(crate) rules: Vec<usize>,
    seen: Vec<bool>,
    found: Vec<u32>,
}

impl Prefilter {
    /// Of a file's rules, in their order.
    ///
    /// # Errors
    /// When the literals of all rules are too much for the automaton.
    pub(crate) fn new(rules: &[Rule]) -> Result<Self, String> {
        let mut literals: indexmap::IndexMap<&str, Vec<usize>> = indexmap::IndexMap::new();
        let mut needs = vec![0; rules.len()];
        let mut always = Vec::new();
        for ((at, rule), need) in rules.iter().enumerate().zip(&mut needs) {
            // A cached rule sees a text of its own.
            let own = match &rule.pattern {
                Some(pattern) if !rule.cache => pattern.literals(),
                _ => &[],
            };
            if own.is_empty() {
                always.push(at);
            }
            for literal in own {
                literals.entry(literal).or_default().push(at);
                *need += 1;
            }
        }
        let automaton = if literals.is_empty() {
            None
        } else {
            let built =
                AhoCorasick::builder().match_kind(MatchKind::Standard).build(literals.keys());
            Some(built.map_err(|error| format!("rules: {error}"))?)
        };
        Ok(Self { automaton, needed_by: literals.into_values().collect(), needs, always })
    }

    /// Scans both texts, which count together: the second is the one with the attribute in snake
    /// case.
    pub(crate) fn scan(&self, texts: [&str; 2], out: &mut Candidates) {
        let Candidates { rules, seen, found } = out;
        rules.clear();
        rules.extend_from_slice(&self.always);
        let Some(automaton) = &self.automaton else { return };
        seen.clear();
        seen.resize(self.needed_by.len(), false);
        found.clear();
        found.resize(self.needs.len(), 0);
        for text in texts {
            for hit in automaton.find_overlapping_iter(text) {
                let literal = hit.pattern().as_usize();
                let Some(seen) = seen.get_mut(literal) else { continue };
                if std::mem::replace(seen, true) {
                    continue;
                }
                for rule in self.needed_by.get(literal).into_iter().flatten() {
                    let (Some(found), Some(need)) = (found.get_mut(*rule), self.needs.get(*rule))
                    else {
                        continue;
                    };
                    *found += 1;
                    if found == need {
                        rules.push(*rule);
                    }
                }
            }
        }
        rules.sort_unstable();
    }
}
