//! What is offered to MCP clients: names that can be, patterns of what is there, views of servers that are known.

use std::{collections::BTreeMap, sync::Arc};

use router_core::{Name, Raw};
use router_mcp::catalog::{Alias, Filter, Filters, Lazy, Override, Prefix, Terms};
use serde_json::{Map as JsonMap, Value};

use super::{
    super::{
        catalog::{AllowFile, CatalogFile, FilterFile, LazyWord, OverrideFile, PrefixWord, ViewFile},
        json::Json,
        leaf::Text,
        read::{Map, Spanned},
        settings::{CatalogSettings, ServerSettings, ViewSettings},
        suggest,
    },
    Build, name,
    servers::SEPARATOR,
};

/// The longest name of a tool that the interfaces of models take.
const MAX_NAME: usize = 64;
/// What clients put in front of it that know us by our name.
const CLIENT_PREFIX: &str = "mcp__mcp-router__";
/// Shorter names could not be told apart.
const LEAST_NAME: usize = 16;
/// How many things are on one page.
const PAGE_SIZE: usize = 1_000;
/// How many tools are listed where nobody says so, and how many tokens they may have.
const LAZY_ABOVE: (usize, u64) = (128, 20_000);

/// What a server's section says of what it offers.
#[derive(Default)]
pub(super) struct TermsFile {
    pub(super) prefix: Option<Spanned<PrefixWord>>,
    pub(super) tools: Option<Spanned<FilterFile>>,
    pub(super) also_allowed: Vec<Spanned<Vec<Spanned<Text>>>>,
    pub(super) also_denied: Vec<Spanned<Vec<Spanned<Text>>>>,
    pub(super) resources: Option<Spanned<FilterFile>>,
    pub(super) prompts: Option<Spanned<FilterFile>>,
    pub(super) overrides: Option<Spanned<Map<OverrideFile>>>,
}

