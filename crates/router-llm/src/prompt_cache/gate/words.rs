//! What the gate knows of languages: manners of speaking, words that mean the same, numbers in words.

use super::tokens::{Token, is_han};

/// The language of a question, as far as that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    English,
    German,
    French,
    Spanish,
    Russian,
    Chinese,
    /// None of these, or too short to tell: nothing is known of it.
    Other,
}

/// What gives a language away.
const TELLING: [(Language, &str); 4] = [
    (
        Language::English,
        "the a an is are was were what who how why when where which do does did can could should would will of to in on \
         at for with my your i you it please tell me explain describe give list name write show from and or than has \
         have be this that not convert translate best between turn open",
    ),
    (
        Language::German,
        "der die das den dem ein eine ist sind war was wer wie warum wann wo welche ich du mir mein und oder nicht kein \
         keine von zu nach mit ohne für auf bitte erkläre nenne im am geschah vor dem",
    ),
    (
        Language::French,
        "le la les l' un une des du de est sont quel quelle qui comment pourquoi quand où que qu' je j' tu me mon ma et ou \
         ne n' pas avec sans pour explique nomme c' d' au à",
    ),
    (
        Language::Spanish,
        "el la los las un una es son qué cuál quién cómo por cuándo dónde de yo tú mi y o no con sin para explica nombra \
         que del al más té",
    ),
];

impl Language {
    /// The language of what is cut into `tokens`: by its script, then by its small words.
    pub(super) fn of(tokens: &[Token]) -> Self {
        let letters = || tokens.iter().flat_map(|token| token.text.chars());
        if letters().any(is_han) {
            return Self::Chinese;
        }
        if letters().any(|letter| matches!(letter, '\u{400}'..='\u{4ff}')) {
            return Self::Russian;
        }
        if letters().any(|letter| letter.is_alphabetic() && letter > '\u{24f}') {
            return Self::Other;
        }
        let words: Vec<String> = tokens.iter().map(|token| token.text.to_lowercase()).collect();
        let hits = |list: &str| words.iter().filter(|word| list.split_whitespace().any(|known| known == *word)).count();
        let scores = TELLING.map(|(language, list)| (hits(list), language));
        let best = scores.iter().map(|(score, _)| *score).max().unwrap_or_default();
        let mut first = scores.iter().filter(|(score, _)| *score == best).map(|(_, language)| *language);
        match (best, first.next(), first.next()) {
            // Bare key words are the same in every language.
            (0, ..) => Self::English,
            (_, Some(language), None) => language,
            _ => Self::Other,
        }
    }
}

/// What is known of one language.
pub(super) struct Lexicon {
    /// Manners of asking, the longest first, and what they amount to.
    phrases: &'static [(&'static str, &'static str)],
    /// Words that change nothing where another one follows.
    fillers: &'static str,
    /// Words that change nothing at either end.
    polite: &'static str,
    /// Words that mean the same; the first stands for all.
    alike: &'static [&'static str],
}

const ENGLISH: Lexicon = Lexicon {
    phrases: &[
        ("what is the best way to", "how best"),
        ("could you please tell me", ""),
        ("can you please tell me", ""),
        ("could you tell me", ""),
        ("can you tell me", ""),
        ("would you tell me", ""),
        ("can you please explain", "what"),
        ("could you please explain", "what"),
        ("i would like to know", ""),
        ("i want to know", ""),
        ("please tell me how to", "how"),
        ("what is the meaning of", "what mean"),
        ("what is the way to", "how"),
        ("what is a way to", "how"),
        ("can you show me how to", "how"),
        ("please show me how to", "how"),
        ("show me how to", "how"),
        ("tell me how to", "how"),
        ("explain how to", "how"),
        ("how can i", "how"),
        ("how do i", "how"),
        ("how does one", "how"),
        ("how to", "how"),
        ("can you explain", "what"),
        ("could you explain", "what"),
        ("can you describe", "what"),
        ("could you describe", "what"),
        ("tell me about", "what"),
        ("tell me what is", "what"),
        ("tell me", "what"),
        ("explain the", "what"),
        ("describe the", "what"),
        ("what is", "what"),
        ("what are", "what"),
        ("explain why", "why"),
        ("explain how", "how"),
        ("explain", "what"),
        ("describe", "what"),
        ("write me", "write"),
        ("give me", "give"),
        ("may i", "can i"),
        ("do not", "not"),
        ("does not", "not"),
    ],
    fillers: "a an the",
    polite: "please kindly hello hi hey thanks thank you just",
    alike: &[
        "big large",
        "small little",
        "fast quick rapid",
        "begin start commence",
        "buy purchase",
        "fix repair",
        "delete remove erase",
        "make create",
        "write compose",
        "car automobile",
        "cars automobiles",
        "doctor physician",
        "movie film",
        "movies films",
        "get obtain",
        "change modify alter",
        "use utilize",
        "help assist",
        "difference distinction",
        "about regarding concerning",
        "calculate compute",
        "child kid",
        "children kids",
        "photo photograph",
        "smart intelligent",
        "choose select pick",
        "to into",
        "in using",
        "biggest largest",
        "fastest quickest",
        "km kilometer kilometers kilometre kilometres",
        "kg kilogram kilograms",
        "cm centimeter centimeters centimetre centimetres",
        "% percent",
        "euros euro eur",
        "ww2 wwii",
    ],
};

