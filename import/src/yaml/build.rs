//! From the parser's events to a tree: bounded, without recursion, aliases and `<<` resolved.

use std::collections::{BTreeMap, BTreeSet};

use granit_parser::{Event, Parser, ScalarStyle, Tag};

use super::{Broken, Kind, MAX_DEPTH, MAX_NODES, Node, Value, Why, resolve::resolve};

/// A tree with its measures, which bound what an alias may repeat.
#[derive(Clone)]
struct Built {
    node: Node,
    height: usize,
    size: usize,
}

/// A list or map that has begun and not ended.
struct Open {
    line: usize,
    anchor: usize,
    content: Content,
    height: usize,
    size: usize,
}

enum Content {
    List(Vec<Node>),
    /// The key that waits for its value, and the pairs.
    Map(Option<Node>, Vec<(Node, Node)>),
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: BTreeMap<usize, Built>,
    root: Option<Node>,
    nodes: usize,
    documents: usize,
}

/// Reads `text`; `None` when there is nothing in it.
pub(crate) fn parse(text: &str) -> Result<Option<Node>, Broken> {
    let options = granit_parser::options! {
        emit_comments: false,
        block_scalar_eof_without_line_feed: true,
    };
    let mut builder = Builder::default();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) =
            event.map_err(|error| Broken { line: error.marker().line(), why: Why::Syntax })?;
        let line = span.start.line();
        builder.take(event, line).map_err(|why| Broken { line, why })?;
    }
    Ok(builder.root)
}

// === impl Builder ===

impl Builder {
    fn take(&mut self, event: Event<'_>, line: usize) -> Result<(), Why> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 { Err(Why::Documents) } else { Ok(()) }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let kind = kind(&text, style, tag.as_deref())?;
                self.scalar(Node { line, value: Value::Scalar(text.into_owned(), kind) }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                check(tag.as_deref(), "seq")?;
                self.begin(line, anchor, Content::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                check(tag.as_deref(), "map")?;
                self.begin(line, anchor, Content::Map(None, Vec::new()))
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => {
                let built = self.anchors.get(&anchor).cloned().ok_or(Why::Circle)?;
                self.put(built)
            }
            _ => Ok(()),
        }
    }

    fn scalar(&mut self, node: Node, anchor: usize) -> Result<(), Why> {
        let built = Built { node, height: 0, size: 1 };
        self.remember(anchor, &built)?;
        self.put(built)
    }

    fn begin(&mut self, line: usize, anchor: usize, content: Content) -> Result<(), Why> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Why::Depth);
        }
        self.open.push(Open { line, anchor, content, height: 0, size: 1 });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Why> {
        let Some(open) = self.open.pop() else { return Err(Why::Syntax) };
        let value = match open.content {
            Content::List(items) => Value::List(items),
            Content::Map(None, pairs) => Value::Map(merge(pairs)?),
            Content::Map(Some(_), _) => return Err(Why::Syntax),
        };
        let node = Node { line: open.line, value };
        let built = Built { node, height: open.height + 1, size: open.size };
        self.remember(open.anchor, &built)?;
        self.put(built)
    }

    /// Keeps what an alias may repeat; the copy counts, for it is one.
    fn remember(&mut self, anchor: usize, built: &Built) -> Result<(), Why> {
        if anchor > 0 {
            self.count(built.size)?;
            self.anchors.insert(anchor, built.clone());
        }
        Ok(())
    }

    fn count(&mut self, size: usize) -> Result<(), Why> {
        self.nodes = self.nodes.saturating_add(size);
        if self.nodes > MAX_NODES { Err(Why::Size) } else { Ok(()) }
    }

    fn put(&mut self, built: Built) -> Result<(), Why> {
        self.count(built.size)?;
        if self.open.len() + built.height > MAX_DEPTH {
            return Err(Why::Depth);
        }
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(built.node);
            return Ok(());
        };
        parent.height = parent.height.max(built.height);
        parent.size = parent.size.saturating_add(built.size);
        match &mut parent.content {
            Content::List(items) => items.push(built.node),
            Content::Map(key @ None, _) => match &built.node.value {
                Value::Scalar(..) => *key = Some(built.node),
                Value::List(_) | Value::Map(_) => return Err(Why::Key),
            },
            Content::Map(key, pairs) => pairs.extend(key.take().map(|key| (key, built.node))),
        }
        Ok(())
    }
}

/// Puts what `<<` brings behind a map's own pairs, which win.
fn merge(pairs: Vec<(Node, Node)>) -> Result<Vec<(Node, Node)>, Why> {
    let is_merge = |key: &Node| matches!(&key.value, Value::Scalar(text, Kind::Text) if text == "<<");
    if !pairs.iter().any(|(key, _)| is_merge(key)) {
        return Ok(pairs);
    }
    let (brought, mut own): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(key, _)| is_merge(key));
    let text = |key: &Node| match &key.value {
        Value::Scalar(text, _) => text.clone(),
        Value::List(_) | Value::Map(_) => String::new(),
    };
    let mut there: BTreeSet<String> = own.iter().map(|(key, _)| text(key)).collect();
    for (_, value) in brought {
        let maps = match value.value {
            Value::Map(_) => vec![value],
            Value::List(maps) => maps,
            Value::Scalar(..) => return Err(Why::Merge),
        };
        for map in maps {
            let Value::Map(more) = map.value else { return Err(Why::Merge) };
            for (key, value) in more {
                if there.insert(text(&key)) {
                    own.push((key, value));
                }
            }
        }
    }
    Ok(own)
}

fn kind(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Kind, Why> {
    match tag.map(Tag::core_suffix) {
        Some(Some("str")) => Ok(Kind::Text),
        Some(Some("null" | "bool" | "int" | "float")) => Ok(resolve(text)),
        // `!` alone: text, whatever it looks like.
        Some(None) if tag.is_some_and(|tag| tag.suffix().is_empty()) => Ok(Kind::Text),
        Some(_) => Err(Why::Tag),
        None if style == ScalarStyle::Plain => Ok(resolve(text)),
        None => Ok(Kind::Text),
    }
}

fn check(tag: Option<&Tag>, kind: &str) -> Result<(), Why> {
    match tag {
        Some(tag) if !tag.is_yaml_core_schema_tag(kind) => Err(Why::Tag),
        _ => Ok(()),
    }
}
