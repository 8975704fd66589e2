//! Java's regular expression syntax (`java.util.regex.Pattern`) into a tree.

mod sets;

use std::collections::HashMap;

use super::class::Class;

/// Longest pattern.
const MAX_LEN: usize = 16 * 1024;
/// Deepest nesting of groups and classes.
const MAX_DEPTH: u32 = 100;
/// Largest count in a repetition.
const MAX_REPEAT: u32 = 1000;

#[derive(Debug, Clone)]
pub(super) enum Node {
    Empty,
    Set(Class),
    Concat(Vec<Self>),
    Alternation(Vec<Self>),
    Capture(u32, Box<Self>),
    Repeat { node: Box<Self>, min: u32, max: Option<u32>, lazy: bool },
    Atomic(Box<Self>),
    Look { node: Box<Self>, ahead: bool, negative: bool },
    Back { group: u32, fold: bool },
    Assert(Assert),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Assert {
    /// `^` and `\A`.
    Begin,
    /// `^` with `(?m)`.
    LineBegin,
    /// `$` and `\Z`: the end, or before a line break that ends the text.
    End,
    /// `$` with `(?m)`.
    LineEnd,
    /// `\z`.
    VeryEnd,
    WordBoundary,
    NoWordBoundary,
}

/// A parsed pattern.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) node: Node,
    pub(super) groups: u32,
    pub(super) names: Vec<(String, u32)>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    fold: bool,
    unicode: bool,
    multiline: bool,
    dot_all: bool,
    unix_lines: bool,
    comments: bool,
}

struct Parser {
    text: Vec<char>,
    at: usize,
    depth: u32,
    groups: u32,
    names: Vec<(String, u32)>,
    flags: Flags,
    /// Classes by the names that `\p` knows them by, as far as they were used.
    properties: HashMap<String, Class>,
}

type Result<T> = std::result::Result<T, String>;

