//! Deliveries: fences, retries, resends, and what is remembered.

use super::*;
use crate::id::Position;

fn cursor(position: u64) -> Cursor {
    Cursor {
        position: Position(position),
        index: 1,
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn claim(holder: &str) -> Command {
    Command::Claim {
        holder: holder.into(),
    }
}

fn deliver(positions: &[u64]) -> Command {
    let item = |position: &u64| Item {
        cursor: cursor(*position),
        kind: "task.found".into(),
        attempts: 1,
        status: 204,
        at: at(10),
    };
    Command::Deliver {
        holder: "me".into(),
        items: positions.iter().map(item).collect(),
    }
}

fn fail(position: u64, second: i64) -> Command {
    Command::Fail(Fail {
        holder: "me".into(),
        cursor: cursor(position),
        kind: "task.found".into(),
        status: Some(500),
        reason: "status 500".into(),
        at: at(second),
    })
}

fn resend(position: u64) -> Command {
    Command::Resend {
        cursor: cursor(position),
    }
}

fn after(commands: &[Command]) -> Deliveries {
    let mut deliveries = Deliveries::default();
    for command in [&[claim("me")], commands].concat() {
        let event = decide(&deliveries, command).unwrap();
        event.into_iter().for_each(|event| deliveries.fold(event));
    }
    deliveries
}

#[test]
fn whoever_was_relieved_writes_no_outcome() {
    let relieved = after(&[claim("another")]);
    for late in [deliver(&[1]), fail(1, 10)] {
        assert_eq!(decide(&relieved, late), Err(Error::Fenced));
    }
    assert_eq!(
        decide(&Deliveries::default(), deliver(&[1])),
        Err(Error::Fenced)
    );
    assert_eq!(decide(&after(&[]), deliver(&[])), Ok(None));
}

#[test]
fn what_failed_is_open_until_it_is_delivered_and_the_cursor_does_not_pass_it() {
    let open = after(&[deliver(&[1, 2]), fail(3, 20)]);
    assert_eq!(
        (open.through, open.open),
        (Some(cursor(2)), Some(cursor(3)))
    );
    assert_eq!(open.rows[&cursor(3)].next_at, Some(at(25)));
    let done = after(&[deliver(&[1, 2]), fail(3, 20), deliver(&[3])]);
    assert_eq!((done.through, done.open), (Some(cursor(3)), None));
    assert_eq!(done.rows[&cursor(3)].first_at, at(20));
}

#[test]
fn after_a_day_it_is_given_up_and_the_cursor_goes_on() {
    let day = 24 * 3600;
    let deliveries = after(&[fail(3, 0), fail(3, day - 30)]);
    assert_eq!(
        (deliveries.through, deliveries.open),
        (None, Some(cursor(3)))
    );
    let deliveries = after(&[fail(3, 0), fail(3, day - 30), fail(3, day)]);
    let row = &deliveries.rows[&cursor(3)];
    assert_eq!((row.state, row.attempts), (State::GivenUp, 3));
    assert_eq!(
        (deliveries.through, deliveries.open),
        (Some(cursor(3)), None)
    );
}

#[test]
fn one_that_is_sent_once_more_is_not_repeated_and_moves_nothing() {
    let asked = after(&[deliver(&[1, 2]), resend(1)]);
    assert_eq!(asked.resends, [cursor(1)].into());
    assert_eq!(decide(&asked, resend(1)), Ok(None));
    let failed = after(&[deliver(&[1, 2]), resend(1), fail(1, 30)]);
    assert_eq!(failed.rows[&cursor(1)].state, State::GivenUp);
    assert_eq!((failed.open, failed.through), (None, Some(cursor(2))));
    assert!(failed.resends.is_empty());
    assert_eq!(decide(&asked, resend(9)), Err(Error::NoDelivery));
}

#[test]
fn one_that_waits_is_tried_at_once_when_somebody_asks() {
    let asked = after(&[fail(3, 20), resend(3)]);
    assert_eq!(asked.rows[&cursor(3)].next_at, None);
    assert!(asked.resends.is_empty());
    assert_eq!(decide(&asked, resend(3)), Ok(None));
}

#[test]
fn only_the_last_outcomes_are_remembered() {
    let positions: Vec<u64> = (1..=ROWS_MAX as u64).collect();
    let mut deliveries = after(&[deliver(&positions), resend(1)]);
    let event = decide(&deliveries, deliver(&[ROWS_MAX as u64 + 1])).unwrap();
    deliveries.fold(event.unwrap());
    assert_eq!(deliveries.rows.len(), ROWS_MAX);
    assert!(deliveries.resends.is_empty());
    assert_eq!(decide(&deliveries, resend(1)), Err(Error::NoDelivery));
}

#[test]
fn a_long_reason_is_cut_between_characters() {
    let long = Command::Fail(Fail {
        holder: "me".into(),
        cursor: cursor(1),
        kind: "task.found".into(),
        status: None,
        reason: "ä".repeat(REASON_BYTES_MAX),
        at: at(1),
    });
    let deliveries = after(&[long]);
    let reason = deliveries.rows[&cursor(1)].reason.as_ref().unwrap();
    assert_eq!(reason.len(), REASON_BYTES_MAX);
}
