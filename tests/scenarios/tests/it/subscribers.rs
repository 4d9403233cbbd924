//! A crowd at the live streams of a node; `cargo xtask bench --only subscribers` brings more.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use mirage_faults::{program, without_configuration};
use mirage_scenarios::subscribers::{Dose, load};
use mirage_scenarios::{Place, Running, listening};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_a_crowd_hears_all_although_some_never_read() -> Result<()> {
    let dose = Dose {
        subscribers: 500,
        events: 40,
        per_second: 10,
    };
    let heard = load(&Place::new()?, dose).await?;
    ensure!(heard.faults.is_empty(), "{:?}", heard.faults);
    ensure!(heard.readers == 475, "{} read", heard.readers);
    ensure!(heard.latencies.count() == 475 * 40);
    Ok(())
}

#[tokio::test]
async fn a_node_takes_as_many_files_as_it_may() -> Result<()> {
    let place = Place::new()?;
    let words = place.command(&["serve", "--listen", "127.0.0.1:0"])?;
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -Sn 300 && exec \"$@\"", "sh"]);
    command.arg(program("mirage")?).args(words.get_args());
    command.current_dir(place.home()).env("HOME", place.home());
    without_configuration(&mut command);
    let mut node = Running::start(command)?;
    listening(&mut node).await?;
    let limits = fs::read_to_string(format!("/proc/{}/limits", node.pid()))?;
    let line = limits.lines().find(|line| line.starts_with("Max open"));
    let words: Vec<&str> = line.context("a limit")?.split_whitespace().collect();
    ensure!(words[3] == words[4] && words[3] != "300", "{words:?}");
    Ok(())
}
