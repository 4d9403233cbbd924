//! Questions without a condition of their own, by logins of all kinds.

use tokio_postgres::Config;

use super::*;
use crate::catalog::Catalog;
use crate::store::postgres::{Options, Postgres};
use crate::testing::history::made_up;
use crate::testing::made_scan::workspace;
use crate::testing::{dumped, given_in_memory};
use crate::{ALL, Db, Home, Store};

/// What a forgotten condition would ask.
fn count(db: &Db, table: &str) -> u64 {
    let sql = format!("SELECT count(*) FROM \"{table}\"");
    let count = db.row(&sql, &[], |row| row.get(0)).expect("a question");
    count.expect("one row")
}

/// How many rows of each table a question sees, beginning with those of nobody's workspace.
fn seen(db: &Db, table: &str) -> [u64; 3] {
    let of = |n| {
        db.look_into(&workspace(n)).unwrap();
        count(db, table)
    };
    [of(0), of(1), count_of_all(db, table)]
}

fn count_of_all(db: &Db, table: &str) -> u64 {
    let mut rows = 0;
    db.each_row(|name, _| {
        rows += u64::from(name == table);
        Ok(())
    })
    .unwrap();
    rows
}

/// Logins of a database of its own: a superuser's URL, and that of a login which owns the database and nothing else.
struct Logins {
    admin: Client,
    super_url: String,
    owner_url: String,
    owner: String,
}

fn logins(server: &mirage_servers::Postgres) -> Logins {
    let super_url = server.url();
    let admin = Client::connect(&super_url.parse::<Config>().unwrap(), None).unwrap();
    let database: String = admin.rows("SELECT current_database()::text", &[]).unwrap()[0].get(0);
    let owner = format!("{database}_owner");
    admin
        .run(&format!(
            "CREATE ROLE \"{owner}\" LOGIN; ALTER DATABASE \"{database}\" OWNER TO \"{owner}\""
        ))
        .unwrap();
    let owner_url = super_url.replace("//postgres@", &format!("//{owner}@"));
    assert_ne!(owner_url, super_url);
    Logins {
        admin,
        super_url,
        owner_url,
        owner,
    }
}

fn home(url: &str, reader: Option<&str>) -> Postgres {
    let options = Options {
        url: url.to_owned(),
        reader: reader.map(str::to_owned),
        ..Options::default()
    };
    Postgres::new(&options).unwrap()
}

fn filled(home: &Postgres) -> Db {
    let mut store = Store::open(home, &ALL[0]).unwrap();
    store.fold(made_up(5, 6, 300).commits()).unwrap();
    home.ask(&ALL[0]).unwrap()
}

fn each_wall_stands(db: &Db) {
    let mut tables = std::collections::BTreeSet::new();
    db.each_row(|table, _| {
        tables.insert(table.to_owned());
        Ok(())
    })
    .unwrap();
    let mut parted = 0;
    let of_nobody = ["checkpoint", "instants", "times"];
    for table in tables
        .iter()
        .filter(|table| !of_nobody.contains(&table.as_str()))
    {
        let [one, other, all] = seen(db, table);
        assert!(one + other == all, "{table}: {one} {other} {all}");
        parted += usize::from(one > 0 && other > 0);
    }
    assert!(parted >= 8, "rows of both workspaces in {parted} tables");
}

#[test]
fn a_question_that_forgets_its_workspace_sees_no_other() {
    let Some(server) = mirage_servers::postgres() else {
        return;
    };
    let db = filled(&home(&server.url(), None));
    assert_eq!(count(&db, "findings"), 0, "before a workspace is named");
    each_wall_stands(&db);
}

