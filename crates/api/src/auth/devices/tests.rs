//! Codes are used once, in time, and neither guessed nor polled fast.

use super::*;

fn device() -> Device {
    Device {
        name: "laptop".into(),
        address: "192.0.2.1".parse().unwrap(),
    }
}

fn ada() -> Allowed {
    Allowed {
        user: UserId::new("usr_ada").unwrap(),
        session: SessionId::new("ses_1").unwrap(),
        workspace: WorkspaceId::new("default").unwrap(),
    }
}

#[test]
fn a_device_is_let_in_once_by_who_allowed_it() {
    let (devices, now) = (Devices::default(), Instant::now());
    let codes = devices.begin(device(), now).unwrap();
    assert_eq!(devices.poll(&codes.device, now), Err(Error::Pending));
    let typed = codes.user.to_lowercase().replace('-', "");
    assert_eq!(devices.show(&ada().user, &typed, now), Ok(device()));
    assert_eq!(devices.decide(ada(), &typed, true, now), Ok(device()));
    let again = devices.decide(ada(), &typed, false, now);
    assert_eq!(again, Err(Error::NoDevice), "a code is used once");
    let later = now + INTERVAL;
    assert_eq!(devices.poll(&codes.device, later), Ok(ada()));
    let replayed = devices.poll(&codes.device, later + INTERVAL);
    assert_eq!(replayed, Err(Error::Expired));
}

#[test]
fn a_refused_device_is_told_so_once() {
    let (devices, now) = (Devices::default(), Instant::now());
    let codes = devices.begin(device(), now).unwrap();
    devices.decide(ada(), &codes.user, false, now).unwrap();
    assert_eq!(devices.poll(&codes.device, now), Err(Error::Denied));
    assert_eq!(
        devices.poll(&codes.device, now + INTERVAL),
        Err(Error::Expired)
    );
}

#[test]
fn who_polls_too_soon_has_to_wait_longer_each_time() {
    let (devices, now) = (Devices::default(), Instant::now());
    let codes = devices.begin(device(), now).unwrap();
    let poll = |seconds| devices.poll(&codes.device, now + Duration::from_secs(seconds));
    assert_eq!(poll(0), Err(Error::Pending));
    assert_eq!(poll(4), Err(Error::SlowDown(10)));
    assert_eq!(poll(13), Err(Error::SlowDown(15)));
    assert_eq!(poll(28), Err(Error::Pending));
}

#[test]
fn nothing_is_good_after_its_time() {
    let (devices, now) = (Devices::default(), Instant::now());
    let codes = devices.begin(device(), now).unwrap();
    let late = now + LIFETIME;
    assert_eq!(devices.poll(&codes.device, late), Err(Error::Expired));
    let shown = devices.show(&ada().user, &codes.user, late);
    assert_eq!(shown, Err(Error::NoDevice));
}

#[test]
fn few_codes_are_guessed() {
    let (devices, now) = (Devices::default(), Instant::now());
    for _ in 0..GUESSES {
        let guessed = devices.show(&ada().user, "BBBB-BBBB", now);
        assert_eq!(guessed, Err(Error::NoDevice));
    }
    let codes = devices.begin(device(), now).unwrap();
    let next = devices.show(&ada().user, &codes.user, now);
    assert_eq!(next, Err(Error::TooManyGuesses(61)));
}

#[test]
fn an_address_lets_few_devices_wait() {
    let (devices, now) = (Devices::default(), Instant::now());
    for _ in 0..WAITING_OF_ADDRESS_MAX {
        devices.begin(device(), now).unwrap();
    }
    assert!(matches!(devices.begin(device(), now), Err(Error::Full)));
    let address = "192.0.2.2".parse().unwrap();
    let other = Device {
        address,
        ..device()
    };
    assert!(devices.begin(other, now).is_ok());
    assert!(devices.begin(device(), now + LIFETIME).is_ok());
}

#[test]
fn what_is_no_code_is_none() {
    for typed in [
        "",
        "BBBB-BBB",
        "BBBB-BBBBB",
        "AAAA-AAAA",
        "ＢBBBBBBB",
        &"B".repeat(99),
    ] {
        assert_eq!(plain(typed), None, "{typed}");
    }
    assert_eq!(plain("bcdf ghjk").as_deref(), Some("BCDFGHJK"));
}
