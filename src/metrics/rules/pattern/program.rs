//! A tree into instructions for the backtracking machine.

use super::class::Class;
use super::parse::{Assert, Node};

/// Most instructions of one pattern.
const MAX_INSTRUCTIONS: usize = 50_000;
/// Most visits to nodes while they are made: counts of repetitions multiply, also over nothing.
const MAX_VISITS: usize = 4 * MAX_INSTRUCTIONS;

#[derive(Debug)]
pub(super) enum Inst {
    Char(char),
    Set(usize),
    /// As many characters of the set as there are, but at least `min`; gives back one by one.
    Run {
        set: usize,
        min: u32,
        max: u32,
    },
    /// Tries the first, then the second.
    Split(usize, usize),
    Jump(usize),
    /// Stores the position.
    Save(usize),
    /// Leaves the loop for `exit` when the round that began at the slot's position took nothing.
    Progress {
        slot: usize,
        exit: usize,
    },
    Assert(Assert),
    /// Runs from the next instruction to its `Done`, then goes on at `next`.
    Sub {
        kind: Sub,
        next: usize,
    },
    Back {
        group: usize,
        fold: bool,
    },
    /// End of the body of a `Sub`.
    Done,
    Match,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sub {
    Atomic,
    Ahead { negative: bool },
    Behind { negative: bool, min: u32, max: u32 },
}

#[derive(Debug)]
pub(super) struct Program {
    pub(super) insts: Vec<Inst>,
    pub(super) sets: Vec<Class>,
    /// For each set: whether a printed number may hold a character of it.
    pub(super) in_number: Vec<bool>,
    /// Two slots per group (group 0 included), then one per loop that may take nothing.
    pub(super) slots: usize,
    /// For each instruction: whether it could end the match while reading nothing but
    /// characters of a printed number. What cannot is known to fail there, whatever the number.
    pub(super) ends_in_number: Vec<bool>,
}

/// The characters that Java prints numbers with.
pub(super) const NUMBER: &str = "0123456789.-+EINaNfinity";

type Result<T> = std::result::Result<T, String>;

pub(super) fn compile(node: &Node, groups: u32) -> Result<Program> {
    let slots = (groups as usize + 1) * 2;
    let mut compiler = Compiler { insts: Vec::new(), sets: Vec::new(), slots, visits: 0 };
    compiler.push(node)?;
    compiler.emit(Inst::Match)?;
    let number = Class::of(NUMBER);
    let mut program = Program {
        ends_in_number: Vec::new(),
        in_number: compiler.sets.iter().map(|set| set.overlaps(&number)).collect(),
        insts: compiler.insts,
        sets: compiler.sets,
        slots: compiler.slots,
    };
    program.ends_in_number = ends_in_number(&program);
    Ok(program)
}

struct Compiler {
    insts: Vec<Inst>,
    sets: Vec<Class>,
    slots: usize,
    visits: usize,
}

impl Compiler {
    fn emit(&mut self, inst: Inst) -> Result<usize> {
        if self.insts.len() >= MAX_INSTRUCTIONS {
            return Err("is too large".into());
        }
        self.insts.push(inst);
        Ok(self.insts.len() - 1)
    }

    fn patch(&mut self, at: usize, inst: Inst) {
        if let Some(slot) = self.insts.get_mut(at) {
            *slot = inst;
        }
    }

    fn set(&mut self, class: &Class) -> usize {
        if let Some(at) = self.sets.iter().position(|have| have == class) {
            return at;
        }
        self.sets.push(class.clone());
        self.sets.len() - 1
    }

    fn push(&mut self, node: &Node) -> Result<()> {
        self.visits += 1;
        if self.visits > MAX_VISITS {
            return Err("is too large".into());
        }
        match node {
            Node::Empty => {}
            Node::Set(class) => {
                let inst = match class.single() {
                    Some(c) => Inst::Char(c),
                    None => Inst::Set(self.set(class)),
                };
                self.emit(inst)?;
            }
            Node::Concat(nodes) => nodes.iter().try_for_each(|node| self.push(node))?,
            Node::Alternation(nodes) => self.alternation(nodes)?,
            Node::Capture(group, node) => {
                self.emit(Inst::Save(*group as usize * 2))?;
                self.push(node)?;
                self.emit(Inst::Save(*group as usize * 2 + 1))?;
            }
            Node::Repeat { node, min, max, lazy } => self.repeat(node, *min, *max, *lazy)?,
            Node::Atomic(node) => self.sub(Sub::Atomic, node)?,
            Node::Look { node, ahead: true, negative } => {
                self.sub(Sub::Ahead { negative: *negative }, node)?;
            }
            Node::Look { node, ahead: false, negative } => {
                let (min, max) = width(node);
                let max = max.ok_or("looks behind without an obvious longest length")?;
                self.sub(Sub::Behind { negative: *negative, min, max }, node)?;
            }
            Node::Back { group, fold } => {
                self.emit(Inst::Back { group: *group as usize, fold: *fold })?;
            }
            Node::Assert(assert) => {
                self.emit(Inst::Assert(*assert))?;
            }
        }
        Ok(())
    }

    fn sub(&mut self, kind: Sub, node: &Node) -> Result<()> {
        let at = self.emit(Inst::Match)?;
        self.push(node)?;
        self.emit(Inst::Done)?;
        let next = self.insts.len();
        self.patch(at, Inst::Sub { kind, next });
        Ok(())
    }

