//! How many files a process may have open: each line is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The number of files that the process may open after the limit was raised as far as possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenFiles {
    /// Files, sockets included; `None` is no limit.
    pub limit: Option<u64>,
}

impl OpenFiles {
    /// Files that are open for other reasons than lines: libraries, pipes, the poll itself.
    const OTHERS: u64 = 64;

    /// How many of `wanted` lines can be had.
    pub fn lines(self, wanted: usize) -> usize {
        let room = self.limit.map_or(u64::MAX, |limit| limit.saturating_sub(Self::OTHERS));
        wanted.min(usize::try_from(room).unwrap_or(usize::MAX))
    }
}

/// Raises the soft limit to the hard one. Only an administrator raises that (`ulimit -Hn`, `LimitNOFILE=` of systemd).
pub fn raise_open_files() -> OpenFiles {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: maximum,
        maximum,
    };
    // A limit that cannot be raised stays unchanged, and the reported limit is the one in force.
    let _ = setrlimit(Resource::Nofile, wanted);
    OpenFiles {
        limit: getrlimit(Resource::Nofile).current,
    }
}
