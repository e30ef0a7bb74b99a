//! Whatever way an id is typed or pasted, it is looked up; whatever cannot be an id reaches nobody but its asker.

use crate::support::spelling::{command_with_requests, expect_only_text};
use crate::support::{ID, with_app};

const UPPER: &str = "123E4567-E89B-12D3-A456-426614174000";
const LONGEST: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";

/// `ID` stands for the session that Kapso documents.
const SPELLINGS: &[(&str, &str)] = &[
    ("ID", ID),
    ("  ID  ", ID),
    ("\tID\r\n", ID),
    // As chats and documents wrap it.
    ("`ID`", ID),
    ("```ID```", ID),
    ("*ID*", ID),
    ("**ID**", ID),
    ("*`ID`*", ID),
    ("\"ID\"", ID),
    ("'ID'", ID),
    ("“ID”", ID),
    ("‘ID’", ID),
    ("„ID“", ID),
    ("«ID»", ID),
    ("‹ID›", ID),
    ("´ID´", ID),
    ("“`ID`”", ID),
    ("` ID `", ID),
    ("<ID>", ID),
    ("<ID|the session>", ID),
    ("*<ID>*", ID),
    // As keyboards and browsers change it.
    ("\u{200B}ID\u{200B}", ID),
    ("\u{FEFF}ID", ID),
    ("\u{2068}ID\u{2069}", ID),
    ("\u{202A}ID\u{202C}", ID),
    ("\u{2060}ID\u{200E}", ID),
    ("123e4567-\u{200B}e89b-12d3-\u{AD}a456-426614174000", ID),
    ("\u{A0}ID\u{A0}", ID),
    ("\u{202F}ID\u{3000}", ID),
    ("123e4567–e89b–12d3–a456–426614174000", ID),
    ("123e4567‑e89b‐12d3‒a456−426614174000", ID),
    ("agent—123", "agent--123"),
    (UPPER, ID),
    ("123E4567-e89b-12D3-a456-426614174000", ID),
    // Only a UUID has no case.
    ("Agent-123ABC", "Agent-123ABC"),
    ("agent-123abc", "agent-123abc"),
    (
        "123E4567-E89B-12D3-A456-42661417400G",
        "123E4567-E89B-12D3-A456-42661417400G",
    ),
    ("_under_scored_", "_under_scored_"),
    ("7", "7"),
    (LONGEST, LONGEST),
    // Kapso's addresses.
    ("https://app.kapso.ai/sandbox_sessions/ID", ID),
    ("https://app.kapso.ai/projects/42/sandbox_sessions/ID/", ID),
    ("https://app.kapso.ai/sandbox_sessions/ID?tab=chat&page=2", ID),
    ("https://app.kapso.ai/sandbox_sessions/ID#messages", ID),
    ("https://app.kapso.ai/sandbox_sessions/ID/?a=b#c/d", ID),
    ("HTTPS://APP.KAPSO.AI/sandbox_sessions/ID", ID),
    ("http://kapso.ai/ID", ID),
    ("app.kapso.ai/sandbox_sessions/ID", ID),
    (
        "https://api.kapso.ai/platform/v1/sandbox_sessions/Agent-123ABC",
        "Agent-123ABC",
    ),
    (
        "https://app.kapso.ai/sandbox_sessions/123E4567-E89B-12D3-A456-426614174000",
        ID,
    ),
    ("<https://app.kapso.ai/sandbox_sessions/ID>", ID),
    (
        "<https://app.kapso.ai/sandbox_sessions/ID?tab=chat|app.kapso.ai/sandbox…>",
        ID,
    ),
    ("`https://app.kapso.ai/sandbox_sessions/ID`", ID),
    // Behind the verb.
    ("show ID", ID),
    ("SHOW ID", ID),
    ("Show   ID", ID),
    ("sHoW\u{A0}`ID`", ID),
    ("`show` ID", ID),
    ("`show ID`", ID),
    ("show\nID", ID),
    ("show <https://app.kapso.ai/sandbox_sessions/ID|the session>", ID),
    ("show help", "help"),
    ("show new", "new"),
    ("show shwo", "shwo"),
];

