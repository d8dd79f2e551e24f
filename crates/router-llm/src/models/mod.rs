//! The models: what is known of each, and how they are listed.

mod card;
mod known;

pub use card::{ModelCard, Page, anthropic_list, openai_list};
pub use known::{Abilities, Known, Price, Tokenizer};