pub(super) fn parse(pattern: &str) -> Result<Parsed> {
    if pattern.len() > MAX_LEN {
        return Err(format!("is longer than {MAX_LEN} bytes"));
    }
    let mut parser = Parser {
        text: pattern.chars().collect(),
        at: 0,
        depth: 0,
        groups: 0,
        names: Vec::new(),
        flags: Flags::default(),
        properties: HashMap::new(),
    };
    let node = parser.alternation()?;
    if parser.peek().is_some() {
        return Err(format!("has an unmatched ')' at {}", parser.at));
    }
    Ok(Parsed { node, groups: parser.groups, names: parser.names })
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek();
        self.at += usize::from(c.is_some());
        c
    }

    fn eat(&mut self, text: &str) -> bool {
        let found = text.chars().enumerate().all(|(i, c)| self.text.get(self.at + i) == Some(&c));
        if found {
            self.at += text.chars().count();
        }
        found
    }

    fn enter(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err("is nested too deeply".into()) } else { Ok(()) }
    }

    fn alternation(&mut self) -> Result<Node> {
        self.enter()?;
        let mut branches = vec![self.sequence()?];
        while self.eat("|") {
            branches.push(self.sequence()?);
        }
        self.depth -= 1;
        Ok(match branches.pop() {
            Some(only) if branches.is_empty() => only,
            Some(last) => {
                branches.push(last);
                Node::Alternation(branches)
            }
            None => Node::Empty,
        })
    }

    fn sequence(&mut self) -> Result<Node> {
        let mut nodes = Vec::new();
        loop {
            self.skip_comments();
            match self.peek() {
                None | Some('|' | ')') => break,
                Some(_) => {}
            }
            if self.eat("\\Q") {
                self.quoted(&mut nodes)?;
                continue;
            }
            if let Some(atom) = self.atom()? {
                nodes.push(self.quantified(atom)?);
            }
        }
        Ok(if nodes.is_empty() { Node::Empty } else { Node::Concat(nodes) })
    }

    /// `\Q...\E`; a quantifier after it binds to the last character.
    fn quoted(&mut self, nodes: &mut Vec<Node>) -> Result<()> {
        let mut last = None;
        while self.peek().is_some() && !self.eat("\\E") {
            if let Some(c) = self.next() {
                nodes.extend(last.replace(self.literal(c)));
            }
        }
        if let Some(node) = last {
            let node = self.quantified(node)?;
            nodes.push(node);
        }
        Ok(())
    }

    fn skip_comments(&mut self) {
        while self.flags.comments {
            match self.peek() {
                Some(c) if c.is_ascii_whitespace() => self.at += 1,
                Some('#') => while !matches!(self.next(), None | Some('\n')) {},
                _ => return,
            }
        }
    }

    fn literal(&self, c: char) -> Node {
        let class = Class::new(vec![(c as u32, c as u32)]);
        Node::Set(self.folded(class))
    }

    /// One atom; `None` for a group that only sets flags.
    fn atom(&mut self) -> Result<Option<Node>> {
        let at = self.at;
        let Some(c) = self.next() else { return Ok(None) };
        Ok(Some(match c {
            '(' => return self.group(),
            '[' => Node::Set(self.class()?),
            '.' => Node::Set(self.dot()),
            '^' if self.flags.multiline => Node::Assert(Assert::LineBegin),
            '^' => Node::Assert(Assert::Begin),
            '$' if self.flags.multiline => Node::Assert(Assert::LineEnd),
            '$' => Node::Assert(Assert::End),
            '\\' => return self.escape().map(Some),
            '*' | '+' | '?' => return Err(format!("has a dangling '{c}' at {at}")),
            '{' => return Err(format!("has an illegal repetition at {at}")),
            c => self.literal(c),
        }))
    }

    fn dot(&self) -> Class {
        if self.flags.dot_all {
            Class::empty().not()
        } else if self.flags.unix_lines {
            Class::of("\n").not()
        } else {
            Class::of("\n\r\u{85}\u{2028}\u{2029}").not()
        }
    }

    fn group(&mut self) -> Result<Option<Node>> {
        let outer = self.flags;
        let wrap: Box<dyn FnOnce(Node) -> Node> = if !self.eat("?") {
            self.groups += 1;
            let group = self.groups;
            Box::new(move |node| Node::Capture(group, Box::new(node)))
        } else if self.eat(":") {
            Box::new(|node| node)
        } else if self.eat(">") {
            Box::new(|node| Node::Atomic(Box::new(node)))
        } else if let Some((ahead, negative)) = self.look() {
            Box::new(move |node| Node::Look { node: Box::new(node), ahead, negative })
        } else if self.eat("<") {
            let group = self.name()?;
            Box::new(move |node| Node::Capture(group, Box::new(node)))
        } else {
            self.flag_list()?;
            if self.eat(")") {
                return Ok(None);
            }
            if !self.eat(":") {
                return Err(format!("has an unknown group at {}", self.at));
            }
            Box::new(|node| node)
        };
        let node = self.alternation()?;
        if !self.eat(")") {
            return Err("has an unclosed group".into());
        }
        self.flags = outer;
        Ok(Some(wrap(node)))
    }

    fn look(&mut self) -> Option<(bool, bool)> {
        for (text, look) in [
            ("=", (true, false)),
            ("!", (true, true)),
            ("<=", (false, false)),
            ("<!", (false, true)),
        ] {
            if self.eat(text) {
                return Some(look);
            }
        }
        None
    }

    fn name(&mut self) -> Result<u32> {
        let mut name = String::new();
        loop {
            match self.next() {
                Some('>') if !name.is_empty() => break,
                Some(c) if c.is_ascii_alphabetic() || (c.is_ascii_digit() && !name.is_empty()) => {
                    name.push(c);
                }
                _ => return Err(format!("has a bad group name at {}", self.at)),
            }
        }
        if self.names.iter().any(|(have, _)| *have == name) {
            return Err(format!("defines the group {name} twice"));
        }
        self.groups += 1;
        self.names.push((name, self.groups));
        Ok(self.groups)
    }

    fn flag_list(&mut self) -> Result<()> {
        let mut on = true;
        while let Some(c) = self.peek() {
            match c {
                '-' => on = false,
                'i' => self.flags.fold = on,
                'm' => self.flags.multiline = on,
                's' => self.flags.dot_all = on,
                'd' => self.flags.unix_lines = on,
                'u' => self.flags.unicode = on,
                'x' => self.flags.comments = on,
                ')' | ':' => return Ok(()),
                other => return Err(format!("uses the flag {other:?}, which is not supported")),
            }
            self.at += 1;
        }
        Err("has an unclosed group".into())
    }

    fn quantified(&mut self, node: Node) -> Result<Node> {
        self.skip_comments();
        let (min, max) = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => self.counts()?,
            _ => return Ok(node),
        };
        self.at += 1;
        if max.is_some_and(|max| max < min) {
            return Err("has an illegal repetition range".into());
        }
        if min.max(max.unwrap_or(0)) > MAX_REPEAT {
            return Err(format!("repeats more than {MAX_REPEAT} times"));
        }
        let node = Box::new(node);
        if self.eat("+") {
            return Ok(Node::Atomic(Box::new(Node::Repeat { node, min, max, lazy: false })));
        }
        let lazy = self.eat("?");
        Ok(Node::Repeat { node, min, max, lazy })
    }

    /// Reads `{n}`, `{n,}` or `{n,m}` up to its brace.
    fn counts(&mut self) -> Result<(u32, Option<u32>)> {
        let bad = || "has an illegal repetition".to_owned();
        self.at += 1;
        let min = self.number().ok_or_else(bad)?;
        let max = if self.eat(",") { self.number() } else { Some(min) };
        if self.peek() == Some('}') { Ok((min, max)) } else { Err(bad()) }
    }

    fn number(&mut self) -> Option<u32> {
        let mut number: Option<u32> = None;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
            number = Some(number.unwrap_or(0).saturating_mul(10).saturating_add(digit));
            self.at += 1;
        }
        number
    }

    fn escape(&mut self) -> Result<Node> {
        let Some(c) = self.peek() else { return Err("ends in a backslash".into()) };
        let assert = match c {
            'A' => Some(Assert::Begin),
            'Z' => Some(Assert::End),
            'z' => Some(Assert::VeryEnd),
            'b' => Some(Assert::WordBoundary),
            'B' => Some(Assert::NoWordBoundary),
            // The end of the previous match: there is none.
            'G' => Some(Assert::Begin),
            _ => None,
        };
        if let Some(assert) = assert {
            self.at += 1;
            return Ok(Node::Assert(assert));
        }
        match c {
            'R' => {
                self.at += 1;
                let crlf = Node::Concat(vec![self.literal('\r'), self.literal('\n')]);
                let any = Class::escape('v').unwrap_or_else(Class::empty);
                Ok(Node::Atomic(Box::new(Node::Alternation(vec![crlf, Node::Set(any)]))))
            }
            'k' => {
                self.at += 1;
                self.named_reference()
            }
            '1'..='9' => Ok(self.reference()),
            _ => {
                let class = self.class_escape()?;
                Ok(Node::Set(self.folded(class)))
            }
        }
    }

    fn named_reference(&mut self) -> Result<Node> {
        let mut name = String::new();
        if self.eat("<") {
            while let Some(c) = self.next().filter(|c| *c != '>') {
                name.push(c);
            }
        }
        let group = self.names.iter().find(|(have, _)| *have == name).map(|(_, group)| *group);
        let group = group.ok_or_else(|| format!("refers to the unknown group {name:?}"))?;
        Ok(Node::Back { group, fold: self.flags.fold })
    }

    /// Digits as long as such a group exists so far.
    fn reference(&mut self) -> Node {
        let mut group = 0;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
            let longer = group * 10 + digit;
            if group > 0 && longer > self.groups {
                break;
            }
            group = longer;
            self.at += 1;
        }
        Node::Back { group, fold: self.flags.fold }
    }
}
