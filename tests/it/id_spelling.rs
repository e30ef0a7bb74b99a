//! Ids in every form in which people type and paste them. Text that is not an id is never sent to Kapso.

use crate::support::spelling::{command_with_requests, expect_only_text};
use crate::support::{ID, with_app};

const UPPER: &str = "123E4567-E89B-12D3-A456-426614174000";
const LONGEST: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";

/// `ID` stands for the session that Kapso documents.
const SPELLINGS: &[(&str, &str)] = &[
    ("ID", ID),
    ("  ID  ", ID),
    ("\tID\r\n", ID),
    // As chats and documents format it.
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
    ("~ID~", ID),
    ("~~ID~~", ID),
    ("_ID_", ID),
    ("__ID__", ID),
    ("_*~`ID`~*_", ID),
    ("*_ID_*", ID),
    ("_<ID>_", ID),
    ("~<ID|the session>~", ID),
    ("_ ID _", ID),
    ("• ID", ID),
    ("'_“ID”_'", ID),
    ("′ID′", ID),
    ("「ID」", ID),
    // As Slack escapes it.
    ("&lt;ID&gt;", ID),
    ("&amp;lt;ID&amp;gt;", ID),
    ("&gt; ID", ID),
    ("&quot;ID&quot;", ID),
    ("ID&nbsp;", ID),
    // Digits that Slack took for a phone number.
    ("123e4567-e89b-12d3-a456-<tel:426614174000|426614174000>", ID),
    ("`123e4567-e89b-12d3-a456-<tel:426614174000|426614174000>`", ID),
    ("show _123e4567-e89b-12d3-a456-<tel:426614174000|426614174000>_", ID),
    (
        "7b1e9c52-2f7e-4f5c-9f0f-<tel:3515612334|3515612334>",
        "7b1e9c52-2f7e-4f5c-9f0f-3515612334",
    ),
    (
        "7b1e9c52-<tel:222244445555|2222-4444-5555>-ab3515612334",
        "7b1e9c52-2222-4444-5555-ab3515612334",
    ),
    ("<tel:1812345678|1812345678>", "1812345678"),
    ("show <tel:12025550123|12025550123>", "12025550123"),
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
    ("\u{61C}ID\u{61C}", ID),
    ("\u{2066}\u{202E}ID\u{202C}\u{2069}", ID),
    ("\u{180E}\u{34F}\u{FE0F}ID\u{E0001}\u{E0100}", ID),
    ("\u{200C}ID\u{200D}\u{3164}\u{FFA0}\u{115F}", ID),
    ("\u{2800}ID\u{2800}", ID),
    (
        "１２３e４５６７－e８９b－１２d３－a４５６－４２６６１４１７４０００",
        ID,
    ),
    (UPPER, ID),
    ("123E4567-e89b-12D3-a456-426614174000", ID),
    // Only a UUID is case-insensitive.
    ("Agent-123ABC", "Agent-123ABC"),
    ("agent-123abc", "agent-123abc"),
    (
        "123E4567-E89B-12D3-A456-42661417400G",
        "123E4567-E89B-12D3-A456-42661417400G",
    ),
    ("_under_scored_", "_under_scored_"),
    ("~abc~", "abc"),
    ("7", "7"),
    (LONGEST, LONGEST),
    // URLs of Kapso.
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
    // After the command word.
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

/// Typed text, and the correction.
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
    ("`", "NO ID"),
    ("“”", "NO ID"),
    ("sessión", "NO ID"),
    ("сессия", "NO ID"),
    ("ａｂｃ", "NO ID"),
    ("🙂", "NO ID"),
    ("abc🙂", "NO ID"),
    // Ordinary words are not offered as ids.
    ("abc\0def", "NO ID"),
    ("abc\ndef", "NO ID"),
    ("abc\r\nX-API-Key: x", "NO ID"),
    ("abc def", "NO ID"),
    ("abc agent-1", "show agent-1"),
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
    // An id inside other text is offered, not looked up.
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
            assert!(requests.is_empty(), "{typed:?} led to {requests:?}");
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
