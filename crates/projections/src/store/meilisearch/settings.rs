//! Settings of an index of claims, as they must be before a document comes in.

use serde_json::{Value as Json, json};

/// Compared and put when an index is opened. Filters stand on exact values and on the two numbers that order; nothing
/// is ever asked by facet search, which would keep a second list of all terms.
pub(super) fn wanted() -> Json {
    let values = [
        "table",
        "workspace",
        "scan",
        "module",
        "kind",
        "finding",
        "stream",
        "terms",
    ];
    let features = |is_ordered: bool| json!({ "facetSearch": false, "filter": { "equality": true, "comparison": is_ordered } });
    json!({
        "searchableAttributes": ["key", "text"],
        "filterableAttributes": [
            { "attributePatterns": values, "features": features(false) },
            { "attributePatterns": ["cursor", "position"], "features": features(true) },
        ],
        "sortableAttributes": ["cursor", "position"],
        "rankingRules": ["words", "typo", "proximity", "attribute", "exactness", "cursor:desc"],
        "pagination": { "maxTotalHits": 1_000 },
        "typoTolerance": { "enabled": true },
    })
}

/// Whether an echo says all that is wanted; it may say more.
pub(super) fn are_set(wanted: &Json, echo: &Json) -> bool {
    match (wanted, echo) {
        (Json::Object(wanted), Json::Object(echo)) => wanted
            .iter()
            .all(|(name, value)| echo.get(name).is_some_and(|echo| are_set(value, echo))),
        (Json::Array(wanted), Json::Array(echo)) => {
            let pairs = || wanted.iter().zip(echo);
            wanted.len() == echo.len() && pairs().all(|(wanted, echo)| are_set(wanted, echo))
        }
        (wanted, echo) => wanted == echo,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_may_say_more_and_nothing_else() {
        let mut echo = wanted();
        echo["stopWords"] = json!([]);
        echo["typoTolerance"]["disableOnNumbers"] = json!(false);
        assert!(are_set(&wanted(), &echo));
        echo["sortableAttributes"] = json!(["cursor"]);
        assert!(!are_set(&wanted(), &echo));
    }
}
