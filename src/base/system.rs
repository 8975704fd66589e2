//! What the operating system grants and says: open files, the machine's name.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many files this process may open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFileLimit {
    /// Before; `None` for no limit.
    pub before: Option<u64>,
    /// Now; `None` for no limit.
    pub now: Option<u64>,
}

/// Raises the soft limit of open files to the hard one, since every partition and connection holds
/// some. A system that refuses leaves the limit as it was.
pub fn raise_open_file_limit() -> OpenFileLimit {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return OpenFileLimit { before: current, now: current };
    }
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    OpenFileLimit { before: current, now: if raised { maximum } else { current } }
}

/// How many files this process may open; `None` for no limit.
pub fn open_file_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// The name that this machine has for itself: what an empty host advertises.
pub fn host_name() -> String {
    let name = rustix::system::uname();
    match name.nodename().to_str() {
        Ok(name) if !name.is_empty() => name.to_owned(),
        _ => "localhost".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_reaches_the_hard_one() {
        let limit = raise_open_file_limit();
        assert!(limit.now.is_none() || limit.now >= limit.before);
        assert_eq!(raise_open_file_limit().before, limit.now);
        assert_eq!(open_file_limit(), limit.now);
    }

    #[test]
    fn the_machine_has_a_name() {
        assert!(!host_name().is_empty());
    }
}
