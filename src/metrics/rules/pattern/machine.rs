//! The backtracking machine: Java's order of alternatives, with a step limit.

use super::parse::Assert;
use super::program::{Inst, Program, Sub};

/// Steps of one evaluation; what needs more is given up and counted.
pub(super) const MAX_STEPS: u32 = 200_000;

/// Why a pattern gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The answer depends on the number, which was not given.
    Depends,
    /// [`MAX_STEPS`] were taken.
    Steps,
}

/// What a pattern is matched against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input<'a> {
    pub(super) text: &'a str,
    /// The text goes on with a printed number that is not known.
    pub(super) number_follows: bool,
}

const UNSET: usize = usize::MAX;

/// Positions behind the unknown number.
const AFTER_NUMBER: usize = usize::MAX - 1;

/// Reused by one thread from match to match.
#[derive(Debug, Default)]
pub(super) struct Machine {
    pub(super) slots: Vec<usize>,
    stack: Vec<Entry>,
    steps: u32,
}

#[derive(Debug)]
enum Entry {
    /// Go on there.
    Branch { at: usize, pos: usize },
    /// Give one character of a run back, down to `low`.
    Retreat { at: usize, low: usize, pos: usize },
    /// Undo a store.
    Restore { slot: usize, old: usize },
}

struct Run<'a> {
    program: &'a Program,
    input: Input<'a>,
    /// A match must end behind the last line break, since `.*` follows it.
    end_from: usize,
}

