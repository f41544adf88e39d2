//! Plays worlds made from seeds against the whole of Windlass.
#![expect(clippy::print_stdout, reason = "for now")]
fn main() {
    let arguments: Vec<u64> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    if let [seed] = arguments[..] {
        let played = windlass_sim::play(&windlass_sim::World::of(seed), windlass_sim::Detail::Trace);
        println!("{}", played.trace);
        println!("{:#?}", played.broken);
        return;
    }
    let mut tally = windlass_sim::Tally::default();
    for seed in arguments[0]..arguments[1] {
        if arguments.len() == 3 {
            let a = windlass_sim::play(&windlass_sim::World::of(seed), windlass_sim::Detail::Trace);
            let b = windlass_sim::play(&windlass_sim::World::of(seed), windlass_sim::Detail::Trace);
            if let Some((a, b)) = a.trace.0.iter().zip(&b.trace.0).find(|(a, b)| a != b) {
                println!("{seed} differs:\n  {a}\n  {b}");
            }
            continue;
        }
        let played = windlass_sim::play(&windlass_sim::World::of(seed), windlass_sim::Detail::Verdict);
        tally.add(&played.tally);
        if !played.broken.is_empty() {
            println!("{seed}: {:?}", played.broken.iter().map(ToString::to_string).collect::<Vec<_>>());
        }
    }
    println!("{tally:?}");
}
