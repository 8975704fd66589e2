//! Sets of characters in a pattern: escapes, and what stands in brackets.

use super::{Parser, Result};
use crate::rules::pattern::class::Class;

impl Parser {
    /// An escape that stands for characters, in and out of classes.
    pub(super) fn class_escape(&mut self) -> Result<Class> {
        let Some(c) = self.next() else { return Err("ends in a backslash".into()) };
        if let Some(class) = Class::escape(c) {
            return Ok(class);
        }
        let code = match c {
            'p' | 'P' => return self.property(c == 'P'),
            't' => 9,
            'n' => 10,
            'r' => 13,
            'f' => 12,
            'a' => 7,
            'e' => 27,
            'c' => self.next().map_or(0, |c| (c as u32) ^ 64),
            '0' => self.octal()?,
            'x' if self.eat("{") => {
                let code = self.hex(8)?;
                if !self.eat("}") {
                    return Err("has an unclosed \\x{".into());
                }
                code
            }
            'x' => self.hex(2)?,
            'u' => self.hex(4)?,
            c if c.is_ascii_alphanumeric() => {
                return Err(format!("has an unknown escape \\{c}"));
            }
            c => c as u32,
        };
        match char::from_u32(code) {
            Some(c) => Ok(Class::new(vec![(c as u32, c as u32)])),
            None => Err(format!("names the code point {code:#x}, which does not exist")),
        }
    }

    fn octal(&mut self) -> Result<u32> {
        let mut code = None;
        for _ in 0..3 {
            let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) else { break };
            let longer = code.unwrap_or(0) * 8 + digit;
            if longer > 0o377 {
                break;
            }
            code = Some(longer);
            self.at += 1;
        }
        code.ok_or_else(|| "has an illegal octal escape".into())
    }

    fn hex(&mut self, digits: usize) -> Result<u32> {
        let mut code = 0_u32;
        let mut read = 0;
        while read < digits {
            let Some(digit) = self.peek().and_then(|c| c.to_digit(16)) else { break };
            code = code.wrapping_mul(16).wrapping_add(digit);
            read += 1;
            self.at += 1;
        }
        let exact = digits == 8 || read == digits;
        if read > 0 && exact { Ok(code) } else { Err("has an illegal hexadecimal escape".into()) }
    }

    fn property(&mut self, negative: bool) -> Result<Class> {
        let mut name = String::new();
        if self.eat("{") {
            while let Some(c) = self.next().filter(|c| *c != '}') {
                name.push(c);
            }
        } else {
            name.extend(self.next());
        }
        // Looking at every character there is takes its time: once for each name.
        let class = match self.properties.get(&name) {
            Some(class) => class.clone(),
            None => {
                let class = Class::property(&name)
                    .ok_or_else(|| format!("uses \\p{{{name}}}, which is not supported"))?;
                self.properties.insert(name, class.clone());
                class
            }
        };
        Ok(if negative { class.not() } else { class })
    }

    /// After `[`: union, `&&`, nested classes, negation.
    pub(super) fn class(&mut self) -> Result<Class> {
        self.enter()?;
        let negative = self.eat("^");
        let mut all: Option<Class> = None;
        // Ranges are put in order once, not with each character.
        let mut current: Option<Vec<(u32, u32)>> = None;
        loop {
            if self.eat("&&") {
                all = Some(meet(all, current.take().map(Class::new)));
                continue;
            }
            let Some(c) = self.next() else { return Err("has an unclosed class".into()) };
            let more = match c {
                ']' if current.is_some() || all.is_some() => break,
                '[' => self.class()?,
                '\\' if self.peek() == Some('Q') => {
                    self.at += 1;
                    self.quoted_class()
                }
                _ => self.range(c)?,
            };
            current.get_or_insert_default().extend_from_slice(more.ranges());
        }
        self.depth -= 1;
        let class = self.folded(meet(all, current.map(Class::new)));
        Ok(if negative { class.not() } else { class })
    }

    /// The class, with both cases of its letters where the flags ask for it.
    pub(super) fn folded(&self, class: Class) -> Class {
        if self.flags.fold { class.fold(self.flags.unicode) } else { class }
    }

    fn quoted_class(&mut self) -> Class {
        let mut chars = String::new();
        while self.peek().is_some() && !self.eat("\\E") {
            chars.extend(self.next());
        }
        Class::of(&chars)
    }

    /// A character or a range that begins with `first`.
    fn range(&mut self, first: char) -> Result<Class> {
        let low = if first == '\\' {
            let class = self.class_escape()?;
            match class.single() {
                Some(c) => c,
                None => return Ok(class),
            }
        } else {
            first
        };
        let after = self.text.get(self.at + 1).copied();
        if self.peek() != Some('-') || matches!(after, None | Some(']' | '[')) {
            return Ok(Class::new(vec![(low as u32, low as u32)]));
        }
        if after == Some('&') && self.text.get(self.at + 2) == Some(&'&') {
            return Ok(Class::new(vec![(low as u32, low as u32)]));
        }
        self.at += 1;
        let high = match self.next() {
            Some('\\') => {
                let class = self.class_escape()?;
                class.single().ok_or("has an illegal character range")?
            }
            Some(c) => c,
            None => return Err("has an unclosed class".into()),
        };
        if high < low {
            return Err("has an illegal character range".into());
        }
        Ok(Class::new(vec![(low as u32, high as u32)]))
    }
}

fn meet(left: Option<Class>, right: Option<Class>) -> Class {
    match (left, right) {
        (Some(left), Some(right)) => left.and(&right),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => Class::empty(),
    }
}
