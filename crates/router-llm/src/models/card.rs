//! The models on offer, in the two shapes that clients list them in.

use serde_json::{Value, json};

use super::known::Abilities;

/// What a client is told of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelCard {
    /// The name to ask for.
    pub id: String,
    /// Who serves it.
    pub provider: String,
    /// Since when, in seconds of Unix time; 0 where nobody knows.
    pub created: i64,
    /// Its name for people.
    pub display_name: String,
    /// What it is, for people.
    pub description: Option<String>,
    /// Tokens that question and answer may have together.
    pub window: Option<u64>,
    /// Tokens that an answer may have.
    pub max_output: Option<u64>,
    /// What it can do.
    pub abilities: Abilities,
}

impl ModelCard {
    /// A model of which nothing is known but its name and who serves it.
    pub fn new(id: impl Into<String>, provider: impl Into<String>) -> Self {
        let id = id.into();
        Self {
            display_name: id.clone(),
            id,
            provider: provider.into(),
            created: 0,
            description: None,
            window: None,
            max_output: None,
            abilities: Abilities::default(),
        }
    }

    /// One model, as OpenAI's clients read it.
    pub fn openai(&self) -> Value {
        let mut card = json!({
            "id": self.id,
            "object": "model",
            "created": self.created,
            "owned_by": self.provider,
        });
        self.describe(&mut card, "context_window", "max_output_tokens");
        card
    }

    /// One model, as Anthropic's clients read it.
    pub fn anthropic(&self) -> Value {
        let mut card = json!({
            "type": "model",
            "id": self.id,
            "display_name": self.display_name,
            "created_at": date(self.created),
        });
        self.describe(&mut card, "max_input_tokens", "max_tokens");
        card
    }

    fn describe(&self, card: &mut Value, window: &str, max_output: &str) {
        let Some(fields) = card.as_object_mut() else { return };
        let numbers = [(window, self.window), (max_output, self.max_output)];
        fields.extend(numbers.into_iter().filter_map(|(name, number)| Some((name.to_owned(), number?.into()))));
        fields.extend(self.description.as_deref().map(|text| ("description".to_owned(), text.into())));
    }
}

/// All models, as OpenAI's clients list them: without pages.
pub fn openai_list(models: &[ModelCard]) -> Value {
    json!({ "object": "list", "data": models.iter().map(ModelCard::openai).collect::<Vec<_>>() })
}

/// Which models of the list an Anthropic client asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// How many at the most, 1 to 1000; 20 when it does not say.
    pub limit: Option<usize>,
    /// Those behind this one.
    pub after_id: Option<String>,
    /// Those before this one, the nearest to it; `after_id` goes first where both are given.
    pub before_id: Option<String>,
}

/// A page of the models, as Anthropic's clients list them. An id that is not in the list bounds nothing.
pub fn anthropic_list(models: &[ModelCard], page: &Page) -> Value {
    let limit = page.limit.unwrap_or(20).clamp(1, 1000);
    let place = |id: &Option<String>| models.iter().position(|model| Some(&model.id) == id.as_ref());
    let (range, has_more) = match (place(&page.after_id), place(&page.before_id)) {
        (None, Some(end)) => (end.saturating_sub(limit)..end, end > limit),
        (after, _) => {
            let start = after.map_or(0, |at| at + 1);
            let end = (start + limit).min(models.len());
            (start..end, end < models.len())
        }
    };
    let shown = models.get(range).unwrap_or_default();
    json!({
        "data": shown.iter().map(ModelCard::anthropic).collect::<Vec<_>>(),
        "has_more": has_more,
        "first_id": shown.first().map(|model| &model.id),
        "last_id": shown.last().map(|model| &model.id),
    })
}

/// Seconds of Unix time as an RFC 3339 date in UTC. The arithmetic is that of the Gregorian calendar in 400-year eras
/// whose years begin in March, so that the leap day is the last of its year.
pub(crate) fn date(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn models(ids: &[&str]) -> Vec<ModelCard> {
        ids.iter().map(|id| ModelCard::new(*id, "p")).collect()
    }

    #[test]
    fn one_model_in_both_shapes() {
        let card = ModelCard {
            created: 1_700_000_000,
            display_name: "Echo".into(),
            window: Some(200_000),
            max_output: Some(4096),
            ..ModelCard::new("echo", "mcp-router")
        };
        assert_eq!(
            card.openai(),
            json!({
                "id": "echo", "object": "model", "created": 1_700_000_000, "owned_by": "mcp-router",
                "context_window": 200_000, "max_output_tokens": 4096,
            })
        );
        assert_eq!(
            card.anthropic(),
            json!({
                "type": "model", "id": "echo", "display_name": "Echo", "created_at": "2023-11-14T22:13:20Z",
                "max_input_tokens": 200_000, "max_tokens": 4096,
            })
        );
        let plain = ModelCard::new("m", "p");
        let openai = json!({ "id": "m", "object": "model", "created": 0, "owned_by": "p" });
        assert_eq!(openai_list(&[plain]), json!({ "object": "list", "data": [openai] }));
    }

    #[test]
    fn pages_like_anthropics() {
        let models = models(&["a", "b", "c", "d", "e"]);
        let id = |id: &str| Some(id.to_owned());
        let cases = [
            (Page::default(), "abcde", false),
            (Page { limit: Some(2), ..Page::default() }, "ab", true),
            (Page { limit: Some(0), ..Page::default() }, "a", true),
            (Page { limit: Some(2), after_id: id("b"), before_id: None }, "cd", true),
            (Page { limit: Some(2), after_id: id("c"), before_id: None }, "de", false),
            (Page { limit: Some(2), after_id: id("e"), before_id: None }, "", false),
            (Page { limit: Some(2), after_id: None, before_id: id("d") }, "bc", true),
            (Page { limit: Some(9), after_id: None, before_id: id("d") }, "abc", false),
            (Page { limit: Some(3), after_id: id("nobody"), before_id: None }, "abc", true),
        ];
        for (page, shown, more) in cases {
            let list = anthropic_list(&models, &page);
            let ids: String =
                list["data"].as_array().unwrap().iter().map(|card| card["id"].as_str().unwrap()).collect();
            assert_eq!((ids.as_str(), list["has_more"].as_bool()), (shown, Some(more)), "{page:?}");
            assert_eq!(list["first_id"].as_str(), shown.get(..1), "{page:?}");
            assert_eq!(list["last_id"].as_str(), shown.get(shown.len().wrapping_sub(1)..), "{page:?}");
        }
    }

    #[test]
    fn dates_are_right_at_the_edges_of_the_calendar() {
        let cases = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(date(seconds), expected);
        }
    }
}
