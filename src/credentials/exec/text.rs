//! What strangers wrote, made fit for a message.

/// What is shown of the end of stderr, in bytes.
const SHOWN: usize = 1024;
/// Shorter ones are no secrets, and taking them out would make a riddle of the text.
const SECRET: usize = 3;
/// From how long on a word of stdout is taken out: tokens and lines of keys are longer.
const WORD: usize = 12;

/// A name or a hint in one line of bounded length.
pub(super) fn short(text: &str) -> String {
    const LENGTH: usize = 256;
    let mut line = harmless(text);
    if line.chars().count() > LENGTH {
        line = line.chars().take(LENGTH).collect();
        line.push('…');
    }
    line
}

/// The end of what a command wrote to stderr, in one line, less what it must not say: each secret becomes what it is
/// called, and words that it wrote to stdout (a shell's `set -x` repeats them) are left out.
///
/// `cut`: something stood before that is gone, so that the beginning may be the end of a secret.
pub(super) fn last_words(stderr: &[u8], cut: bool, secrets: &[(String, &str)], stdout: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(stderr).into_owned();
    let mut secrets: Vec<(&str, String)> = secrets
        .iter()
        .flat_map(|(name, value)| forms(value).map(move |form| (form, format!("[{name}]"))))
        .filter(|(value, _)| value.len() >= SECRET)
        .collect();
    let stdout = String::from_utf8_lossy(stdout);
    let apart = |letter: char| letter.is_whitespace() || matches!(letter, '"' | '\'' | '\\' | ',');
    let words = stdout.split(apart).filter(|word| word.len() >= WORD);
    // A line break in JSON is `\n`, so the words after it begin with an n.
    let words = words.flat_map(|word| [Some(word), word.strip_prefix('n')]).flatten();
    secrets.extend(words.map(|word| (word, "[stdout]".to_owned())));
    // The longest first: one may be a part of another.
    secrets.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
    if cut {
        let longest = secrets.first().map_or(0, |(value, _)| value.len());
        text.drain(..text.ceil_char_boundary(longest));
    }
    for (value, name) in &secrets {
        if text.contains(value) {
            text = text.replace(value, name);
        }
    }
    let line = harmless(&text);
    let line = line.trim();
    let from = line.ceil_char_boundary(line.len().saturating_sub(SHOWN));
    match from {
        0 => line.to_owned(),
        _ => format!("…{}", &line[from..]),
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
    }
}