impl Build<'_> {
    /// How what all servers offer is put together.
    pub(super) fn catalog(
        &mut self,
        file: Option<Spanned<CatalogFile>>,
        servers: &[ServerSettings],
    ) -> CatalogSettings {
        let file = file.map(|file| file.value).unwrap_or_default();
        let max_name = self.max_name(&file);
        let (tools, tokens) = LAZY_ABOVE;
        let tools = file.lazy_above_tools.map_or(tools, |most| count(most.0));
        let tokens = file.lazy_above_tokens.map_or(tokens, |most| u64::from(most.0));
        CatalogSettings {
            max_name,
            page_size: file.page_size.map_or(PAGE_SIZE, |size| count(size.0)),
            lazy: lazy(file.lazy.map(|lazy| lazy.value), Lazy::Above { tools, tokens }).unwrap_or_default(),
            lazy_above: Lazy::Above { tools, tokens },
            aliases: Arc::new(self.tool_aliases(file.aliases, servers, max_name)),
        }
    }

    fn max_name(&mut self, file: &CatalogFile) -> usize {
        let whole = file.max_name.as_ref().map_or(MAX_NAME, |most| count(most.0));
        let before = file.client_prefix.as_ref().map_or(CLIENT_PREFIX, |before| &before.value.0);
        let left = whole.saturating_sub(before.len());
        if let (true, Some(at)) = (
            left < LEAST_NAME,
            file.client_prefix.as_ref().map(|before| &before.at).or(file.max_name.as_ref().map(|most| &most.at)),
        ) {
            self.findings
                .problem(
                    at,
                    format!("of {whole} characters {left} are left behind {before:?}, which tells no tools apart"),
                )
                .remedy(format!("leave at least {LEAST_NAME}"));
        }
        left.max(LEAST_NAME)
    }

    fn tool_aliases(
        &mut self,
        file: Option<Spanned<Map<Text>>>,
        servers: &[ServerSettings],
        max_name: usize,
    ) -> BTreeMap<String, Alias> {
        let mut aliases = BTreeMap::new();
        for (short, target) in file.into_iter().flat_map(|file| file.value.0) {
            self.check_tool_name(&short, &short.value, max_name);
            let begins = |server: &&ServerSettings| is_of(&short.value, &server.name);
            if let Some(server) = servers.iter().find(begins) {
                let says = format!("this begins as the tools of \"{}\" do", server.name);
                self.findings.problem(&short.at, says).remedy("give it another name");
            }
            let of = |server: &ServerSettings| {
                let tool = target.value.0.strip_prefix(&*server.name)?.strip_prefix(SEPARATOR)?;
                (!tool.is_empty()).then(|| Alias { server: Arc::clone(&server.name), tool: tool.to_owned() })
            };
            match servers.iter().filter_map(of).min_by_key(|alias| alias.tool.len()) {
                Some(alias) => _ = aliases.insert(short.value, alias),
                None if self.findings.is_broken("mcpServers") => {}
                None => {
                    let finding =
                        self.findings.problem(&target.at, format!("\"{}\" is no tool of a server", target.value.0));
                    finding.remedy(format!("write \"server{SEPARATOR}tool\", with a server of mcpServers"));
                }
            }
        }
        aliases
    }

    /// A name that models take.
    fn check_tool_name(&mut self, at: &Spanned<impl Sized>, written: &str, max_name: usize) {
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.');
        if written.is_empty() || !written.chars().all(is_plain) {
            let finding = self.findings.problem(&at.at, format!("a tool cannot be called \"{written}\""));
            finding.remedy("use letters, digits, \"_\", \"-\" and \".\"");
        } else if written.len() > max_name {
            let says = format!("\"{written}\" has {} characters, and models take {max_name}", written.len());
            self.findings.problem(&at.at, says).remedy("give it a shorter name");
        }
    }

    /// On which terms a server's things are offered.
    pub(super) fn offered(&mut self, server: &str, file: TermsFile) -> Terms {
        let mut tools = filter(file.tools);
        let also = |lists: Vec<Spanned<Vec<Spanned<Text>>>>| {
            lists.into_iter().flat_map(|list| list.value).map(|pattern| (pattern.at, pattern.value.0))
        };
        for (at, pattern) in also(file.also_allowed) {
            self.check_own(&at, &pattern, server);
            tools.allow.get_or_insert_default().push(pattern);
        }
        for (at, pattern) in also(file.also_denied) {
            self.check_own(&at, &pattern, server);
            tools.deny.push(pattern);
        }
        let filters = Filters { tools, resources: filter(file.resources), prompts: filter(file.prompts) };
        let prefix = file.prefix.map_or(self.prefix, |word| prefix(word.value));
        Terms { prefix, filters, overrides: self.overrides(file.overrides) }
    }

    /// A server's own names have nothing before them.
    fn check_own(&mut self, at: &super::super::problem::At, pattern: &str, server: &str) {
        if is_of(pattern, server) {
            let own = pattern.get(server.len() + SEPARATOR.len()..).unwrap_or_default();
            let finding = self.findings.warning(at, "here tools go by their server's own names");
            finding.remedy(format!("write \"{own}\""));
        }
    }

    fn overrides(&mut self, file: Option<Spanned<Map<OverrideFile>>>) -> BTreeMap<String, Override> {
        let mut overrides: BTreeMap<String, Override> = BTreeMap::new();
        for (tool, Spanned { value: file, .. }) in file.into_iter().flat_map(|file| file.value.0) {
            if let Some(called) = &file.name {
                self.check_tool_name(called, &called.value.0, MAX_NAME);
                let is_taken = |(own, other): (&String, &Override)| {
                    other.name.as_deref() == Some(&*called.value.0) || *own == called.value.0
                };
                if overrides.iter().any(is_taken) {
                    self.findings
                        .problem(&called.at, format!("another tool is called \"{}\" already", called.value.0))
                        .remedy("give it another name");
                }
            }
            let text = |text: Option<Spanned<Text>>| text.map(|text| text.value.0);
            let says = Override {
                name: text(file.name),
                title: text(file.title),
                description: text(file.description),
                annotations: file.annotations.map(object),
                arguments: file.arguments.map(object),
            };
            overrides.insert(tool.value, says);
        }
        overrides
    }

    /// The views, by their names.
    pub(super) fn views(
        &mut self,
        file: Option<Spanned<Map<ViewFile>>>,
        servers: &[ServerSettings],
        catalog: &CatalogSettings,
    ) -> Vec<ViewSettings> {
        let mut views = Vec::new();
        for (named, Spanned { value: file, .. }) in file.into_iter().flat_map(|file| file.value.0) {
            if !is_view_name(&named.value) {
                let finding = self.findings.problem(&named.at, format!("a view cannot be called \"{}\"", named.value));
                finding.remedy("use letters, digits, \"_\" and \"-\": its path is /mcp/v/NAME");
            }
            let filters =
                Filters { tools: filter(file.tools), resources: filter(file.resources), prompts: filter(file.prompts) };
            views.push(ViewSettings {
                name: name(&named.value),
                servers: file.servers.map(|wanted| self.servers_of_view(wanted, servers)),
                filters,
                prefix: file.prefix.map(|word| prefix(word.value)),
                lazy: lazy(file.lazy.map(|lazy| lazy.value), catalog.lazy_above).unwrap_or(catalog.lazy),
                instructions: file.instructions.map(|text| text.value.0),
                page_size: file.page_size.map_or(catalog.page_size, |size| count(size.0)),
            });
        }
        views
    }

    fn servers_of_view(&mut self, wanted: Spanned<Vec<Spanned<Text>>>, servers: &[ServerSettings]) -> Vec<Name> {
        let mut names: Vec<Name> = Vec::new();
        for Spanned { value: Text(wanted), at } in wanted.value {
            let known = servers.iter().map(|server| &server.name).find(|known| ***known == *wanted);
            match known {
                Some(known) if names.contains(known) => {
                    self.findings.warning(&at, format!("\"{wanted}\" is in this view already"));
                }
                Some(known) => names.push(Arc::clone(known)),
                None if self.findings.is_broken("mcpServers") => {}
                None => {
                    let near = suggest::nearest(&wanted, servers.iter().map(|server| &*server.name));
                    let remedy = near.map_or_else(
                        || "add it under mcpServers, or take it out here".to_owned(),
                        |near| format!("did you mean \"{near}\"?"),
                    );
                    self.findings.problem(&at, format!("there is no MCP server called \"{wanted}\"")).remedy(remedy);
                }
            }
        }
        names
    }

    /// The views that a key is for; the first is what its bearer finds at `/mcp`. None is no bound.
    pub(super) fn views_of_key(
        &mut self,
        one: Option<Spanned<Text>>,
        several: Option<Spanned<Vec<Spanned<Text>>>>,
        known: &[String],
    ) -> Vec<Name> {
        if let (Some(_), Some(several)) = (&one, &several) {
            self.findings.problem(&several.at, "there is a view, too").remedy("keep the one or the other");
        }
        if let Some(none) = several.as_ref().filter(|several| several.value.is_empty()) {
            self.findings
                .problem(&none.at, "a key for no view opens nothing")
                .remedy("name a view, or leave views out");
        }
        let mut views = Vec::new();
        for Spanned { value: Text(view), at } in one.into_iter().chain(several.into_iter().flat_map(|list| list.value))
        {
            if !known.contains(&view) && !self.findings.is_broken("views") {
                let near = suggest::nearest(&view, known.iter().map(String::as_str));
                let remedy =
                    near.map_or_else(|| "add it under views".to_owned(), |near| format!("did you mean \"{near}\"?"));
                self.findings.problem(&at, format!("there is no view called \"{view}\"")).remedy(remedy);
            }
            views.push(name(&view));
        }
        views
    }
}

