//! The layers of configuration.

use crate::place::{Place, Ran};

fn run(place: &Place, words: &[&str], env: &[(&str, &str)]) -> Ran {
    let mut command = place.command(words);
    command.envs(env.iter().copied());
    command.output().unwrap().into()
}

#[test]
fn the_strongest_layer_wins_and_every_one_is_shown() {
    let place = Place::empty();
    std::fs::write(
        place.path().join("mirage.toml"),
        "[scan]\nprofile = 'passive'\n",
    )
    .unwrap();
    std::fs::create_dir_all(place.path().join(".config/mirage")).unwrap();
    let user = place.path().join(".config/mirage/mirage.toml");
    std::fs::write(user, "[scan]\nprofile = 'active'\ndepth = 3\n").unwrap();
    let env = [("MIRAGE_SCAN_PROFILE", "standard")];
    let layers = run(
        &place,
        &["config", "explain", "scan.profile", "-o", "jsonl"],
        &env,
    )
    .objects();
    let values: Vec<&str> = layers
        .iter()
        .map(|layer| layer["value"].as_str().unwrap())
        .collect();
    assert_eq!(values, ["standard", "passive", "active", "standard"]);
    let wins: Vec<bool> = layers
        .iter()
        .map(|layer| layer["wins"].as_bool().unwrap())
        .collect();
    assert_eq!(wins, [true, false, false, false]);
    let flag = run(&place, &["config", "explain", "data", "-o", "jsonl"], &env).objects();
    assert_eq!(flag[0]["layer"], "flag --data");
}

#[test]
fn unknown_keys_stop_every_command_but_those_that_mend_it() {
    let place = Place::empty();
    let env = [("MIRAGE_OUTPUTT", "json")];
    let err = run(&place, &["scans"], &env).refused(2, "bad_config");
    assert!(err.contains("did you mean `output`?"), "{err}");
    run(&place, &["version"], &env).done();
    std::fs::write(
        place.path().join("mirage.toml"),
        "[scan]\nprofil = 'passive'\ndepth = 'deep'\n",
    )
    .unwrap();
    let ran = run(&place, &["config", "check", "-o", "jsonl"], &[]);
    assert_eq!((ran.code, ran.out.lines().count()), (2, 2), "{ran:?}");
    assert!(ran.out.contains("did you mean `scan.profile`?"), "{ran:?}");
    std::fs::write(place.path().join("mirage.toml"), "[scan\n").unwrap();
    run(&place, &["scans"], &[]).refused(2, "bad_config");
}

#[test]
fn a_file_sets_the_form_and_a_flag_beats_it() {
    let place = Place::empty();
    std::fs::write(place.path().join("mirage.toml"), "output = 'json'\n").unwrap();
    assert!(run(&place, &["version"], &[]).done().starts_with('{'));
    assert!(
        run(&place, &["version", "-o", "table"], &[])
            .done()
            .starts_with("version")
    );
}
