//! `location`: `country/region/city` in lower case, or `geo:lat,lon` in degrees to four places.

use super::{KeyError, characters};

const FORM: KeyError = KeyError::Form(
    "a location is COUNTRY/REGION/CITY such as de/be/berlin, or geo:52.5200,13.4050",
);

/// Steps in a degree: four places are about eleven metres.
const STEPS: i64 = 10_000;

pub(super) fn normalise(text: &str) -> Result<String, KeyError> {
    match text.split_once(':') {
        Some((scheme, point)) if scheme.eq_ignore_ascii_case("geo") => self::point(point),
        Some(_) => None,
        None => place(text),
    }
    .ok_or(FORM)
}

/// Country by ISO 3166-1 alpha-2, region by the second part of ISO 3166-2, which may be empty before
/// a city, the city by its code or its name folded.
fn place(text: &str) -> Option<String> {
    let text = characters::folded(text, &FORM).ok()?;
    let mut parts = text.split('/').map(str::trim);
    let (country, region, city) = (parts.next()?, parts.next(), parts.next());
    let is_code = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    let legal = country.len() == 2
        && country.bytes().all(|byte| byte.is_ascii_lowercase())
        && region.is_none_or(|region| is_code(region) && region.len() <= 3)
        // Folding makes plain colons of other ones.
        && city.is_none_or(|city| city.chars().any(char::is_alphanumeric) && !city.contains(':'))
        && (city.is_some() || region != Some(""))
        && parts.next().is_none();
    let parts: Vec<_> = [Some(country), region, city]
        .into_iter()
        .flatten()
        .collect();
    legal.then(|| parts.join("/"))
}

/// RFC 5870 without altitude and uncertainty: longitude −180 is 180, and is 0 at a pole.
fn point(text: &str) -> Option<String> {
    let (latitude, longitude) = text.split_once(',')?;
    let latitude = steps(latitude, 90)?;
    let longitude = match steps(longitude, 180)? {
        _ if latitude.abs() == 90 * STEPS => 0,
        longitude if longitude == -180 * STEPS => 180 * STEPS,
        longitude => longitude,
    };
    Some(format!("geo:{},{}", degrees(latitude), degrees(longitude)))
}

fn steps(text: &str, degrees_max: i64) -> Option<i64> {
    let text = text.trim();
    if !text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'))
    {
        return None;
    }
    let steps = (text.parse::<f64>().ok()? * STEPS as f64).round();
    (steps.abs() <= (degrees_max * STEPS) as f64).then_some(steps as i64)
}

fn degrees(steps: i64) -> String {
    let sign = if steps < 0 { "-" } else { "" };
    let steps = steps.abs();
    format!("{sign}{}.{:04}", steps / STEPS, steps % STEPS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_has_one_key() {
        for (text, key) in [
            ("DE", "de"),
            ("US/CA", "us/ca"),
            ("us/ca/San  Francisco", "us/ca/san francisco"),
            ("de//Köln", "de//köln"),
            ("geo:52.52,13.405", "geo:52.5200,13.4050"),
            ("GEO:52.520008, 13.404954", "geo:52.5200,13.4050"),
            ("geo:-0.00001,-179.99999", "geo:0.0000,180.0000"),
            ("geo:90,17", "geo:90.0000,0.0000"),
        ] {
            assert_eq!(normalise(text).as_deref(), Ok(key), "{text}");
        }
        for text in [
            "deu",
            "d1",
            "de/",
            "de/bayern/munich",
            "de/by/munich/1",
            "de/by/",
            "de//a\u{ff1a}b",
            "geo:91,0",
            "geo:0,181",
            "geo:1e1,0",
            "geo:nan,0",
            "geo:1",
            "geo:1,2,3",
            "geo:1,2;u=9",
            "de/by/mu\0nich",
        ] {
            assert_eq!(normalise(text), Err(FORM), "{text:?}");
        }
    }
}
