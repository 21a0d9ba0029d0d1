//! Ports for servers that must be told theirs on the command line.
//!
//! Asking the kernel for port 0 and closing it again is a race: any outgoing connection may get that port before
//! the server has it. Ports here lie below the ephemeral range, in blocks; a process owns a block by a file lock,
//! which the kernel drops when the process ends, and hands out each port of it once.

use std::collections::VecDeque;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};

use super::binaries::cache_folder;

const FIRST: u16 = 20_000;
const BLOCK: u16 = 50;
const BLOCKS: u16 = 200;

/// A port of 127.0.0.1 that nobody listens on and that no other lab of this user is given meanwhile.
pub fn free_port() -> Result<u16> {
    let mut ports = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        while let Some(port) = ports.left.pop_front() {
            // A server outside the lab may have it.
            if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
                return Ok(port);
            }
        }
        ports.take_block()?;
    }
}

/// An address of this machine that is not a loopback one; nothing is sent to find it. An error where there is
/// none.
pub fn own_address() -> Result<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    // Only chooses a route: TEST-NET-3 of RFC 5737, which is nobody's.
    socket.connect((Ipv4Addr::new(203, 0, 113, 1), 9)).context("this machine has no route but loopback")?;
    Ok(socket.local_addr()?.ip())
}

static PORTS: Mutex<Ports> = Mutex::new(Ports { next_block: 0, held: Vec::new(), left: VecDeque::new() });

struct Ports {
    next_block: u16,
    held: Vec<File>,
    left: VecDeque<u16>,
}

impl Ports {
    fn take_block(&mut self) -> Result<()> {
        let folder = cache_folder()?.join("ports");
        std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        while self.next_block < BLOCKS {
            let block = self.next_block;
            self.next_block += 1;
            let path = folder.join(block.to_string());
            let file = File::create(&path).with_context(|| format!("opening {}", path.display()))?;
            if file.try_lock().is_ok() {
                self.held.push(file);
                self.left = (0..BLOCK).map(|offset| FIRST + block * BLOCK + offset).collect();
                return Ok(());
            }
        }
        bail!("no free ports from {FIRST} to {}: other labs hold them all; stop some", FIRST + BLOCK * BLOCKS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        let mut given: Vec<u16> = (0..120).map(|_| free_port().unwrap()).collect();
        given.sort_unstable();
        let before = given.len();
        given.dedup();
        assert_eq!(given.len(), before);
    }
}
