//! What strangers wrote, made fit for a message.

use std::collections::BTreeMap;
use std::ops::Bound;

/// What is shown of the end of stderr, in bytes.
const SHOWN: usize = 1024;
/// Shorter ones are no secrets, and taking them out would make a riddle of the text.
const SECRET: usize = 3;
/// From how long on a word of stdout is taken out: tokens and lines of keys are longer.
const WORD: usize = 12;

/// A command or a hint in one line of bounded length.
pub(super) fn short(text: &str) -> String {
    shortened(text, 256)
}

/// What a Secret calls something, in one line of bounded length.
pub(super) fn name(text: &str) -> String {
    shortened(text, 64)
}

fn shortened(text: &str, length: usize) -> String {
    let mut line = harmless(text);
    if line.chars().count() > length {
        line = line.chars().take(length).collect();
        line.push('…');
    }
    line
}

/// The end of what a command wrote to stderr, in one line, less what it must not say: each secret becomes what it is
/// called, and words that it wrote to stdout (a shell's `set -x` repeats them) are left out.
///
/// `cut`: something stood before that is gone, so that the beginning may be the end of a secret.
pub(super) fn last_words(stderr: &[u8], cut: bool, secrets: &[(String, &str)], stdout: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let stdout = String::from_utf8_lossy(stdout);
    let secrets = by_value(secrets, &stdout);
    let from = match cut {
        true => secrets.keys().map(|value| value.len()).max().unwrap_or_default(),
        false => 0,
    };
    let line = harmless(&without(&text, from, &secrets));
    let line = line.trim();
    let from = line.ceil_char_boundary(line.len().saturating_sub(SHOWN));
    match from {
        0 => line.to_owned(),
        _ => format!("…{}", &line[from..]),
    }
}

/// What is taken out, and what is said in its place. Of two that are the same the first is named.
fn by_value<'a>(secrets: &'a [(String, &str)], stdout: &'a str) -> BTreeMap<&'a str, &'a str> {
    let apart = |letter: char| letter.is_whitespace() || matches!(letter, '"' | '\'' | '\\' | ',');
    let words = stdout.split(apart).filter(|word| word.len() >= WORD);
    // A line break in JSON is `\n`, so the words after it begin with an n.
    let words = words.flat_map(|word| [Some(word), word.strip_prefix('n')]).flatten();
    let mut values: BTreeMap<&str, &str> = words.map(|word| (word, "stdout")).collect();
    let named =
        secrets.iter().rev().flat_map(|(name, value)| forms(value).map(move |form| (form, name.as_str())));
    values.extend(named.filter(|(value, _)| value.len() >= SECRET));
    values
}

/// A text from there on less the secrets in it, each of which becomes its name. One pass over what was written: names
/// are not looked at again, as a secret may be a part of a name. Where secrets overlap, all of them go.
fn without(text: &str, from: usize, secrets: &BTreeMap<&str, &str>) -> String {
    let mut shown = String::new();
    let mut hidden = 0;
    for (at, letter) in text.char_indices() {
        let found = longest(&text[at..], secrets);
        let is_shown = at >= hidden && at >= from;
        match found {
            Some((_, name)) if is_shown => shown.extend(["[", name, "]"]),
            None if is_shown => shown.push(letter),
            _ => {}
        }
        hidden = hidden.max(found.map_or(0, |(length, _)| at + length));
    }
    shown
}

/// The longest secret that a text begins with: its length and its name.
fn longest<'a>(text: &str, secrets: &BTreeMap<&str, &'a str>) -> Option<(usize, &'a str)> {
    let mut text = text;
    loop {
        let up_to = (Bound::Unbounded, Bound::Included(text));
        let (value, name) = secrets.range::<str, _>(up_to).next_back()?;
        if text.starts_with(value) {
            return Some((value.len(), name));
        }
        // A secret that the text begins with is not after this one in the order, so this one begins with it too.
        let same = text.char_indices().zip(value.chars()).take_while(|((_, one), other)| one == other);
        let length = same.last().map_or(0, |((at, letter), _)| at + letter.len_utf8());
        text = &text[..length];
    }
}