/// When a server's name stands before its tools', where it says nothing of that.
pub(super) fn usual_prefix(file: Option<&Spanned<CatalogFile>>) -> Prefix {
    file.and_then(|file| file.prefix.as_ref()).map_or(Prefix::default(), |word| prefix(word.value))
}

fn filter(file: Option<Spanned<FilterFile>>) -> Filter {
    let patterns = |list: Spanned<Vec<Spanned<Text>>>| list.value.into_iter().map(|text| text.value.0).collect();
    match file.map(|file| file.value) {
        None => Filter::default(),
        Some(FilterFile(AllowFile { allow, deny })) => {
            Filter { allow: allow.map(patterns), deny: deny.map(patterns).unwrap_or_default() }
        }
    }
}

/// The names of the views, before anything else is known of them.
pub(super) fn view_names(file: Option<&Spanned<Map<ViewFile>>>) -> Vec<String> {
    file.into_iter().flat_map(|file| &file.value.0).map(|(name, _)| name.value.clone()).collect()
}

fn is_view_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Whether a name begins as those of a server's tools do.
fn is_of(name: &str, server: &str) -> bool {
    name.strip_prefix(server).is_some_and(|rest| rest.starts_with(SEPARATOR))
}

const fn prefix(word: PrefixWord) -> Prefix {
    match word {
        PrefixWord::Always => Prefix::Always,
        PrefixWord::OnConflict => Prefix::OnConflict,
        PrefixWord::Never => Prefix::Never,
    }
}

fn lazy(word: Option<LazyWord>, above: Lazy) -> Option<Lazy> {
    word.map(|word| match word {
        LazyWord::On => Lazy::Always,
        LazyWord::Off => Lazy::Never,
        LazyWord::Auto => above,
    })
}

fn object(file: Spanned<Map<Json>>) -> Raw {
    let fields: JsonMap<String, Value> =
        file.value.0.into_iter().map(|(key, value)| (key.value, value.value.0)).collect();
    Raw::trusted(Value::Object(fields).to_string())
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
