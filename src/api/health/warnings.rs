//! What a caller should know although it was done: `Warning` headers, as kube-apiserver writes them
//! (k8s.io/apiserver, pkg/endpoints/filters/warning.go).

use http::HeaderMap;
use http::header::{HeaderValue, WARNING};

/// Letters of all warnings together, beyond which each is cut: proxies and clients bound their headers.
const MOST: usize = 4 * 1024;
/// Letters of one warning then.
const LONGEST: usize = 256;

/// Warnings, each once.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Warnings(Vec<String>);

impl Warnings {
    /// One more, unless it is there already.
    pub fn add(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.0.contains(&text) {
            self.0.push(text);
        }
    }

    /// Puts them on an answer.
    pub fn onto(&self, headers: &mut HeaderMap) {
        let is_long = self.0.iter().map(|text| text.chars().count()).sum::<usize>() > MOST;
        let mut written = 0;
        for text in &self.0 {
            if is_long && written >= MOST {
                break;
            }
            let shown: String = text.chars().take(if is_long { LONGEST } else { usize::MAX }).collect();
            // RFC 7234 section 5.5. What cannot stand in a header is left out.
            let quoted = shown.replace('\\', "\\\\").replace('"', "\\\"");
            if let Ok(value) = HeaderValue::from_bytes(format!("299 - \"{quoted}\"").as_bytes()) {
                written += shown.chars().count();
                headers.append(WARNING, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(texts: impl IntoIterator<Item = String>) -> Vec<String> {
        let (mut warnings, mut headers) = (Warnings::default(), HeaderMap::new());
        texts.into_iter().for_each(|text| warnings.add(text));
        warnings.onto(&mut headers);
        headers.get_all(WARNING).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn each_is_said_once_and_quoted() {
        let texts = ["unknown field \"a\\b\"", "x", "x", "no\nheader"].map(str::to_owned);
        assert_eq!(headers(texts), [r#"299 - "unknown field \"a\\b\"""#, r#"299 - "x""#]);
    }

    #[test]
    fn many_are_cut_and_then_left_out() {
        let many = headers((0..200).map(|number| format!("{number:0300}")));
        // Sixteen times 256 letters are four kilobytes; all begin alike, but each was another text.
        assert_eq!(many.len(), 16);
        assert!(many.iter().all(|value| value.len() == LONGEST + r#"299 - """#.len()));
        let few = headers((0..13).map(|number| format!("{number:0300}")));
        assert!(few.len() == 13 && few.iter().all(|value| value.len() == 300 + 8));
    }
}
