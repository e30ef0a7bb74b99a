//! Checks by the structure of a message that foreign text in it is inert.

use serde_json::Value;

use crate::support::validate;

/// Texts that would have an effect if their markup were not removed. Each contains `MARK`.
pub const WORDS: &[&str] = &[
    // Mentions.
    "MARK<!channel>",
    "<!here>MARK",
    "<!everyone|MARK>",
    "MARK <@U1> <@W012AB|boss> <#C1|general> <!subteam^S1>",
    "MARK &lt;!here&gt; &lt;@U1&gt; &amp;lt;!channel&amp;gt;",
    "@channel @here @everyone #general MARK",
    "＠channel MARK",
    // Links.
    "<https://evil.example|MARK>",
    "MARK https://evil.example/login?next=/",
    "MARK http://127.0.0.1 HTTPS://EVIL.EXAMPLE //evil.example",
    "MARK evil.example www.evil.example evil.example/login evil.example:8080",
    "MARK evil.com! evil.com? evil.com] evil.com} “evil.com” evil.com… evil.com=1 evil.com&x [evil.com](x) evil.com\\x",
    "MARK evil.com\u{200D} evil\u{200D}.com evil.co\u{301}m bücher.de пример.рф 例子.测试 evil.xn--p1ai",
    "MARK a@b.example mailto:a@b.example <mailto:a@b.example|mail>",
    "MARK <tel:+15550100|call> <slack://channel?id=1|go> javascript:alert(1)",
    "](https://evil.example) [MARK](https://evil.example)",
    "MARK <https://wa.me/1|Activate>",
    // Styles and dates.
    "*MARK* _MARK_ ~MARK~ `MARK` ```MARK``` >MARK",
    "MARK * _ ~ ` *** ___ ~~~ ```",
    "MARK <!date^0^{date}^https://evil.example|now>",
    "MARK :tada: :warning: :+1::skin-tone-2: :flag-de:",
    // Layout.
    "MARK\n\n> quoted\n• listed\n1. listed\r\n```\ncode\n```",
    "MARK\u{2028}next\u{2029}next\u{85}next\u{B}next",
    "\u{202E}KRAM MARK\u{202C} \u{2066}a\u{2069} \u{200F}b\u{200E} \u{61C}",
    "\0MARK\u{7}\u{1B}[31m\u{7F}\u{9B}",
    "M\u{200B}\u{FEFF}\u{2060}MARK\u{AD}\u{180E}\u{3164}\u{115F}",
    "MARK\u{E0041}\u{E007F}\u{FFF9}x\u{FFFB}",
    "Z\u{300}\u{301}\u{302}\u{303}MARK 👩‍👩‍👧 🇩🇪",
    // What a template or a shell would act on.
    "MARK {{7*7}} ${x} %s $(reboot) '; DROP TABLE--",
    "MARK\",\"blocks\":[],\"response_type\":\"in_channel",
    "MARK</script><img src=x onerror=alert(1)>",
];

/// How Slack interprets a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The top-level text: mrkdwn that may contain foreign text.
    Spoken,
    /// Mrkdwn of our own text only.
    Markup,
    /// Literal text.
    Letters,
}

/// Fails unless the foreign text in this message, which contains `MARK`, is inert.
pub fn expect_inert(message: &Value, what: &str) {
    validate(message);
    let texts = texts(message, what);
    let marks: usize = texts.iter().map(|(_, text)| text.matches("MARK").count()).sum();
    let all = message.to_string();
    assert_eq!(
        marks,
        all.matches("MARK").count(),
        "{what}: foreign words outside of texts: {all}"
    );
    for (kind, text) in texts {
        match kind {
            Kind::Letters => {
                // Our own labels begin new lines.
                let line = text.strip_prefix('\n').unwrap_or(text);
                assert!(!line.contains(is_hidden), "{what}: hidden characters in {text:?}");
            }
            Kind::Markup => {
                assert!(!text.contains("MARK"), "{what}: foreign words in markup: {text}");
                let bare = without_ours(text, what);
                assert!(!bare.replace('\n', "").contains(is_hidden), "{what}: {bare:?}");
            }
            Kind::Spoken => {
                let bare = without_ours(text, what);
                assert!(!bare.contains(is_hidden), "{what}: hidden characters in {bare:?}");
                assert!(!bare.contains(is_style), "{what}: styles or mentions in {bare}");
                assert_eq!(emoji_code(&bare), None, "{what}: {bare}");
                assert_eq!(address(&bare), None, "{what}: {bare}");
            }
        }
    }
}

