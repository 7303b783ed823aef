//! The feed's clock, as the formats count time.

pub use custos_api::clock::now;
