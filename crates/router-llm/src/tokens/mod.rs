//! Counting tokens: cheaply from the bytes of a question, better with every reply, exactly where it is worth it.
//!
//! [`Weight`] is what one scan finds in a question; it is the same for every model. [`Counter`] turns it into tokens of
//! one model: by the family of its tokenizer, and by how far such counts were off before. `exact` counts as OpenAI's
//! models do; its tables take long to build, so it is asked only where a little more or less decides something.

mod exact;
mod family;
mod learn;
mod picture;
mod scan;
mod text;
mod weight;

#[cfg(test)]
mod tests;

pub use exact::exact;
pub use learn::Counter;
pub use weight::Weight;
