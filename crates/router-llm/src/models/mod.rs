//! The models: what is known of each, and how they are listed.

mod card;
mod efforts;
mod known;
mod ollama;
pub mod pattern;
mod table;

pub(crate) use card::date;
pub use card::{ModelCard, Page, anthropic_list, openai_list};
pub use efforts::{EFFORTS, efforts};
pub use known::{Abilities, Known, Long, Price, Tokenizer};
pub use ollama::{ollama_list, untagged};
