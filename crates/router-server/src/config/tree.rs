//! The file as a tree in which every value knows where it stands.
//!
//! YAML's events are read directly, because a reader that stops at the first mistake cannot tell all of them. JSON is
//! a subset of YAML, so one reader serves both.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{self, Event, Parser, ScalarStyle, ScanError};

use super::{
    problem::{At, Findings},
    source::{Source, Span},
};

/// Values that a file may hold after its aliases are followed: far beyond any honest one, far below a bomb.
const MAX_NODES: usize = 50_000;

/// How deep values may lie in one another.
const MAX_DEPTH: usize = 64;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) value: Value,
}

/// What a value can be.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Nothing is written, or `null`.
    Null,
    /// A text, a number, a word: what it means is for its reader to say.
    Scalar(String),
    /// A list.
    List(Vec<Node>),
    /// Keys and values, in their order.
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Span,
    pub(super) node: Node,
}

impl Node {
    /// The scalar under `key`, where this is a mapping that has one.
    pub(super) fn scalar(&self, key: &str) -> Option<&str> {
        let Value::Map(entries) = &self.value else { return None };
        entries.iter().find(|entry| entry.key == key).and_then(|entry| match &entry.node.value {
            Value::Scalar(text) => Some(text.as_str()),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        })
    }

    fn size(&self) -> usize {
        match &self.value {
            Value::Null | Value::Scalar(_) => 1,
            Value::List(items) => 1 + items.iter().map(Self::size).sum::<usize>(),
            Value::Map(entries) => 1 + entries.iter().map(|entry| entry.node.size()).sum::<usize>(),
        }
    }
}

/// Reads the tree; `None` when the file is not YAML, of which the findings then tell.
pub(super) fn parse(source: &Source, findings: &mut Findings) -> Option<Node> {
    let mut builder = Builder { findings, open: Vec::new(), anchors: HashMap::new(), nodes: 0, root: None };
    let options =
        granit_parser::options! { emit_comments: false, flow_nesting_limit: MAX_DEPTH, block_nesting_limit: MAX_DEPTH };
    for event in Parser::new_from_str_with_options(&source.text, options) {
        match event {
            Ok((event, span)) => builder.take(event, bytes(span))?,
            Err(error) => {
                tell_syntax(source, builder.findings, &error);
                return None;
            }
        }
    }
    let empty = Node { span: Span { start: 0, end: 0 }, value: Value::Null };
    Some(builder.root.unwrap_or(empty))
}

fn bytes(span: granit_parser::Span) -> Span {
    let start = span.start.byte_offset().unwrap_or_default();
    Span { start, end: span.end.byte_offset().unwrap_or(start).max(start) }
}

fn tell_syntax(source: &Source, findings: &mut Findings, error: &ScanError) {
    let start = error.marker().byte_offset().unwrap_or_default().min(source.text.len());
    let at = At { span: Some(Span { start, end: start + 1 }), path: String::new() };
    let finding = findings.problem(&at, format!("this is not YAML: {}", error.info()));
    let line_start = source.text.get(..start).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
    let before = source.text.get(line_start..start).unwrap_or_default();
    if before.ends_with('$') {
        finding.remedy("inside { } or [ ] a reference needs quotes: \"${NAME}\"");
    } else if before.contains('\t') && before.trim().is_empty() {
        finding.remedy("indent with spaces, not with tabs");
    }
}

/// A collection whose end has not come.
enum Open {
    List { items: Vec<Node>, span: Span, anchor: usize },
    Map { entries: Vec<Entry>, key: Option<(String, Span)>, span: Span, anchor: usize },
}

struct Builder<'a> {
    findings: &'a mut Findings,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    root: Option<Node>,
}

impl Builder<'_> {
    /// Takes one event; `None` when there is no sense in going on.
    #[expect(clippy::wildcard_enum_match_arm, reason = "another crate's enum that may grow by what is no value")]
    fn take(&mut self, event: Event<'_>, span: Span) -> Option<()> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let null = style == ScalarStyle::Plain && matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL");
                let value = if null { Value::Null } else { Value::Scalar(text.into_owned()) };
                self.complete(Node { span, value }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.open.push(Open::List { items: Vec::new(), span, anchor });
                Some(())
            }
            Event::MappingStart(_, anchor, _) => {
                self.open.push(Open::Map { entries: Vec::new(), key: None, span, anchor });
                Some(())
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => self.follow(anchor, span),
            Event::DocumentStart(..) if self.root.is_some() => {
                let finding = self.findings.problem(&place(span), "a second document begins here");
                finding.remedy("keep one document in the file");
                None
            }
            _ => Some(()),
        }
    }

    /// An alias is a copy of what its anchor marks; it stands where the alias does.
    fn follow(&mut self, anchor: usize, span: Span) -> Option<()> {
        if let Some(node) = self.anchors.get(&anchor).cloned() {
            self.nodes += node.size();
            return self.complete(Node { span, ..node }, 0);
        }
        self.findings.problem(&place(span), "this alias is inside of what it stands for");
        None
    }

    fn close(&mut self) -> Option<()> {
        match self.open.pop()? {
            Open::List { items, span, anchor } => self.complete(Node { span, value: Value::List(items) }, anchor),
            Open::Map { entries, span, anchor, .. } => {
                self.complete(Node { span, value: Value::Map(merged(entries)) }, anchor)
            }
        }
    }

    fn complete(&mut self, node: Node, anchor: usize) -> Option<()> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            self.findings.problem(&place(node.span), format!("the file holds more than {MAX_NODES} values"));
            return None;
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, key, .. }) => match key.take() {
                Some((key, key_span)) => insert(self.findings, entries, Entry { key, key_span, node }),
                None => *key = Some(key_of(self.findings, node)),
            },
        }
        Some(())
    }
}

fn place(span: Span) -> At {
    At { span: Some(span), path: String::new() }
}

fn key_of(findings: &mut Findings, node: Node) -> (String, Span) {
    match node.value {
        Value::Scalar(text) => (text, node.span),
        Value::Null => ("null".to_owned(), node.span),
        Value::List(_) | Value::Map(_) => {
            let finding = findings.problem(&place(node.span), "a key has to be a plain word");
            finding.remedy("quote it, or was a reference meant? \"${NAME}\"");
            (String::new(), node.span)
        }
    }
}

/// The first of two values stays, so that the mistakes in it are told, too.
fn insert(findings: &mut Findings, entries: &mut Vec<Entry>, entry: Entry) {
    if entry.key != "<<" && entries.iter().any(|earlier| earlier.key == entry.key) {
        let finding = findings.problem(&place(entry.key_span), format!("\"{}\" stands here twice", entry.key));
        finding.remedy("remove one of the two");
        return;
    }
    entries.push(entry);
}

/// Follows `<<`: what is written beside it comes before what it brings.
fn merged(entries: Vec<Entry>) -> Vec<Entry> {
    let (merges, mut own): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.key == "<<");
    for merge in merges {
        let brought = match merge.node.value {
            Value::Map(entries) => entries,
            Value::List(items) => items.into_iter().flat_map(entries_of).collect(),
            Value::Null | Value::Scalar(_) => vec![merge],
        };
        for entry in brought {
            if !own.iter().any(|known| known.key == entry.key) {
                own.push(entry);
            }
        }
    }
    own
}

fn entries_of(node: Node) -> Vec<Entry> {
    match node.value {
        Value::Map(entries) => entries,
        Value::Null | Value::Scalar(_) | Value::List(_) => Vec::new(),
    }
}