/// A value as it is, as it stands in a line, and each of its lines.
fn forms(value: &str) -> impl Iterator<Item = &str> {
    std::iter::once(value).chain(std::iter::once(value.trim())).chain(value.lines().map(str::trim))
}

/// Line breaks become spaces; what would move a terminal's cursor or end a line of a log becomes a question mark, and
/// so do letters that turn the direction of writing.
fn harmless(text: &str) -> String {
    let letters = text.trim().chars().map(|letter| match letter {
        '\n' | '\r' | '\t' => ' ',
        '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '?',
        letter if letter.is_control() => '?',
        letter => letter,
    });
    letters.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets<'a>(values: &[&'a str]) -> Vec<(String, &'a str)> {
        values.iter().enumerate().map(|(index, value)| (format!("env S{index}"), *value)).collect()
    }

    #[test]
    fn secrets_become_their_names_however_they_overlap() {
        let secrets = secrets(&["hunter2", "hunter2-and-more", "", "ab", "first line\nsecond line\n"]);
        let said = |stderr: &str| last_words(stderr.as_bytes(), false, &secrets, b"");
        assert_eq!(said("bad hunter2, bad hunter2-and-more"), "bad [env S0], bad [env S1]");
        assert_eq!(said("no second line"), "no [env S4]");
        assert_eq!(said("ab is no secret"), "ab is no secret");
    }

    #[test]
    fn names_are_not_searched_for_secrets_and_overlapping_ones_all_go() {
        let chosen =
            [("$aaaaaaaa".to_owned(), "aaa"), ("$bbb".to_owned(), "aaaa\naaaa"), ("$b".to_owned(), "$bb")];
        let said = |stderr: &str| last_words(stderr.as_bytes(), false, &chosen, b"");
        assert_eq!(said("no aaa"), "no [$aaaaaaaa]");
        assert_eq!(said("no aaaa"), "no [$bbb]");
        assert_eq!(said("$bb"), "[$b]");
        let overlapping = secrets(&["abcdef", "defghi", "xy", "xyzzy-1"]);
        let said = |stderr: &str| last_words(stderr.as_bytes(), false, &overlapping, b"");
        assert_eq!(said("abcdefghi xyzzy-2 xyzzy-1"), "[env S0] xyzzy-2 [env S3]");
        let many = "x".repeat(256);
        let grows = [(format!("${many}"), "xxx"), (format!("$y{many}"), "xxxx")];
        assert!(last_words("x".repeat(4096).as_bytes(), false, &grows, b"").len() <= 1100);
    }

    #[test]
    fn what_was_written_to_stdout_is_not_repeated() {
        let stdout = br#"{"status":{"token":"abcdefghijklmnop","clientKeyData":"-----BEGIN-----\nMIIBaaaaaaaaaaaa\n"}}"#;
        let stderr = b"+ echo abcdefghijklmnop MIIBaaaaaaaaaaaa";
        assert_eq!(last_words(stderr, false, &[], stdout), "+ echo [stdout] [stdout]");
    }

    #[test]
    fn the_end_of_a_secret_that_was_cut_is_not_shown() {
        let secrets = secrets(&["hunter2hunter2"]);
        let stderr = b"ter2hunter2 and a long text after it";
        let shown = last_words(stderr, true, &secrets, b"");
        assert!(!shown.contains("ter2"), "{shown}");
        assert!(shown.ends_with("long text after it"), "{shown}");
    }

    #[test]
    fn letters_that_move_cursors_or_break_lines_are_made_harmless_and_length_is_bounded() {
        assert_eq!(last_words(b"a\x1b[2Jb\nc\r\n", false, &[], b""), "a?[2Jb c");
        assert_eq!(last_words("\u{202e}x\u{2028}y".as_bytes(), false, &[], b""), "?x?y");
        let long = last_words("ä".repeat(5000).as_bytes(), false, &[], b"");
        assert!(long.len() <= SHOWN + 4 && long.starts_with('…'), "{}", long.len());
        assert_eq!(short(&"x".repeat(1000)).chars().count(), 257);
        assert_eq!(name(&"x".repeat(1000)).chars().count(), 65);
    }
}
