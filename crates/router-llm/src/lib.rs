//! The languages models speak, and the models.

pub mod dialect;
