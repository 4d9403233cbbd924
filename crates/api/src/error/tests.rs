//! The table is sorted, whole, and knows every code that the crates below name.

use mirage_domain::id::Position;
use mirage_domain::scan;
use mirage_log::{AppendError, OpenError, ReadError};

use super::*;

#[test]
fn codes_are_sorted_unique_and_in_snake_case() {
    assert!(ALL.windows(2).all(|pair| pair[0].code < pair[1].code));
    for row in ALL {
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        assert!(row.code.bytes().all(legal), "{}", row.code);
        assert!(
            !row.title.ends_with('.') && !row.hint.is_empty(),
            "{}",
            row.code
        );
        assert!((400..600).contains(&row.status), "{}", row.code);
        assert!(
            Exit::ALL.iter().any(|(exit, _)| *exit == row.exit),
            "{}",
            row.code
        );
    }
}

#[test]
fn every_code_of_the_log_has_its_row() {
    let pid = || AppendError::Busy { pid: "1".into() };
    for error in [
        pid(),
        AppendError::Closed,
        AppendError::Unavailable("why".into()),
    ] {
        assert_eq!(Row::of(error.code()).code, error.code());
    }
    let absent = Problem::from(ReadError::Absent(Position(9)));
    assert_eq!(
        (absent.row.code, absent.exit()),
        ("no_such_position", Exit::NotFound)
    );
    let newer = OpenError::Newer {
        path: "log.db".into(),
        found: 2,
        known: 1,
    };
    assert_eq!(Problem::from(newer).row.code, "log_newer");
}

#[test]
fn every_code_of_the_views_and_the_evidence_has_its_row() {
    use mirage_log::evidence;
    use mirage_projections::Error as View;
    let reason = || "why".to_owned();
    let (position, view) = (Position(1), "catalog");
    let head = position;
    for code in [
        View::NoSuchView(reason()).code(),
        View::LogBehind {
            view,
            position,
            head,
        }
        .code(),
        View::LogDiffers { view, position }.code(),
        View::NotBuilt(view).code(),
        View::Stopped {
            view,
            reason: reason(),
        }
        .code(),
        View::After(reason()).code(),
        View::Interfered(view).code(),
        View::CutOff(view).code(),
        evidence::Error::Closed.code(),
        evidence::Error::TooLarge { bytes: 2, max: 1 }.code(),
    ] {
        assert_eq!(Row::of(code).code, code);
    }
}

#[test]
fn a_refusal_of_the_domain_has_its_row() {
    let refused = |error: scan::Error| Row::of(error.code()).exit;
    assert_eq!(refused(scan::StartError::NoConsent.into()), Exit::Usage);
    assert_eq!(refused(scan::PauseError::Absent.into()), Exit::NotFound);
    assert_eq!(refused(scan::ArchiveError::NotOver.into()), Exit::Conflict);
}

#[test]
fn an_inner_cause_is_kept_and_never_sent() {
    let source = Some("secret path".into());
    let problem = Problem::from(OpenError::Foreign {
        path: "log.db".into(),
        source,
    });
    assert_eq!(problem.cause.as_deref(), Some("secret path"));
    assert!(!problem.document().to_string().contains("secret"));
}

#[test]
fn the_page_of_errors_is_the_one_in_the_repository() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/generated/errors.md"
    );
    if std::env::var_os("MIRAGE_BLESS").is_some() {
        std::fs::create_dir_all(std::path::Path::new(path).parent().unwrap()).unwrap();
        std::fs::write(path, markdown()).unwrap();
    }
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        page == markdown(),
        "run the test again with MIRAGE_BLESS=1 to write the page"
    );
}
