//! What the service may use of its machine, `[limits]`.

use std::ops::RangeInclusive;

use super::{
    machine,
    section::Section,
    value::{Size, constant},
};

/// What the service may use of its machine, `[limits]`.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The most bytes held for calls: messages, providers' answers, and answers that wait; 64 MiB to 64 GiB.
    /// Default: half of the memory of the machine or, in a container, of that, and at most 8 GiB.
    pub memory: usize,
    /// The most connections of the gRPC port, 16 to 1,000,000. Default: 8,192, or as many as the limit of
    /// open files allows.
    pub connections: Option<usize>,
}

/// The range of `memory`. Below it, a handful of the largest calls would be all; above it, more than all
/// calls can ever hold.
const MEMORY: (&str, &str) = ("64MiB", "64GiB");

/// The range of `connections`.
const CONNECTIONS: RangeInclusive<u32> = 16..=1_000_000;

/// The largest default: what 1,024 calls with bodies of 4 MiB both ways hold.
const LARGEST_DEFAULT: &str = "8GiB";

impl Limits {
    /// Reads the table.
    pub(super) fn read(section: &mut Section<'_, '_>) -> Option<Self> {
        let (from, to) = MEMORY;
        let range = constant::<Size>(from)..=constant::<Size>(to);
        let default = "half of the machine's or the container's memory, at most `8GiB`";
        let memory = section.optional_checked::<Size>("memory", default, |size| {
            range.contains(size).then_some(()).ok_or_else(|| format!("must be from {from} to {to}"))
        });
        let default = "`8192`, or as many as the limit of open files allows";
        let connections = section.optional_checked::<u32>("connections", default, |count| {
            CONNECTIONS.contains(count).then_some(()).ok_or_else(|| "must be from 16 to 1000000".to_owned())
        });
        let largest = constant::<Size>(LARGEST_DEFAULT);
        let half = Size(usize::try_from(machine::memory() / 2).unwrap_or(usize::MAX));
        let Size(memory) = memory.ok()?.unwrap_or(half.clamp(*range.start(), largest));
        let connections = connections.ok()?.map(|count| usize::try_from(count).unwrap_or(usize::MAX));
        Some(Self { memory, connections })
    }
}