impl Machine {
    /// Finds the last start at which the whole of `^.*(?:PATTERN).*$` matches. On success the
    /// slots hold the groups.
    pub(super) fn search(&mut self, program: &Program, input: Input<'_>) -> Result<bool, Stop> {
        self.steps = 0;
        let text = input.text;
        let first_break = text.find(is_break).unwrap_or(text.len());
        let end_from = text.rfind(is_break).map_or(0, |at| {
            at + text.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8)
        });
        let run = Run { program, input, end_from };
        if input.number_follows && first_break == text.len() {
            // The number has no line break: the greedy `.*` first takes it whole, then parts.
            if self.attempt(&run, AFTER_NUMBER)? {
                return Ok(true);
            }
            if program.ends_in_number.first() == Some(&true) {
                return Err(Stop::Depends);
            }
        }
        let anchored = matches!(
            program.insts.iter().find(|inst| !matches!(inst, Inst::Save(_))),
            Some(Inst::Assert(Assert::Begin))
        );
        if anchored {
            return self.attempt(&run, 0);
        }
        let lead = program.insts.iter().find(|inst| !matches!(inst, Inst::Save(_)));
        let mut start = first_break;
        loop {
            let fits = match lead {
                Some(Inst::Char(c)) => text.get(start..).is_some_and(|rest| rest.starts_with(*c)),
                _ => true,
            };
            if fits && self.attempt(&run, start)? {
                return Ok(true);
            }
            match text.get(..start).and_then(|before| before.chars().next_back()) {
                Some(c) => start -= c.len_utf8(),
                None => return Ok(false),
            }
        }
    }

    fn attempt(&mut self, run: &Run<'_>, start: usize) -> Result<bool, Stop> {
        self.slots.clear();
        self.slots.resize(run.program.slots, UNSET);
        self.stack.clear();
        let found = self.run(run, 0, start, None)?.is_some();
        if found && let Some(slot) = self.slots.first_mut() {
            *slot = start;
        }
        Ok(found)
    }

    /// Runs from `at` until `Match` or `Done`; `None` when every branch failed. With `must_end`
    /// the end has to lie there. Entries above the caller's stay on the stack for atomic groups
    /// to drop.
    fn run(
        &mut self,
        run: &Run<'_>,
        mut at: usize,
        mut pos: usize,
        must_end: Option<usize>,
    ) -> Result<Option<usize>, Stop> {
        let base = self.stack.len();
        loop {
            self.steps += 1;
            if self.steps > MAX_STEPS {
                return Err(Stop::Steps);
            }
            let went = match run.program.insts.get(at) {
                None => None,
                Some(Inst::Match | Inst::Done) => {
                    let ends = match must_end {
                        Some(end) => pos == end,
                        None => {
                            !matches!(run.program.insts.get(at), Some(Inst::Match))
                                || pos >= run.end_from
                        }
                    };
                    if ends {
                        return Ok(Some(pos));
                    }
                    None
                }
                Some(inst) => self.step(run, inst, at, pos)?,
            };
            match went {
                Some(next) => (at, pos) = next,
                None => match self.backtrack(run, base) {
                    Some(next) => (at, pos) = next,
                    None => return Ok(None),
                },
            }
        }
    }

    /// One instruction; `None` fails.
    fn step(
        &mut self,
        run: &Run<'_>,
        inst: &Inst,
        at: usize,
        pos: usize,
    ) -> Result<Option<(usize, usize)>, Stop> {
        Ok(match inst {
            Inst::Char(want) => run
                .read(pos, at + 1, |c| c == *want, || super::is_number_char(*want))?
                .map(|p| (at + 1, p)),
            Inst::Set(at_set) => {
                let Some(set) = run.program.sets.get(*at_set) else { return Ok(None) };
                run.read(pos, at + 1, |c| set.has(c), || run.program.in_number(*at_set))?
                    .map(|p| (at + 1, p))
            }
            Inst::Run { set, min, max } => self.run_of(run, *set, (*min, *max), at, pos)?,
            Inst::Split(first, second) => {
                self.stack.push(Entry::Branch { at: *second, pos });
                Some((*first, pos))
            }
            Inst::Jump(to) => Some((*to, pos)),
            Inst::Save(slot) => {
                self.save(*slot, pos);
                Some((at + 1, pos))
            }
            Inst::Progress { slot, exit } => {
                let stuck = self.slots.get(*slot) == Some(&pos);
                Some((if stuck { *exit } else { at + 1 }, pos))
            }
            Inst::Assert(assert) => run.holds(*assert, pos)?.then_some((at + 1, pos)),
            Inst::Sub { kind, next } => self.sub(run, *kind, at + 1, pos)?.map(|pos| (*next, pos)),
            Inst::Back { group, fold } => self.back(run, *group, *fold, pos)?.map(|p| (at + 1, p)),
            Inst::Done | Inst::Match => None,
        })
    }

    fn save(&mut self, slot: usize, pos: usize) {
        if let Some(value) = self.slots.get_mut(slot) {
            self.stack.push(Entry::Restore { slot, old: *value });
            *value = pos;
        }
    }

    fn backtrack(&mut self, run: &Run<'_>, base: usize) -> Option<(usize, usize)> {
        while self.stack.len() > base {
            match self.stack.pop()? {
                Entry::Branch { at, pos } => return Some((at, pos)),
                Entry::Restore { slot, old } => {
                    if let Some(value) = self.slots.get_mut(slot) {
                        *value = old;
                    }
                }
                Entry::Retreat { at, low, pos } => {
                    let before = run.input.text.get(..pos)?.chars().next_back()?;
                    let pos = pos - before.len_utf8();
                    if pos > low {
                        self.stack.push(Entry::Retreat { at, low, pos });
                    }
                    return Some((at, pos));
                }
            }
        }
        None
    }

    fn run_of(
        &mut self,
        run: &Run<'_>,
        at_set: usize,
        (min, max): (u32, u32),
        at: usize,
        pos: usize,
    ) -> Result<Option<(usize, usize)>, Stop> {
        let Some(set) = run.program.sets.get(at_set) else { return Ok(None) };
        if pos == AFTER_NUMBER {
            return Ok((min == 0).then_some((at + 1, pos)));
        }
        let rest = run.input.text.get(pos..).unwrap_or_default();
        let (mut end, mut low, mut count) = (pos, pos, 0_u32);
        for c in rest.chars() {
            if count == max || !set.has(c) {
                break;
            }
            end += c.len_utf8();
            count += 1;
            if count == min {
                low = end;
            }
        }
        self.steps = self.steps.saturating_add(count / 8);
        let at_number = run.input.number_follows && end == run.input.text.len() && count < max;
        if at_number && run.program.in_number(at_set) && run.ends_in_number(at + 1) {
            return Err(Stop::Depends);
        }
        if count < min {
            return Ok(None);
        }
        if end > low {
            self.stack.push(Entry::Retreat { at: at + 1, low, pos: end });
        }
        Ok(Some((at + 1, end)))
    }

    fn sub(
        &mut self,
        run: &Run<'_>,
        kind: Sub,
        body: usize,
        pos: usize,
    ) -> Result<Option<usize>, Stop> {
        let height = self.stack.len();
        match kind {
            Sub::Atomic => {
                let end = self.run(run, body, pos, None)?;
                self.settle(height, end.is_some());
                Ok(end)
            }
            Sub::Ahead { negative } => {
                let found = self.run(run, body, pos, None)?.is_some();
                self.settle(height, found && !negative);
                Ok((found != negative).then_some(pos))
            }
            Sub::Behind { negative, min, max } => {
                if pos == AFTER_NUMBER {
                    return Err(Stop::Depends);
                }
                let mut found = false;
                let mut start = pos;
                for width in 0..=max {
                    if width >= min {
                        found = self.run(run, body, start, Some(pos))?.is_some();
                        if found {
                            break;
                        }
                    }
                    let before = run.input.text.get(..start).unwrap_or_default();
                    match before.chars().next_back() {
                        Some(c) => start -= c.len_utf8(),
                        None => break,
                    }
                }
                self.settle(height, found && !negative);
                Ok((found != negative).then_some(pos))
            }
        }
    }

    /// Drops the branches above `height`; keeps the undo entries when what was stored stays.
    fn settle(&mut self, height: usize, keep: bool) {
        if keep {
            let mut kept = height;
            for at in height..self.stack.len() {
                if matches!(self.stack.get(at), Some(Entry::Restore { .. })) {
                    self.stack.swap(kept, at);
                    kept += 1;
                }
            }
            self.stack.truncate(kept);
            return;
        }
        while self.stack.len() > height {
            if let Some(Entry::Restore { slot, old }) = self.stack.pop()
                && let Some(value) = self.slots.get_mut(slot)
            {
                *value = old;
            }
        }
    }

    fn back(
        &self,
        run: &Run<'_>,
        group: usize,
        fold: bool,
        pos: usize,
    ) -> Result<Option<usize>, Stop> {
        let Some(want) = self.group(run.input.text, group) else { return Ok(None) };
        if want.is_empty() {
            return Ok(Some(pos));
        }
        if pos == AFTER_NUMBER {
            return Ok(None);
        }
        let rest = run.input.text.get(pos..).unwrap_or_default();
        if run.input.number_follows && rest.len() < want.len() && want.starts_with(rest) {
            return Err(Stop::Depends);
        }
        let have = rest.get(..want.len());
        let same = have
            .is_some_and(|have| if fold { have.eq_ignore_ascii_case(want) } else { have == want });
        Ok(same.then_some(pos + want.len()))
    }

    /// The text of a group; `None` when it took no part.
    pub(super) fn group<'t>(&self, text: &'t str, group: usize) -> Option<&'t str> {
        let from = self.slots.get(group * 2).copied().filter(|at| *at != UNSET)?;
        let to = self.slots.get(group * 2 + 1).copied().filter(|at| *at != UNSET)?;
        if from == AFTER_NUMBER {
            return Some("");
        }
        text.get(from..to)
    }
}

