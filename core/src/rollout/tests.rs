//! The promises of a rollout: waves cover every host once, and no budget is exceeded by more than one.

use proptest::prelude::*;

use super::*;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn tally(waves: &[(u32, u32, u32)]) -> Tally {
    let wave = |&(hosts, ended, succeeded): &(u32, u32, u32)| WaveTally { hosts, ended, succeeded };
    Tally { waves: waves.iter().map(wave).collect(), ..Tally::default() }
}

#[test]
fn shares_are_read_as_they_are_written_and_nothing_else_is() {
    for text in ["0", "1", "20", "0%", "10%", "100%"] {
        assert_eq!(text.parse::<Share>().unwrap().to_string(), text);
    }
    for text in ["", "%", "101%", "-1", "+1", "1.5", "ten", "10 %", "99999999999"] {
        assert!(text.parse::<Share>().is_err(), "{text}");
    }
    assert_eq!((Share::Percent(10).of(59), Share::Percent(10).of(9)), (5, 0), "percentages are rounded down");
}

#[test]
fn a_rollout_that_cannot_be_is_refused_with_its_reason() {
    let waves = |waves: &[Share]| Rollout { waves: waves.to_vec(), ..Rollout::default() };
    use Share::{Count, Percent};
    assert_eq!(waves(&[Count(1), Percent(10), Percent(50)]).check(), Ok(()));
    assert_eq!(waves(&[Count(2), Count(2)]).check(), Err(InvalidRollout::Order));
    assert_eq!(waves(&[Percent(50), Percent(10)]).check(), Err(InvalidRollout::Order));
    assert_eq!(waves(&[Count(0)]).check(), Err(InvalidRollout::Order));
    assert_eq!(waves(&[Percent(101)]).check(), Err(InvalidRollout::Percent));
    assert_eq!(waves(&[Count(1); MAX_WAVES + 1]).check(), Err(InvalidRollout::Waves));
    let soak = Rollout { soak: Duration::from_secs(1), ..Rollout::default() };
    assert_eq!(soak.check(), Err(InvalidRollout::Gate));
    let none = Rollout { max_concurrency: Some(Count(0)), ..Rollout::default() };
    assert_eq!(none.check(), Err(InvalidRollout::Nothing));
    assert_eq!(Rollout { max_errors: Some(Count(0)), ..Rollout::default() }.check(), Ok(()));
}

#[test]
fn the_next_wave_waits_for_the_end_of_the_one_before_its_rest_and_its_health() {
    let rollout = Rollout {
        waves: vec![Share::Count(1)],
        soak: Duration::from_secs(10),
        health_check: Some(CommandInput::Line("true".into())),
        ..Rollout::default()
    };
    let next =
        |progress: &Progress, tally: &Tally, health, now| rollout.next(3, progress, tally, health, at(now));
    let begun = Progress::default();
    assert_eq!(next(&begun, &tally(&[(1, 0, 0), (2, 0, 0)]), None, 0), Next::Wait);
    let ended = tally(&[(1, 1, 1), (2, 0, 0)]);
    assert_eq!(next(&begun, &ended, None, 0), Next::Soak);
    let resting = Progress { soak_until: Some(at(10)), ..Progress::default() };
    assert_eq!(next(&resting, &ended, None, 9), Next::Wait);
    assert_eq!(next(&resting, &ended, None, 10), Next::CheckHealth);
    assert_eq!(next(&resting, &ended, Some(Health::Checking), 99), Next::Wait);
    assert_eq!(next(&resting, &ended, Some(Health::Good), 99), Next::Begin(2));
    assert_eq!(next(&resting, &ended, Some(Health::Bad), 99), Next::Halt(HaltReason::HealthCheckFailed));
    let failed = tally(&[(1, 1, 0), (2, 0, 0)]);
    assert_eq!(next(&begun, &failed, None, 0), Next::Halt(HaltReason::WaveWithoutSuccess));
    let last = Progress { wave: 2, ..Progress::default() };
    assert_eq!(
        next(&last, &tally(&[(1, 1, 1), (2, 2, 0)]), None, 0),
        Next::Wait,
        "nothing follows the last wave"
    );
}

#[test]
fn whoever_pauses_stops_the_waves_and_a_halt_is_for_good() {
    let principal = crate::principal::Principal {
        tenant: crate::name::TenantName::new("default").unwrap(),
        kind: crate::principal::PrincipalKind::User,
        name: crate::name::PrincipalName::new("ops").unwrap(),
    };
    let rollout =
        Rollout { waves: vec![Share::Count(1)], max_errors: Some(Share::Count(0)), ..Rollout::default() };
    let ended = tally(&[(1, 1, 1), (2, 0, 0)]);
    let paused = Progress { paused: Some((principal, at(0))), ..Progress::default() };
    assert_eq!(rollout.next(3, &paused, &ended, None, at(0)), Next::Wait);
    let errors = Tally { errors: 1, ..ended };
    assert_eq!(rollout.next(3, &paused, &errors, None, at(0)), Next::Halt(HaltReason::TooManyErrors));
    let halt = Halt { reason: HaltReason::Aborted, by: None, at: at(0) };
    let halted = Progress { halted: Some(halt), ..Progress::default() };
    assert_eq!(rollout.next(3, &halted, &errors, None, at(0)), Next::Wait);
}

fn share() -> impl Strategy<Value = Share> {
    prop_oneof![(1u32..300).prop_map(Share::Count), (1u8..=100).prop_map(Share::Percent)]
}

proptest! {
    #[test]
    fn waves_cover_every_host_and_each_has_at_least_one(
        waves in proptest::collection::vec(share(), 0..MAX_WAVES), hosts in 1u32..20_000,
    ) {
        let ends = Rollout { waves, ..Rollout::default() }.boundaries(hosts);
        prop_assert_eq!(ends.last(), Some(&hosts));
        prop_assert!(ends.first().is_some_and(|first| *first >= 1));
        prop_assert!(ends.is_sorted_by(|one, other| one < other));
    }

    /// Whatever ends as whatever, in whatever order: at most one error more than are borne.
    #[test]
    fn the_error_budget_is_never_exceeded_by_more_than_one(
        hosts in 1u32..200, budget in 0u32..20, concurrency in 1u32..50, fails in any::<u64>(), order in any::<u64>(),
    ) {
        let rollout = Rollout {
            max_errors: Some(Share::Count(budget)),
            max_concurrency: Some(Share::Count(concurrency)),
            ..Rollout::default()
        };
        let (mut waiting, mut under_way, mut tally) = (hosts, 0u32, Tally::default());
        let mut random = order | 1;
        let mut progress = Progress::default();
        loop {
            if rollout.next(hosts, &progress, &tally, None, at(0)) == Next::Halt(HaltReason::TooManyErrors) {
                progress.halted = Some(Halt { reason: HaltReason::TooManyErrors, by: None, at: at(0) });
            }
            if progress.halted.is_some() {
                prop_assert_eq!(rollout.room(hosts, 0, &tally), 0, "beyond the budget there is no room, halted or not");
            } else {
                let begin = rollout.room(hosts, under_way, &tally).min(waiting);
                (waiting, under_way) = (waiting - begin, under_way + begin);
            }
            prop_assert!(under_way <= concurrency);
            if under_way == 0 {
                break;
            }
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            under_way -= 1;
            tally.errors += u32::from(fails >> (random >> 58) & 1 == 1);
        }
        prop_assert!(tally.errors <= budget + 1);
        prop_assert!(progress.halted.is_some() || waiting == 0, "it either halts or reaches every host");
    }
}
