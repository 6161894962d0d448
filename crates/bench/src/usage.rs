//! What the kernel says of a process.

use std::io;
use std::process::Child;
use std::time::Duration;

/// CPU time of this process so far, that of all its threads, in user and in kernel mode.
pub(crate) fn own_cpu() -> io::Result<Duration> {
    let mut usage = empty();
    // SAFETY: the pointer is to a whole `rusage`, which the call fills.
    #[expect(unsafe_code, reason = "std has no way to ask for it")]
    let result = unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    if result == 0 { Ok(cpu(&usage)) } else { Err(io::Error::last_os_error()) }
}

/// What a child used until it ended.
pub(crate) struct Ended {
    pub(crate) success: bool,
    pub(crate) cpu: Duration,
    /// The peak of its memory, in bytes.
    pub(crate) peak: u64,
}

/// Waits for a child. It must not be waited for by other means.
pub(crate) fn wait(child: &Child) -> io::Result<Ended> {
    let mut usage = empty();
    let mut status = 0;
    let id = libc::pid_t::try_from(child.id()).map_err(io::Error::other)?;
    loop {
        // SAFETY: both pointers are to values of the types that the call fills.
        #[expect(unsafe_code, reason = "std has no way to ask for it")]
        let waited = unsafe { libc::wait4(id, &raw mut status, 0, &raw mut usage) };
        if waited == id {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    let success = libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0;
    let peak = u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024;
    Ok(Ended { success, cpu: cpu(&usage), peak })
}

/// The peak of this process's resident memory, in bytes.
///
/// From `VmHWM` rather than from `getrusage`, whose figure a child inherits from its parent.
pub(crate) fn own_peak() -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kilobytes.map(|kilobytes| kilobytes * 1024).ok_or_else(|| io::Error::other("/proc/self/status has no VmHWM"))
}

/// Lets the peak begin anew at what is resident now.
pub(crate) fn reset_own_peak() -> io::Result<()> {
    std::fs::write("/proc/self/clear_refs", "5")
}

fn cpu(usage: &libc::rusage) -> Duration {
    let time = |time: libc::timeval| {
        Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0))
            + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or(0))
    };
    time(usage.ru_utime) + time(usage.ru_stime)
}

fn empty() -> libc::rusage {
    // SAFETY: it is made of integers alone, for which zero is a value.
    #[expect(unsafe_code, reason = "it has fields without names, so no literal can make one")]
    unsafe {
        std::mem::zeroed()
    }
}