/// All literal texts of a message.
pub fn letters(message: &Value) -> Vec<&str> {
    let texts = texts(message, "a message").into_iter();
    texts
        .filter(|(kind, _)| *kind == Kind::Letters)
        .map(|(_, text)| text)
        .collect()
}

fn texts<'m>(message: &'m Value, what: &str) -> Vec<(Kind, &'m str)> {
    let mut texts = vec![(Kind::Spoken, message["text"].as_str().unwrap())];
    collect(&message["blocks"], what, &mut texts);
    texts
}

/// Every text object and run of rich text in a part of a message.
fn collect<'m>(part: &'m Value, what: &str, texts: &mut Vec<(Kind, &'m str)>) {
    match part {
        Value::Array(parts) => parts.iter().for_each(|part| collect(part, what, texts)),
        Value::Object(fields) => {
            let text = part["text"].as_str().unwrap_or_default();
            match part["type"].as_str() {
                Some("plain_text") => {
                    assert_eq!(part["emoji"], false, "{what}: emoji codes would act in {part}");
                    texts.push((Kind::Letters, text));
                }
                Some("text") => texts.push((Kind::Letters, text)),
                Some("mrkdwn") => {
                    assert_eq!(part["verbatim"], true, "{what}: bare names would act in {part}");
                    texts.push((Kind::Markup, text));
                }
                Some("header" | "section" | "actions" | "context" | "button" | "rich_text" | "rich_text_section") => {
                    fields.values().for_each(|field| collect(field, what, texts));
                }
                _ => assert!(part["type"].is_null(), "{what}: {part} might act"),
            }
        }
        _ => {}
    }
}

/// Mrkdwn without our own dates, links and mentions; fails if anything left could be markup.
fn without_ours(text: &str, what: &str) -> String {
    let mut bare = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('<') {
        let (token, after) = behind
            .split_once('>')
            .unwrap_or_else(|| panic!("{what}: < is never closed: {text}"));
        assert!(is_ours(token), "{what}: <{token}> is not ours: {text}");
        bare.push_str(before);
        bare.push(' ');
        rest = after;
    }
    bare.push_str(rest);
    assert!(!bare.contains('>'), "{what}: > in {text}");
    let escaped = ["&amp;", "&lt;", "&gt;"];
    for (at, _) in bare.match_indices('&') {
        let is_escape = escaped.iter().any(|escape| bare[at..].starts_with(escape));
        assert!(is_escape, "{what}: a bare & in {text}");
    }
    bare
}

/// A date, a link to WhatsApp that shows its own address, or a mention of the default user.
fn is_ours(token: &str) -> bool {
    if let Some(date) = token.strip_prefix("!date^") {
        let (seconds, rest) = date.split_once('^').unwrap_or_default();
        let utc = rest.strip_prefix("{date_short_pretty} at {time}|").unwrap_or_default();
        return seconds.parse::<i64>().is_ok()
            && utc.ends_with(" UTC")
            && utc.len() == "2026-11-23 10:00 UTC".len()
            && utc.chars().all(|c| c.is_ascii_digit() || "-: UTC".contains(c));
    }
    if token == "@U2147483697" {
        return true;
    }
    (token.starts_with("https://wa.me/") || token.starts_with("https://api.whatsapp.com/"))
        && !token.contains(['|', ' ', '<'])
}

/// Invisible and bidirectional characters. The joiners are excluded: some scripts need them.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{AD}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{180E}' | '\u{200B}' | '\u{200E}' | '\u{200F}'
            | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FEFF}' | '\u{FFA0}'
            | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E0FFF}')
}

fn is_style(c: char) -> bool {
    matches!(c, '*' | '_' | '~' | '`' | '@' | '#' | '\u{FF20}' | '\n')
}

/// An emoji code such as `:tada:`.
fn emoji_code(text: &str) -> Option<&str> {
    let (_, behind) = text.split_once(':')?;
    let (between, _) = behind.rsplit_once(':')?;
    let mut codes = between.split(':');
    codes.find(|code| !code.is_empty() && !code.contains(char::is_whitespace))
}

/// What a client might turn into a link: a dot between what could be labels of a domain, or two slashes.
fn address(text: &str) -> Option<&str> {
    let is_label = |c: char| !c.is_whitespace() && (c == '-' || !c.is_ascii_punctuation());
    text.split_whitespace().find(|word| {
        let dots = word.match_indices('.');
        let mut domains = dots.map(|(at, _)| (&word[..at], &word[at + 1..]));
        word.contains("//")
            || domains.any(|(before, behind)| {
                let top: Vec<char> = behind.chars().take_while(|c| is_label(*c)).collect();
                before.ends_with(is_label) && top.len() >= 2 && !top.iter().all(char::is_ascii_digit)
            })
    })
}
