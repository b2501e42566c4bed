//! The suite that every backend passes. A backend invokes [`conformance!`](crate::conformance!) with how to open and reopen itself.

pub mod cases;

/// Names each case once and makes a test of it for the backend whose fixture type is `$fixture`.
#[macro_export]
macro_rules! conformance {
    ($fixture:ty) => {
        $crate::conformance!(@cases $fixture:
            a_change_is_visible_as_a_whole,
            a_change_that_expects_what_is_not_so_does_nothing,
            an_ended_invocation_is_no_longer_open,
            a_key_is_bound_once_until_its_time_is_over,
            a_token_is_spent_once,
            hosts_belong_to_the_site_that_reported_them_first,
            jobs_are_listed_newest_first_in_pages,
            invocations_are_listed_by_host_in_pages,
            large_and_binary_output_comes_back_byte_for_byte,
            every_change_is_in_the_audit_in_order_and_in_the_tree,
            an_erased_payload_is_gone_and_the_log_is_what_it_was,
            concurrent_changes_of_one_thing_let_exactly_one_through,
            an_approval_is_kept_with_its_job_and_two_decisions_at_once_are_one,
            policies_are_kept_by_version,
            erasures_that_wait_and_holds_are_kept_until_each_ends_once,
            a_freeze_is_kept_until_it_is_lifted_once,
            the_settings_of_the_last_start_are_kept,
            the_limits_of_retention_are_kept_and_replaced_by_version,
            a_proposed_policy_is_kept_until_it_is_replaced_or_removed,
            proofs_hold_for_every_earlier_head,
            the_newest_checkpoint_and_the_last_of_each_hour_are_kept,
            removed_output_leaves_counts_and_digests_and_what_others_share,
            a_file_is_kept_as_what_was_printed,
            a_removed_job_is_gone_with_its_invocations_and_no_other_is,
            jobs_that_have_ended_are_listed_oldest_first_in_pages,
            a_key_is_removed_only_as_it_was_read,
            what_was_acknowledged_is_there_after_reopening,
        );
    };
    (@cases $fixture:ty: $($case:ident),* $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $case() {
            $crate::conformance::cases::$case(<$fixture>::default()).await;
        }
    )*};
}
