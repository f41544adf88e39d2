//! Seeds that broke a promise once, and some that did not.

use windlass_sim::{Detail, World, play};

const ONCE_BROKEN: &str = include_str!("../../seeds.txt");

fn assert_kept(seed: u64) {
    let played = play(&World::of(seed), Detail::Verdict);
    let broken: Vec<_> = played.broken.iter().map(ToString::to_string).collect();
    assert!(
        broken.is_empty(),
        "seed {seed}: {broken:#?}; repeat it with `windlass-sim seed {seed} --trace`"
    );
}

#[test]
fn what_broke_once_is_mended() {
    let lines = ONCE_BROKEN
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    for line in lines {
        let seed = line.split_whitespace().next().unwrap();
        assert_kept(seed.parse().expect("each line begins with a seed"));
    }
}

#[test]
fn the_first_worlds_break_nothing() {
    (0..30).for_each(assert_kept);
}
