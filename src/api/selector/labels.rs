//! Label selectors, read token by token as apimachinery's pkg/labels/selector.go does, so that what cannot be read
//! is refused in the same words.

use std::collections::BTreeSet;

use crate::model::ClusterName;

/// Requirements that all have to be met.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Labels(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
    values: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    In,
    NotIn,
    Exists,
    Missing,
    Greater,
    Less,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    End,
    Close,
    Comma,
    Not,
    DoubleEquals,
    Equals,
    Greater,
    Identifier,
    In,
    Less,
    NotEquals,
    NotIn,
    Open,
}

impl Labels {
    pub(super) fn parse(selector: &str) -> Result<Self, String> {
        Parser { tokens: scan(selector), position: 0 }.selector().map(Self)
    }

    pub(super) fn choose<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.0.iter().all(|requirement| requirement.is_met(label(&requirement.key)))
    }
}

impl Requirement {
    fn is_met(&self, actual: Option<&str>) -> bool {
        let pair = || Some((actual?.parse::<i64>().ok()?, self.values.first()?.parse::<i64>().ok()?));
        match self.operator {
            Operator::In => actual.is_some_and(|value| self.values.contains(value)),
            Operator::NotIn => actual.is_none_or(|value| !self.values.contains(value)),
            Operator::Exists => actual.is_some(),
            Operator::Missing => actual.is_none(),
            Operator::Greater => pair().is_some_and(|(value, bound)| value > bound),
            Operator::Less => pair().is_some_and(|(value, bound)| value < bound),
        }
    }

    fn new(key: String, operator: Operator, values: BTreeSet<String>) -> Result<Self, String> {
        if matches!(operator, Operator::Greater | Operator::Less)
            && let Some(bad) = values.iter().find(|value| value.parse::<i64>().is_err())
        {
            return Err(format!(
                "values[0]: Invalid value: {bad:?}: for 'Gt', 'Lt' operators, the value must be an integer"
            ));
        }
        let problems = values.iter().enumerate().filter_map(|(at, value)| {
            let problem = bad_value(value)?;
            Some(format!("values[{at}][{key}]: Invalid value: {value:?}: {problem}"))
        });
        let problems: Vec<String> = problems.collect();
        match &problems[..] {
            [] => Ok(Self { key, operator, values }),
            [one] => Err(one.clone()),
            many => Err(format!("[{}]", many.join(", "))),
        }
    }
}

struct Parser {
    tokens: Vec<(Token, String)>,
    position: usize,
}

