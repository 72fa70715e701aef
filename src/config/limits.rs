//! What the service may use of its machine, `[limits]`.

use super::{
    machine,
    section::Section,
    value::{Size, constant, range},
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
const CONNECTIONS: (&str, &str) = ("16", "1000000");

/// The largest default: what 1,024 calls with bodies of 4 MiB both ways hold.
const LARGEST_DEFAULT: &str = "8GiB";

impl Limits {
    /// Reads the table.
    pub(super) fn read(section: &mut Section<'_, '_>) -> Option<Self> {
        let default = "half of the machine's or the container's memory, at most `8GiB`";
        let memory = section.optional_checked("memory", default, range(MEMORY.0, MEMORY.1));
        let default = "`8192`, or as many as the limit of open files allows";
        let connections =
            section.optional_checked::<u32>("connections", default, range(CONNECTIONS.0, CONNECTIONS.1));
        let Size(memory) = memory.ok()?.unwrap_or_else(half_of_the_machine);
        let connections = connections.ok()?.map(|count| usize::try_from(count).unwrap_or(usize::MAX));
        Some(Self { memory, connections })
    }
}

fn half_of_the_machine() -> Size {
    let half = usize::try_from(machine::memory() / 2).unwrap_or(usize::MAX);
    Size(half).clamp(constant(MEMORY.0), constant(LARGEST_DEFAULT))
}