/// What somebody types, and what they read that they could type instead.
const HOSTILE: &[(&str, &str)] = &[
    (".", "NO ID"),
    ("..", "NO ID"),
    ("/", "NO ID"),
    ("../..", "NO ID"),
    ("../../admin", "NO ID"),
    ("a/b", "NO ID"),
    ("/abc", "NO ID"),
    ("abc/", "NO ID"),
    ("..\\..", "NO ID"),
    ("a\\b", "NO ID"),
    ("%2e", "NO ID"),
    ("%2e%2e%2f", "NO ID"),
    ("abc%2Fdef", "NO ID"),
    ("abc%00", "NO ID"),
    ("abc?page=1", "NO ID"),
    ("?page=1", "NO ID"),
    ("abc#def", "NO ID"),
    ("#general", "NO ID"),
    ("@steve", "NO ID"),
    ("a@b", "NO ID"),
    ("abc:def", "NO ID"),
    ("abc;def", "NO ID"),
    ("abc&def=1", "NO ID"),
    ("abc,def", "NO ID"),
    ("abc+def", "NO ID"),
    ("$(reboot)", "NO ID"),
    ("{{7*7}}", "NO ID"),
    ("~abc~", "NO ID"),
    ("`", "NO ID"),
    ("“”", "NO ID"),
    ("sessión", "NO ID"),
    ("сессия", "NO ID"),
    ("ａｂｃ", "NO ID"),
    ("🙂", "NO ID"),
    ("abc🙂", "NO ID"),
    ("abc\0def", "show def"),
    ("abc\ndef", "show def"),
    ("abc\r\nX-API-Key: x", "show x"),
    ("abc def", "show def"),
    (
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-x",
        "NO ID",
    ),
    ("https://evil.example/x", "NO ID"),
    ("https://kapso.ai.evil.example/x", "NO ID"),
    ("https://evilkapso.ai/x", "NO ID"),
    ("https://kapso.ai@evil.example/x", "NO ID"),
    ("https://evil.example/?https://app.kapso.ai/x", "NO ID"),
    ("https://evil.example/#app.kapso.ai/x", "NO ID"),
    ("https://kapso.a\u{131}/x", "NO ID"),
    ("https://app.kapso.ai", "NO ID"),
    ("https://app.kapso.ai/", "NO ID"),
    ("https://app.kapso.ai/abc/..", "NO ID"),
    ("https://app.kapso.ai/a%2Fb", "NO ID"),
    ("https://app.kapso.ai/%2e%2e", "NO ID"),
    ("//evil.example/x", "NO ID"),
    ("file:///etc/passwd", "NO ID"),
    ("javascript:alert(1)", "NO ID"),
    ("<@U012AB>", "NO ID"),
    ("<@U012AB|steve>", "NO ID"),
    ("<#C012AB|general>", "NO ID"),
    ("<#C012AB|>", "NO ID"),
    ("<!channel>", "NO ID"),
    ("<!here|here>", "NO ID"),
    ("<!subteam^S012AB>", "NO ID"),
    ("<mailto:a@b.example|a@b.example>", "NO ID"),
    ("<https://evil.example/x|ID>", "NO ID"),
    ("show", "NO ID"),
    ("show ..", "NO ID"),
    ("show a/b", "NO ID"),
    ("show <!channel>", "NO ID"),
    // An id that is somewhere in it is offered, not looked up.
    ("show ID now", "show ID"),
    ("https://evil.example/ID", "show ID"),
    ("ID/../x", "show ID"),
    ("ID?x=<!channel>", "show ID"),
    ("(ID).", "show ID"),
    ("#ID", "show ID"),
];

#[tokio::test]
async fn every_spelling_of_an_id_looks_up_that_id() {
    with_app(async |app| {
        for (spelling, id) in SPELLINGS {
            let typed = spelling.replace("ID", ID);
            let (requests, _) = command_with_requests(app, &typed).await;
            assert_eq!(requests, [format!("GET /sandbox_sessions/{id}")], "{spelling:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn text_without_an_id_is_corrected_without_a_request_to_kapso() {
    with_app(async |app| {
        for (typed, instead) in HOSTILE {
            let (requests, answer) = command_with_requests(app, &typed.replace("ID", ID)).await;
            assert!(requests.is_empty(), "{typed:?} made us ask {requests:?}");
            let expected = match *instead {
                "NO ID" => "I couldn't find a session ID in that. Copy the ID from Kapso, for example `/sandbox ID`. \
                            More: `/sandbox help`"
                    .to_owned(),
                instead => format!("Did you mean `/sandbox {instead}`?"),
            };
            expect_only_text(&answer, &expected.replace("ID`", &format!("{ID}`")), typed);
        }
    })
    .await;
}