impl Parser {
    fn selector(&mut self) -> Result<Vec<Requirement>, String> {
        let mut requirements = Vec::new();
        loop {
            match self.peek() {
                (Token::Identifier | Token::Not, _) => {
                    let requirement = self.requirement();
                    requirements
                        .push(requirement.map_err(|error| format!("unable to parse requirement: {error}"))?);
                    match self.take() {
                        (Token::End, _) => return Ok(requirements),
                        (Token::Comma, _) => match self.peek() {
                            (Token::Identifier | Token::Not, _) => {}
                            (_, text) => {
                                return Err(format!("found '{text}', expected: identifier after ','"));
                            }
                        },
                        (_, text) => return Err(format!("found '{text}', expected: ',' or 'end of string'")),
                    }
                }
                (Token::End, _) => return Ok(requirements),
                (_, text) => {
                    return Err(format!("found '{text}', expected: !, identifier, or 'end of string'"));
                }
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let (mut token, mut key) = self.take();
        let missing = token == Token::Not;
        if missing {
            (token, key) = self.take();
        }
        if token != Token::Identifier {
            return Err(format!("found '{key}', expected: identifier"));
        }
        if let Some(problem) = bad_key(&key) {
            return Err(format!("<nil>: Invalid value: {key:?}: {problem}"));
        }
        if missing {
            return Requirement::new(key, Operator::Missing, BTreeSet::new());
        }
        if matches!(self.peek().0, Token::End | Token::Comma) {
            return Requirement::new(key, Operator::Exists, BTreeSet::new());
        }
        // Only here `in` and `notin` are words of the language.
        let (token, text) = self.tokens[self.position].clone();
        self.position += 1;
        let (operator, set) = match token {
            Token::In => (Operator::In, true),
            Token::NotIn => (Operator::NotIn, true),
            Token::Equals | Token::DoubleEquals => (Operator::In, false),
            Token::NotEquals => (Operator::NotIn, false),
            Token::Greater => (Operator::Greater, false),
            Token::Less => (Operator::Less, false),
            _ => return Err(format!("found '{text}', expected: in, notin, =, ==, !=, gt, lt")),
        };
        let values = if set { self.values() } else { self.value() }?;
        Requirement::new(key, operator, values)
    }

    fn values(&mut self) -> Result<BTreeSet<String>, String> {
        match self.take() {
            (Token::Open, _) => {}
            (_, text) => return Err(format!("found '{text}' expected: '('")),
        }
        match self.peek() {
            (Token::Identifier | Token::Comma, _) => {
                let values = self.identifiers()?;
                // What ended the list is what closes it.
                self.position += 1;
                Ok(values)
            }
            (Token::Close, _) => {
                self.position += 1;
                Ok(BTreeSet::from([String::new()]))
            }
            (_, text) => Err(format!("found '{text}', expected: ',', ')' or identifier")),
        }
    }

    /// Up to the closing parenthesis. Nothing between two commas is the empty value.
    fn identifiers(&mut self) -> Result<BTreeSet<String>, String> {
        let mut values = BTreeSet::new();
        loop {
            match self.take() {
                (Token::Identifier, text) => {
                    values.insert(text);
                    match self.peek() {
                        (Token::Comma, _) => {}
                        (Token::Close, _) => return Ok(values),
                        (_, text) => return Err(format!("found '{text}', expected: ',' or ')'")),
                    }
                }
                (Token::Comma, _) => {
                    if values.is_empty() {
                        values.insert(String::new());
                    }
                    match self.peek().0 {
                        Token::Close => {
                            values.insert(String::new());
                            return Ok(values);
                        }
                        Token::Comma => {
                            values.insert(String::new());
                        }
                        _ => {}
                    }
                }
                (_, text) => return Err(format!("found '{text}', expected: ',', or identifier")),
            }
        }
    }

    fn value(&mut self) -> Result<BTreeSet<String>, String> {
        if matches!(self.peek().0, Token::End | Token::Comma) {
            return Ok(BTreeSet::from([String::new()]));
        }
        match self.take() {
            (Token::Identifier, text) => Ok(BTreeSet::from([text])),
            (_, text) => Err(format!("found '{text}', expected: identifier")),
        }
    }

    /// The next token, where a value may stand. There is always one: nothing goes on behind the end.
    fn peek(&self) -> (Token, String) {
        let (token, text) = self.tokens.get(self.position).cloned().unwrap_or((Token::End, String::new()));
        match token {
            Token::In | Token::NotIn => (Token::Identifier, text),
            other => (other, text),
        }
    }

    fn take(&mut self) -> (Token, String) {
        let next = self.peek();
        self.position += 1;
        next
    }
}

fn scan(selector: &str) -> Vec<(Token, String)> {
    const SPECIAL: [char; 7] = ['=', '!', '(', ')', ',', '>', '<'];
    const WHITE: [char; 4] = [' ', '\t', '\r', '\n'];
    let mut rest = selector;
    let mut tokens = Vec::new();
    loop {
        rest = rest.trim_start_matches(WHITE);
        let Some(first) = rest.chars().next() else { break };
        if SPECIAL.contains(&first) {
            let run = rest.find(|letter| !SPECIAL.contains(&letter)).unwrap_or(rest.len());
            // Two signs may be one token; everything else that stands together is taken apart.
            let longest = [2, 1].into_iter().find_map(|length| {
                let sign = rest.get(..length.min(run))?;
                symbol(sign).map(|token| (token, sign))
            });
            // Each of the signs is one by itself.
            let Some((token, sign)) = longest else { break };
            tokens.push((token, sign.to_owned()));
            rest = &rest[sign.len()..];
        } else {
            let end = rest.find(|letter| SPECIAL.contains(&letter) || WHITE.contains(&letter));
            let (word, behind) = rest.split_at(end.unwrap_or(rest.len()));
            let token = match word {
                "in" => Token::In,
                "notin" => Token::NotIn,
                _ => Token::Identifier,
            };
            tokens.push((token, word.to_owned()));
            rest = behind;
        }
    }
    tokens.push((Token::End, String::new()));
    tokens
}

fn symbol(sign: &str) -> Option<Token> {
    Some(match sign {
        ")" => Token::Close,
        "," => Token::Comma,
        "!" => Token::Not,
        "==" => Token::DoubleEquals,
        "=" => Token::Equals,
        ">" => Token::Greater,
        "<" => Token::Less,
        "!=" => Token::NotEquals,
        "(" => Token::Open,
        _ => return None,
    })
}

const NAME: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const PREFIX: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const TOO_LONG: &str = "must be no more than 63 bytes";

/// What is wrong with a key (content.IsLabelKey).
fn bad_key(key: &str) -> Option<String> {
    let parts: Vec<&str> = key.split('/').collect();
    let mut problems = Vec::new();
    let name = match parts[..] {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                problems.push("prefix part must be non-empty".to_owned());
            } else {
                if prefix.len() > 253 {
                    problems.push("prefix part must be no more than 253 bytes".to_owned());
                }
                // The same rule, but for the length.
                if !prefix.split('.').all(ClusterName::is_valid) {
                    problems.push(format!("prefix part {PREFIX}"));
                }
            }
            name
        }
        _ => {
            return Some(format!(
                "a valid label key {NAME} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            ));
        }
    };
    if name.is_empty() {
        problems.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        problems.push(format!("name part {TOO_LONG}"));
    }
    if !is_word(name) {
        problems.push(format!("name part {NAME}"));
    }
    (!problems.is_empty()).then(|| problems.join("; "))
}

/// What is wrong with a value (content.IsLabelValue).
fn bad_value(value: &str) -> Option<String> {
    let mut problems = Vec::new();
    if value.len() > 63 {
        problems.push(TOO_LONG);
    }
    if !value.is_empty() && !is_word(value) {
        problems.push(VALUE);
    }
    (!problems.is_empty()).then(|| problems.join("; "))
}

fn is_word(text: &str) -> bool {
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    ends.iter().all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

#[cfg(test)]
#[path = "labels_tests.rs"]
mod tests;
