//! PostgreSQL: a database for each test, and a server to hurt.

use std::process::Command;

use mirage_servers::{ALL, Postgres};

use crate::{Traces, kill};

fn run(database: &Postgres, statement: &str) -> String {
    let kind = ALL
        .iter()
        .find(|kind| kind.name == "postgres")
        .expect("it is listed");
    let server = (kind.find)().expect("the database comes from it");
    let mut psql = Command::new(server.path.with_file_name("psql"));
    psql.args(["-XAtq", "-c", statement]).arg(database.url());
    let output = psql.output().expect("the client was found with the server");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
        + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn each_test_has_a_database_of_its_own_that_is_dropped_with_it() {
    let (Some(one), Some(other)) = (mirage_servers::postgres(), mirage_servers::postgres()) else {
        return;
    };
    run(&one, "CREATE TABLE t (n BIGINT)");
    assert_eq!(run(&one, "SELECT count(*) FROM t"), "0");
    assert!(run(&other, "SELECT count(*) FROM t").contains("does not exist"));
    let name = run(&one, "SELECT current_database()");
    drop(one);
    let statement = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
    assert_eq!(run(&other, &statement), "0");
}

#[test]
fn it_syncs_and_sorts_as_in_production() {
    let Some(database) = mirage_servers::postgres() else {
        return;
    };
    assert_eq!(run(&database, "SHOW fsync"), "on");
    assert_eq!(run(&database, "SHOW synchronous_commit"), "on");
    assert_eq!(
        run(&database, "SELECT 'a' < 'B' AND 'a' COLLATE \"C\" > 'B'"),
        "t"
    );
}

#[test]
fn a_server_of_ones_own_keeps_its_rows_over_a_kill() {
    let Some(database) = mirage_servers::postgres_alone() else {
        return;
    };
    run(
        &database,
        "CREATE TABLE t (n BIGINT); INSERT INTO t VALUES (7)",
    );
    kill(database.process());
    assert!(!run(&database, "SELECT 1").starts_with('1'));
    database.restart();
    assert_eq!(run(&database, "SELECT n FROM t"), "7");
    let traces = Traces::of([database.process()]);
    database.process().stop();
    database.process().cont();
    assert_eq!(run(&database, "SELECT n FROM t"), "7");
    drop(database);
    traces.are_gone();
}
