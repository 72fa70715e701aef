//! How much memory this process may use.
//!
//! Written here because the crates for it look at the root of the control groups alone, which is right in a
//! container and wrong for a systemd unit with `MemoryMax=`.

use std::{fs, path::Path};

/// Assumed where the system does not tell: the smallest machine that anybody runs services on.
const UNKNOWN: u64 = 1024 * 1024 * 1024;

/// The memory of the machine, or of the narrowest control group that this process is in, in bytes.
pub(super) fn memory() -> u64 {
    memory_below(Path::new("/"))
}

fn memory_below(root: &Path) -> u64 {
    let groups = read(root, "proc/self/cgroup").unwrap_or_default();
    let limits =
        groups.lines().filter_map(group).flat_map(|(folder, file, group)| limits(root, folder, file, group));
    machine(root).into_iter().chain(limits).min().unwrap_or(UNKNOWN)
}

/// One line of `/proc/self/cgroup`: where its limits are, and the group's path there. `None` for a line that
/// does not speak of memory. See cgroups(7): `0::/a/b` in version 2, `5:memory:/a/b` in version 1.
fn group(line: &str) -> Option<(&'static str, &'static str, &str)> {
    let mut parts = line.splitn(3, ':');
    let (number, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
    if number == "0" && controllers.is_empty() {
        return Some(("sys/fs/cgroup", "memory.max", path));
    }
    let is_memory = controllers.split(',').any(|controller| controller == "memory");
    is_memory.then_some(("sys/fs/cgroup/memory", "memory.limit_in_bytes", path))
}

/// The limits of a group and of all above it. A container may not see its own path: then the root is its
/// group.
fn limits(root: &Path, folder: &str, file: &str, group: &str) -> Vec<u64> {
    let above = Path::new(group.trim_start_matches('/')).ancestors();
    above.filter_map(|group| read(&root.join(folder).join(group), file)?.trim().parse().ok()).collect()
}

/// `MemTotal` of `/proc/meminfo`, in kibibytes there.
fn machine(root: &Path) -> Option<u64> {
    let text = read(root, "proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

fn read(folder: &Path, file: &str) -> Option<String> {
    fs::read_to_string(folder.join(file)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: (&str, &str) = ("proc/meminfo", "MemTotal:        8388608 kB\nMemFree: 1 kB\n");
    const GIB: u64 = 1024 * 1024 * 1024;

    #[test]
    fn the_narrowest_limit_counts() {
        let unit = ("proc/self/cgroup", "0::/system.slice/idp.service\n");
        let unit_limit = ("sys/fs/cgroup/system.slice/idp.service/memory.max", "1073741824\n");
        let slice_limit = ("sys/fs/cgroup/system.slice/memory.max", "536870912\n");
        let container = ("proc/self/cgroup", "0::/\n");
        let container_limit = ("sys/fs/cgroup/memory.max", "268435456\n");
        let former = ("proc/self/cgroup", "7:cpu,cpuacct:/a\n5:memory:/docker/x\n0::/\n");
        let former_limit = ("sys/fs/cgroup/memory/memory.limit_in_bytes", "134217728\n");
        let unlimited = ("sys/fs/cgroup/memory.max", "max\n");
        let wide = ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
        for (files, expected) in [
            (vec![], UNKNOWN),
            (vec![MACHINE], 8 * GIB),
            (vec![MACHINE, unit, unit_limit], GIB),
            (vec![MACHINE, unit, unit_limit, slice_limit], GIB / 2),
            (vec![MACHINE, container, container_limit], GIB / 4),
            (vec![MACHINE, container, unlimited], 8 * GIB),
            (vec![MACHINE, former, former_limit], GIB / 8),
            (vec![MACHINE, former, wide], 8 * GIB),
            (vec![("proc/meminfo", "MemTotal: many"), ("proc/self/cgroup", "junk")], UNKNOWN),
        ] {
            let root = tempfile::tempdir().expect("a folder");
            for (path, text) in &files {
                let path = root.path().join(path);
                fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
                fs::write(path, text).expect("a file");
            }
            assert_eq!(memory_below(root.path()), expected, "{files:?}");
        }
    }
}