const GERMAN: Lexicon = Lexicon {
    phrases: &[
        ("wie kann ich", "wie ich"),
        ("wie kann man", "wie ich"),
        ("kannst du mir sagen", ""),
        ("was ist", "was"),
    ],
    fillers: "der die das den dem des eigentlich denn",
    polite: "bitte hallo danke",
    alike: &["groß riesig", "auto wagen", "kaufen erwerben", "löschen entfernen"],
};

const FRENCH: Lexicon = Lexicon {
    phrases: &[
        ("comment est-ce que je peux", "comment"),
        ("comment puis-je", "comment"),
        ("s' il vous plaît", ""),
        ("s' il te plaît", ""),
        ("explique-moi", "explique"),
    ],
    fillers: "le la les l'",
    polite: "merci bonjour",
    alike: &["voiture auto", "acheter acquérir", "supprimer effacer"],
};

const SPANISH: Lexicon = Lexicon {
    phrases: &[("por favor", ""), ("cómo puedo instalar", "cómo instalo"), ("explícame", "explica")],
    fillers: "el la los las",
    polite: "gracias hola",
    alike: &["coche carro auto", "comprar adquirir", "borrar eliminar"],
};

const RUSSIAN: Lexicon = Lexicon {
    phrases: &[("объясни что такое", "что такое"), ("скажи", ""), ("скажите", ""), ("как мне", "как")],
    fillers: "",
    polite: "пожалуйста привет спасибо",
    alike: &["большой крупный", "купить приобрести", "удалить стереть"],
};

const CHINESE: Lexicon = Lexicon {
    phrases: &[("请 解 释", ""), ("请 问", ""), ("怎 么", "如 何"), ("怎 样", "如 何"), ("哪 儿", "哪 里")],
    fillers: "",
    polite: "请 呢 啊",
    alike: &[],
};

const OTHER: Lexicon = Lexicon { phrases: &[], fillers: "", polite: "", alike: &[] };

impl Lexicon {
    pub(super) const fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &ENGLISH,
            Language::German => &GERMAN,
            Language::French => &FRENCH,
            Language::Spanish => &SPANISH,
            Language::Russian => &RUSSIAN,
            Language::Chinese => &CHINESE,
            Language::Other => &OTHER,
        }
    }

    /// The words with manners of asking replaced by what they amount to.
    pub(super) fn phrased(&self, words: &[String]) -> Vec<String> {
        let mut out = Vec::with_capacity(words.len());
        let mut rest = words;
        while let Some((first, after)) = rest.split_first() {
            // A greeting or a "please" goes before the phrase that matters.
            let found = self.phrases.iter().find(|(phrase, _)| begins(rest, phrase));
            if let Some((phrase, meant)) = found {
                out.extend(meant.split_whitespace().map(str::to_owned));
                rest = rest.get(phrase.split_whitespace().count()..).unwrap_or_default();
            } else {
                out.push(first.clone());
                rest = after;
            }
        }
        out
    }

    /// The words without those that change nothing.
    pub(super) fn stripped(&self, mut words: Vec<String>) -> Vec<String> {
        let rude = |words: &[String]| words.iter().position(|word| !has(self.polite, word)).unwrap_or(words.len());
        words.drain(..rude(&words));
        words.reverse();
        words.drain(..rude(&words));
        words.reverse();
        let mut out: Vec<String> = Vec::with_capacity(words.len());
        let last = words.len().saturating_sub(1);
        for (at, word) in words.into_iter().enumerate() {
            let labels = out.last().is_some_and(|before| has(LABELLED, before));
            if !has(self.fillers, &word) || at == last || labels {
                out.push(word);
            }
        }
        out
    }

    /// The word that stands for all that mean the same.
    pub(super) fn meaning(&self, word: &str) -> String {
        let group = self.alike.iter().find(|group| has(group, word));
        group.and_then(|group| group.split_whitespace().next()).unwrap_or(word).to_owned()
    }
}

/// What is told apart by a letter: vitamin A, plan B.
const LABELLED: &str = "vitamin hepatitis plan option grade type group part section appendix class variant team";

/// What something has or is, so that "the capital of France" is "France's capital". A cup of coffee is no coffee cup.
pub(super) const RELATIONS: &str = "capital population height age meaning author price purpose symptoms symptom length size \
                                    president king queen mayor founder inventor currency area depth weight definition \
                                    birthplace mother father son daughter plot speed mass diameter";

fn begins(words: &[String], phrase: &str) -> bool {
    let mut words = words.iter();
    phrase.split_whitespace().all(|part| words.next().is_some_and(|word| word == part))
}

pub(super) fn has(list: &str, word: &str) -> bool {
    list.split_whitespace().any(|known| known == word)
}

/// A number in words, in English.
pub(super) fn number(word: &str) -> Option<u64> {
    const SMALL: [&str; 21] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
        "twenty",
    ];
    const LARGE: [(&str, u64); 10] = [
        ("thirty", 30),
        ("forty", 40),
        ("fifty", 50),
        ("sixty", 60),
        ("seventy", 70),
        ("eighty", 80),
        ("ninety", 90),
        ("hundred", 100),
        ("thousand", 1000),
        ("million", 1_000_000),
    ];
    let small = SMALL.iter().position(|known| *known == word).and_then(|at| u64::try_from(at).ok());
    small.or_else(|| LARGE.iter().find(|(known, _)| *known == word).map(|(_, value)| *value))
}
