//! Which connections a process has, read from /proc (Linux).

use std::collections::HashSet;
use std::path::PathBuf;

use anyhow::{Context, Result};

/// ESTABLISHED in the kernel's tcp_states.h.
const ESTABLISHED: &str = "01";

/// How many established TCP connections over IPv4 a process has to this port of another one.
pub fn connections_to(pid: u32, port: u16) -> Result<usize> {
    let own = sockets_of(pid)?;
    let path = format!("/proc/{pid}/net/tcp");
    let table = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    Ok(count(&table, port, &own))
}

/// Each socket once: the kernel writes a long table piece by piece, and shows some again when others come and go in
/// between.
fn count(table: &str, port: u16, own: &HashSet<String>) -> usize {
    let connections = table.lines().filter_map(Connection::parse);
    let established = connections.filter(|each| each.established && each.remote_port == port);
    let inodes: HashSet<&str> =
        established.map(|each| each.inode).filter(|inode| own.contains(*inode)).collect();
    inodes.len()
}

/// A line of /proc/net/tcp, see proc_net_tcp of the kernel's documentation.
struct Connection<'a> {
    remote_port: u16,
    established: bool,
    inode: &'a str,
}

impl<'a> Connection<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split_whitespace();
        let remote = fields.nth(2)?;
        let state = fields.next()?;
        let (_, port) = remote.split_once(':')?;
        Some(Self {
            remote_port: u16::from_str_radix(port, 16).ok()?,
            established: state == ESTABLISHED,
            inode: fields.nth(5)?,
        })
    }
}

/// The inodes of a process's sockets.
fn sockets_of(pid: u32) -> Result<HashSet<String>> {
    let folder = PathBuf::from(format!("/proc/{pid}/fd"));
    let entries = std::fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?;
    Ok(entries
        .flatten()
        // One that is closed meanwhile is none.
        .filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_connection_that_the_kernel_shows_twice_is_one() {
        let line = |inode, port: &str| {
            format!(
                "   1: 0100007F:8D2C 0100007F:{port} 01 00000000:00000000 00:00000000 00000000     0        0 {inode} 1\n"
            )
        };
        let table =
            [line(7, "1F90"), line(8, "1F90"), line(7, "1F90"), line(9, "1F91"), line(10, "1F90")].concat();
        let own = ["7", "8", "9"].map(str::to_owned).into();
        assert_eq!(count(&table, 8080, &own), 2);
    }

    #[test]
    fn connections_are_counted_where_they_were_made() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(connections_to(std::process::id(), port).unwrap(), 0);
        let made: Vec<_> = (0..3).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
        assert_eq!(connections_to(std::process::id(), port).unwrap(), 3);
        drop(made);
    }
}
