//! What of its own file a program holds in memory.
//!
//! The kernel maps a program's text as it is run, 64 kB around each page, and keeps it: after start-up most of what is
//! resident has run once and never will again. The kernel takes such pages away when memory is short; this asks it to
//! do so now. They stay in its page cache, and what is needed after all is mapped again without being read from disk.

mod mapping;

use std::ffi::c_void;
use std::path::Path;
use std::{fs, io};

use rustix::mm::{Advice, madvise};

use mapping::Mapping;

/// Gives back the text of the running program, and says of how many resident bytes.
///
/// # Errors
///
/// Where `/proc` does not tell what is mapped, or the kernel refuses: nothing has changed then, or less than asked for.
pub fn give_back_text() -> io::Result<u64> {
    let program = fs::read_link("/proc/self/exe")?;
    let mut given = 0;
    for mapping in text(&fs::read_to_string("/proc/self/smaps")?, &program) {
        let (start, length) = (mapping.start as *mut c_void, mapping.end - mapping.start);
        // SAFETY: the mapping is a private one of a file, may not be written, and holds no page that differs from the
        // file's (`text`): what is dropped is read again from the same inode, which cannot be written while it is run
        // (ETXTBSY). It is what the kernel does with these pages by itself whenever it is short of memory. Nothing of
        // this program changes what is mapped there.
        #[allow(unsafe_code)]
        unsafe {
            madvise(start, length, Advice::LinuxDontNeed)?;
        }
        given += mapping.resident;
    }
    Ok(given)
}

/// The program's own text, where no page was written to: a debugger's breakpoints, or relocations, would be lost.
fn text(smaps: &str, program: &Path) -> Vec<Mapping> {
    let is_text = |mapping: &Mapping| {
        mapping.permissions == "r-xp" && mapping.anonymous == 0 && mapping.path.as_deref() == Some(program)
    };
    mapping::parse(smaps).into_iter().filter(is_text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resident() -> u64 {
        let program = fs::read_link("/proc/self/exe").unwrap();
        text(&fs::read_to_string("/proc/self/smaps").unwrap(), &program)
            .iter()
            .map(|text| text.resident)
            .sum()
    }

    /// Runs code that nothing else here runs.
    #[inline(never)]
    fn sorted(mut numbers: Vec<u32>) -> Vec<u32> {
        numbers.sort_by_key(|number| std::cmp::Reverse(*number));
        numbers
    }

    #[test]
    fn text_is_given_back_and_comes_again_when_it_is_run() {
        assert_eq!(sorted(vec![1, 3, 2]), [3, 2, 1]);
        let before = resident();
        let given = give_back_text().unwrap();
        assert!(given > 0 && given <= before + (1 << 20), "{given} of {before}");
        let after = resident();
        assert!(after < before, "{after} bytes of text after {before}");
        assert_eq!(sorted(vec![4, 6, 5]), [6, 5, 4]);
    }

    #[test]
    fn what_was_written_to_or_is_another_file_s_is_left_alone() {
        let smaps = "\
1000-3000 r-xp 00000000 08:01 7 /opt/other program\nRss: 8 kB\nAnonymous: 0 kB\n\
3000-5000 r-xp 00000000 08:01 8 /opt/gateway\nRss: 8 kB\nAnonymous: 4 kB\n\
5000-6000 r--p 00000000 08:01 8 /opt/gateway\nRss: 4 kB\nAnonymous: 0 kB\n\
6000-8000 r-xp 00000000 00:00 0 \nRss: 4 kB\nAnonymous: 0 kB\n\
8000-a000 r-xp 00002000 08:01 8 /opt/gateway\nRss: 4 kB\nAnonymous: 0 kB\n\
a000-c000 r-xp 00002000 08:01 8 /opt/gateway\nRss: 4 kB\n";
        let starts = |program| -> Vec<usize> {
            text(smaps, Path::new(program)).iter().map(|mapping| mapping.start).collect()
        };
        assert_eq!(starts("/opt/gateway"), [0x8000]);
        assert_eq!(starts("/opt/other program"), [0x1000]);
        assert!(starts("/opt/gateway (deleted)").is_empty());
    }
}