#[test]
fn a_rebuilt_view_has_its_wall() {
    let Some(server) = mirage_servers::postgres() else {
        return;
    };
    let home = home(&server.url(), None);
    let mut build = Store::build(&home, &ALL[0]).unwrap();
    let history = made_up(6, 6, 300);
    build.fold(history.commits()).unwrap();
    assert!(build.complete().unwrap().is_ok());
    let db = home.ask(&ALL[0]).unwrap();
    each_wall_stands(&db);
    assert!(dumped(&db) == dumped(&given_in_memory::<Catalog>(history.commits())));
}

#[test]
fn a_workspace_outlives_what_was_asked_of_one_moment() {
    let Some(server) = mirage_servers::postgres() else {
        return;
    };
    let db = filled(&home(&server.url(), None));
    let at_one_moment = |n| {
        db.at_one_moment(|| {
            db.look_into(&workspace(n))?;
            Ok(count(&db, "findings"))
        })
        .unwrap()
    };
    let (one, other) = (at_one_moment(0), at_one_moment(1));
    assert!(one > 0 && other > 0);
    db.look_into(&workspace(1)).unwrap();
    assert_eq!(count(&db, "findings"), other);
    drop(db);
}

#[test]
fn the_next_question_of_a_connection_is_behind_the_wall() {
    let Some(server) = mirage_servers::postgres() else {
        return;
    };
    let home = home(&server.url(), None);
    drop(filled(&home));
    for _ in 0..3 {
        let db = home.ask(&ALL[0]).unwrap();
        each_wall_stands(&db);
    }
}

#[test]
fn a_login_without_rights_reads_in_the_role_that_it_was_given() {
    let Some(server) = mirage_servers::postgres() else {
        return;
    };
    let logins = logins(&server);
    let (role, owner) = (format!("{}_asks", logins.owner), &logins.owner);
    logins
        .admin
        .run(&format!("CREATE ROLE \"{role}\" NOLOGIN"))
        .unwrap();
    let named = home(&logins.owner_url, Some(&role));
    let mut store = Store::open(&named, &ALL[0]).unwrap();
    store.fold(made_up(5, 6, 300).commits()).unwrap();
    let refused = named
        .ask(&ALL[0])
        .err()
        .expect("not granted yet")
        .to_string();
    assert!(refused.contains("may not take on"), "{refused}");

    logins
        .admin
        .run(&format!("GRANT \"{role}\" TO \"{owner}\""))
        .unwrap();
    // Whoever writes opens the view again, as a node that is started does.
    drop(Store::open(&named, &ALL[0]).unwrap());
    each_wall_stands(&named.ask(&ALL[0]).unwrap());
}

#[test]
fn a_role_that_no_policy_holds_is_refused() {
    let Some(server) = mirage_servers::postgres() else {
        return;
    };
    let logins = logins(&server);
    let role = format!("{}_all", logins.owner);
    let made = format!("CREATE ROLE \"{role}\" NOLOGIN BYPASSRLS");
    logins.admin.run(&made).unwrap();
    for (role, words) in [
        (role.as_str(), "does not hold"),
        ("postgres", "does not hold"),
        ("nobody_made_this", "there is no role"),
    ] {
        let home = home(&logins.super_url, Some(role));
        drop(Store::open(&home, &ALL[0]).unwrap());
        // A superuser makes the missing one.
        match home.ask(&ALL[0]) {
            Ok(db) => {
                assert_eq!(role, "nobody_made_this");
                assert_eq!(count(&db, "findings"), 0);
            }
            Err(error) => assert!(error.to_string().contains(words), "{error}"),
        }
    }
}

#[test]
fn a_login_that_may_make_no_role_goes_without_unless_one_is_named() {
    let Some(server) = mirage_servers::postgres_alone() else {
        return;
    };
    let logins = logins(&server);
    let db = filled(&home(&logins.owner_url, None));
    assert!(
        count(&db, "findings") > 0,
        "it answers, and the log says that there is no wall"
    );
    let named = home(&logins.owner_url, Some("absent"));
    let refused = named.ask(&ALL[0]).err().expect("no such role").to_string();
    assert!(refused.contains("there is no role `absent`"), "{refused}");
}
