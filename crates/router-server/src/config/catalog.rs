//! What is offered to MCP clients, and under which names, as it is written.

use schemars::JsonSchema;

use super::{
    json::Json,
    leaf::{Positive, Text, words},
    read::{Map, Read, Reader, Spanned, section},
    tree::{Node, Value},
};

section! {
    /// How what all MCP servers offer is put together.
    CatalogFile {
        /// When a server's name stands before its tools': always (the default), on_conflict, or never.
        prefix: PrefixWord,
        /// How long the name of a tool may be, together with what clients put in front of it; otherwise 64.
        max_name: Positive,
        /// What clients put in front of it; otherwise `mcp__mcp-router__`.
        client_prefix: Text,
        /// How many things are on one page of a list; otherwise 1000.
        page_size: Positive,
        /// Whether tools are searched for instead of listed: true, false (the default), or auto.
        lazy: LazyWord,
        /// With `auto`: so many tools are still listed; otherwise 128.
        lazy_above_tools: Positive,
        /// With `auto`: tools of so many tokens are still listed; otherwise 20000.
        lazy_above_tokens: Positive,
        /// Our names for tools: `short: server__tool`.
        aliases: Map<Text>,
    }
}

section! {
    /// A selection of servers and tools with a path of its own, `/mcp/v/{view}`.
    ViewFile {
        /// The servers, in this order; otherwise all.
        servers: Vec<Spanned<Text>>,
        /// The tools, by patterns of their own names or of `server__tool`.
        tools: FilterFile,
        /// The resources and their templates, by patterns of their URIs.
        resources: FilterFile,
        /// The prompts, by patterns like those of tools.
        prompts: FilterFile,
        /// When a server's name stands before its tools'; otherwise as the servers have it.
        prefix: PrefixWord,
        /// Whether tools are searched for instead of listed; otherwise as `catalog` has it.
        lazy: LazyWord,
        /// How all this wants to be used, in place of what the servers say.
        instructions: Text,
        /// How many things are on one page of a list.
        page_size: Positive,
    }
}

section! {
    /// What of something is offered, by patterns in which `*` stands for anything.
    AllowFile {
        /// What is; otherwise everything.
        allow: Vec<Spanned<Text>>,
        /// What is not, although it may be allowed.
        deny: Vec<Spanned<Text>>,
    }
}

/// What is allowed, or that and what is not.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(with = "ListOrAllow")]
pub(super) struct FilterFile(pub(super) AllowFile);

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "describes to editors what is read into `FilterFile`")]
enum ListOrAllow {
    List(Vec<Text>),
    Allow(AllowFile),
}

impl Read for FilterFile {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match node.value {
            Value::List(_) => {
                let allow = reader.value(node);
                Some(Self(AllowFile { allow, deny: None }))
            }
            Value::Null | Value::Scalar(_) | Value::Map(_) => AllowFile::read(node, reader).map(Self),
        }
    }
}

section! {
    /// What is said of a tool otherwise than its server says it.
    OverrideFile {
        /// Its name, in place of its own.
        name: Text,
        /// Its title.
        title: Text,
        /// Its description.
        description: Text,
        /// Some of its annotations: readOnlyHint, destructiveHint, idempotentHint, openWorldHint, title.
        annotations: Map<Json>,
        /// Arguments that calls have when they do not say otherwise.
        arguments: Map<Json>,
    }
}

words! {
    /// When a server's name stands before those of its tools and prompts.
    PrefixWord, "is not when a name has a prefix" {
        /// Always.
        Always = "always",
        /// Where several servers have the name.
        OnConflict = "on_conflict",
        /// Never.
        Never = "never",
    }
}

words! {
    /// Whether tools are searched for instead of listed.
    LazyWord, "is neither true nor false nor auto" {
        /// Always.
        On = "true",
        /// Never.
        Off = "false",
        /// When there are many.
        Auto = "auto",
    }
}
