//! Every provider that renews, with everything that can go wrong at a token endpoint: what the caller gets,
//! what the store keeps, over restarts and changes of its keys too, and how often the provider is asked.

mod answers;
mod bench;
mod clients;
mod gate;
mod kinds;
mod lessons;
mod restarts;
mod table;