impl Run<'_> {
    fn ends_in_number(&self, at: usize) -> bool {
        self.program.ends_in_number.get(at).copied().unwrap_or(false)
    }

    /// Reads one character; at the unknown number fails when it could not lead to a match.
    fn read(
        &self,
        pos: usize,
        next: usize,
        fits: impl Fn(char) -> bool,
        fits_number: impl Fn() -> bool,
    ) -> Result<Option<usize>, Stop> {
        if pos == AFTER_NUMBER {
            return Ok(None);
        }
        match self.input.text.get(pos..).and_then(|rest| rest.chars().next()) {
            Some(c) => Ok(fits(c).then_some(pos + c.len_utf8())),
            None if self.input.number_follows && fits_number() && self.ends_in_number(next) => {
                Err(Stop::Depends)
            }
            None => Ok(None),
        }
    }

    fn holds(&self, assert: Assert, pos: usize) -> Result<bool, Stop> {
        let text = self.input.text;
        if pos == AFTER_NUMBER {
            // A number is never empty and ends in a digit or a letter.
            return Ok(!matches!(
                assert,
                Assert::Begin | Assert::LineBegin | Assert::NoWordBoundary
            ));
        }
        let rest = text.get(pos..).unwrap_or_default();
        let before = text.get(..pos).and_then(|text| text.chars().next_back());
        let after = rest.chars().next();
        let number_next = self.input.number_follows && after.is_none();
        Ok(match assert {
            Assert::Begin => pos == 0,
            Assert::VeryEnd => after.is_none() && !number_next,
            Assert::End => match after {
                None => !number_next,
                Some(_) if self.input.number_follows => false,
                Some('\n') => rest.len() == 1 && before != Some('\r'),
                Some('\r') => rest.len() == 1 || rest == "\r\n",
                Some(c) => is_break(c) && rest.len() == c.len_utf8(),
            },
            Assert::LineBegin => {
                let broke = match before {
                    None => true,
                    Some('\r') => after != Some('\n'),
                    Some(c) => is_break(c),
                };
                broke && (pos == 0 || after.is_some() || number_next)
            }
            Assert::LineEnd => match after {
                None => !number_next,
                Some('\n') => before != Some('\r'),
                Some(c) => is_break(c),
            },
            Assert::WordBoundary | Assert::NoWordBoundary => {
                if number_next {
                    return Err(Stop::Depends);
                }
                let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
                (word(before) != word(after)) == (assert == Assert::WordBoundary)
            }
        })
    }
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}
