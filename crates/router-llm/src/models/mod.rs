//! The models: what is known of each, and how they are listed.

mod card;
mod efforts;
mod knowledge;
mod known;
mod ollama;
mod said;
mod table;

pub(crate) use card::date;
pub use card::{ModelCard, Page, anthropic_list, openai_list};
pub use efforts::{EFFORTS, efforts};
pub use knowledge::{KnownModels, Told, tokenizer};
pub use known::{Abilities, Known, Long, Price, Tokenizer};
pub use ollama::{ollama_list, untagged};
pub use said::{Said, SaidQuirks};
