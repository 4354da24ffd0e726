//! What a store does, asked of Redis, of Redis through a transport and TLS, and of SQLite alike: each behaviour below is
//! a test in all of them.
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic, in its helpers too")]

mod conformance {
    pub mod behaviour;
    pub mod place;
}

use conformance::behaviour;
use conformance::place::{Place, RedisPlace, SqlitePlace, TransportPlace};

macro_rules! everywhere {
    ($($behaviour:ident)*) => {
        mod redis {
            $(#[tokio::test]
            async fn $behaviour() {
                super::behaviour::$behaviour(&<super::RedisPlace as super::Place>::start()).await;
            })*
        }
        mod transport {
            $(#[tokio::test]
            async fn $behaviour() {
                super::behaviour::$behaviour(&<super::TransportPlace as super::Place>::start()).await;
            })*
        }
        mod sqlite {
            $(#[tokio::test]
            async fn $behaviour() {
                super::behaviour::$behaviour(&<super::SqlitePlace as super::Place>::start()).await;
            })*
        }
    };
}

everywhere! {
    an_input_is_read_as_it_was_written
    a_missing_key_reads_as_none
    a_commit_with_the_right_sequence_applies_everything
    a_commit_with_a_wrong_sequence_applies_nothing
    of_two_writers_from_the_same_sequence_exactly_one_wins
    the_history_is_capped_and_ordered
    a_history_is_read_up_to_so_many_bytes
    a_value_is_read_up_to_so_many_bytes
    a_history_length_of_zero_writes_none_and_keeps_what_is_there
    a_status_expires
    a_status_can_be_renewed_before_it_expires
    any_bytes_come_back_as_they_were
    values_of_a_mebibyte_come_back_as_they_were
    keys_may_be_any_text
    a_reader_sees_all_of_a_commit_or_nothing
    a_wrong_typed_history_stops_the_whole_commit
    a_wrong_typed_env_stops_the_whole_commit
    a_wrong_typed_output_stops_the_whole_commit
    a_wrong_typed_history_matters_only_where_history_is_kept
    a_sequence_that_is_no_number_is_an_error_and_stays
    a_hash_without_a_sequence_is_an_error_and_stays
    sequences_beyond_53_bits_are_told_apart
    the_greatest_sequence_is_an_error
    forgetting_removes_output_and_companions
    a_forgotten_output_starts_from_sequence_zero
    errors_name_action_key_and_store
    clones_and_tasks_share_a_store
    of_two_that_ask_for_a_lease_one_holds_it
    a_lease_that_is_extended_stays_and_one_that_is_not_runs_out
    a_lease_is_given_up_by_its_holder_alone
    a_lease_that_nobody_would_see_end_is_taken
    a_lease_lasts_as_long_as_its_holder_has_taken_it_for
    a_wrong_typed_lease_is_an_error_and_stays
    a_forgotten_output_leaves_its_lease
    consumers_have_leases_of_their_own
    an_event_is_set_aside_with_its_reason_and_makes_progress
    as_many_events_are_kept_aside_as_the_commit_says
    what_was_set_aside_is_read_in_pages
    an_event_that_was_set_aside_is_replayed_once
    no_more_events_wait_to_be_replayed_than_may
    a_commit_that_replays_takes_the_event_away_and_leaves_progress_as_it_was
    a_commit_that_replays_what_is_gone_applies_nothing
    of_two_commits_that_replay_an_event_one_counts
    an_event_that_is_replayed_in_vain_is_set_aside_again
    a_first_commit_may_replay
    keys_of_another_kind_stop_what_is_set_aside_and_replayed
    forgetting_removes_what_was_set_aside
}
