//! What Go's encoding/json says of a text that is no JSON: people search for these words, and tools look at them.

/// Deeper ones are refused by our parser as well.
const DEPTH: usize = 128;

/// What is wrong with a text that could not be parsed.
pub(super) fn problem(text: &[u8]) -> String {
    let mut scan = Scan { text, at: 0 };
    let checked = scan.value(0).and_then(|()| {
        scan.space();
        scan.peek().map_or(Ok(()), |byte| Err(unexpected(byte, "after top-level value")))
    });
    // Valid for Go and not for us: nothing but depth, or a number that does not fit.
    checked.err().unwrap_or_else(|| "json: the value cannot be represented".to_owned())
}

/// What Go calls the kind of a value.
pub(super) fn kind(value: &serde_json::Value) -> &'static str {
    use serde_json::Value;
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Result<u8, String> {
        let byte = self.peek().ok_or_else(|| "unexpected end of JSON input".to_owned())?;
        self.at += 1;
        Ok(byte)
    }

    /// Within a word or a number Go takes the end of the text for a space that should not be there.
    fn within(&mut self) -> u8 {
        self.next().unwrap_or(b' ')
    }

    fn space(&mut self) {
        while self.peek().is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<(), String> {
        if depth > DEPTH {
            return Err("exceeded max depth".to_owned());
        }
        self.space();
        match self.next()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.string(),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            b'-' => match self.within() {
                digit @ b'0'..=b'9' => self.number(digit),
                byte => Err(unexpected(byte, "in numeric literal")),
            },
            digit @ b'0'..=b'9' => self.number(digit),
            byte => Err(unexpected(byte, "looking for beginning of value")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), String> {
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            match self.next()? {
                b'"' => self.string()?,
                byte => return Err(unexpected(byte, "looking for beginning of object key string")),
            }
            self.space();
            match self.next()? {
                b':' => self.value(depth + 1)?,
                byte => return Err(unexpected(byte, "after object key")),
            }
            self.space();
            match self.next()? {
                b',' => {}
                b'}' => return Ok(()),
                byte => return Err(unexpected(byte, "after object key:value pair")),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), String> {
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            self.space();
            match self.next()? {
                b',' => {}
                b']' => return Ok(()),
                byte => return Err(unexpected(byte, "after array element")),
            }
        }
    }

    fn string(&mut self) -> Result<(), String> {
        loop {
            match self.next()? {
                b'"' => return Ok(()),
                b'\\' => match self.within() {
                    b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => {}
                    b'u' => {
                        for _ in 0..4 {
                            let byte = self.within();
                            if !byte.is_ascii_hexdigit() {
                                return Err(unexpected(byte, "in \\u hexadecimal character escape"));
                            }
                        }
                    }
                    byte => return Err(unexpected(byte, "in string escape code")),
                },
                byte if byte < 0x20 => return Err(unexpected(byte, "in string literal")),
                _ => {}
            }
        }
    }

    /// Its first letter was read.
    fn literal(&mut self, word: &str) -> Result<(), String> {
        for expected in word.bytes().skip(1) {
            let byte = self.within();
            if byte != expected {
                let place = format!("in literal {word} (expecting '{}')", char::from(expected));
                return Err(unexpected(byte, &place));
            }
        }
        Ok(())
    }

    fn number(&mut self, first: u8) -> Result<(), String> {
        if first != b'0' {
            self.digits();
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digit("after decimal point in numeric literal")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digit("in exponent of numeric literal")?;
        }
        Ok(())
    }

    fn digit(&mut self, place: &str) -> Result<(), String> {
        match self.within() {
            b'0'..=b'9' => self.digits(),
            byte => return Err(unexpected(byte, place)),
        }
        Ok(())
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
    }
}

fn unexpected(byte: u8, place: &str) -> String {
    let quoted = match byte {
        b'\'' => r"'\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        b'\n' => r"'\n'".to_owned(),
        b'\r' => r"'\r'".to_owned(),
        b'\t' => r"'\t'".to_owned(),
        0x07 | 0x08 | 0x0b | 0x0c => format!("'\\{}'", ['a', 'b', 't', 'n', 'v', 'f'][usize::from(byte) - 7]),
        b'\\' => r"'\\'".to_owned(),
        0x20..=0x7e => format!("'{}'", char::from(byte)),
        0..0x20 | 0x7f => format!("'\\x{byte:02x}'"),
        0x80..=0xa0 | 0xad => format!("'\\u{byte:04x}'"),
        _ => format!("'{}'", char::from(byte)),
    };
    format!("invalid character {quoted} {place}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_gos() {
        for (text, words) in [
            ("", "unexpected end of JSON input"),
            ("{", "unexpected end of JSON input"),
            ("foo", "invalid character 'o' in literal false (expecting 'a')"),
            ("x", "invalid character 'x' looking for beginning of value"),
            (r#"{"a":1} x"#, "invalid character 'x' after top-level value"),
            (r#"{"a" 1}"#, "invalid character '1' after object key"),
            (r#"{"a":1 "b":2}"#, "invalid character '\"' after object key:value pair"),
            (r#"{"a":1,}"#, "invalid character '}' looking for beginning of object key string"),
            ("[1 2]", "invalid character '2' after array element"),
            ("\"a\nb\"", "invalid character '\\n' in string literal"),
            (r#""\x""#, "invalid character 'x' in string escape code"),
            ("1.x", "invalid character 'x' after decimal point in numeric literal"),
            ("-", "invalid character ' ' in numeric literal"),
            ("nul", "invalid character ' ' in literal null (expecting 'l')"),
            ("\"a", "unexpected end of JSON input"),
            ("'a'", "invalid character '\\'' looking for beginning of value"),
        ] {
            assert_eq!(problem(text.as_bytes()), words, "{text}");
        }
    }

    #[test]
    fn depth_is_no_way_to_exhaust_the_stack() {
        assert_eq!(problem(&vec![b'['; 1_000_000]), "exceeded max depth");
    }
}