    fn alternation(&mut self, nodes: &[Node]) -> Result<()> {
        let mut ends = Vec::new();
        for (i, node) in nodes.iter().enumerate() {
            if i + 1 == nodes.len() {
                self.push(node)?;
                break;
            }
            let split = self.emit(Inst::Match)?;
            self.push(node)?;
            ends.push(self.emit(Inst::Match)?);
            self.patch(split, Inst::Split(split + 1, self.insts.len()));
        }
        let end = self.insts.len();
        for at in ends {
            self.patch(at, Inst::Jump(end));
        }
        Ok(())
    }

    fn repeat(&mut self, node: &Node, min: u32, max: Option<u32>, lazy: bool) -> Result<()> {
        if let (Node::Set(class), false) = (node, lazy) {
            let set = self.set(class);
            self.emit(Inst::Run { set, min, max: max.unwrap_or(u32::MAX) })?;
            return Ok(());
        }
        for _ in 0..min {
            self.push(node)?;
        }
        match max {
            None => self.star(node, lazy),
            Some(max) => {
                let mut splits = Vec::new();
                for _ in min..max {
                    splits.push(self.emit(Inst::Match)?);
                    self.push(node)?;
                }
                let end = self.insts.len();
                for at in splits {
                    self.split(at, at + 1, end, lazy);
                }
                Ok(())
            }
        }
    }

    fn star(&mut self, node: &Node, lazy: bool) -> Result<()> {
        let split = self.emit(Inst::Match)?;
        let may_be_empty = width(node).0 == 0;
        let slot = self.slots;
        if may_be_empty {
            self.slots += 1;
            self.emit(Inst::Save(slot))?;
        }
        self.push(node)?;
        let progress = if may_be_empty { Some(self.emit(Inst::Match)?) } else { None };
        self.emit(Inst::Jump(split))?;
        let exit = self.insts.len();
        if let Some(at) = progress {
            self.patch(at, Inst::Progress { slot, exit });
        }
        self.split(split, split + 1, exit, lazy);
        Ok(())
    }

    fn split(&mut self, at: usize, body: usize, exit: usize, lazy: bool) {
        self.patch(at, if lazy { Inst::Split(exit, body) } else { Inst::Split(body, exit) });
    }
}

/// Fewest and most characters that a node takes; `None` without a bound.
fn width(node: &Node) -> (u32, Option<u32>) {
    match node {
        Node::Empty | Node::Assert(_) | Node::Look { .. } => (0, Some(0)),
        Node::Set(_) => (1, Some(1)),
        Node::Concat(nodes) => nodes.iter().map(width).fold((0, Some(0)), |(a, b), (c, d)| {
            (a.saturating_add(c), b.zip(d).map(|(b, d)| b.saturating_add(d)))
        }),
        Node::Alternation(nodes) => {
            let min = nodes.iter().map(|node| width(node).0).min().unwrap_or(0);
            let max = nodes.iter().map(|node| width(node).1).try_fold(0, |a, b| Some(a.max(b?)));
            (min, max)
        }
        Node::Capture(_, node) | Node::Atomic(node) => width(node),
        Node::Repeat { node, min, max, .. } => {
            let (low, high) = width(node);
            (low.saturating_mul(*min), high.zip(*max).map(|(h, m)| h.saturating_mul(m)))
        }
        Node::Back { .. } => (0, None),
    }
}

/// Which instructions reach the end by reading characters of [`NUMBER`] alone. Assertions, looks
/// and references count as passed, so that the answer errs on the side of true.
fn ends_in_number(program: &Program) -> Vec<bool> {
    let number = Class::of(NUMBER);
    let count = program.insts.len();
    let mut ends = vec![false; count];
    loop {
        let mut changed = false;
        for at in (0..count).rev() {
            let yes = |to: usize| ends.get(to).copied().unwrap_or(false);
            let now = match program.insts.get(at) {
                None => false,
                Some(Inst::Char(c)) => number.has(*c) && yes(at + 1),
                Some(Inst::Set(set)) => program.in_number(*set) && yes(at + 1),
                Some(Inst::Run { set, min, .. }) => {
                    (*min == 0 || program.in_number(*set)) && yes(at + 1)
                }
                Some(Inst::Split(a, b)) => yes(*a) || yes(*b),
                Some(Inst::Jump(to)) => yes(*to),
                Some(Inst::Progress { exit, .. }) => yes(at + 1) || yes(*exit),
                Some(Inst::Assert(Assert::Begin)) => false,
                Some(Inst::Save(_) | Inst::Assert(_) | Inst::Back { .. }) => yes(at + 1),
                Some(Inst::Sub { kind: Sub::Atomic, next }) => yes(at + 1) && yes(*next),
                Some(Inst::Sub { next, .. }) => yes(*next),
                Some(Inst::Done | Inst::Match) => true,
            };
            if let Some(slot) = ends.get_mut(at)
                && now != *slot
            {
                *slot = now;
                changed = true;
            }
        }
        if !changed {
            return ends;
        }
    }
}

impl Program {
    pub(super) fn in_number(&self, set: usize) -> bool {
        self.in_number.get(set).copied().unwrap_or(true)
    }
}
